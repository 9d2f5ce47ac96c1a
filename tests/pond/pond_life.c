/* What goes on in the pond beside the gossip: ducklings hatch, change, ask for bonds, peck; owners
 * decide; agents take, acknowledge, answer, and now and then die with what they took. */
#include "pond_parts.h"

#define STEP_MIN_US (20 * MS_US)
#define STEP_MAX_US (400 * MS_US)
#define TAKEN_AT_ONCE 4u
#define TASKS_MAX 64u
#define PARTIALS_AT_ONCE 3u
#define FOX_DUCKS 8u          /* one peck in so many goes to the duckling of a fox */
#define FOX_BOND_MIN_MS 5000u /* owners trust foxes no longer */
#define FOX_BOND_MAX_MS 30000u
#define OWN_DUCKS 4u /* one in so many keeps its own key */

struct asked { /* by ticket: what an answer is about */
    enum order_kind kind;
    struct id duckling, peck;
    uint64_t grant;
    uint8_t seeds[2][SEED_SIZE]; /* of one that keeps its own key */
};

struct life {
    struct duck {
        struct id id;
        uint32_t node;
    } * ducks;
    size_t duck_count, duck_capacity, hatching;
    struct asked *asked; /* of ticket i + 1 */
    size_t asked_capacity;
    struct task { /* handed to an agent, which has not begun */
        uint32_t node;
        struct id duckling, peck;
    } tasks[TASKS_MAX];
    size_t task_count;
};

struct life *life_new(void)
{
    return memory_take(sizeof(struct life));
}

void life_free(struct life *life)
{
    memory_give_back(life->ducks);
    memory_give_back(life->asked);
    memory_give_back(life);
}

struct order *life_ask(struct pond *pond, struct message *message, enum order_kind kind,
                       const struct id *duckling)
{
    struct life *life = pond->life;
    struct order *order = node_order(message, kind, duckling);

    if (pond->ticket == life->asked_capacity) {
        life->asked_capacity = life->asked_capacity ? life->asked_capacity * 2 : 64;
        life->asked = memory_resize(life->asked, life->asked_capacity * sizeof *life->asked);
    }
    life->asked[pond->ticket] = (struct asked){.kind = kind, .duckling = *duckling};
    order->ticket = ++pond->ticket;
    return order;
}

static struct order *ask(struct pond *pond, struct message *message, enum order_kind kind,
                         const struct id *duckling)
{
    return life_ask(pond, message, kind, duckling);
}

void life_about_grant(struct pond *pond, uint64_t number)
{
    pond->life->asked[pond->ticket - 1].grant = number;
}

static void about(struct pond *pond, const struct id *peck)
{
    pond->life->asked[pond->ticket - 1].peck = *peck;
}

static struct bytes number(struct message *message, const char *before, uint64_t which,
                           const char *behind)
{
    char text[NAME_MAX_BYTES];

    snprintf(text, sizeof text, "%s%llu%s", before, (unsigned long long)which, behind);
    return arena_copy(&message->arena, bytes_of_text(text));
}

/* ---- identities ---- */

static void note_seeds(struct pond *pond, const struct order *order)
{
    memcpy(pond->life->asked[pond->ticket - 1].seeds, order->seeds, sizeof order->seeds);
}

static void hatch(struct pond *pond, struct pond_node *node, const char *name, bool tracked,
                  bool is_own)
{
    static const struct id nobody;
    struct message *message = message_make();
    struct order *order = ask(pond, message, ORDER_HATCH, &nobody);

    dice_fill(&pond->life_dice, order->seeds, sizeof order->seeds);
    order->profile.set_display_name = true;
    order->profile.display_name = name ? arena_copy(&message->arena, bytes_of_text(name))
                                       : number(message, "duck ", pond->ticket, "");
    order->profile.accepts_pecks = true;
    message->tracked = tracked;
    if (is_own)
        own_hatch(pond, node, message, order);
    note_seeds(pond, order);
    node_take(pond, node, message);
}

void life_hatch(struct pond *pond, struct pond_node *node, const char *name, bool tracked)
{
    hatch(pond, node, name, tracked, false);
}

void life_rename(struct pond *pond, struct pond_node *node, const struct id *duckling,
                 const char *name, bool tracked)
{
    struct message *message = message_make();
    struct order *order = ask(pond, message, ORDER_PROFILE, duckling);

    order->profile.set_display_name = true;
    order->profile.display_name = name ? arena_copy(&message->arena, bytes_of_text(name))
                                       : number(message, "renamed ", pond->ticket, "");
    message->tracked = tracked;
    node_take(pond, node, message);
}

/* To one that comes of the dice; the pond's disk keeps it as it is. */
void life_rotate(struct pond *pond, struct pond_node *node, const struct id *duckling,
                 const uint8_t takes_over[SEED_SIZE])
{
    struct message *message = message_make();
    struct order *order = ask(pond, message, ORDER_ROTATE, duckling);
    uint8_t seed[SEED_SIZE];
    struct identity_key *next;
    struct public_key public;

    dice_fill(&pond->life_dice, seed, sizeof seed);
    if (own_is(node, duckling)) {
        if (own_rotate(pond, node, message, order, seed)) {
            note_seeds(pond, order);
            node_take(pond, node, message);
        } else {
            message_unmake(message);
        }
        return;
    }
    next = identity_key_new(seed);
    public = identity_key_public(next);
    identity_key_free(next);
    memcpy(order->seeds[0], takes_over, SEED_SIZE);
    order->next_key_hash = identity_key_hash(&public);
    order->sealed_next = arena_copy(&message->arena, bytes_of(seed, sizeof seed));
    node_take(pond, node, message);
}

static struct pond_node *any_node(struct pond *pond)
{
    struct pond_node *node = &pond->nodes[dice_below(&pond->life_dice, pond->wish.nodes)];

    return node->up ? node : NULL;
}

void life_change(struct pond *pond)
{
    struct pond_node *node = any_node(pond);
    uint64_t every_us = 60000 * MS_US / pond->wish.changes_per_minute;

    if (pond->life_rest)
        return;
    plan(pond, every_us, (struct happening){.kind = HAPPENING_CHANGE});
    if (!node)
        return;
    if (node->store.duckling_count == 0)
        life_hatch(pond, node, NULL, true);
    else
        life_rename(pond, node, &node->store.ducklings[0].id, NULL, true);
}

/* ---- orders ---- */

static const struct duck *any_duck(struct pond *pond)
{
    struct life *life = pond->life;
    const struct duck *duck;

    if (life->duck_count == 0)
        return NULL;
    duck = &life->ducks[dice_below(&pond->life_dice, life->duck_count)];
    return pond->nodes[duck->node].up ? duck : NULL;
}

static void rotate(struct pond *pond, const struct duck *duck)
{
    struct pond_node *node = &pond->nodes[duck->node];

    for (size_t i = 0; node->up && i < node->store.duckling_count; i++)
        if (id_equal(&node->store.ducklings[i].id, &duck->id))
            life_rotate(pond, node, &duck->id, node->store.ducklings[i].next_seed);
}

void life_revoke(struct pond *pond, struct pond_node *node, const struct id *duckling)
{
    struct message *message = message_make();
    struct order *order = ask(pond, message, ORDER_REVOKE, duckling);

    order->reason = bytes_of_text("its key was stolen");
    pond->sums.revoked++;
    node_take(pond, node, message);
}

static void change_identity(struct pond *pond, const struct duck *duck)
{
    switch (dice_below(&pond->life_dice, 16)) {
    case 0:
        life_revoke(pond, &pond->nodes[duck->node], &duck->id);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        rotate(pond, duck);
        break;
    default:
        life_rename(pond, &pond->nodes[duck->node], &duck->id, NULL, false);
        break;
    }
}

bool life_any_duck(struct pond *pond, struct dice *dice, struct id *id, uint32_t *node)
{
    const struct life *life = pond->life;
    const struct duck *duck;

    if (life->duck_count == 0)
        return false;
    duck = &life->ducks[dice_below(dice, life->duck_count)];
    *id = duck->id;
    *node = duck->node;
    return true;
}

static void send(struct pond *pond, enum peck_kind kind)
{
    const struct duck *from = any_duck(pond), *other = from ? any_duck(pond) : NULL;
    struct message *message;
    struct order *order;
    struct id to;

    if (!other)
        return;
    if (dice_below(&pond->life_dice, FOX_DUCKS) > 0 ||
        !hostile_any_duck(pond, &pond->life_dice, &to))
        to = other->id;
    if (id_equal(&from->id, &to))
        return;
    message = message_make();
    order = ask(pond, message, ORDER_SEND, &from->id);
    order->send.from = from->id;
    order->send.to = to;
    order->send.kind = kind;
    if (kind == PECK_ACTION) {
        order->send.action = bytes_of_text(POND_SCOPE);
        order->send.payload = number(message, "{\"number\":", pond->ticket, "}");
    } else {
        order->send.scopes[0] = bytes_of_text(POND_SCOPE);
        order->send.scope_count = 1;
    }
    if (own_is(&pond->nodes[from->node], &from->id))
        own_make(pond, &pond->nodes[from->node], message, order);
    node_take(pond, &pond->nodes[from->node], message);
}

static struct kept_peck *any_pending(struct pond *pond, const struct pond_node *node)
{
    struct kept_peck *peck = NULL;
    uint64_t met = 0;

    for (size_t i = 0; i < node->store.peck_count; i++) {
        struct kept_peck *at = node->store.in_order[i];

        if (at->box == BOX_IN && at->state == PECK_PENDING &&
            dice_below(&pond->life_dice, ++met) == 0)
            peck = at;
    }
    return peck;
}

/* Somebody thinks better of what it sent last from a node, whatever has become of it. */
static void cancel(struct pond *pond)
{
    const struct duck *duck = any_duck(pond);
    struct pond_node *node = duck ? &pond->nodes[duck->node] : NULL;
    const struct kept_peck *peck = NULL;
    struct message *message;

    for (size_t i = node ? node->store.peck_count : 0; i > 0 && !peck; i--)
        if (node->store.in_order[i - 1]->box == BOX_OUT)
            peck = node->store.in_order[i - 1];
    if (!peck)
        return;
    message = message_make();
    ask(pond, message, ORDER_CANCEL, &peck->from)->peck = peck->by_id.id;
    about(pond, &peck->by_id.id);
    laws_watch(pond, &peck->by_id.id)->cancelled = true;
    node_take(pond, node, message);
}

/* An owner looks at what waits on a node, and decides one. */
static void decide(struct pond *pond)
{
    const struct duck *duck = any_duck(pond);
    struct pond_node *node = duck ? &pond->nodes[duck->node] : NULL;
    struct kept_peck *peck = node ? any_pending(pond, node) : NULL;
    struct message *message;
    struct order *order;
    bool denies = dice_below(&pond->life_dice, 5) == 0;
    const struct owner *sender;
    struct watched *watched;

    if (!peck)
        return;
    sender = records_owner(pond->records, &peck->from);
    denies |= sender && sender->hostile && peck->kind == PECK_ACTION;
    message = message_make();
    order = ask(pond, message, denies ? ORDER_DENY : ORDER_APPROVE, &peck->to);
    about(pond, &peck->by_id.id);
    order->peck = peck->by_id.id;
    watched = laws_watch(pond, &order->peck);
    watched->approved |= !denies;
    if (!denies && peck->kind == PECK_BOND_REQUEST) {
        struct bytes *scopes = arena_take(&message->arena, sizeof *scopes);

        scopes[0] = bytes_of_text(POND_SCOPE);
        order->scopes = scopes;
        order->scope_count = 1;
        if (sender && sender->hostile)
            order->not_after_ms = node_moment(pond, node).wall_ms +
                                  between(&pond->life_dice, FOX_BOND_MIN_MS, FOX_BOND_MAX_MS);
        if (watched->bond_until_ms < order->not_after_ms)
            watched->bond_until_ms = order->not_after_ms;
    }
    node_take(pond, node, message);
}

static void take(struct pond *pond)
{
    const struct duck *duck = any_duck(pond);
    struct message *message;
    struct order *order;

    if (!duck)
        return;
    message = message_make();
    order = ask(pond, message, ORDER_TAKE, &duck->id);
    order->limit = TAKEN_AT_ONCE;
    order->lease_ms = between(&pond->life_dice, LEASE_MIN_MS, 10 * SECOND_MS);
    node_take(pond, &pond->nodes[duck->node], message);
}

static void end_bond(struct pond *pond)
{
    struct pond_node *node = any_node(pond);
    const struct bond *bond;
    const struct owner *owner;
    struct message *message;

    if (!node || node->store.bond_count == 0)
        return;
    bond = &node->store.bonds[dice_below(&pond->life_dice, node->store.bond_count)];
    owner = records_owner(pond->records, &bond->approver);
    message = message_make();
    ask(pond, message, ORDER_UNPECK,
        owner && owner->node == node->index ? &bond->approver : &bond->requester)
        ->bond = bond->id;
    node_take(pond, node, message);
}

/* ---- agents ---- */

static void say_partly(struct pond *pond, const struct task *task)
{
    struct message *message = message_make();
    struct order *order = ask(pond, message, ORDER_PARTIAL, &task->duckling);

    about(pond, &task->peck);
    order->peck = task->peck;
    order->result = number(message, "", pond->ticket, "");
    node_take(pond, &pond->nodes[task->node], message);
}

/* An agent does what was handed to it, maybe long after its lease ended. */
static void work(struct pond *pond)
{
    struct life *life = pond->life;
    size_t which = life->task_count ? dice_below(&pond->life_dice, life->task_count) : 0;
    struct task task = life->tasks[which];
    struct message *message;
    struct order *order;

    if (life->task_count == 0)
        return;
    life->tasks[which] = life->tasks[--life->task_count];
    if (dice_below(&pond->life_dice, 5) == 0)
        return; /* the agent died with it */
    message = message_make();
    order = ask(pond, message, ORDER_ACK, &task.duckling);
    about(pond, &task.peck);
    order->pecks =
        (const struct id *)arena_copy(&message->arena, bytes_of(&task.peck, sizeof task.peck)).data;
    order->peck_count = 1;
    node_take(pond, &pond->nodes[task.node], message);
    if (dice_below(&pond->life_dice, 5) == 0)
        return; /* it thinks for longer than this pond lives */
    for (uint64_t left = dice_below(&pond->life_dice, PARTIALS_AT_ONCE + 1); left > 0; left--)
        say_partly(pond, &task);
    if (dice_below(&pond->life_dice, 8) == 0 && life->task_count < TASKS_MAX) {
        life->tasks[life->task_count++] = task; /* it goes on later */
        return;
    }
    message = message_make();
    order = ask(pond, message, ORDER_ANSWER, &task.duckling);
    about(pond, &task.peck);
    order->peck = task.peck;
    order->result = bytes_of_text("{}");
    node_take(pond, &pond->nodes[task.node], message);
}

void life_step(struct pond *pond)
{
    struct life *life = pond->life;

    if (pond->life_rest)
        return;
    plan(pond, between(&pond->life_dice, STEP_MIN_US, STEP_MAX_US),
         (struct happening){.kind = HAPPENING_LIFE});
    if (life->hatching < pond->wish.ducklings && dice_below(&pond->life_dice, 3) == 0) {
        struct pond_node *node = any_node(pond);

        life->hatching += node != NULL;
        if (node)
            hatch(pond, node, NULL, false, dice_below(&pond->life_dice, OWN_DUCKS) == 0);
        return;
    }
    if (!pond->wish.pecks)
        return;
    if (dice_below(&pond->life_dice, 8) == 0) {
        grants_step(pond);
        return;
    }
    if (dice_below(&pond->life_dice, 10) == 0) {
        lobsters_step(pond);
        return;
    }
    if (dice_below(&pond->life_dice, 8) == 0) {
        contexts_step(pond);
        return;
    }
    switch (dice_below(&pond->life_dice, 16)) {
    case 0:
        if (dice_below(&pond->life_dice, 2)) {
            const struct duck *duck = any_duck(pond);

            if (duck)
                operators_step(pond, any_node(pond), &duck->id, &pond->nodes[duck->node]);
        } else if (any_duck(pond)) {
            const struct duck *duck = &life->ducks[dice_below(&pond->life_dice, life->duck_count)];

            change_identity(pond, duck);
        }
        break;
    case 1:
        if (dice_below(&pond->life_dice, 2))
            end_bond(pond);
        else
            cancel(pond);
        break;
    case 2:
    case 3:
        send(pond, PECK_BOND_REQUEST);
        break;
    case 4:
    case 5:
    case 6:
        decide(pond);
        break;
    case 7:
    case 8:
        take(pond);
        break;
    case 9:
    case 10:
    case 11:
        work(pond);
        break;
    default:
        send(pond, PECK_ACTION);
        break;
    }
}

void life_hear(struct pond *pond, struct pond_node *node, const struct effect *reply)
{
    struct life *life = pond->life;
    struct asked asked;

    trace_mix(pond, reply->reply.ticket, reply->reply.code);
    if (reply->reply.ticket == 0 || reply->reply.ticket > pond->ticket)
        return;
    asked = life->asked[reply->reply.ticket - 1];
    if (reply->reply.code != REFUSAL_NONE)
        return;
    if (asked.kind == ORDER_HATCH || asked.kind == ORDER_ROTATE)
        own_keep(node, &reply->reply.duckling, (const uint8_t(*)[SEED_SIZE])asked.seeds);
    if (!id_is_zero(&reply->reply.waits_for))
        return; /* nothing is done yet */
    if (asked.kind == ORDER_WANTED) {
        own_sign(pond, node, reply);
    } else if (asked.kind == ORDER_SIGN && reply->reply.state == PECK_ANSWERED) {
        pond->sums.answered++;
        laws_watch(pond, &reply->reply.peck)->answered = true;
    } else if (asked.kind == ORDER_HATCH) {
        if (life->duck_count == life->duck_capacity) {
            life->duck_capacity = life->duck_capacity ? life->duck_capacity * 2 : 16;
            life->ducks = memory_resize(life->ducks, life->duck_capacity * sizeof *life->ducks);
        }
        life->ducks[life->duck_count++] = (struct duck){reply->reply.duckling, node->index};
    } else if (asked.kind == ORDER_SEND) {
        pond->sums.pecks++;
        laws_watch(pond, &reply->reply.peck)->ordered = true;
    } else if (asked.kind == ORDER_ACK) {
        laws_watch(pond, &asked.peck)->acknowledged = true;
    } else if (asked.kind == ORDER_ANSWER) {
        pond->sums.answered++;
        laws_watch(pond, &asked.peck)->answered = true;
    } else if (asked.kind == ORDER_PARTIAL) {
        struct watched *watched = laws_watch(pond, &asked.peck);

        if (reply->reply.number <= watched->partials_said)
            law_broken(pond, "partial answers are numbered without gaps",
                       "%s says number %u after %u", node->name, reply->reply.number,
                       watched->partials_said);
        watched->partials_said = reply->reply.number;
    } else if (asked.kind == ORDER_REVOKE_GRANT) {
        grants_hear_revoked(pond, asked.grant);
    } else if (asked.kind == ORDER_UNPECK) {
        struct watched *bond = laws_watch(pond, &reply->reply.bond);

        bond->bond_ended |= id_equal(&bond->approver, &asked.duckling);
    } else if (asked.kind == ORDER_TAKE) {
        for (size_t i = 0; i < reply->reply.taken_count && life->task_count < TASKS_MAX; i++)
            life->tasks[life->task_count++] =
                (struct task){node->index, asked.duckling, reply->reply.taken[i]};
    }
}

/* ---- for stories ---- */

void pond_hatch(struct pond *pond, size_t node, const char *name)
{
    life_hatch(pond, &pond->nodes[node], name, false);
}

void pond_rename(struct pond *pond, size_t node, const char *name)
{
    assert(pond->nodes[node].store.duckling_count > 0);
    life_rename(pond, &pond->nodes[node], &pond->nodes[node].store.ducklings[0].id, name, false);
}
