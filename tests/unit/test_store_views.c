/* What readers see: lists by every filter against a plain search of everything, and plans that
 * never scan. */
#include "store_bed.h"

#include "clock.h"
#include "store_internal.h"

#include <pthread.h>
#include <stdatomic.h>

static struct bed bed;
static struct store_reader *reader;

static void make(void)
{
    bed_make(&bed);
    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
}

static void unmake(void)
{
    store_reader_close(reader);
    bed_free(&bed);
}

/* ---- one peck ---- */

START_TEST(a_view_has_the_peck_and_its_receipts)
{
    struct effect kept =
        bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){.thread = "talk", .payload_size = 30});
    struct effect said[2];
    struct stored_peck view;

    said[0] = make_receipt(&bed.node, &kept, RECEIPT_TAKEN, PECK_TAKEN, &bed.arena);
    said[1] = make_receipt(&bed.bob, &kept, RECEIPT_DONE, PECK_ANSWERED, &bed.arena);
    bed_keep(&bed, said, 2);
    bed_move(&bed, &kept, PECK_ANSWERED, TRAY_WITH_AGENT);
    ck_assert(store_view_peck(reader, &kept.peck.id, 0, &bed.bob.id, &bed.arena, &view));
    ck_assert_int_eq(view.box, BOX_IN);
    ck_assert_int_eq(view.state, PECK_ANSWERED);
    ck_assert_int_eq(view.place, TRAY_WITH_AGENT);
    ck_assert_uint_eq(view.changed_ms, THINGS_WALL_MS + 1);
    ck_assert(id_equal(&view.peck.id, &kept.peck.id));
    ck_assert(id_equal(&view.peck.from, &bed.alice.id));
    ck_assert(bytes_equal(view.peck.thread, bytes_of_text("talk")));
    ck_assert(bytes_equal(view.wire, kept.peck.wire));
    ck_assert(bytes_equal(view.chain, bed.alice.chain));
    ck_assert_uint_eq(view.receipt_count, 2);
    ck_assert_int_eq(view.receipts[0].kind, RECEIPT_TAKEN);
    ck_assert(id_equal(&view.receipts[0].signer, &bed.node.id));
    ck_assert_int_eq(view.receipts[1].kind, RECEIPT_DONE);
    ck_assert_int_eq(view.receipts[1].state, PECK_ANSWERED);
    ck_assert_uint_eq(view.receipts[1].at_ms, THINGS_WALL_MS);
    ck_assert(bytes_equal(view.receipts[1].wire, said[1].receipt.wire));
    ck_assert(bytes_equal(view.receipts[1].chain, bed.bob.chain));
}
END_TEST

START_TEST(nobody_sees_the_peck_of_another)
{
    struct effect kept = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    static const struct id anyone;
    struct stored_peck view;

    ck_assert(!store_view_peck(reader, &kept.peck.id, 0, &bed.alice.id, &bed.arena, &view));
    ck_assert(!store_view_peck(reader, &kept.peck.id, BOX_OUT, &bed.bob.id, &bed.arena, &view));
    ck_assert(!store_view_peck(reader, &bed.alice.id, 0, &bed.bob.id, &bed.arena, &view));
    ck_assert(store_view_peck(reader, &kept.peck.id, BOX_IN, &anyone, &bed.arena, &view));
}
END_TEST

START_TEST(of_two_boxes_in_comes_first_and_each_end_sees_its_own)
{
    static const struct id anyone;
    struct effect both[2];
    struct stored_peck view;

    both[0] =
        make_peck(&bed.alice, &bed.bob.id, BOX_OUT, PECK_SENT, &(struct peck_wish){0}, &bed.arena);
    both[1] = both[0];
    both[1].peck.box = BOX_IN;
    both[1].peck.state = PECK_TAKEN;
    bed_keep(&bed, both, 2);
    for (int filed = 0; filed < 2; filed++) {
        ck_assert(store_view_peck(reader, &both[0].peck.id, 0, &anyone, &bed.arena, &view));
        ck_assert_int_eq(view.box, BOX_IN);
        ck_assert(store_view_peck(reader, &both[0].peck.id, 0, &bed.bob.id, &bed.arena, &view));
        ck_assert_int_eq(view.box, BOX_IN);
        ck_assert(store_view_peck(reader, &both[0].peck.id, 0, &bed.alice.id, &bed.arena, &view));
        ck_assert_int_eq(view.box, BOX_OUT);
        ck_assert(store_view_peck(reader, &both[0].peck.id, BOX_OUT, &anyone, &bed.arena, &view));
        ck_assert_int_eq(view.box, BOX_OUT);
        bed_fill(&bed, STORE_FILE_AT + BATCH_ITEMS_MAX);
    }
}
END_TEST

static void expect_seen(const struct effect *kept, size_t count)
{
    static const struct id anyone;
    struct stored_peck view;
    struct arena arena;

    arena_init(&arena, MIB);
    for (size_t i = 0; i < count; i++) {
        arena_reset(&arena);
        ck_assert(store_view_peck(reader, &kept[i].peck.id, BOX_IN, &anyone, &arena, &view));
        ck_assert(bytes_equal(view.wire, kept[i].peck.wire));
        ck_assert(!store_view_peck(reader, &kept[i].peck.id, BOX_OUT, &anyone, &arena, &view));
    }
    arena_free(&arena);
}

/* Whether it looked before they were filed, in between, or long afterwards. */
START_TEST(a_reader_finds_pecks_whenever_they_were_filed_and_remembers_no_more_than_some_thousand)
{
    struct effect kept[16];
    size_t count = 0;

    for (size_t i = 0; i < 8; i++) {
        kept[count++] = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
        expect_seen(kept, count);
        bed_fill(&bed, i == 4 ? 3 * STORE_FILE_AT : STORE_FILE_AT / 2);
        kept[count++] = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
        if (i % 3 == 1)
            expect_seen(kept, count);
        ck_assert_uint_le(reader->recent.count, 3 * STORE_FILE_AT);
    }
    expect_seen(kept, count);
    store_reader_close(reader);
    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
    expect_seen(kept, count);
}
END_TEST

START_TEST(a_reader_sees_nothing_of_an_open_turn)
{
    struct effect kept =
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena);
    struct stored_peck view;

    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep(bed.store, &kept), 0);
    ck_assert(!store_view_peck(reader, &kept.peck.id, 0, &bed.bob.id, &bed.arena, &view));
    ck_assert_int_eq(store_commit(bed.store), 0);
    ck_assert(store_view_peck(reader, &kept.peck.id, 0, &bed.bob.id, &bed.arena, &view));
}
END_TEST

/* ---- lists ---- */

#define MIXED 240

struct mixed {
    struct id id, other;
    enum box box;
    enum peck_state state;
    const char *thread;
};

static struct mixed mixed[MIXED];

/* Bob's pecks of all kinds, in three waves with other traffic between, so that they stand in two
 * generations and at the end. */
static void make_mixed(void)
{
    static const enum peck_state ins[] = {PECK_PENDING, PECK_TAKEN, PECK_ANSWERED, PECK_DENIED,
                                          PECK_EXPIRED};
    static const enum peck_state outs[] = {PECK_QUEUED, PECK_SENT,      PECK_TAKEN,
                                           PECK_FAILED, PECK_CANCELLED, PECK_ANSWERED};
    static const char *const threads[] = {NULL, "one", "two"};

    for (int i = 0; i < MIXED; i++) {
        struct mixed *peck = &mixed[i];
        const struct author *other = i % 7 ? &bed.alice : &bed.node;
        struct peck_wish wish = {.thread = threads[i % 3]};
        struct effect effects[2];

        peck->box = i % 2 ? BOX_IN : BOX_OUT;
        peck->thread = wish.thread;
        peck->other = other->id;
        peck->state = i % 2 ? ins[i / 2 % 5] : outs[i / 2 % 6];
        effects[0] = peck->box == BOX_IN
                         ? make_peck(other, &bed.bob.id, BOX_IN, PECK_TAKEN, &wish, &bed.arena)
                         : make_peck(&bed.bob, &other->id, BOX_OUT, PECK_QUEUED, &wish, &bed.arena);
        peck->id = effects[0].peck.id;
        effects[1] = make_state(peck->box, &peck->id, peck->state, TRAY_READY);
        bed_keep(&bed, effects, 2);
        if (i == MIXED / 3 || i == 2 * MIXED / 3) {
            struct author author = bed.bob;

            bed.bob = bed.node; /* not Bob's */
            bed_fill(&bed, STORE_FILE_AT + BATCH_ITEMS_MAX);
            bed.bob = author;
        }
    }
    ck_assert_int_eq(bed.store->generation, 2);
}

static bool is_wanted(const struct mixed *peck, const struct pecks_filter *filter)
{
    if (filter->box && peck->box != (enum box)filter->box)
        return false;
    if (filter->states && !(filter->states & 1u << peck->state))
        return false;
    if (!id_is_zero(&filter->with) && !id_equal(&filter->with, &peck->other))
        return false;
    return !filter->thread.size ||
           (peck->thread && bytes_equal(filter->thread, bytes_of_text(peck->thread)));
}

/* Pages of seven until the end, against all of `mixed` from the newest. */
static size_t expect_list(struct pecks_filter filter)
{
    struct stored_peck views[7];
    size_t count, seen = 0;
    int next = MIXED;

    filter.limit = 7;
    do {
        count = store_view_pecks(reader, &filter, &bed.arena, views);
        for (size_t i = 0; i < count; i++) {
            while (--next >= 0 && !is_wanted(&mixed[next], &filter))
                ;
            ck_assert_int_ge(next, 0);
            ck_assert(id_equal(&views[i].peck.id, &mixed[next].id));
            ck_assert_int_eq(views[i].state, mixed[next].state);
            filter.before = views[i].sequence;
            seen++;
        }
    } while (count == 7);
    while (--next >= 0)
        ck_assert(!is_wanted(&mixed[next], &filter));
    return seen;
}

#define BIT(state) (1u << (state))

START_TEST(every_filter_finds_what_a_plain_search_finds)
{
    const uint32_t states[] = {
        0,
        BIT(PECK_PENDING),
        BIT(PECK_QUEUED) | BIT(PECK_SENT) | BIT(PECK_TAKEN),
        BIT(PECK_FAILED),
        BIT(PECK_DENIED) | BIT(PECK_EXPIRED) | BIT(PECK_CANCELLED),
        BIT(PECK_ANSWERED),
        BIT(PECK_PENDING) | BIT(PECK_FAILED),
    };
    const char *const threads[] = {"", "one", "none"};
    size_t all = 0;

    make_mixed();
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        for (int box = 0; box <= 2; box++)
            for (int with = 0; with < 2; with++)
                for (int thread = 0; thread < 3; thread++) {
                    struct pecks_filter filter = {.duckling = bed.bob.id,
                                                  .states = states[i],
                                                  .box = box,
                                                  .thread = bytes_of_text(threads[thread])};

                    if (with)
                        filter.with = bed.node.id;
                    all += expect_list(filter);
                }
    ck_assert_uint_gt(all, MIXED);
}
END_TEST

START_TEST(without_a_duckling_all_are_listed)
{
    struct effect bobs = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect alices =
        make_peck(&bed.node, &bed.alice.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena);
    struct pecks_filter filter = {.limit = 10};
    struct stored_peck views[10];

    bed_keep(&bed, &alices, 1);
    ck_assert_uint_eq(store_view_pecks(reader, &filter, &bed.arena, views), 2);
    ck_assert(id_equal(&views[0].peck.id, &alices.peck.id));
    ck_assert(id_equal(&views[1].peck.id, &bobs.peck.id));
    bed_fill(&bed, STORE_FILE_AT + BATCH_ITEMS_MAX);
    filter.before = views[0].sequence + 1;
    ck_assert_uint_eq(store_view_pecks(reader, &filter, &bed.arena, views), 2);
    ck_assert(id_equal(&views[0].peck.id, &alices.peck.id));
    filter.after = views[1].sequence; /* also among what is filed */
    ck_assert_uint_eq(store_view_pecks(reader, &filter, &bed.arena, views), 1);
    ck_assert(id_equal(&views[0].peck.id, &alices.peck.id));
    filter.after = views[0].sequence;
    ck_assert_uint_eq(store_view_pecks(reader, &filter, &bed.arena, views), 0);
}
END_TEST

START_TEST(strangers_have_no_pecks)
{
    struct pecks_filter filter = {.duckling = {.bytes = {1}}, .limit = 10};
    struct stored_peck views[10];

    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    ck_assert_uint_eq(store_view_pecks(reader, &filter, &bed.arena, views), 0);
    filter.duckling = bed.bob.id;
    filter.with.bytes[0] = 1;
    ck_assert_uint_eq(store_view_pecks(reader, &filter, &bed.arena, views), 0);
    filter.with.bytes[0] = 0;
    filter.limit = 0;
    ck_assert_uint_eq(store_view_pecks(reader, &filter, &bed.arena, views), 0);
}
END_TEST

START_TEST(a_small_arena_shortens_a_page_without_a_gap)
{
    struct pecks_filter filter = {.duckling = bed.bob.id, .limit = 10};
    struct stored_peck views[10];
    struct effect kept[5];
    struct arena small;
    size_t count;

    for (int i = 0; i < 5; i++)
        kept[i] = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){.payload_size = 1000});
    arena_init(&small, 8 * KIB);
    count = store_view_pecks(reader, &filter, &small, views);
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_lt(count, 5);
    for (size_t i = 0; i < count; i++)
        ck_assert(id_equal(&views[i].peck.id, &kept[4 - i].peck.id));
    arena_free(&small);
}
END_TEST

/* INDEXED BY fixes the index; this fixes that it is searched, not walked. */
START_TEST(no_list_walks_the_table)
{
    sqlite3_stmt *statement, *explain;
    struct pecks_filter filter = {.duckling = bed.bob.id, .limit = 5};
    struct stored_peck views[5];
    size_t seen = 0;

    bed_fill(&bed, STORE_FILE_AT + BATCH_ITEMS_MAX);
    for (uint32_t states = 0; states < 4; states++)
        for (int thread = 0; thread < 2; thread++) {
            filter.states = (const uint32_t[]){0, BIT(PECK_PENDING), BIT(PECK_FAILED),
                                               BIT(PECK_FAILED) | BIT(PECK_SENT)}[states];
            filter.thread = bytes_of_text(thread ? "none" : "");
            store_view_pecks(reader, &filter, &bed.arena, views);
        }
    for (int i = STATEMENT_VIEW_PECKS; i <= STATEMENT_VIEW_PECKS_LAST; i++) {
        char sql[640];

        statement = reader->connection.statements[i];
        if (!statement)
            continue;
        seen++;
        snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", sqlite3_sql(statement));
        ck_assert_int_eq(sqlite3_prepare_v2(reader->connection.database, sql, -1, &explain, NULL),
                         SQLITE_OK);
        while (sqlite3_step(explain) == SQLITE_ROW) {
            const char *plan = (const char *)sqlite3_column_text(explain, 3);

            if (strstr(plan, "peck"))
                ck_assert_msg(strstr(plan, "SEARCH peck"), "%s: %s", sql, plan);
            ck_assert_msg(!strstr(plan, "TEMP B-TREE"), "%s: %s", sql, plan);
        }
        sqlite3_finalize(explain);
    }
    ck_assert_uint_ge(seen, 8);
}
END_TEST

static atomic_bool is_written;
static atomic_size_t half_seen, back_seen, pages_seen;

/* Peck and receipt are kept in one turn: nobody may see one without the other. */
static void *read_on(void *context)
{
    struct pecks_filter filter = {.duckling = bed.bob.id, .limit = 20};
    struct stored_peck views[20];
    struct store_reader *own = NULL;
    uint64_t newest = 0;
    struct arena arena;

    (void)context;
    arena_init(&arena, 4 * MIB);
    if (store_reader_open(&own, bed.path))
        return NULL;
    while (!is_written) {
        size_t count;

        arena_reset(&arena);
        count = store_view_pecks(own, &filter, &arena, views);
        for (size_t i = 0; i < count; i++)
            half_seen += views[i].receipt_count != 1;
        back_seen += count > 0 && views[0].sequence < newest;
        newest = count > 0 ? views[0].sequence : newest;
        pages_seen += count > 0;
    }
    store_reader_close(own);
    arena_free(&arena);
    return NULL;
}

START_TEST(readers_see_whole_turns_while_the_writer_writes)
{
    static struct peck pecks[64];
    static struct effect effects[128];
    struct bytes wires[64];
    struct arena arena;
    pthread_t thread;

    arena_init(&arena, 16 * MIB);
    ck_assert_int_eq(pthread_create(&thread, NULL, read_on, NULL), 0);
    for (int turn = 0; turn < 150 || pages_seen < 10; turn++) {
        struct peck_wish wish = {.payload_size = 100};

        arena_reset(&arena);
        make_pecks(&bed.alice, &bed.bob.id, &wish, 64, &arena, pecks, wires);
        for (int i = 0; i < 64; i++)
            effects[i] = keep_peck_effect(BOX_IN, PECK_TAKEN, &pecks[i], wires[i], bed.alice.chain);
        make_receipts(&bed.node, pecks, 64, BOX_IN, RECEIPT_TAKEN, PECK_TAKEN, &arena,
                      effects + 64);
        bed_keep(&bed, effects, 128);
    }
    is_written = true;
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(half_seen, 0);
    ck_assert_uint_eq(back_seen, 0);
    ck_assert_int_ge(bed.store->generation, 2);
    arena_free(&arena);
}
END_TEST

/* ---- bonds ---- */

START_TEST(bonds_are_seen_from_either_end)
{
    static const struct id anyone;
    struct bond made[2] = {
        {.id = {.bytes = {1}}, .requester = bed.alice.id, .approver = bed.bob.id, .made_ms = 2},
        {.id = {.bytes = {2}}, .requester = bed.bob.id, .approver = bed.node.id, .made_ms = 1},
    };
    struct effect effects[2] = {{.kind = EFFECT_KEEP_BOND, .bond = &made[0]},
                                {.kind = EFFECT_KEEP_BOND, .bond = &made[1]}};
    struct bond bonds[4];

    made[0].scopes[made[0].scope_count++] = bytes_of_text("data.*");
    made[0].scopes[made[0].scope_count++] = bytes_of_text("web");
    bed_keep(&bed, effects, 2);
    ck_assert_uint_eq(store_view_bonds(reader, &bed.bob.id, &bed.arena, bonds, 4), 2);
    ck_assert(id_equal(&bonds[0].id, &made[1].id));
    ck_assert_uint_eq(bonds[0].scope_count, 0);
    ck_assert_uint_eq(bonds[1].scope_count, 2);
    ck_assert(bytes_equal(bonds[1].scopes[1], bytes_of_text("web")));
    ck_assert_uint_eq(store_view_bonds(reader, &bed.alice.id, &bed.arena, bonds, 4), 1);
    ck_assert_uint_eq(store_view_bonds(reader, &anyone, &bed.arena, bonds, 4), 2);
    ck_assert_uint_eq(store_view_bonds(reader, &anyone, &bed.arena, bonds, 1), 1);
}
END_TEST

/* ---- the directory ---- */

static struct author ducks[4];

static void hatch_directory(void)
{
    static const char *const capabilities[4][4] = {
        {"data.read", "data.write", NULL}, {"data.read", NULL}, {"web", NULL}, {NULL}};
    static const char *const names[] = {"Scraper", "Reader", "Émile", "Quiet"};
    static const char *const bios[] = {"reads web pages", "reads \"files\"", "AND OR NOT", ""};

    for (unsigned i = 0; i < 4; i++) {
        struct effect keep;

        ducks[i] = author_new(IDENTITY_DUCKLING, (uint8_t)(10 + i), &bed.arena);
        keep = make_duckling_record(&ducks[i], i == 3 ? &bed.alice.id : &bed.node.id, names[i],
                                    bios[i], capabilities[i], THINGS_WALL_MS + i, &bed.arena);
        bed_keep(&bed, &keep, 1);
    }
}

static void free_directory(void)
{
    for (int i = 0; i < 4; i++)
        author_free(&ducks[i]);
}

/* Those of `ducks` that are found, as bits; in the order in which they became known. */
static unsigned find(struct directory_filter filter)
{
    struct stored_duckling found[8];
    unsigned bits = 0;
    uint64_t next;
    size_t count;

    filter.limit = filter.limit ? filter.limit : 8;
    filter.wall_ms = filter.wall_ms ? filter.wall_ms : THINGS_WALL_MS + 10;
    count = store_view_directory(reader, &filter, &bed.arena, found, &next);
    ck_assert_uint_eq(next, 0);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            ck_assert_uint_lt(found[i - 1].place, found[i].place);
        for (int j = 0; j < 4; j++)
            if (id_equal(&found[i].record.owner, &ducks[j].id)) {
                bits |= 1u << j;
                ck_assert(bytes_equal(found[i].chain, ducks[j].chain));
            }
    }
    return bits;
}

static unsigned find_capability(const char *capability)
{
    return find((struct directory_filter){.capability = bytes_of_text(capability)});
}

static unsigned find_text(const char *text)
{
    return find((struct directory_filter){.text = bytes_of_text(text)});
}

START_TEST(the_directory_is_searched_by_capability)
{
    hatch_directory();
    ck_assert_uint_eq(find((struct directory_filter){0}), 15);
    ck_assert_uint_eq(find_capability("data.read"), 3);
    ck_assert_uint_eq(find_capability("data.write"), 1);
    ck_assert_uint_eq(find_capability("data"), 0);
    ck_assert_uint_eq(find_capability("data.*"), 3);
    ck_assert_uint_eq(find_capability("w*"), 4);
    ck_assert_uint_eq(find_capability("*"), 7);
    ck_assert_uint_eq(find_capability("x*"), 0);
    ck_assert_uint_eq(find_capability("da*ta*"), 0);
    ck_assert_uint_eq(find_capability("DATA.READ"), 0);
    free_directory();
}
END_TEST

START_TEST(the_directory_is_searched_by_words)
{
    hatch_directory();
    ck_assert_uint_eq(find_text("scraper"), 1);
    ck_assert_uint_eq(find_text("reads"), 3);
    ck_assert_uint_eq(find_text("reads web"), 1);
    ck_assert_uint_eq(find_text("web"), 5); /* a bio and a capability */
    ck_assert_uint_eq(find_text("emile"), 4);
    ck_assert_uint_eq(find_text("scrap"), 1);
    ck_assert_uint_eq(find_text("nobody"), 0);
    ck_assert_uint_eq(find_text("   "), 0);
    free_directory();
}
END_TEST

START_TEST(no_word_is_a_command_of_the_search)
{
    static const char *const hostile[] = {
        "\"",      "\"\"\"", "web OR scraper", "NOT",   "bio:web", "^web",
        "(",       ")",      "web NEAR x",     "*",     "-",       "+",
        "a\"b*",   "{bio",   "'; DROP TABLE",  "rowid", "\\\"",    "%",
        "web AND", ".",
    };

    hatch_directory();
    find_text(hostile[_i]);
    ck_assert_int_eq(reader->connection.fault, 0);
    ck_assert_uint_eq(find_text("AND OR"), 4);
    ck_assert_uint_eq(find_text("web OR scraper"), 0); /* three words */
    free_directory();
}
END_TEST

START_TEST(a_search_text_is_cut_and_never_overflows)
{
    char text[8192];

    hatch_directory();
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 ? ' ' : '"';
    find((struct directory_filter){.text = bytes_of(text, sizeof text)});
    memset(text, '"', sizeof text);
    find((struct directory_filter){.text = bytes_of(text, sizeof text)});
    memset(text, 0, sizeof text);
    find((struct directory_filter){.text = bytes_of(text, sizeof text)});
    ck_assert_int_eq(reader->connection.fault, 0);
    free_directory();
}
END_TEST

START_TEST(filters_of_the_directory_add_up)
{
    struct directory_filter filter = {.host = bed.node.id};

    hatch_directory();
    ck_assert_uint_eq(find(filter), 7);
    filter.capability = bytes_of_text("data.read");
    ck_assert_uint_eq(find(filter), 3);
    filter.text = bytes_of_text("files");
    ck_assert_uint_eq(find(filter), 2);
    filter.duckling = ducks[0].id;
    ck_assert_uint_eq(find(filter), 0);
    filter.duckling = ducks[1].id;
    ck_assert_uint_eq(find(filter), 2);
    filter = (struct directory_filter){.seen_since_ms = THINGS_WALL_MS + 2};
    ck_assert_uint_eq(find(filter), 12);
    filter = (struct directory_filter){.wall_ms = THINGS_WALL_MS + RECORD_LIFE_MS};
    ck_assert_uint_eq(find(filter), 14); /* the first has expired */
    free_directory();
}
END_TEST

/* Beside words a capability is looked up in the record itself, and means the same. */
START_TEST(a_capability_means_the_same_beside_words_and_alone)
{
    static const char *const capabilities[] = {
        "data.read", "data.write", "data", "data.reads", "data.*", "data.r*", "data.read*",
        "web",       "web*",       "w*",   "*",          "d*",     "e*",      "data.write*"};
    static const char *const texts[] = {"reads", "web", "and", "q"};

    hatch_directory();
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++)
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++) {
            struct directory_filter both = {.capability = bytes_of_text(capabilities[i]),
                                            .text = bytes_of_text(texts[j])};
            unsigned expected = find_capability(capabilities[i]) & find_text(texts[j]);

            ck_assert_uint_eq(find(both), expected);
            both.host = bed.node.id;
            ck_assert_uint_eq(find(both), expected & 7);
            both.host = bed.bob.id;
            ck_assert_uint_eq(find(both), 0);
        }
    ck_assert_uint_eq(find_capability("data.r*") & find_text("reads"), 3);
    free_directory();
}
END_TEST

START_TEST(the_directory_is_paged_without_a_gap)
{
    const char *const capabilities[] = {"", "data.*", "data.read", ""};
    const char *const texts[] = {"", "", "", "reads"};
    const unsigned all[] = {15, 3, 3, 3};
    struct directory_filter filter = {.wall_ms = THINGS_WALL_MS + 10, .limit = 1};
    struct stored_duckling found;
    unsigned seen = 0, pages = 0;
    uint64_t next = 1;

    hatch_directory();
    filter.capability = bytes_of_text(capabilities[_i]);
    filter.text = bytes_of_text(texts[_i]);
    for (; next > 0; filter.after = next) {
        if (store_view_directory(reader, &filter, &bed.arena, &found, &next) == 1)
            for (int j = 0; j < 4; j++)
                if (id_equal(&found.record.owner, &ducks[j].id)) {
                    ck_assert(!(seen & 1u << j));
                    seen |= 1u << j;
                }
        ck_assert_uint_lt(pages++, 5);
    }
    ck_assert_uint_eq(seen, all[_i]);
    free_directory();
}
END_TEST

/* Every statement that a search has prepared. */
static void check_plans(void)
{
    size_t seen = 0;

    for (int i = STATEMENT_SEARCH_OWNER; i <= STATEMENT_TERM_WORD; i++) {
        sqlite3_stmt *explain, *statement = reader->directory.statements[i];
        char sql[1600];

        if (!statement)
            continue;
        seen++;
        snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", sqlite3_sql(statement));
        ck_assert_int_eq(sqlite3_prepare_v2(reader->directory.database, sql, -1, &explain, NULL),
                         SQLITE_OK);
        while (sqlite3_step(explain) == SQLITE_ROW) {
            const char *plan = (const char *)sqlite3_column_text(explain, 3);

            ck_assert_msg(!strstr(plan, "TEMP B-TREE"), "%s: %s", sql, plan);
            ck_assert_msg(!strstr(plan, "SCAN") || strstr(plan, "VIRTUAL TABLE") ||
                              strstr(plan, "CONSTANT ROW"),
                          "%s: %s", sql, plan);
        }
        sqlite3_finalize(explain);
    }
    ck_assert_uint_eq(seen, STATEMENT_TERM_WORD - STATEMENT_SEARCH_OWNER + 1);
}

START_TEST(no_search_scans_or_sorts)
{
    const char *const capabilities[] = {"", "data.read", "data.*"};
    struct effect proof = {.kind = EFFECT_KEEP_PROOF};

    hatch_directory();
    proof.proof.owner = ducks[3].id; /* of no record, but its quarantine counts */
    proof.proof.quarantine_until_ms = clock_wall_ms() + DAY_MS;
    bed_keep(&bed, &proof, 1);
    for (int i = 0; i < 3; i++)
        for (int text = 0; text < 2; text++)
            for (int host = 0; host < 2; host++)
                for (int duckling = 0; duckling < 2; duckling++) {
                    struct directory_filter filter = {.capability = bytes_of_text(capabilities[i]),
                                                      .text = bytes_of_text(text ? "web" : "")};

                    if (host)
                        filter.host = bed.node.id;
                    if (duckling)
                        filter.duckling = ducks[0].id;
                    find(filter);
                }
    check_plans();
    free_directory();
}
END_TEST

START_TEST(what_a_duckling_says_anew_is_found_and_the_old_is_not)
{
    static const char *const capabilities[] = {"juggling", NULL};
    struct effect keep, drop = {.kind = EFFECT_DROP_RECORD};

    hatch_directory();
    keep = make_duckling_record(&ducks[0], &bed.node.id, "Juggler", "", capabilities,
                                THINGS_WALL_MS + 9, &bed.arena);
    bed_keep(&bed, &keep, 1);
    ck_assert_uint_eq(find_text("scraper"), 0);
    ck_assert_uint_eq(find_text("juggler"), 1);
    ck_assert_uint_eq(find_capability("data.write"), 0);
    ck_assert_uint_eq(find_capability("juggling"), 1);
    drop.record.dropped = keep.record.item.record.hash;
    bed_keep(&bed, &drop, 1);
    ck_assert_uint_eq(find_text("juggler"), 0);
    ck_assert_uint_eq(find_capability("juggling"), 0);
    ck_assert_uint_eq(find((struct directory_filter){0}), 14);
    free_directory();
}
END_TEST

START_TEST(a_refreshed_record_is_still_found)
{
    static const char *const capabilities[] = {"web", NULL};
    struct effect keep;

    hatch_directory();
    keep = make_duckling_record(&ducks[2], &bed.node.id, "Émile", "AND OR NOT", capabilities,
                                THINGS_WALL_MS + 9, &bed.arena);
    bed_keep(&bed, &keep, 1);
    ck_assert_uint_eq(find_text("emile"), 4);
    ck_assert_uint_eq(find_capability("web"), 4);
    ck_assert_uint_eq(find((struct directory_filter){.seen_since_ms = THINGS_WALL_MS + 9}), 4);
    free_directory();
}
END_TEST

START_TEST(a_deleted_duckling_is_not_found)
{
    struct effect deleted;

    hatch_directory();
    deleted = make_record(&ducks[0], RECORD_DUCKLING, "", THINGS_WALL_MS + 9, bytes_of(NULL, 0),
                          true, &bed.arena);
    bed_keep(&bed, &deleted, 1);
    ck_assert_uint_eq(find((struct directory_filter){0}), 14);
    ck_assert_uint_eq(find_text("scraper"), 0);
    ck_assert_uint_eq(find_capability("data.write"), 0);
    ck_assert_uint_eq(find((struct directory_filter){.host = bed.node.id}), 6);
    free_directory();
}
END_TEST

static struct effect say_bonded(const struct author *owner, const struct author *subject,
                                const char *claim, uint64_t version_ms)
{
    struct id bond = {.bytes = {8}};
    struct attestation_content content = {
        .subject = subject->id, .claim = bytes_of_text(claim), .proof = id_bytes(&bond)};
    char text[ID_TEXT_SIZE], key[RECORD_KEY_MAX];

    snprintf(key, sizeof key, "%s:%s", claim, id_text(ID_DUCKLING, &subject->id, text));
    return make_record(owner, RECORD_ATTESTATION, key, version_ms,
                       attestation_content_pack(&content, &bed.arena), false, &bed.arena);
}

static bool is_bonded(const struct author *author)
{
    struct directory_filter filter = {
        .duckling = author->id, .wall_ms = THINGS_WALL_MS + 10, .limit = 1};
    struct stored_duckling found;
    uint64_t next;

    ck_assert_uint_eq(store_view_directory(reader, &filter, &bed.arena, &found, &next), 1);
    return found.bonded;
}

START_TEST(a_bond_counts_when_both_ends_say_so)
{
    struct effect said, drop = {.kind = EFFECT_DROP_RECORD};

    hatch_directory();
    said = say_bonded(&ducks[0], &ducks[1], "bonded", THINGS_WALL_MS);
    bed_keep(&bed, &said, 1);
    ck_assert(!is_bonded(&ducks[0]) && !is_bonded(&ducks[1]));
    said = say_bonded(&ducks[1], &ducks[0], "email-verified", THINGS_WALL_MS);
    bed_keep(&bed, &said, 1);
    ck_assert(!is_bonded(&ducks[0]) && !is_bonded(&ducks[1]));
    said = say_bonded(&ducks[1], &ducks[0], "bonded", THINGS_WALL_MS);
    bed_keep(&bed, &said, 1);
    ck_assert(is_bonded(&ducks[0]) && is_bonded(&ducks[1]) && !is_bonded(&ducks[2]));
    drop.record.dropped = said.record.item.record.hash;
    bed_keep(&bed, &drop, 1);
    ck_assert(!is_bonded(&ducks[0]) && !is_bonded(&ducks[1]));
    said = say_bonded(&ducks[1], &ducks[0], "bonded", THINGS_WALL_MS - RECORD_LIFE_MS);
    bed_keep(&bed, &said, 1);
    ck_assert(!is_bonded(&ducks[0])); /* it has expired */
    free_directory();
}
END_TEST

START_TEST(a_small_arena_shortens_a_page_of_the_directory_without_a_gap)
{
    struct directory_filter filter = {.wall_ms = THINGS_WALL_MS + 10, .limit = 4};
    struct stored_duckling all[4], few[4];
    struct arena small;
    size_t count, got = 0;
    uint64_t next;

    hatch_directory();
    ck_assert_uint_eq(store_view_directory(reader, &filter, &bed.arena, all, &next), 4);
    ck_assert_uint_eq(next, 0);
    arena_init(&small, 3000);
    do {
        arena_reset(&small);
        count = store_view_directory(reader, &filter, &small, few, &next);
        ck_assert_uint_gt(count, 0);
        ck_assert_uint_lt(count, 4);
        for (size_t i = 0; i < count; i++)
            ck_assert(id_equal(&few[i].record.owner, &all[got++].record.owner));
        filter.after = next;
    } while (next > 0);
    ck_assert_uint_eq(got, 4);
    arena_free(&small);
    free_directory();
}
END_TEST

/* ---- the rest ---- */

START_TEST(a_node_record_is_seen)
{
    struct node_content content = {
        .addresses = {bytes_of_text("127.0.0.1:4000")},
        .address_count = 1,
        .session_key = {9},
        .session_not_after_ms = THINGS_WALL_MS + DAY_MS,
        .software = bytes_of_text("ducknode/0.1.0"),
    };
    struct effect keep = make_record(&bed.node, RECORD_NODE, "", THINGS_WALL_MS,
                                     node_content_pack(&content, &bed.arena), false, &bed.arena);

    ck_assert_ptr_null(store_view_node_record(reader, &bed.node.id, &bed.arena).data);
    bed_keep(&bed, &keep, 1);
    ck_assert(bytes_equal(store_view_node_record(reader, &bed.node.id, &bed.arena),
                          keep.record.item.wire));
    ck_assert(bytes_equal(store_view_chain(reader, &bed.node.id, &bed.arena), bed.node.chain));
}
END_TEST

/* By whoever has the storage key, and no node. */
START_TEST(the_key_of_a_duckling_that_lives_here_opens_with_the_storage_key_alone)
{
    struct effect keep = {.kind = EFFECT_KEEP_DUCKLING};
    struct hosted hosted = {.id = bed.bob.id, .chain = bed.bob.chain};
    uint8_t other[32], seed[SEED_SIZE];

    memcpy(hosted.seed, bed.bob.seed, SEED_SIZE);
    memcpy(hosted.next_seed, bed.bob.next_seed, SEED_SIZE);
    keep.duckling = &hosted;
    bed_keep(&bed, &keep, 1);
    ck_assert(store_view_live_seed(reader, bed.storage_key, &bed.bob.id, seed));
    ck_assert_mem_eq(seed, bed.bob.seed, SEED_SIZE);
    ck_assert(!store_view_live_seed(reader, bed.storage_key, &bed.alice.id, seed));
    memcpy(other, bed.storage_key, sizeof other);
    other[31] ^= 1;
    ck_assert(!store_view_live_seed(reader, other, &bed.bob.id, seed));
}
END_TEST

START_TEST(an_identity_without_a_chain_has_none)
{
    bed_send(&bed, PECK_SENT, &(struct peck_wish){0}); /* Alice is only named */
    ck_assert_ptr_null(store_view_chain(reader, &bed.alice.id, &bed.arena).data);
    ck_assert_ptr_null(store_view_chain(reader, &bed.node.id, &bed.arena).data);
    ck_assert_ptr_null(store_view_chain_of_certificate(reader, &bed.alice.id, &bed.arena).data);
    ck_assert_ptr_nonnull(store_view_chain(reader, &bed.bob.id, &bed.arena).data);
}
END_TEST

START_TEST(hosted_ducklings_are_listed)
{
    struct hosted hosted = {.id = bed.bob.id, .chain = bed.bob.chain};
    struct effect effect = {.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted};
    struct id ids[2];

    hosted.profile.display_name = bytes_of_text("Bob");
    ck_assert_uint_eq(store_view_hosted(reader, ids, 2), 0);
    bed_keep(&bed, &effect, 1);
    ck_assert_uint_eq(store_view_hosted(reader, ids, 2), 1);
    ck_assert(id_equal(&ids[0], &bed.bob.id));
    ck_assert_uint_eq(store_view_hosted(reader, ids, 0), 0);
}
END_TEST

START_TEST(a_reader_cannot_write)
{
    ck_assert_int_ne(store_execute(&reader->connection, "DELETE FROM node"), 0);
}
END_TEST

START_TEST(a_reader_of_nothing_is_refused)
{
    struct store_reader *none = NULL;

    ck_assert_int_ne(store_reader_open(&none, "/nonexistent/node.db"), 0);
    ck_assert_ptr_null(none);
    store_reader_close(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store views");
    TCase *cases = tcase_create("views");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(cases, make, unmake);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_view_has_the_peck_and_its_receipts);
    tcase_add_test(cases, nobody_sees_the_peck_of_another);
    tcase_add_test(cases, of_two_boxes_in_comes_first_and_each_end_sees_its_own);
    tcase_add_test(
        cases,
        a_reader_finds_pecks_whenever_they_were_filed_and_remembers_no_more_than_some_thousand);
    tcase_add_test(cases, a_reader_sees_nothing_of_an_open_turn);
    tcase_add_test(cases, every_filter_finds_what_a_plain_search_finds);
    tcase_add_test(cases, without_a_duckling_all_are_listed);
    tcase_add_test(cases, strangers_have_no_pecks);
    tcase_add_test(cases, a_small_arena_shortens_a_page_without_a_gap);
    tcase_add_test(cases, no_list_walks_the_table);
    tcase_add_test(cases, readers_see_whole_turns_while_the_writer_writes);
    tcase_add_test(cases, bonds_are_seen_from_either_end);
    tcase_add_test(cases, the_directory_is_searched_by_capability);
    tcase_add_test(cases, the_directory_is_searched_by_words);
    tcase_add_loop_test(cases, no_word_is_a_command_of_the_search, 0, 20);
    tcase_add_test(cases, a_search_text_is_cut_and_never_overflows);
    tcase_add_test(cases, a_capability_means_the_same_beside_words_and_alone);
    tcase_add_test(cases, filters_of_the_directory_add_up);
    tcase_add_loop_test(cases, the_directory_is_paged_without_a_gap, 0, 4);
    tcase_add_test(cases, no_search_scans_or_sorts);
    tcase_add_test(cases, what_a_duckling_says_anew_is_found_and_the_old_is_not);
    tcase_add_test(cases, a_refreshed_record_is_still_found);
    tcase_add_test(cases, a_deleted_duckling_is_not_found);
    tcase_add_test(cases, a_bond_counts_when_both_ends_say_so);
    tcase_add_test(cases, a_small_arena_shortens_a_page_of_the_directory_without_a_gap);
    tcase_add_test(cases, a_node_record_is_seen);
    tcase_add_test(cases, an_identity_without_a_chain_has_none);
    tcase_add_test(cases, the_key_of_a_duckling_that_lives_here_opens_with_the_storage_key_alone);
    tcase_add_test(cases, hosted_ducklings_are_listed);
    tcase_add_test(cases, a_reader_cannot_write);
    tcase_add_test(cases, a_reader_of_nothing_is_refused);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
