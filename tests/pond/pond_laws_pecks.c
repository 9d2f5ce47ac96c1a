/* Laws of pecks: none is lost, none is made up, and default deny. What an owner approved is known
 * from the orders that the pond gave (pond_life.c), not from what agents and disks say of it: its
 * owners bond for one scope only. */
#include "pond_parts.h"

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

/* ---- default deny ---- */

static bool is_approved_bond(struct pond *pond, const struct bond *bond, uint64_t wall_ms)
{
    const struct watched *watched = laws_watch(pond, &bond->id);

    return watched->approved && !watched->bond_ended &&
           (watched->bond_until_ms == 0 || watched->bond_until_ms > wall_ms);
}

static bool is_covered(struct pond *pond, const struct pond_node *node, const struct effect *effect)
{
    uint64_t wall_ms = node_moment(pond, node).wall_ms;

    if (effect->peck.kind != PECK_ACTION ||
        !bytes_equal(effect->peck.action, bytes_of_text(POND_SCOPE)))
        return false;
    for (size_t i = 0; i < node->store.bond_count; i++) {
        const struct bond *bond = &node->store.bonds[i];

        if (id_equal(&bond->requester, &effect->peck.from) &&
            id_equal(&bond->approver, &effect->peck.to) && is_approved_bond(pond, bond, wall_ms))
            return true;
    }
    return false;
}

static void judge_received(struct pond *pond, struct pond_node *node, const struct effect *effect,
                           struct watched *watched)
{
    const struct owner *owner = records_owner(pond->records, &effect->peck.from);
    bool is_stolen = laws_judge_under(pond, node, effect);

    if (owner && !owner->hostile && !is_stolen && watched->from != owner->node)
        law_broken(pond, "no peck is kept that its sender did not send",
                   "%s keeps one in the name of a duckling of %s", node->name,
                   pond->nodes[owner->node].name);
    pond->sums.fox_pecks += owner && owner->hostile;
    if (effect->peck.state != PECK_TAKEN)
        return;
    watched->covered = is_covered(pond, node, effect) || laws_judge_granted(pond, node, effect);
    pond->sums.fox_pecks_covered += owner && owner->hostile;
    if (!watched->covered)
        law_broken(pond, "no action runs without bond, grant or approval",
                   "%s takes a peck for its agent, and no bond or grant covers it", node->name);
}

void laws_judge_peck(struct pond *pond, struct pond_node *node, const struct effect *effect,
                     bool is_kept)
{
    struct watched *watched = laws_watch(pond, &effect->peck.id);

    if (disk_peck(&node->store, effect->peck.box, &effect->peck.id))
        law_broken(pond, "a peck is kept once", "%s keeps a peck that it holds", node->name);
    watched->kind = effect->peck.kind;
    watched->requester = effect->peck.from;
    watched->approver = effect->peck.to;
    if (effect->peck.box == BOX_OUT) {
        watched->from = node->index;
        return;
    }
    watched->to = node->index;
    if (is_kept)
        judge_received(pond, node, effect, watched);
}

/* Both ends keep it: where its approver lives, its owner gave the order. */
void laws_judge_bond(struct pond *pond, struct pond_node *node, const struct bond *bond)
{
    const struct owner *approver = records_owner(pond->records, &bond->approver);
    const struct watched *watched = laws_watch(pond, &bond->id);

    if (watched->kind != PECK_BOND_REQUEST || !id_equal(&watched->requester, &bond->requester) ||
        !id_equal(&watched->approver, &bond->approver))
        law_broken(pond, "a bond is made as it was asked for", "%s keeps another", node->name);
    if (approver && !approver->hostile && !watched->approved)
        law_broken(pond, "no bond is made but by its approver's owner",
                   "%s keeps one that nobody approved", node->name);
}

void laws_judge_hand_out(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    for (size_t i = 0; i < effect->reply.taken_count; i++) {
        struct watched *watched = laws_watch(pond, &effect->reply.taken[i]);
        const struct kept_peck *peck = disk_peck(&node->store, BOX_IN, &effect->reply.taken[i]);
        const struct owner *owner = records_owner(pond->records, &watched->requester);

        pond->sums.handed_out++;
        pond->sums.fox_pecks_handed_out += owner && owner->hostile;
        if (watched->acknowledged || watched->answered)
            law_broken(pond, "a peck is not handed out again once it was taken over",
                       "%s hands out what its agent %s", node->name,
                       watched->answered ? "answered" : "acknowledged");
        if (!peck || peck->kind != PECK_ACTION || peck->state == PECK_PENDING ||
            !(watched->covered || watched->approved))
            law_broken(pond, "no action runs without bond, grant or approval",
                       "%s hands out what nobody approved", node->name);
    }
}

/* ---- answers that come in parts ---- */

/* What its target said, as far as that is a node that keeps rules. */
static const struct kept_partial *as_said(struct pond *pond, const struct effect *effect)
{
    const struct owner *owner = records_owner(pond->records, &effect->partial.with);
    const struct kept_peck *peck;

    if (!owner || owner->hostile)
        return NULL;
    peck = disk_peck(&pond->nodes[owner->node].store, BOX_IN, &effect->partial.peck);
    return peck ? disk_partial(peck, effect->partial.partials.count) : NULL;
}

static bool is_honest(struct pond *pond, const struct id *duckling)
{
    const struct owner *owner = records_owner(pond->records, duckling);

    return owner && !owner->hostile;
}

void laws_judge_partial(struct pond *pond, struct pond_node *node, const struct effect *effect,
                        bool is_kept)
{
    const struct kept_peck *peck =
        disk_peck(&node->store, effect->partial.box, &effect->partial.peck);
    const struct kept_partial *said;

    if (!is_kept)
        return; /* nor is what came before it in this turn */
    if (!peck || effect->partial.partials.count != disk_partials(peck).count + 1)
        law_broken(pond, "partial answers are kept in order, each once",
                   "%s keeps number %u after %u", node->name, effect->partial.partials.count,
                   peck ? disk_partials(peck).count : 0);
    if (peck && peck->state >= PECK_DENIED)
        law_broken(pond, "nothing follows the end of an answer", "%s keeps a part of one",
                   node->name);
    pond->sums.partials += effect->partial.box == BOX_OUT;
    if (effect->partial.box == BOX_IN || !is_honest(pond, &effect->partial.with))
        return;
    said = as_said(pond, effect);
    if (!said || !bytes_equal(said->wire, effect->partial.wire))
        law_broken(pond, "partial answers are those that the target said",
                   "%s keeps another as number %u", node->name, effect->partial.partials.count);
}

/* Who has the answer has all of its parts. */
static void judge_answer(struct pond *pond, struct pond_node *node, const struct effect *effect,
                         struct bytes body, struct arena *arena)
{
    const struct kept_peck *peck = disk_peck(&node->store, BOX_OUT, &effect->receipt.peck);
    struct receipt receipt;

    if (!peck)
        return;
    if (receipt_parse(body, arena, &receipt) != RECEIPT_OK)
        assert(!"a receipt that is kept parses");
    if (receipt.partials != disk_partials(peck).count)
        law_broken(pond, "who has an answer has all of its parts", "%s has %u of %u of one by %s",
                   node->name, disk_partials(peck).count, receipt.partials,
                   is_honest(pond, &effect->receipt.with) ? "a duck" : "a fox");
    if (receipt.state == PECK_CANCELLED && !laws_watch(pond, &effect->receipt.peck)->cancelled)
        law_broken(pond, "no peck is taken back but by its sender", "%s has one", node->name);
    if (receipt.state == PECK_ANSWERED)
        laws_hear_revoked(pond, peck);
    pond->sums.cancelled += receipt.state == PECK_CANCELLED;
    pond->sums.answers_in_parts += receipt.partials > 0;
}

void laws_judge_receipt(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    struct envelope envelope;
    struct arena arena;

    arena_init(&arena, MIB);
    if (envelope_parse(effect->receipt.wire, ENVELOPE_RECEIPT, &arena, &envelope) != ENVELOPE_TAKEN)
        assert(!"a receipt that is kept parses");
    if (!hash_equal(&envelope.hash, &effect->receipt.hash))
        law_broken(pond, "a receipt is kept under its name", "not by %s", node->name);
    if (effect->receipt.box == BOX_OUT && effect->receipt.kind == RECEIPT_DONE)
        judge_answer(pond, node, effect, envelope.body, &arena);
    arena_free(&arena);
}

/* ---- nothing is lost ---- */

/* What was said before the process ended, the disk still holds. */
void laws_at_restore(struct pond *pond, struct pond_node *node)
{
    for (struct idtable_node *at = idtable_next(&pond->watched, NULL); at;
         at = idtable_next(&pond->watched, at)) {
        const struct watched *watched = (const struct watched *)at;
        const struct kept_peck *in = disk_peck(&node->store, BOX_IN, &watched->by_id.id);

        if (watched->to == node->index && watched->partials_said > 0 &&
            (!in || disk_partials(in).count < watched->partials_said))
            law_broken(pond, "a partial answer whose order was answered is never lost",
                       "%s starts without one", node->name);
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
