// What is asked again, and what is not; when; and what a bad line leaves behind.

import assert from 'node:assert/strict';
import {once} from 'node:events';
import {createServer} from 'node:net';
import {test} from 'node:test';
import * as spaceduck from '../src/index.js';
import {pauseMs} from '../src/transport.js';
import {CUT, says, SILENCE, withGateway} from './scripted.js';

const BUSY = says(503, {error: 'busy', retry_after: 2}, {'Retry-After': '2'});
const SENT = says(202, {peck_id: 'pck_1', status: 'queued'});
const ORDER = {target: 'dkl_1', action: 'query'};

/** Nobody sleeps; `pauses` is for how long they would have. */
async function scripted(script, fn, options = {}) {
  const pauses = [];
  return withGateway(script, ({url, asked}) => fn(new spaceduck.Duck({
    beakKey: 'sd_bk_test', apiBase: url, sleep: async (ms) => void pauses.push(ms), ...options,
  }), {asked, pauses, url}));
}

test('a GET is asked again, and the pause is the gateway\'s', () =>
  scripted([BUSY, CUT, says(200, {ok: 1})], async (duck, {pauses}) => {
    assert.deepEqual(await duck.metrics(), {ok: 1});
    assert.equal(pauses[0], 2000);
    assert.ok(pauses[1] >= 500 && pauses[1] <= 1000);
  }));

test('a POST with a key is asked again under the same key', () =>
  scripted([CUT, says(500, {}), SENT], async (duck, {asked}) => {
    assert.equal((await duck.peck(ORDER)).peck_id, 'pck_1');
    assert.equal(asked.length, 3);
    assert.equal(new Set(asked.map((each) => each.headers['idempotency-key'])).size, 1);
    assert.equal(new Set(asked.map((each) => each.body)).size, 1);
  }));

test('two calls have two keys, and one\'s own key is taken', () =>
  scripted([SENT, SENT, SENT], async (duck, {asked}) => {
    await duck.peck(ORDER);
    await duck.peck(ORDER);
    await duck.peck(ORDER, {idempotencyKey: 'mine'});
    const [first, second, third] = asked.map((each) => each.headers['idempotency-key']);
    assert.match(first, /^[0-9a-f]{32}$/);
    assert.notEqual(first, second);
    assert.equal(third, 'mine');
  }));

test('a POST without a key is not asked again', async () => {
  for (const [answer, name] of [[CUT, 'Unreachable'], [BUSY, 'Unavailable']])
    await scripted([answer], async (duck, {pauses}) => {
      await assert.rejects(duck.deny({peck_id: 'pck_1'}), {name});
      assert.deepEqual(pauses, []);
    });
});

test('what was refused for its rate is asked again after the time it was told', () =>
  scripted([says(429, {error: 'rate_limited'}, {'Retry-After': '7'}), says(200, {})],
    async (duck, {pauses}) => {
      await duck.deny({peck_id: 'pck_1'});
      assert.deepEqual(pauses, [7000]);
    }));

test('who is asked to wait too long says so at once', () =>
  scripted([says(429, {error: 'rate_limited'}, {'Retry-After': '61'})], async (duck, {pauses}) => {
    await assert.rejects(duck.metrics(), {name: 'RateLimited', retryAfter: 61});
    assert.deepEqual(pauses, []);
  }, {retryAfterMaxMs: 60_000}));

test('a limit without an end is not waited for', () =>
  scripted([says(429, {error: 'bond_rounds'})], async (duck, {pauses}) => {
    await assert.rejects(duck.peck(ORDER), spaceduck.RateLimited);
    assert.deepEqual(pauses, []);
  }));

test('a date in Retry-After is understood', () =>
  scripted([says(503, {}, {'Retry-After': new Date(Date.now() + 10_000).toUTCString()}),
    says(200, {})], async (duck, {pauses}) => {
    await duck.metrics();
    assert.ok(pauses[0] > 5000 && pauses[0] <= 10_000);
  }));

test('tries end', () =>
  scripted([BUSY, BUSY, BUSY, BUSY], async (duck, {asked}) => {
    await assert.rejects(duck.metrics(), {name: 'Unavailable', tries: 3});
    assert.equal(asked.length, 3);
  }, {retries: 2}));

test('pauses grow up to a bound, and differ', () => {
  for (const [tries, longest] of [[1, 500], [2, 1000], [3, 2000], [5, 8000], [50, 8000]]) {
    const drawn = new Set(Array.from({length: 20}, () => pauseMs(tries)));
    assert.ok(drawn.size > 1 && Math.min(...drawn) >= longest / 2 && Math.max(...drawn) <= longest);
  }
});

test('nobody there is unsent, and so asked again', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const {port} = server.address();
  server.close();
  await once(server, 'close');
  const pauses = [];
  const duck = new spaceduck.Duck({apiBase: `http://127.0.0.1:${port}`, retries: 2,
    sleep: async (ms) => void pauses.push(ms)});
  await assert.rejects(duck.deny({peck_id: 'pck_1'}), {name: 'Unreachable', isUnsent: true});
  assert.equal(pauses.length, 2);
});

test('silence has an end, and a long poll may be silent for as long as it waits', () =>
  scripted([SILENCE, SILENCE], async (duck) => {
    await assert.rejects(duck.metrics(), spaceduck.TimedOut);
    const began = Date.now();
    await assert.rejects(duck.take({wait: 1}), spaceduck.TimedOut);
    assert.ok(Date.now() - began >= 1000);
  }, {timeoutMs: 100, retries: 0}));

test('a signal ends a call, and a pause', async () => {
  await scripted([SILENCE], async (duck) => {
    await assert.rejects(duck.metrics({}, {signal: AbortSignal.timeout(50)}), {name: 'TimeoutError'});
  });
  await withGateway([BUSY], async ({url}) => {
    const duck = new spaceduck.Duck({apiBase: url});
    await assert.rejects(duck.metrics({}, {signal: AbortSignal.timeout(200)}), {name: 'TimeoutError'});
  });
});

test('a request of the same key that is under way is waited for', () =>
  scripted([says(409, {error: 'conflict', field: 'Idempotency-Key'}), SENT], async (duck) =>
    assert.equal((await duck.peck(ORDER)).peck_id, 'pck_1')));

test('an answer whose reply was lost is not given twice', async () => {
  const conflict = says(409, {error: 'conflict', field: 'peck_id'});
  const held = {peck_id: 'pck_1', status: 'answered', result: {n: [1, {m: null}]}};
  const answer = (result) => ({peck_id: 'pck_1', result});
  await scripted([CUT, conflict, says(200, held)], async (duck) =>
    assert.deepEqual(await duck.answer(answer({n: [1, {m: null}]})), held));
  for (const other of [{n: [1, {m: 0}]}, {n: [1]}, {n: {0: 1, 1: {m: null}}}, null, 'n'])
    await scripted([CUT, conflict, says(200, held)], (duck) =>
      assert.rejects(duck.answer(answer(other)), spaceduck.Conflict)); // another answer stands
  await scripted([conflict], (duck) =>
    assert.rejects(duck.answer(answer(1)), spaceduck.Conflict)); // refused at first: not ours
});

test('a part that was taken is not said twice', async () => {
  await scripted([CUT, says(409, {error: 'conflict', field: 'number'})], async (duck) =>
    assert.equal((await duck.answer({peck_id: 'pck_1', partial: 1, number: 4})).number, 4));
  await scripted([CUT], (duck) => // nobody knows which one it would be
    assert.rejects(duck.answer({peck_id: 'pck_1', partial: 1}), spaceduck.Unreachable));
});

test('an inbox outlives its gateway, and ends with its key', async () => {
  const peck = {peck_id: 'pck_1', from: 'dkl_2', action: 'query', payload: {}};
  await scripted([CUT, says(502, {}), says(200, {pecks: []}), says(200, {pecks: [peck]})],
    async (duck, {pauses}) => {
      assert.equal((await duck.inbox().next()).value.peck_id, 'pck_1');
      assert.equal(pauses.length, 2);
    }, {retries: 0});
  await scripted([says(401, {error: 'bad_bearer'})], (duck) =>
    assert.rejects(duck.inbox().next(), spaceduck.Unauthorized));
});

test('what is no Beak API is told', async () => {
  const page = (status) => ({status, body: '<ht>', headers: {'Content-Type': 'text/html'}});
  await scripted([page(200)], (duck) => assert.rejects(duck.metrics(), spaceduck.BadAnswer));
  await scripted([page(404)], (duck) =>
    assert.rejects(duck.metrics(), {name: 'NotFound', error: '', message: /<ht>/}));
  await scripted([{status: 302, headers: {Location: 'http://127.0.0.1:1/'}}], (duck) =>
    assert.rejects(duck.metrics(), spaceduck.Problem)); // a key is never sent to where somebody points
});

test('a path in the base stays; a base that is none is refused', async () => {
  await withGateway([says(200, {})], async ({url, asked}) => {
    await new spaceduck.Duck({beakKey: 'sd_bk_test', apiBase: `${url}/prod`}).metrics();
    assert.equal(asked[0].path, '/prod/beak/metrics');
    assert.equal(asked[0].headers.authorization, 'Bearer sd_bk_test');
  });
  for (const apiBase of ['ftp://duck', '127.0.0.1', 'http://', 'http://a:b@duck', 'http://duck?x'])
    assert.throws(() => new spaceduck.Duck({apiBase}), TypeError);
});

test('events go on after the last one', () => {
  const type = {'Content-Type': 'text/event-stream'};
  const first = {status: 200, headers: type, breaks: true,
    body: ': hello\nretry: 250\n\nid: 7\nevent: peck\ndata: {"a":\ndata: 1}\n\nid: 8\ndata: lo'};
  const second = {status: 200, headers: type, body: 'id:9\r\ndata:plain\r\n\r\n'};
  return scripted([first, BUSY, second], async (duck, {asked, pauses}) => {
    const events = duck.events({events: 'peck', after: '3'});
    assert.deepEqual((await events.next()).value, {id: '7', type: 'peck', data: {a: 1}});
    assert.deepEqual((await events.next()).value, {id: '9', type: 'message', data: 'plain'});
    await events.return();
    assert.deepEqual(asked.map((each) => each.headers['last-event-id']), ['3', '7', '7']);
    assert.deepEqual(new Set(asked.map((each) => each.path)), new Set(['/beak/events?events=peck']));
    assert.ok(pauses[0] >= 250 && pauses[1] === 2000);
  });
});

test('events that are refused end', () =>
  scripted([says(403, {error: 'not_allowed'})], (duck) =>
    assert.rejects(duck.events().next(), spaceduck.Forbidden)));
