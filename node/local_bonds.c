/* Bonds, as their ends that live here have them. */
#include "clock.h"
#include "core/binary_data.h"
#include "local_parts.h"
#include "store.h"
#include "wire/local.pb-c.h"

#define BONDS_IN_ANSWER_MAX 1000u

static ProtobufCBinaryData *list_for(struct local_view *view, const struct bytes *list,
                                     size_t count)
{
    ProtobufCBinaryData *copy = local_new(view, (count + 1) * sizeof *copy);

    for (size_t i = 0; i < count; i++)
        copy[i] = lent(list[i]);
    return copy;
}

static Duck__BondTerms *compose_terms(struct local_view *view, const struct bond_terms *terms)
{
    Duck__BondTerms *composed = local_new(view, sizeof *composed);

    duck__bond_terms__init(composed);
    composed->per_minute = terms->per_minute;
    composed->per_day = terms->per_day;
    composed->budget = terms->budget;
    composed->rounds = terms->rounds;
    composed->cool_down_ms = terms->cool_down_ms;
    composed->muted_until_ms = terms->muted_until_ms;
    composed->stop_words = list_for(view, terms->stop_words, terms->stop_word_count);
    composed->n_stop_words = terms->stop_word_count;
    return composed;
}

static const char *health_of(const struct bond *bond, uint64_t used_today, uint64_t wall_ms)
{
    const struct bond_terms *terms = &bond->terms;

    if (bond->not_after_ms <= wall_ms)
        return "ended";
    if (terms->muted_until_ms > wall_ms)
        return "muted";
    if (terms->budget && bond->use.spent >= terms->budget)
        return "budget_spent";
    if (terms->per_day && used_today >= terms->per_day)
        return "daily_reached";
    return "active";
}

static Duck__BondView *compose_bond(struct local_view *view, const struct bond *bond,
                                    const struct id *end)
{
    Duck__BondView *composed = local_new(view, sizeof *composed);
    const struct id *with = id_equal(end, &bond->requester) ? &bond->approver : &bond->requester;
    uint64_t wall_ms = clock_wall_ms();

    duck__bond_view__init(composed);
    composed->bond_id = local_id(view, ID_BOND, &bond->id);
    composed->duckling = local_id(view, ID_DUCKLING, end);
    composed->with = local_id(view, ID_DUCKLING, with);
    composed->scopes = list_for(view, bond->scopes, bond->scope_count);
    composed->n_scopes = bond->scope_count;
    composed->made_ms = bond->made_ms;
    composed->not_after_ms = bond->not_after_ms;
    composed->requested_here = id_equal(end, &bond->requester);
    composed->terms = compose_terms(view, &bond->terms);
    composed->terms_ms = bond->terms_ms;
    composed->used_today = bond->use.day == wall_ms / DAY_MS ? bond->use.used_today : 0;
    composed->spent = bond->use.spent;
    composed->health = (char *)health_of(bond, composed->used_today, wall_ms);
    return composed;
}

static bool is_among(const struct id *id, const struct id *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (id_equal(id, &list[i]))
            return true;
    return false;
}

void local_view_bond(struct local_view *view, const struct question *question, void *reply)
{
    Duck__Reply *answer = reply;
    struct bond bond;

    if (!store_view_bond(view->reader, &question->bond, &view->scratch, &bond)) {
        local_problem(view, reply, REFUSAL_NOT_FOUND, "this bond ended meanwhile", "bond_id");
        return;
    }
    answer->answer_case = DUCK__REPLY__ANSWER_BOND;
    answer->bond = compose_bond(view, &bond, &bond.approver);
    if (!id_is_zero(&question->waits_for))
        answer->bond->waits_for = local_id(view, ID_WANTED, &question->waits_for);
}

/* As the loop judges its orders: anybody can bring the certificate of one that keeps its own key, and is told nothing of
 * its bonds before that key has signed that it lives here. */
static bool may_be_another(struct local_view *view, const struct id *duckling)
{
    struct directory_filter filter = {
        .duckling = *duckling, .wall_ms = clock_wall_ms(), .limit = 1};
    struct stored_duckling found;
    uint64_t next;

    return store_view_keeps_own_key(view->reader, duckling) &&
           (store_view_directory(view->reader, &filter, &view->scratch, &found, &next) == 0 ||
            !id_equal(&found.content.host, &view->api->settings.node));
}

void local_view_bonds(struct local_view *view, const void *asked, void *reply)
{
    const Duck__BondsQuery *query = asked;
    Duck__BondList *list = local_new(view, sizeof *list);
    struct bond *bonds = local_new(view, BONDS_IN_ANSWER_MAX * sizeof *bonds);
    Duck__Reply *answer = reply;
    struct id duckling = {0}, *hosted = NULL;
    size_t count, hosted_count = 0;

    if (!local_read_id(view, ID_DUCKLING, query->duckling, "duckling", &duckling, reply))
        return;
    count =
        may_be_another(view, &duckling)
            ? 0
            : store_view_bonds(view->reader, &duckling, &view->scratch, bonds, BONDS_IN_ANSWER_MAX);
    if (id_is_zero(&duckling)) {
        hosted = local_new(view, HOSTED_MAX * sizeof *hosted);
        hosted_count = store_view_hosted(view->reader, hosted, HOSTED_MAX);
    }
    duck__bond_list__init(list);
    list->bonds = local_new(view, (2 * count + 1) * sizeof *list->bonds);
    for (size_t i = 0; i < count; i++) {
        const struct bond *bond = &bonds[i];

        /* A bond between two ducklings of this node ends here twice. */
        if (id_equal(&duckling, &bond->requester) ||
            is_among(&bond->requester, hosted, hosted_count))
            list->bonds[list->n_bonds++] = compose_bond(view, bond, &bond->requester);
        if (id_equal(&duckling, &bond->approver) || is_among(&bond->approver, hosted, hosted_count))
            list->bonds[list->n_bonds++] = compose_bond(view, bond, &bond->approver);
    }
    answer->answer_case = DUCK__REPLY__ANSWER_BONDS;
    answer->bonds = list;
}
