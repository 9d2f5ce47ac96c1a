#include "withdrawals.h"

#include <assert.h>

struct taken_back {
    struct id subject;
    uint64_t until_ms;
};

struct by_operator {
    struct id operator_id;
    struct taken_back *list;
    size_t count, capacity;
    uint64_t crowded_until_ms; /* wall; when the last one has ended for which there was no room */
};

struct withdrawals {
    struct withdrawals_settings settings;
    struct by_operator operators[FLEET_OPERATORS_MAX];
    size_t count;
};

struct withdrawals *withdrawals_new(const struct withdrawals_settings *settings)
{
    struct withdrawals *withdrawals = memory_take(sizeof *withdrawals);

    withdrawals->settings = *settings;
    return withdrawals;
}

void withdrawals_free(struct withdrawals *withdrawals)
{
    if (!withdrawals)
        return;
    for (size_t i = 0; i < withdrawals->count; i++)
        memory_give_back(withdrawals->operators[i].list);
    memory_give_back(withdrawals);
}

static void enter(struct withdrawals *withdrawals)
{
    if (withdrawals->settings.enter)
        withdrawals->settings.enter(withdrawals->settings.context);
}

static void leave(struct withdrawals *withdrawals)
{
    if (withdrawals->settings.leave)
        withdrawals->settings.leave(withdrawals->settings.context);
}

static struct by_operator *find_operator(struct withdrawals *withdrawals, const struct id *id)
{
    for (size_t i = 0; i < withdrawals->count; i++)
        if (id_equal(&withdrawals->operators[i].operator_id, id))
            return &withdrawals->operators[i];
    return NULL;
}

static struct taken_back *find(const struct by_operator *by, const struct id *subject)
{
    for (size_t i = 0; i < by->count; i++)
        if (id_equal(&by->list[i].subject, subject))
            return &by->list[i];
    return NULL;
}

/* Whatever they are about has ended, too. */
static void forget_ended(struct by_operator *by, uint64_t wall_ms)
{
    size_t kept = 0;

    for (size_t i = 0; i < by->count; i++)
        if (by->list[i].until_ms + WITHDRAWAL_LIFE_MS > wall_ms)
            by->list[kept++] = by->list[i];
    by->count = kept;
}

static void add_to(struct by_operator *by, const struct withdrawn *withdrawn, uint64_t wall_ms)
{
    struct taken_back *known = find(by, &withdrawn->subject);
    uint64_t ends_ms = withdrawn->until_ms + WITHDRAWAL_LIFE_MS;

    if (known) {
        if (withdrawn->until_ms > known->until_ms)
            known->until_ms = withdrawn->until_ms;
        return;
    }
    if (by->count == WITHDRAWALS_PER_OPERATOR_MAX)
        forget_ended(by, wall_ms);
    if (by->count == WITHDRAWALS_PER_OPERATOR_MAX) {
        if (ends_ms > by->crowded_until_ms)
            by->crowded_until_ms = ends_ms;
        return;
    }
    if (by->count == by->capacity) {
        by->capacity = by->capacity ? 2 * by->capacity : 16;
        by->list = memory_resize(by->list, by->capacity * sizeof *by->list);
    }
    by->list[by->count++] = (struct taken_back){withdrawn->subject, withdrawn->until_ms};
}

void withdrawals_add(struct withdrawals *withdrawals, const struct withdrawn *withdrawn,
                     uint64_t wall_ms)
{
    struct by_operator *by;

    enter(withdrawals);
    by = find_operator(withdrawals, &withdrawn->operator_id);
    if (!by) {
        assert(withdrawals->count < FLEET_OPERATORS_MAX);
        by = &withdrawals->operators[withdrawals->count++];
        by->operator_id = withdrawn->operator_id;
    }
    add_to(by, withdrawn, wall_ms);
    leave(withdrawals);
}

uint64_t withdrawals_until_ms(struct withdrawals *withdrawals, const struct id *operator_id,
                              const struct id *subject, uint64_t wall_ms)
{
    const struct by_operator *by;
    const struct taken_back *found;
    uint64_t until_ms = 0;

    enter(withdrawals);
    by = find_operator(withdrawals, operator_id);
    found = by ? find(by, subject) : NULL;
    if (found)
        until_ms = found->until_ms;
    if (by && wall_ms < by->crowded_until_ms)
        until_ms = MOMENT_NEVER;
    leave(withdrawals);
    return until_ms;
}

bool withdrawals_name(struct withdrawals *withdrawals, const struct id *subject)
{
    bool is_named = false;

    enter(withdrawals);
    for (size_t i = 0; i < withdrawals->count && !is_named; i++)
        is_named = withdrawals->operators[i].crowded_until_ms > 0 ||
                   find(&withdrawals->operators[i], subject) != NULL;
    leave(withdrawals);
    return is_named;
}
