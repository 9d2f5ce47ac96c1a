#include "grants.h"

#include "idtable.h"
#include "moment.h"

#include <assert.h>

struct row {
    struct idtable_node by_block;
    struct grant_row row;
};

/* How many rows a grant has, by its first block, or a root. */
struct share {
    struct idtable_node by_id;
    size_t rows;
};

struct grants {
    struct grants_limits limits;
    struct idtable rows, of_grants, of_roots;
    uint64_t next_over_ms;
};

const struct grants_limits grants_limits_default = {
    .rows = GRANT_ROWS_MAX,
    .rows_per_root = GRANT_ROWS_PER_ROOT_MAX,
    .rows_per_grant = GRANT_ROWS_PER_GRANT_MAX,
};

struct grants *grants_new(const struct grants_limits *limits)
{
    struct grants *grants = memory_take(sizeof *grants);

    grants->limits = *limits;
    idtable_init(&grants->rows);
    idtable_init(&grants->of_grants);
    idtable_init(&grants->of_roots);
    grants->next_over_ms = MOMENT_NEVER;
    return grants;
}

void grants_free(struct grants *grants)
{
    if (!grants)
        return;
    idtable_free(&grants->rows);
    idtable_free(&grants->of_grants);
    idtable_free(&grants->of_roots);
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

static size_t rows_of(const struct idtable *shares, const struct id *id)
{
    const struct share *share = (const struct share *)idtable_find(shares, id);

    return share ? share->rows : 0;
}

static void count_in(struct idtable *shares, const struct id *id)
{
    struct share *share = (struct share *)idtable_find(shares, id);

    if (!share) {
        share = memory_take(sizeof *share);
        share->by_id.id = *id;
        idtable_add(shares, &share->by_id);
    }
    share->rows++;
}

static void count_out(struct idtable *shares, const struct id *id)
{
    struct share *share = (struct share *)idtable_find(shares, id);

    assert(share);
    if (--share->rows > 0)
        return;
    idtable_remove(shares, &share->by_id);
    memory_give_back(share);
}

/* For `rows` more; `most` of its first block. */
static bool has_room(const struct grants *grants, const struct grant_block *first, size_t rows,
                     size_t most)
{
    const struct grants_limits *limits = &grants->limits;

    return rows == 0 ||
           (grants->rows.count + rows <= limits->rows - GRANT_ROWS_RESERVE(limits->rows) &&
            rows_of(&grants->of_roots, &first->issuer) + rows <=
                GRANT_ROWS_FOR_USES(limits->rows_per_root) &&
            rows_of(&grants->of_grants, &first->id) + rows <= most);
}

/* For a revocation by the root itself: nobody but itself takes its room. */
static bool has_room_for_root(const struct grants *grants, const struct id *root)
{
    const struct grants_limits *limits = &grants->limits;
    size_t own = rows_of(&grants->of_roots, root);

    if (grants->rows.count >= limits->rows - GRANT_ROWS_RESERVE(limits->rows))
        return grants->rows.count < limits->rows && own < GRANT_ROWS_FEW(limits->rows_per_root);
    return own < limits->rows_per_root;
}

static struct row *add(struct grants *grants, const struct grant_row *given)
{
    struct row *row = memory_take(sizeof *row);
    uint64_t over_ms = given->not_after_ms + GRANT_KEPT_MS;

    count_in(&grants->of_grants, &given->first);
    count_in(&grants->of_roots, &given->root);
    row->by_block.id = given->block;
    row->row = *given;
    idtable_add(&grants->rows, &row->by_block);
    if (over_ms < grants->next_over_ms)
        grants->next_over_ms = over_ms;
    return row;
}

static void drop(struct grants *grants, struct row *row)
{
    count_out(&grants->of_grants, &row->row.first);
    count_out(&grants->of_roots, &row->row.root);
    idtable_remove(&grants->rows, &row->by_block);
    memory_give_back(row);
}

bool grants_restore(struct grants *grants, const struct grant_row *row)
{
    if (grants->rows.count >= grants->limits.rows || find(grants, &row->block))
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
    return has_room(grants, &grant->blocks[0], missing,
                    GRANT_ROWS_FOR_USES(grants->limits.rows_per_grant))
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
    size_t most = GRANT_ROWS_TO_REVOKE(grants->limits.rows_per_grant, number);

    change->row_count = 0;
    if ((row && row->row.revoked_ms > 0) || is_dead(grants, grant, &made, number, wall_ms))
        return GRANT_OK;
    if (!row && !(by_root ? has_room_for_root(grants, &made.root)
                          : has_room(grants, &grant->blocks[0], 1, most)))
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
