/* Wires of pecks and receipts that are kept together.
 *
 * What a turn keeps was mostly signed as one batch: signer, type, signature and most of the path to
 * the root are the same in one as in the next. So some share a row, each told by its difference to
 * the one before it, and are put together again byte for byte. Of 532 bytes of a peck 96 are left, of
 * 466 of a receipt 120, and a row for each is saved: that much less goes to the log, and later to the
 * database. Whoever reads one puts together those before it: 2 us for the last of 32.
 *
 * In a row stands of each wire its size; then by turns how many bytes are the same as in the wire
 * before, and how many are not, with these. Numbers are of 7 bits a byte, the least first. The first
 * bytes that are the same are those at which both begin. All later ones are as far from the end in
 * one as in the other, because the members of a batch end alike, whatever their size. */
#include "log.h"
#include "store_internal.h"

#include <assert.h>

#define RUN_MIN 8      /* bytes that are the same: fewer are not worth their numbers */
#define NUMBERS_SIZE 8 /* of a wire that has nothing of the one before: its size, 0, its size */

static_assert(STORE_WIRE_SHARED_MAX < 1 << 14, "a number is of two bytes at most");

/* ---- a row is made ---- */

void wires_clear(struct wires *wires)
{
    wires->size = wires->count = wires->last_size = 0;
}

bool wires_have_room(const struct wires *wires, struct bytes wire)
{
    return wire.size <= STORE_WIRE_SHARED_MAX && wires->count < STORE_WIRES_IN_ROW_MAX &&
           wires->size + wire.size + NUMBERS_SIZE <= sizeof wires->row;
}

static void put_number(struct wires *wires, size_t number)
{
    for (; number > 0x7f; number >>= 7)
        wires->row[wires->size++] = (uint8_t)(number | 0x80);
    wires->row[wires->size++] = (uint8_t)number;
}

static size_t same_bytes(const uint8_t *one, const uint8_t *other, size_t max)
{
    size_t count = 0;

    while (count + RUN_MIN <= max && memcmp(one + count, other + count, RUN_MIN) == 0)
        count += RUN_MIN;
    while (count < max && one[count] == other[count])
        count++;
    return count;
}

/* Up to the next run; one of less than twice RUN_MIN may be passed over. */
static size_t other_bytes(const uint8_t *one, const uint8_t *other, size_t max)
{
    size_t count = 0;

    while (count + RUN_MIN <= max && memcmp(one + count, other + count, RUN_MIN) != 0)
        count += RUN_MIN;
    if (count + RUN_MIN > max)
        return max;
    while (count > 0 && one[count - 1] == other[count - 1])
        count--;
    return count;
}

void wires_add(struct wires *wires, struct bytes wire)
{
    size_t at = 0, left, shared;

    put_number(wires, wire.size);
    shared = same_bytes(wire.data, wires->last,
                        wire.size < wires->last_size ? wire.size : wires->last_size);
    for (;;) {
        size_t fresh;

        put_number(wires, shared);
        at += shared;
        left = wire.size - at;
        if (left == 0)
            break;
        shared = left < wires->last_size ? left : wires->last_size;
        fresh = left - shared +
                other_bytes(wire.data + wire.size - shared, wires->last + wires->last_size - shared,
                            shared);
        put_number(wires, fresh);
        memcpy(wires->row + wires->size, wire.data + at, fresh);
        wires->size += fresh;
        at += fresh;
        left = wire.size - at;
        if (left == 0)
            break;
        shared = same_bytes(wire.data + at, wires->last + wires->last_size - left, left);
    }
    memcpy(wires->last, wire.data, wire.size);
    wires->last_size = wire.size;
    wires->count++;
}

/* ---- and read ---- */

static bool take_number(struct bytes *row, size_t *number)
{
    *number = 0;
    for (unsigned shift = 0; shift < 14 && row->size > 0; shift += 7) {
        uint8_t byte = *row->data++;

        row->size--;
        *number |= (size_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool take_bytes(struct bytes *from, size_t count, uint8_t *to, size_t room)
{
    if (count > from->size || count > room)
        return false;
    memcpy(to, from->data, count);
    from->data += count;
    from->size -= count;
    return true;
}

/* `before` is borrowed; `next` has room for STORE_WIRE_SHARED_MAX bytes. */
static bool take_wire(struct bytes *row, struct bytes before, uint8_t *next, size_t *size)
{
    struct bytes same = before;
    size_t at = 0, count;

    if (!take_number(row, size) || *size > STORE_WIRE_SHARED_MAX)
        return false;
    for (;;) {
        if (!take_number(row, &count) || !take_bytes(&same, count, next + at, *size - at))
            return false;
        at += count;
        if (at == *size)
            return true;
        if (!take_number(row, &count) || !take_bytes(row, count, next + at, *size - at))
            return false;
        at += count;
        if (at == *size)
            return true;
        if (*size - at > before.size)
            return false;
        same = bytes_of(before.data + before.size - (*size - at), *size - at);
    }
}

bool wires_read(struct bytes row, size_t place, struct arena *arena, struct bytes *wire)
{
    uint8_t wires[2][STORE_WIRE_SHARED_MAX];
    struct bytes before = bytes_of(wires[1], 0);

    for (size_t i = 0; i <= place; i++) {
        uint8_t *next = wires[i % 2];
        size_t size;

        if (!take_wire(&row, before, next, &size))
            return false;
        before = bytes_of(next, size);
    }
    *wire = arena_copy(arena, before);
    return true;
}

struct bytes store_column_wire(sqlite3_stmt *statement, int column, int64_t place,
                               struct arena *arena)
{
    struct bytes stored = store_column_bytes(statement, column), wire = {0};

    if (place == 0)
        return arena_copy(arena, stored);
    if (place < 1 || place > STORE_WIRES_IN_ROW_MAX ||
        !wires_read(stored, (size_t)place - 1, arena, &wire))
        log_write(LOG_ERROR, "store", "a row of wires cannot be read");
    return wire;
}

struct bytes store_column_peck_wire(sqlite3_stmt *statement, int column, int64_t seq,
                                    struct arena *arena)
{
    int64_t first = sqlite3_column_int64(statement, column);
    int64_t count = sqlite3_column_int64(statement, column + 1);

    if (seq < first || seq >= first + (count ? count : 1))
        return bytes_of(NULL, 0);
    return store_column_wire(statement, column + 2, count ? seq - first + 1 : 0, arena);
}

/* ---- pecks ---- */

/* `count` 0: as it came. */
static int add_peck_wires(struct store *store, int64_t first, size_t count, struct bytes wires)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_PECK_WIRE_ADD,
                      "INSERT INTO peck_wire (seq, wire, count) VALUES (?1, ?2, ?3)");

    sqlite3_bind_int64(statement, 1, first);
    store_bind_bytes(statement, 2, wires);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)count);
    return store_run(&store->connection, statement);
}

static int close_peck_wires(struct store *store)
{
    struct wires *wires = &store->peck_wires;
    int fault = 0;

    if (wires->count == 1)
        fault =
            add_peck_wires(store, store->wires_first, 0, bytes_of(wires->last, wires->last_size));
    else if (wires->count > 1)
        fault = add_peck_wires(store, store->wires_first, wires->count,
                               bytes_of(wires->row, wires->size));
    wires_clear(wires);
    return fault;
}

int store_keep_peck_wire(struct store *store, int64_t seq, struct bytes wire)
{
    struct wires *wires = &store->peck_wires;
    int fault = wires_have_room(wires, wire) ? 0 : close_peck_wires(store);

    if (fault)
        return fault;
    if (!wires_have_room(wires, wire))
        return add_peck_wires(store, seq, 0, wire);
    if (wires->count == 0)
        store->wires_first = seq;
    assert(seq == store->wires_first + (int64_t)wires->count);
    wires_add(wires, wire);
    return 0;
}

/* ---- receipts ---- */

/* `number`, `place`: in receipt_wires; 0: the wire stands in the row of the receipt. */
static int add_receipt(struct store *store, const struct kept_receipt *receipt, int64_t number,
                       size_t place, struct bytes wire)
{
    static const char *const sql[] = {
        [RECEIPT_TAKEN] = "INSERT INTO taken_receipt (seq, state, at_ms, signer, wire, wires, "
                          "place) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (seq) DO UPDATE "
                          "SET state = ?2, at_ms = ?3, signer = ?4, wire = ?5, wires = ?6, "
                          "place = ?7",
        [RECEIPT_DONE] = "INSERT INTO done_receipt (seq, state, at_ms, signer, wire, wires, "
                         "place) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (seq) DO UPDATE "
                         "SET state = ?2, at_ms = ?3, signer = ?4, wire = ?5, wires = ?6, "
                         "place = ?7",
    };
    sqlite3_stmt *statement =
        store_prepare(&store->connection,
                      receipt->kind == RECEIPT_DONE ? STATEMENT_DONE_ADD : STATEMENT_TAKEN_ADD,
                      sql[receipt->kind]);

    sqlite3_bind_int64(statement, 1, receipt->seq);
    sqlite3_bind_int(statement, 2, (int)receipt->state);
    store_bind_number(statement, 3, receipt->at_ms);
    sqlite3_bind_int64(statement, 4, receipt->signer);
    store_bind_bytes(statement, 5, wire);
    sqlite3_bind_int64(statement, 6, number);
    sqlite3_bind_int64(statement, 7, (sqlite3_int64)place);
    return store_run(&store->connection, statement);
}

static int add_receipt_wires(struct store *store, int64_t *number)
{
    const struct wires *wires = &store->receipt_wires;
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_RECEIPT_WIRES_ADD,
                                            "INSERT INTO receipt_wires (wires) VALUES (?1)");
    int fault;

    store_bind_bytes(statement, 1, bytes_of(wires->row, wires->size));
    fault = store_run(&store->connection, statement);
    *number = sqlite3_last_insert_rowid(store->connection.database);
    return fault;
}

/* One alone stands in its own row: a turn that keeps little dirties no more pages than it must. */
static int close_receipt_wires(struct store *store)
{
    struct wires *wires = &store->receipt_wires;
    struct bytes own = bytes_of(NULL, 0);
    int64_t number = 0;
    int fault = 0;

    if (wires->count == 1)
        own = bytes_of(wires->last, wires->last_size);
    else if (wires->count > 1)
        fault = add_receipt_wires(store, &number);
    for (size_t i = 0; i < wires->count && !fault; i++)
        fault = add_receipt(store, &store->receipts[i], number, number ? i + 1 : 0, own);
    wires_clear(wires);
    return fault;
}

int store_keep_receipt_wire(struct store *store, const struct kept_receipt *receipt,
                            struct bytes wire)
{
    struct wires *wires = &store->receipt_wires;
    int fault = wires_have_room(wires, wire) ? 0 : close_receipt_wires(store);

    if (fault)
        return fault;
    if (!wires_have_room(wires, wire))
        return add_receipt(store, receipt, 0, 0, wire);
    store->receipts[wires->count] = *receipt;
    wires_add(wires, wire);
    return 0;
}

/* ---- both ---- */

int store_close_wires(struct store *store)
{
    int fault = close_peck_wires(store);

    return fault ? fault : close_receipt_wires(store);
}

void store_forget_wires(struct store *store)
{
    wires_clear(&store->peck_wires);
    wires_clear(&store->receipt_wires);
}
