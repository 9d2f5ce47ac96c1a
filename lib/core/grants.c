#include "grants.h"

#include "idtable.h"
#include "moment.h"

#include <assert.h>

struct row {
    struct idtable_node by_block;
    struct grant_row row;
};

/* How many rows a grant has, by its first block. */
struct share {
    struct idtable_node by_first;
    size_t rows;
};

struct grants {
    struct idtable rows, shares;
    size_t rows_max, rows_per_grant_max;
    uint64_t next_over_ms;
};

struct grants *grants_new(size_t rows_max, size_t rows_per_grant_max)
{
    struct grants *grants = memory_take(sizeof *grants);

    idtable_init(&grants->rows);
    idtable_init(&grants->shares);
    grants->rows_max = rows_max;
    grants->rows_per_grant_max = rows_per_grant_max;
    grants->next_over_ms = MOMENT_NEVER;
    return grants;
}

void grants_free(struct grants *grants)
{
    if (!grants)
        return;
    idtable_free(&grants->rows);
    idtable_free(&grants->shares);
    memory_give_back(grants);
}

size_t grants_count(const struct grants *grants)
{
    return grants->rows.count;
}

static struct row *find(const struct grants *grants, const struct id *block)
{
    return (struct row *)idtable_find(&grants->rows, block);
}

const struct grant_row *grants_find(const struct grants *grants, const struct id *block)
{
    const struct row *row = find(grants, block);

    return row ? &row->row : NULL;
}

static size_t rows_of(const struct grants *grants, const struct id *first)
{
    const struct share *share = (const struct share *)idtable_find(&grants->shares, first);

    return share ? share->rows : 0;
}

/* `most` of one first block. */
static bool has_room(const struct grants *grants, const struct id *first, size_t rows, size_t most)
{
    return rows == 0 ||
           (grants->rows.count + rows <= grants->rows_max - GRANT_ROWS_RESERVE(grants->rows_max) &&
            rows_of(grants, first) + rows <= most);
}

static struct row *add(struct grants *grants, const struct grant_row *given)
{
    struct share *share = (struct share *)idtable_find(&grants->shares, &given->first);
    struct row *row = memory_take(sizeof *row);
    uint64_t over_ms = given->not_after_ms + GRANT_KEPT_MS;

    if (!share) {
        share = memory_take(sizeof *share);
        share->by_first.id = given->first;
        idtable_add(&grants->shares, &share->by_first);
    }
    share->rows++;
    row->by_block.id = given->block;
    row->row = *given;
    idtable_add(&grants->rows, &row->by_block);
    if (over_ms < grants->next_over_ms)
        grants->next_over_ms = over_ms;
    return row;
}

static void drop(struct grants *grants, struct row *row)
{
    struct share *share = (struct share *)idtable_find(&grants->shares, &row->row.first);

    assert(share);
    if (--share->rows == 0) {
        idtable_remove(&grants->shares, &share->by_first);
        memory_give_back(share);
    }
    idtable_remove(&grants->rows, &row->by_block);
    memory_give_back(row);
}

bool grants_restore(struct grants *grants, const struct grant_row *row)
{
    if (grants->rows.count >= grants->rows_max || find(grants, &row->block))
        return false;
    add(grants, row);
    return true;
}

static struct grant_row row_of(const struct grant *grant, size_t number)
{
    const struct grant_block *block = &grant->blocks[number];
    uint64_t end_ms = block->not_after_ms;

    for (size_t i = 0; i < number; i++)
        if (grant->blocks[i].not_after_ms < end_ms)
            end_ms = grant->blocks[i].not_after_ms;
    return (struct grant_row){.block = block->id,
                              .first = grant->blocks[0].id,
                              .root = grant->blocks[0].issuer,
                              .issuer = block->issuer,
                              .holder = block->holder,
                              .uses = block->uses,
                              .not_after_ms = end_ms};
}

/* One before it is revoked, or it has ended so long ago that no clock set back makes it live again: to
 * revoke it changes nothing. */
static bool is_dead(const struct grants *grants, const struct grant *grant,
                    const struct grant_row *made, size_t number, uint64_t wall_ms)
{
    if (made->not_after_ms + GRANT_KEPT_MS <= wall_ms)
        return true;
    for (size_t i = 0; i < number; i++) {
        const struct row *row = find(grants, &grant->blocks[i].id);

        if (row && row->row.revoked_ms > 0)
            return true;
    }
    return false;
}

enum grant_verdict grants_judge(const struct grants *grants, const struct grant *grant)
{
    size_t missing = 0;
    bool is_spent = false;

    for (size_t i = 0; i < grant->count; i++) {
        const struct row *row = find(grants, &grant->blocks[i].id);

        if (row && row->row.revoked_ms > 0)
            return GRANT_REVOKED;
        is_spent |= row && row->row.uses > 0 && row->row.used >= row->row.uses;
        missing += !row && grant->blocks[i].uses > 0;
    }
    if (is_spent)
        return GRANT_SPENT;
    return has_room(grants, &grant->blocks[0].id, missing,
                    GRANT_ROWS_FOR_USES(grants->rows_per_grant_max))
               ? GRANT_OK
               : GRANT_NO_ROOM;
}

void grants_use(struct grants *grants, const struct grant *grant, struct grant_change *change)
{
    change->row_count = 0;
    for (size_t i = 0; i < grant->count; i++) {
        struct row *row = find(grants, &grant->blocks[i].id);
        struct grant_row made = row_of(grant, i);

        if (grant->blocks[i].uses == 0)
            continue;
        if (!row)
            row = add(grants, &made);
        row->row.used++;
        change->rows[change->row_count++] = row->row;
    }
}

enum grant_verdict grants_revoke(struct grants *grants, const struct grant *grant, size_t number,
                                 bool by_root, uint64_t wall_ms, struct grant_change *change)
{
    struct grant_row made = row_of(grant, number);
    struct row *row = find(grants, &made.block);
    size_t most = GRANT_ROWS_TO_REVOKE(grants->rows_per_grant_max, number);

    change->row_count = 0;
    if ((row && row->row.revoked_ms > 0) || is_dead(grants, grant, &made, number, wall_ms))
        return GRANT_OK;
    if (!row &&
        !(by_root ? grants->rows.count < grants->rows_max : has_room(grants, &made.first, 1, most)))
        return GRANT_NO_ROOM;
    if (!row)
        row = add(grants, &made);
    row->row.revoked_ms = wall_ms > 0 ? wall_ms : 1;
    change->rows[change->row_count++] = row->row;
    return GRANT_OK;
}

/* Looks at all rows, but only when one is over. */
size_t grants_over(struct grants *grants, uint64_t wall_ms, struct id *blocks, size_t max)
{
    struct idtable_node *node, *next;
    uint64_t soonest_ms = MOMENT_NEVER;
    size_t count = 0;

    if (wall_ms < grants->next_over_ms)
        return 0;
    for (node = idtable_next(&grants->rows, NULL); node; node = next) {
        struct row *row = (struct row *)node;
        uint64_t over_ms = row->row.not_after_ms + GRANT_KEPT_MS;

        next = idtable_next(&grants->rows, node);
        if (over_ms <= wall_ms && count < max) {
            blocks[count++] = row->row.block;
            drop(grants, row);
        } else if (over_ms < soonest_ms) {
            soonest_ms = over_ms;
        }
    }
    grants->next_over_ms = soonest_ms;
    return count;
}
