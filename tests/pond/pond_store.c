/* A disk of sorts: what node/store.c would hold. A turn is kept as a whole or not at all. A turn
 * that promises nothing is not synced for its own sake (node/loop.c): when the power goes, some of
 * the latest of those are gone, back to the last sync at most. */
#include "pond_parts.h"

#include <stdio.h>

#define UNDO_MAX 1024u /* then the log is folded into the file, which syncs it */

enum undo_kind { UNDO_TURN, UNDO_ADDED, UNDO_REMOVED, UNDO_ENDED, UNDO_PECK, UNDO_COUNTERS };

struct undo {
    enum undo_kind kind;
    union {
        struct pooled *record;
        struct {
            struct kept_peck *peck;
            struct kept_peck was;
        } changed;
        struct metrics_content counters;
    };
};

bool disk_keeps(enum effect_kind kind)
{
    return kind <= EFFECT_KEEP_COUNTERS;
}

bool disk_can_be_said_again(const struct effect *effect)
{
    enum peck_state state = effect->state.state;

    if (effect->kind == EFFECT_KEEP_RECEIPT)
        return effect->receipt.box == BOX_OUT;
    if (effect->kind == EFFECT_KEEP_PARTIAL)
        return effect->partial.box == BOX_OUT;
    if (effect->kind == EFFECT_KEEP_STATE)
        return effect->state.box == BOX_OUT && !effect->state.cancelling &&
               state != PECK_CANCELLED && state != PECK_EXPIRED && state != PECK_FAILED;
    if (effect->kind == EFFECT_KEEP_RECORD)
        return !effect->record.own;
    return effect->kind == EFFECT_DROP_RECORD || effect->kind == EFFECT_KEEP_PIN ||
           effect->kind == EFFECT_DROP_PERCHED || effect->kind == EFFECT_KEEP_DEPOSIT ||
           effect->kind == EFFECT_KEEP_COUNT || effect->kind == EFFECT_KEEP_COUNTERS;
}

void disk_open(struct pond_store *store, bool may_lose)
{
    store->may_lose = may_lose;
    arena_init(&store->memory, SIZE_MAX);
    for (int i = 0; i < 2; i++)
        idtable_init(&store->pecks[i]);
    store->is_open = true;
}

void disk_close(struct pond_store *store)
{
    if (!store->is_open)
        return;
    arena_free(&store->memory);
    held_set_free(&store->records);
    memory_give_back(store->ducklings);
    memory_give_back(store->contexts);
    memory_give_back(store->bonds);
    memory_give_back(store->grants);
    memory_give_back(store->lobsters);
    memory_give_back(store->pins);
    disk_free_perches(store);
    memory_give_back(store->threads);
    for (int i = 0; i < 2; i++)
        idtable_free(&store->pecks[i]);
    memory_give_back(store->ended);
    memory_give_back(store->in_order);
    memory_give_back(store->undo);
}

static void *grow(void *list, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return list;
    *capacity = *capacity ? *capacity * 2 : 8;
    return memory_resize(list, *capacity * size);
}

/* A disk that never loses its power needs to remember nothing. */
static struct undo *remember(struct pond_store *store, enum undo_kind kind)
{
    static struct undo unread;

    if (!store->may_lose)
        return &unread;
    if (store->undo_count == UNDO_MAX)
        store->undo_count = 0;
    store->undo = grow(store->undo, store->undo_count, &store->undo_capacity, sizeof *store->undo);
    store->undo[store->undo_count].kind = kind;
    return &store->undo[store->undo_count++];
}

/* ---- ducklings and bonds ---- */

static struct order_profile copy_profile(struct arena *memory, const struct order_profile *profile)
{
    struct order_profile copy = *profile;

    copy.display_name = arena_copy(memory, profile->display_name);
    copy.bio = arena_copy(memory, profile->bio);
    for (size_t i = 0; i < profile->capability_count; i++)
        copy.capabilities[i] = arena_copy(memory, profile->capabilities[i]);
    return copy;
}

static void keep_duckling(struct pond_store *store, const struct hosted *hosted)
{
    struct hosted *kept;

    store->ducklings = grow(store->ducklings, store->duckling_count, &store->duckling_capacity,
                            sizeof *store->ducklings);
    kept = &store->ducklings[store->duckling_count++];
    *kept = *hosted;
    kept->chain = arena_copy(&store->memory, hosted->chain);
    kept->profile = copy_profile(&store->memory, &hosted->profile);
}

static void keep_key(struct pond_store *store, const struct hosted *hosted)
{
    for (size_t i = 0; i < store->duckling_count; i++)
        if (id_equal(&store->ducklings[i].id, &hosted->id)) {
            store->ducklings[i].chain = arena_copy(&store->memory, hosted->chain);
            if (hosted->own_key)
                continue; /* see pond_own.c */
            memcpy(store->ducklings[i].seed, hosted->seed, SEED_SIZE);
            if (hosted->sealed_next.size == SEED_SIZE)
                memcpy(store->ducklings[i].next_seed, hosted->sealed_next.data, SEED_SIZE);
        }
}

/* As node/loop.c does it. */
static void learn_key(struct pond *pond, const struct pond_node *node, struct bytes chain)
{
    struct public_key key;
    enum identity_kind kind;
    struct arena arena;
    struct id id;

    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    intake_signer(frames_intake(pond->frames), chain, node_moment(pond, node).wall_ms, &arena, &id,
                  &kind, &key);
    arena_free(&arena);
}

static void keep_profile(struct pond_store *store, const struct hosted *hosted)
{
    for (size_t i = 0; i < store->duckling_count; i++)
        if (id_equal(&store->ducklings[i].id, &hosted->id)) {
            store->ducklings[i].profile = copy_profile(&store->memory, &hosted->profile);
            store->ducklings[i].pulse_ms = hosted->pulse_ms;
        }
}

static void drop_bond(struct pond_store *store, const struct id *id)
{
    for (size_t i = 0; i < store->bond_count; i++)
        if (id_equal(&store->bonds[i].id, id)) {
            memmove(&store->bonds[i], &store->bonds[i + 1],
                    (store->bond_count - i - 1) * sizeof *store->bonds);
            store->bond_count--;
            return;
        }
}

static void keep_bond(struct pond_store *store, const struct bond *bond)
{
    struct bond_use use = {0};
    struct bond *kept;

    for (size_t i = 0; i < store->bond_count; i++)
        if (id_equal(&store->bonds[i].id, &bond->id))
            use = store->bonds[i].use;
    drop_bond(store, &bond->id);
    store->bonds =
        grow(store->bonds, store->bond_count, &store->bond_capacity, sizeof *store->bonds);
    kept = &store->bonds[store->bond_count++];
    *kept = *bond;
    kept->use = use;
    for (size_t i = 0; i < bond->scope_count; i++)
        kept->scopes[i] = arena_copy(&store->memory, bond->scopes[i]);
    for (size_t i = 0; i < bond->terms.stop_word_count; i++)
        kept->terms.stop_words[i] = arena_copy(&store->memory, bond->terms.stop_words[i]);
}

/* A power cut takes none of it back: then more was used than is known elsewhere, never less. */
static void drop_context(struct pond_store *store, const struct id *carrier)
{
    for (size_t i = 0; i < store->context_count; i++)
        if (id_equal(&store->contexts[i].carrier, carrier))
            store->contexts[i] = store->contexts[--store->context_count];
}

static void keep_context(struct pond_store *store, const struct kept_context *kept)
{
    drop_context(store, &kept->carrier);
    store->contexts = grow(store->contexts, store->context_count, &store->context_capacity,
                           sizeof *store->contexts);
    store->contexts[store->context_count] = *kept;
    store->contexts[store->context_count++].wire = arena_copy(&store->memory, kept->wire);
}

static void drop_grant(struct pond_store *store, const struct id *block)
{
    for (size_t i = 0; i < store->grant_count; i++)
        if (id_equal(&store->grants[i].block, block))
            store->grants[i] = store->grants[--store->grant_count];
}

static void keep_grant(struct pond_store *store, const struct grant_change *change)
{
    for (size_t i = 0; i < change->row_count; i++) {
        drop_grant(store, &change->rows[i].block);
        store->grants =
            grow(store->grants, store->grant_count, &store->grant_capacity, sizeof *store->grants);
        store->grants[store->grant_count++] = change->rows[i];
    }
}

static void keep_count(struct pond_store *store, const struct bond_count *count)
{
    for (size_t i = 0; i < store->bond_count && !count->is_thread; i++)
        if (id_equal(&store->bonds[i].id, &count->bond))
            store->bonds[i].use = count->use;
    if (!count->is_thread)
        return;
    for (size_t i = 0; i < store->thread_count; i++)
        if (id_equal(&store->threads[i].bond, &count->bond) &&
            store->threads[i].place == count->place) {
            store->threads[i] = *count;
            return;
        }
    store->threads =
        grow(store->threads, store->thread_count, &store->thread_capacity, sizeof *store->threads);
    store->threads[store->thread_count++] = *count;
}

/* ---- pecks ---- */

struct kept_peck *disk_peck(const struct pond_store *store, enum box box, const struct id *id)
{
    return (struct kept_peck *)idtable_find(&store->pecks[box - 1], id);
}

static void keep_peck(struct pond_store *store, const struct effect *effect)
{
    struct kept_peck *peck = memory_take(sizeof *peck);

    peck->by_id.id = effect->peck.id;
    peck->box = effect->peck.box;
    peck->hash = effect->peck.hash;
    peck->from = effect->peck.from;
    peck->to = effect->peck.to;
    peck->kind = effect->peck.kind;
    peck->state = effect->peck.state;
    peck->place = effect->peck.state == PECK_PENDING ? TRAY_WAITING : TRAY_READY;
    peck->expires_ms = effect->peck.expires_ms;
    peck->action = arena_copy(&store->memory, effect->peck.action);
    peck->thread = arena_copy(&store->memory, effect->peck.thread);
    peck->wire = arena_copy(&store->memory, effect->peck.wire);
    peck->chain = arena_copy(&store->memory, effect->peck.chain);
    if (effect->peck.context) {
        peck->context = arena_copy(&store->memory, effect->peck.context->wire);
        peck->carrier = effect->peck.context->carrier;
    }
    idtable_add(&store->pecks[peck->box - 1], &peck->by_id);
    store->in_order =
        grow(store->in_order, store->peck_count, &store->peck_capacity, sizeof *store->in_order);
    store->in_order[store->peck_count++] = peck;
}

static struct kept_peck *change(struct pond_store *store, enum box box, const struct id *id)
{
    struct kept_peck *peck = disk_peck(store, box, id);
    struct undo *undo;

    if (!peck)
        return NULL;
    undo = remember(store, UNDO_PECK);
    undo->changed.peck = peck;
    undo->changed.was = *peck;
    return peck;
}

static void keep_state(struct pond_store *store, const struct effect *effect)
{
    struct kept_peck *peck = change(store, effect->state.box, &effect->state.peck);

    if (!peck)
        return;
    peck->state = effect->state.state;
    peck->attempt = effect->state.attempt;
    peck->cancelling |= effect->state.cancelling;
    if (peck->box == BOX_OUT)
        return;
    peck->place = effect->state.place;
    peck->lease_until_ms = effect->state.lease_until_ms;
}

static void keep_receipt(struct pond_store *store, const struct effect *effect)
{
    struct kept_peck *peck = change(store, effect->receipt.box, &effect->receipt.peck);
    size_t which = (size_t)effect->receipt.kind - 1;

    if (!peck)
        return;
    peck->receipts[which] = arena_copy(&store->memory, effect->receipt.wire);
    peck->receipt_chains[which] = arena_copy(&store->memory, effect->receipt.chain);
}

struct partials disk_partials(const struct kept_peck *peck)
{
    return peck->partials ? peck->partials->partials : (struct partials){0};
}

const struct kept_partial *disk_partial(const struct kept_peck *peck, uint32_t number)
{
    const struct kept_partial *at = peck->partials;

    while (at && at->partials.count != number)
        at = at->before;
    return at;
}

static void keep_partial(struct pond_store *store, const struct effect *effect)
{
    struct kept_peck *peck = change(store, effect->partial.box, &effect->partial.peck);
    struct kept_partial *kept;

    if (!peck)
        return;
    kept = arena_take(&store->memory, sizeof *kept);
    kept->before = peck->partials;
    kept->partials = effect->partial.partials;
    kept->wire = arena_copy(&store->memory, effect->partial.wire);
    kept->chain = arena_copy(&store->memory, effect->partial.chain);
    peck->partials = kept;
}

/* ---- records ---- */

static void remove_record(struct pond *pond, struct pond_store *store, const struct hash *hash)
{
    struct pooled *record = records_find(pond->records, hash);

    if (!record || !held_set_has(&store->records, record))
        return;
    held_set_remove(&store->records, pond->records, record);
    remember(store, UNDO_REMOVED)->record = record;
}

/* Which ended the disk finds out itself, so that the laws know, whatever the agent says. */
static void drop_record(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    struct pond_store *store = &node->store;
    const struct pooled *record = records_find(pond->records, &effect->record.dropped);

    if (!record || !held_set_has(&store->records, record))
        return;
    remove_record(pond, store, &effect->record.dropped);
    if (record->kind == RECORD_REVOCATION || record->not_after_ms > node_moment(pond, node).wall_ms)
        return;
    store->ended =
        grow(store->ended, store->ended_count, &store->ended_capacity, sizeof *store->ended);
    store->ended[store->ended_count++] =
        (struct ended){.record = record, .mark_until_ms = effect->record.mark_until_ms};
    remember(store, UNDO_ENDED);
}

static void keep_record(struct pond *pond, struct pond_store *store, const struct effect *effect)
{
    static const struct hash none;
    struct pooled *record = records_pool(pond->records, &effect->record.item);

    if (!hash_equal(&effect->record.replaced, &none))
        remove_record(pond, store, &effect->record.replaced);
    if (!held_set_has(&store->records, record)) {
        held_set_add(&store->records, pond->records, record);
        remember(store, UNDO_ADDED)->record = record;
    }
    if (effect->record.dated_here && version_compare(record->version, store->floor) > 0)
        store->floor = record->version;
}

static void keep_pin(struct pond_store *store, const struct effect *effect)
{
    struct bytes address = effect->pin.address;
    struct pond_pin *pin;
    size_t i = 0;

    while (i < store->pin_count && !bytes_equal(bytes_of_text(store->pins[i].address), address))
        i++;
    if (i == store->pin_count)
        store->pins =
            grow(store->pins, store->pin_count++, &store->pin_capacity, sizeof *store->pins);
    pin = &store->pins[i];
    snprintf(pin->address, sizeof pin->address, "%.*s", (int)address.size,
             (const char *)address.data);
    pin->node = effect->pin.node;
}

void disk_keep(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    struct pond_store *store = &node->store;

    switch ((int)effect->kind) {
    case EFFECT_KEEP_DUCKLING:
        keep_duckling(store, effect->duckling);
        break;
    case EFFECT_KEEP_KEY:
        keep_key(store, effect->duckling);
        learn_key(pond, node, effect->duckling->chain);
        break;
    case EFFECT_KEEP_PROFILE:
        keep_profile(store, effect->duckling);
        break;
    case EFFECT_KEEP_PECK:
        keep_peck(store, effect);
        break;
    case EFFECT_KEEP_STATE:
        keep_state(store, effect);
        break;
    case EFFECT_KEEP_RECEIPT:
        keep_receipt(store, effect);
        break;
    case EFFECT_KEEP_PARTIAL:
        keep_partial(store, effect);
        break;
    case EFFECT_KEEP_BOND:
        keep_bond(store, effect->bond);
        break;
    case EFFECT_DROP_BOND:
        drop_bond(store, &effect->bond->id);
        break;
    case EFFECT_KEEP_CONTEXT:
        keep_context(store, effect->context);
        break;
    case EFFECT_DROP_CONTEXT:
        drop_context(store, &effect->context->carrier);
        break;
    case EFFECT_KEEP_GRANT:
        keep_grant(store, effect->grant);
        break;
    case EFFECT_DROP_GRANT:
        drop_grant(store, &effect->dropped_grant);
        break;
    case EFFECT_KEEP_LOBSTER:
        disk_keep_lobster(store, effect->lobster.lobster);
        break;
    case EFFECT_DROP_LOBSTER:
        disk_drop_lobster(store, effect->lobster.lobster);
        break;
    case EFFECT_KEEP_COUNT:
        keep_count(store, &effect->count);
        break;
    case EFFECT_KEEP_RECORD:
        keep_record(pond, store, effect);
        break;
    case EFFECT_DROP_RECORD:
        drop_record(pond, node, effect);
        break;
    case EFFECT_KEEP_PIN:
        keep_pin(store, effect);
        break;
    case EFFECT_KEEP_COUNTERS:
        remember(store, UNDO_COUNTERS)->counters = store->counters;
        store->counters = effect->counters;
        break;
    default:
        disk_keep_perches(store, effect);
        break;
    }
}

/* ---- turns, and what a power cut leaves of them ---- */

void disk_end_turn(struct pond_store *store, bool sync)
{
    if (sync)
        store->undo_count = 0;
    else
        remember(store, UNDO_TURN);
}

static void take_back(struct pond *pond, struct pond_store *store, const struct undo *undo)
{
    struct idtable_node by_id;

    switch (undo->kind) {
    case UNDO_TURN:
        break;
    case UNDO_ADDED:
        held_set_remove(&store->records, pond->records, undo->record);
        break;
    case UNDO_REMOVED:
        held_set_add(&store->records, pond->records, undo->record);
        break;
    case UNDO_ENDED:
        store->ended_count--;
        break;
    case UNDO_PECK:
        by_id = undo->changed.peck->by_id; /* where it hangs in the table is not its content */
        *undo->changed.peck = undo->changed.was;
        undo->changed.peck->by_id = by_id;
        break;
    case UNDO_COUNTERS:
        store->counters = undo->counters;
        break;
    }
}

/* The log on the disk may reach to any commit since the last sync. */
void disk_lose_power(struct pond *pond, struct pond_node *node)
{
    struct pond_store *store = &node->store;
    size_t turns = 0, lost;

    for (size_t i = 0; i < store->undo_count; i++)
        turns += store->undo[i].kind == UNDO_TURN;
    lost = dice_below(&pond->fault_dice, turns + 1);
    while (store->undo_count > 0 && lost > 0) {
        take_back(pond, store, &store->undo[--store->undo_count]);
        lost -= store->undo_count == 0 || store->undo[store->undo_count - 1].kind == UNDO_TURN;
    }
    store->undo_count = 0; /* what is read back after a start is on the disk */
}

/* ---- restoring ---- */

static void give_record(struct pond *pond, struct pond_node *node, struct pooled *pooled,
                        const struct moment *at, struct effects *unheard)
{
    struct event event = {.kind = EVENT_RESTORED_RECORD, .at = *at};

    event.restored.wire = pooled->wire;
    event.restored.chain = pooled->chain;
    event.restored.record = *records_parse(pond->records, pooled);
    agent_step(node->agent, &event, unheard);
}

static void give_mark(struct pond *pond, struct pond_node *node, const struct ended *ended,
                      const struct moment *at, struct effects *unheard)
{
    struct event event = {.kind = EVENT_RESTORED_MARK, .at = *at};
    const struct pooled *record = ended->record;

    if (ended->mark_until_ms <= at->wall_ms)
        return;
    event.mark.owner = record->owner;
    event.mark.kind = record->kind;
    event.mark.key = records_parse(pond->records, records_at(pond->records, record->number))->key;
    event.mark.version = record->version;
    event.mark.until_ms = ended->mark_until_ms;
    agent_step(node->agent, &event, unheard);
}

static bool is_open(const struct kept_peck *peck)
{
    return peck->state < PECK_DENIED &&
           !(peck->state == PECK_APPROVED && peck->kind == PECK_BOND_REQUEST);
}

static void give_sent(struct pond_node *node, const struct kept_peck *peck, const struct moment *at,
                      struct effects *unheard)
{
    struct event event = {.kind = EVENT_RESTORED_SENT, .at = *at};
    bool again = peck->state == PECK_QUEUED || peck->state == PECK_SENT || peck->cancelling;

    event.sent = (struct outbox_entry){
        .peck = peck->by_id.id,
        .hash = peck->hash,
        .from = peck->from,
        .to = peck->to,
        .kind = peck->kind,
        .state = peck->state,
        .expires_ms = peck->expires_ms,
        .attempts = peck->attempt,
        .partials = disk_partials(peck),
        .conversation = outbox_conversation(&peck->from, &peck->to, peck->thread),
        .cancelling = peck->cancelling,
        .next_send_ms = again ? at->now_ms : MOMENT_NEVER};
    agent_step(node->agent, &event, unheard);
}

static void give_received(struct pond_node *node, const struct kept_peck *peck,
                          const struct moment *at, struct effects *unheard)
{
    struct event event = {.kind = EVENT_RESTORED_RECEIVED, .at = *at};
    uint64_t left_ms = peck->lease_until_ms > at->wall_ms ? peck->lease_until_ms - at->wall_ms : 0;

    event.received = (struct tray_entry){.peck = peck->by_id.id,
                                         .hash = peck->hash,
                                         .from = peck->from,
                                         .to = peck->to,
                                         .context = peck->carrier,
                                         .kind = peck->kind,
                                         .state = peck->state,
                                         .place = peck->place,
                                         .expires_ms = peck->expires_ms,
                                         .attempt = peck->attempt,
                                         .action = peck->action,
                                         .partials = disk_partials(peck)};
    if (peck->place == TRAY_LEASED)
        event.received.lease_until_ms =
            at->now_ms + (left_ms < LEASE_MAX_MS ? left_ms : LEASE_MAX_MS);
    agent_step(node->agent, &event, unheard);
}

void disk_restore(struct pond *pond, struct pond_node *node, const struct moment *at,
                  struct effects *unheard)
{
    struct pond_store *store = &node->store;
    struct event event = {.at = *at};

    event.kind = EVENT_RESTORED_DUCKLING;
    for (size_t i = 0; i < store->duckling_count; i++) {
        event.duckling = store->ducklings[i];
        agent_step(node->agent, &event, unheard);
    }
    event.kind = EVENT_RESTORED_CONTEXT;
    for (size_t i = 0; i < store->context_count; i++) {
        event.context = store->contexts[i];
        agent_step(node->agent, &event, unheard);
    }
    event.kind = EVENT_RESTORED_BOND;
    for (size_t i = 0; i < store->bond_count; i++) {
        event.bond = store->bonds[i];
        agent_step(node->agent, &event, unheard);
    }
    event.kind = EVENT_RESTORED_GRANT;
    for (size_t i = 0; i < store->grant_count; i++) {
        event.grant = store->grants[i];
        agent_step(node->agent, &event, unheard);
    }
    event.kind = EVENT_RESTORED_LOBSTER;
    for (size_t i = 0; i < store->lobster_count; i++) {
        event.lobster = store->lobsters[i];
        agent_step(node->agent, &event, unheard);
    }
    event.kind = EVENT_RESTORED_PIN;
    for (size_t i = 0; i < store->pin_count; i++) {
        event.pin.address = bytes_of_text(store->pins[i].address);
        event.pin.node = store->pins[i].node;
        agent_step(node->agent, &event, unheard);
    }
    event.kind = EVENT_RESTORED_THREAD;
    for (size_t i = 0; i < store->thread_count; i++) {
        event.thread = store->threads[i];
        agent_step(node->agent, &event, unheard);
    }
    for (size_t i = 0; i < store->records.slot_count; i++)
        if (store->records.slots[i])
            give_record(pond, node, records_at(pond->records, store->records.slots[i] - 1), at,
                        unheard);
    for (size_t i = 0; i < store->ended_count; i++)
        give_mark(pond, node, &store->ended[i], at, unheard);
    for (int box = BOX_OUT; box >= BOX_IN; box--)
        for (size_t i = 0; i < store->peck_count; i++) {
            const struct kept_peck *peck = store->in_order[i];

            if ((int)peck->box != box || !is_open(peck))
                continue;
            if (box == BOX_OUT)
                give_sent(node, peck, at, unheard);
            else
                give_received(node, peck, at, unheard);
        }
    disk_restore_perches(node, at, unheard);
    effects_clear(unheard);
}
