/* Grants, as the node of the ducklings that may be pecked knows them. */
#include "local_parts.h"
#include "store.h"
#include "wire/local.pb-c.h"

#define GRANTS_IN_ANSWER_MAX 1000u

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

void local_view_grants(struct local_view *view, const void *asked, void *reply)
{
    const Duck__GrantsQuery *query = asked;
    Duck__GrantList *list = local_new(view, sizeof *list);
    struct grant_row *rows = local_new(view, GRANTS_IN_ANSWER_MAX * sizeof *rows);
    Duck__Reply *answer = reply;
    struct id root = {0};

    if (!local_read_id(view, ID_DUCKLING, query->duckling, "duckling", &root, reply))
        return;
    duck__grant_list__init(list);
    list->n_blocks = store_view_grants(view->reader, &root, rows, GRANTS_IN_ANSWER_MAX);
    list->blocks = local_new(view, (list->n_blocks + 1) * sizeof *list->blocks);
    for (size_t i = 0; i < list->n_blocks; i++)
        list->blocks[i] = compose(view, &rows[i]);
    answer->answer_case = DUCK__REPLY__ANSWER_GRANTS;
    answer->grants = list;
}
