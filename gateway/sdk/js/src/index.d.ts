// The types of spaceduck. Members of requests and answers have the names that they have on the wire;
// gateway/openapi.yaml says what each is.

export const VERSION: string;

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** How a call is made. */
export interface How {
  signal?: AbortSignal | undefined;
  headers?: Record<string, string> | undefined;
}
/** For what creates: the same key and members do nothing twice. Without one it is made for each call. */
export interface Keyed extends How {
  idempotencyKey?: string | undefined;
}
export interface PeckHow extends Keyed {
  /** W3C Trace Context, carried inside the peck. */
  traceparent?: string | undefined;
}

export interface DuckOptions {
  /** Acts as its duckling. */
  beakKey?: string | undefined;
  /** Of `auth`; acts as the operator. */
  token?: string | undefined;
  /** For which duckling a session acts; default: the first. */
  ducklingId?: string | undefined;
  /** Default: http://127.0.0.1:7118 */
  apiBase?: string | undefined;
  /** A try, beyond what it waits for by your own wish; default 30000. */
  timeoutMs?: number | undefined;
  /** Of what may be repeated; default 3. */
  retries?: number | undefined;
  /** A gateway that asks for a longer pause is not waited for; default 30000. */
  retryAfterMaxMs?: number | undefined;
  fetch?: typeof fetch | undefined;
  sleep?: ((ms: number, signal?: AbortSignal) => Promise<void>) | undefined;
}

// ---- answers ----

export type PeckState = 'queued' | 'sent' | 'taken' | 'pending' | 'approved' | 'denied' | 'answered' |
  'failed' | 'expired' | 'cancelled';

export interface Receipt {
  kind: 'taken' | 'done' | 'partial';
  state: PeckState;
  at: string;
  signer: string;
  envelope?: string;
  chain?: string;
}

export interface PeckView {
  peck_id: string;
  status: PeckState;
  box?: 'in' | 'out';
  from: string;
  to: string;
  kind?: 'action' | 'bond_request';
  action?: string;
  payload?: any;
  peck_type?: string;
  scopes?: string[];
  message?: string;
  thread?: string;
  reply_to?: string;
  created_at?: string;
  expires_at?: string;
  changed_at?: string;
  attempt?: number;
  lease_until?: string;
  result?: any;
  problem?: string;
  error?: string;
  retry_after?: number;
  charged?: number;
  held_by?: string[];
  traceparent?: string;
  bond_id?: string;
  /** The duckling keeps its own key: nothing is done before it has signed this. */
  waits_for?: string;
  replayed?: true;
  receipts: Receipt[];
  envelope?: string;
  chain?: string;
  /** That it carries; not in lists. */
  grant?: string;
  /** That its sender signed it under, and its id; absent: its main key did. */
  context?: string;
  context_id?: string;
}

export interface BondLimits {
  per_minute?: number;
  per_day?: number;
  budget?: number;
  rounds?: number;
  cool_down?: number;
  stop_words?: string[];
}
export interface Bond {
  bond_id: string;
  duckling_id: string;
  with: string;
  scopes?: string[];
  direction?: 'in' | 'out';
  made_at?: string;
  not_after?: string;
  limits?: BondLimits;
  health?: { state: string; used_today?: number; spent?: number; muted_until?: string };
  changed_at?: string;
}

export interface GrantBlock {
  block_id: string;
  issuer: string;
  holder: string;
  scopes: string[];
  uses?: number;
  further: number;
  not_after: string;
}
export interface Grant extends Omit<GrantBlock, 'issuer'> {
  grant: string;
  target: string;
  blocks: GrantBlock[];
}
export interface KnownBlock {
  block_id: string;
  first_id: string;
  target: string;
  issuer: string;
  holder: string;
  uses?: number;
  used: number;
  revoked_at?: string;
  not_after: string;
}
export interface Lobster {
  duckling_id: string;
  with: string;
  status: 'offered' | 'answered' | 'shown' | 'confirmed' | 'live';
  began_here: boolean;
  string?: string;
  bond_id?: string;
  lease: number;
  ends_at: string;
  missing: string[];
}

export interface DirectoryEntry {
  duckling_id: string;
  display_name: string;
  capabilities: string[];
  bio?: string;
  accepts_pecks: boolean;
  host: string;
  tier: string;
  tier_evidence: string[];
  tier_missing: string[];
  taken_back?: { operator_id: string; at: string }[];
  seen_at?: string;
  host_linked: boolean;
  certificate_id?: string;
  proof: { record?: string; chain?: string };
}

export interface Hatched {
  beak_key: string;
  duckling_id: string;
  certificate_id: string;
  certificate: { certificate_id: string; chain: string };
  display_name: string;
  tier: string;
  password_set: boolean;
}
export interface CodeMailed {
  status: 'verify';
  message: string;
  expires_at: string;
}
export interface Spaceduck {
  duckling_id: string;
  certificate_id: string;
  display_name: string;
  beak_key?: string;
  created_at: string;
  last_seen_at?: string;
  tier?: string;
  bonds?: number;
}
export interface Session {
  token: string;
  access_token: string;
  token_type: 'Bearer';
  expires_at: string;
  ducklings: Spaceduck[];
}
export interface Counters {
  ducklings: number;
  birth_certificates: number;
  connections: number;
  eggs: number;
  space_ducks: number;
  pecks: number;
}
export interface Metrics extends Counters {
  nodes: number;
  total_ducklings: number;
  certs_issued: number;
  this_node: Counters & { pageviews: number };
}
export interface ChainAnswer {
  duckling_id?: string;
  node_id?: string;
  certificate_id?: string;
  valid: boolean;
  reason?: string;
  certificates: { [member: string]: any }[];
  chain: string;
  revoked_at?: string;
  revocation_reason?: string;
  revocation?: string;
  /** One's own: further keys, with those that are over. */
  contexts?: Context[];
}
export interface Context {
  certificate_id: string;
  duckling_id: string;
  context: string;
  scopes: string[];
  issued_at: string;
  not_after: string;
  revoked_at?: string;
  jwk: { kty: string; crv: string; x: string };
  did: string;
  envelope: string;
}
export interface VerifiedChain {
  valid: boolean;
  reason?: string;
  at: string;
  duckling_id?: string;
  node_id?: string;
  operator_id?: string;
  certificate_id?: string;
  sequence?: number;
  did?: string;
  jwk?: { kty: string; crv: string; x: string };
  issued_at?: string;
  not_after?: string;
  tier?: string;
  evidence?: string[];
  missing?: string[];
}
export interface WebhookFilter {
  duckling_id?: string;
  action?: string;
  peck_type?: string;
  tier_min?: number;
}
export interface Webhook {
  webhook_id: string;
  url: string;
  events: string[];
  filter: WebhookFilter;
  enabled: boolean;
  state: string;
  public_key?: string;
  created_at?: string;
  [member: string]: any;
}
/** Members that are told in the reference. */
export interface Answer {
  [member: string]: any;
}
export interface Event {
  id: string;
  type: string;
  data: any;
}

// ---- what comes piece by piece ----

/** All items of a list, fetched page by page while they are read. */
export class Pages<Item> implements AsyncIterable<Item> {
  private constructor();
  [Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined>;
  /** One answer as it came: the list, and `next_cursor` where there is more. */
  page(cursor?: string): Promise<Answer>;
  first(): Promise<Item | undefined>;
  all(): Promise<Item[]>;
}

/** A peck out of the inbox: its members as they came, and what can be done with it. */
export class Peck {
  private constructor();
  readonly peck_id: string;
  readonly from: string;
  readonly to: string;
  readonly action: string;
  readonly payload: any;
  readonly thread?: string;
  readonly reply_to?: string;
  readonly attempt: number;
  readonly expires_at: string;
  readonly lease_until?: string;
  readonly traceparent?: string;
  /** The result, any JSON value; ends the peck. */
  answer(result?: unknown, how?: How & { charge?: number }): Promise<PeckView>;
  /** It cannot be answered, and why; ends the peck. */
  fail(problem: string, how?: How): Promise<PeckView>;
  /** One part of the answer, while the rest is under way; said once, also over a bad line. */
  partial(part: unknown, how?: How): Promise<void>;
  /** Mine, and no need to hand it out again when its lease ends. */
  ack(how?: How): Promise<Answer>;
}

// ---- the client ----

export interface HatchRequest {
  email?: string;
  display_name: string;
  password?: string;
  captcha_token?: string;
  /** Of a duckling that keeps its own key: `proof` of own.OwnKey; `public_key` may be left out. */
  public_key?: string;
  proof?: string;
}
export interface PeckRequest {
  target?: string;
  target_duckling_id?: string;
  action?: string;
  payload?: unknown;
  peck_type?: string;
  scopes?: string[];
  message?: string;
  thread?: string;
  reply_to?: string;
  expires_in?: number;
  wait?: number;
  duckling_id?: string;
  grant?: string;
  /** The name or id of a context of who pecks, for an action within its scopes. */
  context?: string;
  /** The whole peck, of a duckling that keeps its own key: see own.OwnKey. Nothing beside it but `wait`. */
  signed?: string;
}
/** Something that only the duckling's own key can say. */
/** Of a duckling that keeps its own key: nothing is published before it has signed this. */
export interface ToSign {
  duckling_id: string;
  status: 'to_sign';
  waits_for: string;
}

export interface Wanted {
  id: string;
  number: number;
  type: string;
  why: string;
  peck_id?: string;
  asked_at: string;
  until: string;
  body: string;
  to_sign?: string;
}
export interface AnswerRequest {
  peck_id: string;
  result?: unknown;
  problem?: string;
  partial?: unknown;
  number?: number;
  charge?: number;
  duckling_id?: string;
}
export interface Page {
  limit?: number;
}

export class Duck {
  constructor(options?: DuckOptions);

  /** Which gateway this is. */
  probe(members?: {}, how?: How): Promise<Answer>;
  /** What is served, in OpenAPI 3.1. */
  reference(members?: {}, how?: How): Promise<Answer>;
  healthz(members?: {}, how?: How): Promise<Answer>;
  readyz(members?: {}, how?: How): Promise<Answer>;
  /** The counters in Prometheus' text format. */
  prometheus(members?: {}, how?: How): Promise<string>;
  systemStatus(members?: {}, how?: How): Promise<Answer>;
  /** Counters over the whole network, and of this node. */
  metrics(members?: {}, how?: How): Promise<Metrics>;
  pageview(members?: { page?: string; referrer?: string }, how?: How): Promise<void>;

  /** A code goes out by mail, for `verify`. With an operator's token: a duckling, at once. */
  hatch(members: HatchRequest, how?: Keyed): Promise<CodeMailed & Hatched>;
  /** The code for a beak_key, which is shown this once. */
  verify(members: { email: string; code: string; password?: string }, how?: Keyed): Promise<Hatched>;
  /** A session, by a password or a passkey: `new Duck({token})` acts as the operator. */
  auth(members: { email?: string; password?: string; captcha_token?: string; passkey?: Answer }, how?: How):
    Promise<Session>;
  logout(members?: {}, how?: How): Promise<void>;
  /** A code goes out by mail, for `reset`. */
  forgot(members: { email: string; captcha_token?: string }, how?: How): Promise<CodeMailed>;
  reset(members: { email: string; code: string; password: string }, how?: How): Promise<void>;
  /** What is to be solved, if anything, for a `captcha_token`. */
  captcha(members?: {}, how?: How): Promise<Answer>;
  sessions(members?: {}, how?: How): Pages<Answer>;
  endSession(sessionId: string, members?: {}, how?: How): Promise<void>;
  /** All but this one. */
  endOtherSessions(members?: {}, how?: How): Promise<void>;
  /** For navigator.credentials: `create` with a session's token, `get` without one. */
  passkeyChallenge(members?: {}, how?: How): Promise<Answer>;
  passkeys(members?: {}, how?: How): Pages<Answer>;
  /** `passkey`: what navigator.credentials.create answered, as JSON. */
  addPasskey(members: { passkey: Answer; name?: string }, how?: Keyed): Promise<Answer>;
  dropPasskey(passkeyId: string, members?: {}, how?: How): Promise<void>;
  /** To the newsletter; a code goes out by mail, for `confirmSubscription`. */
  subscribe(members: { email: string; captcha_token?: string }, how?: How): Promise<Answer>;
  confirmSubscription(members: { email: string; code: string }, how?: How): Promise<Answer>;
  unsubscribe(members: { email: string; token: string }, how?: How): Promise<void>;
  /** Everything that the gateway and its node keep of the operator. */
  export(members?: {}, how?: How): Promise<Answer>;
  /** The operator, for good; right after `auth` only. */
  eraseAccount(members?: {}, how?: How): Promise<void>;
  /** A new beak_key, shown this once; the old one ends now. Or, of what "identity", a new key of the duckling: certificate_id and chain instead. */
  rotate(members?: { what?: string; chain?: string; duckling_id?: string }, how?: Keyed):
    Promise<{ beak_key: string; duckling_id: string; certificate_id?: string; chain?: string }>;
  /** The operator's ducklings. */
  spaceducks(members?: Page, how?: How): Pages<Spaceduck>;

  /** An action (`action`, `payload`), or a request for a bond (`peck_type` or `scopes`, `message`). */
  peck(members: PeckRequest, how?: PeckHow): Promise<PeckView>;
  /** Pecks sent (box: 'out') and received (box: 'in'), newest first. */
  pecks(members?: Page & { box?: 'in' | 'out'; state?: string; with?: string; thread?: string; after?: string },
    how?: How): Pages<PeckView>;
  /** One, with its receipts as verifiable bytes; `wait` seconds for it to be done. */
  getPeck(peckId: string, members?: { wait?: number }, how?: How): Promise<PeckView>;
  /** The parts of an answer as they are said; ends when the peck is done. */
  partials(peckId: string, members?: { after?: number; limit?: number; wait?: number }, how?: How):
    AsyncGenerator<{ number: number; at: string; partial: any }, void, undefined>;
  /** Pecks to handle, for ever. What is not answered or acknowledged within `lease` seconds is handed
   * out again. */
  inbox(members?: { wait?: number; limit?: number; lease?: number }, how?: How):
    AsyncGenerator<Peck, void, undefined>;
  /** One look into the inbox. */
  take(members?: { wait?: number; limit?: number; lease?: number }, how?: How):
    Promise<{ pecks: PeckView[]; next_cursor?: string }>;
  ack(members: { peck_id?: string; peck_ids?: string[] }, how?: How): Promise<Answer>;
  /** One of result, problem, and partial. */
  answer(members: AnswerRequest, how?: How): Promise<PeckView & { number?: number }>;
  cancel(members: { peck_id: string; duckling_id?: string }, how?: How): Promise<Answer>;

  /** A bond request, or one action that waits. */
  approve(members: { peck_id: string; scopes?: string[]; limits?: BondLimits; not_after?: string;
    duckling_id?: string }, how?: Keyed): Promise<PeckView>;
  deny(members: { peck_id: string; reason?: string; duckling_id?: string }, how?: How): Promise<PeckView>;
  /** Ends a bond, named by its id, its other end, or the peck that made it. */
  unpeck(members: { bond_id?: string; duckling_id?: string; peck_id?: string }, how?: How):
    Promise<Bond & { status: 'ended' }>;
  bonds(members?: {}, how?: How): Pages<Bond>;
  /** By whoever approved it. A limit of 0 is none. */
  changeBond(bondId: string, members: { scopes?: string[]; limits?: BondLimits; not_after?: string;
    muted?: boolean; muted_until?: string; duckling_id?: string }, how?: How): Promise<Bond>;

  /** Blocks that were revoked, and those that were used and limit their uses. */
  grants(members?: Page, how?: How): Pages<KnownBlock>;
  /** Lets `holder` peck this duckling, without a bond: see `grant` of `peck`. */
  makeGrant(members: { holder: string; scopes: string[]; uses?: number; further?: number; not_after?: string;
    duckling_id?: string }, how?: Keyed): Promise<Grant>;
  /** By its last holder, for somebody else. */
  narrowGrant(members: { grant: string; holder: string; scopes?: string[]; uses?: number; further?: number;
    not_after?: string; duckling_id?: string }, how?: Keyed): Promise<Grant>;
  /** What it allows; not whether it was revoked or used up. */
  verifyGrant(members: { grant: string; from?: string; to?: string; action?: string; at?: string }, how?: How):
    Promise<Partial<Grant> & { valid: boolean; at: string; reason?: string; detail?: string }>;
  /** A block and all that was made of it; without `block_id` the last that this duckling signed. */
  revokeGrant(members: { grant: string; block_id?: string; duckling_id?: string }, how?: How):
    Promise<{ block_id: string; status: 'revoked' | 'sent'; peck_id?: string }>;

  /** What waits for the signature of a duckling that keeps its own key. */
  signatures(members?: { after?: number; wait?: number; duckling_id?: string }, how?: How):
    Promise<{ signatures: Wanted[] }>;
  sign(members: { id: string; signature: string; duckling_id?: string }, how?: How):
    Promise<{ status: 'signed'; peck_status?: PeckState }>;

  lobsters(members?: {}, how?: How): Pages<Lobster>;
  /** How the lobster bind with this duckling stands: the string to read out, and what is missing. */
  lobster(otherId: string, members?: {}, how?: How): Promise<Lobster>;
  /** By an operator with a session, as what follows. `lease` in seconds. */
  beginLobster(members: { with: string; lease?: number; duckling_id?: string }, how?: Keyed): Promise<Lobster>;
  /** `string`: as the other operator read it out. Another one ends the bind. */
  confirmLobster(members: { with: string; string: string; duckling_id?: string }, how?: How): Promise<Lobster>;
  /** Refuses or ends it, at once. */
  breakLobster(members: { with: string; duckling_id?: string }, how?: How):
    Promise<{ duckling_id: string; with: string; status: 'ended' }>;

  /** Ducklings of the whole network. */
  directory(members?: Page & { capability?: string; q?: string; tier_min?: string; alive_within?: number;
    host?: string }, how?: How): Pages<DirectoryEntry>;
  duckling(ducklingId: string, members?: {}, how?: How): Promise<DirectoryEntry>;
  /** What this duckling says of itself; what is not named stays. */
  profile(members: { display_name?: string; bio?: string; capabilities?: string[];
    accepts_pecks?: boolean; duckling_id?: string }, how?: How): Promise<DirectoryEntry | ToSign>;
  /** Proof of life. */
  pulse(members?: { duckling_id?: string }, how?: How): Promise<Answer>;
  /** One's own chain of certificates, and its `contexts`. */
  certificate(members?: {}, how?: How): Promise<ChainAnswer>;
  /** A further key, for less than this duckling may do: see `context` of `peck`. */
  issueCertificate(members: { context: string; scopes: string[]; not_after?: string; duckling_id?: string },
    how?: Keyed): Promise<Context>;
  /** Was a key valid on a day? Told from the chain, or JWS, alone, and the revocation beside it; or of whom the node knows
   * by `id`. With the tier that the node holds a duckling for. */
  verifyChain(members: { chain?: string; jws?: string; id?: string; revocation?: string; at?: string; did?: string },
      how?: How): Promise<VerifiedChain>;
  /** End this duckling, everywhere and for good; its chain, and the revocation. With `certificate_id`, of one of its
   * contexts, that alone ends. */
  revoke(members?: { reason?: string; certificate_id?: string; duckling_id?: string }, how?: How):
    Promise<ChainAnswer | ToSign>;
  /** That of a duckling or a node, or the one of a certificate's id. */
  certificateOf(id: string, members?: {}, how?: How): Promise<ChainAnswer>;
  /** The same for others' tools: "jwk" or "did", the key that signs now, or "jws", the newest certificate signed by its
   * key, of who lives at this gateway's node. */
  certificateText(id: string, members: { format: 'jwk' | 'did' | 'jws' }, how?: How): Promise<string>;
  /** The key of this gateway's node, as a JWK set. */
  keySet(members?: {}, how?: How): Promise<{ keys: { [member: string]: string }[] }>;

  /** What happens to one's ducklings, for ever, after the event of the id `after`. A broken line is
   * taken up where it broke. `events`: names, with commas between; default: all. */
  events(members?: { events?: string; after?: string }, how?: How):
    AsyncGenerator<Event, void, undefined>;
  webhooks(members?: {}, how?: How): Pages<Webhook>;
  /** Its `secret` is shown this once: webhooks.verify needs it. */
  addWebhook(members: { url: string; events: string[]; filter?: WebhookFilter; enabled?: boolean },
    how?: Keyed): Promise<Webhook & { secret: string }>;
  webhook(webhookId: string, members?: {}, how?: How): Promise<Webhook>;
  changeWebhook(webhookId: string, members: { url?: string; events?: string[]; filter?: WebhookFilter;
    enabled?: boolean }, how?: How): Promise<Webhook>;
  dropWebhook(webhookId: string, members?: {}, how?: How): Promise<void>;
  testWebhook(webhookId: string, members?: { event?: string }, how?: Keyed): Promise<Answer>;
  /** A new secret, shown this once; for `overlap` seconds both sign. */
  rotateWebhookSecret(webhookId: string, members?: { overlap?: number }, how?: Keyed):
    Promise<Webhook & { secret: string }>;
  /** What was sent, and what came of it, newest first. */
  deliveries(webhookId: string, members?: Page & { state?: string }, how?: How): Pages<Answer>;
  /** What no try could deliver. */
  deadLetters(webhookId: string, members?: Page, how?: How): Pages<Answer>;
  resend(webhookId: string, deliveryId: string, members?: {}, how?: How): Promise<Answer>;
  /** One's entries of the node's audit log, newest first. */
  audit(members?: Page & { kind?: string; subject?: string; since?: string; until?: string }, how?: How):
    Pages<Answer>;
}

// ---- what can go wrong ----

/** All that this package rejects with on purpose. */
export class DuckError extends Error {}
/** No answer came. */
export class Unreachable extends DuckError {
  /** The gateway cannot have seen the request. */
  readonly isUnsent: boolean;
}
export class TimedOut extends Unreachable {}
/** Not JSON, or not of the expected shape: no ducknode is there. */
export class BadAnswer extends DuckError {}
/** A webhook, receipt or certificate does not hold; the text says why. */
export class VerificationError extends DuckError {}
/** The gateway's no (RFC 9457). */
export class Problem extends DuckError {
  readonly status: number;
  readonly type: string;
  readonly title: string;
  readonly detail: string;
  readonly instance?: string;
  /** The stable code. */
  readonly error: string;
  readonly field?: string;
  /** Seconds from now. */
  readonly retryAfter?: number;
  readonly members: Answer;
  readonly headers: Headers;
  readonly tries: number;
}
export class BadRequest extends Problem {}
export class Unauthorized extends Problem {}
export class Forbidden extends Problem {}
export class NotFound extends Problem {}
export class Conflict extends Problem {}
export class Gone extends Problem {}
export class TooLarge extends Problem {}
export class Unprocessable extends Problem {}
export class RateLimited extends Problem {}
export class ServerError extends Problem {}
export class Unavailable extends ServerError {}

// ---- what proves itself ----

export namespace webhooks {
  /** Seconds. */
  const TOLERANCE_S: number;
  /** The event, or VerificationError. `body`: as it came. `key`: what the registration showed, or its
   * public key, or several: one that fits is enough. */
  function verify(body: string | Uint8Array | ArrayBuffer,
    headers: Headers | Record<string, string | string[] | undefined>, key: string | string[],
    options?: { tolerance?: number; now?: number }): Promise<Answer>;
}

export namespace own {
  interface OwnPeck {
    target: string;
    action?: string;
    payload?: unknown;
    scopes?: string[];
    message?: string;
    thread?: string;
    reply_to?: string;
    expires_in?: number;
    idempotencyKey?: string;
    grant?: string;
    /** Of the node; default: "duck". */
    network?: string;
  }
  class OwnKey {
    private constructor();
    static generate(displayName: string): Promise<OwnKey>;
    static open(file: string, nextFile?: string): Promise<OwnKey>;
    readonly id: string;
    readonly chain: string;
    readonly proof: string;
    readonly publicKey: string;
    files(): { file: string; nextFile: string };
    rotate(): Promise<OwnKey>;
    sign(wanted: Pick<Wanted, 'type' | 'body'>): Promise<string>;
    peck(members: OwnPeck): Promise<string>;
  }
  function signAll(duck: Duck, key: OwnKey, how?: { after?: number; wait?: number }): Promise<number>;
}
export namespace proof {
  interface Said {
    kind: 'taken' | 'done' | 'partial';
    state: PeckState;
    peck_id: string;
    from: string;
    to: string;
    signer: string;
    at_ms: number;
    result?: any;
    problem?: string;
  }
  interface Identity {
    id: string;
    kind: 'node' | 'duckling' | 'operator';
    display_name: string;
    public_key: Uint8Array;
    certificates: number;
  }
  function verifyReceipt(receipt: { envelope?: string; chain?: string }, options?: { peckId?: string }):
    Promise<Said>;
  function verifyCertificate(answer: { chain?: string }, options: { atMs: number }): Promise<Identity>;
}
