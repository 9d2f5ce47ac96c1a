// A duckling that keeps its own key: its node relays, stores and tells, and cannot say a word for it.
//
//   const key = await own.OwnKey.generate('Vault');
//   const {file, nextFile} = key.files();               // texts, for two places: whoever has the first is this duckling
//   const hatched = await operator.hatch({proof: key.proof, public_key: key.publicKey});
//   const duck = new Duck({beakKey: hatched.beak_key});
//   await own.signAll(duck, key);                       // its entry in the directory
//   await duck.peck({signed: await key.peck({target, action: 'query', payload: {}}), wait: 10});
//
// What only the key can say (entries, answers, denials, bonds) waits at the node until it is signed. The files are
// those of `ducknode key new`. What is signed is said in proto/ of ducknode.

import {blake2b} from './blake2b.js';
import {base64Of, base64UrlOf, bytesOfBase64, bytesOfBase64Url, ed25519Key, joined, webcrypto} from './crypto.js';
import {Conflict, DuckError, NotFound} from './errors.js';
import {bytesField, bytesOf, bytesOfId, fieldsOf, idOf, isEqual, numberField, numberOf, toSign, valuesOf} from './wire.js';

const HOLDER_HEAD = 'duck-holder 1';
const NEXT_HEAD = 'duck-next-key 1';
const CERTIFICATE_LIFE_MS = 3650 * 24 * 3600 * 1000;
const PECK_LIFE_S = 24 * 3600;
const CONFLICTS_MAX = 8;

const utf8 = (text) => new TextEncoder().encode(text);
const random = (size) => webcrypto.getRandomValues(new Uint8Array(size));

export class OwnKey {
  #seed;
  #nextSeed;
  #key;
  #chain;
  #identity;

  constructor(seed, key, chain, nextSeed) {
    [this.#seed, this.#key, this.#chain, this.#nextSeed] = [seed, key, chain, nextSeed];
    const first = fieldsOf(valuesOf(chain, 1)[0]);
    this.#identity = bytesOf(first, 1, 20);
  }

  /** Made here; no node is asked. */
  static async generate(displayName) {
    const [seed, nextSeed] = [random(32), random(32)];
    const [key, next] = [await ed25519Key(seed), await ed25519Key(nextSeed)];
    const body = certificate(key, next, utf8(displayName), Date.now());
    const identity = blake2b(toSign('duck/certificate/1', body)).slice(0, 20);
    const chain = bytesField(1, await envelope(identity, 'duck/certificate/1', body, key));
    return new OwnKey(seed, key, chain, nextSeed);
  }

  /** Of what `files` gave; without the second it signs, and does not rotate. */
  static async open(file, nextFile) {
    const [seed, chain] = linesOf(file, HOLDER_HEAD, 2);
    const nextSeed = nextFile === undefined ? undefined : linesOf(nextFile, NEXT_HEAD, 1)[0];
    const key = await ed25519Key(seed);
    if (!isEqual(bytesOf(lastOf(chain), 3, 32), key.publicKey))
      throw new DuckError('the key is not the one that the certificates name last');
    return new OwnKey(seed, key, chain, nextSeed);
  }

  /** The texts of two files that nobody else may read (0600); the second belongs elsewhere. */
  files() {
    if (!this.#nextSeed) throw new DuckError('the next key is not at hand');
    return {
      file: `${HOLDER_HEAD}\n${base64UrlOf(this.#seed)}\n${base64UrlOf(this.#chain)}\n`,
      nextFile: `${NEXT_HEAD}\n${base64UrlOf(this.#nextSeed)}\n`,
    };
  }

  get id() {
    return idOf('dkl_', this.#identity);
  }

  /** Its certificates, in base64: `chain` of a rotation. Public. */
  get chain() {
    return base64Of(this.#chain);
  }

  /** The first of them, in base64: `proof` of a hatch, wherever and whenever it hatches. Public. */
  get proof() {
    return base64Of(bytesField(1, valuesOf(this.#chain, 1)[0]));
  }

  get publicKey() {
    return base64Of(this.#key.publicKey);
  }

  /** The next key takes over, and another one is promised: keep its files, then
   * `duck.rotate({what: 'identity', chain: key.chain})`, and let go of the old ones. */
  async rotate() {
    if (!this.#nextSeed) throw new DuckError('the next key is not at hand');
    const [key, nextSeed] = [await ed25519Key(this.#nextSeed), random(32)];
    const [last, items] = [lastOf(this.#chain), valuesOf(this.#chain, 1)];
    const body = certificate(key, await ed25519Key(nextSeed), bytesOf(last, 5),
      Math.max(Date.now(), numberOf(last, 8) + 1), {
        identity: this.#identity, sequence: items.length,
        previous: blake2b(toSign('duck/certificate/1', bytesOf(fieldsOf(items.at(-1)), 3))),
      });
    const longer = joined(this.#chain,
      bytesField(1, await envelope(this.#identity, 'duck/certificate/1', body, key)));
    return new OwnKey(this.#nextSeed, key, longer, nextSeed);
  }

  /** The signature of an item of `duck.signatures()`, if that is a record or a receipt in this duckling's name: a node
   * may ask for anything. Rejects with DuckError: it is not signed. */
  async sign({type, body: text}) {
    const body = bytesOfBase64(text);
    const ours = {'duck/record/1': 2, 'duck/receipt/1': 4}[type];
    const fields = body && ours ? fieldsOf(body) : new Map();
    if (!ours || !isEqual(fields.get(ours) ?? [], this.#identity) ||
      (ours === 4 && ![2, 3].includes(numberOf(fields, 5))))
      throw new DuckError("this is no record or receipt in the duckling's own name: it is not signed");
    return base64Of(await this.#key.sign(toSign(type, body)));
  }

  /** A whole peck, made and signed now: `signed` of `duck.peck`. An action, or with `scopes` a request for a bond. */
  async peck({target, action = '', payload = {}, scopes, message = '', thread = '', reply_to: replyTo,
    expires_in: expiresIn = PECK_LIFE_S, idempotencyKey = '', grant, network = 'duck'}) {
    const createdMs = Date.now();
    const said = scopes
      ? [numberField(4, 2), ...scopes.map((scope) => bytesField(7, utf8(scope))), bytesField(8, utf8(message))]
      : [numberField(4, 1), bytesField(5, utf8(action)), bytesField(6, utf8(JSON.stringify(payload)))];
    const body = joined(
      bytesField(1, utf8(network)), bytesField(2, this.#identity), bytesField(3, bytesOfId(target)), ...said,
      bytesField(9, utf8(thread)), bytesField(10, replyTo ? bytesOfId(replyTo) : []),
      numberField(11, createdMs), numberField(12, createdMs + expiresIn * 1000),
      bytesField(13, utf8(idempotencyKey)), bytesField(14, random(8)),
      bytesField(16, grant ? bytesOfBase64Url(grant) : []));
    return base64Of(await envelope(this.#identity, 'duck/peck/1', body, this.#key));
  }
}

/** Signs all that waits for the duckling; with `wait` it waits so many seconds for the first. How many that were. */
export async function signAll(duck, key, {after = 0, wait = 0} = {}) {
  let [count, conflicts, last, rest] = [0, 0, after, wait];
  for (;;) {
    const {signatures} = await duck.signatures({after: last, wait: rest}).catch((error) => {
      if (!(error instanceof Conflict) || count === 0) throw error;
      return {signatures: []}; // its end was among them
    });
    for (const wanted of signatures) {
      last = wanted.number;
      try {
        await duck.sign({id: wanted.id, signature: await key.sign(wanted)});
        count++;
      } catch (error) { // its time is over, or something newer took its place
        if (!(error instanceof NotFound) && !(error instanceof Conflict && ++conflicts <= CONFLICTS_MAX)) throw error;
      }
    }
    if (signatures.length === 0) return count;
    rest = 0;
  }
}

// ---- bytes ----

/** The body of the last certificate. */
function lastOf(chain) {
  return fieldsOf(bytesOf(fieldsOf(valuesOf(chain, 1).at(-1)), 3));
}

function certificate(key, next, displayName, issuedMs, {identity = [], previous = [], sequence = 0} = {}) {
  return joined(
    numberField(1, 2), bytesField(2, identity), bytesField(3, key.publicKey),
    bytesField(4, blake2b(next.publicKey)), bytesField(5, displayName), numberField(8, issuedMs),
    numberField(9, issuedMs + CERTIFICATE_LIFE_MS), numberField(10, sequence), bytesField(11, previous));
}

async function envelope(signer, type, body, key) {
  return joined(bytesField(1, signer), bytesField(2, utf8(type)), bytesField(3, body),
    bytesField(4, await key.sign(toSign(type, body))));
}

function linesOf(file, head, count) {
  const lines = file.split('\n');
  const items = lines.slice(1, -1).map(bytesOfBase64Url);
  if (lines[0] !== head || lines.at(-1) !== '' || items.length !== count || items.includes(undefined))
    throw new DuckError('this is not a file with such a key');
  return items;
}
