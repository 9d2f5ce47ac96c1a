/* A connection to a database: one for the writer, one for every reader. Which of SQLite's faults are which of ours. */
#include "log.h"
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_no_room(sqlite3_file *file)
{
    int cause = 0;

    if (!file || !file->pMethods ||
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &cause) != SQLITE_OK)
        return false;
    return cause == ENOSPC || cause == EDQUOT || cause == EFBIG;
}

/* SQLite calls only ENOSPC full; a quota and RLIMIT_FSIZE are the same to us. Only a write can be
 * refused for want of room and leave all well: after a failed sync nobody knows what is on the
 * disk, whatever its reason. */
static bool is_disk_full(const struct store_connection *connection, int result)
{
    sqlite3_file *database = NULL, *log = NULL;

    if ((result & 0xff) == SQLITE_FULL || result == SQLITE_IOERR_SHMSIZE)
        return true;
    if (result != SQLITE_IOERR_WRITE)
        return false;
    sqlite3_file_control(connection->database, NULL, SQLITE_FCNTL_FILE_POINTER, &database);
    sqlite3_file_control(connection->database, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &log);
    return is_no_room(database) || is_no_room(log);
}

static int fault_of(struct store_connection *connection, int result)
{
    if (is_disk_full(connection, result))
        return FAULT_DISK_FULL;
    switch (result & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        connection->is_io_broken = true;
        return FAULT_CORRUPT;
    /* A lock that SQLite could not get for ten seconds, or that this file system does not have: one that was not let
     * go stays as long as the connection lives, and each turn would wait as long again. */
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
        connection->is_io_broken = true;
        return FAULT_STORE;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
        connection->is_io_broken = true;
        return FAULT_FILE;
    case SQLITE_BUSY:
        return FAULT_BUSY;
    default:
        return FAULT_STORE;
    }
}

int store_note_fault(struct store_connection *connection, int result, const char *what)
{
    connection->fault = fault_of(connection, result);
    log_write(connection->fault == FAULT_DISK_FULL ? LOG_WARNING : LOG_ERROR, "store",
              "%s: %s (%s, %d)", what, sqlite3_errmsg(connection->database),
              fault_text(connection->fault), result);
    return connection->fault;
}

int store_execute(struct store_connection *connection, const char *sql)
{
    int result = sqlite3_exec(connection->database, sql, NULL, NULL, NULL);

    return result == SQLITE_OK ? 0 : store_note_fault(connection, result, "execute");
}

sqlite3_stmt *store_prepare(struct store_connection *connection, enum statement which,
                            const char *sql)
{
    sqlite3_stmt **statement = &connection->statements[which];
    int result;

    connection->fault = 0;
    if (*statement)
        return *statement;
    result = sqlite3_prepare_v3(connection->database, sql, -1, SQLITE_PREPARE_PERSISTENT, statement,
                                NULL);
    if (result != SQLITE_OK)
        store_note_fault(connection, result, sql);
    return *statement;
}

void store_bind_bytes(sqlite3_stmt *statement, int index, struct bytes bytes)
{
    sqlite3_bind_blob64(statement, index, bytes.data ? (const void *)bytes.data : "", bytes.size,
                        SQLITE_STATIC);
}

void store_bind_id(sqlite3_stmt *statement, int index, const struct id *id)
{
    sqlite3_bind_blob(statement, index, id->bytes, ID_SIZE, SQLITE_STATIC);
}

void store_bind_number(sqlite3_stmt *statement, int index, uint64_t number)
{
    sqlite3_bind_int64(statement, index, (sqlite3_int64)number);
}

struct bytes store_column_bytes(sqlite3_stmt *statement, int index)
{
    const void *data = sqlite3_column_blob(statement, index);

    return bytes_of(data, (size_t)sqlite3_column_bytes(statement, index));
}

bool store_column_id(sqlite3_stmt *statement, int index, struct id *id)
{
    return id_from_bytes(store_column_bytes(statement, index), id);
}

uint64_t store_column_number(sqlite3_stmt *statement, int index)
{
    return (uint64_t)sqlite3_column_int64(statement, index);
}

bool store_next_row(struct store_connection *connection, sqlite3_stmt *statement)
{
    int result;

    if (!statement)
        return false; /* store_prepare said why */
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        return true;
    if (result != SQLITE_DONE)
        store_note_fault(connection, result, sqlite3_sql(statement));
    sqlite3_reset(statement);
    return false;
}

int store_run(struct store_connection *connection, sqlite3_stmt *statement)
{
    while (store_next_row(connection, statement))
        ;
    return connection->fault;
}

/* Memory: a cache that cannot grow large, and no mapping of the file, which would count as ours.
 * Trust: neither the schema nor the sizes in a file are believed. */
static int set_pragmas(struct store_connection *connection, bool is_writer)
{
    char sql[256];
    int fault = 0;

    snprintf(sql, sizeof sql,
             "PRAGMA cache_size = -%d; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;"
             "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON",
             is_writer ? STORE_WRITER_CACHE_KIB : STORE_READER_CACHE_KIB);
    fault = store_execute(connection, sql);
    if (!fault)
        fault = store_execute(connection, is_writer
                                              ? "PRAGMA journal_mode = WAL;"
                                                "PRAGMA synchronous = NORMAL;" /* and store_sync */
                                                "PRAGMA wal_autocheckpoint = 0;"
                                                "PRAGMA journal_size_limit = 33554432"
                                              : "PRAGMA query_only = ON");
    return fault;
}

/* Counting its memory costs SQLite a lock for each piece. Nobody reads the count. */
static void configure_sqlite(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int store_connect(struct store_connection *connection, const char *path, bool is_writer)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int flags = is_writer ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    int result;

    pthread_once(&once, configure_sqlite);
    result = sqlite3_open_v2(path, &connection->database, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (!connection->database)
        return FAULT_STORE;
    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "open");
    sqlite3_extended_result_codes(connection->database, 1);
    sqlite3_busy_timeout(connection->database, STORE_BUSY_MS);
    sqlite3_db_config(connection->database, SQLITE_DBCONFIG_DEFENSIVE, is_writer ? 0 : 1, NULL);
    return set_pragmas(connection, is_writer);
}

void store_disconnect(struct store_connection *connection)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(connection->statements[i]);
    sqlite3_close(connection->database);
    memset(connection, 0, sizeof *connection);
}

/* SQLite gives its log and index the mode of the database, so this is the one place for it. The
 * file is looked at by name: closing a descriptor of it would drop SQLite's locks. */
int store_make_file(const char *path)
{
    struct stat status;
    int file;

    if (lstat(path, &status) == 0)
        return S_ISREG(status.st_mode) && status.st_uid == geteuid() && !(status.st_mode & 077)
                   ? 0
                   : FAULT_PERMISSIONS;
    file = open(path, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return errno == ENOSPC ? FAULT_DISK_FULL : FAULT_FILE;
    close(file);
    return 0;
}

int store_read_number(struct store_connection *connection, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection->database, sql, -1, &statement, NULL);

    connection->fault = 0;
    if (result != SQLITE_OK)
        return store_note_fault(connection, result, sql);
    if (store_next_row(connection, statement))
        *number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return connection->fault;
}
