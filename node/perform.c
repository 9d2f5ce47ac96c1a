#include "perform.h"

#include "core/intake.h"
#include "core/quota.h"
#include "log.h"

#include <stdlib.h>

#define RECORDS_FRAME_BYTES (128u * KIB) /* of records in one frame: others want to get through */
#define SCRATCH_BUDGET (64u * MIB)

void performer_init(struct performer *performer)
{
    arena_init(&performer->scratch, SCRATCH_BUDGET);
    performer->late = late_receipts_new();
    performer->again = quota_new(NEIGHBOURS_MAX, AGAIN_BYTES_PER_S, AGAIN_BYTES_BURST);
    performer->late_at_ms = MOMENT_NEVER;
}

void performer_free(struct performer *performer)
{
    arena_free(&performer->scratch);
    late_receipts_free(performer->late);
    quota_free(performer->again);
}

static void remember_late(struct performer *performer, const struct late_receipt *receipt)
{
    if (late_receipts_remember(performer->late, receipt) && performer->late_at_ms == MOMENT_NEVER)
        performer->late_at_ms = performer->now_ms + LATE_RETRY_MS;
}

static bool read_under(struct bytes wire, struct message *message)
{
    struct context *context = wire.size > 0 ? arena_take(&message->arena, sizeof *context) : NULL;

    message->event.peck.context = context;
    return wire.size == 0 || (context && context_read(arena_copy(&message->arena, wire),
                                                      &message->arena, context) == CONTEXT_OK);
}

/* A peck for a duckling of this very node, that could not be received when it was sent. */
static void give_to_self(struct performer *performer, const struct effect *effect,
                         struct bytes wire, struct bytes chain)
{
    struct message *message = message_new(PARSE_BUDGET(wire.size + chain.size));
    struct envelope envelope;
    struct bytes under;

    message->event.kind = EVENT_PECK;
    message->event.node = performer->node;
    message->event.peck.cancelled = effect->send_stored.cancelled;
    message->event.peck.wire = arena_copy(&message->arena, wire);
    chain_split(chain, &message->event.peck.chain, &under);
    message->event.peck.chain = arena_copy(&message->arena, message->event.peck.chain);
    if (!read_under(under, message) ||
        envelope_parse(wire, ENVELOPE_PECK, &message->arena, &envelope) != ENVELOPE_TAKEN ||
        peck_parse(envelope.body, &message->arena, &message->event.peck.peck) != PECK_OK) {
        log_write(LOG_ERROR, "store", "a stored peck does not parse");
        message_free(message);
        return;
    }
    inbox_try_give(performer->inbox, message);
}

static void send_peck(struct performer *performer, const struct effect *effect)
{
    const struct id *node = &effect->send_stored.node, *peck = &effect->send_stored.peck;
    struct bytes wire, chain;

    arena_reset(&performer->scratch);
    if (store_read_peck(performer->store, BOX_OUT, peck, &performer->scratch, &wire, &chain) ||
        wire.size == 0)
        return; /* it was done meanwhile */
    if (id_equal(node, &performer->node)) {
        give_to_self(performer, effect, wire, chain);
        return;
    }
    transport_send(performer->transport, node, FRAME_PECK,
                   frame_pack_peck_again(chain, wire, effect->send_stored.partials,
                                         effect->send_stored.cancelled, &performer->scratch));
}

/* A receipt or a part that is stored, for who asks for it: as often as it likes, which costs it a small frame, and us
 * up to a MiB. So each neighbour has a quota, and beyond it a link counts as full. */
static int send_stored(struct performer *performer, const struct late_receipt *late,
                       enum frame_kind kind, struct bytes body)
{
    uint64_t amount = late->is_again ? body.size + AGAIN_FRAME_BYTES : 0;
    int fault;

    if (!quota_take(performer->again, &late->node, amount, performer->now_ms))
        return FAULT_BUSY;
    fault = transport_send(performer->transport, &late->node, (uint8_t)kind, body);
    if (fault)
        quota_give_back(performer->again, &late->node, amount, performer->now_ms);
    return fault;
}

/* Those after `late->partials`, which follows. Returns FAULT_BUSY when the link is full. */
static int send_partials(struct performer *performer, struct late_receipt *late)
{
    struct bytes wires[STORE_PARTIALS_AT_ONCE], chain;
    size_t count = 1;
    int fault = 0;

    while (count > 0 && !fault && late->partials < PARTIALS_MAX) {
        arena_reset(&performer->scratch);
        if (store_read_partials(performer->store, &late->peck, late->partials, &performer->scratch,
                                wires, &chain, &count))
            return 0;
        for (size_t i = 0; i < count && !fault; i++) {
            fault = send_stored(performer, late, FRAME_PARTIAL,
                                frame_pack_partial(chain, wires[i], &performer->scratch));
            if (!fault)
                late->partials++;
        }
    }
    return fault;
}

/* The parts of an answer before its end. Returns FAULT_BUSY when the link is full. */
static int send_receipts(struct performer *performer, struct late_receipt *late)
{
    struct bytes wires[2], chains[2];
    size_t count = 0;
    int fault = send_partials(performer, late);

    if (fault)
        return fault;
    arena_reset(&performer->scratch);
    if (store_read_receipts(performer->store, BOX_IN, &late->peck, &performer->scratch, wires,
                            chains, &count))
        return 0;
    for (size_t i = 0; i < count && !fault; i++)
        fault = send_stored(performer, late, FRAME_RECEIPT,
                            frame_pack_receipt(chains[i], wires[i], &performer->scratch));
    return fault;
}

/* Some thousand bytes at a time: others want to get through. What is fetched ends with a frame that
 * says so, empty if need be. Of what a full link cannot take the asker hears nothing, and asks
 * again. */
static void send_records(struct performer *performer, const struct effect *effect)
{
    struct bytes wires[FETCH_HASHES_PER_FRAME_MAX], chains[FETCH_HASHES_PER_FRAME_MAX];
    struct fetch_answer answer = effect->send_records.answer;
    bool is_asked = answer.session != 0, is_last = answer.is_last;
    size_t found = 0, first = 0, bytes = 0;

    arena_reset(&performer->scratch);
    if (store_read_records(performer->store, effect->send_records.hashes,
                           effect->send_records.count, &performer->scratch, wires, chains, &found))
        return;
    for (size_t i = 0; i < found || (i == 0 && is_asked); i++) {
        size_t end = i < found ? i + 1 : i;
        struct bytes body;

        bytes += i < found ? wires[i].size + chains[i].size : 0;
        if (bytes < RECORDS_FRAME_BYTES && end < found && end - first < RECORDS_PER_FRAME_MAX)
            continue;
        answer.is_last = is_last && end == found;
        body = is_asked ? frame_pack_fetched(&answer, chains + first, wires + first, end - first,
                                             &performer->scratch)
                        : frame_pack_records(chains + first, wires + first, end - first,
                                             &performer->scratch);
        if (transport_send(performer->transport, &effect->send_records.node,
                           is_asked ? FRAME_FETCHED : FRAME_RECORDS, body))
            return;
        first = end;
        bytes = 0;
    }
}

/* A peck is sent again by the outbox, a record comes with the next repair; a receipt has nobody else to think of it.
 * One of a node for which others wait goes behind them: what is said of a peck arrives in its order. */
static void send_frame(struct performer *performer, const struct effect *effect,
                       const struct effect *receipt)
{
    bool is_partial = effect->send.kind == FRAME_PARTIAL;
    bool is_kept = receipt && (is_partial || effect->send.kind == FRAME_RECEIPT);
    struct late_receipt late = {.node = effect->send.node};

    if (!is_kept || !late_receipts_has(performer->late, &late.node)) {
        int fault = transport_send(performer->transport, &effect->send.node,
                                   (uint8_t)effect->send.kind, effect->send.body);

        if (fault != FAULT_BUSY || !is_kept)
            return;
    }
    late.peck = is_partial ? receipt->partial.peck : receipt->receipt.peck;
    late.partials = is_partial ? receipt->partial.partials.count - 1 : LATE_NO_PARTIALS;
    remember_late(performer, &late);
}

/* Behind what waits for that node already: then nothing is read for it now. */
static void send_stored_receipts(struct performer *performer, const struct effect *effect)
{
    struct late_receipt late = {.node = effect->send_stored.node,
                                .peck = effect->send_stored.peck,
                                .partials = effect->send_stored.partials,
                                .is_again = true};

    if (late_receipts_has(performer->late, &late.node) ||
        send_receipts(performer, &late) == FAULT_BUSY)
        remember_late(performer, &late);
}

/* A peck of ours, sealed, to a perch. */
static void deposit(struct performer *performer, const struct effect *effect)
{
    const struct deposit *deposit = effect->deposit;
    struct bytes wire, chain, body;

    arena_reset(&performer->scratch);
    if (store_read_peck(performer->store, BOX_OUT, &deposit->peck, &performer->scratch, &wire,
                        &chain) ||
        wire.size == 0)
        return; /* it was done meanwhile */
    body = frame_pack_deposit(deposit, chain, wire, &performer->scratch);
    if (body.size > 0)
        transport_send(performer->transport, &deposit->perch, FRAME_DEPOSIT, body);
}

/* Of what a full link cannot take the owner hears nothing, and asks again. */
static void send_perched(struct performer *performer, const struct effect *effect)
{
    const struct perched_portion *portion = effect->portion;

    for (size_t i = 0; i < portion->count || i == 0; i++) {
        const struct perch_entry *entry = i < portion->count ? &portion->entries[i] : NULL;
        struct bytes sealed = bytes_of(NULL, 0), body;
        bool is_last = i + 1 >= portion->count;

        arena_reset(&performer->scratch);
        if (entry &&
            (store_read_perched(performer->store, entry->number, &performer->scratch, &sealed) ||
             sealed.size == 0))
            entry = NULL; /* it made room meanwhile */
        if (!entry && !is_last)
            continue;
        body = frame_pack_held(entry, sealed, is_last, portion->has_more, &performer->scratch);
        if (transport_send(performer->transport, &portion->owner, FRAME_HELD, body))
            return;
    }
}

void perform_early(struct performer *performer, struct effects *effects, size_t *from)
{
    bool any = false;

    for (; *from < effects->count; ++*from) {
        struct effect *effect = &effects->list[*from];

        if (effect->kind != EFFECT_SEND || effect->send.kind != FRAME_PECK || effect->send.waits)
            continue;
        effect->send.gone = transport_send(performer->transport, &effect->send.node, FRAME_PECK,
                                           effect->send.body) == 0;
        any |= effect->send.gone;
    }
    if (any)
        transport_flush(performer->transport);
}

static void dial(struct performer *performer, const struct effect *effect)
{
    struct message *message;

    if (transport_dial(performer->transport, effect->dial.address, &effect->dial.node,
                       effect->dial.session_key_known ? effect->dial.session_key : NULL) == 0)
        return;
    message = message_new(KIB);
    message->event.kind = EVENT_DIAL_FAILED;
    message->event.node = effect->dial.node;
    message->event.dial_failed.address = arena_copy(&message->arena, effect->dial.address);
    inbox_try_give(performer->inbox, message);
}

void perform(struct performer *performer, const struct effects *effects, const struct moment *at)
{
    const struct effect *receipt =
        NULL;           /* the one kept last: what a FRAME_RECEIPT or FRAME_PARTIAL carries */
    bool stops = false; /* after all that this turn says */

    performer->now_ms = at->now_ms;
    for (size_t i = 0; i < effects->count; i++) {
        const struct effect *effect = &effects->list[i];

        switch (effect->kind) {
        case EFFECT_KEEP_DUCKLING:
        case EFFECT_KEEP_KEY:
        case EFFECT_KEEP_PROFILE:
        case EFFECT_KEEP_PECK:
        case EFFECT_KEEP_STATE:
        case EFFECT_KEEP_BOND:
        case EFFECT_DROP_BOND:
        case EFFECT_KEEP_COUNT:
        case EFFECT_KEEP_CONTEXT:
        case EFFECT_DROP_CONTEXT:
        case EFFECT_KEEP_GRANT:
        case EFFECT_DROP_GRANT:
        case EFFECT_KEEP_RECORD:
        case EFFECT_DROP_RECORD:
        case EFFECT_KEEP_PROOF:
        case EFFECT_KEEP_PIN:
        case EFFECT_KEEP_VOUCHER:
        case EFFECT_KEEP_TRUST:
        case EFFECT_DROP_TRUST:
        case EFFECT_KEEP_TIER:
        case EFFECT_KEEP_PRE_KEY:
        case EFFECT_DROP_PRE_KEY:
        case EFFECT_KEEP_PERCHED:
        case EFFECT_DROP_PERCHED:
        case EFFECT_KEEP_DEPOSIT:
        case EFFECT_KEEP_LOBSTER:
        case EFFECT_DROP_LOBSTER:
        case EFFECT_KEEP_COUNTERS:
        case EFFECT_KEEP_CAUGHT_UP:
        case EFFECT_KEEP_OUTGROWN:
            break;
        case EFFECT_KEEP_RECEIPT:
        case EFFECT_KEEP_PARTIAL:
            receipt = effect;
            break;
        case EFFECT_SEND:
            if (!effect->send.gone)
                send_frame(performer, effect, receipt);
            break;
        case EFFECT_SEND_PECK:
            send_peck(performer, effect);
            break;
        case EFFECT_SEND_RECEIPTS:
            send_stored_receipts(performer, effect);
            break;
        case EFFECT_SEND_RECORDS:
            send_records(performer, effect);
            break;
        case EFFECT_DEPOSIT:
            deposit(performer, effect);
            break;
        case EFFECT_SEND_PERCHED:
            send_perched(performer, effect);
            break;
        case EFFECT_DIAL:
            dial(performer, effect);
            break;
        case EFFECT_INTRODUCE:
            transport_introduce(performer->transport, effect->introduce.introduction);
            break;
        case EFFECT_HANG_UP:
            if (effect->hang_up.at_once)
                transport_cut_off(performer->transport, &effect->hang_up.node,
                                  effect->hang_up.reason);
            else
                transport_hang_up(performer->transport, &effect->hang_up.node,
                                  effect->hang_up.reason);
            break;
        case EFFECT_STOP:
            stops = true;
            break;
        case EFFECT_OUTGROWN:
            if (performer->outgrown)
                performer->outgrown(performer->context, effect->outgrown.chain);
            break;
        case EFFECT_REPLY:
        case EFFECT_MEMBER_CHANGED:
        case EFFECT_TIER_CHANGED:
        case EFFECT_WANTED:
        case EFFECT_PECK_CHANGED:
        case EFFECT_PARTIAL_CAME:
        case EFFECT_BOND_CHANGED:
        case EFFECT_RECORD_CHANGED:
            break; /* told below */
        case EFFECT_LOG:
            log_write(effect->log.level, "agent", "%s", effect->log.text);
            break;
        }
    }
    arena_reset(&performer->scratch);
    if (performer->api)
        local_api_perform(performer->api, effects->list, effects->count);
    if (stops && performer->stop)
        performer->stop(performer->context);
}

static bool send_late(void *context, struct late_receipt *receipt)
{
    return send_receipts(context, receipt) != FAULT_BUSY;
}

void perform_late(struct performer *performer, const struct moment *at)
{
    size_t before, left;

    if (performer->late_at_ms > at->now_ms)
        return;
    performer->now_ms = at->now_ms;
    before = late_receipts_count(performer->late);
    late_receipts_send(performer->late, send_late, performer);
    left = late_receipts_count(performer->late);
    if (left == 0)
        performer->late_at_ms = MOMENT_NEVER;
    else
        performer->late_at_ms = at->now_ms + (left < before ? LATE_GOES_MS : LATE_RETRY_MS);
}
