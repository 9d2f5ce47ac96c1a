#include "node_link.h"

#include "accounts.h"
#include "client/duck_client.h"
#include "core/bytes.h"
#include "gate_log.h"
#include "gateway.h"
#include "wire/local.pb-c.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define POLL_TIMEOUT_MS 3000

struct node_link {
    struct node_link_settings settings;

    pthread_rwlock_t duck_lock; /* written only when the client comes and goes */
    struct duck *duck;          /* NULL: not reached yet, or shut */
    bool is_shut;

    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_ending;
    struct node_status status;
    pthread_t thread;

    _Atomic bool is_up;
    _Atomic uint64_t pageviews; /* not told yet */
    _Atomic uint64_t orders;    /* begun and answered */
    uint64_t eggs_told, recount_at_ms;
};

/* ---- calls ---- */

static Duck__Reply *make_unreachable(void)
{
    Duck__Problem problem = DUCK__PROBLEM__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    uint8_t packed[128];

    problem.code = "unreachable";
    problem.message = "the node does not run, or is starting";
    reply.answer_case = DUCK__REPLY__ANSWER_PROBLEM;
    reply.problem = &problem;
    return duck__reply__unpack(NULL, duck__reply__pack(&reply, packed), packed);
}

uint64_t node_link_orders(struct node_link *link)
{
    return atomic_load(&link->orders);
}

/* What the gateway asks for everybody (questions.h). All else counts as an order. */
static bool only_asks(const Duck__Request *request)
{
    return request->order_case == DUCK__REQUEST__ORDER_METRICS ||
           request->order_case == DUCK__REQUEST__ORDER_DIRECTORY;
}

struct ordered {
    struct node_link *link;
    void (*done)(void *context, Duck__Reply *reply);
    void *context;
};

/* Counted before whoever ordered it hears of it, and looks. */
static void was_ordered(void *context, Duck__Reply *reply)
{
    struct ordered ordered = *(struct ordered *)context;

    memory_give_back(context);
    atomic_fetch_add(&ordered.link->orders, 1);
    ordered.done(ordered.context, reply);
}

static void call(struct node_link *link, struct Duck__Request *request, uint64_t timeout_ms,
                 void (*done)(void *context, struct Duck__Reply *reply), void *context)
{
    bool is_there;

    pthread_rwlock_rdlock(&link->duck_lock);
    is_there = link->duck;
    if (is_there)
        duck_call(link->duck, request, timeout_ms, done, context);
    pthread_rwlock_unlock(&link->duck_lock);
    if (!is_there)
        done(context, make_unreachable());
}

void node_link_call(struct node_link *link, struct Duck__Request *request, uint64_t timeout_ms,
                    void (*done)(void *context, struct Duck__Reply *reply), void *context)
{
    struct ordered *ordered;

    if (only_asks(request)) {
        call(link, request, timeout_ms, done, context);
        return;
    }
    ordered = memory_take(sizeof *ordered);
    *ordered = (struct ordered){.link = link, .done = done, .context = context};
    atomic_fetch_add(&link->orders, 1);
    call(link, request, timeout_ms, was_ordered, ordered);
}

static bool reach(struct node_link *link)
{
    struct duck *duck = NULL;
    bool is_kept;

    if (link->duck) /* only this thread puts it there */
        return true;
    if (duck_connect(&duck, link->settings.socket, NULL))
        return false;
    pthread_rwlock_wrlock(&link->duck_lock);
    is_kept = !link->is_shut;
    if (is_kept)
        link->duck = duck;
    pthread_rwlock_unlock(&link->duck_lock);
    if (!is_kept)
        duck_close(duck);
    return is_kept;
}

/* For the link's own thread: node_link_shut waits for it before the client is closed. */
static Duck__Reply *ask(struct node_link *link, Duck__Request *request)
{
    return reach(link) ? duck_call_wait(link->duck, request, POLL_TIMEOUT_MS) : make_unreachable();
}

/* ---- status ---- */

static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

static void copy_status(struct node_status *status, const Duck__StatusAnswer *answer)
{
    status->is_up = true;
    copy_text(status->node_id, sizeof status->node_id, answer->node_id);
    copy_text(status->version, sizeof status->version, answer->version);
    copy_text(status->network, sizeof status->network, answer->network);
    copy_text(status->display_name, sizeof status->display_name, answer->display_name);
    status->started_ms = answer->started_ms;
    status->links = answer->links;
    status->known_nodes = answer->known_nodes;
    status->records = answer->records;
    status->hosted = answer->hosted;
    status->outbox = answer->outbox;
    status->inbox = answer->inbox;
    status->part_count = answer->n_parts < NODE_PARTS_MAX ? answer->n_parts : NODE_PARTS_MAX;
    for (size_t i = 0; i < status->part_count; i++) {
        copy_text(status->parts[i].name, sizeof status->parts[i].name, answer->parts[i]->name);
        copy_text(status->parts[i].status, sizeof status->parts[i].status,
                  answer->parts[i]->status);
        copy_text(status->parts[i].reason, sizeof status->parts[i].reason,
                  answer->parts[i]->reason);
    }
}

static void add_own_part(struct node_link *link, struct node_status *status)
{
    const char *trouble = accounts_trouble(link->settings.accounts);
    struct node_part *part = &status->parts[status->part_count++];

    copy_text(part->name, sizeof part->name, NODE_OWN_PART);
    copy_text(part->status, sizeof part->status, trouble ? "outage" : "operational");
    copy_text(part->reason, sizeof part->reason, trouble ? trouble : "");
}

static void note_status(struct node_link *link, const struct node_status *status)
{
    bool was_up = atomic_exchange(&link->is_up, status->is_up);

    pthread_mutex_lock(&link->lock);
    link->status = *status;
    pthread_mutex_unlock(&link->lock);
    if (status->is_up && !was_up)
        gate_log(GATE_LOG_INFO, "node", "%s answers, version %s", status->node_id, status->version);
    if (!status->is_up && was_up)
        gate_log(GATE_LOG_WARNING, "node", "the node does not answer any more");
    if (link->settings.refreshed)
        link->settings.refreshed(link->settings.context, status);
}

static bool refresh_status(struct node_link *link)
{
    Duck__StatusQuery query = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct node_status status = {.asked_ms = gateway_wall_ms()};
    Duck__Reply *reply;

    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &query;
    reply = ask(link, &request);
    if (reply->answer_case == DUCK__REPLY__ANSWER_STATUS)
        copy_status(&status, reply->status);
    duck_reply_free(reply);
    if (!status.is_up) /* an identity does not change: it stays known */
        copy_text(status.node_id, sizeof status.node_id, link->status.node_id);
    add_own_part(link, &status);
    note_status(link, &status);
    return status.is_up;
}

void node_link_status(struct node_link *link, struct node_status *status)
{
    pthread_mutex_lock(&link->lock);
    *status = link->status;
    pthread_mutex_unlock(&link->lock);
}

bool node_link_is_up(struct node_link *link)
{
    return atomic_load_explicit(&link->is_up, memory_order_relaxed);
}

const char *node_status_word(const struct node_status *status)
{
    const char *word = "operational";

    if (!status->is_up)
        return "outage";
    for (size_t i = 0; i < status->part_count; i++) {
        if (!strcmp(status->parts[i].status, "outage"))
            return "outage";
        if (!strcmp(status->parts[i].status, "degraded"))
            word = "degraded";
    }
    return word;
}

/* ---- counters ---- */

void node_link_count_pageview(struct node_link *link)
{
    atomic_fetch_add(&link->pageviews, 1);
}

static bool tell(struct node_link *link, int64_t eggs, uint64_t pageviews)
{
    Duck__CountOrder order = DUCK__COUNT_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    bool is_done;

    order.eggs = eggs;
    order.pageviews = pageviews;
    request.order_case = DUCK__REQUEST__ORDER_COUNT;
    request.count = &order;
    reply = ask(link, &request);
    is_done = reply->answer_case == DUCK__REPLY__ANSWER_DONE;
    duck_reply_free(reply);
    return is_done;
}

/* What the node believes: it may have been restored, or have had another gateway. */
static bool eggs_of_node(struct node_link *link, uint64_t *eggs)
{
    Duck__MetricsQuery query = DUCK__METRICS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    bool is_told;

    request.order_case = DUCK__REQUEST__ORDER_METRICS;
    request.metrics = &query;
    reply = ask(link, &request);
    is_told = reply->answer_case == DUCK__REPLY__ANSWER_METRICS && reply->metrics->this_node;
    if (is_told)
        *eggs = reply->metrics->this_node->eggs;
    duck_reply_free(reply);
    return is_told;
}

static void tell_counters(struct node_link *link)
{
    uint64_t eggs = accounts_count(link->settings.accounts).eggs;
    uint64_t pageviews = atomic_load(&link->pageviews);
    uint64_t now_ms = gateway_now_ms(), believed = eggs;

    if (eggs != link->eggs_told || now_ms >= link->recount_at_ms) {
        if (!eggs_of_node(link, &believed))
            return;
        link->recount_at_ms = now_ms + NODE_RECOUNT_MS;
    }
    if (eggs != believed || pageviews > 0) {
        if (!tell(link, (int64_t)eggs - (int64_t)believed, pageviews))
            return;
        atomic_fetch_sub(&link->pageviews, pageviews);
    }
    link->eggs_told = eggs;
}

/* ---- the thread ---- */

static bool wait_for_next(struct node_link *link)
{
    struct timespec until;
    bool goes_on;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += NODE_POLL_MS / 1000;
    pthread_mutex_lock(&link->lock);
    while (!link->is_ending && pthread_cond_timedwait(&link->ended, &link->lock, &until) == 0)
        ;
    goes_on = !link->is_ending;
    pthread_mutex_unlock(&link->lock);
    return goes_on;
}

static void *poll_node(void *context)
{
    struct node_link *link = context;

    do
        if (refresh_status(link))
            tell_counters(link);
    while (wait_for_next(link));
    return NULL;
}

struct node_link *node_link_open(const struct node_link_settings *settings)
{
    struct node_link *link = memory_take(sizeof *link);
    pthread_condattr_t steady;

    link->settings = *settings;
    pthread_rwlock_init(&link->duck_lock, NULL);
    pthread_mutex_init(&link->lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&link->ended, &steady);
    pthread_condattr_destroy(&steady);
    if (pthread_create(&link->thread, NULL, poll_node, link)) {
        pthread_cond_destroy(&link->ended);
        pthread_mutex_destroy(&link->lock);
        pthread_rwlock_destroy(&link->duck_lock);
        memory_give_back(link);
        return NULL;
    }
    return link;
}

void node_link_shut(struct node_link *link)
{
    struct duck *duck;

    pthread_mutex_lock(&link->lock);
    link->is_ending = true;
    pthread_cond_broadcast(&link->ended);
    pthread_mutex_unlock(&link->lock);
    pthread_join(link->thread, NULL);

    pthread_rwlock_wrlock(&link->duck_lock);
    link->is_shut = true;
    duck = link->duck;
    link->duck = NULL;
    pthread_rwlock_unlock(&link->duck_lock);
    duck_close(duck);
}

void node_link_close(struct node_link *link)
{
    if (!link)
        return;
    if (!link->is_shut)
        node_link_shut(link);
    pthread_cond_destroy(&link->ended);
    pthread_mutex_destroy(&link->lock);
    pthread_rwlock_destroy(&link->duck_lock);
    memory_give_back(link);
}
