/* Contexts in the pond: ducklings are issued further keys, peck under them, lose some to foxes, and revoke
 * them. Laws: what is kept under a context was issued so to its sender, is within its scopes, and came neither after its
 * end nor after its revocation; by what the pond ordered, not by what agents make of it. */
#include "pond_parts.h"

#include "core/context.h"

#include <stdio.h>

#define ISSUED_MAX 32u /* the oldest make room */
#define LIFE_MIN_MS 5000u
#define LIFE_MAX_MS 120000u
#define NAME_SIZE 16
#define TRIES 8

struct issued {
    struct id duck, carrier;
    char name[NAME_SIZE];
    const char *scope;
    uint8_t seed[SEED_SIZE];
    uint64_t not_after_ms; /* wall of whoever ordered it */
    uint32_t node;         /* NOBODY: a fox */
    bool is_stolen;        /* foxes have its key */
    struct bytes wires[2]; /* as it was kept first, and last; in the pond's memory of contexts */
};

struct pond_contexts {
    struct arena memory;
    struct issued *list;
    size_t count, capacity;
};

struct pond_contexts *contexts_of_pond_new(void)
{
    struct pond_contexts *contexts = memory_take(sizeof *contexts);

    arena_init(&contexts->memory, SIZE_MAX);
    return contexts;
}

void contexts_of_pond_free(struct pond_contexts *contexts)
{
    arena_free(&contexts->memory);
    memory_give_back(contexts->list);
    memory_give_back(contexts);
}

/* One of the latest, since those before are mostly over. */
static struct issued *any(struct pond *pond, struct dice *dice)
{
    struct pond_contexts *contexts = pond->contexts;
    size_t first = contexts->count > ISSUED_MAX ? contexts->count - ISSUED_MAX : 0;

    if (contexts->count == 0)
        return NULL;
    return &contexts->list[first + dice_below(dice, contexts->count - first)];
}

static struct issued *add(struct pond *pond, const struct id *duck, uint32_t node,
                          struct dice *dice)
{
    static const char *const scopes[] = {POND_SCOPE, POND_SCOPE, "other", "*"};
    struct pond_contexts *contexts = pond->contexts;
    struct issued *issued;

    if (contexts->count == contexts->capacity) {
        contexts->capacity = contexts->capacity ? 2 * contexts->capacity : 16;
        contexts->list = memory_resize(contexts->list, contexts->capacity * sizeof *issued);
    }
    issued = &contexts->list[contexts->count++];
    *issued = (struct issued){.duck = *duck, .node = node, .scope = scopes[dice_below(dice, 4)]};
    snprintf(issued->name, sizeof issued->name, "c%zu", contexts->count);
    dice_fill(dice, issued->seed, SEED_SIZE);
    issued->is_stolen = node == NOBODY || dice_below(dice, 2) == 0;
    issued->not_after_ms =
        POND_BORN_MS + pond->now_us / MS_US + between(dice, LIFE_MIN_MS, LIFE_MAX_MS);
    return issued;
}

/* ---- what ducklings do ---- */

static void issue(struct pond *pond)
{
    struct message *message;
    const struct issued *issued;
    struct order *order;
    struct bytes *scopes;
    struct id duck;
    uint32_t node;

    if (!life_any_duck(pond, &pond->life_dice, &duck, &node))
        return;
    issued = add(pond, &duck, node, &pond->life_dice);
    message = message_make();
    order = life_ask(pond, message, ORDER_ISSUE, &duck);
    scopes = arena_take(&message->arena, sizeof *scopes);
    scopes[0] = bytes_of_text(issued->scope);
    order->scopes = scopes;
    order->scope_count = 1;
    order->context = arena_copy(&message->arena, bytes_of_text(issued->name));
    order->not_after_ms = issued->not_after_ms;
    memcpy(order->seeds[0], issued->seed, SEED_SIZE);
    node_take(pond, &pond->nodes[node], message);
}

static void peck(struct pond *pond)
{
    static const char *const actions[] = {POND_SCOPE, POND_SCOPE, "other"};
    const struct issued *issued = any(pond, &pond->life_dice);
    struct message *message;
    struct order *order;
    struct id to;
    uint32_t node;

    if (!issued || issued->node == NOBODY || !pond->nodes[issued->node].up ||
        !life_any_duck(pond, &pond->life_dice, &to, &node) || id_equal(&to, &issued->duck))
        return;
    message = message_make();
    order = life_ask(pond, message, ORDER_SEND, &issued->duck);
    order->send.from = issued->duck;
    order->send.to = to;
    order->send.kind = PECK_ACTION;
    order->send.action = bytes_of_text(actions[dice_below(&pond->life_dice, 3)]);
    order->send.payload = bytes_of_text("{}");
    order->context = arena_copy(&message->arena, bytes_of_text(issued->name));
    node_take(pond, &pond->nodes[issued->node], message);
}

static void revoke(struct pond *pond)
{
    const struct issued *issued = any(pond, &pond->life_dice);
    struct message *message;
    struct context context;

    if (!issued || issued->node == NOBODY || !pond->nodes[issued->node].up ||
        issued->wires[1].size == 0)
        return;
    message = message_make();
    if (context_read(issued->wires[1], &message->arena, &context) != CONTEXT_OK)
        assert(!"a context that was kept can be read");
    life_ask(pond, message, ORDER_REVOKE, &issued->duck)->certificate = context.id;
    node_take(pond, &pond->nodes[issued->node], message);
}

void contexts_step(struct pond *pond)
{
    switch (dice_below(&pond->life_dice, 8)) {
    case 0:
    case 1:
        issue(pond);
        break;
    case 2:
    case 3:
        revoke(pond);
        break;
    default:
        peck(pond);
        break;
    }
}

/* ---- what foxes do ---- */

bool contexts_any_stolen(struct pond *pond, struct dice *dice, struct stolen_context *stolen)
{
    const struct issued *issued = any(pond, dice);
    struct context context;
    struct arena arena;
    struct bytes wire;

    for (int i = 0; i < TRIES && issued && !(issued->is_stolen && issued->node != NOBODY); i++)
        issued = any(pond, dice);
    if (!issued || !issued->is_stolen || issued->node == NOBODY || issued->wires[0].size == 0)
        return false;
    wire = issued->wires[dice_below(dice, 2)];
    arena_init(&arena, PARSE_BUDGET(CONTEXT_SIZE_MAX));
    if (context_read(wire, &arena, &context) != CONTEXT_OK)
        assert(!"a context that was kept can be read");
    *stolen = (struct stolen_context){
        .duck = issued->duck, .node = issued->node, .wire = wire, .issued_ms = context.issued_ms};
    memcpy(stolen->seed, issued->seed, SEED_SIZE);
    arena_free(&arena);
    return true;
}

/* By `key`, in the name of whoever this chain is of: it holds when the key is its own. */
struct bytes contexts_make(struct pond *pond, struct bytes chain, const struct id *duck,
                           const struct identity_key *key, bool is_own, uint8_t seed[SEED_SIZE],
                           struct arena *arena)
{
    struct issued *issued = add(pond, duck, NOBODY, &pond->hostile_dice);
    struct bytes scope = bytes_of_text(issued->scope), wire;
    struct identity_key *made = identity_key_new(issued->seed);
    struct context_wish wish = {.identity = *duck,
                                .name = arena_copy(arena, bytes_of_text(issued->name)),
                                .public_key = identity_key_public(made),
                                .scopes = &scope,
                                .scope_count = 1,
                                .issued_ms = POND_BORN_MS + pond->now_us / MS_US,
                                .not_after_ms = issued->not_after_ms};
    struct chain opened;

    memcpy(seed, issued->seed, SEED_SIZE);
    identity_key_free(made);
    if (!is_own)
        pond->contexts->count--; /* it was never issued */
    if (chain_read(chain, duck, arena, &opened) != CERTIFICATE_TAKEN)
        return bytes_of(NULL, 0);
    wish.certificate = opened.certificates[opened.count - 1].hash;
    if (context_make(&wish, key, arena, &wire) != CONTEXT_OK)
        assert(!"a fox makes contexts whose form holds");
    if (is_own)
        issued->wires[0] = issued->wires[1] = arena_copy(&pond->contexts->memory, wire);
    return wire;
}

/* ---- laws ---- */

static struct issued *find(struct pond *pond, const struct id *duck, struct bytes name)
{
    struct pond_contexts *contexts = pond->contexts;

    for (size_t i = contexts->count; i > 0; i--)
        if (id_equal(&contexts->list[i - 1].duck, duck) &&
            bytes_equal(bytes_of_text(contexts->list[i - 1].name), name))
            return &contexts->list[i - 1];
    return NULL;
}

void contexts_hear_kept(struct pond *pond, const struct kept_context *kept)
{
    struct context context;
    struct arena arena;
    struct issued *issued;

    arena_init(&arena, PARSE_BUDGET(CONTEXT_SIZE_MAX));
    if (context_read(kept->wire, &arena, &context) != CONTEXT_OK)
        assert(!"a context that is kept can be read");
    issued = find(pond, &kept->duckling, context.name);
    assert(issued);
    issued->carrier = context.carrier;
    issued->wires[1] = arena_copy(&pond->contexts->memory, kept->wire);
    if (issued->wires[0].size == 0)
        issued->wires[0] = issued->wires[1];
    pond->sums.contexts += kept->revoked_ms == 0;
    pond->sums.contexts_revoked += kept->revoked_ms > 0;
    arena_free(&arena);
}

static bool has_heard(const struct pond *pond, const struct pond_node *node,
                      const struct id *carrier)
{
    const struct held_set *set = &node->store.records;

    for (size_t i = 0; i < set->slot_count && !id_is_zero(carrier); i++)
        if (set->slots[i] &&
            id_equal(&records_at(pond->records, set->slots[i] - 1)->owner, carrier))
            return true;
    return false;
}

static const char *judge(const struct pond *pond, const struct pond_node *node,
                         const struct issued *issued, const struct effect *effect)
{
    struct identity_key *key;
    struct public_key public;

    if (!issued)
        return "its duckling was not issued it";
    key = identity_key_new(issued->seed);
    public = identity_key_public(key);
    identity_key_free(key);
    if (memcmp(public.bytes, effect->peck.context->public_key.bytes, PUBLIC_KEY_SIZE) != 0)
        return "it was issued for another key";
    if (effect->peck.kind != PECK_ACTION)
        return "it is no action";
    if (strcmp(issued->scope, "*") != 0 &&
        !bytes_equal(effect->peck.action, bytes_of_text(issued->scope)))
        return "it does not cover the action";
    if (node_moment(pond, node).wall_ms > issued->not_after_ms)
        return "it was over";
    return has_heard(pond, node, &issued->carrier) ? "it was revoked" : NULL;
}

/* True: foxes have its key, so anybody may have said it. */
bool laws_judge_under(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    const struct context *context = effect->peck.context;
    const struct issued *issued;
    const char *wrong;

    if (!context)
        return false;
    issued = find(pond, &context->identity, context->name);
    wrong = id_equal(&context->identity, &effect->peck.from) ? judge(pond, node, issued, effect)
                                                             : "it is another's";
    if (wrong)
        law_broken(pond, "a context allows what it says, until it ends or is revoked",
                   "%s keeps a peck under one, but %s", node->name, wrong);
    pond->sums.pecks_under++;
    pond->sums.pecks_under_stolen += issued && issued->is_stolen && issued->node != NOBODY;
    return issued && issued->is_stolen;
}
