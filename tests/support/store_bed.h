/* store_bed: a store in a fresh directory, three authors, and turns in one line. For libcheck. */
#ifndef DUCK_TESTS_STORE_BED_H
#define DUCK_TESTS_STORE_BED_H

#include "store_things.h"

#include <check.h>

struct bed {
    char directory[64], path[80];
    struct store *store;
    struct arena arena;
    struct author alice, bob, node; /* bob and the node live here */
    uint8_t storage_key[32];
};

static inline int bed_try_open(struct bed *bed)
{
    struct store_settings settings = {
        .path = bed->path, .storage_key = bed->storage_key, .node = bed->node.id};

    return store_open(&bed->store, &settings);
}

static inline void bed_open(struct bed *bed)
{
    ck_assert_int_eq(bed_try_open(bed), 0);
}

static inline void bed_close(struct bed *bed)
{
    store_close(bed->store);
    bed->store = NULL;
}

static inline void bed_make(struct bed *bed)
{
    memset(bed, 0, sizeof *bed);
    ck_assert(identity_self_test());
    strcpy(bed->directory, "/tmp/duck-store.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(bed->directory));
    snprintf(bed->path, sizeof bed->path, "%s/node.db", bed->directory);
    arena_init(&bed->arena, 256 * MIB);
    memset(bed->storage_key, 7, sizeof bed->storage_key);
    bed->alice = author_new(IDENTITY_DUCKLING, 1, &bed->arena);
    bed->bob = author_new(IDENTITY_DUCKLING, 2, &bed->arena);
    bed->node = author_new(IDENTITY_NODE, 3, &bed->arena);
    bed_open(bed);
}

static inline void bed_free(struct bed *bed)
{
    bed_close(bed);
    author_free(&bed->alice);
    author_free(&bed->bob);
    author_free(&bed->node);
    arena_free(&bed->arena);
    remove_directory(bed->directory);
}

/* One turn. */
static inline void bed_keep(struct bed *bed, const struct effect *effects, size_t count)
{
    ck_assert_int_eq(store_begin(bed->store), 0);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(store_keep(bed->store, &effects[i]), 0);
    ck_assert_int_eq(store_commit(bed->store), 0);
}

static inline struct effect bed_receive(struct bed *bed, enum peck_state state,
                                        const struct peck_wish *wish)
{
    struct effect kept = make_peck(&bed->alice, &bed->bob.id, BOX_IN, state, wish, &bed->arena);

    bed_keep(bed, &kept, 1);
    return kept;
}

static inline struct effect bed_send(struct bed *bed, enum peck_state state,
                                     const struct peck_wish *wish)
{
    struct effect kept = make_peck(&bed->bob, &bed->alice.id, BOX_OUT, state, wish, &bed->arena);

    bed_keep(bed, &kept, 1);
    return kept;
}

static inline void bed_move(struct bed *bed, const struct effect *kept, enum peck_state state,
                            enum tray_place place)
{
    struct effect effect = make_state(kept->peck.box, &kept->peck.id, state, place);

    bed_keep(bed, &effect, 1);
}

/* Enough received pecks, all answered, that everything before them is filed. */
static inline void bed_fill(struct bed *bed, size_t count)
{
    static struct peck pecks[BATCH_ITEMS_MAX];
    static struct bytes wires[BATCH_ITEMS_MAX];
    static struct effect effects[BATCH_ITEMS_MAX];
    struct peck_wish wish = {.payload_size = 10};
    struct arena arena;

    arena_init(&arena, 16 * MIB);
    for (size_t done = 0; done < count; done += BATCH_ITEMS_MAX) {
        arena_reset(&arena);
        make_pecks(&bed->alice, &bed->bob.id, &wish, BATCH_ITEMS_MAX, &arena, pecks, wires);
        for (size_t i = 0; i < BATCH_ITEMS_MAX; i++)
            effects[i] =
                keep_peck_effect(BOX_IN, PECK_ANSWERED, &pecks[i], wires[i], bed->alice.chain);
        bed_keep(bed, effects, BATCH_ITEMS_MAX);
    }
    arena_free(&arena);
}

/* ---- what a restart gives back ---- */

#define RESTORED_MAX 64

struct restored {
    struct bed *bed;
    enum event_kind kinds[RESTORED_MAX];
    size_t count, ducklings, bonds, pins, threads, records, marks, proofs, sent, received;
    struct hosted duckling;
    struct bond bond;
    struct bond_count thread;
    struct record record;
    struct version mark_version;
    uint64_t mark_until_ms;
    uint32_t mark_kind;
    struct directory_proof proof;
    struct id pin_node; /* of the last */
    char pin_address[ADDRESS_MAX + 1];
    struct outbox_entry sent_entries[RESTORED_MAX];
    struct tray_entry received_entries[RESTORED_MAX];
    struct metrics_content counters;
    struct version floor;
    size_t grants;
    struct grant_row grant;
    size_t contexts;
    struct kept_context context; /* the last */
};

static inline void restored_take(void *context, const struct event *event)
{
    struct restored *restored = context;

    if (restored->count < RESTORED_MAX)
        restored->kinds[restored->count++] = event->kind;
    switch ((int)event->kind) {
    case EVENT_RESTORED_DUCKLING:
        restored->ducklings++;
        restored->duckling = event->duckling;
        restored->duckling.chain = arena_copy(&restored->bed->arena, event->duckling.chain);
        restored->duckling.profile.display_name =
            arena_copy(&restored->bed->arena, event->duckling.profile.display_name);
        restored->duckling.profile.bio =
            arena_copy(&restored->bed->arena, event->duckling.profile.bio);
        for (size_t i = 0; i < event->duckling.profile.capability_count; i++)
            restored->duckling.profile.capabilities[i] =
                arena_copy(&restored->bed->arena, event->duckling.profile.capabilities[i]);
        break;
    case EVENT_RESTORED_CONTEXT:
        restored->contexts++;
        restored->context = event->context;
        restored->context.wire = arena_copy(&restored->bed->arena, event->context.wire);
        break;
    case EVENT_RESTORED_BOND:
        restored->bonds++;
        restored->bond = event->bond;
        for (size_t i = 0; i < event->bond.scope_count; i++)
            restored->bond.scopes[i] = arena_copy(&restored->bed->arena, event->bond.scopes[i]);
        for (size_t i = 0; i < event->bond.terms.stop_word_count; i++)
            restored->bond.terms.stop_words[i] =
                arena_copy(&restored->bed->arena, event->bond.terms.stop_words[i]);
        break;
    case EVENT_RESTORED_THREAD:
        restored->threads++;
        restored->thread = event->thread;
        break;
    case EVENT_RESTORED_GRANT:
        restored->grants++;
        restored->grant = event->grant;
        break;
    case EVENT_RESTORED_RECORD:
        restored->records++;
        restored->record = event->restored.record;
        restored->record.content =
            arena_copy(&restored->bed->arena, event->restored.record.content);
        break;
    case EVENT_RESTORED_MARK:
        restored->marks++;
        restored->mark_version = event->mark.version;
        restored->mark_until_ms = event->mark.until_ms;
        restored->mark_kind = event->mark.kind;
        break;
    case EVENT_RESTORED_PROOF:
        restored->proofs++;
        restored->proof = event->proof;
        break;
    case EVENT_RESTORED_PIN:
        restored->pins++;
        restored->pin_node = event->pin.node;
        snprintf(restored->pin_address, sizeof restored->pin_address, "%.*s",
                 (int)event->pin.address.size, (const char *)event->pin.address.data);
        break;
    case EVENT_RESTORED_SENT:
        ck_assert_uint_lt(restored->sent, RESTORED_MAX);
        restored->sent_entries[restored->sent++] = event->sent;
        break;
    case EVENT_RESTORED_RECEIVED:
        ck_assert_uint_lt(restored->received, RESTORED_MAX);
        restored->received_entries[restored->received] = event->received;
        restored->received_entries[restored->received++].action =
            arena_copy(&restored->bed->arena, event->received.action);
        break;
    default:
        ck_abort_msg("nothing else is restored");
    }
}

static inline void bed_restore(struct bed *bed, const struct moment *at, struct restored *restored)
{
    memset(restored, 0, sizeof *restored);
    restored->bed = bed;
    ck_assert_int_eq(store_restore(bed->store, at, restored_take, restored, &restored->counters,
                                   &restored->floor),
                     0);
}

#endif
