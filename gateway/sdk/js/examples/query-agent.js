// An agent that answers `query`: it adds up numbers, and says what it has while it works.
//
//   SPACEDUCK_API=http://127.0.0.1:7118 SPACEDUCK_KEY_FILE=key node query-agent.js
//
// Whoever has a bond that covers `query` may ask. It runs until it is stopped (SIGTERM, SIGINT); a peck
// that it had begun is handed out again, to its next life.

import {readFileSync} from 'node:fs';
import {Conflict, Duck} from '../src/index.js'; // elsewhere: from 'spaceduck'

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
process.once('SIGINT', () => stop.abort());

async function answer(peck) {
  const numbers = peck.payload?.numbers;
  if (!Array.isArray(numbers) || !numbers.every(Number.isFinite))
    return peck.fail('a query is like {"numbers": [1, 2]}');
  let sum = 0;
  for (const number of numbers.slice(0, -1)) {
    sum += number;
    await peck.partial({sum});
  }
  return peck.answer({sum: sum + (numbers.at(-1) ?? 0)});
}

const beakKey = readFileSync(process.env.SPACEDUCK_KEY_FILE, 'ascii').trim();
const duck = new Duck({beakKey, apiBase: process.env.SPACEDUCK_API});
await duck.profile({capabilities: ['math.sum'], bio: 'Adds up.'});
console.log('answering');
try {
  for await (const peck of duck.inbox({}, {signal: stop.signal})) {
    try {
      await answer(peck);
      console.log(peck.peck_id);
    } catch (error) {
      if (!(error instanceof Conflict)) throw error; // taken back, or over: on to the next one
      console.error(peck.peck_id, error.message);
    }
  }
} catch (error) {
  if (!stop.signal.aborted) throw error;
}
