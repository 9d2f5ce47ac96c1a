/* Pecks that are not filed: the writer finds them here, by id or by idempotency key, and files
 * them as a generation when there are STORE_FILE_AT of them. Those it remembers until the next
 * ones are: what is under way when they are filed is found without a look at the disk.
 *
 * Names are random. In one index over a million pecks, each new one dirties a page of its own, even
 * put in by the thousand: 28 us of processor time a peck. A generation of 4,096 fills some fifty
 * pages of its own at the end of each index: 12 us, however many there were before. */
#include "store_internal.h"

/* ---- the list ---- */

void recent_free(struct recent *recent)
{
    memory_give_back(recent->entries);
    memory_give_back(recent->slots);
    memset(recent, 0, sizeof *recent);
}

static uint32_t *slot_of(const struct recent *recent, const struct id *name, uint32_t box)
{
    uint64_t start;
    size_t slot;

    memcpy(&start, name->bytes, sizeof start); /* names are hashes: any 8 bytes spread well */
    for (slot = (size_t)(start + box) & (recent->slot_count - 1); recent->slots[slot];
         slot = (slot + 1) & (recent->slot_count - 1)) {
        const struct recent_entry *entry = &recent->entries[recent->slots[slot] - 1];

        if (entry->box == box && id_equal(&entry->name, name))
            break;
    }
    return &recent->slots[slot];
}

static void hash_anew(struct recent *recent)
{
    memset(recent->slots, 0, recent->slot_count * sizeof *recent->slots);
    for (size_t i = 0; i < recent->count; i++)
        *slot_of(recent, &recent->entries[i].name, recent->entries[i].box) = (uint32_t)i + 1;
}

static void widen(struct recent *recent)
{
    recent->capacity = recent->capacity ? 2 * recent->capacity : 256;
    recent->entries = memory_resize(recent->entries, recent->capacity * sizeof *recent->entries);
    recent->slot_count = 2 * recent->capacity;
    memory_give_back(recent->slots);
    recent->slots = memory_take(recent->slot_count * sizeof *recent->slots);
    hash_anew(recent);
}

void recent_add(struct recent *recent, const struct id *name, uint32_t box, int64_t seq)
{
    if (recent->count == recent->capacity)
        widen(recent);
    recent->entries[recent->count] = (struct recent_entry){.name = *name, .box = box, .seq = seq};
    *slot_of(recent, name, box) = (uint32_t)++recent->count;
}

int64_t recent_find(const struct recent *recent, const struct id *name, uint32_t box)
{
    uint32_t slot = recent->slot_count ? *slot_of(recent, name, box) : 0;

    return slot ? recent->entries[slot - 1].seq : 0;
}

void recent_cut(struct recent *recent, size_t count)
{
    if (recent->count == count)
        return;
    recent->count = count;
    hash_anew(recent);
}

void recent_forget(struct recent *recent, size_t count)
{
    recent->count -= count;
    memmove(recent->entries, recent->entries + count, recent->count * sizeof *recent->entries);
    hash_anew(recent);
}

struct id recent_key_name(const struct id *from, struct bytes key)
{
    uint8_t bytes[ID_SIZE + PECK_IDEMPOTENCY_KEY_MAX];
    size_t size = key.size < PECK_IDEMPOTENCY_KEY_MAX ? key.size : PECK_IDEMPOTENCY_KEY_MAX;
    struct hash hash;

    memcpy(bytes, from->bytes, ID_SIZE);
    if (size)
        memcpy(bytes + ID_SIZE, key.data, size);
    hash = hash_of(bytes_of(bytes, ID_SIZE + size));
    return id_of(&hash);
}

/* ---- filters ---- */

#define FILTER_WORDS 65536
#define GROUP_SIZE 64 /* generations: bits of a word */

void name_filter_free(struct name_filter *filter)
{
    for (size_t i = 0; i < filter->count; i++)
        memory_give_back(filter->groups[i]);
    memory_give_back(filter->groups);
    memset(filter, 0, sizeof *filter);
}

/* Names are hashes: each 16 of their 64 bits choose a word. */
static size_t word_of(int64_t name, int which)
{
    return (size_t)((uint64_t)name >> (16 * which)) % FILTER_WORDS;
}

void name_filter_add(struct name_filter *filter, int64_t generation, int64_t name)
{
    size_t group = (size_t)generation / GROUP_SIZE;

    while (filter->count <= group) {
        filter->groups =
            memory_resize(filter->groups, (filter->count + 1) * sizeof *filter->groups);
        filter->groups[filter->count++] = NULL;
    }
    if (!filter->groups[group])
        filter->groups[group] = memory_take(FILTER_WORDS * sizeof **filter->groups);
    for (int i = 0; i < 4; i++)
        filter->groups[group][word_of(name, i)] |= 1ull << (generation % GROUP_SIZE);
}

static uint64_t candidates(const struct name_filter *filter, size_t group, int64_t name)
{
    const uint64_t *words = group < filter->count ? filter->groups[group] : NULL;

    if (!words)
        return 0;
    return words[word_of(name, 0)] & words[word_of(name, 1)] & words[word_of(name, 2)] &
           words[word_of(name, 3)];
}

int64_t name_filter_next(const struct name_filter *filter, int64_t generation, int64_t name)
{
    size_t group = (size_t)generation / GROUP_SIZE;
    uint64_t may_hold = candidates(filter, group, name) & ((1ull << (generation % GROUP_SIZE)) - 1);

    while (!may_hold && group > 0)
        may_hold = candidates(filter, --group, name);
    return may_hold ? (int64_t)(group * GROUP_SIZE) + 63 - __builtin_clzll(may_hold) : 0;
}

/* ---- filing ---- */

static int load_filter(struct store *store, struct name_filter *filter, const char *sql)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection->database, sql, -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "filed pecks");
    connection->fault = 0;
    while (store_next_row(connection, statement))
        name_filter_add(filter, sqlite3_column_int64(statement, 0),
                        sqlite3_column_int64(statement, 1));
    sqlite3_finalize(statement);
    return connection->fault;
}

static void load_entry(struct store *store, sqlite3_stmt *statement)
{
    struct bytes key = store_column_bytes(statement, 3);
    struct id id = {0}, from = {0};

    store->last_seq = sqlite3_column_int64(statement, 0);
    store_column_id(statement, 1, &id);
    store_column_id(statement, 4, &from);
    recent_add(&store->recent, &id, (uint32_t)sqlite3_column_int(statement, 2), store->last_seq);
    if (key.size == 0)
        return;
    id = recent_key_name(&from, key);
    recent_add(&store->recent, &id, RECENT_KEY, store->last_seq);
}

int store_load_recent(struct store *store)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection->database,
                                    "SELECT p.seq, substr(p.hash, 1, 20), p.box, "
                                    "p.idempotency_key, i.id FROM peck p JOIN identity i "
                                    "ON i.number = p.duckling WHERE p.seq > ?1 ORDER BY p.seq",
                                    -1, &statement, NULL);
    int fault;

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "recent pecks");
    connection->fault = 0;
    store->last_seq = store->filed_through;
    sqlite3_bind_int64(statement, 1, store->filed_through);
    while (store_next_row(connection, statement))
        load_entry(store, statement);
    sqlite3_finalize(statement);
    fault = connection->fault;
    if (!fault)
        fault = load_filter(store, &store->filed_names,
                            "SELECT filed, name FROM peck INDEXED BY peck_by_name "
                            "WHERE filed IS NOT NULL");
    if (!fault)
        fault = load_filter(store, &store->filed_keys,
                            "SELECT filed, key_name FROM peck INDEXED BY peck_by_key "
                            "WHERE filed IS NOT NULL AND key_name IS NOT NULL");
    return fault;
}

/* One statement for all: opening seven trees for each row would cost more than the row. */
int store_file_recent(struct store *store)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = store_prepare(
        connection, STATEMENT_FILE, "UPDATE peck SET filed = ?3 WHERE seq > ?1 AND seq <= ?2");
    int fault;

    sqlite3_bind_int64(statement, 1, store->filed_through);
    sqlite3_bind_int64(statement, 2, store->last_seq);
    sqlite3_bind_int64(statement, 3, store->generation + 1);
    fault = store_run(connection, statement);
    if (fault)
        return fault;
    statement = store_prepare(connection, STATEMENT_FILED_THROUGH,
                              "UPDATE node SET filed_through = ?1, generation = ?2");
    sqlite3_bind_int64(statement, 1, store->last_seq);
    sqlite3_bind_int64(statement, 2, store->generation + 1);
    store->filing = store->recent.count - store->recent_filed;
    return store_run(connection, statement);
}

void store_recent_is_filed(struct store *store)
{
    store->filed_through = store->last_seq_at_begin;
    store->generation++;
    for (size_t i = 0; i < store->filing; i++) {
        const struct recent_entry *entry = &store->recent.entries[store->recent_filed + i];

        name_filter_add(entry->box == RECENT_KEY ? &store->filed_keys : &store->filed_names,
                        store->generation, store_name_number(entry->name.bytes));
    }
    recent_forget(&store->recent, store->recent_filed);
    store->recent_filed = store->filing;
    store->filing = 0;
}

/* ---- readers ---- */

static int64_t read_filed_through(struct store_reader *reader)
{
    sqlite3_stmt *statement = store_prepare(&reader->connection, STATEMENT_VIEW_FILED_THROUGH,
                                            "SELECT filed_through FROM node");
    int64_t filed_through = 0;

    while (store_next_row(&reader->connection, statement))
        filed_through = sqlite3_column_int64(statement, 0);
    return filed_through;
}

/* What is filed is found by its generation, too. */
static void forget_filed(struct store_reader *reader, int64_t filed_through)
{
    const struct recent *recent = &reader->recent;
    size_t count = 0;

    while (count < recent->count && recent->entries[count].seq <= filed_through)
        count++;
    recent_forget(&reader->recent, count);
}

static void learn_recent(struct store_reader *reader)
{
    int64_t filed_through = read_filed_through(reader);
    sqlite3_stmt *statement;

    if (reader->recent.count >= 2 * STORE_FILE_AT)
        forget_filed(reader, filed_through);
    if (reader->recent_seq < filed_through)
        reader->recent_seq = filed_through;
    statement = store_prepare(&reader->connection, STATEMENT_VIEW_RECENT,
                              "SELECT seq, substr(hash, 1, 20), box FROM peck NOT INDEXED "
                              "WHERE seq > ?1 ORDER BY seq");
    sqlite3_bind_int64(statement, 1, reader->recent_seq);
    while (store_next_row(&reader->connection, statement)) {
        struct id name;

        reader->recent_seq = sqlite3_column_int64(statement, 0);
        if (store_column_id(statement, 1, &name))
            recent_add(&reader->recent, &name, (uint32_t)sqlite3_column_int(statement, 2),
                       reader->recent_seq);
    }
}

/* In before out, when both are asked for. */
int64_t store_reader_find_recent(struct store_reader *reader, const struct id *peck, int box)
{
    int64_t seq = 0;

    learn_recent(reader);
    if (box != BOX_OUT)
        seq = recent_find(&reader->recent, peck, BOX_IN);
    return seq || box == BOX_IN ? seq : recent_find(&reader->recent, peck, BOX_OUT);
}
