// Compiled, never run: what people write has types, and what is wrong has none.
import * as spaceduck from '../src/index.js';

const duck = new spaceduck.Duck({beakKey: 'sd_bk_…', apiBase: 'https://gate.example'});

export async function fine(signal: AbortSignal): Promise<void> {
  const metrics = await duck.metrics();
  const total: number = metrics.total_ducklings + metrics.this_node.pageviews;
  const sent = await duck.peck({target: 'dkl_…', action: 'query', payload: {total}},
    {idempotencyKey: 'order-1', signal});
  for await (const entry of duck.directory({capability: 'query'})) entry.tier.startsWith('T');
  for await (const peck of duck.inbox({wait: 20}, {signal})) await peck.answer({n: peck.payload.n});
  for await (const part of duck.partials(sent.peck_id)) part.number.toFixed();
  const said = await spaceduck.proof.verifyReceipt(sent.receipts[0] ?? {}, {peckId: sent.peck_id});
  const state: spaceduck.PeckState = said.state;
  const event = await spaceduck.webhooks.verify(state, new Headers(), ['whsec_…', 'whpk_…']);
  if (event['type'] === 'peck') await duck.logout();
  try {
    await duck.duckling('dkl_…');
  } catch (error) {
    if (error instanceof spaceduck.RateLimited) error.retryAfter?.toFixed();
    if (error instanceof spaceduck.Unreachable) error.isUnsent satisfies boolean;
  }
}

export async function wrong(): Promise<void> {
  // @ts-expect-error an option that there is not
  new spaceduck.Duck({beak_key: 'sd_bk_…'});
  // @ts-expect-error a peck is an object's worth of members
  await duck.peck('dkl_…', 'query');
  // @ts-expect-error a member that there is not
  await duck.deny({peck_id: 'pck_…', why: 'so'});
  // @ts-expect-error what is needed
  await duck.verify({email: 'you@example.com'});
  // @ts-expect-error a list is an iterator, not a promise of one
  (await duck.bonds()).length;
}
