// Duck: one duckling, or one operator, at one gateway. What each method takes is in index.d.ts.

import {webcrypto} from './crypto.js';
import {BadAnswer, Conflict} from './errors.js';
import {readEvents, SILENCE_MAX_MS} from './events.js';
import {Pages, readInbox, readPartials} from './lists.js';
import {operation, OPERATIONS} from './operations.js';
import {sleep, Transport} from './transport.js';

export const VERSION = '1.2.0';
export const API_BASE = 'http://127.0.0.1:7118'; // a node of one's own, as `ducknode run` starts it

export class Duck {
  #bearer;
  #ducklingId;
  #transport;
  #sleep;

  constructor({beakKey, token, apiBase = API_BASE, ducklingId, timeoutMs = 30_000, retries = 3,
    retryAfterMaxMs = 30_000, fetch = (...how) => globalThis.fetch(...how), sleep: rest = sleep} = {}) {
    if (beakKey && token) throw new TypeError('either a beakKey or a token');
    this.#bearer = beakKey ?? token;
    this.#ducklingId = ducklingId;
    this.#sleep = rest;
    this.#transport = new Transport({apiBase, timeoutMs, retries, retryAfterMaxMs, fetch, sleep: rest});
  }

  inbox(members, how) {
    return readInbox(this, this.#sleep, members, how);
  }

  partials(id, {after = 0, wait = 20, limit} = {}, how) {
    return readPartials(
      (number) => this.#call('partials', [id], {after: number, wait, limit}, how), after);
  }

  events({events, after = ''} = {}, how = {}) {
    const connect = (lastId) => this.#transport.open(this.#request('events', [], {events}, {
      ...how, headers: {Accept: 'text/event-stream', ...(lastId && {'Last-Event-ID': lastId})},
    }), SILENCE_MAX_MS);
    return readEvents(connect, this.#sleep, after, how.signal);
  }

  /** The first answer stands, so it is repeated when its reply is lost; a part, when it has a number. */
  async answer(members, how) {
    const isWhole = members.partial === undefined;
    try {
      return await this.#call('answer', [], members,
        {...how, isRepeatable: isWhole || members.number !== undefined});
    } catch (error) {
      if (!(error instanceof Conflict) || error.tries === 1) throw error;
      if (!isWhole && error.field === 'number')
        return {peck_id: members.peck_id, number: members.number};
      const held = await this.getPeck(members.peck_id, {}, how); // is it ours that stands?
      const name = members.problem === undefined ? 'result' : 'problem';
      if (!isSame(held[name], members[name])) throw error;
      return held;
    }
  }

  async #call(name, ids, members, how) {
    const text = await this.#transport.send(this.#request(name, ids, members, how));
    const {empty, text: isText} = operation(name);
    if (empty) return undefined;
    if (isText) return text;
    let answer;
    try {
      answer = JSON.parse(text);
    } catch {
      answer = null;
    }
    if (answer === null || typeof answer !== 'object')
      throw new BadAnswer(`${OPERATIONS[name][1]}: the answer is not a JSON object`);
    return answer;
  }

  #request(name, ids, members = {}, how = {}) {
    const {method, path, key, acting} = operation(name);
    const hasBody = method === 'POST' || method === 'PATCH';
    const query = new URLSearchParams();
    const asked = {...(hasBody ? {} : members), ...(acting && {duckling_id: this.#ducklingId})};
    for (const [member, value] of Object.entries(asked))
      if (value !== undefined && value !== null) query.append(member, String(value));
    const headers = {Accept: 'application/json', ...how.headers};
    if (this.#bearer) headers.Authorization = `Bearer ${this.#bearer}`;
    // What is signed is known by its bytes.
    if (key && (how.idempotencyKey || members.signed === undefined))
      headers['Idempotency-Key'] = how.idempotencyKey ?? newKey();
    if (how.traceparent) headers.traceparent = how.traceparent;
    if (hasBody) headers['Content-Type'] = 'application/json';
    let at = 0;
    const place = path.replace(/\{\w+\}/g, () => encodeURIComponent(ids[at++]));
    const asking = `${query}` && `?${query}`;
    return {
      method, path: place + asking, headers,
      body: hasBody ? JSON.stringify(members) : undefined,
      isRepeatable: how.isRepeatable ?? (key || method === 'GET'),
      waitMs: (members.wait ?? 0) * 1000, signal: how.signal,
    };
  }

  static {
    for (const name of Object.keys(OPERATIONS)) {
      if (Object.hasOwn(Duck.prototype, name)) continue;
      const {path, list} = operation(name);
      const count = path.split('{').length - 1;
      const method = list
        ? function (...args) {
          const [ids, [members, how]] = [args.slice(0, count), args.slice(count)];
          return new Pages(
            (cursor) => this.#call(name, ids, {...members, cursor}, how), list);
        }
        : function (...args) {
          const [ids, [members, how]] = [args.slice(0, count), args.slice(count)];
          return this.#call(name, ids, members, how);
        };
      Object.defineProperty(method, 'name', {value: name});
      Object.defineProperty(Duck.prototype, name,
        {value: method, writable: true, configurable: true});
    }
  }
}

function newKey() {
  return Array.from(webcrypto.getRandomValues(new Uint8Array(16)),
    (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function isSame(left, right) {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || !left || !right) return false;
  const names = Object.keys(left);
  return Array.isArray(left) === Array.isArray(right) &&
    names.length === Object.keys(right).length &&
    names.every((name) => Object.hasOwn(right, name) && isSame(left[name], right[name]));
}
