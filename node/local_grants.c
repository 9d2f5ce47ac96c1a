/* Grants, as the node of the ducklings that may be pecked knows them. */
#include "local_parts.h"
#include "store.h"
#include "wire/local.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define GRANTS_IN_ANSWER_MAX 1000u
#define CURSOR_SIZE (20 + 1 + ID_TEXT_SIZE) /* the end of the last block, and its id */

static Duck__GrantView *compose(struct local_view *view, const struct grant_row *row)
{
    Duck__GrantView *composed = local_new(view, sizeof *composed);

    duck__grant_view__init(composed);
    composed->block_id = local_id(view, ID_GRANT, &row->block);
    composed->first_id = local_id(view, ID_GRANT, &row->first);
    composed->target = local_id(view, ID_DUCKLING, &row->root);
    composed->issuer = local_id(view, ID_DUCKLING, &row->issuer);
    composed->holder = local_id(view, ID_DUCKLING, &row->holder);
    composed->uses = row->uses;
    composed->used = row->used;
    composed->revoked_ms = row->revoked_ms;
    composed->not_after_ms = row->not_after_ms;
    return composed;
}

static char *write_cursor(struct local_view *view, const struct grant_row *last)
{
    char *cursor = local_new(view, CURSOR_SIZE), block[ID_TEXT_SIZE];

    snprintf(cursor, CURSOR_SIZE, "%" PRIu64 ".%s", last->not_after_ms,
             id_text(ID_GRANT, &last->block, block));
    return cursor;
}

/* By place and not by number: rows come and go between two pages. */
static bool read_cursor(struct local_view *view, const char *cursor, struct grant_row *after,
                        void *reply)
{
    char *end;

    if (!*cursor)
        return true;
    errno = 0;
    after->not_after_ms = strtoull(cursor, &end, 10);
    if (cursor[0] >= '0' && cursor[0] <= '9' && !errno && *end == '.' &&
        id_parse(ID_GRANT, bytes_of_text(end + 1), &after->block))
        return true;
    local_problem(view, reply, REFUSAL_MALFORMED, "a cursor is the next_cursor of the page before",
                  "cursor");
    return false;
}

void local_view_grants(struct local_view *view, const void *asked, void *reply)
{
    const Duck__GrantsQuery *query = asked;
    Duck__GrantList *list = local_new(view, sizeof *list);
    size_t limit = query->limit ? query->limit : GRANTS_IN_ANSWER_MAX, count;
    struct grant_row after = {0}, *rows;
    Duck__Reply *answer = reply;
    struct id root = {0};

    if (limit > GRANTS_IN_ANSWER_MAX) {
        local_problem(view, reply, REFUSAL_MALFORMED, "a list is of at most 1000", "limit");
        return;
    }
    if (!local_read_id(view, ID_DUCKLING, query->duckling, "duckling", &root, reply) ||
        !read_cursor(view, query->cursor, &after, reply))
        return;
    rows = local_new(view, (limit + 1) * sizeof *rows); /* one more: is there another page? */
    count = store_view_grants(view->reader, &root, &after, rows, limit + 1);
    duck__grant_list__init(list);
    list->n_blocks = count < limit ? count : limit;
    list->blocks = local_new(view, (list->n_blocks + 1) * sizeof *list->blocks);
    for (size_t i = 0; i < list->n_blocks; i++)
        list->blocks[i] = compose(view, &rows[i]);
    if (count > limit)
        list->next_cursor = write_cursor(view, &rows[limit - 1]);
    answer->answer_case = DUCK__REPLY__ANSWER_GRANTS;
    answer->grants = list;
}
