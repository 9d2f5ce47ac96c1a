#include "gate_statements.h"

#include "gateway_1.sql.h"
#include "gateway_2.sql.h"
#include "gateway_3.sql.h"
#include "gateway_4.sql.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define GATE_STORE_VERSION 4
#define BUSY_MS 2000
#define TEXT_OF_NUMBER(number) TEXT_OF(number)
#define TEXT_OF(token) #token

static _Atomic int trouble;

static int note_trouble(int fault)
{
    atomic_store_explicit(&trouble, fault, memory_order_relaxed);
    return fault;
}

static int fault_of(struct gate_store *store, int result)
{
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    default:
        break;
    }
    snprintf(store->complaint, sizeof store->complaint, "%s (%s)", sqlite3_errstr(result),
             store->database ? sqlite3_errmsg(store->database) : "no database");
    switch (result & 0xff) {
    case SQLITE_FULL:
        return note_trouble(GATE_FAULT_DISK_FULL);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return GATE_FAULT_CORRUPT;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        return note_trouble(GATE_FAULT_FILE);
    default:
        return GATE_FAULT_STORE;
    }
}

const char *gate_store_complaint(const struct gate_store *store)
{
    return store->complaint;
}

/* ---- statements ---- */

sqlite3_stmt *gate_statement(struct gate_store *store, const char *text)
{
    sqlite3_stmt *statement = NULL;

    for (size_t i = 0; i < store->statement_count; i++)
        if (store->statements[i].text == text)
            return store->statements[i].statement;
    assert(store->statement_count < GATE_STATEMENTS_MAX);
    if (sqlite3_prepare_v3(store->database, text, -1, SQLITE_PREPARE_PERSISTENT, &statement,
                           NULL) != SQLITE_OK)
        return NULL;
    store->statements[store->statement_count].text = text;
    store->statements[store->statement_count++].statement = statement;
    return statement;
}

void gate_bind_number(sqlite3_stmt *statement, int index, uint64_t number)
{
    sqlite3_bind_int64(statement, index, (sqlite3_int64)number);
}

void gate_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

void gate_bind_bytes(sqlite3_stmt *statement, int index, const void *data, size_t size)
{
    sqlite3_bind_blob64(statement, index, data, size, SQLITE_STATIC);
}

void gate_done(sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

int gate_run(struct gate_store *store, sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    int fault = fault_of(store, result);

    assert(result != SQLITE_ROW);
    if (statement)
        gate_done(statement);
    return fault;
}

int gate_row(struct gate_store *store, sqlite3_stmt *statement, bool *found)
{
    int result = sqlite3_step(statement);

    *found = result == SQLITE_ROW;
    if (*found)
        return 0;
    if (statement)
        gate_done(statement);
    return fault_of(store, result);
}

uint64_t gate_number(sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

void gate_text(sqlite3_stmt *statement, int column, char *text, size_t size)
{
    const unsigned char *found = sqlite3_column_text(statement, column);

    snprintf(text, size, "%s", found ? (const char *)found : "");
}

bool gate_bytes(sqlite3_stmt *statement, int column, void *data, size_t size)
{
    const void *found = sqlite3_column_blob(statement, column);

    if (!found || (size_t)sqlite3_column_bytes(statement, column) != size)
        return false;
    memcpy(data, found, size);
    return true;
}

/* ---- opening ---- */

/* SQLite would make the file by the umask; ours is private from its first moment. The files beside
 * it (-wal, -shm) take its mode. */
static int see_to_file(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat status;
    int fault = 0;

    if (file < 0)
        return errno == ELOOP ? GATE_FAULT_PERMISSIONS : GATE_FAULT_FILE;
    if (fstat(file, &status) != 0)
        fault = GATE_FAULT_FILE;
    else if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        fault = GATE_FAULT_PERMISSIONS;
    close(file);
    return fault;
}

static int run_text(struct gate_store *store, const char *text)
{
    return fault_of(store, sqlite3_exec(store->database, text, NULL, NULL, NULL));
}

static int connect_to(struct gate_store *store, const char *path, int flags)
{
    int fault =
        fault_of(store, sqlite3_open_v2(path, &store->database,
                                        flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL));

    if (fault)
        return fault;
    sqlite3_busy_timeout(store->database, BUSY_MS);
    sqlite3_db_config(store->database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return run_text(store, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                           "PRAGMA foreign_keys=ON;");
}

static int read_number(struct gate_store *store, const char *text, uint64_t *number)
{
    sqlite3_stmt *statement = gate_statement(store, text);
    bool found;
    int fault = gate_row(store, statement, &found);

    if (fault || !found)
        return fault ? fault : GATE_FAULT_CORRUPT;
    *number = gate_number(statement, 0);
    gate_done(statement);
    return 0;
}

static int check_pages(struct gate_store *store)
{
    sqlite3_stmt *statement = gate_statement(store, "PRAGMA quick_check(1)");
    char answer[16] = "";
    bool found;
    int fault = gate_row(store, statement, &found);

    if (fault)
        return fault;
    if (found) {
        gate_text(statement, 0, answer, sizeof answer);
        gate_done(statement);
    }
    return strcmp(answer, "ok") == 0 ? 0 : GATE_FAULT_CORRUPT;
}

/* One step of the schema, whole or not at all. */
static int apply(struct gate_store *store, uint64_t version)
{
    static const char *const steps[GATE_STORE_VERSION] = {schema_gateway_1, schema_gateway_2,
                                                          schema_gateway_3, schema_gateway_4};
    char done[32];
    int fault = gate_store_begin(store);

    snprintf(done, sizeof done, "PRAGMA user_version=%d", (int)version + 1);
    if (!fault)
        fault = run_text(store, steps[version]);
    if (!fault)
        fault = run_text(store, done);
    if (!fault)
        return gate_store_commit(store);
    gate_store_roll_back(store);
    return fault;
}

static int migrate(struct gate_store *store)
{
    uint64_t version;
    int fault = read_number(store, "PRAGMA user_version", &version);

    if (fault)
        return fault;
    if (version > GATE_STORE_VERSION)
        return GATE_FAULT_STORE_NEWER;
    while (!fault && version < GATE_STORE_VERSION)
        fault = apply(store, version++);
    return fault;
}

int gate_store_open(struct gate_store **opened, const char *path)
{
    struct gate_store *store = memory_take(sizeof *store);
    int fault = see_to_file(path);

    if (!fault)
        fault = connect_to(store, path, SQLITE_OPEN_READWRITE);
    if (!fault)
        fault = run_text(store, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                "PRAGMA secure_delete=ON;");
    if (!fault)
        fault = check_pages(store);
    if (!fault)
        fault = migrate(store);
    if (fault) {
        gate_store_close(store);
        return fault;
    }
    *opened = store;
    return 0;
}

int gate_store_open_writer(struct gate_store **opened, const char *path)
{
    struct gate_store *store = memory_take(sizeof *store);
    int fault = connect_to(store, path, SQLITE_OPEN_READWRITE);

    if (!fault)
        fault = run_text(store, "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;");
    if (fault) {
        gate_store_close(store);
        return fault;
    }
    *opened = store;
    return 0;
}

int gate_store_open_reader(struct gate_store **opened, const char *path)
{
    struct gate_store *store = memory_take(sizeof *store);
    int fault = connect_to(store, path, SQLITE_OPEN_READWRITE);

    /* Opened for writing so that it may share the writer's -shm file; it writes nothing. */
    if (!fault)
        fault = run_text(store, "PRAGMA query_only=ON;");
    if (fault) {
        gate_store_close(store);
        return fault;
    }
    *opened = store;
    return 0;
}

int gate_store_settle(struct gate_store *store)
{
    sqlite3_stmt *statement = gate_statement(store, "PRAGMA wal_checkpoint(TRUNCATE)");
    uint64_t is_busy = 0;
    bool found;
    int fault = gate_row(store, statement, &found);

    if (found) {
        is_busy = gate_number(statement, 0);
        gate_done(statement);
    }
    return fault ? fault : is_busy ? GATE_FAULT_STORE : 0;
}

void gate_store_close(struct gate_store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < store->statement_count; i++)
        sqlite3_finalize(store->statements[i].statement);
    sqlite3_close(store->database);
    memory_give_back(store);
}

int gate_store_begin(struct gate_store *store)
{
    return gate_run(store, gate_statement(store, "BEGIN IMMEDIATE"));
}

int gate_store_commit(struct gate_store *store)
{
    int fault = gate_run(store, gate_statement(store, "COMMIT"));

    if (fault)
        gate_store_roll_back(store);
    return fault;
}

void gate_store_roll_back(struct gate_store *store)
{
    if (!sqlite3_get_autocommit(store->database))
        (void)gate_run(store, gate_statement(store, "ROLLBACK"));
}

/* ---- trouble ---- */

int gate_store_trouble(void)
{
    return atomic_load_explicit(&trouble, memory_order_relaxed);
}

/* A page that is kept may have had its place in the log before. */
static bool has_room(const struct gate_store *store)
{
    const char *path = sqlite3_db_filename(store->database, "main");
    struct statvfs disk;

    return statvfs(path, &disk) != 0 ||
           (uint64_t)disk.f_bavail * disk.f_frsize >= GATE_STORE_ROOM_MIN;
}

void gate_store_try(struct gate_store *store)
{
    int fault = gate_store_begin(store);

    if (!fault)
        fault = run_text(store, "PRAGMA user_version=" TEXT_OF_NUMBER(GATE_STORE_VERSION));
    if (!fault)
        fault = gate_store_commit(store);
    if (fault)
        gate_store_roll_back(store);
    else if (has_room(store))
        note_trouble(0);
}
