/* Identities and their chains, the ducklings that live here, and the node's own row. */
#include "core/binary_data.h"
#include "log.h"
#include "store_internal.h"
#include "wire/certificate.pb-c.h"

#include <assert.h>
#include <sodium.h>

#define KEY_SIZE crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_SIZE crypto_aead_xchacha20poly1305_ietf_ABYTES

static_assert(SEALED_NEXT_SIZE == SEED_SIZE + crypto_box_SEALBYTES, "a sealed box");
static_assert(SEALED_SEED_SIZE == NONCE_SIZE + SEED_SIZE + TAG_SIZE, "nonce, seed, tag");

enum which_seed { SEED_LIVE, SEED_NEXT, SEED_OF_PRE_KEY, SEED_OF_CONTEXT };

/* ---- numbers ---- */

static struct identity_slot *find_slot(struct store *store, const struct id *id)
{
    uint64_t start;
    size_t slot;

    memcpy(&start, id->bytes, sizeof start); /* ids are hashes: any 8 bytes spread well */
    for (slot = (size_t)start % STORE_IDENTITY_SLOTS; store->identities[slot].number;
         slot = (slot + 1) % STORE_IDENTITY_SLOTS)
        if (id_equal(&store->identities[slot].id, id))
            break;
    return &store->identities[slot];
}

void store_forget_numbers(struct store *store)
{
    memset(store->identities, 0, sizeof store->identities);
    store->identity_count = 0;
}

/* Certificate 0 has the identity's own id; the ones after it need a name. The chain was verified
 * before it came here, so it is only taken apart. */
int store_keep_certificates(struct store *store, struct store_connection *connection,
                            int64_t identity, struct bytes wire)
{
    sqlite3_stmt *statement = store_prepare(
        connection, STATEMENT_CERTIFICATE_ADD,
        "INSERT INTO certificate (id, identity) VALUES (?1, ?2) ON CONFLICT DO NOTHING");
    Duck__Chain *chain;
    int fault = 0;

    arena_reset(&store->arena);
    chain = duck__chain__unpack(arena_protobuf_allocator(&store->arena), wire.size, wire.data);
    for (size_t i = 1; chain && i < chain->n_certificates && !fault; i++) {
        struct envelope envelope;
        struct id id;

        if (envelope_parse(borrowed(chain->certificates[i]), ENVELOPE_CERTIFICATE, &store->arena,
                           &envelope) != ENVELOPE_TAKEN)
            break;
        id = id_of(&envelope.hash);
        store_bind_id(statement, 1, &id);
        sqlite3_bind_int64(statement, 2, identity);
        fault = store_run(connection, statement);
    }
    return fault;
}

static int add_identity(struct store *store, struct identity_slot *slot, const struct id *id)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_IDENTITY_ADD,
                                            "INSERT INTO identity (id) VALUES (?1)");
    int fault;

    store_bind_id(statement, 1, id);
    fault = store_run(&store->connection, statement);
    if (!fault)
        slot->number = sqlite3_last_insert_rowid(store->connection.database);
    return fault;
}

static int load_identity(struct store *store, struct identity_slot *slot, const struct id *id)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_IDENTITY_FIND,
                      "SELECT number, length(chain) FROM identity WHERE id = ?1");

    memset(slot, 0, sizeof *slot);
    slot->id = *id;
    store_bind_id(statement, 1, id);
    while (store_next_row(&store->connection, statement)) {
        slot->number = sqlite3_column_int64(statement, 0);
        slot->chain_size = (size_t)store_column_number(statement, 1);
    }
    if (store->connection.fault || slot->number)
        return store->connection.fault;
    return add_identity(store, slot, id);
}

static int lengthen_chain(struct store *store, struct identity_slot *slot, struct bytes chain)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_IDENTITY_CHANGE,
                                            "UPDATE identity SET chain = ?2 WHERE number = ?1");
    int fault;

    sqlite3_bind_int64(statement, 1, slot->number);
    store_bind_bytes(statement, 2, chain);
    fault = store_run(&store->connection, statement);
    if (fault)
        return fault;
    slot->chain_size = chain.size;
    return store_keep_certificates(store, &store->connection, slot->number, chain);
}

int64_t store_number_identity(struct store *store, const struct id *id, struct bytes chain)
{
    struct identity_slot *slot = find_slot(store, id);
    int fault = 0;

    store->connection.fault = 0;
    if (!slot->number) {
        if (store->identity_count >= STORE_IDENTITY_SLOTS / 2) {
            store_forget_numbers(store);
            slot = find_slot(store, id);
        }
        fault = load_identity(store, slot, id);
        if (!fault)
            store->identity_count++;
    }
    if (!fault && chain.size > slot->chain_size)
        fault = lengthen_chain(store, slot, chain);
    return fault ? 0 : slot->number;
}

/* ---- lists of names in one column ---- */

struct bytes store_join_lines(const struct bytes *lines, size_t count, struct arena *arena)
{
    size_t size = 0;
    uint8_t *joined;

    for (size_t i = 0; i < count; i++)
        size += lines[i].size + 1;
    joined = arena_take(arena, size + 1);
    assert(joined);
    size = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            joined[size++] = '\n';
        if (lines[i].size > 0)
            memcpy(joined + size, lines[i].data, lines[i].size);
        size += lines[i].size;
    }
    return bytes_of(joined, size);
}

size_t store_split_lines(struct bytes joined, struct bytes *lines, size_t max)
{
    size_t count = 0, first = 0;

    for (size_t i = 0; i <= joined.size && joined.size > 0 && count < max; i++) {
        if (i < joined.size && joined.data[i] != '\n')
            continue;
        lines[count++] = bytes_of(joined.data + first, i - first);
        first = i + 1;
    }
    return count;
}

/* ---- ducklings that live here ---- */

static struct bytes seed_context(const struct id *id, enum which_seed which,
                                 uint8_t context[ID_SIZE + 1])
{
    memcpy(context, id->bytes, ID_SIZE);
    context[ID_SIZE] = (uint8_t)which;
    return bytes_of(context, ID_SIZE + 1);
}

static void seal_seed(const struct store *store, const struct id *id, enum which_seed which,
                      const uint8_t seed[SEED_SIZE], uint8_t sealed[SEALED_SEED_SIZE])
{
    uint8_t memory[ID_SIZE + 1];
    struct bytes context = seed_context(id, which, memory);

    randombytes_buf(sealed, NONCE_SIZE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + NONCE_SIZE, NULL, seed, SEED_SIZE,
                                               context.data, context.size, NULL, sealed,
                                               store->keys + which * KEY_SIZE);
}

static bool unseal_with(const uint8_t *key, const struct id *id, enum which_seed which,
                        struct bytes sealed, uint8_t seed[SEED_SIZE])
{
    uint8_t memory[ID_SIZE + 1];
    struct bytes context = seed_context(id, which, memory);

    return sealed.size == SEALED_SEED_SIZE &&
           crypto_aead_xchacha20poly1305_ietf_decrypt(seed, NULL, NULL, sealed.data + NONCE_SIZE,
                                                      SEALED_SEED_SIZE - NONCE_SIZE, context.data,
                                                      context.size, sealed.data, key) == 0;
}

static bool unseal_seed(const struct store *store, const struct id *id, enum which_seed which,
                        struct bytes sealed, uint8_t seed[SEED_SIZE])
{
    return unseal_with(store->keys + which * KEY_SIZE, id, which, sealed, seed);
}

static struct id pre_key_name(const uint8_t *public)
{
    struct id id;

    memcpy(id.bytes, public, ID_SIZE);
    return id;
}

void store_seal_pre_key(const struct store *store, const uint8_t *public, const uint8_t *secret,
                        uint8_t sealed[SEALED_SEED_SIZE])
{
    struct id id = pre_key_name(public);

    seal_seed(store, &id, SEED_OF_PRE_KEY, secret, sealed);
}

bool store_unseal_pre_key(const struct store *store, const uint8_t *public, struct bytes sealed,
                          uint8_t *secret)
{
    struct id id = pre_key_name(public);

    return unseal_seed(store, &id, SEED_OF_PRE_KEY, sealed, secret);
}

void store_seal_context_key(const struct store *store, const struct id *carrier,
                            const uint8_t *seed, uint8_t sealed[SEALED_SEED_SIZE])
{
    seal_seed(store, carrier, SEED_OF_CONTEXT, seed, sealed);
}

bool store_unseal_context_key(const struct store *store, const struct id *carrier,
                              struct bytes sealed, uint8_t *seed)
{
    return unseal_seed(store, carrier, SEED_OF_CONTEXT, sealed, seed);
}

/* The next key is for whoever has the key apart, if there is one; this node has it no more. */
static struct bytes seal_next(const struct store *store, const struct id *id,
                              const uint8_t seed[SEED_SIZE], uint8_t sealed[SEALED_NEXT_SIZE])
{
    static_assert(SEALED_NEXT_SIZE > SEALED_SEED_SIZE, "told apart by their sizes");

    if (!store->has_seal_key) {
        seal_seed(store, id, SEED_NEXT, seed, sealed);
        return bytes_of(sealed, SEALED_SEED_SIZE);
    }
    if (crypto_box_seal(sealed, seed, SEED_SIZE, store->seal_key) != 0)
        return bytes_of(NULL, 0);
    return bytes_of(sealed, SEALED_NEXT_SIZE);
}

/* On which a duckling takes pecks: its least tier, then its open actions. */
static void bind_conditions(struct store *store, sqlite3_stmt *statement, int first,
                            const struct order_profile *profile)
{
    sqlite3_bind_int(statement, first, (int)profile->least_tier);
    store_bind_bytes(
        statement, first + 1,
        store_join_lines(profile->open_actions, profile->open_action_count, &store->arena));
}

static int write_hosted(struct store *store, const struct hosted *hosted, int64_t number)
{
    sqlite3_stmt *statement = store_prepare(
        &store->connection, STATEMENT_HOSTED_ADD,
        "INSERT INTO hosted (identity, seed, next_seed, display_name, bio, capabilities, "
        "accepts_pecks, pulse_ms, least_tier, open_actions) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) "
        "ON CONFLICT (identity) DO UPDATE SET seed = ?2, next_seed = ?3, display_name = ?4, "
        "bio = ?5, capabilities = ?6, accepts_pecks = ?7, pulse_ms = ?8, least_tier = ?9, "
        "open_actions = ?10");
    uint8_t live[SEALED_SEED_SIZE], memory[SEALED_NEXT_SIZE];
    struct bytes next;

    arena_reset(&store->arena);
    sqlite3_bind_int64(statement, 1, number);
    if (hosted->own_key) {
        sqlite3_bind_zeroblob(statement, 2, 0);
        sqlite3_bind_zeroblob(statement, 3, 0);
    } else {
        next = seal_next(store, &hosted->id, hosted->next_seed, memory);
        if (!next.data)
            return FAULT_CRYPTO; /* ducklings.next.pub is no key */
        seal_seed(store, &hosted->id, SEED_LIVE, hosted->seed, live);
        store_bind_bytes(statement, 2, bytes_of(live, sizeof live));
        store_bind_bytes(statement, 3, next);
    }
    store_bind_bytes(statement, 4, hosted->profile.display_name);
    store_bind_bytes(statement, 5, hosted->profile.bio);
    store_bind_bytes(statement, 6,
                     store_join_lines(hosted->profile.capabilities,
                                      hosted->profile.capability_count, &store->arena));
    sqlite3_bind_int(statement, 7, hosted->profile.accepts_pecks);
    store_bind_number(statement, 8, hosted->pulse_ms);
    bind_conditions(store, statement, 9, &hosted->profile);
    return store_run(&store->connection, statement);
}

int store_keep_duckling(struct store *store, const struct effect *effect)
{
    const struct hosted *hosted = effect->duckling;
    int64_t number = store_number_identity(store, &hosted->id, hosted->chain);

    return number ? write_hosted(store, hosted, number) : store->connection.fault;
}

/* Of the node: only the chain, its key is in a file. */
int store_keep_key(struct store *store, const struct effect *effect)
{
    const struct hosted *hosted = effect->duckling;
    int64_t number = store_number_identity(store, &hosted->id, hosted->chain);
    uint8_t live[SEALED_SEED_SIZE];
    sqlite3_stmt *statement;

    if (!number)
        return store->connection.fault;
    if (id_equal(&hosted->id, &store->node))
        return store->audit.key ? store_audit_keep_signer(store, hosted->chain) : 0;
    if (hosted->own_key) /* there is nothing but the chain */
        return 0;
    seal_seed(store, &hosted->id, SEED_LIVE, hosted->seed, live);
    statement = store_prepare(&store->connection, STATEMENT_HOSTED_KEY,
                              "UPDATE hosted SET seed = ?2, next_seed = ?3 WHERE identity = ?1");
    sqlite3_bind_int64(statement, 1, number);
    store_bind_bytes(statement, 2, bytes_of(live, sizeof live));
    store_bind_bytes(statement, 3, hosted->sealed_next);
    return store_run(&store->connection, statement);
}

bool store_open_next_seed(struct store *store, const struct id *duckling, uint8_t seed[SEED_SIZE],
                          struct bytes *sealed)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_HOSTED_NEXT,
                      "SELECT h.next_seed FROM hosted h JOIN identity i ON i.number = h.identity "
                      "WHERE i.id = ?1");
    bool is_opened = false;

    arena_reset(&store->arena);
    if (sealed)
        *sealed = bytes_of(NULL, 0);
    store_bind_id(statement, 1, duckling);
    while (store_next_row(&store->connection, statement)) {
        struct bytes kept = store_column_bytes(statement, 0);

        is_opened = unseal_seed(store, duckling, SEED_NEXT, kept, seed);
        if (!is_opened && sealed)
            *sealed = arena_copy(&store->arena, kept);
    }
    return is_opened;
}

/* A key of its own: what holds the others is the node's, which need not run. */
bool store_view_live_seed(struct store_reader *reader, const uint8_t *storage_key,
                          const struct id *duckling, uint8_t seed[SEED_SIZE])
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_LIVE,
                      "SELECT h.seed FROM hosted h JOIN identity i ON i.number = h.identity "
                      "WHERE i.id = ?1");
    uint8_t *key = sodium_malloc(KEY_SIZE);
    bool is_opened = false;

    if (!key)
        memory_ran_out();
    store_derive_key(key, SEED_LIVE, storage_key);
    store_bind_id(statement, 1, duckling);
    while (store_next_row(&reader->connection, statement))
        is_opened = unseal_with(key, duckling, SEED_LIVE, store_column_bytes(statement, 0), seed);
    sodium_free(key);
    return is_opened;
}

int store_keep_profile(struct store *store, const struct effect *effect)
{
    const struct hosted *hosted = effect->duckling;
    int64_t number = store_number_identity(store, &hosted->id, bytes_of(NULL, 0));
    sqlite3_stmt *statement;

    if (!number)
        return store->connection.fault;
    statement = store_prepare(&store->connection, STATEMENT_PROFILE_CHANGE,
                              "UPDATE hosted SET display_name = ?2, bio = ?3, capabilities = ?4, "
                              "accepts_pecks = ?5, pulse_ms = ?6, least_tier = ?7, "
                              "open_actions = ?8 WHERE identity = ?1");
    arena_reset(&store->arena);
    sqlite3_bind_int64(statement, 1, number);
    store_bind_bytes(statement, 2, hosted->profile.display_name);
    store_bind_bytes(statement, 3, hosted->profile.bio);
    store_bind_bytes(statement, 4,
                     store_join_lines(hosted->profile.capabilities,
                                      hosted->profile.capability_count, &store->arena));
    sqlite3_bind_int(statement, 5, hosted->profile.accepts_pecks);
    store_bind_number(statement, 6, hosted->pulse_ms);
    bind_conditions(store, statement, 7, &hosted->profile);
    return store_run(&store->connection, statement);
}

static void read_profile(sqlite3_stmt *statement, struct order_profile *profile)
{
    profile->set_display_name = profile->set_bio = true;
    profile->set_capabilities = profile->set_accepts_pecks = true;
    profile->display_name = store_column_bytes(statement, 4);
    profile->bio = store_column_bytes(statement, 5);
    profile->capability_count = store_split_lines(store_column_bytes(statement, 6),
                                                  profile->capabilities, DUCKLING_CAPABILITIES_MAX);
    profile->accepts_pecks = sqlite3_column_int(statement, 7);
    profile->set_least_tier = profile->set_open_actions = true;
    profile->least_tier = (uint32_t)store_column_number(statement, 9);
    profile->open_action_count = store_split_lines(
        store_column_bytes(statement, 10), profile->open_actions, DUCKLING_OPEN_ACTIONS_MAX);
}

int store_restore_ducklings(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(
        connection->database,
        "SELECT i.id, i.chain, h.seed, h.next_seed, h.display_name, h.bio, h.capabilities, "
        "h.accepts_pecks, h.pulse_ms, h.least_tier, h.open_actions, h.outgrown FROM hosted h JOIN "
        "identity i "
        "ON i.number = h.identity "
        "ORDER BY h.identity",
        -1, &statement, NULL);
    bool is_readable = true;

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "hosted");
    connection->fault = 0;
    while (is_readable && store_next_row(connection, statement)) {
        struct event event = {.kind = EVENT_RESTORED_DUCKLING, .at = *restoring->at};
        struct hosted *hosted = &event.duckling;

        hosted->own_key = store_column_bytes(statement, 2).size == 0;
        is_readable =
            store_column_id(statement, 0, &hosted->id) &&
            (hosted->own_key || unseal_seed(store, &hosted->id, SEED_LIVE,
                                            store_column_bytes(statement, 2), hosted->seed));
        hosted->chain = store_column_bytes(statement, 1);
        read_profile(statement, &hosted->profile);
        hosted->pulse_ms = store_column_number(statement, 8);
        hosted->outgrown = sqlite3_column_int(statement, 11) != 0;
        if (is_readable)
            restoring->give(restoring->context, &event);
        sodium_memzero(&event, sizeof event);
    }
    sqlite3_finalize(statement);
    if (is_readable)
        return connection->fault;
    log_write(LOG_ERROR, "store",
              "a duckling's key does not open: the key file is another one, "
              "or the database was changed");
    return FAULT_CORRUPT;
}

/* ---- rotations ---- */

static int each_rotated(struct store_connection *connection,
                        void (*give)(void *context, struct bytes chain), void *context)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection->database,
                                    "SELECT chain FROM identity WHERE chain IS NOT NULL AND number "
                                    "IN (SELECT DISTINCT identity FROM certificate)",
                                    -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "identity");
    connection->fault = 0;
    while (store_next_row(connection, statement))
        give(context, store_column_bytes(statement, 0));
    sqlite3_finalize(statement);
    return connection->fault;
}

int store_each_rotated(struct store *store, void (*give)(void *context, struct bytes chain),
                       void *context)
{
    int fault = each_rotated(&store->connection, give, context);

    if (!fault && store->directory.database)
        fault = each_rotated(&store->directory, give, context);
    return fault;
}

/* ---- the node's row ---- */

int store_keep_counters(struct store *store, const struct effect *effect)
{
    const struct metrics_content *counters = &effect->counters;
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_COUNTERS,
                      "UPDATE node SET ducklings = ?1, birth_certificates = ?2, connections = ?3, "
                      "eggs = ?4, space_ducks = ?5, pecks = ?6, pageviews = ?7");

    store_bind_number(statement, 1, counters->ducklings);
    store_bind_number(statement, 2, counters->birth_certificates);
    store_bind_number(statement, 3, counters->connections);
    store_bind_number(statement, 4, counters->eggs);
    store_bind_number(statement, 5, counters->space_ducks);
    store_bind_number(statement, 6, counters->pecks);
    store_bind_number(statement, 7, counters->pageviews);
    return store_run(&store->connection, statement);
}

/* Kept apart from the records: it must not fall when the newest of them expires. */
int store_keep_floor(struct store *store, struct version version)
{
    sqlite3_stmt *statement = store_prepare(
        &store->connection, STATEMENT_FLOOR,
        "UPDATE node SET floor_ms = ?1, floor_count = ?2 WHERE (floor_ms, floor_count) < (?1, ?2)");

    store_bind_number(statement, 1, version.ms);
    store_bind_number(statement, 2, version.count);
    return store_run(&store->connection, statement);
}
