#include "duck_client.h"
#include "duck_grant.h"

#include "answers.h"
#include "connection.h"
#include "core/binary_data.h"
#include "core/bytes.h"
#include "core/limits.h"
#include "wire/local.pb-c.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SOCKET_PATH_SIZE 4096
#define FOLLOW_BEGIN_MS 5000 /* for the node to confirm that following began */

struct duck {
    struct connection *connection;
};

/* ---- connecting ---- */

const char *duck_default_socket(char *path, size_t size)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (geteuid() == 0)
        snprintf(path, size, "/var/lib/ducknode/ducknode.sock");
    else if (state && state[0] == '/')
        snprintf(path, size, "%s/ducknode/ducknode.sock", state);
    else
        snprintf(path, size, "%s/.local/state/ducknode/ducknode.sock", home ? home : "");
    return path;
}

int duck_connect(struct duck **duck, const char *socket_path, const char **problem)
{
    char path[SOCKET_PATH_SIZE];
    const char *ignored;
    struct duck *made;

    if (!socket_path)
        socket_path = getenv("DUCKNODE_SOCKET");
    if (!socket_path || !*socket_path)
        socket_path = duck_default_socket(path, sizeof path);
    made = memory_take(sizeof *made);
    if (connection_open(&made->connection, socket_path, problem ? problem : &ignored)) {
        memory_give_back(made);
        return -1;
    }
    *duck = made;
    return 0;
}

void duck_close(struct duck *duck)
{
    if (!duck)
        return;
    connection_close(duck->connection);
    memory_give_back(duck);
}

/* ---- calls ---- */

void duck_call(struct duck *duck, Duck__Request *request, uint64_t timeout_ms,
               void (*done)(void *context, Duck__Reply *reply), void *context)
{
    connection_call(duck->connection, request, timeout_ms, done, context);
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    Duck__Reply *reply;
};

static void wake(void *context, Duck__Reply *reply)
{
    struct waiter *waiter = context;

    pthread_mutex_lock(&waiter->lock);
    waiter->reply = reply;
    pthread_cond_signal(&waiter->done);
    pthread_mutex_unlock(&waiter->lock);
}

Duck__Reply *duck_call_wait(struct duck *duck, Duck__Request *request, uint64_t timeout_ms)
{
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

    assert(!connection_is_own_thread(duck->connection)); /* it would wait for itself */
    connection_call(duck->connection, request, timeout_ms, wake, &waiter);
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.reply)
        pthread_cond_wait(&waiter.done, &waiter.lock);
    pthread_mutex_unlock(&waiter.lock);
    pthread_cond_destroy(&waiter.done);
    pthread_mutex_destroy(&waiter.lock);
    return waiter.reply;
}

void duck_reply_free(Duck__Reply *reply)
{
    if (reply)
        duck__reply__free_unpacked(reply, NULL);
}

static struct duck_answer *ask(struct duck *duck, Duck__Request *request, uint64_t wait_ms)
{
    return answer_new(duck_call_wait(duck, request, wait_ms + CALL_MARGIN_MS));
}

/* ---- orders ---- */

/* NULL when there are none; given back with memory_give_back. */
static ProtobufCBinaryData *list_for(const char *const *texts, size_t count)
{
    ProtobufCBinaryData *list;

    if (count == 0)
        return NULL;
    list = memory_take(count * sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = lent_bytes(texts[i]);
    return list;
}

struct duck_answer *duck_hatch(struct duck *duck, const struct duck_profile *profile)
{
    ProtobufCBinaryData *capabilities = list_for(profile->capabilities, profile->capability_count);
    Duck__HatchOrder order = DUCK__HATCH_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct duck_answer *answer;

    order.display_name = lent_bytes(profile->display_name);
    order.bio = lent_bytes(profile->bio);
    order.capabilities = capabilities;
    order.n_capabilities = profile->capability_count;
    order.refuses_pecks = profile->refuses_pecks;
    request.order_case = DUCK__REQUEST__ORDER_HATCH;
    request.hatch = &order;
    answer = ask(duck, &request, 0);
    memory_give_back(capabilities);
    return answer;
}

struct duck_answer *duck_set_profile(struct duck *duck, const char *duckling,
                                     const struct duck_profile *profile)
{
    ProtobufCBinaryData *capabilities = list_for(profile->capabilities, profile->capability_count);
    Duck__ProfileOrder order = DUCK__PROFILE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct duck_answer *answer;

    order.duckling = lent_text(duckling);
    order.set_display_name = profile->display_name != NULL;
    order.display_name = lent_bytes(profile->display_name);
    order.set_bio = profile->bio != NULL;
    order.bio = lent_bytes(profile->bio);
    order.set_capabilities = profile->capabilities != NULL;
    order.capabilities = capabilities;
    order.n_capabilities = profile->capability_count;
    order.set_accepts_pecks = true;
    order.accepts_pecks = !profile->refuses_pecks;
    request.order_case = DUCK__REQUEST__ORDER_PROFILE;
    request.profile = &order;
    answer = ask(duck, &request, 0);
    memory_give_back(capabilities);
    return answer;
}

struct duck_answer *duck_pulse(struct duck *duck, const char *duckling)
{
    Duck__PulseOrder order = DUCK__PULSE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = lent_text(duckling);
    request.order_case = DUCK__REQUEST__ORDER_PULSE;
    request.pulse = &order;
    return ask(duck, &request, 0);
}

struct duck_answer *duck_send(struct duck *duck, const struct duck_peck *peck, enum duck_wait wait,
                              uint64_t wait_ms)
{
    ProtobufCBinaryData *scopes = list_for(peck->scopes, peck->scope_count);
    Duck__SendOrder order = DUCK__SEND_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct duck_grant *grant = peck->grant ? duck_grant_open(peck->grant, NULL) : NULL;
    struct duck_answer *answer;

    order.from = lent_text(peck->from);
    order.to = lent_text(peck->to);
    order.grant = lent_bytes(peck->grant); /* which the node refuses, if it is none */
    if (grant)
        order.grant.data = (uint8_t *)(uintptr_t)duck_grant_bytes(grant, &order.grant.len);
    order.kind = peck->action ? 1 : 2;
    order.action = lent_bytes(peck->action);
    order.payload = lent_bytes(!peck->action ? NULL : peck->payload ? peck->payload : "{}");
    order.scopes = scopes;
    order.n_scopes = peck->scope_count;
    order.message = lent_bytes(peck->message);
    order.thread = lent_bytes(peck->thread);
    order.reply_to = lent_text(peck->reply_to);
    order.context = lent_bytes(peck->context);
    order.expires_in_ms = peck->expires_in_ms;
    order.idempotency_key = lent_bytes(peck->idempotency_key);
    order.trace = lent_bytes(peck->trace);
    order.wait_for = wait;
    order.wait_ms = wait_ms;
    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = &order;
    answer = ask(duck, &request, wait_ms);
    memory_give_back(scopes);
    duck_grant_free(grant);
    return answer;
}

struct duck_answer *duck_context_issue(struct duck *duck, const char *duckling, const char *name,
                                       const char *const *scopes, size_t scope_count,
                                       uint64_t not_after_ms)
{
    ProtobufCBinaryData *list = list_for(scopes, scope_count);
    Duck__IssueOrder order = DUCK__ISSUE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct duck_answer *answer;

    order.duckling = lent_text(duckling);
    order.context = lent_bytes(name);
    order.scopes = list;
    order.n_scopes = scope_count;
    order.not_after_ms = not_after_ms;
    request.order_case = DUCK__REQUEST__ORDER_ISSUE;
    request.issue = &order;
    answer = ask(duck, &request, 0);
    memory_give_back(list);
    return answer;
}

struct duck_answer *duck_context_revoke(struct duck *duck, const char *duckling,
                                        const char *certificate_id, const char *reason)
{
    Duck__RevokeOrder order = DUCK__REVOKE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.identity = lent_text(certificate_id);
    order.context_of = lent_text(duckling);
    order.reason = lent_text(reason);
    request.order_case = DUCK__REQUEST__ORDER_REVOKE;
    request.revoke = &order;
    return ask(duck, &request, 0);
}

struct duck_answer *duck_contexts(struct duck *duck, const char *duckling)
{
    Duck__ContextsQuery query = DUCK__CONTEXTS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.duckling = lent_text(duckling);
    request.order_case = DUCK__REQUEST__ORDER_CONTEXTS;
    request.contexts = &query;
    return ask(duck, &request, 0);
}

struct duck_answer *duck_peck_get(struct duck *duck, const char *peck_id, enum duck_wait wait,
                                  uint64_t wait_ms)
{
    Duck__PeckQuery query = DUCK__PECK_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.peck_id = lent_text(peck_id);
    query.wait_for = wait;
    query.wait_ms = wait_ms;
    request.order_case = DUCK__REQUEST__ORDER_PECK;
    request.peck = &query;
    return ask(duck, &request, wait_ms);
}

struct duck_answer *duck_cancel(struct duck *duck, const char *duckling, const char *peck_id)
{
    Duck__CancelOrder order = DUCK__CANCEL_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = lent_text(duckling);
    order.peck_id = lent_text(peck_id);
    request.order_case = DUCK__REQUEST__ORDER_CANCEL;
    request.cancel = &order;
    return ask(duck, &request, 0);
}

struct duck_answer *duck_take(struct duck *duck, const char *duckling, uint32_t limit,
                              uint64_t wait_ms, uint64_t lease_ms)
{
    Duck__TakeOrder order = DUCK__TAKE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = lent_text(duckling);
    order.limit = limit;
    order.wait_ms = wait_ms;
    order.lease_ms = lease_ms;
    request.order_case = DUCK__REQUEST__ORDER_TAKE;
    request.take = &order;
    return ask(duck, &request, wait_ms);
}

struct duck_answer *duck_acknowledge(struct duck *duck, const char *duckling,
                                     const char *const *peck_ids, size_t count)
{
    Duck__AckOrder order = DUCK__ACK_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = lent_text(duckling);
    order.peck_ids = (char **)peck_ids;
    order.n_peck_ids = count;
    request.order_case = DUCK__REQUEST__ORDER_ACK;
    request.ack = &order;
    return ask(duck, &request, 0);
}

static struct duck_answer *answer_order(struct duck *duck, const char *duckling,
                                        const char *peck_id, const char *result,
                                        const char *problem, uint64_t units)
{
    Duck__AnswerOrder order = DUCK__ANSWER_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = lent_text(duckling);
    order.peck_id = lent_text(peck_id);
    order.failed = problem != NULL;
    order.result = lent_bytes(result);
    order.problem = lent_bytes(problem);
    order.charge = units;
    request.order_case = DUCK__REQUEST__ORDER_ANSWER;
    request.answer = &order;
    return ask(duck, &request, 0);
}

struct duck_answer *duck_answer_peck(struct duck *duck, const char *duckling, const char *peck_id,
                                     const char *result_json)
{
    return answer_order(duck, duckling, peck_id, result_json ? result_json : "{}", NULL, 0);
}

struct duck_answer *duck_answer_charged(struct duck *duck, const char *duckling,
                                        const char *peck_id, const char *result_json,
                                        uint64_t units)
{
    return answer_order(duck, duckling, peck_id, result_json ? result_json : "{}", NULL, units);
}

struct duck_answer *duck_fail_peck(struct duck *duck, const char *duckling, const char *peck_id,
                                   const char *problem)
{
    return answer_order(duck, duckling, peck_id, NULL, problem ? problem : "", 0);
}

struct duck_answer *duck_answer_partial(struct duck *duck, const char *duckling,
                                        const char *peck_id, const char *result_json,
                                        uint32_t number)
{
    Duck__PartialOrder order = DUCK__PARTIAL_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = lent_text(duckling);
    order.peck_id = lent_text(peck_id);
    order.result = lent_bytes(result_json);
    order.number = number;
    request.order_case = DUCK__REQUEST__ORDER_PARTIAL;
    request.partial = &order;
    return ask(duck, &request, 0);
}

struct duck_answer *duck_partials(struct duck *duck, const char *peck_id, uint32_t after,
                                  uint32_t limit, uint64_t wait_ms)
{
    Duck__PartialsQuery query = DUCK__PARTIALS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.peck_id = lent_text(peck_id);
    query.after = after;
    query.limit = limit;
    query.wait_ms = wait_ms;
    request.order_case = DUCK__REQUEST__ORDER_PARTIALS;
    request.partials = &query;
    return ask(duck, &request, wait_ms);
}

struct duck_answer *
duck_partials_each(struct duck *duck, const char *peck_id, uint32_t after,
                   bool (*seen)(void *context, const struct duck_partial *partial), void *context)
{
    bool goes_on = true;

    while (goes_on) {
        struct duck_answer *answer = duck_partials(duck, peck_id, after, 0, WAIT_MAX_MS);
        struct duck_partial partial;

        if (!duck_ok(answer))
            return answer;
        for (size_t i = 0; goes_on && duck_partial(answer, i, &partial); i++) {
            after = partial.number;
            goes_on = seen(context, &partial);
        }
        goes_on = goes_on && !duck_partials_end(answer, after);
        duck_answer_free(answer);
    }
    return duck_peck_get(duck, peck_id, DUCK_WAIT_QUEUED, 0);
}

/* ---- bonds ---- */

/* NULL: none. Its stop words are the caller's to give back. */
static Duck__BondTerms *write_terms(const struct duck_terms *terms, Duck__BondTerms *written)
{
    duck__bond_terms__init(written);
    if (!terms)
        return NULL;
    written->per_minute = terms->per_minute;
    written->per_day = terms->per_day;
    written->budget = terms->budget;
    written->rounds = terms->rounds;
    written->cool_down_ms = terms->cool_down_ms;
    written->muted_until_ms = terms->muted_until_ms;
    written->stop_words = list_for(terms->stop_words, terms->stop_word_count);
    written->n_stop_words = terms->stop_word_count;
    return written;
}

struct duck_answer *duck_bond_set(struct duck *duck, const char *duckling, const char *bond_id,
                                  const char *const *scopes, size_t scope_count,
                                  uint64_t not_after_ms, const struct duck_terms *terms,
                                  unsigned named)
{
    ProtobufCBinaryData *list = list_for(scopes, scope_count);
    Duck__BondOrder order = DUCK__BOND_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct duck_answer *answer;
    Duck__BondTerms written;

    order.duckling = lent_text(duckling);
    order.bond_id = lent_text(bond_id);
    order.scopes = list;
    order.n_scopes = scope_count;
    order.not_after_ms = not_after_ms;
    order.terms = write_terms(terms, &written);
    order.terms_named = named;
    request.order_case = DUCK__REQUEST__ORDER_BOND;
    request.bond = &order;
    answer = ask(duck, &request, 0);
    memory_give_back(list);
    memory_give_back(written.stop_words);
    return answer;
}

struct duck_answer *duck_bonds(struct duck *duck, const char *duckling)
{
    Duck__BondsQuery query = DUCK__BONDS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.duckling = lent_text(duckling);
    request.order_case = DUCK__REQUEST__ORDER_BONDS;
    request.bonds = &query;
    return ask(duck, &request, 0);
}

struct duck_answer *duck_approve(struct duck *duck, const char *duckling, const char *peck_id,
                                 const char *const *scopes, size_t scope_count,
                                 uint64_t not_after_ms)
{
    return duck_approve_with(duck, duckling, peck_id, scopes, scope_count, not_after_ms, NULL, 0);
}

struct duck_answer *duck_approve_with(struct duck *duck, const char *duckling, const char *peck_id,
                                      const char *const *scopes, size_t scope_count,
                                      uint64_t not_after_ms, const struct duck_terms *terms,
                                      unsigned named)
{
    ProtobufCBinaryData *list = list_for(scopes, scope_count);
    Duck__ApproveOrder order = DUCK__APPROVE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct duck_answer *answer;
    Duck__BondTerms written;

    order.duckling = lent_text(duckling);
    order.peck_id = lent_text(peck_id);
    order.scopes = list;
    order.n_scopes = scope_count;
    order.not_after_ms = not_after_ms;
    order.terms = write_terms(terms, &written);
    order.terms_named = named;
    request.order_case = DUCK__REQUEST__ORDER_APPROVE;
    request.approve = &order;
    answer = ask(duck, &request, 0);
    memory_give_back(list);
    memory_give_back(written.stop_words);
    return answer;
}

struct duck_answer *duck_deny(struct duck *duck, const char *duckling, const char *peck_id,
                              const char *reason)
{
    Duck__DenyOrder order = DUCK__DENY_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = lent_text(duckling);
    order.peck_id = lent_text(peck_id);
    order.reason = lent_bytes(reason);
    request.order_case = DUCK__REQUEST__ORDER_DENY;
    request.deny = &order;
    return ask(duck, &request, 0);
}

struct duck_answer *duck_unpeck(struct duck *duck, const char *duckling,
                                const char *bond_id_or_duckling)
{
    Duck__UnpeckOrder order = DUCK__UNPECK_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    bool is_bond = bond_id_or_duckling && strncmp(bond_id_or_duckling, "bnd_", 4) == 0;

    order.duckling = lent_text(duckling);
    if (is_bond)
        order.bond_id = lent_text(bond_id_or_duckling);
    else
        order.with = lent_text(bond_id_or_duckling);
    request.order_case = DUCK__REQUEST__ORDER_UNPECK;
    request.unpeck = &order;
    return ask(duck, &request, 0);
}

struct duck_answer *duck_search(struct duck *duck, const struct duck_search *search)
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.capability = lent_text(search->capability);
    query.text = lent_text(search->text);
    query.duckling = lent_text(search->duckling);
    query.host = lent_text(search->host);
    query.cursor = lent_text(search->cursor);
    query.alive_within_ms = search->alive_within_ms;
    query.live_host = search->live_host;
    query.limit = search->limit;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    return ask(duck, &request, 0);
}

/* ---- events ---- */

uint64_t duck_call_follow(struct duck *duck, const char *duckling, bool directory,
                          bool (*seen)(void *context, const Duck__Reply *event), void *context)
{
    return connection_follow(duck->connection, duckling, directory, seen, context, NULL, false);
}

void duck_unfollow(struct duck *duck, uint64_t follow)
{
    connection_unfollow(duck->connection, follow);
}

struct event_reader {
    bool (*seen)(void *context, const struct duck_event *event);
    void *context;
};

static bool read_event(void *context, const Duck__Reply *reply)
{
    const struct event_reader *reader = context;
    const Duck__EventView *view = reply->event;
    struct duck_event event = {
        .kind = view->kind,
        .duckling = view->duckling,
        .with = view->with,
        .peck_id = view->peck_id,
        .state = view->state,
        .incoming = view->box == 1,
        .at_ms = view->at_ms,
        .dropped = view->dropped,
        .number = view->number,
        .bond_id = view->bond_id,
        .before = view->before,
        .reason = view->reason,
    };

    return reader->seen(reader->context, &event);
}

int duck_follow(struct duck *duck, const char *duckling, bool directory,
                bool (*seen)(void *context, const struct duck_event *event), void *context)
{
    struct event_reader *reader = memory_take(sizeof *reader);
    uint64_t follow;

    reader->seen = seen;
    reader->context = context;
    follow =
        connection_follow(duck->connection, duckling, directory, read_event, reader, reader, true);
    if (connection_follow_began(duck->connection, follow, FOLLOW_BEGIN_MS))
        return 0;
    connection_unfollow(duck->connection, follow);
    return -1;
}
