/* What is kept is there again: in the open turn, after the commit, after a restart. */
#include "store_bed.h"

#include "clock.h"
#include "store_internal.h"

#include <sys/stat.h>

static struct bed bed;

static void make(void)
{
    bed_make(&bed);
}

static void unmake(void)
{
    bed_free(&bed);
}

static const struct moment later = {.now_ms = 5000, .wall_ms = THINGS_WALL_MS + MINUTE_MS};

/* ---- pecks ---- */

START_TEST(a_peck_is_known_within_its_own_turn)
{
    struct peck_wish wish = {0};
    struct effect kept = make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &wish, &bed.arena);
    enum peck_state state = 0;

    ck_assert(!store_knows_peck(bed.store, &kept.peck.id, &state));
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep(bed.store, &kept), 0);
    ck_assert(store_knows_peck(bed.store, &kept.peck.id, &state));
    ck_assert_int_eq(state, PECK_TAKEN);
    ck_assert_int_eq(store_commit(bed.store), 0);
    ck_assert(store_knows_peck(bed.store, &kept.peck.id, &state));
}
END_TEST

START_TEST(a_sent_peck_is_not_a_received_one)
{
    struct effect kept = bed_send(&bed, PECK_SENT, &(struct peck_wish){0});
    enum peck_state state;

    ck_assert(!store_knows_peck(bed.store, &kept.peck.id, &state));
}
END_TEST

START_TEST(a_peck_between_two_ducklings_of_one_node_is_held_twice)
{
    struct peck_wish wish = {0};
    struct effect both[2];
    struct bytes wire, chain;
    enum peck_state state;

    both[0] = make_peck(&bed.alice, &bed.bob.id, BOX_OUT, PECK_SENT, &wish, &bed.arena);
    both[1] = both[0];
    both[1].peck.box = BOX_IN;
    both[1].peck.state = PECK_PENDING;
    bed_keep(&bed, both, 2);
    ck_assert(store_knows_peck(bed.store, &both[0].peck.id, &state));
    ck_assert_int_eq(state, PECK_PENDING);
    ck_assert_int_eq(
        store_read_peck(bed.store, BOX_OUT, &both[0].peck.id, &bed.arena, &wire, &chain), 0);
    ck_assert(bytes_equal(wire, both[0].peck.wire));
}
END_TEST

START_TEST(the_first_of_two_like_pecks_stands)
{
    struct effect kept = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    enum peck_state state;

    bed_move(&bed, &kept, PECK_ANSWERED, TRAY_WITH_AGENT);
    bed_keep(&bed, &kept, 1);
    ck_assert(store_knows_peck(bed.store, &kept.peck.id, &state));
    ck_assert_int_eq(state, PECK_ANSWERED);
}
END_TEST

START_TEST(bytes_come_back_as_they_came)
{
    struct effect kept =
        bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){.payload_size = PECK_PAYLOAD_MAX - 2});
    struct bytes wire, chain;

    ck_assert_int_eq(store_read_peck(bed.store, BOX_IN, &kept.peck.id, &bed.arena, &wire, &chain),
                     0);
    ck_assert(bytes_equal(wire, kept.peck.wire));
    ck_assert(bytes_equal(chain, bed.alice.chain));
}
END_TEST

START_TEST(a_peck_that_is_not_held_has_no_bytes)
{
    struct bytes wire = bed.alice.chain, chain = bed.alice.chain, wires[2], chains[2];
    struct id nobody = {.bytes = {1, 2, 3}};
    size_t count = 9;

    ck_assert_int_eq(store_read_peck(bed.store, BOX_IN, &nobody, &bed.arena, &wire, &chain), 0);
    ck_assert_uint_eq(wire.size + chain.size, 0);
    ck_assert_int_eq(
        store_read_receipts(bed.store, BOX_IN, &nobody, &bed.arena, wires, chains, &count), 0);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(an_arena_without_room_gives_no_half_a_peck)
{
    struct effect kept = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){.payload_size = 1000});
    struct bytes wire, chain;
    struct arena small;

    arena_init(&small, kept.peck.wire.size);
    ck_assert_int_eq(store_read_peck(bed.store, BOX_IN, &kept.peck.id, &small, &wire, &chain), 0);
    ck_assert_uint_eq(wire.size + chain.size, 0);
    arena_free(&small);
}
END_TEST

START_TEST(receipts_stand_beside_their_peck_taken_before_done)
{
    struct effect kept = bed_receive(&bed, PECK_PENDING, &(struct peck_wish){0});
    struct effect said[3];
    struct bytes wires[2], chains[2];
    size_t count;

    said[0] = make_receipt(&bed.bob, &kept, RECEIPT_DONE, PECK_ANSWERED, &bed.arena);
    said[1] = make_receipt(&bed.node, &kept, RECEIPT_TAKEN, PECK_PENDING, &bed.arena);
    said[2] = make_receipt(&bed.node, &kept, RECEIPT_TAKEN, PECK_APPROVED, &bed.arena);
    bed_keep(&bed, said, 3);
    ck_assert_int_eq(
        store_read_receipts(bed.store, BOX_IN, &kept.peck.id, &bed.arena, wires, chains, &count),
        0);
    ck_assert_uint_eq(count, 2);
    ck_assert(bytes_equal(wires[0], said[2].receipt.wire)); /* approved replaced pending */
    ck_assert(bytes_equal(chains[0], bed.node.chain));
    ck_assert(bytes_equal(wires[1], said[0].receipt.wire));
    ck_assert(bytes_equal(chains[1], bed.bob.chain));
}
END_TEST

/* `count` parts of the answer to a peck. */
static void say_parts(const struct effect *kept, size_t count)
{
    struct partials partials = {0};

    for (size_t i = 0; i < count; i++) {
        struct effect said = make_partial(&bed.bob, kept, &partials, "1", &bed.arena);

        bed_keep(&bed, &said, 1);
    }
}

static size_t count_parts(const struct id *peck)
{
    struct bytes wires[STORE_PARTIALS_AT_ONCE], chain;
    size_t count;

    ck_assert_int_eq(store_read_partials(bed.store, peck, 0, &bed.arena, wires, &chain, &count), 0);
    return count;
}

static void end_peck(const struct effect *kept)
{
    struct effect ends[] = {
        make_receipt(&bed.bob, kept, RECEIPT_DONE, PECK_ANSWERED, &bed.arena),
        make_state(BOX_IN, &kept->peck.id, PECK_ANSWERED, TRAY_WITH_AGENT),
    };

    bed_keep(&bed, ends, 2);
}

static bool prune_parts(uint64_t before_ms, uint64_t *place)
{
    bool is_done;

    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_prune_partials(bed.store, before_ms, place, &is_done), 0);
    ck_assert_int_eq(store_commit(bed.store), 0);
    return is_done;
}

START_TEST(parts_go_when_their_peck_is_done_and_its_time_long_over)
{
    struct effect open = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0}),
                  done = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0}),
                  none = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct bytes wires[2], chains[2];
    uint64_t place = 0;
    size_t count;

    say_parts(&open, 3);
    say_parts(&done, 3);
    end_peck(&done);
    end_peck(&none);
    ck_assert(prune_parts(done.peck.expires_ms, &place)); /* not over before it is over */
    ck_assert_uint_eq(count_parts(&done.peck.id), 3);
    ck_assert(prune_parts(done.peck.expires_ms + 1, &place));
    ck_assert_uint_eq(count_parts(&done.peck.id), 0);
    ck_assert_uint_eq(count_parts(&open.peck.id), 3);
    ck_assert_uint_eq(place, 0);
    ck_assert_int_eq(
        store_read_receipts(bed.store, BOX_IN, &done.peck.id, &bed.arena, wires, chains, &count),
        0);
    ck_assert_uint_eq(count, 1); /* the answer stays */
}
END_TEST

START_TEST(parts_are_pruned_some_at_a_time)
{
    enum { PECKS = 2 * STORE_PARTIALS_CUTS + 1 };
    struct effect kept[PECKS];
    uint64_t place = 0, before_ms;
    size_t left = 0, steps = 0;
    bool is_done = false;

    for (size_t i = 0; i < PECKS; i++) {
        kept[i] = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
        say_parts(&kept[i], 2);
        end_peck(&kept[i]);
    }
    before_ms = kept[0].peck.expires_ms + 1;
    for (; !is_done; steps++) {
        is_done = prune_parts(before_ms, &place);
        left = 0;
        for (size_t i = 0; i < PECKS; i++)
            left += count_parts(&kept[i].peck.id) / 2;
        if (!is_done)
            ck_assert_uint_eq(left, PECKS - (steps + 1) * STORE_PARTIALS_CUTS);
    }
    ck_assert_uint_eq(steps, 3);
    ck_assert_uint_eq(left, 0);
}
END_TEST

START_TEST(parts_that_stay_are_looked_at_some_at_a_time)
{
    uint64_t place = 0;

    for (size_t i = 0; i < STORE_PARTIALS_LOOKS + 1; i++) {
        struct effect kept = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});

        say_parts(&kept, 1);
    }
    ck_assert(!prune_parts(UINT64_MAX / 2, &place));
    ck_assert_uint_gt(place, STORE_PARTIALS_LOOKS);
    ck_assert(prune_parts(UINT64_MAX / 2, &place));
    ck_assert_uint_eq(place, 0);
}
END_TEST

START_TEST(parts_of_an_answer_are_read_in_order_from_any_on_page_by_page)
{
    struct effect kept = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0}), said[40];
    struct bytes wires[STORE_PARTIALS_AT_ONCE], chain;
    struct partials partials = {0};
    size_t count;

    for (size_t i = 0; i < 40; i++)
        said[i] = make_partial(&bed.bob, &kept, &partials, "1", &bed.arena);
    bed_keep(&bed, said, 40);
    bed_keep(&bed, &said[3], 1); /* what is kept stands */
    ck_assert_int_eq(
        store_read_partials(bed.store, &kept.peck.id, 0, &bed.arena, wires, &chain, &count), 0);
    ck_assert_uint_eq(count, STORE_PARTIALS_AT_ONCE);
    for (size_t i = 0; i < count; i++)
        ck_assert(bytes_equal(wires[i], said[i].partial.wire));
    ck_assert(bytes_equal(chain, bed.bob.chain));
    ck_assert_int_eq(store_read_partials(bed.store, &kept.peck.id, STORE_PARTIALS_AT_ONCE,
                                         &bed.arena, wires, &chain, &count),
                     0);
    ck_assert_uint_eq(count, 40 - STORE_PARTIALS_AT_ONCE);
    ck_assert(bytes_equal(wires[0], said[STORE_PARTIALS_AT_ONCE].partial.wire));
    ck_assert_int_eq(
        store_read_partials(bed.store, &kept.peck.id, 40, &bed.arena, wires, &chain, &count), 0);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(how_far_an_answer_has_come_is_restored_at_both_ends)
{
    struct effect in = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect none = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect out = bed_send(&bed, PECK_TAKEN, &(struct peck_wish){0}), said[3];
    struct partials answered = {0}, had = {0};
    struct restored restored;

    (void)none;
    said[0] = make_partial(&bed.bob, &in, &answered, "1", &bed.arena);
    said[1] = make_partial(&bed.bob, &in, &answered, "22", &bed.arena);
    said[2] = make_partial(&bed.alice, &out, &had, "3", &bed.arena);
    bed_keep(&bed, said, 3);
    bed_close(&bed);
    bed_open(&bed);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.received, 2);
    ck_assert_mem_eq(&restored.received_entries[0].partials, &answered, sizeof answered);
    ck_assert_uint_eq(restored.received_entries[1].partials.count, 0);
    ck_assert_uint_eq(restored.sent, 1);
    ck_assert_mem_eq(&restored.sent_entries[0].partials, &had, sizeof had);
}
END_TEST

START_TEST(that_a_peck_is_taken_back_is_restored)
{
    struct effect kept = bed_send(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect state = make_state(BOX_OUT, &kept.peck.id, PECK_TAKEN, TRAY_WAITING);
    struct restored restored;

    bed_restore(&bed, &later, &restored);
    ck_assert(!restored.sent_entries[0].cancelling);
    ck_assert_uint_eq(restored.sent_entries[0].next_send_ms, MOMENT_NEVER);
    state.state.cancelling = true;
    bed_keep(&bed, &state, 1);
    state.state.cancelling = false; /* whatever else becomes of it */
    bed_keep(&bed, &state, 1);
    bed_close(&bed);
    bed_open(&bed);
    bed_restore(&bed, &later, &restored);
    ck_assert(restored.sent_entries[0].cancelling);
    ck_assert_uint_eq(restored.sent_entries[0].next_send_ms, later.now_ms);
}
END_TEST

START_TEST(a_state_of_a_peck_that_is_not_held_changes_nothing)
{
    struct id nobody = {.bytes = {9}};
    struct effect effect = make_state(BOX_IN, &nobody, PECK_ANSWERED, TRAY_READY);
    struct restored restored;

    bed_keep(&bed, &effect, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.count, 0);
}
END_TEST

START_TEST(filed_pecks_are_found_like_recent_ones)
{
    struct effect in = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect out = bed_send(&bed, PECK_SENT, &(struct peck_wish){.key = "order-7"});
    struct effect receipt;
    struct id peck;
    struct hash hash;
    struct bytes wire, chain, wires[2], chains[2];
    enum peck_state state = 0;
    size_t count;

    bed_fill(&bed, 2 * STORE_FILE_AT + BATCH_ITEMS_MAX);
    for (int restarted = 0; restarted < 2; restarted++) {
        ck_assert_int_eq(bed.store->generation, 2);
        ck_assert_uint_le(bed.store->recent.count - bed.store->recent_filed, STORE_FILE_AT);
        ck_assert_uint_le(bed.store->recent.count, 2 * STORE_FILE_AT);
        ck_assert(store_knows_peck(bed.store, &in.peck.id, &state));
        ck_assert(!store_knows_peck(bed.store, &out.peck.id, &state));
        ck_assert(store_find_idempotent(bed.store, &bed.bob.id, bytes_of_text("order-7"), &peck,
                                        &hash, &state));
        ck_assert(id_equal(&peck, &out.peck.id));
        ck_assert_int_eq(
            store_read_peck(bed.store, BOX_OUT, &out.peck.id, &bed.arena, &wire, &chain), 0);
        ck_assert(bytes_equal(wire, out.peck.wire));
        bed_close(&bed);
        bed_open(&bed);
    }
    receipt = make_receipt(&bed.bob, &in, RECEIPT_DONE, PECK_ANSWERED, &bed.arena);
    bed_keep(&bed, &receipt, 1);
    bed_move(&bed, &in, PECK_ANSWERED, TRAY_WITH_AGENT);
    ck_assert(store_knows_peck(bed.store, &in.peck.id, &state));
    ck_assert_int_eq(state, PECK_ANSWERED);
    ck_assert_int_eq(
        store_read_receipts(bed.store, BOX_IN, &in.peck.id, &bed.arena, wires, chains, &count), 0);
    ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(a_turn_that_filed_and_is_taken_back_filed_nothing)
{
    struct effect in = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect next =
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena);
    enum peck_state state;
    size_t recent;

    bed_fill(&bed, STORE_FILE_AT - BATCH_ITEMS_MAX);
    while (bed.store->recent.count < STORE_FILE_AT)
        bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    recent = bed.store->recent.count;
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep(bed.store, &next), 0);
    ck_assert_uint_gt(bed.store->filing, 0);
    store_roll_back(bed.store);
    ck_assert_int_eq(bed.store->generation, 0);
    ck_assert_uint_eq(bed.store->recent.count, recent);
    ck_assert(store_knows_peck(bed.store, &in.peck.id, &state));
    bed_keep(&bed, &next, 1);
    ck_assert_int_eq(bed.store->generation, 1);
    ck_assert_uint_eq(bed.store->recent.count - bed.store->recent_filed, 1);
    ck_assert(recent_find(&bed.store->recent, &in.peck.id, BOX_IN)); /* for one generation more */
    ck_assert(store_knows_peck(bed.store, &in.peck.id, &state));
    ck_assert(store_knows_peck(bed.store, &next.peck.id, &state));
}
END_TEST

START_TEST(a_filter_names_every_generation_that_holds_a_name)
{
    static const int64_t held[] = {1, 2, 63, 64, 65, 200};
    struct name_filter filter = {0};
    int64_t generation = 201;

    ck_assert_int_eq(name_filter_next(&filter, 1000, 77), 0);
    for (size_t i = 0; i < 6; i++)
        name_filter_add(&filter, held[i], 0x7700660055004400);
    for (size_t i = 6; i-- > 0;) {
        generation = name_filter_next(&filter, generation, 0x7700660055004400);
        ck_assert_int_eq(generation, held[i]);
    }
    ck_assert_int_eq(name_filter_next(&filter, generation, 0x7700660055004400), 0);
    ck_assert_int_eq(name_filter_next(&filter, 201, 0x7700660055004401), 0);
    name_filter_free(&filter);
}
END_TEST

START_TEST(a_filter_of_a_full_generation_is_seldom_wrong)
{
    struct name_filter filter = {0};
    int wrong = 0;
    int64_t name;

    for (int i = 0; i < STORE_FILE_AT; i++) {
        randombytes_buf(&name, sizeof name);
        name_filter_add(&filter, 1, name);
        ck_assert_int_eq(name_filter_next(&filter, 2, name), 1);
    }
    for (int i = 0; i < 10000; i++) {
        randombytes_buf(&name, sizeof name);
        wrong += name_filter_next(&filter, 2, name) != 0;
    }
    ck_assert_int_lt(wrong, 100);
    name_filter_free(&filter);
}
END_TEST

/* ---- idempotency ---- */

START_TEST(an_idempotency_key_names_one_peck_of_one_sender)
{
    struct peck_wish wish = {.key = "order-7"};
    struct effect out = make_peck(&bed.bob, &bed.alice.id, BOX_OUT, PECK_QUEUED, &wish, &bed.arena);
    struct bytes key = bytes_of_text("order-7");
    enum peck_state state = 0;
    struct hash hash;
    struct id peck;

    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep(bed.store, &out), 0);
    ck_assert(store_find_idempotent(bed.store, &bed.bob.id, key, &peck, &hash, &state));
    ck_assert_int_eq(store_commit(bed.store), 0);
    ck_assert(id_equal(&peck, &out.peck.id));
    ck_assert(hash_equal(&hash, &out.peck.hash));
    ck_assert_int_eq(state, PECK_QUEUED);
    ck_assert(!store_find_idempotent(bed.store, &bed.alice.id, key, &peck, &hash, &state));
    ck_assert(!store_find_idempotent(bed.store, &bed.bob.id, bytes_of_text("order-8"), &peck, &hash,
                                     &state));
    ck_assert(
        !store_find_idempotent(bed.store, &bed.bob.id, bytes_of(NULL, 0), &peck, &hash, &state));
}
END_TEST

START_TEST(a_received_pecks_key_is_its_senders_business)
{
    struct id peck;
    struct hash hash;
    enum peck_state state;

    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){.key = "order-7"});
    ck_assert(!store_find_idempotent(bed.store, &bed.alice.id, bytes_of_text("order-7"), &peck,
                                     &hash, &state));
}
END_TEST

START_TEST(a_key_of_the_longest_length_is_found)
{
    char longest[PECK_IDEMPOTENCY_KEY_MAX + 1], other[PECK_IDEMPOTENCY_KEY_MAX + 1];
    struct id peck;
    struct hash hash;
    enum peck_state state;

    memset(longest, 'k', sizeof longest);
    longest[PECK_IDEMPOTENCY_KEY_MAX] = 0;
    memcpy(other, longest, sizeof other);
    other[PECK_IDEMPOTENCY_KEY_MAX - 1] = 'j';
    bed_send(&bed, PECK_SENT, &(struct peck_wish){.key = longest});
    ck_assert(store_find_idempotent(bed.store, &bed.bob.id, bytes_of_text(longest), &peck, &hash,
                                    &state));
    ck_assert(
        !store_find_idempotent(bed.store, &bed.bob.id, bytes_of_text(other), &peck, &hash, &state));
}
END_TEST

/* ---- turns ---- */

START_TEST(a_turn_that_is_taken_back_leaves_nothing)
{
    struct peck_wish wish = {.key = "k"};
    struct effect out = make_peck(&bed.bob, &bed.alice.id, BOX_OUT, PECK_SENT, &wish, &bed.arena);
    struct restored restored;
    enum peck_state state;
    struct hash hash;
    struct id peck;

    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep(bed.store, &out), 0);
    store_roll_back(bed.store);
    ck_assert(
        !store_find_idempotent(bed.store, &bed.bob.id, bytes_of_text("k"), &peck, &hash, &state));
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.count, 0);
    bed_keep(&bed, &out, 1); /* and its numbers can be given again */
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.sent, 1);
    ck_assert(id_equal(&restored.sent_entries[0].from, &bed.bob.id));
}
END_TEST

START_TEST(a_turn_without_anything_to_keep_writes_nothing)
{
    struct effect effect = {.kind = EFFECT_LOG};
    struct stat before, after;
    char log[96];

    snprintf(log, sizeof log, "%s-wal", bed.path);
    ck_assert_int_eq(stat(log, &before), 0);
    bed_keep(&bed, &effect, 1);
    ck_assert_int_eq(stat(log, &after), 0);
    ck_assert_int_eq(before.st_size, after.st_size);
}
END_TEST

START_TEST(the_log_is_carried_over_before_it_grows_large)
{
    struct stat status;
    char log[96];

    snprintf(log, sizeof log, "%s-wal", bed.path);
    bed_fill(&bed, 16384);
    ck_assert_int_eq(stat(log, &status), 0);
    ck_assert_int_lt(status.st_size, 4 * STORE_CHECKPOINT_PAGES * 4096);
    ck_assert_int_eq(stat(bed.path, &status), 0);
    ck_assert_int_gt(status.st_size, 4 * 1024 * 1024);
}
END_TEST

/* Fills the log until it is to be carried over, and carries it. */
static void carry_beside(void)
{
    while (bed.store->log_pages < STORE_CHECKPOINT_PAGES) {
        ck_assert(!store_begin_carrying(bed.store));
        bed_fill(&bed, 256);
    }
    ck_assert(store_begin_carrying(bed.store));
    ck_assert(!store_begin_carrying(bed.store)); /* one at a time */
    ck_assert_int_eq(store_carry(bed.store), 0);
}

START_TEST(a_log_that_was_carried_over_beside_the_turns_begins_anew)
{
    carry_beside();
    ck_assert_int_eq(bed.store->carried_pages, bed.store->log_pages);
    ck_assert(!store_begin_carrying(bed.store)); /* nothing is left */
    bed_fill(&bed, 256);
    ck_assert_int_lt(bed.store->log_pages, STORE_CHECKPOINT_PAGES);
}
END_TEST

/* Who reads on keeps what was added since from being carried over. */
START_TEST(what_is_left_of_a_log_is_carried_over_beside_the_turns_until_it_is_little)
{
    sqlite3 *reader;
    int before;

    bed_fill(&bed, 256);
    ck_assert_int_eq(sqlite3_open(bed.path, &reader), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(reader, "BEGIN; SELECT * FROM node", NULL, NULL, NULL),
                     SQLITE_OK);
    carry_beside();
    before = bed.store->log_pages;
    ck_assert_int_gt(bed.store->carried_pages, 0);
    ck_assert_int_gt(before - bed.store->carried_pages, STORE_REST_PAGES);
    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    ck_assert_int_gt(bed.store->carried_pages, 0); /* no turn took the rest upon it */
    sqlite3_close(reader);
    ck_assert(store_begin_carrying(bed.store));
    ck_assert_int_eq(store_carry(bed.store), 0);
    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    ck_assert_int_lt(bed.store->log_pages, STORE_CHECKPOINT_PAGES);
}
END_TEST

START_TEST(a_log_of_the_greatest_length_is_carried_over_by_the_next_turn)
{
    carry_beside();
    bed.store->carried_pages = 1;
    bed.store->log_pages = STORE_LOG_PAGES_MAX;
    ck_assert(!store_begin_carrying(bed.store));
    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    ck_assert_int_eq(bed.store->carried_pages, 0);
    ck_assert_int_lt(bed.store->log_pages, STORE_CHECKPOINT_PAGES);
}
END_TEST

/* ---- ducklings, bonds, counters ---- */

static struct hosted bob_hosted(void)
{
    struct hosted hosted = {.id = bed.bob.id, .chain = bed.bob.chain, .pulse_ms = THINGS_WALL_MS};

    memcpy(hosted.seed, bed.bob.seed, SEED_SIZE);
    memcpy(hosted.next_seed, bed.bob.next_seed, SEED_SIZE);
    hosted.profile.display_name = bytes_of_text("Bob");
    hosted.profile.bio = bytes_of_text("two\nlines");
    hosted.profile.capabilities[0] = bytes_of_text("data.read");
    hosted.profile.capabilities[1] = bytes_of_text("web");
    hosted.profile.capability_count = 2;
    hosted.profile.accepts_pecks = true;
    return hosted;
}

START_TEST(a_duckling_comes_back_whole)
{
    struct hosted hosted = bob_hosted();
    struct effect effect = {.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted};
    uint8_t next_seed[SEED_SIZE];
    struct restored restored;

    bed_keep(&bed, &effect, 1);
    bed_close(&bed);
    bed_open(&bed);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.ducklings, 1);
    ck_assert(store_open_next_seed(bed.store, &bed.bob.id, next_seed, NULL));
    ck_assert(id_equal(&restored.duckling.id, &bed.bob.id));
    ck_assert(bytes_equal(restored.duckling.chain, bed.bob.chain));
    ck_assert_mem_eq(restored.duckling.seed, bed.bob.seed, SEED_SIZE);
    ck_assert_mem_eq(next_seed, bed.bob.next_seed, SEED_SIZE);
    ck_assert(bytes_equal(restored.duckling.profile.display_name, bytes_of_text("Bob")));
    ck_assert(bytes_equal(restored.duckling.profile.bio, bytes_of_text("two\nlines")));
    ck_assert_uint_eq(restored.duckling.profile.capability_count, 2);
    ck_assert(bytes_equal(restored.duckling.profile.capabilities[1], bytes_of_text("web")));
    ck_assert(restored.duckling.profile.accepts_pecks);
    ck_assert_uint_eq(restored.duckling.pulse_ms, THINGS_WALL_MS);
}
END_TEST

START_TEST(a_changed_profile_keeps_the_keys)
{
    struct hosted hosted = bob_hosted(), changed = {.id = bed.bob.id};
    struct effect effects[2] = {{.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted},
                                {.kind = EFFECT_KEEP_PROFILE, .duckling = &changed}};
    struct restored restored;

    changed.profile.display_name = bytes_of_text("Robert");
    changed.pulse_ms = THINGS_WALL_MS + 5;
    bed_keep(&bed, effects, 2);
    bed_restore(&bed, &later, &restored);
    ck_assert(bytes_equal(restored.duckling.profile.display_name, bytes_of_text("Robert")));
    ck_assert_uint_eq(restored.duckling.profile.capability_count, 0);
    ck_assert(!restored.duckling.profile.accepts_pecks);
    ck_assert_uint_eq(restored.duckling.pulse_ms, THINGS_WALL_MS + 5);
    ck_assert_mem_eq(restored.duckling.seed, bed.bob.seed, SEED_SIZE);
    ck_assert(bytes_equal(restored.duckling.chain, bed.bob.chain));
}
END_TEST

static bool file_holds(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *all;
    long length;
    bool is_found;

    if (!file)
        return false;
    fseek(file, 0, SEEK_END);
    length = ftell(file);
    rewind(file);
    all = malloc((size_t)length + 1);
    ck_assert_uint_eq(fread(all, 1, (size_t)length, file), (size_t)length);
    fclose(file);
    is_found = memmem(all, (size_t)length, bytes, size) != NULL;
    free(all);
    return is_found;
}

START_TEST(no_seed_stands_in_the_file_in_clear)
{
    struct hosted hosted = bob_hosted();
    struct effect effect = {.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted};

    bed_keep(&bed, &effect, 1);
    bed_close(&bed);
    ck_assert(file_holds(bed.path, bed.bob.id.bytes, ID_SIZE));
    ck_assert(!file_holds(bed.path, bed.bob.seed, SEED_SIZE));
    ck_assert(!file_holds(bed.path, bed.bob.next_seed, SEED_SIZE));
}
END_TEST

START_TEST(another_storage_key_opens_no_seed)
{
    struct hosted hosted = bob_hosted();
    struct effect effect = {.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted};
    struct restored restored = {.bed = &bed};

    bed_keep(&bed, &effect, 1);
    bed_close(&bed);
    bed.storage_key[0] ^= 1;
    bed_open(&bed);
    ck_assert_int_eq(store_restore(bed.store, &later, restored_take, &restored, &restored.counters,
                                   &restored.floor),
                     FAULT_CORRUPT);
    ck_assert_uint_eq(restored.ducklings, 0);
}
END_TEST

START_TEST(a_live_key_is_not_taken_for_the_next_one)
{
    struct hosted hosted = bob_hosted();
    struct effect effect = {.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted};
    uint8_t next_seed[SEED_SIZE];

    bed_keep(&bed, &effect, 1);
    ck_assert_int_eq(store_execute(&bed.store->connection, "UPDATE hosted SET next_seed = seed"),
                     0);
    ck_assert(!store_open_next_seed(bed.store, &bed.bob.id, next_seed, NULL));
}
END_TEST

START_TEST(after_a_rotation_key_and_chain_are_the_new_ones)
{
    struct hosted hosted = bob_hosted(), rotated = {.id = bed.bob.id};
    struct effect hatch = {.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted};
    struct effect rotate = {.kind = EFFECT_KEEP_KEY, .duckling = &rotated};
    uint8_t next_seed[SEED_SIZE];
    struct restored restored;
    struct id certificate;

    rotated.chain = author_rotated_chain(&bed.bob, &bed.arena, &certificate);
    memcpy(rotated.seed, bed.bob.next_seed, SEED_SIZE);
    rotated.sealed_next = bytes_of_text("for somebody else");
    bed_keep(&bed, &hatch, 1);
    bed_keep(&bed, &rotate, 1);
    bed_close(&bed);
    bed_open(&bed);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.ducklings, 1);
    ck_assert(bytes_equal(restored.duckling.chain, rotated.chain));
    ck_assert_mem_eq(restored.duckling.seed, bed.bob.next_seed, SEED_SIZE);
    ck_assert(bytes_equal(restored.duckling.profile.bio, bytes_of_text("two\nlines")));
    ck_assert(!store_open_next_seed(bed.store, &bed.bob.id, next_seed, NULL));
}
END_TEST

START_TEST(a_duckling_that_keeps_its_own_key_comes_back_without_one)
{
    struct hosted hosted = bob_hosted(), rotated = {.id = bed.bob.id, .own_key = true};
    struct effect hatch = {.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted};
    struct effect rotate = {.kind = EFFECT_KEEP_KEY, .duckling = &rotated};
    static const uint8_t none[SEED_SIZE];
    uint8_t next_seed[SEED_SIZE];
    struct restored restored;
    struct id certificate;

    hosted.own_key = true;
    memset(hosted.seed, 0, SEED_SIZE);
    memset(hosted.next_seed, 0, SEED_SIZE);
    bed_keep(&bed, &hatch, 1);
    rotated.chain = author_rotated_chain(&bed.bob, &bed.arena, &certificate);
    bed_keep(&bed, &rotate, 1);
    bed_close(&bed);
    bed_open(&bed);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.ducklings, 1);
    ck_assert(restored.duckling.own_key);
    ck_assert_mem_eq(restored.duckling.seed, none, SEED_SIZE);
    ck_assert(bytes_equal(restored.duckling.chain, rotated.chain));
    ck_assert(bytes_equal(restored.duckling.profile.bio, bytes_of_text("two\nlines")));
    ck_assert(!store_open_next_seed(bed.store, &bed.bob.id, next_seed, NULL));
}
END_TEST

/* Each sealed seed is bound to its owner and to which of the two it is. */
START_TEST(sealed_seeds_cannot_change_places)
{
    static const char *const moves[] = {
        "UPDATE hosted SET seed = next_seed",
        "UPDATE hosted SET identity = (SELECT number FROM identity WHERE number <> identity)",
    };
    struct hosted hosted = bob_hosted();
    struct effect effects[2] = {
        {.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted},
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena)};
    struct restored restored = {.bed = &bed};

    bed_keep(&bed, effects, 2);
    ck_assert_int_eq(store_execute(&bed.store->connection, moves[_i]), 0);
    ck_assert_int_eq(store_restore(bed.store, &later, restored_take, &restored, &restored.counters,
                                   &restored.floor),
                     FAULT_CORRUPT);
    ck_assert_uint_eq(restored.ducklings, 0);
}
END_TEST

static void pin(const char *address, const struct id *node)
{
    struct effect effect = {.kind = EFFECT_KEEP_PIN};

    effect.pin.address = bytes_of_text(address);
    effect.pin.node = *node;
    bed_keep(&bed, &effect, 1);
}

START_TEST(a_pin_is_kept_replaced_and_dropped)
{
    static const struct id nobody;
    struct restored restored;

    pin("seed:1", &bed.alice.id);
    pin("seed:2", &bed.alice.id);
    pin("seed:1", &bed.bob.id);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.pins, 2);
    ck_assert_str_eq(restored.pin_address, "seed:1"); /* the newest comes last */
    ck_assert(id_equal(&restored.pin_node, &bed.bob.id));
    pin("seed:1", &nobody);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.pins, 1);
    ck_assert_str_eq(restored.pin_address, "seed:2");
}
END_TEST

START_TEST(of_too_many_pins_the_oldest_go)
{
    struct restored restored;
    char address[16];

    for (unsigned i = 0; i < GOSSIP_SEEDS_MAX + 3; i++) {
        snprintf(address, sizeof address, "seed:%u", i);
        pin(address, &bed.alice.id);
    }
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.pins, GOSSIP_SEEDS_MAX);
}
END_TEST

START_TEST(a_bond_is_kept_replaced_and_dropped)
{
    struct bond bond = {.id = {.bytes = {5}},
                        .requester = bed.alice.id,
                        .approver = bed.bob.id,
                        .made_ms = THINGS_WALL_MS,
                        .not_after_ms = THINGS_WALL_MS + BOND_LIFE_MS,
                        .scope_count = 2};
    struct effect keep = {.kind = EFFECT_KEEP_BOND, .bond = &bond};
    struct effect drop = {.kind = EFFECT_DROP_BOND, .bond = &bond};
    struct restored restored;

    bond.scopes[0] = bytes_of_text("data.*");
    bond.scopes[1] = bytes_of_text("web");
    bed_keep(&bed, &keep, 1);
    bed_keep(&bed, &keep, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.bonds, 1);
    ck_assert(id_equal(&restored.bond.id, &bond.id));
    ck_assert(id_equal(&restored.bond.requester, &bed.alice.id));
    ck_assert(id_equal(&restored.bond.approver, &bed.bob.id));
    ck_assert_uint_eq(restored.bond.scope_count, 2);
    ck_assert(bytes_equal(restored.bond.scopes[1], bytes_of_text("web")));
    ck_assert_uint_eq(restored.bond.not_after_ms, bond.not_after_ms);
    bed_keep(&bed, &drop, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.bonds, 0);
}
END_TEST

/* ---- what bonds allow, and what is used of it ---- */

static struct bond limited_bond(void)
{
    struct bond bond = {.id = {.bytes = {5}},
                        .requester = bed.alice.id,
                        .approver = bed.bob.id,
                        .scopes = {bytes_of_text("data.*")},
                        .scope_count = 1,
                        .made_ms = THINGS_WALL_MS,
                        .not_after_ms = THINGS_WALL_MS + BOND_LIFE_MS,
                        .terms = {.per_minute = 1,
                                  .per_day = 2,
                                  .budget = 3,
                                  .rounds = 4,
                                  .cool_down_ms = 5,
                                  .muted_until_ms = 6,
                                  .stop_words = {bytes_of_text("secret"), bytes_of_text("of us")},
                                  .stop_word_count = 2},
                        .terms_ms = THINGS_WALL_MS + 7};

    return bond;
}

static void expect_terms(const struct bond *held, const struct bond *bond)
{
    ck_assert_uint_eq(held->terms.per_minute, bond->terms.per_minute);
    ck_assert_uint_eq(held->terms.per_day, bond->terms.per_day);
    ck_assert_uint_eq(held->terms.budget, bond->terms.budget);
    ck_assert_uint_eq(held->terms.rounds, bond->terms.rounds);
    ck_assert_uint_eq(held->terms.cool_down_ms, bond->terms.cool_down_ms);
    ck_assert_uint_eq(held->terms.muted_until_ms, bond->terms.muted_until_ms);
    ck_assert_uint_eq(held->terms_ms, bond->terms_ms);
    ck_assert_uint_eq(held->terms.stop_word_count, bond->terms.stop_word_count);
    for (size_t i = 0; i < bond->terms.stop_word_count; i++)
        ck_assert(bytes_equal(held->terms.stop_words[i], bond->terms.stop_words[i]));
}

START_TEST(the_terms_of_a_bond_come_back)
{
    struct bond bond = limited_bond(), seen;
    struct effect keep = {.kind = EFFECT_KEEP_BOND, .bond = &bond};
    struct store_reader *reader;
    struct restored restored;

    bed_keep(&bed, &keep, 1);
    bed_restore(&bed, &later, &restored);
    expect_terms(&restored.bond, &bond);
    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
    ck_assert(store_view_bond(reader, &bond.id, &bed.arena, &seen));
    expect_terms(&seen, &bond);
    ck_assert(bytes_equal(seen.scopes[0], bytes_of_text("data.*")));
    ck_assert(!store_view_bond(reader, &bond.requester, &bed.arena, &seen));
    bond.terms = (struct bond_terms){0};
    bond.terms_ms++;
    bed_keep(&bed, &keep, 1);
    bed_restore(&bed, &later, &restored);
    expect_terms(&restored.bond, &bond);
    store_reader_close(reader);
}
END_TEST

START_TEST(what_is_used_of_a_bond_survives_new_terms_and_goes_with_the_bond)
{
    struct bond bond = limited_bond();
    struct effect keep = {.kind = EFFECT_KEEP_BOND, .bond = &bond};
    struct effect drop = {.kind = EFFECT_DROP_BOND, .bond = &bond};
    struct effect use = {
        .kind = EFFECT_KEEP_COUNT,
        .count = {.bond = bond.id, .use = {.day = 20000, .used_today = 7, .spent = 1ull << 40}}};
    struct effect thread = {.kind = EFFECT_KEEP_COUNT,
                            .count = {.bond = bond.id,
                                      .is_thread = true,
                                      .place = 3,
                                      .thread = {.name = {1, 2}, .rounds = 9, .used_ms = 11}}};
    struct restored restored;

    bed_keep(&bed, &keep, 1);
    bed_keep(&bed, &use, 1);
    bed_keep(&bed, &thread, 1);
    thread.count.thread.rounds = 10;
    bed_keep(&bed, &thread, 1);
    bed_keep(&bed, &keep, 1); /* its terms are said anew */
    bed_close(&bed);
    bed_open(&bed);
    bed_restore(&bed, &later, &restored);
    ck_assert_mem_eq(&restored.bond.use, &use.count.use, sizeof restored.bond.use);
    ck_assert_uint_eq(restored.threads, 1);
    ck_assert(id_equal(&restored.thread.bond, &bond.id));
    ck_assert_uint_eq(restored.thread.place, 3);
    ck_assert_uint_eq(restored.thread.thread.rounds, 10);
    ck_assert_uint_eq(restored.thread.thread.used_ms, 11);
    bed_keep(&bed, &drop, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.bonds + restored.threads, 0);
}
END_TEST

/* ---- threads and endings of pecks ---- */

START_TEST(a_peck_without_a_thread_is_the_first_of_one_of_its_own_name)
{
    struct effect in = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    char text[ID_TEXT_SIZE];
    struct bytes thread =
        store_find_thread(bed.store, &in.peck.id, &bed.alice.id, &bed.bob.id, &bed.arena);

    ck_assert(bytes_equal(thread, bytes_of_text(id_text(ID_PECK, &in.peck.id, text))));
}
END_TEST

START_TEST(the_thread_of_a_peck_is_found_from_either_end_and_by_no_third)
{
    struct effect in =
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena);
    struct effect out =
        make_peck(&bed.bob, &bed.alice.id, BOX_OUT, PECK_SENT, &(struct peck_wish){0}, &bed.arena);

    in.peck.thread = bytes_of_text("weather");
    out.peck.thread = bytes_of_text("sea");
    bed_keep(&bed, &in, 1);
    bed_keep(&bed, &out, 1);
    ck_assert(bytes_equal(
        store_find_thread(bed.store, &in.peck.id, &bed.alice.id, &bed.bob.id, &bed.arena),
        bytes_of_text("weather")));
    ck_assert(bytes_equal(
        store_find_thread(bed.store, &out.peck.id, &bed.alice.id, &bed.bob.id, &bed.arena),
        bytes_of_text("sea")));
    ck_assert_uint_eq(
        store_find_thread(bed.store, &in.peck.id, &bed.node.id, &bed.bob.id, &bed.arena).size, 0);
    ck_assert_uint_eq(
        store_find_thread(bed.store, &bed.node.id, &bed.alice.id, &bed.bob.id, &bed.arena).size, 0);
}
END_TEST

START_TEST(why_a_peck_was_refused_is_told_later_too)
{
    struct effect sent = bed_send(&bed, PECK_SENT, &(struct peck_wish){0});
    struct effect failed = make_state(BOX_OUT, &sent.peck.id, PECK_FAILED, TRAY_WAITING);
    static const struct id anyone;
    struct store_reader *reader;
    struct stored_peck view;

    failed.state.problem = bytes_of_text("that is more a minute than the bond allows");
    failed.state.refusal = bytes_of_text("bond_rate");
    failed.state.retry_after_ms = 1500;
    bed_keep(&bed, &failed, 1);
    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
    ck_assert(store_view_peck(reader, &sent.peck.id, BOX_OUT, &anyone, &bed.arena, &view));
    ck_assert_int_eq(view.state, PECK_FAILED);
    ck_assert(bytes_equal(view.problem, failed.state.problem));
    ck_assert(bytes_equal(view.refusal, failed.state.refusal));
    ck_assert_uint_eq(view.retry_after_ms, 1500);
    store_reader_close(reader);
}
END_TEST

/* ---- from version 2 ---- */

static const char back_to_version_2[] =
    "DROP TABLE audit_page; DROP TABLE audit_checkpoint; DROP TABLE audit_signer;"
    "DROP TABLE bond_thread; DROP TABLE ending; DROP TABLE partial;"
    "ALTER TABLE peck DROP COLUMN cancelling;"
    "ALTER TABLE bond DROP COLUMN per_minute; ALTER TABLE bond DROP COLUMN per_day;"
    "ALTER TABLE bond DROP COLUMN budget; ALTER TABLE bond DROP COLUMN rounds;"
    "ALTER TABLE bond DROP COLUMN cool_down_ms; ALTER TABLE bond DROP COLUMN muted_until_ms;"
    "ALTER TABLE bond DROP COLUMN stop_words; ALTER TABLE bond DROP COLUMN terms_ms;"
    "ALTER TABLE bond DROP COLUMN day; ALTER TABLE bond DROP COLUMN used_today;"
    "ALTER TABLE bond DROP COLUMN spent;"
    "ALTER TABLE hosted DROP COLUMN told_tier; ALTER TABLE hosted DROP COLUMN told_pieces;"
    "DROP TABLE pin;"
    "DROP TABLE voucher; DROP TABLE trust; ALTER TABLE hosted DROP COLUMN least_tier;"
    "ALTER TABLE hosted DROP COLUMN open_actions;"
    "ALTER TABLE peck DROP COLUMN conversation;"
    "DROP TABLE grant_block; DROP TABLE revocation; DROP TABLE pre_key; DROP TABLE perched; DROP "
    "TABLE deposit;"
    "DROP TABLE lobster; DROP TABLE context; DROP TABLE peck_context; DROP TABLE shown_context;"
    "ALTER TABLE node DROP COLUMN restored_ms; ALTER TABLE node DROP COLUMN catching_up;"
    "ALTER TABLE hosted DROP COLUMN outgrown;"
    "ALTER TABLE peck_wire DROP COLUMN count; DROP TABLE receipt_wires;"
    "ALTER TABLE taken_receipt DROP COLUMN wires; ALTER TABLE taken_receipt DROP COLUMN place;"
    "ALTER TABLE done_receipt DROP COLUMN wires; ALTER TABLE done_receipt DROP COLUMN place;"
    "PRAGMA user_version = 2";

START_TEST(bonds_of_version_2_have_no_limits_and_live_on)
{
    struct bond bond = limited_bond();
    struct effect keep = {.kind = EFFECT_KEEP_BOND, .bond = &bond};
    struct effect peck = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct restored restored;
    sqlite3 *database;

    bed_keep(&bed, &keep, 1);
    bed_close(&bed);
    ck_assert_int_eq(sqlite3_open(bed.path, &database), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(database, back_to_version_2, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(database), SQLITE_OK);

    bed_open(&bed);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.bonds, 1);
    ck_assert(id_equal(&restored.bond.approver, &bed.bob.id));
    ck_assert(bytes_equal(restored.bond.scopes[0], bytes_of_text("data.*")));
    ck_assert_uint_eq(restored.bond.not_after_ms, bond.not_after_ms);
    ck_assert(bond_terms_are_none(&restored.bond.terms));
    ck_assert_uint_eq(restored.bond.terms_ms, bond.made_ms); /* as if they had never been changed */
    ck_assert_uint_eq(restored.received, 1);
    ck_assert(id_equal(&restored.received_entries[0].peck, &peck.peck.id));
    bed_keep(&bed, &keep, 1); /* and now they may have some */
    bed_restore(&bed, &later, &restored);
    expect_terms(&restored.bond, &bond);
}
END_TEST

START_TEST(counters_come_back)
{
    struct effect effect = {.kind = EFFECT_KEEP_COUNTERS, .counters = {1, 2, 3, 4, 5, 6, 7}};
    struct restored restored;

    bed_keep(&bed, &effect, 1);
    bed_close(&bed);
    bed_open(&bed);
    bed_restore(&bed, &later, &restored);
    ck_assert_mem_eq(&restored.counters, &effect.counters, sizeof effect.counters);
}
END_TEST

/* ---- restarts ---- */

static struct grant_change grant_used(uint8_t block, uint64_t used, uint64_t revoked_ms)
{
    struct grant_change change = {.root = bed.bob.id, .row_count = 1};

    change.block = (struct id){.bytes = {9, block}};
    change.peck = (struct id){.bytes = {8}};
    change.is_revocation = revoked_ms > 0;
    change.rows[0] = (struct grant_row){.block = change.block,
                                        .first = {.bytes = {9}},
                                        .root = bed.bob.id,
                                        .issuer = bed.alice.id,
                                        .holder = bed.node.id,
                                        .uses = 7,
                                        .used = used,
                                        .revoked_ms = revoked_ms,
                                        .not_after_ms = THINGS_WALL_MS + block};
    return change;
}

START_TEST(what_was_used_and_revoked_of_grants_comes_back)
{
    struct grant_change changes[] = {grant_used(2, 1, 0), grant_used(1, 1, 0), grant_used(2, 3, 5)};
    struct effect effects[4] = {{.kind = EFFECT_KEEP_GRANT, .grant = &changes[0]},
                                {.kind = EFFECT_KEEP_GRANT, .grant = &changes[1]},
                                {.kind = EFFECT_KEEP_GRANT, .grant = &changes[2]},
                                {.kind = EFFECT_DROP_GRANT}};
    struct store_reader *reader;
    struct grant_row rows[3], start = {0};
    struct restored restored;

    bed_keep(&bed, effects, 3);
    bed_close(&bed);
    bed_open(&bed);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.count, 2);
    ck_assert_int_eq(restored.kinds[1], EVENT_RESTORED_GRANT);
    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
    ck_assert_uint_eq(store_view_grants(reader, &bed.bob.id, &start, rows, 3), 2);
    ck_assert_mem_eq(&rows[0], &changes[1].rows[0], sizeof rows[0]); /* ends first */
    ck_assert_mem_eq(&rows[1], &changes[2].rows[0], sizeof rows[1]);
    ck_assert_uint_eq(store_view_grants(reader, &(struct id){0}, &start, rows, 1), 1);
    ck_assert_uint_eq(store_view_grants(reader, &bed.alice.id, &start, rows, 3), 0);
    effects[3].dropped_grant = changes[0].block;
    bed_keep(&bed, &effects[3], 1);
    ck_assert_uint_eq(store_view_grants(reader, &bed.bob.id, &start, rows, 3), 1);
    store_reader_close(reader);
}
END_TEST

START_TEST(blocks_of_grants_come_in_pages_and_none_is_missed)
{
    struct grant_change changes[5];
    struct effect effects[5];
    struct grant_row row = {0}, rows[2];
    struct store_reader *reader;
    unsigned seen = 0;

    for (uint8_t i = 0; i < 5; i++) {
        changes[i] = grant_used(i + 1, 1, 0);
        changes[i].rows[0].not_after_ms = THINGS_WALL_MS + i / 3; /* most end together */
        effects[i] = (struct effect){.kind = EFFECT_KEEP_GRANT, .grant = &changes[i]};
    }
    bed_keep(&bed, effects, 5);
    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
    for (size_t count = 2; count == 2; row = rows[1]) {
        count = store_view_grants(reader, &bed.bob.id, &row, rows, 2);
        for (size_t i = 0; i < count; i++)
            ck_assert_uint_eq(rows[i].block.bytes[1], ++seen);
    }
    ck_assert_uint_eq(seen, 5);
    store_reader_close(reader);
}
END_TEST

START_TEST(what_is_restored_comes_in_the_order_of_events)
{
    struct hosted hosted = bob_hosted();
    struct grant_change change = grant_used(1, 1, 0);
    struct bond bond = {.id = {.bytes = {5}}, .requester = bed.alice.id, .approver = bed.bob.id};
    struct kept_context context = author_context(&bed.bob, 40, THINGS_WALL_MS, &bed.arena);
    struct effect effects[9] = {
        {.kind = EFFECT_KEEP_BOND, .bond = &bond},
        {.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted},
        make_duckling_record(&bed.alice, &bed.node.id, "Al", "", NULL, THINGS_WALL_MS, &bed.arena),
        {.kind = EFFECT_DROP_RECORD},
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena),
        {.kind = EFFECT_KEEP_PROOF},
        {.kind = EFFECT_KEEP_COUNT, .count = {.bond = bond.id, .is_thread = true}},
        {.kind = EFFECT_KEEP_GRANT, .grant = &change},
        {.kind = EFFECT_KEEP_CONTEXT, .context = &context},
    };
    struct restored restored;

    effects[3].record.dropped = effects[2].record.item.record.hash;
    effects[3].record.mark_until_ms = clock_wall_ms() + DAY_MS;
    effects[5].proof.owner = bed.bob.id;
    effects[5].proof.wires[0] = effects[2].record.item.wire;
    effects[5].proof.wires[1] = effects[4].record.item.wire;

    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    bed_send(&bed, PECK_SENT, &(struct peck_wish){0});
    bed_keep(&bed, effects, 9);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.count, 10);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(restored.kinds[i], EVENT_RESTORED_DUCKLING + (int)i);
}
END_TEST

START_TEST(sent_pecks_that_await_a_receipt_are_due_at_once)
{
    struct effect queued = bed_send(&bed, PECK_QUEUED, &(struct peck_wish){0});
    struct effect sent = bed_send(&bed, PECK_SENT, &(struct peck_wish){0});
    struct effect taken = bed_send(&bed, PECK_SENT, &(struct peck_wish){0});
    struct effect done = bed_send(&bed, PECK_SENT, &(struct peck_wish){0});
    struct restored restored;

    bed_move(&bed, &taken, PECK_TAKEN, TRAY_WAITING);
    bed_move(&bed, &done, PECK_FAILED, TRAY_WAITING);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.sent, 3);
    ck_assert(id_equal(&restored.sent_entries[0].peck, &queued.peck.id));
    ck_assert(hash_equal(&restored.sent_entries[0].hash, &queued.peck.hash));
    ck_assert_uint_eq(restored.sent_entries[0].next_send_ms, later.now_ms);
    ck_assert_uint_eq(restored.sent_entries[0].attempts, 0);
    ck_assert(id_equal(&restored.sent_entries[1].to, &sent.peck.to));
    ck_assert_uint_eq(restored.sent_entries[1].next_send_ms, later.now_ms);
    ck_assert_uint_eq(restored.sent_entries[1].attempts, 1);
    ck_assert_uint_eq(restored.sent_entries[1].expires_ms, sent.peck.expires_ms);
    ck_assert_int_eq(restored.sent_entries[2].state, PECK_TAKEN);
    ck_assert_uint_eq(restored.sent_entries[2].next_send_ms, MOMENT_NEVER);
}
END_TEST

START_TEST(received_pecks_come_back_to_their_place_in_order_of_arrival)
{
    struct effect waiting = bed_receive(&bed, PECK_PENDING, &(struct peck_wish){0});
    struct effect ready = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){.action = "data.list"});
    struct effect with_agent = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect done = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect bond =
        bed_receive(&bed, PECK_PENDING, &(struct peck_wish){.kind = PECK_BOND_REQUEST});
    struct restored restored;

    bed_move(&bed, &with_agent, PECK_APPROVED, TRAY_WITH_AGENT);
    bed_move(&bed, &done, PECK_ANSWERED, TRAY_WITH_AGENT);
    bed_move(&bed, &bond, PECK_APPROVED, TRAY_WITH_AGENT); /* approved is done, for a bond */
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.received, 3);
    ck_assert(id_equal(&restored.received_entries[0].peck, &waiting.peck.id));
    ck_assert_int_eq(restored.received_entries[0].place, TRAY_WAITING);
    ck_assert(id_equal(&restored.received_entries[1].peck, &ready.peck.id));
    ck_assert_int_eq(restored.received_entries[1].place, TRAY_READY);
    ck_assert(bytes_equal(restored.received_entries[0].action, bytes_of_text("data.read")));
    ck_assert(bytes_equal(restored.received_entries[1].action, bytes_of_text("data.list")));
    ck_assert(id_equal(&restored.received_entries[1].from, &bed.alice.id));
    ck_assert(id_equal(&restored.received_entries[1].to, &bed.bob.id));
    ck_assert(id_equal(&restored.received_entries[2].peck, &with_agent.peck.id));
    ck_assert_int_eq(restored.received_entries[2].place, TRAY_WITH_AGENT);
    ck_assert_int_eq(restored.received_entries[2].state, PECK_APPROVED);
}
END_TEST

START_TEST(open_pecks_come_back_though_they_are_filed)
{
    struct effect open = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect done = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct restored restored;

    bed_fill(&bed, STORE_FILE_AT + BATCH_ITEMS_MAX);
    bed_move(&bed, &done, PECK_ANSWERED, TRAY_WITH_AGENT);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.received, 1);
    ck_assert(id_equal(&restored.received_entries[0].peck, &open.peck.id));
}
END_TEST

static uint64_t restored_lease(uint64_t lease_until_ms)
{
    struct effect kept = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect lease = make_state(BOX_IN, &kept.peck.id, PECK_TAKEN, TRAY_LEASED);
    struct restored restored;

    lease.state.lease_until_ms = lease_until_ms;
    lease.state.attempt = 2;
    bed_keep(&bed, &lease, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.received, 1);
    ck_assert_int_eq(restored.received_entries[0].place, TRAY_LEASED);
    ck_assert_uint_eq(restored.received_entries[0].attempt, 2);
    return restored.received_entries[0].lease_until_ms;
}

START_TEST(a_lease_goes_on_by_the_steady_clock)
{
    ck_assert_uint_eq(restored_lease(later.wall_ms + 30 * SECOND_MS),
                      later.now_ms + 30 * SECOND_MS);
}
END_TEST

START_TEST(a_lease_that_ended_meanwhile_is_over_now)
{
    ck_assert_uint_eq(restored_lease(later.wall_ms - 1), later.now_ms);
}
END_TEST

START_TEST(no_lease_grows_longer_because_the_date_leapt)
{
    ck_assert_uint_eq(restored_lease(later.wall_ms + DAY_MS), later.now_ms + LEASE_MAX_MS);
}
END_TEST

START_TEST(an_attempt_never_falls)
{
    struct effect kept = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect lease = make_state(BOX_IN, &kept.peck.id, PECK_TAKEN, TRAY_LEASED);
    struct restored restored;

    lease.state.attempt = 3;
    bed_keep(&bed, &lease, 1);
    bed_move(&bed, &kept, PECK_TAKEN, TRAY_READY);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.received_entries[0].attempt, 3);
}
END_TEST

/* ---- records ---- */

START_TEST(a_record_replaces_the_one_of_its_key)
{
    struct effect old =
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);
    struct effect new = make_duckling_record(&bed.bob, &bed.node.id, "Robert", "", NULL,
                                             THINGS_WALL_MS + 1, &bed.arena);
    struct hash hashes[2] = {old.record.item.record.hash, new.record.item.record.hash};
    struct bytes wires[2], chains[2];
    struct restored restored;
    size_t found;

    bed_keep(&bed, &old, 1);
    bed_keep(&bed, &new, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.records, 1);
    ck_assert(hash_equal(&restored.record.hash, &hashes[1]));
    ck_assert_uint_eq(restored.record.version.ms, THINGS_WALL_MS + 1);
    ck_assert_int_eq(store_read_records(bed.store, hashes, 2, &bed.arena, wires, chains, &found),
                     0);
    ck_assert_uint_eq(found, 1);
    ck_assert(bytes_equal(wires[0], new.record.item.wire));
    ck_assert(bytes_equal(chains[0], bed.bob.chain));
}
END_TEST

START_TEST(a_dropped_record_takes_an_unneeded_chain_along)
{
    struct effect keep =
        make_duckling_record(&bed.alice, &bed.node.id, "Al", "", NULL, THINGS_WALL_MS, &bed.arena);
    struct effect drop = {.kind = EFFECT_DROP_RECORD};
    struct store_reader *reader;
    struct restored restored;

    drop.record.dropped = keep.record.item.record.hash;
    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
    bed_keep(&bed, &keep, 1);
    ck_assert_ptr_nonnull(store_view_chain(reader, &bed.alice.id, &bed.arena).data);
    bed_keep(&bed, &drop, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.records, 0);
    ck_assert_ptr_null(store_view_chain(reader, &bed.alice.id, &bed.arena).data);
    bed_keep(&bed, &keep, 1); /* and it may come again */
    ck_assert_ptr_nonnull(store_view_chain(reader, &bed.alice.id, &bed.arena).data);
    store_reader_close(reader);
}
END_TEST

START_TEST(a_chain_that_a_peck_needs_outlives_the_record)
{
    struct effect keep =
        make_duckling_record(&bed.alice, &bed.node.id, "Al", "", NULL, THINGS_WALL_MS, &bed.arena);
    struct effect drop = {.kind = EFFECT_DROP_RECORD}, peck;
    struct bytes wire, chain;

    drop.record.dropped = keep.record.item.record.hash;
    bed_keep(&bed, &keep, 1);
    peck = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    bed_keep(&bed, &drop, 1);
    ck_assert_int_eq(store_read_peck(bed.store, BOX_IN, &peck.peck.id, &bed.arena, &wire, &chain),
                     0);
    ck_assert(bytes_equal(chain, bed.alice.chain));
}
END_TEST

START_TEST(dropping_what_was_replaced_drops_nothing)
{
    struct effect old =
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);
    struct effect new = make_duckling_record(&bed.bob, &bed.node.id, "Robert", "", NULL,
                                             THINGS_WALL_MS + 1, &bed.arena);
    struct effect drop = {.kind = EFFECT_DROP_RECORD};
    struct restored restored;

    drop.record.dropped = old.record.item.record.hash;
    bed_keep(&bed, &old, 1);
    bed_keep(&bed, &new, 1);
    bed_keep(&bed, &drop, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.records, 1);
}
END_TEST

START_TEST(the_version_floor_outlives_its_record)
{
    struct effect keep = make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL,
                                              THINGS_WALL_MS + 77, &bed.arena);
    struct effect of_another = make_duckling_record(&bed.alice, &bed.node.id, "Al", "", NULL,
                                                    THINGS_WALL_MS + 99, &bed.arena);
    struct effect older =
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);
    struct effect drop = {.kind = EFFECT_DROP_RECORD};
    struct restored restored;

    keep.record.own = older.record.own = true;
    keep.record.dated_here = older.record.dated_here = true;
    drop.record.dropped = older.record.item.record.hash;
    bed_keep(&bed, &keep, 1);
    bed_keep(&bed, &of_another, 1);
    bed_keep(&bed, &older, 1);
    bed_keep(&bed, &drop, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.floor.ms, THINGS_WALL_MS + 77);
}
END_TEST

/* ---- chains ---- */

START_TEST(the_longest_chain_stands)
{
    struct id certificate;
    struct bytes rotated = author_rotated_chain(&bed.alice, &bed.arena, &certificate);
    struct effect kept =
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena);
    struct store_reader *reader;

    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
    bed_keep(&bed, &kept, 1);
    ck_assert_ptr_null(store_view_chain_of_certificate(reader, &certificate, &bed.arena).data);
    kept =
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena);
    kept.peck.chain = rotated;
    bed_keep(&bed, &kept, 1);
    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0}); /* with the shorter one */
    ck_assert(bytes_equal(store_view_chain(reader, &bed.alice.id, &bed.arena), rotated));
    ck_assert(
        bytes_equal(store_view_chain_of_certificate(reader, &certificate, &bed.arena), rotated));
    ck_assert(
        bytes_equal(store_view_chain_of_certificate(reader, &bed.alice.id, &bed.arena), rotated));
    store_reader_close(reader);
}
END_TEST

/* ---- the file ---- */

START_TEST(the_files_are_for_nobody_else)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};

    for (int i = 0; i < 3; i++) {
        struct stat status;
        char path[96];

        snprintf(path, sizeof path, "%s%s", bed.path, suffixes[i]);
        ck_assert_int_eq(stat(path, &status), 0);
        ck_assert_uint_eq(status.st_mode & 0777, 0600);
    }
}
END_TEST

START_TEST(an_idle_store_takes_little_memory)
{
    char line[128];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");

    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "RssAnon: %ld", &kib) == 1)
            break;
    fclose(file);
#ifndef __SANITIZE_ADDRESS__
#ifndef __SANITIZE_THREAD__
    ck_assert_int_lt(kib, 4096);
#endif
#endif
    ck_assert_int_gt(kib, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *cases = tcase_create("store");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(cases, make, unmake);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_peck_is_known_within_its_own_turn);
    tcase_add_test(cases, a_sent_peck_is_not_a_received_one);
    tcase_add_test(cases, a_peck_between_two_ducklings_of_one_node_is_held_twice);
    tcase_add_test(cases, the_first_of_two_like_pecks_stands);
    tcase_add_test(cases, bytes_come_back_as_they_came);
    tcase_add_test(cases, a_peck_that_is_not_held_has_no_bytes);
    tcase_add_test(cases, an_arena_without_room_gives_no_half_a_peck);
    tcase_add_test(cases, receipts_stand_beside_their_peck_taken_before_done);
    tcase_add_test(cases, parts_of_an_answer_are_read_in_order_from_any_on_page_by_page);
    tcase_add_test(cases, parts_go_when_their_peck_is_done_and_its_time_long_over);
    tcase_add_test(cases, parts_are_pruned_some_at_a_time);
    tcase_add_test(cases, parts_that_stay_are_looked_at_some_at_a_time);
    tcase_add_test(cases, how_far_an_answer_has_come_is_restored_at_both_ends);
    tcase_add_test(cases, that_a_peck_is_taken_back_is_restored);
    tcase_add_test(cases, a_state_of_a_peck_that_is_not_held_changes_nothing);
    tcase_add_test(cases, filed_pecks_are_found_like_recent_ones);
    tcase_add_test(cases, a_turn_that_filed_and_is_taken_back_filed_nothing);
    tcase_add_test(cases, a_filter_names_every_generation_that_holds_a_name);
    tcase_add_test(cases, a_filter_of_a_full_generation_is_seldom_wrong);
    tcase_add_test(cases, an_idempotency_key_names_one_peck_of_one_sender);
    tcase_add_test(cases, a_received_pecks_key_is_its_senders_business);
    tcase_add_test(cases, a_key_of_the_longest_length_is_found);
    tcase_add_test(cases, a_turn_that_is_taken_back_leaves_nothing);
    tcase_add_test(cases, a_turn_without_anything_to_keep_writes_nothing);
    tcase_add_test(cases, the_log_is_carried_over_before_it_grows_large);
    tcase_add_test(cases, a_log_that_was_carried_over_beside_the_turns_begins_anew);
    tcase_add_test(cases,
                   what_is_left_of_a_log_is_carried_over_beside_the_turns_until_it_is_little);
    tcase_add_test(cases, a_log_of_the_greatest_length_is_carried_over_by_the_next_turn);
    tcase_add_test(cases, a_duckling_comes_back_whole);
    tcase_add_test(cases, a_changed_profile_keeps_the_keys);
    tcase_add_test(cases, no_seed_stands_in_the_file_in_clear);
    tcase_add_test(cases, another_storage_key_opens_no_seed);
    tcase_add_loop_test(cases, sealed_seeds_cannot_change_places, 0, 2);
    tcase_add_test(cases, a_live_key_is_not_taken_for_the_next_one);
    tcase_add_test(cases, after_a_rotation_key_and_chain_are_the_new_ones);
    tcase_add_test(cases, a_duckling_that_keeps_its_own_key_comes_back_without_one);
    tcase_add_test(cases, a_bond_is_kept_replaced_and_dropped);
    tcase_add_test(cases, a_pin_is_kept_replaced_and_dropped);
    tcase_add_test(cases, of_too_many_pins_the_oldest_go);
    tcase_add_test(cases, the_terms_of_a_bond_come_back);
    tcase_add_test(cases, what_is_used_of_a_bond_survives_new_terms_and_goes_with_the_bond);
    tcase_add_test(cases, a_peck_without_a_thread_is_the_first_of_one_of_its_own_name);
    tcase_add_test(cases, the_thread_of_a_peck_is_found_from_either_end_and_by_no_third);
    tcase_add_test(cases, why_a_peck_was_refused_is_told_later_too);
    tcase_add_test(cases, bonds_of_version_2_have_no_limits_and_live_on);
    tcase_add_test(cases, counters_come_back);
    tcase_add_test(cases, blocks_of_grants_come_in_pages_and_none_is_missed);
    tcase_add_test(cases, what_is_restored_comes_in_the_order_of_events);
    tcase_add_test(cases, what_was_used_and_revoked_of_grants_comes_back);
    tcase_add_test(cases, sent_pecks_that_await_a_receipt_are_due_at_once);
    tcase_add_test(cases, received_pecks_come_back_to_their_place_in_order_of_arrival);
    tcase_add_test(cases, open_pecks_come_back_though_they_are_filed);
    tcase_add_test(cases, a_lease_goes_on_by_the_steady_clock);
    tcase_add_test(cases, a_lease_that_ended_meanwhile_is_over_now);
    tcase_add_test(cases, no_lease_grows_longer_because_the_date_leapt);
    tcase_add_test(cases, an_attempt_never_falls);
    tcase_add_test(cases, a_record_replaces_the_one_of_its_key);
    tcase_add_test(cases, a_dropped_record_takes_an_unneeded_chain_along);
    tcase_add_test(cases, a_chain_that_a_peck_needs_outlives_the_record);
    tcase_add_test(cases, dropping_what_was_replaced_drops_nothing);
    tcase_add_test(cases, the_version_floor_outlives_its_record);
    tcase_add_test(cases, the_longest_chain_stands);
    tcase_add_test(cases, the_files_are_for_nobody_else);
    tcase_add_test(cases, an_idle_store_takes_little_memory);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
