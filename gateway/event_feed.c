#include "event_feed.h"

#include "client/duck_client.h"
#include "core/audit_log.h"
#include "core/binary_data.h"
#include "gate_events.h"
#include "gate_fault.h"
#include "gate_log.h"
#include "gateway.h"
#include "reply.h"
#include "strict_json.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define ASK_TIMEOUT_MS 5000u

struct event_feed {
    struct event_feed_settings settings;
    struct gate_store *store;
    struct gate_feed place; /* as it is kept */
    uint64_t read;          /* the last entry that was looked at */
    uint64_t tiers_at_ms, tiers_from;
    struct gate_event *events; /* of one stretch */
    size_t event_count, event_room;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_running, is_ending;
    Duck__Reply *reply; /* that came for the thread */
};

/* ---- asking the node ---- */

static void take_reply(void *context, Duck__Reply *reply)
{
    struct event_feed *feed = context;

    pthread_mutex_lock(&feed->lock);
    feed->reply = reply;
    pthread_cond_signal(&feed->changed);
    pthread_mutex_unlock(&feed->lock);
}

static Duck__Reply *ask(struct event_feed *feed, Duck__Request *request, uint64_t wait_ms)
{
    Duck__Reply *reply;

    node_link_call(feed->settings.node, request, wait_ms + ASK_TIMEOUT_MS, take_reply, feed);
    pthread_mutex_lock(&feed->lock);
    while (!feed->reply) /* it always comes */
        pthread_cond_wait(&feed->changed, &feed->lock);
    reply = feed->reply;
    feed->reply = NULL;
    pthread_mutex_unlock(&feed->lock);
    return reply;
}

/* False: it ends. */
static bool rest(struct event_feed *feed, unsigned ms)
{
    struct timespec until;
    bool goes_on;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += (time_t)(ms / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&feed->lock);
    while (!feed->is_ending && pthread_cond_timedwait(&feed->changed, &feed->lock, &until) == 0)
        ;
    goes_on = !feed->is_ending;
    pthread_mutex_unlock(&feed->lock);
    return goes_on;
}

/* It did not say what was asked for, and may later: what hangs on it is not told without. */
static bool is_away(const Duck__Reply *reply)
{
    static const char *const codes[] = {"unreachable", "timeout", "busy"};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM &&
            !strcmp(reply->problem->code, codes[i]))
            return true;
    return false;
}

/* 0 is known of everybody: `*is_known` false is a duckling that the directory does not have. */
static int ask_tier(struct event_feed *feed, const char *duckling, unsigned *tier, bool *is_known)
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    int fault;

    query.duckling = (char *)duckling;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    reply = ask(feed, &request, 0);
    fault = is_away(reply) ? GATE_FAULT_NODE : 0;
    *is_known =
        reply->answer_case == DUCK__REPLY__ANSWER_DIRECTORY && reply->directory->n_entries > 0;
    if (*is_known)
        *tier = reply->directory->entries[0]->tier;
    duck_reply_free(reply);
    return fault;
}

/* ---- a stretch ---- */

static struct gate_event *add_event(struct event_feed *feed)
{
    if (feed->event_count == feed->event_room) {
        feed->event_room = feed->event_room ? 2 * feed->event_room : 64;
        feed->events = memory_resize(feed->events, feed->event_room * sizeof *feed->events);
    }
    feed->events[feed->event_count] = (struct gate_event){.action = ""};
    return &feed->events[feed->event_count++];
}

static void forget_events(struct event_feed *feed)
{
    for (size_t i = 0; i < feed->event_count; i++) {
        strict_json_forget((char *)feed->events[i].data);
        if (feed->events[i].action[0])
            memory_give_back((char *)feed->events[i].action);
    }
    feed->event_count = 0;
}

static int find_owner(struct event_feed *feed, const char *text, struct gate_duckling *row,
                      bool *found)
{
    struct id duckling;

    *found = id_parse(ID_DUCKLING, bytes_of_text(text), &duckling);
    return *found ? gate_duckling_find(feed->store, &duckling, row, found) : 0;
}

/* Keeps `data`. */
static int note(struct event_feed *feed, const struct gate_duckling *owner,
                enum happening happening, const Duck__AuditView *entry, const char *with,
                json_t *data)
{
    struct gate_event *event = add_event(feed);
    unsigned tier = 0;
    bool is_known;
    int fault = gate_webhooks_tier(feed->store, owner->operator_id, &tier);

    event->operator_id = owner->operator_id;
    event->duckling = owner->duckling;
    event->happening = happening;
    event->at_ms = entry->at_ms;
    event->data = json_dumps(data, JSON_COMPACT);
    json_decref(data);
    if (!fault && tier > 0 && *with)
        fault = ask_tier(feed, with, &event->tier, &is_known);
    return fault;
}

static json_t *data_of(const char *duckling, const char *with)
{
    json_t *data = json_object();

    reply_word(data, "duckling_id", duckling);
    reply_word(data, "with", with);
    return data;
}

static const char *copy_action(struct bytes action)
{
    char *copy;

    if (action.size == 0)
        return "";
    copy = memory_take(action.size + 1);
    memcpy(copy, action.data, action.size);
    return copy;
}

static void put_what(json_t *data, bool is_bond_request, struct bytes action)
{
    reply_word(data, "kind", is_bond_request ? "bond_request" : "action");
    if (!is_bond_request)
        reply_text(data, "action", action);
}

static int note_peck(struct event_feed *feed, const Duck__AuditView *entry)
{
    struct bytes detail = borrowed(entry->detail);
    bool is_bond_request = bytes_equal(detail, bytes_of_text("bond request")), found;
    struct gate_duckling owner;
    json_t *data;
    int fault = find_owner(feed, entry->duckling, &owner, &found);

    if (fault || !found)
        return fault;
    data = data_of(entry->duckling, entry->with);
    reply_word(data, "peck_id", entry->subject);
    put_what(data, is_bond_request, detail);
    reply_word(data, "state", entry->state);
    fault = note(feed, &owner, HAPPENED_PECK, entry, entry->with, data);
    if (!is_bond_request)
        feed->events[feed->event_count - 1].action = copy_action(detail);
    return fault;
}

/* What the log does not say of a peck that was sent. */
static Duck__Reply *ask_peck(struct event_feed *feed, const Duck__AuditView *entry)
{
    Duck__PeckQuery query = DUCK__PECK_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.peck_id = entry->subject;
    query.duckling = entry->duckling;
    request.order_case = DUCK__REQUEST__ORDER_PECK;
    request.peck = &query;
    return ask(feed, &request, 0);
}

static bool is_end(const Duck__AuditView *entry, const Duck__PeckView *peck)
{
    static const char *const ends[] = {"answered", "failed", "denied", "expired", "cancelled"};

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (!strcmp(entry->state, ends[i]))
            return true;
    return !strcmp(entry->state, "approved") && peck && peck->kind == PECK_BOND_REQUEST;
}

static int note_end_of(struct event_feed *feed, const struct gate_duckling *owner,
                       const Duck__AuditView *entry, const Duck__PeckView *peck)
{
    json_t *data = data_of(entry->duckling, entry->with);
    struct bytes action = peck ? borrowed(peck->action) : bytes_of(NULL, 0);
    int fault;

    reply_word(data, "peck_id", entry->subject);
    if (peck) {
        put_what(data, peck->kind == PECK_BOND_REQUEST, action);
        reply_text(data, "thread", borrowed(peck->thread));
        reply_word(data, "refusal", peck->refusal);
    }
    reply_word(data, "state", entry->state);
    reply_text(data, "reason", borrowed(entry->detail));
    fault = note(feed, owner, HAPPENED_PECK_ANSWERED, entry, entry->with, data);
    feed->events[feed->event_count - 1].action = copy_action(action);
    return fault;
}

static int note_answer(struct event_feed *feed, const Duck__AuditView *entry)
{
    struct gate_duckling owner;
    const Duck__PeckView *peck;
    Duck__Reply *reply;
    bool found;
    int fault = find_owner(feed, entry->duckling, &owner, &found);

    if (fault || !found || !strcmp(entry->state, "taken") || !strcmp(entry->state, "pending"))
        return fault;
    reply = ask_peck(feed, entry);
    peck = reply->answer_case == DUCK__REPLY__ANSWER_PECK ? reply->peck : NULL;
    if (is_away(reply))
        fault = GATE_FAULT_NODE;
    else if (is_end(entry, peck))
        fault = note_end_of(feed, &owner, entry, peck);
    duck_reply_free(reply);
    return fault;
}

static void put_scopes(json_t *data, struct bytes lines)
{
    json_t *scopes = json_array();

    while (lines.size > 0) {
        const uint8_t *end = memchr(lines.data, '\n', lines.size);
        size_t size = end ? (size_t)(end - lines.data) : lines.size;

        json_array_append_new(scopes, json_stringn((const char *)lines.data, size));
        size += end ? 1 : 0;
        lines = bytes_of(lines.data + size, lines.size - size);
    }
    json_object_set_new(data, "scopes", scopes);
}

static int note_bond_at(struct event_feed *feed, const Duck__AuditView *entry,
                        enum happening happening, const char *duckling, const char *with)
{
    struct gate_duckling owner;
    json_t *data;
    bool found;
    int fault = find_owner(feed, duckling, &owner, &found);

    if (fault || !found)
        return fault;
    feed->tiers_at_ms = gateway_now_ms() + FEED_TIERS_SOON_MS; /* it may be worth a tier */
    data = data_of(duckling, with);
    reply_word(data, "bond_id", entry->subject);
    if (happening == HAPPENED_BOND)
        put_scopes(data, borrowed(entry->detail));
    return note(feed, &owner, happening, entry, with, data);
}

/* The log names the approver first; each end that lives here has its event. */
static int note_bond(struct event_feed *feed, const Duck__AuditView *entry,
                     enum happening happening)
{
    int fault = note_bond_at(feed, entry, happening, entry->duckling, entry->with);

    return fault ? fault : note_bond_at(feed, entry, happening, entry->with, entry->duckling);
}

static int note_revocation(struct event_feed *feed, const Duck__AuditView *entry)
{
    struct gate_duckling owner;
    json_t *data;
    bool found;
    int fault = find_owner(feed, entry->duckling, &owner, &found);

    if (fault || !found)
        return fault;
    data = data_of(entry->duckling, "");
    if (entry->detail.len > 0)
        reply_text(data, "reason", borrowed(entry->detail));
    return note(feed, &owner, HAPPENED_REVOKED, entry, "", data);
}

/* Its name is the first line; how many of its scopes the log has is not told, so none is. */
static int note_issued(struct event_feed *feed, const Duck__AuditView *entry)
{
    struct bytes lines = borrowed(entry->detail);
    const uint8_t *end = lines.size ? memchr(lines.data, '\n', lines.size) : NULL;
    struct gate_duckling owner;
    json_t *data;
    bool found;
    int fault = find_owner(feed, entry->duckling, &owner, &found);

    if (fault || !found)
        return fault;
    data = data_of(entry->duckling, "");
    reply_word(data, "certificate_id", entry->subject);
    reply_text(data, "context",
               bytes_of(lines.data, end ? (size_t)(end - lines.data) : lines.size));
    return note(feed, &owner, HAPPENED_CERTIFICATE, entry, "", data);
}

/* Both ends have an entry of their own where they live on one node. */
static int note_lobster(struct event_feed *feed, const Duck__AuditView *entry, const char *step)
{
    struct gate_duckling owner;
    json_t *data;
    bool found;
    int fault = find_owner(feed, entry->duckling, &owner, &found);

    if (fault || !found)
        return fault;
    feed->tiers_at_ms = gateway_now_ms() + FEED_TIERS_SOON_MS;
    data = data_of(entry->duckling, entry->with);
    reply_word(data, "bond_id", entry->subject);
    reply_word(data, "step", step);
    if (entry->detail.len > 0)
        reply_text(data, "reason", borrowed(entry->detail));
    return note(feed, &owner, HAPPENED_LOBSTER, entry, entry->with, data);
}

static int look_at(struct event_feed *feed, const Duck__AuditView *entry)
{
    if (!strcmp(entry->kind, audit_kind_name(AUDIT_PECK_RECEIVED)))
        return note_peck(feed, entry);
    if (!strcmp(entry->kind, audit_kind_name(AUDIT_RECEIPT_CAME)) ||
        !strcmp(entry->kind, audit_kind_name(AUDIT_PECK_ENDED)))
        return note_answer(feed, entry);
    if (!strcmp(entry->kind, audit_kind_name(AUDIT_BOND_MADE)))
        return note_bond(feed, entry, HAPPENED_BOND);
    if (!strcmp(entry->kind, audit_kind_name(AUDIT_BOND_ENDED)))
        return note_bond(feed, entry, HAPPENED_UNPECK);
    if (!strcmp(entry->kind, audit_kind_name(AUDIT_CONTEXT_ISSUED)))
        return note_issued(feed, entry);
    if (!strcmp(entry->kind, audit_kind_name(AUDIT_REVOKED)))
        return note_revocation(feed, entry);
    if (!strcmp(entry->kind, audit_kind_name(AUDIT_LOBSTER_CONFIRMED)))
        return note_lobster(feed, entry, "confirmed");
    if (!strcmp(entry->kind, audit_kind_name(AUDIT_LOBSTER_LIVE)))
        return note_lobster(feed, entry, "live");
    if (!strcmp(entry->kind, audit_kind_name(AUDIT_LOBSTER_ENDED)))
        return note_lobster(feed, entry, "ended");
    return 0;
}

/* ---- keeping ---- */

static int keep(struct event_feed *feed, uint64_t entry)
{
    int fault = gate_store_begin(feed->store);

    for (size_t i = 0; i < feed->event_count && !fault; i++)
        fault = gate_event_keep(feed->store, feed->place.name, &feed->events[i]);
    if (!fault)
        fault = gate_feed_set(feed->store, feed->place.node, entry);
    if (!fault)
        fault = gate_store_commit(feed->store);
    if (fault)
        gate_store_roll_back(feed->store);
    else
        feed->place.entry = entry;
    return fault;
}

static void tell(struct event_feed *feed)
{
    for (size_t i = 0; i < feed->event_count; i++)
        if (i == 0 || feed->events[i].operator_id != feed->events[i - 1].operator_id)
            feed->settings.told(feed->settings.context, feed->events[i].operator_id);
}

static int keep_stretch(struct event_feed *feed, uint64_t entry)
{
    int fault = 0;

    if (feed->event_count > 0 || entry - feed->place.entry >= FEED_UNKEPT_MAX)
        fault = keep(feed, entry);
    if (!fault) {
        feed->read = entry;
        tell(feed);
    }
    return fault;
}

static int take_stretch(struct event_feed *feed, const Duck__AuditList *list)
{
    int fault = 0;

    if (list->n_entries == 0)
        return 0;
    for (size_t i = 0; i < list->n_entries && !fault; i++)
        fault = look_at(feed, list->entries[i]);
    if (!fault)
        fault = keep_stretch(feed, list->entries[list->n_entries - 1]->number);
    forget_events(feed);
    return fault;
}

/* Restored, or another node's: what is in it was told before, or is not for us. */
static int begin_anew(struct event_feed *feed, uint64_t entry)
{
    gate_log(GATE_LOG_WARNING, "events",
             "the node's log has begun anew; events go on from entry %" PRIu64, entry);
    feed->read = entry;
    return keep(feed, entry);
}

static int know_node(struct event_feed *feed)
{
    struct node_status status;

    node_link_status(feed->settings.node, &status);
    if (!status.is_up || !strcmp(status.node_id, feed->place.node))
        return 0;
    if (feed->place.node[0])
        gate_log(GATE_LOG_WARNING, "events", "this is another node than before");
    snprintf(feed->place.node, sizeof feed->place.node, "%s", status.node_id);
    feed->read = 0;
    return keep(feed, 0);
}

/* ---- tiers ---- */

static void note_tier(struct event_feed *feed, const struct gate_duckling *owner, unsigned tier,
                      unsigned was)
{
    struct gate_event *event = add_event(feed);
    json_t *data = json_object();
    char text[ID_TEXT_SIZE];

    reply_word(data, "duckling_id", id_text(ID_DUCKLING, &owner->duckling, text));
    json_object_set_new(data, "tier", reply_tier(tier));
    json_object_set_new(data, "was", reply_tier(was));
    event->operator_id = owner->operator_id;
    event->duckling = owner->duckling;
    event->happening = HAPPENED_TIER_CHANGE;
    event->at_ms = gateway_wall_ms();
    event->tier = tier;
    event->data = json_dumps(data, JSON_COMPACT);
    json_decref(data);
}

/* The tier that was told and the event that tells it are kept together. */
static int keep_tier(struct event_feed *feed, const struct gate_duckling *owner, unsigned tier)
{
    int fault = gate_store_begin(feed->store);

    if (!fault)
        fault = gate_tier_set(feed->store, &owner->duckling, tier);
    if (!fault && feed->event_count > 0)
        fault = gate_event_keep(feed->store, feed->place.name, &feed->events[0]);
    if (!fault)
        fault = gate_store_commit(feed->store);
    if (fault)
        gate_store_roll_back(feed->store);
    else
        tell(feed);
    return fault;
}

static int compare_tier(struct event_feed *feed, const struct gate_duckling *owner)
{
    char text[ID_TEXT_SIZE];
    unsigned was = 0, tier = 0; /* everybody begins there */
    bool is_known;
    int fault;

    fault = ask_tier(feed, id_text(ID_DUCKLING, &owner->duckling, text), &tier, &is_known);
    if (fault || !is_known)
        return fault;
    fault = gate_tier_get(feed->store, &owner->duckling, &was, &is_known);
    if (fault || was == tier)
        return fault;
    note_tier(feed, owner, tier, was);
    fault = keep_tier(feed, owner, tier);
    forget_events(feed);
    return fault;
}

static int compare_tiers(struct event_feed *feed)
{
    uint64_t now_ms = gateway_now_ms();
    struct gate_duckling owner;
    bool found = true;
    int fault = 0;

    if (now_ms < feed->tiers_at_ms || !node_link_is_up(feed->settings.node))
        return 0;
    feed->tiers_at_ms = now_ms + FEED_TIERS_EACH_MS;
    for (unsigned i = 0; i < FEED_TIERS_AT_ONCE && found && !fault; i++) {
        fault = gate_duckling_next(feed->store, &feed->tiers_from, &owner, &found);
        if (found && !fault)
            fault = compare_tier(feed, &owner);
    }
    if (!found)
        feed->tiers_from = 0;
    return fault;
}

/* ---- the thread ---- */

static uint64_t wait_until_tiers(const struct event_feed *feed)
{
    uint64_t now_ms = gateway_now_ms();
    uint64_t left_ms = feed->tiers_at_ms > now_ms ? feed->tiers_at_ms - now_ms : 0;

    return left_ms < FEED_WAIT_MS ? left_ms : FEED_WAIT_MS;
}

static int read_on(struct event_feed *feed, unsigned *rest_ms)
{
    Duck__AuditNewsQuery query = DUCK__AUDIT_NEWS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    int fault = know_node(feed);

    if (fault || !feed->place.node[0])
        return fault;
    query.after = feed->read;
    query.limit = FEED_ENTRIES_AT_ONCE;
    query.wait_ms = wait_until_tiers(feed);
    request.order_case = DUCK__REQUEST__ORDER_AUDIT_NEWS;
    request.audit_news = &query;
    reply = ask(feed, &request, query.wait_ms);
    if (reply->answer_case == DUCK__REPLY__ANSWER_AUDIT) {
        *rest_ms = reply->audit->n_entries < FEED_ENTRIES_AT_ONCE ? FEED_GATHER_MS : 0;
        fault = reply->audit->last < feed->read ? begin_anew(feed, reply->audit->last)
                                                : take_stretch(feed, reply->audit);
    }
    duck_reply_free(reply);
    return fault;
}

static void *run(void *context)
{
    struct event_feed *feed = context;
    unsigned rest_ms = 0;

    while (rest(feed, rest_ms)) {
        int fault;

        rest_ms = FEED_REST_MS;
        fault = read_on(feed, &rest_ms);
        if (!fault)
            fault = compare_tiers(feed);
        if (fault == GATE_FAULT_NODE) {
            rest_ms = FEED_REST_MS; /* that it is away says the link */
        } else if (fault) {
            gate_log(GATE_LOG_WARNING, "events", "what happened cannot be kept: %s (%s)",
                     gate_fault_text(fault), gate_store_complaint(feed->store));
            rest_ms = FEED_REST_MS;
        }
    }
    return NULL;
}

int event_feed_open(struct event_feed **opened, const struct event_feed_settings *settings)
{
    struct event_feed *feed = memory_take(sizeof *feed);
    pthread_condattr_t steady;
    int fault;

    feed->settings = *settings;
    pthread_mutex_init(&feed->lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&feed->changed, &steady);
    pthread_condattr_destroy(&steady);
    fault = gate_store_open_writer(&feed->store, settings->store_path);
    if (!fault)
        fault = gate_feed_get(feed->store, &feed->place);
    feed->read = feed->place.entry;
    if (!fault && pthread_create(&feed->thread, NULL, run, feed) != 0)
        fault = GATE_FAULT_THREAD;
    feed->is_running = !fault;
    if (fault) {
        event_feed_close(feed);
        return fault;
    }
    *opened = feed;
    return 0;
}

void event_feed_close(struct event_feed *feed)
{
    if (!feed)
        return;
    if (feed->is_running) {
        pthread_mutex_lock(&feed->lock);
        feed->is_ending = true;
        pthread_cond_broadcast(&feed->changed);
        pthread_mutex_unlock(&feed->lock);
        pthread_join(feed->thread, NULL);
    }
    gate_store_close(feed->store);
    memory_give_back(feed->events);
    pthread_cond_destroy(&feed->changed);
    pthread_mutex_destroy(&feed->lock);
    memory_give_back(feed);
}
