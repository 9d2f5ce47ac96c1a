// What is signed, against forgeries: things made here, by another Ed25519 than the node's.

import assert from 'node:assert/strict';
import {createHash, createPrivateKey, createPublicKey, sign} from 'node:crypto';
import {test} from 'node:test';
import {blake2b} from '../src/blake2b.js';
import {proof, VerificationError} from '../src/index.js';

const AT = 1_700_000_000_000;
const KEYS = [1, 2, 3, 4].map((n) => {
  const key = createPrivateKey({format: 'der', type: 'pkcs8', key: Buffer.concat(
    [Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, n)])});
  return {key, public: Buffer.from(createPublicKey(key).export({format: 'jwk'}).x, 'base64url')};
});

function varint(number) {
  const bytes = [];
  for (; number > 0x7f; number = Math.floor(number / 128)) bytes.push(number % 128 | 0x80);
  return Buffer.from([...bytes, number]);
}

/** Fields by their numbers: bytes, or a whole number; or pairs. */
function message(fields) {
  const pairs = Array.isArray(fields) ? fields : Object.entries(fields);
  return Buffer.concat(pairs.map(([field, value]) => typeof value === 'number'
    ? Buffer.concat([varint(field * 8), varint(value)])
    : Buffer.concat([varint(field * 8 + 2), varint(value.length), value])));
}

const toSign = (type, body) =>
  Buffer.concat([Buffer.from(`DUCKv1 ${type.length} ${type} ${body.length} `), body]);
const hash = (bytes) => Buffer.from(blake2b(bytes));
const envelope = (type, body, signer, key, more = {}) => message({
  1: signer, 2: Buffer.from(type), 3: body, 4: sign(null, toSign(type, body), key.key), ...more});

/** A chain of that many, and whose it is; `changes` go into the last one's body. */
function certificates(count = 1, changes = {}, kind = 2) {
  let identity, previous;
  const chain = [];
  for (let n = 0; n < count; n++) {
    const body = message({1: kind, 3: KEYS[n].public, 4: hash(KEYS[n + 1].public),
      5: Buffer.from('Duck'), 8: AT + n, 9: AT + 1000, 10: n, ...(n > 0 && {2: identity, 11: previous}),
      ...(n === count - 1 && changes)});
    previous = hash(toSign('duck/certificate/1', body));
    identity ??= previous.subarray(0, 20);
    chain.push([1, envelope('duck/certificate/1', body, identity, KEYS[n])]);
  }
  return {chain: message(chain), who: identity};
}

const receipt = (who, changes) => message({1: Buffer.from('pond'), 2: Buffer.alloc(32, 'p'),
  3: Buffer.alloc(20, 'f'), 4: who, 5: 2, 6: 7, 7: Buffer.from('{"n":1}'), 9: AT + 10, ...changes});
const asJson = (wire, chain) =>
  ({envelope: wire.toString('base64'), chain: chain.toString('base64')});
const sealed = ({chain, who}, key = KEYS[0], changes = {}) =>
  asJson(envelope('duck/receipt/1', receipt(who, changes), who, key), chain);
const refused = (what, why = /./) => assert.rejects(proof.verifyReceipt(what),
  (error) => error instanceof VerificationError && why.test(error.message));

test('BLAKE2b is that of the RFC, and OpenSSL\'s', () => {
  assert.equal(Buffer.from(blake2b(Buffer.from('abc'))).toString('hex'),
    'bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319');
  for (const size of [0, 1, 127, 128, 129, 255, 256, 257, 5000]) {
    const data = Buffer.alloc(size, 'duck');
    assert.deepEqual(Buffer.from(blake2b(data, 64)), createHash('blake2b512').update(data).digest());
  }
});

test('what is made by the rules holds', async () => {
  const said = await proof.verifyReceipt(sealed(certificates()));
  assert.deepEqual([said.state, said.result], ['answered', {n: 1}]);
  assert.equal(said.signer, said.to);
});

test('each byte of a receipt and its chain counts', async () => {
  const good = sealed(certificates(2), KEYS[1]);
  await proof.verifyReceipt(good);
  for (const name of ['envelope', 'chain']) {
    const wire = Buffer.from(good[name], 'base64');
    for (let at = 0; at < wire.length; at++) {
      const bad = Buffer.from(wire);
      bad[at] ^= 1;
      await refused({...good, [name]: bad.toString('base64')});
      await refused({...good, [name]: wire.subarray(0, at).toString('base64')});
    }
  }
});

test('the key that signs is the one of that time', async () => {
  const two = certificates(2); // the second speaks from AT + 1 on
  assert.ok(await proof.verifyReceipt(sealed(two, KEYS[1])));
  await refused(sealed(two, KEYS[0]), /signature/);
  assert.ok(await proof.verifyReceipt(sealed(two, KEYS[0], {9: AT})));
  await refused(sealed(two, KEYS[1], {9: AT - 1}), /not valid yet/);
  await refused(sealed(two, KEYS[1], {9: AT + 1001}), /expired/);
});

test('who may say what', async () => {
  const one = certificates(), node = certificates(1, {}, 1);
  await refused(sealed(one, KEYS[0], {4: Buffer.alloc(20, 'x')}), /target did not sign/);
  await refused(sealed(one, KEYS[0], {5: 1, 6: 3}), /no node signed/);
  await refused(sealed(one, KEYS[0], {5: 9}), /cannot say/);
  await refused(sealed(one, KEYS[0], {6: 2}), /cannot say/);
  const taken = await proof.verifyReceipt(
    sealed(node, KEYS[0], {5: 1, 6: 3, 4: Buffer.alloc(20, 'x')}));
  assert.deepEqual([taken.kind, taken.signer.slice(0, 4)], ['taken', 'nod_']);
});

test('a chain that does not hang together is refused', async () => {
  const x = Buffer.alloc(32, 'x');
  for (const [why, changes] of [[/another identity/, {1: 1}], [/in sequence/, {10: 5}],
    [/goes back/, {8: AT - 1}], [/ends before/, {9: AT}], [/one before it/, {11: x}],
    [/wrong length/, {4: x.subarray(1)}], [/committed to/, {3: KEYS[3].public}], [/of no kind/, {1: 7}]])
    await refused(sealed(certificates(2, changes), KEYS[1]), why);
  await refused(sealed({chain: Buffer.alloc(0), who: x.subarray(12)}), /no certificate/);
  await refused(sealed(certificates(1, {2: x.subarray(12)})), /names one before it/);
});

test('something signed as something else is no receipt', async () => {
  const {chain, who} = certificates();
  await refused(asJson(envelope('duck/peck/1', receipt(who), who, KEYS[0]), chain), /something else/);
  await refused(asJson(envelope('duck/receipt/1', receipt(who), who, KEYS[0], {9: 1}), chain), /not known/);
  await refused({...sealed({chain, who}), envelope: '!'}, /base64/);
});

const half = (count) => 2 ** (Math.ceil(Math.log2(count)) - 1);
const node = (left, right) => hash(Buffer.concat([Buffer.from([1]), left, right]));

function tree(leaves) {
  if (leaves.length === 1) return hash(Buffer.concat([Buffer.from([0]), leaves[0]]));
  const middle = half(leaves.length);
  return node(tree(leaves.slice(0, middle)), tree(leaves.slice(middle)));
}

function path(leaves, index) {
  if (leaves.length === 1) return [];
  const middle = half(leaves.length), [left, right] = [leaves.slice(0, middle), leaves.slice(middle)];
  return index < middle ? [...path(left, index), tree(right)]
    : [...path(right, index - middle), tree(left)];
}

function inBatch({chain, who}, size, index, spoilt = {}) {
  const body = receipt(who, {});
  const leaves = Array.from({length: size}, (_, n) => hash(Buffer.from(`${n}`)));
  leaves[index] = hash(toSign('duck/receipt/1', body));
  const signed = toSign('duck/batch/1', Buffer.concat([Buffer.from([0, 0, 0, size]), tree(leaves)]));
  const batch = message([[1, spoilt.size ?? size], [2, spoilt.index ?? index],
    ...(spoilt.siblings ?? path(leaves, index)).map((each) => [3, each])]);
  return asJson(message({1: who, 2: Buffer.from('duck/receipt/1'), 3: body,
    4: sign(null, signed, KEYS[0].key), 5: batch}), chain);
}

test('each place of batches of all shapes leads to the root', async () => {
  const one = certificates();
  for (const size of [2, 3, 5, 7, 8, 13])
    for (let index = 0; index < size; index++)
      assert.ok(await proof.verifyReceipt(inBatch(one, size, index)));
});

test('a path that leads elsewhere is refused', async () => {
  const one = certificates(), x = Buffer.alloc(32, 'x');
  for (const [size, spoilt, why] of [[5, {index: 3}, /root/], [5, {index: 5}, /root/],
    [8, {index: 5}, /signature/], [8, {size: 7}, /signature|root/], [8, {size: 257}, /root/],
    [8, {siblings: [x, x, x]}, /signature/], [8, {siblings: [x, x, x, x]}, /longer/],
    [8, {siblings: [x, x, x.subarray(1)]}, /root/], [8, {siblings: []}, /root/]])
    await refused(inBatch(one, size, 4, spoilt), why);
});
