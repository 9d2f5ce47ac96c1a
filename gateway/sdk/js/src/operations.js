// What the gateway serves, on one page; gateway/openapi.yaml is the reference, and a test holds this
// table and the types against it.
//
// name: [method, path, traits]. The methods of Duck take what is in braces first, then the members of
// the request, under the names that they have there, then how it is called ({signal, …}).
//   key     POST that knows an Idempotency-Key, so it may be repeated
//   acting  `duckling_id` in the query says for which duckling a session acts
//   list:X  pages of X, read as one iterator
//   empty   answers nothing
//   text    answers text

export const OPERATIONS = {
  probe: ['GET', '/beak/'],
  reference: ['GET', '/openapi.json'],
  healthz: ['GET', '/healthz'],
  readyz: ['GET', '/readyz'],
  prometheus: ['GET', '/metrics', 'text'],
  systemStatus: ['GET', '/beak/system/status'],
  metrics: ['GET', '/beak/metrics'],
  pageview: ['POST', '/beak/pageview', 'empty'],

  hatch: ['POST', '/beak/hatch', 'key'],
  verify: ['POST', '/beak/verify', 'key'],
  auth: ['POST', '/beak/auth'],
  logout: ['POST', '/beak/logout', 'empty'],
  forgot: ['POST', '/beak/forgot'],
  reset: ['POST', '/beak/reset', 'empty'],
  captcha: ['GET', '/beak/captcha'],
  sessions: ['GET', '/beak/sessions', 'list:sessions'],
  endSession: ['DELETE', '/beak/sessions/{id}', 'empty'],
  endOtherSessions: ['DELETE', '/beak/sessions', 'empty'],
  passkeyChallenge: ['POST', '/beak/passkeys/challenge'],
  passkeys: ['GET', '/beak/passkeys', 'list:passkeys'],
  addPasskey: ['POST', '/beak/passkeys', 'key'],
  dropPasskey: ['DELETE', '/beak/passkeys/{id}', 'empty'],
  subscribe: ['POST', '/beak/newsletter/subscribe'],
  confirmSubscription: ['POST', '/beak/newsletter/confirm'],
  unsubscribe: ['POST', '/beak/newsletter/unsubscribe', 'empty'],
  export: ['GET', '/beak/export'],
  eraseAccount: ['DELETE', '/beak/account', 'empty'],
  rotate: ['POST', '/beak/rotate', 'key acting'],
  spaceducks: ['GET', '/beak/spaceducks', 'list:spaceducks'],

  peck: ['POST', '/beak/peck', 'key acting'],
  pecks: ['GET', '/beak/pecks', 'acting list:pecks'],
  getPeck: ['GET', '/beak/pecks/{id}', 'acting'],
  partials: ['GET', '/beak/partials/{id}', 'acting'],
  take: ['GET', '/beak/inbox'],
  ack: ['POST', '/beak/inbox/ack'],
  answer: ['POST', '/beak/answer', 'acting'],
  cancel: ['POST', '/beak/cancel', 'acting'],
  approve: ['POST', '/beak/approve', 'key acting'],
  deny: ['POST', '/beak/deny', 'acting'],
  unpeck: ['POST', '/beak/unpeck', 'acting'],
  bonds: ['GET', '/beak/bonds', 'acting list:bonds'],
  changeBond: ['PATCH', '/beak/bonds/{id}', 'acting'],

  grants: ['GET', '/beak/grants', 'acting list:blocks'],
  makeGrant: ['POST', '/beak/grant', 'key acting'],
  narrowGrant: ['POST', '/beak/grant/narrow', 'key acting'],
  verifyGrant: ['POST', '/beak/grant/verify'],
  revokeGrant: ['POST', '/beak/grant/revoke', 'acting'],

  signatures: ['GET', '/beak/signatures', 'acting'],
  sign: ['POST', '/beak/signatures', 'acting'],

  lobsters: ['GET', '/beak/lobster', 'acting list:lobsters'],
  lobster: ['GET', '/beak/lobster/{id}', 'acting'],
  beginLobster: ['POST', '/beak/lobster/begin', 'key acting'],
  confirmLobster: ['POST', '/beak/lobster/confirm', 'acting'],
  breakLobster: ['POST', '/beak/lobster/break', 'acting'],

  directory: ['GET', '/beak/directory', 'list:ducklings'],
  duckling: ['GET', '/beak/directory/{id}'],
  profile: ['POST', '/beak/profile', 'acting'],
  pulse: ['POST', '/beak/pulse', 'acting'],
  certificate: ['GET', '/beak/certificate', 'acting'],
  issueCertificate: ['POST', '/beak/certificate', 'key acting'],
  verifyChain: ['POST', '/beak/certificate/verify'],
  revoke: ['POST', '/beak/certificate/revoke', 'acting'],
  certificateOf: ['GET', '/beak/certificate/{id}'],
  certificateText: ['GET', '/beak/certificate/{id}', 'text'],
  keySet: ['GET', '/.well-known/jwks.json'],

  events: ['GET', '/beak/events', 'acting'],
  webhooks: ['GET', '/beak/webhooks', 'list:webhooks'],
  addWebhook: ['POST', '/beak/webhooks', 'key'],
  webhook: ['GET', '/beak/webhooks/{id}'],
  changeWebhook: ['PATCH', '/beak/webhooks/{id}'],
  dropWebhook: ['DELETE', '/beak/webhooks/{id}', 'empty'],
  testWebhook: ['POST', '/beak/webhooks/{id}/test', 'key'],
  rotateWebhookSecret: ['POST', '/beak/webhooks/{id}/rotate-secret', 'key'],
  deliveries: ['GET', '/beak/webhooks/{id}/deliveries', 'list:deliveries'],
  deadLetters: ['GET', '/beak/webhooks/{id}/dead', 'list:deliveries'],
  resend: ['POST', '/beak/webhooks/{id}/deliveries/{delivery_id}/resend'],
  audit: ['GET', '/beak/audit', 'acting list:entries'],
};

/** Which traits: {method, path, key, acting, empty, text, list}. */
export function operation(name) {
  const [method, path, traits = ''] = OPERATIONS[name];
  const found = {method, path, list: ''};
  for (const trait of traits.split(' ').filter(Boolean)) {
    if (trait.startsWith('list:')) found.list = trait.slice(5);
    else found[trait] = true;
  }
  return found;
}
