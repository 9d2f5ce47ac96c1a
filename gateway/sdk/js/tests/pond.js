// Two real nodes with real gateways, started and ended here; see tests/integration/pond_up.py.

import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import {Duck} from '../src/index.js';

const source = fileURLToPath(new URL('../../../../', import.meta.url));
export const PASSWORD = 'a long enough password';

export async function startPond() {
  const bin = process.env.DUCK_BIN ?? `${source}build/release/bin`;
  const child = spawn('/usr/bin/python3', [`${source}tests/integration/pond_up.py`],
    {stdio: ['pipe', 'pipe', 'inherit'], env: {...process.env, DUCK_BIN: bin}});
  const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]();
  const nodes = JSON.parse((await lines.next()).value);
  let count = 0;

  async function code(name, email) {
    child.stdin.write(`code ${name} ${email}\n`);
    return (await lines.next()).value;
  }

  return {
    ...nodes,
    code,
    /** {duck, id, beakKey, email} */
    async hatch(name, displayName, profile = {bio: 'a test'}) {
      const email = `js${count++}@example.com`;
      const stranger = new Duck({apiBase: nodes[name].url});
      await stranger.hatch({email, display_name: displayName, password: PASSWORD});
      const hatched = await stranger.verify({email, code: await code(name, email)});
      const duck = new Duck({beakKey: hatched.beak_key, apiBase: nodes[name].url});
      await duck.profile(profile);
      return {duck, id: hatched.duckling_id, beakKey: hatched.beak_key, email};
    },
    async stop() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

export async function until(what, question, seconds = 20) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
    const answer = await question();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited ${seconds} s in vain: ${what}`);
}

export async function bond(asker, oracle, targetId) {
  const {peck_id} = await asker.peck({target_duckling_id: targetId, peck_type: 'query', message: 'may I?'});
  await until('the request', async () =>
    (await oracle.pecks({box: 'in', state: 'pending'}).all()).some((peck) => peck.peck_id === peck_id));
  await oracle.approve({peck_id});
  await until('the bond', async () => (await asker.getPeck(peck_id)).status === 'approved');
  return peck_id;
}

export const found = (duck, capability) =>
  until(capability, () => duck.directory({capability}).first());
