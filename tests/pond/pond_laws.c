/* Laws: what may never be, whatever happens. Checked where it would come to be (a keep, a receipt
 * that leaves, a peck that is handed out), or once in a simulated second. */
#include "pond_parts.h"

#include <stdarg.h>

#define BROKEN_SIZE (LINES_KEPT * LINE_SIZE + 2048)

void law_broken(struct pond *pond, const char *law, const char *format, ...)
{
    char what[512];
    va_list arguments;
    size_t used;

    if (pond->broken)
        return; /* what follows from it says nothing */
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    pond->broken = memory_take(BROKEN_SIZE);
    used = (size_t)snprintf(
        pond->broken, BROKEN_SIZE, "law broken: %s\n  %s\n  seed %llu, at %llu ms; before it:\n",
        law, what, (unsigned long long)pond->wish.seed, (unsigned long long)(pond->now_us / MS_US));
    for (uint64_t i = pond->line_count > LINES_KEPT ? pond->line_count - LINES_KEPT : 0;
         i < pond->line_count && used + LINE_SIZE < BROKEN_SIZE; i++)
        used += (size_t)snprintf(pond->broken + used, BROKEN_SIZE - used, "%s\n",
                                 pond->lines[i % LINES_KEPT]);
}

const char *pond_broken(const struct pond *pond)
{
    return pond->broken;
}

/* ---- records ---- */

static const char *name_owner(const struct pond *pond, const struct id *id)
{
    const struct owner *owner = records_owner(pond->records, id);

    return owner ? pond->nodes[owner->node].name : "a stranger";
}

/* What an honest agent signs is genuine, and above all that others may have seen of its owner. */
static void judge_own(struct pond *pond, struct pond_node *node, struct pooled *record)
{
    struct owner *owner = records_add_owner(pond->records, &record->owner, node->index, false);

    record->genuine = true;
    if (record->kind == RECORD_NODE)
        owner->node_version = record->version;
    if (version_compare(record->version, owner->published) <= 0)
        law_broken(pond, "no version is published twice, in any life of a node",
                   "%s publishes a %s record again at version %llu.%u", node->name,
                   record_kind_name(record->kind), (unsigned long long)record->version.ms,
                   record->version.count);
}

static void judge_return(struct pond *pond, const struct pond_node *node,
                         const struct pooled *record)
{
    for (size_t i = 0; i < node->store.ended_count; i++) {
        const struct pooled *ended = node->store.ended[i].record;

        if (ended->name == record->name && version_compare(record->version, ended->version) <= 0)
            law_broken(pond, "a record that ended does not come back",
                       "%s takes a %s record of %s that is no newer than one that ended",
                       node->name, record_kind_name(record->kind),
                       name_owner(pond, &record->owner));
    }
}

static void judge_taken(struct pond *pond, struct pond_node *node, const struct effect *effect,
                        const struct pooled *record, bool is_kept)
{
    const struct owner *owner = records_owner(pond->records, &record->owner);
    const struct pooled *replaced = records_find(pond->records, &effect->record.replaced);
    static const struct hash none;

    judge_return(pond, node, record);
    if (owner && !owner->hostile && !record->genuine)
        law_broken(pond, "no forged record is held", "%s takes a %s record that %s did not sign",
                   node->name, record_kind_name(record->kind), name_owner(pond, &record->owner));
    if (!is_kept || hash_equal(&effect->record.replaced, &none))
        return;
    if (!replaced || !held_set_has(&node->store.records, replaced))
        law_broken(pond, "what is replaced was held", "%s replaces what it does not hold",
                   node->name);
    else if (replaced->name != record->name)
        law_broken(pond, "a record replaces its own kind", "%s replaces one thing by another",
                   node->name);
    else if (!record_is_newer(record->version, &record->hash, replaced->version, &replaced->hash))
        law_broken(pond, "versions of a held record never fall",
                   "%s holds a %s record of %s of an older version than before", node->name,
                   record_kind_name(record->kind), name_owner(pond, &record->owner));
}

/* ---- where things come to be ---- */

void laws_before_keep(struct pond *pond, struct pond_node *node, const struct effect *effect,
                      bool is_kept)
{
    if (effect->kind == EFFECT_KEEP_RECORD) {
        struct pooled *record = records_pool(pond->records, &effect->record.item);

        if (effect->record.own)
            judge_own(pond, node, record);
        judge_taken(pond, node, effect, record, is_kept);
        laws_judge_withdrawn(pond, node, &effect->record.item);
    } else if (effect->kind == EFFECT_KEEP_PECK) {
        laws_judge_peck(pond, node, effect, is_kept);
    } else if (effect->kind == EFFECT_KEEP_CONTEXT && is_kept) {
        contexts_hear_kept(pond, effect->context);
    } else if (effect->kind == EFFECT_KEEP_BOND) {
        laws_judge_bond(pond, node, effect->bond);
    } else if (effect->kind == EFFECT_KEEP_LOBSTER && is_kept) {
        laws_judge_lobster(pond, node, effect->lobster.lobster);
    } else if (effect->kind == EFFECT_DROP_LOBSTER && is_kept) {
        trace_line(pond, node, "has a lobster bind no more: %s", effect->lobster.why);
    } else if (effect->kind == EFFECT_KEEP_PARTIAL) {
        laws_judge_partial(pond, node, effect, is_kept);
    } else if (effect->kind == EFFECT_KEEP_RECEIPT && is_kept) {
        laws_judge_receipt(pond, node, effect);
    }
}

static void note_published(struct pond *pond, const struct effect *effect)
{
    struct owner *owner = records_owner(pond->records, &effect->record.item.record.owner);

    if (version_compare(effect->record.item.record.version, owner->published) > 0)
        owner->published = effect->record.item.record.version;
}

void laws_at_let_out(struct pond *pond, struct pond_node *node, const struct effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        const struct effect *effect = &effects->list[i];

        if (effect->kind == EFFECT_KEEP_RECORD && effect->record.own)
            note_published(pond, effect);
        else if (effect->kind == EFFECT_KEEP_RECEIPT && effect->receipt.box == BOX_IN &&
                 effect->receipt.kind == RECEIPT_TAKEN)
            laws_watch(pond, &effect->receipt.peck)->taken_said = true;
        else if (effect->kind == EFFECT_REPLY && effect->reply.taken_count > 0)
            laws_judge_hand_out(pond, node, effect);
    }
}

/* ---- while foxes go on ---- */

/* A victim that is surrounded fetches from one neighbour after the other, and each fox can hold it
 * for REPAIR_STILL_MS before it is left in peace. */
#define HEARD_WITHIN_MS (60 * SECOND_MS)

/* Of each name the version that its owner's node holds; zero: no healthy node's. */
static struct version *what_healthy_say(const struct pond *pond, size_t *names)
{
    struct version *said = memory_take((records_names(pond->records) + 1) * sizeof *said);

    *names = records_names(pond->records);
    for (size_t node = 0; node < pond->wish.nodes; node++) {
        const struct held_set *set = &pond->nodes[node].store.records;

        for (size_t i = 0; i < set->slot_count; i++) {
            const struct pooled *record =
                set->slots[i] ? records_at(pond->records, set->slots[i] - 1) : NULL;
            const struct owner *owner =
                record && record->genuine ? records_owner(pond->records, &record->owner) : NULL;

            if (owner && owner->node == node)
                said[record->name] = record->version;
        }
    }
    return said;
}

/* The first of those names that `set` lacks, or has of an older version; `names`: it has them all. */
static size_t find_unheard(const struct pond *pond, const struct held_set *set,
                           const struct version *said, size_t names)
{
    bool *heard = memory_take((names + 1) * sizeof *heard);
    size_t first = 0;

    for (size_t i = 0; i < set->slot_count; i++) {
        const struct pooled *record =
            set->slots[i] ? records_at(pond->records, set->slots[i] - 1) : NULL;

        if (record && record->name < names &&
            version_compare(record->version, said[record->name]) >= 0)
            heard[record->name] = true;
    }
    while (first < names && (heard[first] || said[first].ms == 0))
        first++;
    memory_give_back(heard);
    return first;
}

static const struct pooled *find_said(const struct pond *pond, const struct version *said,
                                      size_t name)
{
    for (uint32_t i = 0; i < records_count(pond->records); i++) {
        const struct pooled *record = records_at(pond->records, i);

        if (record->name == name && version_compare(record->version, said[name]) == 0)
            return record;
    }
    return NULL;
}

static bool all_hear(const struct pond *pond, const struct version *said, size_t names,
                     char why[256])
{
    for (size_t i = 0; i < pond->wish.nodes; i++) {
        size_t lacking = find_unheard(pond, &pond->nodes[i].store.records, said, names);
        const struct pooled *record;
        char owner[ID_TEXT_SIZE];

        if (lacking == names)
            continue;
        record = find_said(pond, said, lacking);
        assert(record);
        snprintf(why, 256, "%s lacks a %s record by %s, of %s, made at %lld ms, which ends at %lld",
                 pond->nodes[i].name, record_kind_name(record->kind),
                 pond->nodes[records_owner(pond->records, &record->owner)->node].name,
                 id_text(ID_NODE, &record->owner, owner),
                 (long long)(record->version.ms - POND_BORN_MS),
                 (long long)(record->not_after_ms - POND_BORN_MS));
        return false;
    }
    return true;
}

/* What is of somebody that was revoked meanwhile its own node holds no more. */
static void forget_unsaid(const struct pond *pond, struct version *said, size_t names)
{
    size_t now;
    struct version *still = what_healthy_say(pond, &now);

    for (size_t i = 0; i < names; i++)
        if (still[i].ms == 0)
            said[i] = still[i];
    memory_give_back(still);
}

bool laws_healthy_are_heard(struct pond *pond)
{
    uint64_t since_ms = pond_now_ms(pond);
    bool goes_on = pond_run(pond, SECOND_MS); /* who starts says so first */
    size_t names;
    struct version *said = what_healthy_say(pond, &names);
    char why[256] = "";

    while (goes_on && !all_hear(pond, said, names, why)) {
        if (pond_now_ms(pond) > since_ms + HEARD_WITHIN_MS)
            law_broken(pond, "hostile nodes keep from nobody what healthy ones say",
                       "not after %llu ms: %s", (unsigned long long)HEARD_WITHIN_MS, why);
        goes_on = pond_run(pond, SECOND_MS);
        forget_unsaid(pond, said, names);
    }
    memory_give_back(said);
    pond->sums.heard_ms = pond_now_ms(pond) - since_ms;
    return goes_on;
}

/* ---- once in a second ---- */

static void judge_bounds(struct pond *pond, const struct pond_node *node)
{
    struct agent_figures figures;

    agent_figures(node->agent, &figures);
    if (figures.records > DIRECTORY_MAX + HOSTED_MAX * RECORDS_PER_OWNER_MAX ||
        figures.outbox > OUTBOX_MAX || figures.tray > TRAY_MAX || figures.bonds > BONDS_MAX ||
        figures.hosted > HOSTED_MAX)
        law_broken(pond, "every table is within its bound", "%s is not", node->name);
    if (figures.records != node->store.records.count)
        law_broken(pond, "memory and disk hold the same",
                   "%s has %zu records in memory and %zu on its disk", node->name, figures.records,
                   node->store.records.count);
}

void laws_look(struct pond *pond)
{
    membership_look(pond);
    for (size_t i = 0; i < pond->wish.nodes; i++)
        if (pond->nodes[i].up)
            judge_bounds(pond, &pond->nodes[i]);
}
