// What comes in pages, parts or polls, as async iterators.

import {RateLimited, ServerError, Unreachable} from './errors.js';
import {pauseMs} from './transport.js';

const REST_MAX_MS = 30_000; // between two looks into an inbox that does not answer

/** All items of a list, fetched page by page while they are read; `page()` is one page. */
export class Pages {
  #fetch;
  #member;

  constructor(fetch, member) {
    this.#fetch = fetch;
    this.#member = member;
  }

  page(cursor) {
    return this.#fetch(cursor);
  }

  async *[Symbol.asyncIterator]() {
    let cursor;
    do {
      const page = await this.#fetch(cursor);
      yield* page[this.#member];
      cursor = page.next_cursor;
    } while (cursor);
  }

  async first() {
    for await (const item of this) return item;
    return undefined;
  }

  async all() {
    const items = [];
    for await (const item of this) items.push(item);
    return items;
  }
}

/** A peck out of the inbox: its members as they came, and what can be done with it. */
export class Peck {
  #duck;
  #number; // of the next part of the answer, once one was said

  constructor(duck, members) {
    Object.assign(this, members);
    this.#duck = duck;
  }

  answer(result = null, {charge, ...how} = {}) {
    return this.#duck.answer({peck_id: this.peck_id, result, charge}, how);
  }

  fail(problem, how) {
    return this.#duck.answer({peck_id: this.peck_id, problem}, how);
  }

  /** One part of the answer, while the rest is under way; said once, also over a bad line. */
  async partial(part, how) {
    const said = await this.#duck.answer(
      {peck_id: this.peck_id, partial: part, number: this.#number}, how);
    this.#number = said.number + 1;
  }

  ack(how) {
    return this.#duck.ack({peck_id: this.peck_id}, how);
  }
}

/** For ever. A gateway that is away for a while is waited for; a refused key ends it. */
export async function* readInbox(duck, sleep, {wait = 20, limit, lease} = {}, how = {}) {
  for (let failures = 0; ;) {
    let taken;
    try {
      taken = await duck.take({wait, limit, lease}, how);
      failures = 0;
    } catch (error) {
      if (!isPassing(error)) throw error;
      await sleep(restMs(error, ++failures, 0), how.signal);
      continue;
    }
    for (const members of taken.pecks) yield new Peck(duck, members);
  }
}

export function isPassing(error) {
  return error instanceof Unreachable || error instanceof ServerError ||
    error instanceof RateLimited;
}

export function restMs(error, failures, leastMs) {
  const asked = error?.retryAfter ? error.retryAfter * 1000 : Math.max(leastMs, pauseMs(failures));
  return Math.min(REST_MAX_MS, asked);
}

/** Parts as they come, each once and in order; ends with the answer. */
export async function* readPartials(fetch, after) {
  for (;;) {
    const page = await fetch(after);
    for (const part of page.partials) {
      yield part;
      after = part.number;
    }
    if (page.done && after >= page.held) return;
  }
}
