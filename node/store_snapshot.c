/* A copy of node.db while the node writes there. It stands beside it until it is sealed into the backup, as private
 * as node.db is; what a process leaves that is killed the next backup takes away. */
#include "log.h"
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Pre-keys are wiped after days, so that nobody opens what perches held then: a backup would keep them for good. */
static const char trim[] = "PRAGMA secure_delete = ON; DELETE FROM pre_key; DELETE FROM perched;";

static int judge_copy(struct store_connection *copy)
{
    int64_t application = 0, is_sound = 0;
    int fault = store_read_number(copy, "PRAGMA application_id", &application);

    if (!fault)
        fault = store_read_number(
            copy, "SELECT count(*) FROM pragma_quick_check(1) WHERE quick_check = 'ok'", &is_sound);
    if (!fault && (application != STORE_APPLICATION_ID || !is_sound))
        fault = FAULT_CORRUPT;
    return fault;
}

/* An older release's database may not have the tables yet. */
static int trim_copy(struct store_connection *copy)
{
    int64_t version = 0;
    int fault = store_read_number(copy, "PRAGMA user_version", &version);

    if (!fault && version > STORE_VERSION)
        return FAULT_STORE_NEWER;
    return !fault && version >= 9 ? store_execute(copy, trim) : fault;
}

static int open_plain(struct store_connection *connection, const char *path, int flags)
{
    int result = sqlite3_open_v2(path, &connection->database, flags | SQLITE_OPEN_NOMUTEX, NULL);

    if (!connection->database)
        return FAULT_STORE;
    sqlite3_busy_timeout(connection->database, STORE_BUSY_MS);
    return result == SQLITE_OK ? 0 : store_note_fault(connection, result, "open");
}

/* One statement reads one state of the database, whatever the node writes meanwhile. */
static int copy(const char *path, const char *scratch)
{
    struct store_connection from = {0};
    sqlite3_stmt *statement = NULL;
    int fault = open_plain(&from, path, SQLITE_OPEN_READONLY), result;

    if (!fault) {
        result = sqlite3_prepare_v2(from.database, "VACUUM main INTO ?1", -1, &statement, NULL);
        if (result == SQLITE_OK) {
            sqlite3_bind_text(statement, 1, scratch, -1, SQLITE_STATIC);
            fault = store_run(&from, statement);
        } else {
            fault = store_note_fault(&from, result, "copy");
        }
        sqlite3_finalize(statement);
    }
    store_disconnect(&from);
    return fault;
}

static int finish_copy(const char *scratch)
{
    struct store_connection to = {0};
    int fault = open_plain(&to, scratch, SQLITE_OPEN_READWRITE);

    if (!fault)
        fault = store_execute(&to, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF;"
                                   "PRAGMA journal_mode = MEMORY");
    if (!fault)
        fault = trim_copy(&to);
    if (!fault)
        fault = judge_copy(&to);
    store_disconnect(&to);
    return fault;
}

int store_snapshot(const char *path, const char *scratch, int *file, uint64_t *size)
{
    struct stat status;
    int fault;

    unlink(scratch); /* of a process that was killed here */
    *file = open(scratch, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*file < 0)
        return errno == ENOSPC || errno == EDQUOT ? FAULT_DISK_FULL : FAULT_FILE;
    fault = copy(path, scratch);
    if (!fault)
        fault = finish_copy(scratch);
    if (unlink(scratch) != 0 && !fault)
        fault = FAULT_FILE;
    if (!fault && fstat(*file, &status) != 0)
        fault = FAULT_FILE;
    if (fault) {
        close(*file);
        *file = -1;
        return fault;
    }
    *size = (uint64_t)status.st_size;
    return 0;
}
