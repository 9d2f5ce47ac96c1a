// Is a webhook from one's own gateway, and fresh? Standard Webhooks 1.0, `v1` and `v1a`.
//
//   const event = await webhooks.verify(body, headers, 'whsec_…');
//
// A receiver also remembers ids (`webhook-id`): a delivery whose answer was lost comes again under the
// same one.

import {bytesOfBase64, ed25519Verifies, hmacSha256Verifies, joined} from './crypto.js';
import {VerificationError} from './errors.js';

export const TOLERANCE_S = 300; // of the timestamp, both ways

const SECRET_PREFIX = 'whsec_'; // v1: HMAC-SHA256
const PUBLIC_KEY_PREFIX = 'whpk_'; // v1a: Ed25519

/** The event; rejects with VerificationError. `body`: the bytes, or the text, as they came. */
export async function verify(body, headers, key, {tolerance = TOLERANCE_S, now = Date.now() / 1000} = {}) {
  const [id, stamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(
    (name) => headerOf(headers, name));
  checkTime(stamp, tolerance, now);
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : new Uint8Array(body);
  const signed = joined(new TextEncoder().encode(`${id}.${stamp}.`), bytes);
  const keys = typeof key === 'string' ? [key] : key;
  const held = await Promise.all(keys.map((each) => holds(each, signed, signatures)));
  if (!held.includes(true)) throw new VerificationError('no signature fits');
  let event;
  try {
    event = JSON.parse(new TextDecoder('utf-8', {fatal: true}).decode(bytes));
  } catch {
    event = null;
  }
  if (event === null || typeof event !== 'object' || Array.isArray(event))
    throw new VerificationError('the body is not a JSON object');
  return event;
}

function headerOf(headers, name) {
  const value = typeof headers.get === 'function' ? headers.get(name)
    : Object.entries(headers).find(([each]) => each.toLowerCase() === name)?.[1];
  if (typeof value !== 'string') throw new VerificationError(`there is no header ${name}`);
  return value;
}

function checkTime(stamp, tolerance, now) {
  if (!/^\d{1,12}$/.test(stamp))
    throw new VerificationError('webhook-timestamp is not a number of seconds');
  if (Math.abs(now - Number(stamp)) > tolerance)
    throw new VerificationError(
      `webhook-timestamp is ${Number(stamp) < now ? 'too old' : 'in the future'}`);
}

async function holds(key, signed, signatures) {
  const isPublic = key.startsWith(PUBLIC_KEY_PREFIX);
  const bytes = bytesOfBase64(
    isPublic ? key.slice(PUBLIC_KEY_PREFIX.length) : key.replace(SECRET_PREFIX, ''));
  if (!bytes?.length) throw new TypeError('a key is like whsec_… or whpk_…');
  const check = isPublic ? ed25519Verifies : hmacSha256Verifies;
  const prefix = isPublic ? 'v1a,' : 'v1,';
  const sent = signatures.split(' ').filter((each) => each.startsWith(prefix))
    .map((each) => bytesOfBase64(each.slice(prefix.length)) ?? new Uint8Array());
  return (await Promise.all(sent.map((each) => check(bytes, each, signed)))).includes(true);
}
