/* What a peck costs the store: KEEP_PECK, KEEP_RECEIPT and KEEP_STATE of each, in turns, committed
 * with synchronous=FULL in the directory named on the command line (default: here). Signing is not
 * counted. One JSON line for each figure.
 *
 *     bench_store [directory [turn [pecks before]]] */
#include "store_things.h"

#include <string.h>
#include <time.h>

#define TURNS 200

static double now_us(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

struct bench {
    struct store *store;
    struct author sender, node, target;
    struct arena arena;
    size_t turn;
    double wall_us, cpu_us, worst_us;
    struct id last[BATCH_ITEMS_MAX]; /* the pecks of the last turn */
};

static void keep_all(struct bench *bench, const struct effect *effects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert(store_keep(bench->store, &effects[i]) == 0);
}

/* A turn of a receiving node: pecks in, `taken` receipts, and as many that move on. */
static void run_turn(struct bench *bench)
{
    struct peck_wish wish = {.payload_size = 200};
    static struct peck pecks[BATCH_ITEMS_MAX];
    static struct effect kept[BATCH_ITEMS_MAX], receipts[BATCH_ITEMS_MAX], states[BATCH_ITEMS_MAX];
    struct bytes wires[BATCH_ITEMS_MAX];
    double begin_us, cpu_us, spent_us;

    arena_reset(&bench->arena);
    make_pecks(&bench->sender, &bench->target.id, &wish, bench->turn, &bench->arena, pecks, wires);
    make_receipts(&bench->node, pecks, bench->turn, BOX_IN, RECEIPT_TAKEN, PECK_TAKEN,
                  &bench->arena, receipts);
    for (size_t i = 0; i < bench->turn; i++) {
        kept[i] = keep_peck_effect(BOX_IN, PECK_TAKEN, &pecks[i], wires[i], bench->sender.chain);
        bench->last[i] = pecks[i].id;
        states[i] = make_state(BOX_IN, &pecks[i].id, PECK_ANSWERED, TRAY_WITH_AGENT);
    }
    begin_us = now_us(CLOCK_MONOTONIC);
    cpu_us = now_us(CLOCK_PROCESS_CPUTIME_ID);
    assert(store_begin(bench->store) == 0);
    keep_all(bench, kept, bench->turn);
    keep_all(bench, receipts, bench->turn);
    keep_all(bench, states, bench->turn);
    assert(store_commit(bench->store) == 0);
    spent_us = now_us(CLOCK_MONOTONIC) - begin_us;
    bench->wall_us += spent_us;
    bench->cpu_us += now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu_us;
    if (spent_us > bench->worst_us)
        bench->worst_us = spent_us;
}

static void put(const char *name, double value, const char *unit, size_t turn, size_t before)
{
    printf("{\"bench\":\"%s\",\"value\":%.2f,\"unit\":\"%s\",\"turn\":%zu,\"pecks_before\":%zu}\n",
           name, value, unit, turn, before);
}

static void measure(struct bench *bench, size_t before)
{
    size_t turns = bench->turn >= 16 ? TURNS * 64 / bench->turn : TURNS;

    bench->wall_us = bench->cpu_us = bench->worst_us = 0;
    for (size_t i = 0; i < turns; i++)
        run_turn(bench);
    put("store_turn", bench->wall_us / (double)(turns * bench->turn), "us/peck", bench->turn,
        before);
    put("store_turn_cpu", bench->cpu_us / (double)(turns * bench->turn), "us/peck", bench->turn,
        before);
    put("store_turn_worst", bench->worst_us / 1e3, "ms", bench->turn, before);
}

/* Every received peck is asked after, and nearly always it is a new one. */
static void measure_unknown(struct bench *bench, size_t before)
{
    double begin_us = now_us(CLOCK_MONOTONIC);
    enum peck_state state;
    size_t count = 20000;
    struct id id;

    for (size_t i = 0; i < count; i++) {
        randombytes_buf(id.bytes, sizeof id.bytes);
        assert(!store_knows_peck(bench->store, &id, &state));
    }
    put("store_unknown_peck", (now_us(CLOCK_MONOTONIC) - begin_us) / (double)count, "us/peck",
        bench->turn, before);
}

/* A received peck is handed to its agent by a reader, which nobody told where it stands. */
static void measure_views(struct bench *bench, const char *path, size_t before)
{
    static const struct id anyone;
    struct store_reader *reader;
    struct stored_peck view;
    struct arena arena;
    double spent_us = 0;
    size_t count = 0;

    if (store_reader_open(&reader, path))
        return;
    arena_init(&arena, 4 * MIB);
    for (size_t turns = 0; turns < 64; turns++) {
        double begin_us;

        run_turn(bench);
        begin_us = now_us(CLOCK_MONOTONIC);
        for (size_t i = 0; i < bench->turn; i++, count++) {
            arena_reset(&arena);
            assert(store_view_peck(reader, &bench->last[i], BOX_IN, &anyone, &arena, &view));
        }
        spent_us += now_us(CLOCK_MONOTONIC) - begin_us;
    }
    put("store_view_recent", spent_us / (double)count, "us/peck", bench->turn, before);
    arena_free(&arena);
    store_reader_close(reader);
}

int main(int argc, char **argv)
{
    struct bench bench = {.turn = argc > 2 ? (size_t)atoi(argv[2]) : 64};
    size_t turn = bench.turn, before = argc > 3 ? (size_t)atoi(argv[3]) : 0;
    char directory[512], path[600];
    uint8_t key[32] = {1};
    struct store_settings settings = {.path = path, .storage_key = key};

    if (!identity_self_test() || turn == 0 || turn > BATCH_ITEMS_MAX)
        return 1;
    snprintf(directory, sizeof directory, "%s/bench_store.XXXXXX", argc > 1 ? argv[1] : ".");
    if (!mkdtemp(directory))
        return 1;
    snprintf(path, sizeof path, "%s/node.db", directory);
    arena_init(&bench.arena, 64 * MIB);
    {
        static struct arena authors;

        arena_init(&authors, MIB);
        bench.sender = author_new(IDENTITY_DUCKLING, 1, &authors);
        bench.target = author_new(IDENTITY_DUCKLING, 2, &authors);
        bench.node = author_new(IDENTITY_NODE, 3, &authors);
        settings.node = bench.node.id;
        if (store_open(&bench.store, &settings))
            return 1;
        bench.turn = BATCH_ITEMS_MAX;
        for (size_t i = 0; i < before; i += bench.turn)
            run_turn(&bench);
        bench.turn = turn;
        measure(&bench, before);
        measure_unknown(&bench, before);
        measure_views(&bench, path, before);
        store_close(bench.store);
        author_free(&bench.sender);
        author_free(&bench.target);
        author_free(&bench.node);
        arena_free(&authors);
    }
    arena_free(&bench.arena);
    remove_directory(directory);
    return 0;
}
