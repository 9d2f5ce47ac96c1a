// Bytes as they travel: ids, what is signed, and the few forms of protobuf that are used here.

import {joined} from './crypto.js';
import {VerificationError} from './errors.js';

export function must(holds, why) {
  if (!holds) throw new VerificationError(why);
}

export function textOf(bytes) {
  return new TextDecoder().decode(bytes);
}

export function isEqual(left, right) {
  return left.length === right.length && left.every((byte, i) => byte === right[i]);
}

/** RFC 4648, section 6, lower case: 20 bytes are 32 letters, without padding. */
export function idOf(prefix, bytes) {
  const bits = Array.from(bytes.subarray(0, 20), (byte) => byte.toString(2).padStart(8, '0')).join('');
  return prefix + bits.replace(/.{5}/g, (five) => 'abcdefghijklmnopqrstuvwxyz234567'[parseInt(five, 2)]);
}

export function toSign(type, body) {
  return joined(new TextEncoder().encode(`DUCKv1 ${type.length} ${type} ${body.length} `), body);
}

// ---- protobuf: varints and lengths are all that is used here ----

function* itemsOf(wire) {
  let at = 0;
  const varint = () => {
    let number = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      must(at < wire.length, 'not a well-formed protobuf');
      const byte = wire[at++];
      number |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asUintN(64, number));
    }
    throw new VerificationError('not a well-formed protobuf');
  };
  while (at < wire.length) {
    const [tag, value] = [varint(), varint()];
    if (tag % 8 === 2) {
      must(at + value <= wire.length, 'not a well-formed protobuf');
      yield [Math.floor(tag / 8), wire.subarray(at, at + value)];
      at += value;
    } else {
      must(tag % 8 === 0, 'not a well-formed protobuf');
      yield [Math.floor(tag / 8), value];
    }
  }
}

export function fieldsOf(wire) {
  return new Map(itemsOf(wire)); // of a field that is there twice the last counts, as protobuf has it
}

export function valuesOf(wire, field) {
  return [...itemsOf(wire)].filter(([each, value]) => each === field && typeof value === 'object')
    .map(([, value]) => value);
}

export function bytesOf(fields, field, size) {
  const value = fields.get(field) ?? new Uint8Array();
  must(typeof value === 'object' && (size === undefined || value.length === size),
    'a field is missing or of a wrong length');
  return value;
}

export function numberOf(fields, field) {
  const value = fields.get(field) ?? 0;
  return typeof value === 'number' ? value : 0;
}

// ---- making ----

function varint(number) {
  const bytes = [];
  for (let rest = BigInt(number); ; rest >>= 7n) {
    if (rest < 0x80n) return Uint8Array.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}

/** What is empty, or 0, is left out. */
export const numberField = (field, value) =>
  value ? joined(varint(field * 8), varint(value)) : new Uint8Array();
export const bytesField = (field, value) =>
  value.length > 0 ? joined(varint(field * 8 + 2), varint(value.length), value) : new Uint8Array();

/** The 20 bytes of an id. */
export function bytesOfId(text) {
  must(/^[a-z]{3}_[a-z2-7]{32}$/.test(text), `${text} is no id`);
  const bits = [...text.slice(4)].map((letter) =>
    'abcdefghijklmnopqrstuvwxyz234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  return Uint8Array.from(bits.match(/.{8}/g), (eight) => parseInt(eight, 2));
}
