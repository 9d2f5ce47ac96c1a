/* What came while the agent hears the others out waits here (lib/core/agent_hearing.c), in its order, and is opened anew
 * when it goes on: what was signed with a key that turns out to be retired is not what it seemed. */
#include "loop_parts.h"

#include "clock.h"
#include "core/frame.h"
#include "core/intake.h"
#include "log.h"

static bool has_room(const struct held_back *held, const struct message *message)
{
    size_t count = 0, bytes = message->size;

    if (held->count == HELD_BACK_MAX || held->bytes + message->size > HELD_BACK_BYTES)
        return false;
    for (const struct message *other = held->first; other; other = other->next)
        if (id_equal(&other->event.node, &message->event.node)) {
            count++;
            bytes += other->size;
        }
    return count < HELD_BACK_OF_ONE(HELD_BACK_MAX) && bytes <= HELD_BACK_OF_ONE(HELD_BACK_BYTES);
}

static void append(struct held_back *held, struct message *message)
{
    message->next = NULL;
    if (held->first)
        held->last->next = message;
    else
        held->first = message;
    held->last = message;
    held->count++;
    held->bytes += message->size;
}

static void hold_back(struct loop *loop, struct message *message)
{
    struct held_back *held = &loop->held_back;

    if (has_room(held, message)) {
        append(held, message);
        return;
    }
    if (!held->some_lost)
        log_write(LOG_INFO, "loop",
                  "more comes than is kept until another node was heard: it has to be said again");
    held->some_lost = true;
    agent_note_lost(loop->agent);
    message_free(message);
}

struct message *loop_hold_back(struct loop *loop, struct message *messages)
{
    struct message *rest = NULL, **end = &rest;
    struct moment at = clock_read();

    agent_notice_time(loop->agent, &at);
    while (messages) {
        struct message *next = messages->next;

        if (agent_hears_first(loop->agent, &messages->event)) {
            hold_back(loop, messages);
        } else {
            *end = messages;
            end = &messages->next;
        }
        messages = next;
    }
    *end = NULL;
    return rest;
}

/* ---- what goes on ---- */

static struct bytes pack_again(const struct event *event, enum frame_kind *kind,
                               struct arena *arena)
{
    const struct bytes none = bytes_of(NULL, 0);

    switch ((int)event->kind) {
    case EVENT_PECK:
        *kind = FRAME_PECK;
        return frame_pack_peck_again(
            chain_with_context(event->peck.chain,
                               event->peck.context ? event->peck.context->wire : none, arena),
            event->peck.wire, event->peck.partials, event->peck.cancelled, arena);
    case EVENT_RECEIPT:
        *kind = FRAME_RECEIPT;
        return frame_pack_receipt(event->receipt.chain, event->receipt.wire, arena);
    case EVENT_PARTIAL:
        *kind = FRAME_PARTIAL;
        return frame_pack_partial(event->receipt.chain, event->receipt.wire, arena);
    default:
        return none; /* under its seal still, and opened when it is looked up */
    }
}

static void tell_refused(struct loop *loop, const struct message *message, const struct id *peck,
                         enum intake_verdict verdict, const char *reason)
{
    char text[ID_TEXT_SIZE];
    struct arena arena;

    log_write(LOG_WARNING, "intake", "what %s said before another node was heard is refused: %s",
              id_text(ID_NODE, &message->event.node, text), reason);
    if (id_is_zero(peck))
        return;
    arena_init(&arena, 4 * KIB);
    transport_send(loop->settings.transport, &message->event.node, FRAME_REFUSAL,
                   frame_pack_refusal(peck, intake_verdict_code(verdict), reason,
                                      verdict != INTAKE_EXPIRED, 0, &arena));
    arena_free(&arena);
}

/* Gives back what is to be decided, or NULL. */
static struct message *open_again(struct loop *loop, struct message *message)
{
    struct arena arena;
    struct message *opened;
    enum intake_verdict verdict;
    enum frame_kind kind;
    struct bytes frame;
    char reason[160];
    size_t refused;
    struct id peck;

    arena_init(&arena, 2 * FRAME_SIZE_MAX);
    frame = pack_again(&message->event, &kind, &arena);
    if (frame.size == 0 || !loop->settings.intake) {
        arena_free(&arena);
        return message;
    }
    opened = message_new_frame(frame.size);
    opened->size = message->size;
    verdict = intake_open(loop->settings.intake, kind, frame, clock_wall_ms(), &opened->arena,
                          &opened->event, &peck, &refused, reason);
    opened->event.node = message->event.node;
    arena_free(&arena);
    if (verdict != INTAKE_TAKEN) {
        tell_refused(loop, message, &peck, verdict, reason);
        message_free(opened);
        opened = NULL;
    }
    message_free(message);
    return opened;
}

struct message *loop_let_go(struct loop *loop)
{
    struct held_back *held = &loop->held_back;
    struct message *messages = held->first, *ready = NULL, **end = &ready;

    *held = (struct held_back){.some_lost = held->some_lost && messages};
    while (messages) {
        struct message *next = messages->next, *opened;

        if (agent_hears_first(loop->agent, &messages->event)) {
            append(held, messages);
        } else if ((opened = open_again(loop, messages))) {
            *end = opened;
            end = &opened->next;
        }
        messages = next;
    }
    *end = NULL;
    return ready;
}
