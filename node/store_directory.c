/* directory.db: what gossip brought, beside node.db and on a connection of its own.
 *
 * Not attached to node.db's connection: SQLite commits two logs one after the other, the main one
 * first, and a disk that is full in between would leave a turn in node.db that was said to be
 * undone. Here directory.db is committed first, and what it has too much is true all the same.
 *
 * It can be fetched again. So it is synced at checkpoints only (synchronous=NORMAL: a power cut
 * takes the last turns and damages nothing), it is not checked at the start, and a file that is
 * lost, damaged or of another release is made anew, also while the node runs. */
#include "clock.h"
#include "directory_5.sql.h"
#include "log.h"
#include "store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define FILE_NAME "directory.db"
#define CHECKPOINT_PAGES 2048 /* 8 MiB of log */

char *store_directory_path(const char *store_path)
{
    const char *slash = strrchr(store_path, '/');
    size_t folder = slash ? (size_t)(slash - store_path) + 1 : 0;
    char *path = memory_take(folder + sizeof FILE_NAME);

    memcpy(path, store_path, folder);
    memcpy(path + folder, FILE_NAME, sizeof FILE_NAME);
    return path;
}

/* ---- opening ---- */

static int make_tables(struct store *store)
{
    struct store_connection *connection = &store->directory;
    sqlite3_stmt *statement = NULL;
    char sql[128];
    int fault = store_execute(connection, "BEGIN IMMEDIATE");

    if (!fault)
        fault = store_execute(connection, schema_directory_5);
    if (fault)
        return fault;
    if (sqlite3_prepare_v2(connection->database, "INSERT INTO origin VALUES (1, ?1, ?2)", -1,
                           &statement, NULL) != SQLITE_OK)
        return FAULT_STORE;
    store_bind_id(statement, 1, &store->node);
    store_bind_number(statement, 2, clock_wall_ms());
    connection->fault = 0;
    fault = store_run(connection, statement);
    sqlite3_finalize(statement);
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d; PRAGMA application_id = %d; COMMIT",
             STORE_DIRECTORY_VERSION, STORE_DIRECTORY_APPLICATION_ID);
    return fault ? fault : store_execute(connection, sql);
}

static int check_origin(struct store *store)
{
    struct store_connection *connection = &store->directory;
    sqlite3_stmt *statement = NULL;
    bool is_ours = false;
    int result =
        sqlite3_prepare_v2(connection->database, "SELECT node FROM origin", -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "origin");
    connection->fault = 0;
    if (store_next_row(connection, statement)) {
        struct id node;

        is_ours = store_column_id(statement, 0, &node) && id_equal(&node, &store->node);
    }
    sqlite3_finalize(statement);
    if (!connection->fault && !is_ours)
        log_write(LOG_WARNING, "store", "%s is another node's", store->directory_path);
    return is_ours ? connection->fault : FAULT_CORRUPT;
}

static int check_tables(struct store *store)
{
    struct store_connection *connection = &store->directory;
    int64_t version = 0, application = 0, tables = 0;
    int fault = store_read_number(connection, "PRAGMA user_version", &version);

    if (!fault)
        fault = store_read_number(connection, "PRAGMA application_id", &application);
    if (!fault)
        fault = store_read_number(connection, "SELECT count(*) FROM sqlite_schema", &tables);
    if (!fault && tables == 0 && version == 0 && application == 0)
        return make_tables(store);
    if (!fault && application == STORE_DIRECTORY_APPLICATION_ID &&
        version != STORE_DIRECTORY_VERSION)
        log_write(LOG_INFO, "store", "%s is of another release", store->directory_path);
    if (!fault &&
        (version != STORE_DIRECTORY_VERSION || application != STORE_DIRECTORY_APPLICATION_ID))
        return FAULT_CORRUPT;
    return fault ? fault : check_origin(store);
}

static int remember_log_pages(void *context, sqlite3 *database, const char *name, int pages)
{
    struct store *store = context;

    (void)database;
    (void)name;
    store->directory_log_pages = pages;
    return SQLITE_OK;
}

static int open_file(struct store *store)
{
    int fault = store_make_file(store->directory_path);

    if (!fault)
        fault = store_connect(&store->directory, store->directory_path, true);
    if (!fault)
        fault = check_tables(store);
    if (!fault)
        fault = store_read_number(&store->directory, "SELECT count(*) FROM identity_fresh",
                                  &store->fresh);
    if (!fault)
        fault = store_read_number(&store->directory, "SELECT made_ms FROM origin",
                                  &store->directory_made_ms);
    if (fault) {
        store_disconnect(&store->directory);
        return fault;
    }
    sqlite3_wal_hook(store->directory.database, remember_log_pages, store);
    store->file_from = INT64_MIN;
    return 0;
}

static int make_anew(struct store *store)
{
    static const char *const suffixes[] = {"-wal", "-shm", ""};
    size_t size = strlen(store->directory_path) + 8;
    char *path = memory_take(size);
    int fault = 0;

    store_disconnect(&store->directory);
    record_numbers_free(&store->numbers);
    store->directory_log_pages = 0;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes && !fault; i++) {
        snprintf(path, size, "%s%s", store->directory_path, suffixes[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            fault = FAULT_FILE;
    }
    memory_give_back(path);
    if (!fault)
        fault = open_file(store);
    log_write(fault ? LOG_ERROR : LOG_WARNING, "store",
              fault ? "%s cannot be used, and not be made anew: %s"
                    : "%s cannot be used: it is made anew, and the network fills it%s",
              store->directory_path, fault ? fault_text(fault) : "");
    return fault;
}

int store_directory_open(struct store *store)
{
    int fault = open_file(store);

    /* What is damaged, of another kind, or open to others. What cannot be opened now may be whole. */
    return fault == FAULT_CORRUPT || fault == FAULT_STORE || fault == FAULT_PERMISSIONS
               ? make_anew(store)
               : fault;
}

void store_directory_close(struct store *store, bool in_order)
{
    if (in_order && store->directory.database && !store->directory.is_io_broken)
        sqlite3_wal_checkpoint_v2(store->directory.database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                  NULL);
    store_disconnect(&store->directory);
}

/* ---- turns ---- */

static void checkpoint(struct store *store)
{
    int result = sqlite3_wal_checkpoint_v2(store->directory.database, NULL,
                                           SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

    store->directory_log_pages = 0;
    if (result != SQLITE_OK && result != SQLITE_BUSY)
        store_note_fault(&store->directory, result, "checkpoint of the directory");
}

int store_directory_begin(struct store *store)
{
    struct store_connection *connection = &store->directory;
    int fault = 0;

    if (!connection->database) /* there was no room to make it anew */
        fault = store_directory_open(store);
    if (fault)
        return fault;
    if (store->directory_log_pages >= CHECKPOINT_PAGES)
        checkpoint(store);
    if (connection->is_io_broken) /* a read found it damaged */
        return FAULT_CORRUPT;
    fault = store_run(connection, store_prepare(connection, STATEMENT_BEGIN, "BEGIN IMMEDIATE"));
    if (fault)
        return fault;
    store->directory_begun = true;
    store->fresh_at_begin = store->fresh;
    return store_owners_file(store);
}

int store_directory_commit(struct store *store)
{
    struct store_connection *connection = &store->directory;
    int fault;

    if (!store->directory_begun)
        return 0;
    fault = store_run(connection, store_prepare(connection, STATEMENT_COMMIT, "COMMIT"));
    if (!fault)
        store->directory_begun = false;
    return fault;
}

/* Which record has which number is read again where it is next needed. */
void store_directory_undo(struct store *store)
{
    struct store_connection *connection = &store->directory;
    int fault;

    if (connection->database && !sqlite3_get_autocommit(connection->database))
        sqlite3_exec(connection->database, "ROLLBACK", NULL, NULL, NULL);
    if (store->directory_begun) {
        store->fresh = store->fresh_at_begin;
        record_numbers_free(&store->numbers);
    }
    store->directory_begun = false;
    if (!connection->database || !connection->is_io_broken)
        return;
    fault = make_anew(store);
    store->directory_lost = fault != 0 && fault != FAULT_DISK_FULL;
}
