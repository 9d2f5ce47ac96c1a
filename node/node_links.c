/* What links bring: it is judged by the intake, on the thread of a worker, and put into the inbox. */
#include "node_parts.h"

#include "clock.h"
#include "core/introduction.h"
#include "log.h"

#include <sodium.h>
#include <stdio.h>

static void tell_local_api(struct node *node, const struct id *id, bool up)
{
    pthread_mutex_lock(&node->api_lock);
    if (node->api)
        local_api_link_changed(node->api, id, up);
    pthread_mutex_unlock(&node->api_lock);
}

static void enter_keyring(void *context)
{
    pthread_mutex_lock(context);
}

static void leave_keyring(void *context)
{
    pthread_mutex_unlock(context);
}

static struct message *contradiction_of(const struct id *from, struct bytes one, struct bytes other)
{
    struct message *message = message_new(one.size + other.size + KIB);

    message->event.kind = EVENT_CONTRADICTION;
    message->event.node = *from;
    message->event.contradiction.one = arena_copy(&message->arena, one);
    message->event.contradiction.other = arena_copy(&message->arena, other);
    message->size = one.size + other.size;
    return message;
}

/* The handshake checked the introduction; whether its key is the one that speaks today is known here. */
static bool is_outgrown(struct node *node, struct bytes wire)
{
    enum keyring_verdict verdict = KEYRING_TAKEN;
    struct introduction introduction;
    struct message *message = NULL;
    struct arena arena;

    arena_init(&arena, PARSE_BUDGET(wire.size));
    if (wire.size > 0 &&
        introduction_open(wire, bytes_of_text(node->options->network), clock_wall_ms(), &arena,
                          &introduction) == INTRODUCTION_TAKEN) {
        enter_keyring(&node->keyring_lock);
        verdict = keyring_meet(node->keyring, &introduction.chain);
        if (verdict == KEYRING_CONTRADICTED)
            message = contradiction_of(&introduction.chain.identity,
                                       keyring_chain(node->keyring, &introduction.chain.identity),
                                       introduction.chain.wire);
        leave_keyring(&node->keyring_lock);
    }
    arena_free(&arena);
    if (message)
        inbox_give(node->inbox, message);
    return verdict != KEYRING_TAKEN;
}

static void on_up(void *context, const struct id *id, struct bytes introduction, bool dialled_here)
{
    struct node *node = context;
    struct message *message = message_new(PARSE_BUDGET(introduction.size));

    message->event.kind = EVENT_LINK_UP;
    message->event.link.is_outgrown = is_outgrown(node, introduction);
    message->event.node = *id;
    message->event.link.dialled_here = dialled_here;
    message->event.link.introduction = arena_copy(&message->arena, introduction);
    inbox_give(node->inbox, message);
    tell_local_api(node, id, true);
}

static void on_down(void *context, const struct id *id, const char *reason, bool goodbye)
{
    struct node *node = context;
    struct message *message = message_new(KIB);
    char text[ID_TEXT_SIZE];

    log_write(LOG_INFO, "link", "%s: %s", id_text(ID_NODE, id, text), reason);
    message->event.kind = EVENT_LINK_DOWN;
    message->event.node = *id;
    message->event.link.goodbye = goodbye;
    inbox_give(node->inbox, message);
    tell_local_api(node, id, false);
}

static void on_dial_failed(void *context, const struct id *id, struct bytes address,
                           const char *reason)
{
    struct node *node = context;
    struct message *message = message_new(KIB);

    log_write(LOG_INFO, "link", "cannot reach %.*s: %s", (int)address.size,
              (const char *)address.data, reason);
    message->event.kind = EVENT_DIAL_FAILED;
    message->event.node = *id;
    message->event.dial_failed.address = arena_copy(&message->arena, address);
    inbox_give(node->inbox, message);
}

static void on_answered(void *context, const struct id *wanted, const struct id *id,
                        struct bytes address)
{
    struct node *node = context;
    struct message *message = message_new(KIB);

    message->event.kind = EVENT_ANSWERED;
    message->event.node = *id;
    message->event.answered.wanted = *wanted;
    message->event.answered.address = arena_copy(&message->arena, address);
    inbox_give(node->inbox, message);
}

static void tell_refused(struct node *node, const struct id *to, const struct id *peck,
                         enum intake_verdict verdict, const char *reason)
{
    struct arena arena;

    if (id_is_zero(peck))
        return;
    arena_init(&arena, 4 * KIB);
    transport_send(node->transport, to, FRAME_REFUSAL,
                   frame_pack_refusal(peck, intake_verdict_code(verdict), reason,
                                      verdict != INTAKE_EXPIRED, 0, &arena));
    transport_flush(node->transport);
    arena_free(&arena);
}

static bool on_frame(void *context, size_t worker, const struct id *from, uint8_t kind,
                     struct bytes body)
{
    struct node *node = context;
    char reason[160], text[ID_TEXT_SIZE];
    enum intake_verdict verdict;
    struct message *message;
    struct bytes one, other;
    size_t refused;
    struct id peck;
    bool offends;

    if (!intake_admits(node->intakes[worker], from, (enum frame_kind)kind, body.size,
                       clock_wall_ms())) {
        node->frames_over_quota++;
        return true;
    }
    message = message_new_frame(body.size);
    verdict = intake_open(node->intakes[worker], (enum frame_kind)kind, body, clock_wall_ms(),
                          &message->arena, &message->event, &peck, &refused, reason);
    if (intake_contradiction(node->intakes[worker], &one, &other))
        inbox_leave(node->inbox, contradiction_of(from, one, other));
    if (refused > 0 && verdict == INTAKE_TAKEN)
        log_write(LOG_WARNING, "intake", "%zu records from %s are refused, the first: %s", refused,
                  id_text(ID_NODE, from, text), reason);
    if (verdict == INTAKE_TAKEN) {
        message->event.node = *from;
        message->size = body.size;
        offends = message->event.kind == EVENT_FETCHED && message->event.fetched.offends;
        inbox_leave(node->inbox, message);
        return !offends;
    }
    message_free(message);
    if (verdict == INTAKE_UNKNOWN_KIND)
        return true;
    log_write(LOG_WARNING, "intake", "a frame of kind %u from %s is refused: %s", kind,
              id_text(ID_NODE, from, text), reason);
    tell_refused(node, from, &peck, verdict, reason);
    return !intake_verdict_offends(verdict);
}

static void on_frames_end(void *context)
{
    struct node *node = context;

    inbox_wake(node->inbox);
}

static void on_log(void *context, enum log_level level, const char *text)
{
    (void)context;
    log_write(level, "transport", "%s", text);
}

void node_open_intakes(struct node *node)
{
    struct intake_settings settings = {
        .network = bytes_of_text(node->options->network),
        .enter = enter_keyring,
        .leave = leave_keyring,
        .context = &node->keyring_lock,
        .fleet = node->membership.fleet.count > 0 ? &node->membership.fleet : NULL,
    };

    node->keyring = keyring_new(KEYRING_MAX);
    node->seen = seen_new(SEEN_RECORDS);
    node->held_good = seen_new(SEEN_RECORDS);
    node->news_quota = quota_new(NEIGHBOURS_MAX, NEWS_BYTES_PER_S, NEWS_BYTES_BURST);
    node->asked_quota = quota_new(NEIGHBOURS_MAX, ASKED_BYTES_PER_S, ASKED_BYTES_BURST);
    settings.keyring = node->keyring;
    settings.seen = node->seen;
    settings.held_good = node->held_good;
    settings.news = node->news_quota;
    settings.asked = node->asked_quota;
    for (size_t i = 0; i <= WORKERS; i++)
        node->intakes[i] = intake_new(&settings);
}

int node_open_transport(struct node *node)
{
    const struct options *options = node->options;
    const char *listen[NODE_ADDRESSES_MAX];
    struct transport_settings settings = {
        .listen = listen,
        .listen_count = options->listen_count,
        .network = bytes_of_text(options->network),
        .self = node->id,
        .fleet = &node->membership.fleet,
        .static_pair = node->session_pair,
        .workers = WORKERS,
        .handlers = {.context = node,
                     .up = on_up,
                     .down = on_down,
                     .dial_failed = on_dial_failed,
                     .answered = on_answered,
                     .frame = on_frame,
                     .frames_end = on_frames_end,
                     .log = on_log},
    };
    int fault;

    for (size_t i = 0; i < options->listen_count; i++)
        listen[i] = options->listen[i];
    transport_limits_default(&settings.limits);
    fault = transport_open(&node->transport, &settings);
    sodium_memzero(&settings.static_pair, sizeof settings.static_pair);
    if (fault)
        log_write(LOG_ERROR, "transport", "cannot listen: %s", fault_text(fault));
    return fault;
}
