/* Perches: what the disk holds of them, how they are carried out, and for stories one that lies. */
#include "pond_parts.h"

/* ---- a disk of sorts ---- */

/* A power cut takes nothing of this back: a deposit may be known early, never late, and what was
 * settled and is held again would be settled again. */
void disk_keep_perches(struct pond_store *store, const struct effect *effect)
{
    struct kept_peck *peck;

    switch ((int)effect->kind) {
    case EFFECT_KEEP_PRE_KEY:
        assert(store->pre_key_count < PRE_KEYS_MAX);
        memcpy(store->pre_keys[store->pre_key_count].secret, effect->pre_key.secret,
               NOISE_KEY_SIZE);
        memcpy(store->pre_keys[store->pre_key_count].public, effect->pre_key.public,
               NOISE_KEY_SIZE);
        store->pre_keys[store->pre_key_count++].made_ms = effect->pre_key.made_ms;
        break;
    case EFFECT_DROP_PRE_KEY:
        for (size_t i = 0; i < store->pre_key_count; i++)
            if (memcmp(store->pre_keys[i].public, effect->pre_key.public, NOISE_KEY_SIZE) == 0)
                store->pre_keys[i] = store->pre_keys[--store->pre_key_count];
        break;
    case EFFECT_KEEP_PERCHED:
        if (store->perched_count == store->perched_capacity) {
            store->perched_capacity = store->perched_capacity ? 2 * store->perched_capacity : 16;
            store->perched =
                memory_resize(store->perched, store->perched_capacity * sizeof *store->perched);
        }
        store->perched[store->perched_count].entry = effect->perched.entry;
        store->perched[store->perched_count++].sealed =
            bytes_of(memory_copy(effect->perched.sealed.data, effect->perched.sealed.size),
                     effect->perched.sealed.size);
        break;
    case EFFECT_DROP_PERCHED:
        for (size_t i = 0; i < store->perched_count; i++) {
            if (store->perched[i].entry.number != effect->perched.entry.number)
                continue;
            memory_give_back((void *)(uintptr_t)store->perched[i].sealed.data);
            memmove(&store->perched[i], &store->perched[i + 1],
                    (store->perched_count - i - 1) * sizeof *store->perched);
            store->perched_count--;
            break;
        }
        break;
    case EFFECT_KEEP_DEPOSIT:
        peck = disk_peck(store, BOX_OUT, &effect->kept_deposit.peck);
        if (peck && peck->held_count < PERCHES_PER_PECK)
            peck->held_by[peck->held_count++] = effect->kept_deposit.perch;
        break;
    default:
        break;
    }
}

void disk_free_perches(struct pond_store *store)
{
    for (size_t i = 0; i < store->perched_count; i++)
        memory_give_back((void *)(uintptr_t)store->perched[i].sealed.data);
    memory_give_back(store->perched);
}

void disk_restore_perches(struct pond_node *node, const struct moment *at, struct effects *unheard)
{
    struct pond_store *store = &node->store;
    struct event event = {.kind = EVENT_RESTORED_PRE_KEY, .at = *at};

    for (size_t i = 0; i < store->pre_key_count; i++) {
        memcpy(event.pre_key.secret, store->pre_keys[i].secret, NOISE_KEY_SIZE);
        event.pre_key.made_ms = store->pre_keys[i].made_ms;
        agent_step(node->agent, &event, unheard);
    }
    event.kind = EVENT_RESTORED_PERCHED;
    for (size_t i = 0; i < store->perched_count; i++) {
        event.perched = store->perched[i].entry;
        agent_step(node->agent, &event, unheard);
    }
    event.kind = EVENT_RESTORED_DEPOSIT;
    for (size_t i = 0; i < store->peck_count; i++)
        for (size_t which = 0; which < store->in_order[i]->held_count; which++) {
            event.kept_deposit.peck = store->in_order[i]->by_id.id;
            event.kept_deposit.perch = store->in_order[i]->held_by[which];
            agent_step(node->agent, &event, unheard);
        }
}

/* ---- as node/perform.c does it ---- */

void perform_deposit(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    const struct deposit *deposit = effect->deposit;
    const struct kept_peck *peck = disk_peck(&node->store, BOX_OUT, &deposit->peck);
    struct arena arena;

    if (!peck)
        return;
    pond->sums.brought++;
    arena_init(&arena, 4 * MIB);
    network_send(pond, node, &deposit->perch, FRAME_DEPOSIT,
                 frame_pack_deposit(deposit, chain_with_context(peck->chain, peck->context, &arena),
                                    peck->wire, &arena));
    arena_free(&arena);
}

static const struct kept_perched *find_perched(const struct pond_store *store, uint64_t number)
{
    for (size_t i = 0; i < store->perched_count; i++)
        if (store->perched[i].entry.number == number)
            return &store->perched[i];
    return NULL;
}

/* One in four is dropped, changed, said twice, or told with what belongs to another. */
static void send_lie(struct pond *pond, struct pond_node *node, const struct id *owner,
                     const struct kept_perched *held, struct bytes *other, struct arena *arena)
{
    struct bytes sealed = arena_copy(arena, held->sealed);
    int times = 1;

    switch (dice_below(&pond->hostile_dice, 8)) {
    case 0:
    case 1:
        return;
    case 2:
    case 3:
        ((uint8_t *)(uintptr_t)sealed.data)[dice_below(&pond->hostile_dice, sealed.size)] ^= 0x10;
        break;
    case 4:
    case 5:
        times = 2;
        break;
    case 6:
        if (other->size > 0)
            sealed = *other;
        break;
    default:
        break;
    }
    *other = arena_copy(arena, held->sealed);
    while (times-- > 0)
        network_send(pond, node, owner, FRAME_HELD,
                     frame_pack_held(&held->entry, sealed, false, false, arena));
}

/* All of a portion, from its end to its beginning. */
static void lie(struct pond *pond, struct pond_node *node, const struct perched_portion *portion,
                struct arena *arena)
{
    struct bytes other = {0};

    for (size_t i = portion->count; i-- > 0;) {
        const struct kept_perched *held = find_perched(&node->store, portion->entries[i].number);

        if (held)
            send_lie(pond, node, &portion->owner, held, &other, arena);
    }
    network_send(pond, node, &portion->owner, FRAME_HELD,
                 frame_pack_held(NULL, bytes_of(NULL, 0), true, portion->has_more, arena));
}

void perform_perched(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    const struct perched_portion *portion = effect->portion;
    struct arena arena;

    arena_init(&arena, 64 * MIB);
    if (node->perch_lies) {
        lie(pond, node, portion, &arena);
        arena_free(&arena);
        return;
    }
    for (size_t i = 0; i < portion->count || i == 0; i++) {
        const struct kept_perched *held =
            i < portion->count ? find_perched(&node->store, portion->entries[i].number) : NULL;
        bool is_last = i + 1 >= portion->count;

        if (held || is_last)
            network_send(pond, node, &portion->owner, FRAME_HELD,
                         frame_pack_held(held ? &held->entry : NULL,
                                         held ? held->sealed : bytes_of(NULL, 0), is_last,
                                         portion->has_more, &arena));
    }
    arena_free(&arena);
}

/* ---- for stories ---- */

size_t pond_perches(struct pond *pond, size_t owner, size_t perches[NODE_PERCHES_MAX])
{
    const struct held_set *held = &pond->nodes[owner].store.records;
    struct node_content content = {0};
    struct arena arena;
    size_t count = 0;

    for (size_t i = 0; i < held->slot_count; i++) {
        struct pooled *pooled =
            held->slots[i] ? records_at(pond->records, held->slots[i] - 1) : NULL;

        if (!pooled || pooled->kind != RECORD_NODE ||
            !id_equal(&pooled->owner, &pond->nodes[owner].id))
            continue;
        arena_init(&arena, MIB);
        if (node_content_parse(records_parse(pond->records, pooled)->content, &arena, &content) !=
            RECORD_OK)
            assert(!"a record that is held parses");
        arena_free(&arena);
    }
    for (size_t i = 0; i < content.perch_count; i++) {
        const struct pond_node *node = node_find(pond, &content.perches[i]);

        if (node)
            perches[count++] = node->index;
    }
    return count;
}

void pond_let_perch_lie(struct pond *pond, size_t node)
{
    pond->nodes[node].perch_lies = true;
}

void pond_peck(struct pond *pond, size_t from, size_t duckling, size_t to, const char *thread,
               uint64_t expires_in_ms)
{
    struct pond_node *node = &pond->nodes[from];
    struct message *message = message_make();
    struct order *order = node_order(message, ORDER_SEND, &node->store.ducklings[duckling].id);

    assert(pond->nodes[to].store.duckling_count > 0);
    order->send.from = order->duckling;
    order->send.to = pond->nodes[to].store.ducklings[0].id;
    order->send.kind = PECK_ACTION;
    order->send.action = bytes_of_text(POND_SCOPE);
    order->send.payload = bytes_of_text("{}");
    order->send.thread = arena_copy(&message->arena, bytes_of_text(thread));
    order->expires_in_ms = expires_in_ms;
    node_take(pond, node, message);
}

size_t pond_perched(const struct pond *pond, size_t node)
{
    return pond->nodes[node].store.perched_count;
}

/* Where it is among all that came to `to`; 0: it did not come. */
static size_t place_of(const struct pond_store *to, const struct id *peck)
{
    for (size_t i = 0; i < to->peck_count; i++)
        if (to->in_order[i]->box == BOX_IN && id_equal(&to->in_order[i]->by_id.id, peck))
            return i + 1;
    return 0;
}

void pond_count_pecks(const struct pond *pond, size_t from, size_t to, struct pond_pecks *counts)
{
    const struct pond_store *sent = &pond->nodes[from].store, *came = &pond->nodes[to].store;
    const struct kept_peck *last[POND_THREADS_MAX];
    size_t places[POND_THREADS_MAX], threads = 0;

    for (size_t i = 0; i < sent->peck_count; i++) {
        const struct kept_peck *peck = sent->in_order[i];
        size_t place = place_of(came, &peck->by_id.id), which = 0;

        if (peck->box != BOX_OUT)
            continue;
        counts->sent++;
        counts->came += place > 0;
        counts->held += peck->held_count > 0;
        counts->expired += peck->state == PECK_EXPIRED;
        counts->lost += place == 0 && peck->state != PECK_EXPIRED;
        if (place == 0)
            continue;
        while (which < threads && !(id_equal(&last[which]->from, &peck->from) &&
                                    bytes_equal(last[which]->thread, peck->thread)))
            which++;
        assert(which < POND_THREADS_MAX);
        if (which == threads)
            places[threads++] = 0;
        counts->disordered += place < places[which];
        last[which] = peck;
        places[which] = place;
    }
}
