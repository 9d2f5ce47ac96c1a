/* duck_client: talk to the ducknode of this host.
 *
 *     struct duck *duck = NULL;
 *     if (duck_connect(&duck, NULL, NULL)) …                // the node's default socket
 *     struct duck_peck peck = {.from = me, .to = friend, .action = "query", .payload = "{}"};
 *     struct duck_answer *answer = duck_send(duck, &peck, DUCK_WAIT_DONE, 10000);
 *     if (duck_ok(answer)) puts(duck_peck_result(answer));
 *     duck_answer_free(answer);
 *
 * Text is UTF-8 and NUL-terminated; ids are text ("dkl_…", "nod_…", "pck_…"); times are Unix
 * milliseconds. Blocking calls may be made from several threads on one `struct duck`. Everything
 * that a call returns belongs to the caller and is freed by the one function named for it;
 * pointers inside live as long as it does. The wire: proto/local.proto. */
#ifndef DUCK_CLIENT_H
#define DUCK_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct duck;
struct duck_answer;

/* Problem codes (duck_code): stable.
 *   malformed, too_large, not_found, not_hosted_here, unknown_target, not_allowed, conflict,
 *   idempotency_key_reused, busy, expired, pecks_refused, grant_refused, context_refused, own_key, bond_rounds, bond_cooling_down,
 *   store_failed                                                        from the node
 *   unreachable   the node does not run, or went away before it answered: whether an order was
 *                 carried out is then not known; send again with the same idempotency key
 *   timeout       no answer in time (the call's wait plus 5 s)
 *   protocol      the node speaks another version */

/* Connects to `socket_path`, or to $DUCKNODE_SOCKET, or to the default of this user: see
 * duck_default_socket. 0, or -1 with `*problem` (may be NULL) a static sentence. Reconnects by itself later. */
int duck_connect(struct duck **duck, const char *socket_path, const char **problem);
void duck_close(struct duck *duck); /* NULL is fine; ends waiting calls with "unreachable" */
const char *duck_default_socket(char *path, size_t size);

/* ---- answers ---- */
bool duck_ok(const struct duck_answer *answer);
const char *duck_code(const struct duck_answer *answer);    /* "" when fine */
const char *duck_message(const struct duck_answer *answer); /* for people */
const char *duck_field(const struct duck_answer *answer);   /* the member at fault, or "" */
uint64_t duck_retry_after_ms(const struct duck_answer *answer); /* of a problem, or of a failed peck since it failed; 0: not said */
void duck_answer_free(struct duck_answer *answer);          /* NULL is fine */

/* ---- identities ---- */
struct duck_profile {
    const char *display_name;         /* 1 to 64 bytes; NULL: leave as it is */
    const char *bio;                  /* NULL: leave */
    const char *const *capabilities;  /* NULL: leave */
    size_t capability_count;
    bool refuses_pecks;
};
struct duck_answer *duck_hatch(struct duck *duck, const struct duck_profile *profile);
const char *duck_hatched_id(const struct duck_answer *answer);
struct duck_answer *duck_set_profile(struct duck *duck, const char *duckling, const struct duck_profile *profile);
struct duck_answer *duck_pulse(struct duck *duck, const char *duckling);

/* ---- pecks ---- */
enum duck_wait { DUCK_WAIT_QUEUED, DUCK_WAIT_TAKEN, DUCK_WAIT_DONE };

struct duck_peck {
    const char *from, *to;
    const char *action;               /* an action … */
    const char *payload;              /* … with JSON; NULL: "{}" */
    const char *const *scopes;        /* or a bond request for these scopes */
    size_t scope_count;
    const char *message;
    const char *thread, *reply_to, *idempotency_key, *trace; /* NULL: none */
    uint64_t expires_in_ms;           /* 0: 24 h */
    const char *grant;                /* of `to`, that lets `from` do this, as duck_grant.h has it; NULL: none */
    const char *context;              /* of `from`: its name or crt_… id; its key signs then. NULL: the duckling's own */
};

/* Sends, and waits up to wait_ms (at most 30,000) for what `wait` names. The answer tells the state
 * reached, whatever it is: running out of time is not a problem. */
struct duck_answer *duck_send(struct duck *duck, const struct duck_peck *peck, enum duck_wait wait, uint64_t wait_ms);
struct duck_answer *duck_peck_get(struct duck *duck, const char *peck_id, enum duck_wait wait, uint64_t wait_ms);
/* Takes it back. What its target's node has taken already is ended there: duck_peck_get with DUCK_WAIT_DONE then
 * tells "cancelled", or what was answered just before. */
struct duck_answer *duck_cancel(struct duck *duck, const char *duckling, const char *peck_id);

/* Answers that come in parts: those with numbers above `after`, at most `limit` (0: 50, at most 200). Waits
 * up to wait_ms until there is one, or the peck is done; duck_partials_end then says that all were had. */
struct duck_answer *duck_partials(struct duck *duck, const char *peck_id, uint32_t after, uint32_t limit, uint64_t wait_ms);
struct duck_partial {
    const char *result;
    uint32_t number;          /* from 1, without gaps */
    uint64_t at_ms;
};
size_t duck_partial_count(const struct duck_answer *answer);
bool duck_partial(const struct duck_answer *answer, size_t index, struct duck_partial *partial);
bool duck_partials_end(const struct duck_answer *answer, uint32_t had); /* the peck is done, and had is all there were */
/* Calls `seen` for each of them from `after` on, in order, each once, on the caller's thread, until it returns
 * false or the peck is done; then the answer holds the peck. After a problem (the node went away) call it again
 * with the number seen last: nothing comes twice, and nothing is left out. */
struct duck_answer *duck_partials_each(struct duck *duck, const char *peck_id, uint32_t after, bool (*seen)(void *context, const struct duck_partial *partial), void *context);

/* Of an answer that holds one peck, or item `index` of a list: duck_count and duck_item. */
size_t duck_count(const struct duck_answer *answer);
struct duck_item {
    const char *peck_id, *from, *to, *action, *payload, *message, *thread, *reply_to, *state;
    const char *result, *problem;     /* "" until done */
    bool incoming, bond_request;
    uint32_t attempt;
    uint64_t created_ms, expires_ms;
    const char *const *scopes;
    size_t scope_count;
    const char *context, *context_id; /* that its sender signed it under, and its crt_ id; "": the main key did */
};
bool duck_item(const struct duck_answer *answer, size_t index, struct duck_item *item);
const char *duck_peck_id(const struct duck_answer *answer);
const char *duck_peck_state(const struct duck_answer *answer);
const char *duck_peck_result(const struct duck_answer *answer);
const char *duck_peck_refusal(const struct duck_answer *answer); /* of a failed one: the code of who refused it; "" */

/* ---- receiving: the agent's side ---- */
/* Up to `limit` pecks under a lease; waits up to wait_ms for the first. */
struct duck_answer *duck_take(struct duck *duck, const char *duckling, uint32_t limit, uint64_t wait_ms, uint64_t lease_ms);
struct duck_answer *duck_acknowledge(struct duck *duck, const char *duckling, const char *const *peck_ids, size_t count);
struct duck_answer *duck_answer_peck(struct duck *duck, const char *duckling, const char *peck_id, const char *result_json);
/* One part of the answer, JSON of at most 32 KiB; duck_answer_peck or duck_fail_peck ends it. `number` 0: the
 * next; another than the next is a "conflict", so an agent that does not know whether one was taken sends it again. */
struct duck_answer *duck_answer_partial(struct duck *duck, const char *duckling, const char *peck_id, const char *result_json, uint32_t number);
uint32_t duck_partial_number(const struct duck_answer *answer); /* of it: which it became */
struct duck_answer *duck_fail_peck(struct duck *duck, const char *duckling, const char *peck_id, const char *problem);
/* Beside its result, what the answer costs the asker's bond, if that has a budget; at most 1,000,000,000 units. */
struct duck_answer *duck_answer_charged(struct duck *duck, const char *duckling, const char *peck_id, const char *result_json, uint64_t units);
struct duck_answer *duck_approve(struct duck *duck, const char *duckling, const char *peck_id, const char *const *scopes, size_t scope_count, uint64_t not_after_ms);
struct duck_answer *duck_deny(struct duck *duck, const char *duckling, const char *peck_id, const char *reason);
struct duck_answer *duck_unpeck(struct duck *duck, const char *duckling, const char *bond_id_or_duckling);

/* ---- bonds ---- */
/* What a bond allows its requester beside scopes and end. Its approver's node refuses what goes
 * beyond: the peck is then failed, duck_peck_refusal says "bond_rate", "bond_daily", "bond_budget",
 * "bond_muted", "bond_stop_word", "bond_rounds" or "bond_cooling_down". The sender's own node refuses
 * what goes beyond the rounds already as it is sent (duck_code). 0 is no limit. */
struct duck_terms {
    uint32_t per_minute;       /* actions: so many at once, then evenly; at most 60,000 */
    uint32_t per_day;          /* actions, in a day of UTC; at most 100,000,000 */
    uint64_t budget;           /* units, over the bond's life: an action costs 1, and what its answer charges */
    uint32_t rounds;           /* pecks of either to the other in one thread; a reply is of the thread it replies to */
    uint64_t cool_down_ms;     /* a thread that had its rounds begins anew after it; 0: never */
    uint64_t muted_until_ms;   /* nothing goes through before */
    const char *const *stop_words; /* what no payload may hold, in capitals or not; at most 8 of 1 to 64 bytes */
    size_t stop_word_count;
};
enum duck_term { /* which of them are named */
    DUCK_TERM_PER_MINUTE = 1, DUCK_TERM_PER_DAY = 2, DUCK_TERM_BUDGET = 4, DUCK_TERM_ROUNDS = 8,
    DUCK_TERM_COOL_DOWN = 16, DUCK_TERM_MUTED_UNTIL = 32, DUCK_TERM_STOP_WORDS = 64,
};
/* Approves a bond request. Of what `named` leaves out the rounds are 64, and nothing else is limited. */
struct duck_answer *duck_approve_with(struct duck *duck, const char *duckling, const char *peck_id, const char *const *scopes, size_t scope_count, uint64_t not_after_ms, const struct duck_terms *terms, unsigned named);
/* By the approver alone; what is not named (no scopes, not_after_ms 0) stays as it is. */
struct duck_answer *duck_bond_set(struct duck *duck, const char *duckling, const char *bond_id, const char *const *scopes, size_t scope_count, uint64_t not_after_ms, const struct duck_terms *terms, unsigned named);
struct duck_answer *duck_bonds(struct duck *duck, const char *duckling); /* "": all that end here */

/* Of an answer that holds one bond, or item `index` of duck_bonds. Counts are the approver's node's. */
struct duck_bond {
    const char *bond_id, *duckling, *with, *health; /* "active", "muted", "daily_reached", "budget_spent", "ended" */
    const char *const *scopes;
    size_t scope_count;
    bool requested_here;
    uint64_t made_ms, not_after_ms, terms_ms, used_today, spent;
    struct duck_terms terms;
};
size_t duck_bond_count(const struct duck_answer *answer);
bool duck_bond(const struct duck_answer *answer, size_t index, struct duck_bond *bond);

/* ---- contexts: further keys of a duckling, for less than it may do ---- */
/* Made and kept by the node. What is pecked under one (`context` of duck_peck) is refused beyond its scopes ("context_refused"), whatever
 * bonds and grants allow; it ends with not_after_ms (0: 30 days from now), or when it is revoked. */
struct duck_answer *duck_context_issue(struct duck *duck, const char *duckling, const char *name, const char *const *scopes, size_t scope_count, uint64_t not_after_ms);
/* For good. Of this duckling a context, and nothing else: the id of its own certificate is "not_found". */
struct duck_answer *duck_context_revoke(struct duck *duck, const char *duckling, const char *certificate_id, const char *reason);
struct duck_answer *duck_contexts(struct duck *duck, const char *duckling);

/* Of an answer that holds one context, or item `index` of duck_contexts. */
struct duck_context {
    const char *certificate_id, *duckling, *name;
    const char *const *scopes;
    size_t scope_count;
    uint64_t issued_ms, not_after_ms, revoked_ms; /* revoked_ms 0: it is not */
};
size_t duck_context_count(const struct duck_answer *answer);
bool duck_context(const struct duck_answer *answer, size_t index, struct duck_context *context);

/* ---- the directory ---- */
struct duck_search {
    const char *capability, *text, *duckling, *host, *cursor; /* NULL: any */
    uint64_t alive_within_ms;
    bool live_host; /* only on nodes that are not known to be dead or gone */
    uint32_t limit;
};
struct duck_answer *duck_search(struct duck *duck, const struct duck_search *search);
struct duck_entry {
    const char *duckling, *display_name, *bio, *host;
    const char *const *capabilities;
    size_t capability_count;
    bool accepts_pecks, host_linked;
    uint32_t tier;
    uint64_t seen_ms;
};
bool duck_entry(const struct duck_answer *answer, size_t index, struct duck_entry *entry);
const char *duck_next_cursor(const struct duck_answer *answer); /* "" at the end */

/* ---- events ---- */
struct duck_event {
    const char *kind;     /* "peck", "partial", "bond", "record", "link", "member", "tier_change", "wanted" */
    const char *duckling, *with, *peck_id, *state; /* of "bond": "made", "changed", "ended", or a limit: "bond_rounds", …;
                             of "tier_change": the new tier, "T0" to "T3", or "none" */
    bool incoming;
    uint64_t at_ms, dropped;
    uint32_t number;      /* of "partial" */
    const char *bond_id;
    const char *before, *reason; /* of "tier_change": the tier that was told last; what came or went */
};
/* Calls `seen` on the client's own thread for each event of `duckling` (NULL: of the whole node),
 * until it returns false, or duck_close. Do not call into `duck` from it. 0 when following began.
 * After a broken connection following goes on by itself; `dropped` then counts one for the gap. */
int duck_follow(struct duck *duck, const char *duckling, bool directory, bool (*seen)(void *context, const struct duck_event *event), void *context);

/* ---- for those who speak the wire types themselves (the gateway, the command line) ---- */
struct Duck__Request;
struct Duck__Reply;

/* One request, unpacked reply. `done` is called once, on the client's thread or (when the node cannot be
 * reached) on the caller's, with a reply that it owns and frees with duck_reply_free. The request
 * is borrowed for the call; its id is set by the client. `timeout_ms` 0: 35 s. */
void duck_call(struct duck *duck, struct Duck__Request *request, uint64_t timeout_ms, void (*done)(void *context, struct Duck__Reply *reply), void *context);
/* The same, blocking. Never NULL: without the node the reply is a problem. */
struct Duck__Reply *duck_call_wait(struct duck *duck, struct Duck__Request *request, uint64_t timeout_ms);
void duck_reply_free(struct Duck__Reply *reply);
/* Events as they come (each holds an EventView); `seen` returns false to end it. The number names it for duck_unfollow. */
uint64_t duck_call_follow(struct duck *duck, const char *duckling, bool directory, bool (*seen)(void *context, const struct Duck__Reply *event), void *context);
void duck_unfollow(struct duck *duck, uint64_t follow); /* after it `seen` is not called any more */

#ifdef __cplusplus
}
#endif

#endif
