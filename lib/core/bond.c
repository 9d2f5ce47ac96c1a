#include "bond.h"

#include <assert.h>

#define SLOTS_MIN 16u

/* A bond, and its places in the two chains of its hash buckets: by id and by pair. */
struct held {
    struct bond bond;
    struct held *next_by_id, *next_by_pair;
    struct bond_meter meter;
    struct held *next_counted; /* of those whose meter is to be kept */
    bool is_counted;
    uint64_t renew_ms; /* steady */
    uint8_t text[];    /* what bond.scopes and the stop words point to */
};

struct bonds {
    size_t max, count, slots; /* slots: a power of two */
    size_t changed;           /* of them, by their approvers after they were made */
    uint64_t next_end_ms;     /* wall; no bond ends sooner */
    uint64_t next_renewal_ms; /* steady */
    struct held **by_id, **by_pair;
    struct held *counted;
};

struct bonds *bonds_new(size_t bonds_max)
{
    struct bonds *bonds = memory_take(sizeof *bonds);

    bonds->max = bonds_max;
    bonds->slots = SLOTS_MIN;
    bonds->next_end_ms = bonds->next_renewal_ms = MOMENT_NEVER;
    bonds->by_id = memory_take(bonds->slots * sizeof *bonds->by_id);
    bonds->by_pair = memory_take(bonds->slots * sizeof *bonds->by_pair);
    return bonds;
}

static size_t text_size(const struct bond *bond)
{
    size_t size = 0;

    for (size_t i = 0; i < bond->scope_count; i++)
        size += bond->scopes[i].size;
    for (size_t i = 0; i < bond->terms.stop_word_count; i++)
        size += bond->terms.stop_words[i].size;
    return size;
}

static uint8_t *copy_texts(struct bytes *texts, size_t count, uint8_t *to)
{
    for (size_t i = 0; i < count; i++) {
        if (texts[i].size > 0)
            memcpy(to, texts[i].data, texts[i].size);
        texts[i].data = to;
        to += texts[i].size;
    }
    return to;
}

static struct held *held_new(const struct bond *bond)
{
    struct held *held;
    uint8_t *end;

    assert(bond->scope_count <= PECK_SCOPES_MAX &&
           bond->terms.stop_word_count <= BOND_STOP_WORDS_MAX);
    held = memory_take(sizeof *held + text_size(bond));
    held->bond = *bond;
    held->meter.use = bond->use;
    end = copy_texts(held->bond.scopes, bond->scope_count, held->text);
    copy_texts(held->bond.terms.stop_words, bond->terms.stop_word_count, end);
    return held;
}

static void held_free(struct held *held)
{
    bond_meter_end(&held->meter);
    memory_give_back(held);
}

void bonds_free(struct bonds *bonds)
{
    if (!bonds)
        return;
    for (size_t i = 0; i < bonds->slots; i++)
        for (struct held *held = bonds->by_id[i], *next; held; held = next) {
            next = held->next_by_id;
            held_free(held);
        }
    memory_give_back(bonds->by_id);
    memory_give_back(bonds->by_pair);
    memory_give_back(bonds);
}

static uint64_t key_of(const struct id *id)
{
    uint64_t key;

    memcpy(&key, id->bytes, sizeof key);
    return key;
}

static struct held **bucket_by_id(const struct bonds *bonds, const struct id *id)
{
    return &bonds->by_id[key_of(id) & (bonds->slots - 1)];
}

/* The same for (one, other) and (other, one). */
static struct held **bucket_by_pair(const struct bonds *bonds, const struct id *one,
                                    const struct id *other)
{
    return &bonds->by_pair[(key_of(one) ^ key_of(other)) & (bonds->slots - 1)];
}

static void link_in(struct bonds *bonds, struct held *held)
{
    struct held **by_id = bucket_by_id(bonds, &held->bond.id);
    struct held **by_pair = bucket_by_pair(bonds, &held->bond.requester, &held->bond.approver);

    held->next_by_id = *by_id;
    *by_id = held;
    held->next_by_pair = *by_pair;
    *by_pair = held;
}

static bool is_changed(const struct bond *bond)
{
    return bond->terms_ms > bond->made_ms;
}

static void widen(struct bonds *bonds)
{
    struct held **old = bonds->by_id;
    size_t slots = bonds->slots;

    bonds->slots *= 2;
    memory_give_back(bonds->by_pair);
    bonds->by_id = memory_take(bonds->slots * sizeof *bonds->by_id);
    bonds->by_pair = memory_take(bonds->slots * sizeof *bonds->by_pair);
    for (size_t i = 0; i < slots; i++)
        for (struct held *held = old[i], *next; held; held = next) {
            next = held->next_by_id;
            link_in(bonds, held);
        }
    memory_give_back(old);
}

static struct held *find(const struct bonds *bonds, const struct id *id)
{
    struct held *held = *bucket_by_id(bonds, id);

    while (held && !id_equal(&held->bond.id, id))
        held = held->next_by_id;
    return held;
}

/* What is to be kept of a bond that goes is not kept. */
static void forget_counted(struct bonds *bonds, const struct held *held)
{
    struct held **link = &bonds->counted;

    if (!held->is_counted)
        return;
    while (*link != held)
        link = &(*link)->next_counted;
    *link = held->next_counted;
}

static void note_counted(struct bonds *bonds, struct held *held)
{
    if (held->is_counted || (!held->meter.use_changed && !held->meter.threads_changed))
        return;
    held->is_counted = true;
    held->next_counted = bonds->counted;
    bonds->counted = held;
}

static void link_out(struct bonds *bonds, struct held *held)
{
    struct held **link = bucket_by_id(bonds, &held->bond.id);

    while (*link != held)
        link = &(*link)->next_by_id;
    *link = held->next_by_id;
    link = bucket_by_pair(bonds, &held->bond.requester, &held->bond.approver);
    while (*link != held)
        link = &(*link)->next_by_pair;
    *link = held->next_by_pair;
    forget_counted(bonds, held);
    bonds->count--;
    bonds->changed -= is_changed(&held->bond);
}

static void replace(struct bonds *bonds, struct held *old, struct held *held)
{
    link_out(bonds, old);
    held->meter = old->meter;
    held->bond.use = old->meter.use;
    memory_give_back(old);
}

bool bonds_add(struct bonds *bonds, const struct bond *bond)
{
    struct held *old = find(bonds, &bond->id), *held;

    if (bonds->count >= bonds->max && !old)
        return false;
    held = held_new(bond);
    if (old)
        replace(bonds, old, held);
    if (bonds->count >= bonds->slots)
        widen(bonds);
    link_in(bonds, held);
    bonds->count++;
    bonds->changed += is_changed(&held->bond);
    note_counted(bonds, held);
    if (held->bond.not_after_ms < bonds->next_end_ms)
        bonds->next_end_ms = held->bond.not_after_ms;
    bonds->next_renewal_ms = held->renew_ms = 0;
    return true;
}

bool bonds_remove(struct bonds *bonds, const struct id *bond)
{
    struct held *held = find(bonds, bond);

    if (!held)
        return false;
    link_out(bonds, held);
    held_free(held);
    return true;
}

const struct bond *bonds_find(const struct bonds *bonds, const struct id *bond)
{
    const struct held *held = find(bonds, bond);

    return held ? &held->bond : NULL;
}

static bool is_between(const struct bond *bond, const struct id *one, const struct id *other)
{
    return (id_equal(&bond->requester, one) && id_equal(&bond->approver, other)) ||
           (id_equal(&bond->requester, other) && id_equal(&bond->approver, one));
}

const struct bond *bonds_between(const struct bonds *bonds, const struct id *one,
                                 const struct id *other)
{
    for (const struct held *held = *bucket_by_pair(bonds, one, other); held;
         held = held->next_by_pair) {
        if (is_between(&held->bond, one, other))
            return &held->bond;
    }
    return NULL;
}

size_t bonds_count(const struct bonds *bonds)
{
    return bonds->count;
}

size_t bonds_over(struct bonds *bonds, uint64_t wall_ms, struct id *ids, size_t max)
{
    uint64_t next_end_ms = MOMENT_NEVER;
    size_t count = 0;

    if (wall_ms < bonds->next_end_ms)
        return 0;
    for (size_t i = 0; i < bonds->slots; i++)
        for (const struct held *held = bonds->by_id[i]; held; held = held->next_by_id) {
            if (held->bond.not_after_ms <= wall_ms && count < max)
                ids[count++] = held->bond.id;
            else if (held->bond.not_after_ms < next_end_ms)
                next_end_ms = held->bond.not_after_ms;
        }
    bonds->next_end_ms = next_end_ms;
    return count;
}

uint64_t bonds_next_end_ms(const struct bonds *bonds)
{
    return bonds->next_end_ms;
}

void bonds_renew(struct bonds *bonds, uint64_t now_ms,
                 uint64_t (*renew)(void *context, const struct bond *bond), void *context)
{
    uint64_t next_ms = MOMENT_NEVER;

    if (now_ms < bonds->next_renewal_ms)
        return;
    for (size_t i = 0; i < bonds->slots; i++)
        for (struct held *held = bonds->by_id[i]; held; held = held->next_by_id) {
            if (held->renew_ms <= now_ms)
                held->renew_ms = renew(context, &held->bond);
            if (held->renew_ms < next_ms)
                next_ms = held->renew_ms;
        }
    if (next_ms != MOMENT_NEVER && next_ms > now_ms + BONDS_LOOK_MS)
        next_ms += BONDS_LOOK_MS - 1 - (next_ms - 1) % BONDS_LOOK_MS;
    bonds->next_renewal_ms = next_ms;
}

void bonds_hurry(struct bonds *bonds)
{
    for (size_t i = 0; i < bonds->slots; i++)
        for (struct held *held = bonds->by_id[i]; held; held = held->next_by_id)
            held->renew_ms = 0;
    bonds->next_renewal_ms = bonds->count > 0 ? 0 : MOMENT_NEVER;
}

uint64_t bonds_next_renewal_ms(const struct bonds *bonds)
{
    return bonds->next_renewal_ms;
}

void bonds_each_changed(const struct bonds *bonds,
                        void (*visit)(void *context, const struct bond *bond), void *context)
{
    size_t left = bonds->changed;

    for (size_t i = 0; i < bonds->slots && left > 0; i++)
        for (const struct held *held = bonds->by_id[i]; held; held = held->next_by_id)
            if (is_changed(&held->bond)) {
                visit(context, &held->bond);
                left--;
            }
}

void bonds_each_of(const struct bonds *bonds, const struct id *end,
                   void (*visit)(void *context, const struct bond *bond), void *context)
{
    for (size_t i = 0; i < bonds->slots; i++)
        for (const struct held *held = bonds->by_id[i]; held; held = held->next_by_id)
            if (!end || id_equal(&held->bond.requester, end) || id_equal(&held->bond.approver, end))
                visit(context, &held->bond);
}

static bool covers(const struct bond *bond, const struct id *from, const struct id *to,
                   struct bytes action, uint64_t wall_ms)
{
    if (!id_equal(&bond->requester, from) || !id_equal(&bond->approver, to) ||
        bond->not_after_ms <= wall_ms)
        return false;
    for (size_t i = 0; i < bond->scope_count; i++)
        if (peck_scope_covers(bond->scopes[i], action))
            return true;
    return false;
}

const struct bond *bonds_cover(const struct bonds *bonds, const struct id *from,
                               const struct id *to, struct bytes action, uint64_t wall_ms)
{
    for (const struct held *held = *bucket_by_pair(bonds, from, to); held;
         held = held->next_by_pair)
        if (covers(&held->bond, from, to, action, wall_ms))
            return &held->bond;
    return NULL;
}

/* ---- limits ---- */

static struct bond_decision admit(const struct bonds *bonds, const struct bond_action *action,
                                  const struct moment *at, bool rounds_alone)
{
    struct bond_decision decision = {.verdict = BOND_COVERS_NOT};

    for (struct held *held = *bucket_by_pair(bonds, action->from, action->to); held;
         held = held->next_by_pair) {
        const struct bond_terms *terms = &held->bond.terms;
        enum bond_verdict verdict;
        uint64_t retry_after_ms;

        if (!covers(&held->bond, action->from, action->to, action->action, at->wall_ms))
            continue;
        verdict = rounds_alone ? bond_meter_judge_rounds(&held->meter, terms, action->thread,
                                                         at->wall_ms, &retry_after_ms)
                               : bond_meter_judge(&held->meter, terms, action->payload,
                                                  action->thread, at, &retry_after_ms);
        if (verdict == BOND_ADMITS || !decision.bond)
            decision = (struct bond_decision){verdict, &held->bond, retry_after_ms};
        if (verdict == BOND_ADMITS)
            break;
    }
    return decision;
}

struct bond_decision bonds_admit(struct bonds *bonds, const struct bond_action *action,
                                 const struct moment *at)
{
    return admit(bonds, action, at, false);
}

struct bond_decision bonds_admit_round(const struct bonds *bonds, const struct bond_action *action,
                                       const struct moment *at)
{
    return admit(bonds, action, at, true);
}

void bonds_count_action(struct bonds *bonds, const struct id *bond, uint64_t wall_ms)
{
    struct held *held = find(bonds, bond);

    if (!held)
        return;
    bond_meter_count_action(&held->meter, &held->bond.terms, wall_ms);
    held->bond.use = held->meter.use;
    note_counted(bonds, held);
}

void bonds_charge(struct bonds *bonds, const struct bond_action *action, uint64_t units,
                  uint64_t wall_ms)
{
    struct held *held = *bucket_by_pair(bonds, action->from, action->to);

    while (held && !(held->bond.terms.budget &&
                     covers(&held->bond, action->from, action->to, action->action, wall_ms)))
        held = held->next_by_pair;
    if (!held)
        return;
    bond_meter_charge(&held->meter, &held->bond.terms, units);
    held->bond.use = held->meter.use;
    note_counted(bonds, held);
}

size_t bonds_count_round(struct bonds *bonds, const struct id *from, const struct id *to,
                         struct bytes thread, uint64_t wall_ms, struct id *last, size_t max)
{
    size_t count = 0;

    for (struct held *held = *bucket_by_pair(bonds, from, to); held; held = held->next_by_pair) {
        if (!is_between(&held->bond, from, to) || held->bond.not_after_ms <= wall_ms)
            continue;
        if (bond_meter_count_round(&held->meter, &held->bond.terms, thread, wall_ms) && count < max)
            last[count++] = held->bond.id;
        note_counted(bonds, held);
    }
    return count;
}

bool bonds_may_tell(struct bonds *bonds, const struct id *bond, enum bond_verdict verdict,
                    uint64_t now_ms)
{
    struct held *held = find(bonds, bond);

    if (!held || held->meter.tell_at_ms[verdict] > now_ms)
        return false;
    held->meter.tell_at_ms[verdict] = now_ms + BOND_TELL_EVERY_MS;
    return true;
}

bool bonds_poll_count(struct bonds *bonds, struct bond_count *count)
{
    struct held *held = bonds->counted;

    if (!held)
        return false;
    *count = (struct bond_count){.bond = held->bond.id};
    if (held->meter.use_changed) {
        count->use = held->meter.use;
        held->meter.use_changed = false;
    } else {
        count->is_thread = true;
        while (!(held->meter.threads_changed >> count->place & 1))
            count->place++;
        count->thread = held->meter.threads[count->place];
        held->meter.threads_changed &= ~(1u << count->place);
    }
    if (!held->meter.use_changed && !held->meter.threads_changed) {
        bonds->counted = held->next_counted;
        held->is_counted = false;
    }
    return true;
}

void bonds_restore_thread(struct bonds *bonds, const struct bond_count *count)
{
    struct held *held = find(bonds, &count->bond);

    if (held)
        bond_meter_restore_thread(&held->meter, count->place, &count->thread);
}
