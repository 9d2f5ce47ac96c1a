// Against real gateways: what the calls are for; the reference; and what the README prints.

import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {after, before, test} from 'node:test';
import {fileURLToPath} from 'node:url';
import * as spaceduck from '../src/index.js';
import {OPERATIONS} from '../src/operations.js';
import {bond, found, PASSWORD, startPond, until} from './pond.js';

const {Duck, proof} = spaceduck;
let pond, asker, oracle;

before(async () => {
  pond = await startPond();
  asker = await pond.hatch('alice', 'Asker');
  oracle = await pond.hatch('bob', 'Oracle', {capabilities: ['js.oracle']});
  await found(asker.duck, 'js.oracle');
  await bond(asker.duck, oracle.duck, oracle.id);
});
after(() => pond?.stop());

async function ask(payload) {
  return (await asker.duck.peck({target: oracle.id, action: 'query', payload})).peck_id;
}

async function handed() {
  for await (const peck of oracle.duck.inbox()) return peck;
  return undefined;
}

test('an agent answers in a loop', async () => {
  const peckId = await ask({n: 20});
  for await (const peck of oracle.duck.inbox()) {
    assert.equal(peck.peck_id, peckId);
    assert.equal(peck.from, asker.id);
    assert.equal((await peck.answer({n: peck.payload.n + 1})).status, 'answered');
    break;
  }
  const done = await asker.duck.getPeck(peckId, {wait: 20});
  assert.deepEqual([done.status, done.result], ['answered', {n: 21}]);
});

test('parts of an answer are read as they are said', async () => {
  const peckId = await ask({});
  const peck = await handed();
  const speaking = (async () => {
    for (let n = 0; n < 3; n++) await peck.partial({n});
    await peck.answer('all');
  })();
  const parts = [];
  for await (const part of asker.duck.partials(peckId)) parts.push([part.number, part.partial]);
  await speaking;
  assert.deepEqual(parts, [[1, {n: 0}], [2, {n: 1}], [3, {n: 2}]]);
});

test('a failure is told with its reason', async () => {
  const peckId = await ask(null);
  const peck = await handed();
  assert.equal(peck.payload, null);
  await peck.ack();
  await peck.fail('no such city');
  const done = await asker.duck.getPeck(peckId, {wait: 20});
  assert.deepEqual([done.status, done.problem], ['failed', 'no such city']);
});

test('receipts and certificates prove themselves', async () => {
  const peckId = await ask({});
  await (await handed()).answer([1, 2]);
  const {receipts} = await asker.duck.getPeck(peckId, {wait: 20});
  const [taken, said] = await Promise.all(
    receipts.map((receipt) => proof.verifyReceipt(receipt, {peckId})));
  assert.deepEqual([taken.kind, taken.state, taken.signer.slice(0, 4)], ['taken', 'taken', 'nod_']);
  assert.deepEqual([said.kind, said.state, said.result], ['done', 'answered', [1, 2]]);
  assert.deepEqual([said.signer, said.to, said.from], [oracle.id, oracle.id, asker.id]);
  await assert.rejects(proof.verifyReceipt(receipts[0], {peckId: 'pck_other'}), /another peck/);
  const chain = await asker.duck.certificateOf(oracle.id);
  const who = await proof.verifyCertificate(chain, {atMs: said.at_ms});
  assert.deepEqual([who.id, who.kind, who.display_name], [oracle.id, 'duckling', 'Oracle']);
  await assert.rejects(proof.verifyCertificate(chain, {atMs: 1}), /not valid yet/);
});

test('an idempotency key sends once', async () => {
  const order = {target: oracle.id, action: 'query', payload: {once: true}};
  const key = {idempotencyKey: 'js-order-1'};
  const [first, again] = [await asker.duck.peck(order, key), await asker.duck.peck(order, key)];
  assert.equal(first.peck_id, again.peck_id);
  await assert.rejects(asker.duck.peck({...order, payload: 2}, key),
    {name: 'Unprocessable', error: 'idempotency_key_reused', field: 'Idempotency-Key'});
  await (await handed()).answer();
});

test('lists are read over their pages', async () => {
  const ids = async (members) =>
    (await asker.duck.pecks({box: 'out', ...members}).all()).map((peck) => peck.peck_id);
  const all = await ids();
  assert.ok(all.length > 2);
  assert.deepEqual(await ids({limit: 1}), all);
  assert.ok((await asker.duck.pecks({limit: 1}).page()).next_cursor);
});

test('an operator has several ducklings', async () => {
  const {email, id} = await pond.hatch('alice', 'First');
  const apiBase = pond.alice.url;
  const {token} = await new Duck({apiBase}).auth({email, password: PASSWORD});
  const operator = new Duck({token, apiBase});
  const second = await operator.hatch({display_name: 'Second'});
  assert.deepEqual((await operator.spaceducks({limit: 1}).all()).map((each) => each.duckling_id),
    [id, second.duckling_id]);
  const asSecond = new Duck({token, apiBase, ducklingId: second.duckling_id});
  assert.equal((await asSecond.certificate()).duckling_id, second.duckling_id);
  const {beak_key} = await asSecond.rotate();
  await assert.rejects(new Duck({beakKey: second.beak_key, apiBase}).pulse(), spaceduck.Unauthorized);
  assert.equal((await new Duck({beakKey: beak_key, apiBase}).pulse()).status, 'alive');
  assert.equal(await operator.logout(), undefined);
  await assert.rejects(operator.pulse(), spaceduck.Unauthorized);
});

test('a password is reset', async () => {
  const {email} = await pond.hatch('alice', 'Forgetful');
  const stranger = new Duck({apiBase: pond.alice.url});
  const old = await pond.code('alice', email);
  await stranger.forgot({email});
  const code = await until('another code', async () => {
    const newest = await pond.code('alice', email);
    return newest !== old && newest;
  });
  await stranger.reset({email, code, password: 'another long password'});
  await assert.rejects(stranger.auth({email, password: PASSWORD}), spaceduck.Unauthorized);
  assert.ok((await stranger.auth({email, password: 'another long password'})).token);
});

test('bonds are changed and ended, pecks denied and cancelled', async () => {
  const [one, two] = [await pond.hatch('alice', 'One'),
    await pond.hatch('bob', 'Two', {capabilities: ['js.two']})];
  await found(one.duck, 'js.two');
  const peckId = await bond(one.duck, two.duck, two.id);
  const held = await two.duck.bonds().first();
  const changed = await two.duck.changeBond(held.bond_id, {limits: {per_minute: 7}, muted: true});
  assert.deepEqual([changed.limits.per_minute, changed.health.state], [7, 'muted']);
  assert.equal((await one.duck.unpeck({peck_id: peckId})).status, 'ended');
  await until('the end at the other side', async () => !await two.duck.bonds().first());
  const [denied, cancelled] = [await one.duck.peck({target: two.id, action: 'query'}),
    await one.duck.peck({target: two.id, action: 'query'})];
  await until('both', async () =>
    (await two.duck.pecks({box: 'in', state: 'pending'}).all()).length === 2);
  await two.duck.deny({peck_id: denied.peck_id, reason: 'not today'});
  await until('the no', async () =>
    (await one.duck.getPeck(denied.peck_id)).problem === 'not today');
  await one.duck.cancel({peck_id: cancelled.peck_id});
  await until('the end', async () =>
    (await two.duck.getPeck(cancelled.peck_id)).status === 'cancelled');
});

test('everybody may ask how it is', async () => {
  const anybody = new Duck({apiBase: `${pond.alice.url}/`});
  assert.equal((await anybody.probe()).node_id, pond.alice.node_id);
  assert.equal((await anybody.healthz()).status, 'ok');
  assert.equal((await anybody.readyz()).status, 'ready');
  assert.match((await anybody.systemStatus()).status, /operational|degraded/);
  assert.match(await anybody.prometheus(), /ducknode_/);
  assert.equal(await anybody.pageview({page: '/docs'}), undefined);
  assert.equal(typeof (await anybody.metrics()).total_ducklings, 'number');
  assert.ok((await anybody.duckling(oracle.id)).proof);
});

test('a grant is made, handed on, verified and taken back', async () => {
  const made = await oracle.duck.makeGrant({holder: asker.id, scopes: ['js.*'], uses: 3, further: 1});
  const narrow = await asker.duck.narrowGrant({grant: made.grant, holder: oracle.id, uses: 1});
  assert.deepEqual([narrow.uses, narrow.blocks.length], [1, 2]);
  assert.equal((await asker.duck.verifyGrant({grant: made.grant, action: 'js.read'})).valid, true);
  assert.equal((await asker.duck.verifyGrant({grant: made.grant, from: oracle.id})).reason, 'other_holder');
  assert.equal((await oracle.duck.revokeGrant({grant: made.grant})).status, 'revoked');
  assert.ok((await oracle.duck.grants().first()).revoked_at);
});

test('a context is issued, used and revoked', async () => {
  const issued = await asker.duck.issueCertificate({context: 'deploys', scopes: ['deploy.*']});
  assert.deepEqual([issued.context, issued.scopes], ['deploys', ['deploy.*']]);
  const sent = await asker.duck.peck({target: oracle.id, action: 'deploy.web', context: 'deploys'});
  const peck = await asker.duck.getPeck(sent.peck_id);
  assert.deepEqual([peck.context, peck.context_id], ['deploys', issued.certificate_id]);
  await assert.rejects(asker.duck.peck({target: oracle.id, action: 'query', context: 'deploys'}),
    {name: 'Forbidden', error: 'context_refused'});
  const shown = await asker.duck.revoke({reason: 'over', certificate_id: issued.certificate_id});
  assert.ok(shown.valid && shown.contexts.at(-1).revoked_at);
});

test('lobster binds are for operators, and their ducklings may look', async () => {
  assert.deepEqual(await asker.duck.lobsters().all(), []);
  await assert.rejects(asker.duck.lobster(oracle.id), spaceduck.NotFound);
  const other = {with: oracle.id};
  for (const call of [() => asker.duck.beginLobster({...other, lease: 60}),
    () => asker.duck.confirmLobster({...other, string: '1234-5678'}), () => asker.duck.breakLobster(other)])
    await assert.rejects(call(), {name: 'Forbidden', error: 'session_needed'});
});

test('a no is an error of its class', async () => {
  await assert.rejects(new Duck({apiBase: pond.alice.url}).bonds().page(),
    {name: 'Unauthorized', status: 401});
  await assert.rejects(asker.duck.duckling(`dkl_${'a'.repeat(32)}`), spaceduck.NotFound);
  await assert.rejects(asker.duck.peck({target: 'dkl_abc123', action: 'query'}),
    {name: 'Unprocessable', field: 'target', message: /field target/});
  await assert.rejects(ask('x'.repeat(256 * 1024)), {name: 'TooLarge', field: 'payload'});
});

test('an inbox ends when its signal says so', async () => {
  const ending = new AbortController();
  const waiting = oracle.duck.inbox({}, {signal: ending.signal}).next();
  setTimeout(() => ending.abort(), 50);
  await assert.rejects(waiting, {name: 'AbortError'});
});

// ---- the reference ----

const browsers = new Set(['text/html', 'text/javascript', 'text/css']); // a page, or what it brings along

function described(reference) {
  return Object.entries(reference.paths).flatMap(([path, item]) =>
    Object.entries(item).filter(([, each]) => each.responses)
      .map(([method, each]) => [`${method.toUpperCase()} ${path}`, each]));
}

test('every operation of the reference has its method, with key and acting duckling', async () => {
  const reference = await asker.duck.reference();
  const named = (each) => each.$ref
    ? each.$ref.slice(2).split('/').reduce((at, part) => at[part], reference) : each;
  const own = new Map(Object.entries(OPERATIONS).map(([name, [method, path, traits = '']]) =>
    [`${method} ${path}`, {name, traits: traits.split(' ')}]));
  for (const [place, each] of described(reference)) {
    const types = Object.keys(named(each.responses['200'] ?? {}).content ?? {});
    if (place === 'GET /beak' || place.startsWith('GET /docs') ||
       types.some((type) => browsers.has(type))) continue;
    const operation = own.get(place);
    assert.ok(operation, `${place} has no method`);
    assert.equal(typeof asker.duck[operation.name], 'function');
    const parameters = (each.parameters ?? []).map(named);
    const has = (name, place) => parameters.some((one) => one.name === name && one.in === place);
    assert.equal(operation.traits.includes('key'), has('Idempotency-Key', 'header'), place);
    assert.equal(operation.traits.includes('acting'), has('duckling_id', 'query'), place);
  }
});

// ---- what the README prints ----

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const snippets = [...readme.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);

function start(code, beakKey, apiBase) {
  const here = fileURLToPath(new URL('../src/index.js', import.meta.url));
  const child = spawn(process.execPath,
    ['--input-type=module', '-e', code.replace("'spaceduck'", JSON.stringify(here))],
    {stdio: ['ignore', 'pipe', 'inherit'],
      env: {...process.env, BEAK_KEY: beakKey, SPACEDUCK_API: apiBase}});
  child.stdout.setEncoding('utf8');
  return child;
}

test('the first agent is one of at most 15 lines', () => {
  assert.ok(snippets[0].split('\n').length <= 16);
});

test('the first agent answers whoever asks', async () => {
  const [shouter, listener] = [await pond.hatch('bob', 'Shouter'), await pond.hatch('alice', 'Listener')];
  const agent = start(snippets[0], shouter.beakKey, pond.bob.url);
  try {
    await found(listener.duck, 'text.shout');
    const asking = start(snippets[1], listener.beakKey, pond.alice.url);
    let said = '';
    asking.stdout.on('data', (text) => said += text);
    const request = await until('the request',
      () => shouter.duck.pecks({box: 'in', state: 'pending'}).first());
    await shouter.duck.approve({peck_id: request.peck_id});
    assert.deepEqual(await once(asking, 'close'), [0, null]);
    assert.equal(said, "answered { text: 'HELLO' }\n");
  } finally {
    agent.kill();
    await once(agent, 'close');
  }
});
