// HTTP to one gateway: time-outs, and repeats where they are safe.
//
// What is repeated: requests that do nothing twice (GET, or POST with an Idempotency-Key), after no
// answer and after 5xx; and any request that was certainly not carried out: no connection, or 429 with
// the time after which to come again.

import {problemOf, TimedOut, Unreachable} from './errors.js';

const PAUSE_FIRST_MS = 500;
const PAUSE_MAX_MS = 8000;
const NOT_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH',
  'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);
const HEALING = new Set([408, 500, 502, 503, 504]);

export class Transport {
  constructor({apiBase, timeoutMs, retries, retryAfterMaxMs, fetch, sleep}) {
    const base = new URL(apiBase);
    if (!/^https?:$/.test(base.protocol) || base.username || base.search)
      throw new TypeError('apiBase is like https://host[:port][/path]');
    this.base = base.origin + base.pathname.replace(/\/+$/, '');
    Object.assign(this, {timeoutMs, retries, retryAfterMaxMs, fetch, sleep});
  }

  /** The text of an answer, if it is a success; rejects with Problem or Unreachable. */
  async send(request) {
    for (let tries = 1; ; tries++) {
      const failure = await this.#once(request);
      if (failure.text !== undefined) return failure.text;
      const {error} = failure;
      error.tries = tries;
      if (tries > this.retries || !this.#heals(error, request)) throw error;
      const asked = error.retryAfter;
      await this.sleep(asked === undefined ? pauseMs(tries) : asked * 1000, request.signal);
    }
  }

  /** Can the same request fare better after a pause? */
  #heals(error, request) {
    if (error instanceof Unreachable) return request.isRepeatable || error.isUnsent;
    if (error.status === undefined || error.retryAfter * 1000 > this.retryAfterMaxMs) return false;
    if (error.status === 429) return error.retryAfter !== undefined;
    const isUnderWay = error.status === 409 && error.field === 'Idempotency-Key';
    return request.isRepeatable && (isUnderWay || HEALING.has(error.status));
  }

  async #once(request) {
    const guard = new Guard(request.signal, this.timeoutMs + request.waitMs);
    try {
      const response = await this.#ask(request, guard);
      const text = await response.text();
      return response.ok ? {text} : {error: problemOf(response.status, response.headers, text)};
    } catch (error) {
      return {error: guard.explain(error)};
    } finally {
      guard.end();
    }
  }

  /** An answer whose body is still to be read. `silenceMs`: how long nothing may come. */
  async open(request, silenceMs) {
    const guard = new Guard(request.signal, this.timeoutMs);
    try {
      const response = await this.#ask(request, guard);
      if (!response.ok)
        throw problemOf(response.status, response.headers, await response.text());
      return {chunks: chunksOf(response.body, guard, silenceMs)};
    } catch (error) {
      guard.end();
      throw guard.explain(error);
    }
  }

  #ask({method, path, headers, body}, guard) {
    // A key is never sent to where somebody points.
    return this.fetch(this.base + path, {method, headers, body, redirect: 'manual', signal: guard.signal});
  }
}

/** Ends a request when its caller says so, or when it takes too long; and knows which it was. */
class Guard {
  #controller = new AbortController();
  #outer;
  #timer;
  #isLate = false;
  #onAbort = () => this.#controller.abort(this.#outer.reason);

  constructor(outer, ms) {
    this.#outer = outer;
    outer?.throwIfAborted();
    outer?.addEventListener('abort', this.#onAbort);
    this.within(ms);
  }

  get signal() {
    return this.#controller.signal;
  }

  within(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#isLate = true;
      this.#controller.abort();
    }, ms);
  }

  end() {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#onAbort);
  }

  explain(error) {
    if (this.#outer?.aborted) return this.#outer.reason;
    if (this.#isLate) return new TimedOut('no answer in time', {cause: error});
    if (error.status !== undefined) return error;
    const code = error.cause?.code ?? error.cause?.errors?.[0]?.code;
    return new Unreachable(`no answer: ${error.cause?.message ?? error.message}`,
      {cause: error, isUnsent: NOT_CONNECTED.has(code)});
  }
}

async function* chunksOf(body, guard, silenceMs) {
  const reader = body.getReader(); // not every browser can iterate over a body
  try {
    for (;;) {
      guard.within(silenceMs);
      const {done, value} = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    throw guard.explain(error);
  } finally {
    guard.end();
    reader.cancel().catch(() => {});
  }
}

/** Exponential, with jitter, so that many who failed at once do not come back at once. */
export function pauseMs(tries) {
  return Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** (tries - 1)) * (0.5 + Math.random() / 2);
}

export function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', end);
      resolve();
    }, ms);
    if (signal?.aborted) end();
    else signal?.addEventListener('abort', end, {once: true});
  });
}
