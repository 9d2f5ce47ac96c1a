// WebCrypto, and Ed25519 wherever it comes from. Node 18 has no global crypto, and its WebCrypto warns
// of Ed25519 as of an experiment, so under Node it is node:crypto.

import {DuckError} from './errors.js';

const isNode = Boolean(globalThis.process?.versions?.node);
const node = isNode ? await import('node:crypto') : undefined;

export const webcrypto = globalThis.crypto ?? node.webcrypto;

export async function ed25519Verifies(publicKey, signature, message) {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  if (node) {
    const key = node.createPublicKey({format: 'jwk', key: {
      kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url')}});
    return node.verify(null, message, key, signature);
  }
  let key;
  try {
    key = await webcrypto.subtle.importKey('raw', publicKey, {name: 'Ed25519'}, false, ['verify']);
  } catch (cause) {
    throw new DuckError('this browser has no Ed25519', {cause});
  }
  return webcrypto.subtle.verify({name: 'Ed25519'}, key, signature, message);
}

const PKCS8 = Uint8Array.from([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]);

/** The key of a seed (RFC 8410): {publicKey, sign(message)}. */
export async function ed25519Key(seed) {
  const whole = joined(PKCS8, seed);
  if (node) {
    const key = node.createPrivateKey({key: Buffer.from(whole), format: 'der', type: 'pkcs8'});
    return {
      publicKey: new Uint8Array(Buffer.from(node.createPublicKey(key).export({format: 'jwk'}).x, 'base64url')),
      sign: async (message) => new Uint8Array(node.sign(null, message, key)),
    };
  }
  try {
    const key = await webcrypto.subtle.importKey('pkcs8', whole, {name: 'Ed25519'}, true, ['sign']);
    const {x} = await webcrypto.subtle.exportKey('jwk', key);
    return {
      publicKey: bytesOfBase64Url(x),
      sign: async (message) => new Uint8Array(await webcrypto.subtle.sign({name: 'Ed25519'}, key, message)),
    };
  } catch (cause) {
    throw new DuckError('this browser has no Ed25519', {cause});
  }
}

/** Compares in constant time, as WebCrypto does it. */
export async function hmacSha256Verifies(secret, signature, message) {
  const key = await webcrypto.subtle.importKey(
    'raw', secret, {name: 'HMAC', hash: 'SHA-256'}, false, ['verify']);
  return webcrypto.subtle.verify('HMAC', key, signature, message);
}

/** undefined: it is none. */
export function bytesOfBase64(text) {
  if (typeof text !== 'string' || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text))
    return undefined;
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Without padding (RFC 4648, section 5); undefined: it is none. */
export function bytesOfBase64Url(text) {
  return bytesOfBase64(text.replaceAll('-', '+').replaceAll('_', '/') + '='.repeat((4 - text.length % 4) % 4));
}

export function base64Of(bytes) {
  let letters = '';
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return btoa(letters);
}

export function base64UrlOf(bytes) {
  return base64Of(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

export function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
