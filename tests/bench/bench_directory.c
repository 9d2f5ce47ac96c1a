/* What the directory costs at a million records: half of them ducklings, a quarter nodes, a quarter
 * their counters. Nothing is signed or stored: only directory_offer and its like are timed. One JSON
 * line for each figure.
 *
 *     bench_directory [records] */
#include "core/dice.h"
#include "core/directory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BORN_MS 1790000000000ull
#define AT_ONCE 1000u

static struct bytes node_bytes, duckling_bytes, metrics_bytes;

static double now_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static double rss_bytes(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    assert(file && fscanf(file, "%lu %lu", &pages, &resident) == 2);
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void put(const char *name, double value, const char *unit, double limit, size_t records)
{
    printf("{\"bench\":\"directory_%s\",\"value\":%.3f,\"unit\":\"%s\",\"limit\":%.0f,"
           "\"ratio\":%.3f,\"records\":%zu}\n",
           name, value, unit, limit, limit / value, records);
    fflush(stdout);
}

static void make_contents(struct arena *arena)
{
    struct metrics_content metrics = {1, 2, 3, 4, 5, 6, 7};
    struct duckling_content duckling = {.display_name = bytes_of_text("a duckling"),
                                        .capabilities = {bytes_of_text("weather.forecast")},
                                        .capability_count = 1,
                                        .accepts_pecks = true};
    struct node_content node = {.addresses = {bytes_of_text("duck.example:7000")},
                                .address_count = 1,
                                .software = bytes_of_text("ducknode/0.1.0"),
                                .display_name = bytes_of_text("a node")};

    node_bytes = node_content_pack(&node, arena);
    duckling_bytes = duckling_content_pack(&duckling, arena);
    metrics_bytes = metrics_content_pack(&metrics, arena);
}

/* Record `number` in its `version`; two of a node follow each other. */
static struct record record_at(size_t number, uint64_t version)
{
    static const uint32_t kinds[] = {RECORD_DUCKLING, RECORD_NODE, RECORD_METRICS, RECORD_DUCKLING};
    uint64_t seed[2] = {number % 4 == 2 ? number - 1 : number, 0};
    struct record record = {.kind = kinds[number % 4], .version = {BORN_MS + version, 0}};
    struct hash hash = hash_of(bytes_of(seed, sizeof seed));

    record.owner = id_of(&hash);
    seed[0] = number;
    seed[1] = version + 1;
    record.hash = hash_of(bytes_of(seed, sizeof seed));
    /* They were said at any time of two days, and end as they were said. */
    record.not_after_ms = BORN_MS + DAY_MS + (number * 2654435761u + version) % DAY_MS;
    record.content = record.kind == RECORD_NODE      ? node_bytes
                     : record.kind == RECORD_METRICS ? metrics_bytes
                                                     : duckling_bytes;
    return record;
}

struct bench {
    struct directory *directory;
    size_t count;
    double spent_us, worst_us;
};

static void offer_each(struct bench *bench, uint64_t version, enum directory_verdict expected)
{
    static struct record records[AT_ONCE];
    struct directory_outcome outcome;
    size_t step = 7919; /* a prime: not in the order of their making */

    bench->spent_us = bench->worst_us = 0;
    for (size_t first = 0; first < bench->count; first += AT_ONCE) {
        for (size_t i = 0; i < AT_ONCE; i++)
            records[i] = record_at((first + i) * step % bench->count, version);
        for (size_t i = 0; i < AT_ONCE; i++) {
            double begin_us = now_us(), us;

            if (directory_offer(bench->directory, &records[i], BORN_MS, &outcome) != expected)
                abort();
            us = now_us() - begin_us;
            bench->spent_us += us;
            if (us > bench->worst_us)
                bench->worst_us = us;
        }
    }
}

static void find_each(struct bench *bench)
{
    struct record records[AT_ONCE];

    bench->spent_us = 0;
    for (size_t first = 0; first < bench->count; first += AT_ONCE) {
        double begin_us;

        for (size_t i = 0; i < AT_ONCE; i++)
            records[i] = record_at((first + i) * 104729 % bench->count, 0);
        begin_us = now_us();
        for (size_t i = 0; i < AT_ONCE; i++)
            if (!directory_find(bench->directory, &records[i].owner, records[i].kind))
                abort();
        bench->spent_us += now_us() - begin_us;
    }
}

static void expire_each(struct bench *bench)
{
    static struct directory_drop drops[AT_ONCE];
    double begin_us = now_us();
    size_t expired = 0, count;

    while ((count = directory_expire(bench->directory, BORN_MS + 2 * DAY_MS, drops, AT_ONCE)) > 0)
        expired += count;
    bench->spent_us = now_us() - begin_us;
    if (expired != bench->count)
        abort();
}

int main(int count, char **arguments)
{
    struct bench bench = {.count = DIRECTORY_MAX}, second;
    struct directory_settings settings = {.records_max = 0, .seed = {1}};
    static const uint8_t seed[RECORD_POOL_SEED_SIZE] = {2};
    double empty_bytes, full_bytes, content_bytes, records;
    struct arena arena;

    if (count > 1)
        bench.count = strtoul(arguments[1], NULL, 10) / AT_ONCE * AT_ONCE;
    arena_init(&arena, MIB);
    make_contents(&arena);
    settings.pool = record_pool_new(seed);
    settings.records_max = bench.count + bench.count / 9 + 1; /* no reserve in the way */
    bench.directory = directory_new(&settings);
    records = (double)bench.count;
    content_bytes = records / 4 * (double)node_bytes.size; /* the record's own, as its key is */

    empty_bytes = rss_bytes();
    offer_each(&bench, 0, DIRECTORY_TAKEN);
    full_bytes = rss_bytes();
    put("offer", bench.spent_us / records, "us", 10, bench.count);
    put("offer_worst", bench.worst_us, "us", 10000, bench.count);
    put("rss_per_record", (full_bytes - empty_bytes - content_bytes) / records, "bytes", 180,
        bench.count);
    offer_each(&bench, 0, DIRECTORY_SAME);
    put("offer_again", bench.spent_us / records, "us", 10, bench.count);
    find_each(&bench);
    put("find", bench.spent_us / records, "us", 10, bench.count);

    second = bench;
    second.directory = directory_new(&settings);
    full_bytes = rss_bytes();
    offer_each(&second, 0, DIRECTORY_TAKEN);
    put("rss_per_shared_record", (rss_bytes() - full_bytes) / records, "bytes", 40, bench.count);
    put("memory_per_shared_record", (double)directory_memory(second.directory) / records, "bytes",
        40, bench.count);
    directory_free(second.directory);

    offer_each(&bench, 1, DIRECTORY_TAKEN);
    put("replace", bench.spent_us / records, "us", 10, bench.count);
    put("replace_worst", bench.worst_us, "us", 10000, bench.count);
    expire_each(&bench);
    put("expire", bench.spent_us / records, "us", 10, bench.count);
    directory_free(bench.directory);
    record_pool_free(settings.pool);
    arena_free(&arena);
    return 0;
}
