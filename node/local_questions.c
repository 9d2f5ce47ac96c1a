/* Readers: threads with a read-only connection to the store each, that take questions in order, of each
 * program one in turn.
 * What they say of the node itself stands here too. */
#include "clock.h"
#include "core/certificate.h"
#include "core/introduction.h"
#include "local_parts.h"
#include "log.h"
#include "store.h"
#include "wire/local.pb-c.h"

#include <assert.h>
#include <stdio.h>

#define GATEWAY_URL_SIZE 1024u /* a line of its file, with NUL */
#define SKEW_WORTH_TELLING_MS ((int64_t)MINUTE_MS)

/* ---- composing ---- */

void *local_new(struct local_view *view, size_t size)
{
    void *made = arena_take(&view->arena, size);

    assert(made); /* its budget has no end: what goes in is bounded */
    memset(made, 0, size);
    return made;
}

char *local_id(struct local_view *view, enum id_kind kind, const struct id *id)
{
    if (id_is_zero(id))
        return (char *)protobuf_c_empty_string;
    return (char *)id_text(kind, id, local_new(view, ID_TEXT_SIZE));
}

void local_problem(struct local_view *view, void *reply, enum refusal_code code,
                   const char *message, const char *field)
{
    Duck__Problem *problem = local_new(view, sizeof *problem);
    Duck__Reply *answer = reply;

    duck__problem__init(problem);
    problem->code = (char *)refusal_code_name(code);
    problem->message = (char *)message;
    problem->field = (char *)field;
    answer->answer_case = DUCK__REPLY__ANSWER_PROBLEM;
    answer->problem = problem;
}

bool local_read_id(struct local_view *view, enum id_kind kind, const char *text, const char *field,
                   struct id *id, void *reply)
{
    if (!*text || id_parse(kind, bytes_of_text(text), id))
        return true;
    local_problem(view, reply, REFUSAL_MALFORMED, id_form(kind), field);
    return false;
}

char *local_text(struct local_view *view, struct bytes bytes)
{
    char *text = local_new(view, bytes.size + 1);

    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    return text;
}

/* ---- status ---- */

static void add_part(struct local_view *view, Duck__StatusAnswer *status, const char *name,
                     const char *state, const char *reason)
{
    Duck__StatusPart *part = local_new(view, sizeof *part);

    duck__status_part__init(part);
    part->name = (char *)name;
    part->status = (char *)state;
    part->reason = (char *)reason;
    status->parts[status->n_parts++] = part;
}

/* Is our clock the one that differs? The middle of what all links say. */
static int64_t median_skew_ms(const struct transport_link_info *links, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t below = 0, same = 0;

        for (size_t j = 0; j < count; j++) {
            below += links[j].skew_ms < links[i].skew_ms;
            same += links[j].skew_ms == links[i].skew_ms;
        }
        if (below <= count / 2 && count / 2 < below + same)
            return links[i].skew_ms;
    }
    return 0;
}

static void judge_clock(struct local_view *view, Duck__StatusAnswer *status)
{
    struct transport_link_info *links;
    size_t count = 0;
    int64_t skew_ms;
    char *reason;

    if (view->api->settings.transport) {
        links = local_new(view, ACTIVE_LINKS_MAX * sizeof *links);
        count = transport_links(view->api->settings.transport, links, ACTIVE_LINKS_MAX);
        skew_ms = median_skew_ms(links, count);
        if (skew_ms > SKEW_WORTH_TELLING_MS || skew_ms < -SKEW_WORTH_TELLING_MS) {
            reason = local_new(view, 96);
            snprintf(reason, 96, "differs from other nodes' by %lld s",
                     (long long)(skew_ms / 1000));
            add_part(view, status, "clock", "degraded", reason);
            return;
        }
    }
    add_part(view, status, "clock", "operational", "");
}

static void judge_parts(struct local_view *view, const struct agent_figures *figures,
                        Duck__StatusAnswer *status)
{
    const struct local_api_settings *settings = &view->api->settings;

    status->parts = local_new(view, 4 * sizeof *status->parts);
    if (figures->restoring)
        add_part(view, status, "store", "degraded", "it is being read: orders wait a moment");
    else if (figures->undone)
        add_part(view, status, "store", "outage", "nothing can be kept: is the disk full?");
    else
        add_part(view, status, "store", "operational", ""); /* else the node has stopped */
    if (status->links == 0 && status->known_nodes > 1)
        add_part(view, status, "links", "degraded", "no link to any of the nodes that are known");
    else
        add_part(view, status, "links", "operational", "");
    if (settings->gateway_url && *settings->gateway_url) {
        if (settings->gateway_is_up && settings->gateway_is_up(settings->context))
            add_part(view, status, "gateway", "operational", "");
        else
            add_part(view, status, "gateway", "outage", "it does not run");
    }
    judge_clock(view, status);
}

static void read_figures(struct local_view *view, struct agent_figures *figures)
{
    const struct local_api_settings *settings = &view->api->settings;
    struct local_figures node = {0};

    *figures = (struct agent_figures){0};
    if (settings->figures)
        settings->figures(settings->context, figures, &node);
}

/* The configured port may be 0: which one it became, only the gateway knows. */
static char *gateway_url(struct local_view *view)
{
    const struct local_api *api = view->api;
    FILE *file = api->gateway_url_file ? fopen(api->gateway_url_file, "re") : NULL;
    char *url = local_new(view, GATEWAY_URL_SIZE);
    bool is_read = file && fgets(url, GATEWAY_URL_SIZE, file);

    if (file)
        fclose(file);
    url[strcspn(url, "\n")] = 0;
    return is_read && *url && bytes_are_text(bytes_of_text(url), false) ? url : api->gateway_url;
}

static void view_status(struct local_view *view, Duck__Reply *reply)
{
    Duck__StatusAnswer *status = local_new(view, sizeof *status);
    struct local_api *api = view->api;
    struct agent_figures figures;

    read_figures(view, &figures);
    duck__status_answer__init(status);
    status->node_id = local_id(view, ID_NODE, &api->settings.node);
    status->version = api->version;
    status->network = local_text(view, api->network);
    status->started_ms = api->started_wall_ms;
    status->now_ms = clock_wall_ms();
    status->listening = api->listening;
    status->n_listening = api->listening_count;
    status->links = (uint32_t)figures.links;
    status->known_nodes = (uint32_t)figures.nodes;
    status->records = figures.records;
    status->hosted = (uint32_t)figures.hosted;
    status->outbox = figures.outbox;
    status->inbox = figures.tray;
    status->display_name = local_text(view, api->display_name);
    status->gateway_url = *api->gateway_url ? gateway_url(view) : api->gateway_url;
    status->perches = local_new(view, NODE_PERCHES_MAX * sizeof *status->perches);
    for (size_t i = 0; i < figures.perch_count; i++)
        status->perches[i] = local_id(view, ID_NODE, &figures.perches[i]);
    status->n_perches = figures.perch_count;
    status->is_perch = figures.is_perch;
    status->perched = figures.perched;
    status->perched_bytes = figures.perched_bytes;
    status->perched_owners = (uint32_t)figures.perched_owners;
    judge_parts(view, &figures, status);
    reply->answer_case = DUCK__REPLY__ANSWER_STATUS;
    reply->status = status;
}

/* ---- readers ---- */

static void view_asked(struct local_view *view, const Duck__Request *asked, Duck__Reply *reply)
{
    if (asked->order_case == DUCK__REQUEST__ORDER_STATUS)
        view_status(view, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_PECKS)
        local_view_pecks(view, asked->pecks, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_GRANTS)
        local_view_grants(view, asked->grants, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_CONTEXTS)
        local_view_contexts(view, asked->contexts, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_BONDS)
        local_view_bonds(view, asked->bonds, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_DIRECTORY)
        local_view_directory(view, asked->directory, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_CERTIFICATE)
        local_view_certificate(view, asked->certificate, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_PEERS)
        local_view_peers(view, asked->peers, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_METRICS)
        local_view_metrics(view, asked->metrics->totals_only, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_GOSSIP)
        local_view_gossip(view, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_HANDLERS)
        local_view_handlers(view, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_TRUSTED)
        local_view_trust(view, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_NEXT_KEY)
        local_view_next_key(view, asked->next_key, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_AUDIT)
        local_view_audit(view, asked->audit, reply);
    else if (asked->order_case == DUCK__REQUEST__ORDER_AUDIT_LOG)
        local_view_audit_log(view, asked->audit_log, reply);
    else
        assert(!"this is no question");
}

/* What decides whether a request goes on waiting. */
struct finding {
    bool is_peck; /* of this state and kind */
    enum peck_state state;
    enum peck_kind kind;
    bool is_partials, is_audit, is_news;
};

static bool is_awaited(struct request *request, const struct finding *finding)
{
    if (finding->is_partials && request->kind == REQUEST_PARTIALS)
        return finding->is_news;
    if (finding->is_audit && request->kind == REQUEST_AUDIT_NEWS)
        return finding->is_news;
    if (!finding->is_peck || request->kind != REQUEST_PECK)
        return true;
    request->peck_kind = finding->kind;
    return local_is_as_far(request, finding->state);
}

/* Under the lock. A peck that is not as far as asked goes on waiting. */
static void answer(struct local_api *api, const struct question *question, Duck__Reply *reply,
                   const struct finding *finding)
{
    struct request *request = local_find(api, question->ticket);

    if (!request)
        return; /* its client went away */
    request->asking = false;
    if (!is_awaited(request, finding) && request->deadline_ms && !request->late) {
        if (request->again)
            local_ask_again(request);
        return;
    }
    if (local_queued(request->client) > LOCAL_SEND_QUEUE_MAX) {
        local_refuse(request, REFUSAL_BUSY, "read the answers that were sent before", "");
        return;
    }
    local_answer(request, reply);
}

static void find_out(struct local_view *view, const struct question *question)
{
    struct local_client *clients[LOCAL_CLIENTS_MAX];
    struct finding finding = {.state = PECK_QUEUED, .kind = PECK_ACTION};
    Duck__Reply reply = DUCK__REPLY__INIT;
    size_t count;

    if (question->kind == QUESTION_ASKED)
        view_asked(view, question->asked, &reply);
    else if (question->kind == QUESTION_PECK)
        finding.is_peck = local_view_peck(view, question, &reply, &finding.state, &finding.kind);
    else if (question->kind == QUESTION_PARTIALS)
        finding.is_partials = local_view_partials(view, question, &reply, &finding.is_news);
    else if (question->kind == QUESTION_AUDIT_NEWS)
        finding.is_audit = local_view_audit_news(view, question, &reply, &finding.is_news);
    else if (question->kind == QUESTION_BOND)
        local_view_bond(view, question, &reply);
    else
        local_view_taken(view, question->pecks, question->peck_count, &reply);
    pthread_mutex_lock(&view->api->lock);
    answer(view->api, question, &reply, &finding);
    count = local_prepare_sends(view->api, clients);
    pthread_mutex_unlock(&view->api->lock);
    local_start_sends(clients, count);
}

static void question_free(struct question *question)
{
    message_free(question->message);
    memory_give_back(question->pecks);
    memory_give_back(question);
}

/* Under the lock. One of each client in turn: who asks much keeps nobody else waiting for all of it. NULL: there is
 * none. */
static struct question *next_question(struct local_api *api)
{
    struct local_client *client;
    struct question *question;

    if (ring_is_alone(&api->askers))
        return NULL;
    client = RING_OWNER(api->askers.next, struct local_client, asker);
    question = RING_OWNER(client->questions.next, struct question, ring);
    ring_take_off(&question->ring);
    ring_take_off(&client->asker);
    if (!ring_is_alone(&client->questions))
        ring_put_last(&api->askers, &client->asker);
    api->question_count--;
    return question;
}

static void *read_on(void *context)
{
    struct local_view *view = context;
    struct local_api *api = view->api;

    pthread_mutex_lock(&api->lock);
    for (;;) {
        struct question *question;

        while (ring_is_alone(&api->askers) && !api->closing)
            pthread_cond_wait(&api->for_readers, &api->lock);
        if (api->closing)
            break;
        question = next_question(api);
        pthread_mutex_unlock(&api->lock);
        find_out(view, question);
        question_free(question);
        arena_reset(&view->arena);
        arena_reset(&view->scratch);
        pthread_mutex_lock(&api->lock);
    }
    pthread_mutex_unlock(&api->lock);
    return NULL;
}

void local_ask(struct local_client *client, struct question *question)
{
    struct local_api *api = client->api;

    ring_init(&question->ring);
    if (ring_is_alone(&client->questions))
        ring_put_last(&api->askers, &client->asker);
    ring_put_last(&client->questions, &question->ring);
    api->question_count++;
    pthread_cond_signal(&api->for_readers);
}

void local_forget_questions(struct local_client *client)
{
    ring_take_off(&client->asker);
    while (!ring_is_alone(&client->questions)) {
        struct question *question = RING_OWNER(client->questions.next, struct question, ring);

        ring_take_off(&question->ring);
        client->api->question_count--;
        question_free(question);
    }
}

int local_readers_start(struct local_api *api)
{
    size_t wanted = api->settings.readers ? api->settings.readers : 1;

    api->readers = memory_take(wanted * sizeof *api->readers);
    for (; api->reader_count < wanted; api->reader_count++) {
        struct local_reader *reader = &api->readers[api->reader_count];
        int fault = store_reader_open(&reader->view.reader, api->store_path);

        if (fault)
            return fault;
        reader->view.api = api;
        arena_init(&reader->view.arena, SIZE_MAX);
        arena_init(&reader->view.scratch, VIEW_SCRATCH_MAX);
        if (pthread_create(&reader->thread, NULL, read_on, &reader->view) != 0) {
            store_reader_close(reader->view.reader);
            return FAULT_BUSY;
        }
    }
    return 0;
}

void local_readers_stop(struct local_api *api)
{
    pthread_mutex_lock(&api->lock);
    api->closing = true;
    pthread_cond_broadcast(&api->for_readers);
    pthread_mutex_unlock(&api->lock);
    for (size_t i = 0; i < api->reader_count; i++) {
        struct local_view *view = &api->readers[i].view;

        pthread_join(api->readers[i].thread, NULL);
        arena_free(&view->arena);
        arena_free(&view->scratch);
        store_reader_close(view->reader);
    }
    memory_give_back(api->readers);
}
