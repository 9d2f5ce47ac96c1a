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
    if (version_compare(record->version, owner->published) <= 0)
        law_broken(pond, "no version is published twice, in any life of a node",
                   "%s publishes a %s record again at version %llu.%u", node->name,
                   record_kind_name(record->kind), (unsigned long long)record->version.ms,
                   record->version.count);
}

static void judge_taken(struct pond *pond, struct pond_node *node, const struct effect *effect,
                        const struct pooled *record, bool is_kept)
{
    const struct owner *owner = records_owner(pond->records, &record->owner);
    const struct pooled *replaced = records_find(pond->records, &effect->record.replaced);
    static const struct hash none;

    if (owner && !owner->hostile && !record->genuine)
        law_broken(pond, "no forged record is held", "%s takes a %s record that %s did not sign",
                   node->name, record_kind_name(record->kind), name_owner(pond, &record->owner));
    if (!is_kept || hash_equal(&effect->record.replaced, &none))
        return;
    if (!replaced || !held_set_has(&node->store.records, replaced))
        law_broken(pond, "what is replaced was held", "%s replaces what it does not hold",
                   node->name);
    else if (!id_equal(&replaced->owner, &record->owner) || replaced->kind != record->kind ||
             replaced->key_name != record->key_name)
        law_broken(pond, "a record replaces its own kind", "%s replaces one thing by another",
                   node->name);
    else if (!record_is_newer(record->version, &record->hash, replaced->version, &replaced->hash))
        law_broken(pond, "versions of a held record never fall",
                   "%s holds a %s record of %s of an older version than before", node->name,
                   record_kind_name(record->kind), name_owner(pond, &record->owner));
}

/* ---- pecks ---- */

struct watched *laws_watch(struct pond *pond, const struct id *peck)
{
    struct watched *watched = (struct watched *)idtable_find(&pond->watched, peck);

    if (watched)
        return watched;
    watched = memory_take(sizeof *watched);
    watched->by_id.id = *peck;
    watched->from = watched->to = NOBODY;
    idtable_add(&pond->watched, &watched->by_id);
    return watched;
}

static void judge_peck(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    struct watched *watched = laws_watch(pond, &effect->peck.id);
    const struct bond *bond;

    if (disk_peck(&node->store, effect->peck.box, &effect->peck.id))
        law_broken(pond, "a peck is kept once", "%s keeps a peck that it holds", node->name);
    watched->is_action = effect->peck.kind == PECK_ACTION;
    if (effect->peck.box == BOX_OUT) {
        watched->from = node->index;
        return;
    }
    watched->to = node->index;
    if (effect->peck.state != PECK_TAKEN)
        return;
    bond = disk_bond(&node->store, &effect->peck.from, &effect->peck.to);
    if (!bond || effect->peck.kind != PECK_ACTION)
        law_broken(pond, "no action runs without bond or approval",
                   "%s takes a peck for its agent, and there is no bond", node->name);
}

void laws_before_keep(struct pond *pond, struct pond_node *node, const struct effect *effect,
                      bool is_kept)
{
    if (effect->kind == EFFECT_KEEP_RECORD) {
        struct pooled *record = records_pool(pond->records, &effect->record.item);

        if (effect->record.own)
            judge_own(pond, node, record);
        judge_taken(pond, node, effect, record, is_kept);
    } else if (effect->kind == EFFECT_KEEP_PECK) {
        judge_peck(pond, node, effect);
    }
}

static void note_published(struct pond *pond, const struct effect *effect)
{
    struct owner *owner = records_owner(pond->records, &effect->record.item.record.owner);

    if (version_compare(effect->record.item.record.version, owner->published) > 0)
        owner->published = effect->record.item.record.version;
}

static void judge_hand_out(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    for (size_t i = 0; i < effect->reply.taken_count; i++) {
        struct watched *watched = laws_watch(pond, &effect->reply.taken[i]);
        const struct kept_peck *peck = disk_peck(&node->store, BOX_IN, &effect->reply.taken[i]);

        pond->sums.handed_out++;
        if (watched->acknowledged || watched->answered)
            law_broken(pond, "a peck is not handed out again once it was taken over",
                       "%s hands out what its agent %s", node->name,
                       watched->answered ? "answered" : "acknowledged");
        if (!peck || peck->kind != PECK_ACTION ||
            (peck->state == PECK_APPROVED && !watched->approved) || peck->state == PECK_PENDING)
            law_broken(pond, "no action runs without bond or approval",
                       "%s hands out what nobody approved", node->name);
    }
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
            judge_hand_out(pond, node, effect);
    }
}

/* What was said before the process ended, the disk still holds. */
void laws_at_restore(struct pond *pond, struct pond_node *node)
{
    for (struct idtable_node *at = idtable_next(&pond->watched, NULL); at;
         at = idtable_next(&pond->watched, at)) {
        const struct watched *watched = (const struct watched *)at;

        if (watched->to == node->index && watched->taken_said &&
            !disk_peck(&node->store, BOX_IN, &watched->by_id.id))
            law_broken(pond, "a peck whose taken receipt left is never lost",
                       "%s starts without one", node->name);
        if (watched->from == node->index && watched->ordered &&
            !disk_peck(&node->store, BOX_OUT, &watched->by_id.id))
            law_broken(pond, "a peck whose order was answered is never lost",
                       "%s starts without one", node->name);
    }
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
    for (size_t i = 0; i < pond->wish.nodes; i++)
        if (pond->nodes[i].up)
            judge_bounds(pond, &pond->nodes[i]);
}
