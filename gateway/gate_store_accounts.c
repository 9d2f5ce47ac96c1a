/* Operators and eggs in gateway.db. */
#include "gate_statements.h"

#include "core/limits.h"

#include <sodium.h>

static int count_by(struct gate_store *store, sqlite3_stmt *statement, uint64_t *count)
{
    bool found;
    int fault = gate_row(store, statement, &found);

    *count = 0;
    if (!found)
        return fault;
    *count = gate_number(statement, 0);
    gate_done(statement);
    return 0;
}

/* ---- operators ---- */

static int read_operator(struct gate_store *store, sqlite3_stmt *statement,
                         struct gate_operator *row, bool *found)
{
    int fault = gate_row(store, statement, found);

    if (!*found)
        return fault;
    row->operator_id = gate_number(statement, 0);
    gate_text(statement, 1, row->lookup, sizeof row->lookup);
    gate_text(statement, 2, row->email, sizeof row->email);
    gate_text(statement, 3, row->password_hash, sizeof row->password_hash);
    row->failures = gate_number(statement, 4);
    row->created_ms = gate_number(statement, 5);
    gate_done(statement);
    return 0;
}

int gate_operator_find(struct gate_store *store, const char *lookup, struct gate_operator *row,
                       bool *found)
{
    sqlite3_stmt *statement = gate_statement(
        store, "SELECT operator_id, lookup, email, password_hash, failures, created_ms"
               " FROM operators WHERE lookup = ?1");

    gate_bind_text(statement, 1, lookup);
    return read_operator(store, statement, row, found);
}

int gate_operator_get(struct gate_store *store, uint64_t operator_id, struct gate_operator *row,
                      bool *found)
{
    sqlite3_stmt *statement = gate_statement(
        store, "SELECT operator_id, lookup, email, password_hash, failures, created_ms"
               " FROM operators WHERE operator_id = ?1");

    gate_bind_number(statement, 1, operator_id);
    return read_operator(store, statement, row, found);
}

int gate_operator_add(struct gate_store *store, struct gate_operator *row)
{
    sqlite3_stmt *statement =
        gate_statement(store, "INSERT INTO operators (lookup, email, password_hash, created_ms)"
                              " VALUES (?1, ?2, ?3, ?4)");
    int fault;

    gate_bind_text(statement, 1, row->lookup);
    gate_bind_text(statement, 2, row->email);
    gate_bind_text(statement, 3, row->password_hash);
    gate_bind_number(statement, 4, row->created_ms);
    fault = gate_run(store, statement);
    row->operator_id = (uint64_t)sqlite3_last_insert_rowid(store->database);
    return fault;
}

int gate_operator_set_password(struct gate_store *store, uint64_t operator_id, const char *hash)
{
    sqlite3_stmt *statement =
        gate_statement(store, "UPDATE operators SET password_hash = ?2 WHERE operator_id = ?1");

    gate_bind_number(statement, 1, operator_id);
    gate_bind_text(statement, 2, hash);
    return gate_run(store, statement);
}

int gate_operator_set_failures(struct gate_store *store, uint64_t operator_id, uint64_t failures)
{
    sqlite3_stmt *statement =
        gate_statement(store, "UPDATE operators SET failures = ?2 WHERE operator_id = ?1");

    gate_bind_number(statement, 1, operator_id);
    gate_bind_number(statement, 2, failures);
    return gate_run(store, statement);
}

int gate_stranger_failed(struct gate_store *store)
{
    return gate_run(store, gate_statement(store, "UPDATE strangers SET failures = failures + 1"));
}

/* ---- eggs ---- */

int gate_egg_lay(struct gate_store *store, struct gate_egg *row)
{
    sqlite3_stmt *statement = gate_statement(
        store,
        "INSERT INTO eggs (operator_id, lookup, email, display_name, password_hash,"
        " public_key, claimed_until_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    int fault;

    gate_bind_number(statement, 1, row->operator_id);
    gate_bind_text(statement, 2, row->lookup);
    gate_bind_text(statement, 3, row->email);
    gate_bind_text(statement, 4, row->display_name);
    gate_bind_text(statement, 5, row->password_hash);
    gate_bind_text(statement, 6, row->public_key);
    gate_bind_number(statement, 7, row->claimed_until_ms);
    gate_bind_number(statement, 8, row->expires_ms);
    fault = gate_run(store, statement);
    row->egg = (uint64_t)sqlite3_last_insert_rowid(store->database);
    return fault;
}

int gate_egg_find(struct gate_store *store, uint64_t egg, struct gate_egg *row, bool *found)
{
    sqlite3_stmt *statement = gate_statement(
        store, "SELECT egg, operator_id, lookup, email, display_name, password_hash, public_key,"
               " claimed_until_ms, expires_ms FROM eggs WHERE egg = ?1");
    int fault;

    gate_bind_number(statement, 1, egg);
    fault = gate_row(store, statement, found);
    if (!*found)
        return fault;
    row->egg = gate_number(statement, 0);
    row->operator_id = gate_number(statement, 1);
    gate_text(statement, 2, row->lookup, sizeof row->lookup);
    gate_text(statement, 3, row->email, sizeof row->email);
    gate_text(statement, 4, row->display_name, sizeof row->display_name);
    gate_text(statement, 5, row->password_hash, sizeof row->password_hash);
    gate_text(statement, 6, row->public_key, sizeof row->public_key);
    row->claimed_until_ms = gate_number(statement, 7);
    row->expires_ms = gate_number(statement, 8);
    gate_done(statement);
    return 0;
}

int gate_egg_claim(struct gate_store *store, uint64_t egg, uint64_t until_ms)
{
    sqlite3_stmt *statement =
        gate_statement(store, "UPDATE eggs SET claimed_until_ms = ?2 WHERE egg = ?1");

    gate_bind_number(statement, 1, egg);
    gate_bind_number(statement, 2, until_ms);
    return gate_run(store, statement);
}

int gate_egg_set_password(struct gate_store *store, uint64_t egg, const char *hash)
{
    sqlite3_stmt *statement =
        gate_statement(store, "UPDATE eggs SET password_hash = ?2 WHERE egg = ?1");

    gate_bind_number(statement, 1, egg);
    gate_bind_text(statement, 2, hash);
    return gate_run(store, statement);
}

int gate_egg_drop(struct gate_store *store, uint64_t egg)
{
    sqlite3_stmt *statement = gate_statement(store, "DELETE FROM eggs WHERE egg = ?1");

    gate_bind_number(statement, 1, egg);
    return gate_run(store, statement);
}

int gate_eggs_live(struct gate_store *store, const char *lookup, uint64_t now_ms, uint64_t *count)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT count(*) FROM eggs WHERE lookup = ?1 AND operator_id = 0"
                              " AND expires_ms > ?2");

    gate_bind_text(statement, 1, lookup);
    gate_bind_number(statement, 2, now_ms);
    return count_by(store, statement, count);
}

int gate_eggs_clear_passwords(struct gate_store *store, const char *lookup, uint64_t now_ms)
{
    sqlite3_stmt *statement = gate_statement(
        store, "UPDATE eggs SET password_hash = '' WHERE lookup = ?1 AND operator_id = 0"
               " AND claimed_until_ms <= ?2");

    gate_bind_text(statement, 1, lookup);
    gate_bind_number(statement, 2, now_ms);
    return gate_run(store, statement);
}

int gate_eggs_drop_lost(struct gate_store *store, const char *lookup, uint64_t now_ms)
{
    sqlite3_stmt *statement = gate_statement(
        store, "DELETE FROM eggs WHERE lookup = ?1 AND operator_id = 0 AND claimed_until_ms <= ?2"
               " AND egg NOT IN (SELECT egg FROM codes WHERE lookup = ?1 AND purpose = 1)");

    gate_bind_text(statement, 1, lookup);
    gate_bind_number(statement, 2, now_ms);
    return gate_run(store, statement);
}

int gate_eggs_claimed(struct gate_store *store, uint64_t operator_id, uint64_t now_ms,
                      uint64_t *count)
{
    sqlite3_stmt *statement = gate_statement(
        store, "SELECT count(*) FROM eggs WHERE claimed_until_ms > ?2 AND (operator_id = ?1 OR"
               " lookup = (SELECT lookup FROM operators WHERE operator_id = ?1))");

    gate_bind_number(statement, 1, operator_id);
    gate_bind_number(statement, 2, now_ms);
    return count_by(store, statement, count);
}

/* ---- codes ---- */

int gate_code_set(struct gate_store *store, const struct gate_code *row)
{
    sqlite3_stmt *statement = gate_statement(
        store, "INSERT OR REPLACE INTO codes (lookup, purpose, egg, hash, tries_left, expires_ms)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6)");

    gate_bind_text(statement, 1, row->lookup);
    gate_bind_number(statement, 2, row->purpose);
    gate_bind_number(statement, 3, row->egg);
    gate_bind_bytes(statement, 4, row->hash, sizeof row->hash);
    gate_bind_number(statement, 5, row->tries_left);
    gate_bind_number(statement, 6, row->expires_ms);
    return gate_run(store, statement);
}

static bool read_code(sqlite3_stmt *statement, enum gate_code_purpose purpose,
                      struct gate_code *row)
{
    *row = (struct gate_code){.purpose = purpose};
    gate_text(statement, 0, row->lookup, sizeof row->lookup);
    row->egg = gate_number(statement, 1);
    row->tries_left = gate_number(statement, 3);
    row->expires_ms = gate_number(statement, 4);
    return gate_bytes(statement, 2, row->hash, sizeof row->hash);
}

int gate_code_find(struct gate_store *store, const char *lookup, enum gate_code_purpose purpose,
                   const uint8_t hash[GATE_HASH_SIZE], struct gate_code *row, bool *found)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT lookup, egg, hash, tries_left, expires_ms FROM codes"
                              " WHERE lookup = ?1 AND purpose = ?2");
    struct gate_code candidate;
    bool more, whole = true;
    int fault;

    *found = false;
    gate_bind_text(statement, 1, lookup);
    gate_bind_number(statement, 2, purpose);
    for (fault = gate_row(store, statement, &more); more;
         fault = gate_row(store, statement, &more)) {
        whole = read_code(statement, purpose, &candidate) && whole;
        if (sodium_memcmp(candidate.hash, hash, GATE_HASH_SIZE) != 0)
            continue;
        *row = candidate;
        *found = true;
    }
    return fault ? fault : whole ? 0 : GATE_FAULT_CORRUPT;
}

int gate_codes_take_try(struct gate_store *store, const char *lookup,
                        enum gate_code_purpose purpose)
{
    sqlite3_stmt *take = gate_statement(store, "UPDATE codes SET tries_left = tries_left - 1"
                                               " WHERE lookup = ?1 AND purpose = ?2");
    sqlite3_stmt *drop =
        gate_statement(store, "DELETE FROM codes WHERE lookup = ?1 AND purpose = ?2"
                              " AND tries_left <= 0");
    int fault;

    gate_bind_text(take, 1, lookup);
    gate_bind_number(take, 2, purpose);
    fault = gate_run(store, take);
    if (fault)
        return fault;
    gate_bind_text(drop, 1, lookup);
    gate_bind_number(drop, 2, purpose);
    return gate_run(store, drop);
}

int gate_code_drop(struct gate_store *store, const char *lookup, enum gate_code_purpose purpose,
                   uint64_t egg)
{
    sqlite3_stmt *statement =
        gate_statement(store, "DELETE FROM codes WHERE lookup = ?1 AND purpose = ?2 AND egg = ?3");

    gate_bind_text(statement, 1, lookup);
    gate_bind_number(statement, 2, purpose);
    gate_bind_number(statement, 3, egg);
    return gate_run(store, statement);
}

int gate_mailed_add(struct gate_store *store, const struct gate_mailed *row)
{
    sqlite3_stmt *statement = gate_statement(
        store, "INSERT INTO mailed (lookup, purpose, source, at_ms) VALUES (?1, ?2, ?3, ?4)");

    gate_bind_text(statement, 1, row->lookup);
    gate_bind_number(statement, 2, row->purpose);
    gate_bind_bytes(statement, 3, row->source, sizeof row->source);
    gate_bind_number(statement, 4, row->at_ms);
    return gate_run(store, statement);
}

int gate_mailed_count(struct gate_store *store, const struct gate_mailed *like, uint64_t since_ms,
                      uint64_t *count)
{
    sqlite3_stmt *statement = gate_statement(
        store, like
                   ? "SELECT count(*) FROM mailed WHERE at_ms > ?1 AND lookup = ?2 AND purpose = ?3"
                   : "SELECT count(*) FROM mailed WHERE at_ms > ?1");

    gate_bind_number(statement, 1, since_ms);
    if (like) {
        gate_bind_text(statement, 2, like->lookup);
        gate_bind_number(statement, 3, like->purpose);
    }
    return count_by(store, statement, count);
}

int gate_mailed_count_source(struct gate_store *store, const struct gate_mailed *like,
                             uint64_t since_ms, uint64_t *count)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT count(*) FROM mailed WHERE at_ms > ?1 AND lookup = ?2"
                              " AND purpose = ?3 AND source = ?4");

    gate_bind_number(statement, 1, since_ms);
    gate_bind_text(statement, 2, like->lookup);
    gate_bind_number(statement, 3, like->purpose);
    gate_bind_bytes(statement, 4, like->source, sizeof like->source);
    return count_by(store, statement, count);
}

/* ---- ducklings ---- */

int gate_duckling_add(struct gate_store *store, const struct gate_duckling *row)
{
    sqlite3_stmt *statement = gate_statement(
        store, "INSERT INTO ducklings (duckling, operator_id, certificate, display_name,"
               " created_ms) VALUES (?1, ?2, ?3, ?4, ?5)");

    gate_bind_bytes(statement, 1, row->duckling.bytes, ID_SIZE);
    gate_bind_number(statement, 2, row->operator_id);
    gate_bind_bytes(statement, 3, row->certificate.bytes, ID_SIZE);
    gate_bind_text(statement, 4, row->display_name);
    gate_bind_number(statement, 5, row->created_ms);
    return gate_run(store, statement);
}

int gate_duckling_find(struct gate_store *store, const struct id *duckling,
                       struct gate_duckling *row, bool *found)
{
    sqlite3_stmt *statement = gate_statement(
        store, "SELECT operator_id, certificate, display_name, created_ms FROM ducklings"
               " WHERE duckling = ?1");
    bool whole;
    int fault;

    gate_bind_bytes(statement, 1, duckling->bytes, ID_SIZE);
    fault = gate_row(store, statement, found);
    if (!*found)
        return fault;
    row->duckling = *duckling;
    row->operator_id = gate_number(statement, 0);
    whole = gate_bytes(statement, 1, row->certificate.bytes, ID_SIZE);
    gate_text(statement, 2, row->display_name, sizeof row->display_name);
    row->created_ms = gate_number(statement, 3);
    gate_done(statement);
    return whole ? 0 : GATE_FAULT_CORRUPT;
}

int gate_ducklings_count(struct gate_store *store, uint64_t operator_id, uint64_t *count)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT count(*) FROM ducklings WHERE operator_id = ?1");

    gate_bind_number(statement, 1, operator_id);
    return count_by(store, statement, count);
}

static bool read_listed(sqlite3_stmt *statement, struct accounts_duckling *duckling)
{
    gate_text(statement, 2, duckling->display_name, sizeof duckling->display_name);
    duckling->created_ms = gate_number(statement, 3);
    gate_text(statement, 4, duckling->beak_key_masked, sizeof duckling->beak_key_masked);
    duckling->seen_ms = gate_number(statement, 5);
    return gate_bytes(statement, 0, duckling->duckling.bytes, ID_SIZE) &&
           gate_bytes(statement, 1, duckling->certificate.bytes, ID_SIZE);
}

int gate_ducklings_list(struct gate_store *store, uint64_t operator_id,
                        struct accounts_duckling *ducklings, size_t max, size_t *count)
{
    sqlite3_stmt *statement = gate_statement(
        store, "SELECT d.duckling, d.certificate, d.display_name, d.created_ms, b.masked,"
               " b.used_ms FROM ducklings d LEFT JOIN bearers b"
               " ON b.kind = 1 AND b.duckling = d.duckling"
               " WHERE d.operator_id = ?1 ORDER BY d.number LIMIT ?2");
    bool found, whole = true;
    int fault;

    *count = 0;
    gate_bind_number(statement, 1, operator_id);
    gate_bind_number(statement, 2, max);
    for (fault = gate_row(store, statement, &found); found;
         fault = gate_row(store, statement, &found))
        whole = whole && read_listed(statement, &ducklings[(*count)++]);
    return fault ? fault : whole ? 0 : GATE_FAULT_CORRUPT;
}

/* ---- the whole ---- */

static int drop_over(struct gate_store *store, const char *text, uint64_t now_ms)
{
    sqlite3_stmt *statement = gate_statement(store, text);

    gate_bind_number(statement, 1, now_ms);
    return gate_run(store, statement);
}

static uint64_t idle_since_of(uint64_t now_ms)
{
    return now_ms > SESSION_IDLE_MS ? now_ms - SESSION_IDLE_MS : 0;
}

int gate_store_tidy(struct gate_store *store, uint64_t now_ms)
{
    uint64_t day_ago = now_ms > DAY_MS ? now_ms - DAY_MS : 0;
    int fault = drop_over(store, "DELETE FROM codes WHERE expires_ms <= ?1", now_ms);

    if (!fault)
        fault = drop_over(
            store, "DELETE FROM eggs WHERE expires_ms <= ?1 AND claimed_until_ms <= ?1", now_ms);
    if (!fault)
        fault = drop_over(store, "DELETE FROM newsletter WHERE confirmed_ms = 0 AND asked_ms <= ?1",
                          now_ms > CODE_LIFE_MS ? now_ms - CODE_LIFE_MS : 0);
    if (!fault)
        fault = drop_over(store, "DELETE FROM mailed WHERE at_ms <= ?1", day_ago);
    if (!fault)
        fault = drop_over(store, "DELETE FROM bearers WHERE kind = 0 AND used_ms <= ?1",
                          idle_since_of(now_ms));
    if (!fault)
        fault = drop_over(store, "DELETE FROM bearers WHERE kind = 0 AND ends_ms <= ?1", now_ms);
    return fault;
}

static int count_in(struct gate_store *store, const char *text, uint64_t now_ms, uint64_t *count)
{
    sqlite3_stmt *statement = gate_statement(store, text);

    gate_bind_number(statement, 1, now_ms);
    return count_by(store, statement, count);
}

int gate_store_count(struct gate_store *store, uint64_t now_ms, struct accounts_counts *counts)
{
    int fault =
        count_in(store, "SELECT count(*) FROM eggs WHERE operator_id = 0 AND expires_ms > ?1",
                 now_ms, &counts->eggs);

    if (!fault)
        fault = count_in(store, "SELECT count(*) FROM operators WHERE ?1", 1, &counts->operators);
    if (!fault)
        fault = count_in(store, "SELECT count(*) FROM ducklings WHERE ?1", 1, &counts->ducklings);
    if (!fault)
        fault = count_in(store, "SELECT count(*) FROM bearers WHERE kind = 0 AND used_ms > ?1",
                         idle_since_of(now_ms), &counts->sessions);
    return fault;
}
