// A duckling that keeps its own key, from its hatch to its rotation; its node never has the key.

import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {Conflict, Duck, DuckError, own, proof} from '../src/index.js';
import {found, startPond, until} from './pond.js';

const NETWORK = 'pond';
let pond;

before(async () => {
  pond = await startPond();
});
after(() => pond?.stop());

async function hatched(key, name, more) {
  const email = `own${key.id.slice(4, 12)}@example.com`;
  const stranger = new Duck({apiBase: pond[name].url});
  await stranger.hatch({email, proof: key.proof, ...more});
  const answer = await stranger.verify({email, code: await pond.code(name, email)});
  assert.equal(answer.duckling_id, key.id);
  return new Duck({beakKey: answer.beak_key, apiBase: pond[name].url});
}

test('it lives on a node that has no key of it', async () => {
  const {file, nextFile} = (await own.OwnKey.generate('Vault')).files();
  const key = await own.OwnKey.open(file, nextFile);
  const asker = await pond.hatch('bob', 'Asker');
  const duck = await hatched(key, 'alice', {public_key: key.publicKey});
  assert.equal(await own.signAll(duck, key), 1);
  await duck.profile({capabilities: ['js.own']});
  assert.equal(await own.signAll(duck, key), 1);
  assert.equal((await found(asker.duck, 'js.own')).duckling_id, key.id);

  const sent = (await asker.duck.peck({target: key.id, action: 'query', payload: {n: 1}})).peck_id;
  await until('the peck', async () => (await duck.pecks({box: 'in'}).all()).length > 0);
  assert.equal((await duck.approve({peck_id: sent})).waits_for, undefined); // its node says that it is taken
  assert.ok((await duck.answer({peck_id: sent, result: {n: 2}})).waits_for);
  assert.equal(await own.signAll(duck, key), 1);
  const done = await asker.duck.getPeck(sent, {wait: 20});
  assert.deepEqual(done.result, {n: 2});
  const said = await proof.verifyReceipt(done.receipts.at(-1), {peckId: sent});
  assert.equal(said.signer, key.id);

  await until('alice knows the asker', () => duck.duckling(asker.id).catch(() => undefined));
  await assert.rejects(duck.peck({target: asker.id, action: 'query', payload: {}}), Conflict);
  const signed = await key.peck({target: asker.id, action: 'query', payload: {n: 3}, network: NETWORK});
  const first = await duck.peck({signed});
  assert.equal((await duck.peck({signed})).peck_id, first.peck_id);
  await until('the peck at bob', async () => (await asker.duck.pecks({box: 'in'}).all())
    .some((peck) => peck.peck_id === first.peck_id));

  const newer = await key.rotate();
  assert.equal((await duck.rotate({what: 'identity', chain: newer.chain})).chain, newer.chain);
  assert.ok(await own.signAll(duck, newer, {wait: 10}) >= 1);
  await duck.peck({signed: await newer.peck({target: asker.id, action: 'query', network: NETWORK})});

  // It moves, with the key that it has by now.
  await until('the new key at bob', async () => (await asker.duck.certificateOf(key.id)).chain === newer.chain);
  const moved = await hatched(newer, 'bob');
  assert.ok(await own.signAll(moved, newer, {wait: 20}) >= 1);
  await until('where it lives', async () => {
    const [it, its] = [await asker.duck.duckling(key.id), await asker.duck.duckling(asker.id)];
    return it.host === its.host;
  });

  const ended = await moved.revoke({reason: 'lost'});
  assert.equal(ended.status, 'to_sign');
  assert.ok((await moved.certificate()).valid);
  assert.ok(await own.signAll(moved, newer) >= 1);
  assert.ok(!(await moved.certificate()).valid);
  await assert.rejects(own.signAll(moved, newer), Conflict);
});

test('it signs only what is said in its own name', async () => {
  const [key, other] = [await own.OwnKey.generate('One'), await own.OwnKey.generate('Other')];
  const body = Buffer.concat([Buffer.from([0x12, 20]), Buffer.alloc(20)]).toString('base64');
  for (const type of ['duck/record/1', 'duck/peck/1', 'duck/certificate/1', 'duck/receipt/1'])
    await assert.rejects(key.sign({type, body}), DuckError);
  await assert.rejects(own.OwnKey.open(key.files().nextFile), DuckError);
  const [head, , chain] = other.files().file.split('\n');
  const mixed = [head, key.files().file.split('\n')[1], chain, ''].join('\n');
  await assert.rejects(own.OwnKey.open(mixed), DuckError);
});
