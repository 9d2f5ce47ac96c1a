// Receipts and certificates prove themselves: no gateway, no node, no key.
//
//   const said = await proof.verifyReceipt((await duck.getPeck(id)).receipts.at(-1));
//   said.state, said.signer, said.peck_id
//
// What is signed, and how things hang together, is said in proto/envelope.proto, certificate.proto and
// receipt.proto of ducknode. Keys and signatures with parts of small order, which the network refuses,
// are judged as the platform judges them: only who made a key so can sign so.

import {blake2b} from './blake2b.js';
import {bytesOfBase64, ed25519Verifies, joined} from './crypto.js';
import {VerificationError} from './errors.js';
import {bytesOf, fieldsOf, idOf, isEqual, must, numberOf, textOf, toSign, valuesOf} from './wire.js';

const KINDS = {1: 'node', 2: 'duckling', 3: 'operator'};
const RECEIPT_KINDS = {1: 'taken', 2: 'done', 3: 'partial'};
const STATES = {3: 'taken', 4: 'pending', 5: 'approved', 6: 'denied', 7: 'answered', 8: 'failed',
  9: 'expired', 10: 'cancelled'};
const PREFIXES = {node: 'nod_', duckling: 'dkl_', operator: 'opr_'};
const CHAIN_MAX = 64 * 1024;
const ENVELOPE_MAX = 266 * 1024;
const BATCH_MAX = 256;

/** What a receipt says; rejects with VerificationError. With `peckId` it must be that peck's. */
export async function verifyReceipt(receipt, {peckId} = {}) {
  const chain = await Chain.open(decoded(receipt, 'chain'));
  const envelope = new Envelope(decoded(receipt, 'envelope'), 'duck/receipt/1');
  const body = fieldsOf(envelope.body);
  const kind = RECEIPT_KINDS[numberOf(body, 5)];
  const said = {
    kind, state: STATES[numberOf(body, 6)], peck_id: idOf('pck_', bytesOf(body, 2, 32)),
    from: idOf('dkl_', bytesOf(body, 3, 20)), to: idOf('dkl_', bytesOf(body, 4, 20)),
    signer: chain.id, at_ms: numberOf(body, 9),
  };
  must(said.kind && said.state, 'the receipt says a state that its kind cannot say');
  await chain.check(envelope, said.at_ms);
  if (kind === 'taken') must(chain.kind === 'node', 'a taken receipt that no node signed');
  else must(chain.id === said.to, 'a receipt for an answer that the target did not sign');
  must(peckId === undefined || peckId === said.peck_id, 'the receipt is of another peck');
  if (body.has(7)) said.result = jsonOf(bytesOf(body, 7));
  if (body.has(8)) said.problem = textOf(bytesOf(body, 8));
  return said;
}

/** Whose chain it is, and which key speaks for it at that time (Unix milliseconds). */
export async function verifyCertificate(answer, {atMs}) {
  const chain = await Chain.open(decoded(answer, 'chain'));
  const certificate = chain.at(atMs);
  return {id: chain.id, kind: chain.kind, display_name: certificate.displayName,
    public_key: certificate.publicKey, certificates: chain.certificates.length};
}

/** The outer form of what is signed; proto/envelope.proto. */
class Envelope {
  constructor(wire, type) {
    must(wire.length <= ENVELOPE_MAX, 'the envelope is too large');
    const fields = fieldsOf(wire);
    must([...fields.keys()].every((field) => field >= 1 && field <= 5),
      'the envelope has fields that are not known');
    must(textOf(bytesOf(fields, 2)) === type, 'signed as something else');
    this.signer = bytesOf(fields, 1, 20);
    this.body = bytesOf(fields, 3);
    this.signature = bytesOf(fields, 4, 64);
    this.signed = toSign(type, this.body);
    this.hash = blake2b(this.signed);
    if (fields.has(5)) this.signed = toSign('duck/batch/1', batchBody(bytesOf(fields, 5), this.hash));
  }

  isSignedBy(key) {
    return ed25519Verifies(key, this.signature, this.signed);
  }
}

/** All certificates of one identity; each is signed by the key that it names, and names the hash of
 * the next one's key. proto/certificate.proto. */
class Chain {
  certificates = [];

  static async open(wire) {
    const chain = new Chain();
    must(wire.length <= CHAIN_MAX, 'there are more certificates than a chain may have');
    const items = valuesOf(wire, 1);
    must(items.length > 0, 'there is no certificate');
    for (const [sequence, item] of items.entries())
      await chain.#append(new Envelope(item, 'duck/certificate/1'), sequence);
    chain.kind = chain.certificates[0].kind;
    chain.id = idOf(PREFIXES[chain.kind], chain.identity);
    return chain;
  }

  async #append(envelope, sequence) {
    const body = fieldsOf(envelope.body);
    const certificate = {
      hash: envelope.hash, kind: KINDS[numberOf(body, 1)], publicKey: bytesOf(body, 3, 32),
      nextKeyHash: bytesOf(body, 4, 32), displayName: textOf(bytesOf(body, 5)),
      context: bytesOf(body, 6), issuedMs: numberOf(body, 8), notAfterMs: numberOf(body, 9),
    };
    must(certificate.kind, 'a certificate is of no kind that is known');
    must(numberOf(body, 10) === sequence, 'the certificates are not in sequence');
    must(certificate.issuedMs > 0 && certificate.issuedMs < certificate.notAfterMs,
      'a certificate ends before it begins');
    if (sequence === 0) {
      must(!body.has(2) && !body.has(11), 'the first certificate names one before it');
      this.identity = envelope.hash.slice(0, 20);
    } else {
      this.#mustFollow(certificate, body);
    }
    must(isEqual(envelope.signer, this.identity), "a certificate's envelope names another signer");
    must(await envelope.isSignedBy(certificate.publicKey), "a certificate's signature does not hold");
    this.certificates.push(certificate);
  }

  #mustFollow(certificate, body) {
    const [first, before] = [this.certificates[0], this.certificates.at(-1)];
    must(certificate.kind === first.kind && isEqual(certificate.context, first.context) &&
      isEqual(bytesOf(body, 2), this.identity), 'a certificate is of another identity');
    must(isEqual(bytesOf(body, 11), before.hash), 'a certificate does not name the one before it');
    must(isEqual(blake2b(certificate.publicKey), before.nextKeyHash),
      "a certificate's key is not the one that was committed to");
    must(certificate.issuedMs >= before.issuedMs, 'a certificate goes back in time');
  }

  /** The certificate that spoke at that time. */
  at(atMs) {
    const begun = this.certificates.filter((each) => each.issuedMs <= atMs);
    must(begun.length > 0, 'its first certificate is not valid yet');
    must(atMs <= begun.at(-1).notAfterMs, 'its certificate has expired');
    return begun.at(-1);
  }

  async check(envelope, atMs) {
    must(isEqual(envelope.signer, this.identity),
      'the envelope names another signer than its certificates');
    must(await envelope.isSignedBy(this.at(atMs).publicKey), 'the signature does not hold');
  }
}

// ---- bytes ----

function decoded(document, member) {
  const bytes = bytesOfBase64(document?.[member]);
  must(bytes !== undefined, `it needs the member ${member}, in base64`);
  return bytes;
}

function jsonOf(bytes) {
  try {
    return JSON.parse(textOf(bytes));
  } catch {
    throw new VerificationError('the result is not JSON');
  }
}

/** Up the Merkle tree (RFC 9162, section 2.1.3.2) to what the batch's signature is over. */
function batchBody(path, thing) {
  const fields = fieldsOf(path);
  const [size, siblings] = [numberOf(fields, 1), valuesOf(path, 3)];
  let [index, last] = [numberOf(fields, 2), size - 1];
  must(size >= 2 && size <= BATCH_MAX && index < size && siblings.every((each) => each.length === 32) &&
    [...fields.keys()].every((field) => field >= 1 && field <= 3),
  'the batch path does not lead to a root');
  const up = () => [index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
  let here = blake2b(joined([0], thing));
  for (const sibling of siblings) {
    must(last > 0, 'the batch path is longer than its tree is high');
    if (index % 2 === 1 || index === last) {
      here = blake2b(joined([1], sibling, here));
      while (index % 2 === 0 && index !== 0) up();
    } else {
      here = blake2b(joined([1], here, sibling));
    }
    up();
  }
  must(last === 0, 'the batch path does not lead to a root');
  return joined([0, 0, size >> 8, size & 0xff], here);
}
