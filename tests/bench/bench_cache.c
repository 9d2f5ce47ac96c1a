/* directory.db with a million records: what it costs to keep them, to read them again, to search.
 *
 *     bench_cache fill STATE [records [turn]]   into the state folder of a node that does not run
 *     bench_cache sow STATE [records [turn]]    the same, each signed by its own duckling
 *     bench_cache read STATE                    what a start reads
 *     bench_cache search STATE                  by a reader of the store
 *     bench_cache ask SOCKET                    through the local API of the node that runs there
 *
 * A JSON line for each figure. What `fill` keeps has one signature, copied: the store takes what was
 * verified before. What `sow` keeps was verified as it is when it comes over a link. */
#include "client/duck_client.h"
#include "clock.h"
#include "core/intake.h"
#include "limits.h"
#include "store_internal.h"
#include "store_things.h"
#include "wire/envelope.pb-c.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define RECORDS (DIRECTORY_MAX - 10) /* and what the node itself publishes */
#define TURN 512u
#define NODES 1000u
#define WORDS 5000u
#define BIO_WORDS 15
#define SHARED "data.read" /* by one in five */
#define RARE_EVERY 20000u
#define QUERIES 400
#define PAGE 50

static uint64_t dice = 88172645463325252ull;

static uint64_t roll(uint64_t sides)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice % sides;
}

static double cpu_s(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void put(const char *name, double value, const char *unit)
{
    printf("{\"bench\":\"%s\",\"value\":%.2f,\"unit\":\"%s\"}\n", name, value, unit);
    fflush(stdout);
}

/* ---- the node whose folder it is ---- */

static bool read_node(const char *state, struct id *node)
{
    static uint8_t data[CHAIN_SIZE_MAX];
    struct arena arena;
    struct chain chain;
    char path[512];
    size_t size = 0;
    bool is_read;
    FILE *file;

    snprintf(path, sizeof path, "%s/node.chain", state);
    file = fopen(path, "re");
    if (file) {
        size = fread(data, 1, sizeof data, file);
        fclose(file);
    }
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    is_read = chain_open(bytes_of(data, size), &arena, &chain) == CERTIFICATE_TAKEN;
    if (is_read)
        *node = chain.identity;
    arena_free(&arena);
    return is_read;
}

static int open_store(const char *state, struct store **store)
{
    uint8_t key[32] = {1}; /* nobody is hosted there */
    char path[512];
    struct store_settings settings = {.path = path, .storage_key = key};

    snprintf(path, sizeof path, "%s/node.db", state);
    return read_node(state, &settings.node) ? store_open(store, &settings) : FAULT_FILE;
}

/* ---- records ---- */

struct maker {
    struct author author; /* whose chain and signature all have */
    struct id hosts[NODES];
    uint64_t wall_ms;
    struct intake *intake; /* NULL: nothing is verified */
};

/* One that is looked up, and one that is asked for: a word is the rarer, the higher its number. */
static unsigned roll_word(void)
{
    uint64_t word = roll(WORDS);

    return (unsigned)(word * word / WORDS);
}

static struct bytes make_bio(struct arena *arena)
{
    char text[256];
    int size = 0;

    for (int i = 0; i < BIO_WORDS; i++)
        size += snprintf(text + size, sizeof text - (size_t)size, "%sword%u", i ? " " : "",
                         roll_word());
    return arena_copy(arena, bytes_of(text, (size_t)size));
}

/* `pattern` with %u as the number. */
static void spell(char *text, size_t size, const char *pattern, unsigned number)
{
    const char *mark = strstr(pattern, "%u");

    if (!mark)
        snprintf(text, size, "%s", pattern);
    else
        snprintf(text, size, "%.*s%u%s", (int)(mark - pattern), pattern, number, mark + 2);
}

static struct bytes make_text(struct arena *arena, const char *pattern, unsigned number)
{
    char text[64];

    spell(text, sizeof text, pattern, number);
    return arena_copy(arena, bytes_of_text(text));
}

static struct bytes make_content(const struct maker *maker, unsigned number, struct arena *arena)
{
    struct duckling_content content = {
        .host = maker->hosts[number % NODES],
        .display_name = make_text(arena, "Duck %u", (unsigned)roll(100000)),
        .bio = make_bio(arena),
        .capability_count = 3,
        .accepts_pecks = true,
    };

    content.capabilities[0] =
        number % 5 == 0 ? bytes_of_text(SHARED) : make_text(arena, "task%u.read", roll_word());
    content.capabilities[1] = number % RARE_EVERY == 7
                                  ? make_text(arena, "rare%u.do", number / (10 * RARE_EVERY))
                                  : make_text(arena, "task%u.write", roll_word());
    content.capabilities[2] = make_text(arena, "tool%u", (unsigned)roll(200));
    return duckling_content_pack(&content, arena);
}

static struct bytes wrap(struct record *record, struct bytes body, struct arena *arena)
{
    static uint8_t signature[64] = {7};
    Duck__Envelope envelope = DUCK__ENVELOPE__INIT;
    uint8_t *wire;

    envelope.signer = (ProtobufCBinaryData){ID_SIZE, record->owner.bytes};
    envelope.type.data = (uint8_t *)(uintptr_t) "duck/record/1";
    envelope.type.len = strlen("duck/record/1");
    envelope.body = (ProtobufCBinaryData){body.size, (uint8_t *)(uintptr_t)body.data};
    envelope.signature = (ProtobufCBinaryData){sizeof signature, signature};
    wire = arena_take(arena, duck__envelope__get_packed_size(&envelope));
    assert(wire);
    return bytes_of(wire, duck__envelope__pack(&envelope, wire));
}

/* Its packed body; the owner is set. */
static struct bytes fill_in(const struct maker *maker, unsigned number, struct record *record,
                            struct arena *arena)
{
    enum record_verdict verdict;
    struct bytes body;

    record->network = bytes_of_text(THINGS_NETWORK);
    record->kind = RECORD_DUCKLING;
    record->key = bytes_of(NULL, 0);
    record->version.ms = maker->wall_ms - roll(HOUR_MS);
    record->not_after_ms = record->version.ms + RECORD_LIFE_MS;
    record->content = make_content(maker, number, arena);
    verdict = record_pack(record, arena, &body);
    assert(verdict == RECORD_OK);
    (void)verdict;
    return body;
}

static struct effect make(const struct maker *maker, unsigned number, struct arena *arena)
{
    struct effect effect = {.kind = EFFECT_KEEP_RECORD};
    struct record *record = &effect.record.item.record;
    struct bytes body;

    for (size_t i = 0; i < ID_SIZE; i++)
        record->owner.bytes[i] = (uint8_t)roll(256);
    body = fill_in(maker, number, record, arena);
    effect.record.item.wire = wrap(record, body, arena);
    effect.record.item.chain = maker->author.chain;
    return effect;
}

/* A duckling of its own, its record as another node would tell it, and what the intake makes of that. */
static struct effect sow(const struct maker *maker, unsigned number, struct arena *arena)
{
    struct effect effect = {.kind = EFFECT_KEEP_RECORD};
    struct record record = {.version = {0, 0}};
    uint8_t seeds[2][SEED_SIZE];
    struct identity_key *key, *next;
    struct certificate_wish birth = {.kind = IDENTITY_DUCKLING,
                                     .display_name = bytes_of_text("duck"),
                                     .issued_ms = maker->wall_ms - DAY_MS,
                                     .not_after_ms = maker->wall_ms + CERTIFICATE_LIFE_MS};
    struct public_key next_public;
    struct bytes certificate, chain, wire;
    struct event event;
    char reason[160];
    size_t refused = 0;
    struct id peck;

    for (size_t i = 0; i < sizeof seeds; i++)
        seeds[i / SEED_SIZE][i % SEED_SIZE] = (uint8_t)roll(256);
    key = identity_key_new(seeds[0]);
    next = identity_key_new(seeds[1]);
    next_public = identity_key_public(next);
    birth.next_key_hash = identity_key_hash(&next_public);
    certificate = certificate_make(&birth, key, arena, &record.owner);
    chain = chain_pack(&certificate, 1, arena);
    wire = envelope_seal(ENVELOPE_RECORD, &record.owner, key,
                         fill_in(maker, number, &record, arena), arena, NULL);
    identity_key_free(key);
    identity_key_free(next);
    if (intake_open(maker->intake, FRAME_RECORDS, frame_pack_records(&chain, &wire, 1, arena),
                    maker->wall_ms, arena, &event, &peck, &refused, reason) != INTAKE_TAKEN ||
        event.records.count != 1) {
        fprintf(stderr, "bench_cache: record %u: %s\n", number, reason);
        exit(1);
    }
    effect.record.item = event.records.items[0];
    return effect;
}

/* ---- filling ---- */

static void run_turn(struct store *store, const struct effect *effects, size_t count)
{
    int fault = store_begin(store);

    for (size_t i = 0; i < count && !fault; i++)
        fault = store_keep(store, &effects[i]);
    if (!fault)
        fault = store_commit(store);
    if (fault) {
        fprintf(stderr, "bench_cache: %s\n", fault_text(fault));
        exit(1);
    }
}

static void print_filled(size_t records, double spent_s, double used_s, double worst_s)
{
    double verify_s = limit_verify_s(600), store_s = used_s / (double)records;
    char more[128];

    /* Two cores that check signatures and keep what they checked, against two that only check. */
    snprintf(more, sizeof more, ",\"us_per_record\":%.1f,\"verify_us\":%.1f", store_s * 1e6,
             verify_s * 1e6);
    bench_print("cache_ingest_shared", 2 / (verify_s + store_s), "records/s", 2 / verify_s, 1,
                more);
    bench_print("cache_ingest", (double)records / spent_s, "records/s", 2 / verify_s, 1, "");
    put("cache_ingest_cpu", store_s * 1e6, "us/record");
    put("cache_turn_worst", worst_s * 1e3, "ms");
}

static void put_file_size(const char *state, size_t records)
{
    struct stat status;
    char path[512];

    snprintf(path, sizeof path, "%s/directory.db", state);
    if (stat(path, &status) == 0)
        put("cache_file", (double)status.st_size / (double)records, "bytes/record");
}

static int fill(const char *state, size_t records, size_t turn, struct intake *intake)
{
    struct effect *effects = memory_take(turn * sizeof *effects);
    struct maker maker = {.wall_ms = clock_wall_ms(), .intake = intake};
    double spent_s = 0, used_s = 0, worst_s = 0;
    struct arena authors, arena;
    struct store *store;

    arena_init(&authors, MIB);
    arena_init(&arena, 64 * MIB);
    maker.author = author_new(IDENTITY_DUCKLING, 1, &authors);
    for (size_t i = 0; i < NODES; i++)
        for (size_t j = 0; j < ID_SIZE; j++)
            maker.hosts[i].bytes[j] = (uint8_t)roll(256);
    if (open_store(state, &store))
        return 1;
    for (size_t done = 0; done < records; done += turn) {
        double begin_s, began_cpu_s;

        turn = turn < records - done ? turn : records - done;
        arena_reset(&arena);
        for (size_t i = 0; i < turn; i++)
            effects[i] = intake ? sow(&maker, (unsigned)(done + i), &arena)
                                : make(&maker, (unsigned)(done + i), &arena);
        begin_s = bench_now_s();
        began_cpu_s = cpu_s();
        run_turn(store, effects, turn);
        used_s += cpu_s() - began_cpu_s;
        begin_s = bench_now_s() - begin_s;
        spent_s += begin_s;
        worst_s = begin_s > worst_s ? begin_s : worst_s;
    }
    store_close(store);
    print_filled(records, spent_s, used_s, worst_s);
    put_file_size(state, records);
    author_free(&maker.author);
    arena_free(&authors);
    arena_free(&arena);
    memory_give_back(effects);
    return 0;
}

static int fill_verified(const char *state, size_t records, size_t turn)
{
    struct intake_settings settings = {.network = bytes_of_text(THINGS_NETWORK),
                                       .keyring = keyring_new(1024)};
    struct intake *intake = intake_new(&settings);
    int failed = fill(state, records, turn, intake);

    intake_free(intake);
    keyring_free(settings.keyring);
    return failed;
}

/* ---- reading ---- */

static void count_one(void *context, const struct event *event)
{
    (void)event;
    ++*(size_t *)context;
}

static int read_again(const char *state)
{
    struct metrics_content counters;
    struct moment at = {.now_ms = 1, .wall_ms = clock_wall_ms()};
    struct version floor;
    struct store *store;
    size_t count = 0;
    double begin_s = bench_now_s();

    if (open_store(state, &store))
        return 1;
    put("cache_open", (bench_now_s() - begin_s) * 1e3, "ms");
    begin_s = bench_now_s();
    if (store_restore(store, &at, count_one, &count, &counters, &floor))
        return 1;
    put("cache_restore", bench_now_s() - begin_s, "s");
    put("cache_restored", (double)count, "records");
    store_close(store);
    return 0;
}

/* ---- searching ---- */

struct query {
    const char *name, *capability, *text; /* %u: a number below `sides` */
    unsigned sides;
};

static const struct query queries[] = {
    {"shared_capability", SHARED, "", 1},
    {"rare_capability", "rare%u.do", "", 5},
    {"common_capability", "tool%u", "", 200},
    {"capability_beginning", "rare*", "", 1},
    {"capability_beginning_wide", "task*", "", 1},
    {"any", "", "", 1},
    {"text_common", "", "word%u", 20},
    {"text_rare", "", "word%u", 5000},
    {"text_two", "", "word1 word%u", 50},
    {"text_and_capability", SHARED, "word%u", 100},
};

static void print_times(const char *prefix, const struct query *query, double *times, size_t found)
{
    char name[96];

    snprintf(name, sizeof name, "%s_%s_p50", prefix, query->name);
    put(name, bench_quantile(times, QUERIES, 0.5) * 1e3, "ms");
    snprintf(name, sizeof name, "%s_%s_p99", prefix, query->name);
    put(name, bench_quantile(times, QUERIES, 0.99) * 1e3, "ms");
    snprintf(name, sizeof name, "%s_%s_found", prefix, query->name);
    put(name, (double)found / QUERIES, "a page");
}

/* Pages from anywhere in the list, as a reader who turns pages sees them. */
static void search_one(struct store_reader *reader, const struct query *query, struct arena *arena)
{
    static struct stored_duckling ducklings[PAGE];
    static double times[QUERIES];
    char capability[64], text[64];
    size_t found = 0;

    for (size_t i = 0; i < QUERIES; i++) {
        struct directory_filter filter = {.wall_ms = clock_wall_ms(), .limit = PAGE};
        unsigned number = (unsigned)roll(query->sides);
        uint64_t next;

        spell(capability, sizeof capability, query->capability, number);
        spell(text, sizeof text, query->text, number);
        filter.capability = bytes_of_text(capability);
        filter.text = bytes_of_text(text);
        filter.after = i % 2 ? roll(32ull * RECORDS) : 0;
        arena_reset(arena);
        times[i] = bench_now_s();
        found += store_view_directory(reader, &filter, arena, ducklings, &next);
        times[i] = bench_now_s() - times[i];
    }
    print_times("cache_search", query, times, found);
}

static int search(const char *state)
{
    struct store_reader *reader;
    struct arena arena;
    char path[512];

    snprintf(path, sizeof path, "%s/node.db", state);
    if (store_reader_open(&reader, path))
        return 1;
    arena_init(&arena, 16 * MIB);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        search_one(reader, &queries[i], &arena);
    arena_free(&arena);
    store_reader_close(reader);
    return 0;
}

static int ask_one(struct duck *duck, const struct query *query)
{
    static double times[QUERIES];
    char capability[64], text[64];
    size_t found = 0;

    for (size_t i = 0; i < QUERIES; i++) {
        struct duck_search search = {.capability = capability, .text = text, .limit = PAGE};
        unsigned number = (unsigned)roll(query->sides);
        struct duck_answer *answer;
        struct duck_entry entry;

        spell(capability, sizeof capability, query->capability, number);
        spell(text, sizeof text, query->text, number);
        times[i] = bench_now_s();
        answer = duck_search(duck, &search);
        times[i] = bench_now_s() - times[i];
        if (!answer)
            return 1;
        for (size_t j = 0; duck_entry(answer, j, &entry); j++)
            found++;
        duck_answer_free(answer);
    }
    print_times("cache_ask", query, times, found);
    return 0;
}

static int ask(const char *socket)
{
    struct duck *duck;
    int failed = duck_connect(&duck, socket, NULL);

    for (size_t i = 0; i < sizeof queries / sizeof *queries && !failed; i++)
        failed = ask_one(duck, &queries[i]);
    if (!failed)
        duck_close(duck);
    return failed;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    size_t records = argc > 3 ? (size_t)atoi(argv[3]) : RECORDS;
    size_t turn = argc > 4 ? (size_t)atoi(argv[4]) : TURN;

    if (!identity_self_test())
        return 1;
    if (strcmp(what, "fill") == 0)
        return fill(argv[2], records, turn, NULL);
    if (strcmp(what, "sow") == 0)
        return fill_verified(argv[2], records, turn);
    if (strcmp(what, "read") == 0)
        return read_again(argv[2]);
    if (strcmp(what, "search") == 0)
        return search(argv[2]);
    if (strcmp(what, "ask") == 0)
        return ask(argv[2]);
    fprintf(stderr, "bench_cache fill|sow|read|search STATE, or ask SOCKET\n");
    return 2;
}
