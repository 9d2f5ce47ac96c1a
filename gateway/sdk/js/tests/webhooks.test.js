// Webhooks, by the example of the specification and each of its refusals.

import assert from 'node:assert/strict';
import {createHmac, createPrivateKey, createPublicKey, sign} from 'node:crypto';
import {test} from 'node:test';
import {VerificationError, webhooks} from '../src/index.js';

// The example of the Standard Webhooks specification's libraries.
const NOW = 1614265330;
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const BODY = '{"test": 2432232314}';
const OTHER = `whsec_${'A'.repeat(32)}`;
const HEADERS = {'Webhook-Id': 'msg_p5jXN8AQM9LWM0D4loKWxJek', 'webhook-timestamp': String(NOW),
  'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='};
const GOOD = HEADERS['webhook-signature'];

const seed = Buffer.from(Array.from({length: 32}, (_, i) => i));
const privateKey = createPrivateKey({format: 'der', type: 'pkcs8',
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])});
const PUBLIC = `whpk_${Buffer.from(createPublicKey(privateKey).export({format: 'jwk'}).x, 'base64url')
  .toString('base64')}`;
const signedByKey = (body) => `v1a,${sign(null,
  Buffer.from(`msg_p5jXN8AQM9LWM0D4loKWxJek.${NOW}.${body}`), privateKey).toString('base64')}`;

const verify = ({body = BODY, key = SECRET, now = NOW, headers = {}} = {}) =>
  webhooks.verify(body, {...HEADERS, ...headers}, key, {now});
const refused = (how, why) =>
  assert.rejects(verify(how), (error) => error instanceof VerificationError && why.test(error.message));

test('the specification\'s example holds, as text, as bytes, and by Headers', async () => {
  assert.deepEqual(await verify(), {test: 2432232314});
  assert.deepEqual(await verify({body: new TextEncoder().encode(BODY)}), {test: 2432232314});
  assert.ok(await webhooks.verify(BODY, new Headers(HEADERS), SECRET, {now: NOW}));
});

test('a turned byte is refused wherever it is', async () => {
  const changes = [{body: `${BODY} `}, {key: OTHER}, {headers: {'Webhook-Id': 'msg_2'}},
    {headers: {'webhook-timestamp': String(NOW + 1)}},
    ...['v1,', 'v1,%%%', GOOD.replace('g0', 'g1'), GOOD.replace('v1,', 'v2,')].map(
      (signature) => ({headers: {'webhook-signature': signature}}))];
  for (const change of changes) await refused(change, /no signature fits/);
});

test('one signature of several is enough while a secret is replaced', async () => {
  assert.ok(await verify({headers: {'webhook-signature': `v1,AAAA ${signedByKey(BODY)} ${GOOD}`}}));
  assert.ok(await verify({key: [OTHER, SECRET]}));
});

test('both ends of the tolerance', async () => {
  assert.ok(await verify({now: NOW + 300}) && await verify({now: NOW - 300}));
  await refused({now: NOW + 301}, /too old/);
  await refused({now: NOW - 301}, /in the future/);
  for (const stamp of ['soon', '', '-5', '1e9', '9'.repeat(40)])
    await refused({headers: {'webhook-timestamp': stamp}}, /not a number/);
});

test('a public key checks v1a alone', async () => {
  assert.ok(await verify({key: PUBLIC, headers: {'webhook-signature': `v1,AAAA ${signedByKey(BODY)}`}}));
  for (const signature of [GOOD, signedByKey('other'), 'v1a,AAAA'])
    await refused({key: PUBLIC, headers: {'webhook-signature': signature}}, /no signature fits/);
});

test('a missing header is named, and a body that is no event refused', async () => {
  await assert.rejects(webhooks.verify(BODY, {}, SECRET), /webhook-id/);
  const mac = createHmac('sha256', Buffer.from(SECRET.slice(6), 'base64'))
    .update(`msg_p5jXN8AQM9LWM0D4loKWxJek.${NOW}.[]`).digest('base64');
  await refused({body: '[]', headers: {'webhook-signature': `v1,${mac}`}}, /not a JSON object/);
});

test('a key that is none is the caller\'s fault', () => assert.rejects(verify({key: 'whsec_%'}), TypeError));
