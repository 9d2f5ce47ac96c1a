/* Grants in the pond: owners grant, holders narrow for others, peck, and take back; foxes show grants
 * that are not theirs. Laws: what is taken under a grant was granted to its sender by its target, no
 * block is used more often than it says, and none after who took it back heard that it is. */
#include "pond_parts.h"

#include "core/grant.h"

#define FURTHER 3u
#define GRANTS_MAX 48u /* the oldest make room */
#define LIFE_MIN_MS 5000u
#define LIFE_MAX_MS 120000u

struct granted {
    struct bytes wire; /* in the pond's memory of grants */
    struct id root, issuer, holder;
    uint32_t root_node, issuer_node;
    uint64_t number;                 /* from 1; what pecks remember */
    uint64_t path[GRANT_BLOCKS_MAX]; /* numbers of its blocks, the last its own */
    size_t length;
    uint64_t uses, not_after_ms; /* of its own block; wall of whoever made it */
    bool revoked;                /* and who did it knows */
};

struct pond_grants {
    struct arena memory;
    struct granted *list; /* by number - 1 */
    size_t count, capacity;
};

struct pond_grants *grants_of_pond_new(void)
{
    struct pond_grants *grants = memory_take(sizeof *grants);

    arena_init(&grants->memory, SIZE_MAX);
    return grants;
}

void grants_of_pond_free(struct pond_grants *grants)
{
    arena_free(&grants->memory);
    memory_give_back(grants->list);
    memory_give_back(grants);
}

/* One of the latest, since those before are mostly over. */
static struct granted *any(struct pond *pond, struct dice *dice)
{
    struct pond_grants *grants = pond->grants;
    size_t first = grants->count > GRANTS_MAX ? grants->count - GRANTS_MAX : 0;

    if (grants->count == 0)
        return NULL;
    return &grants->list[first + dice_below(dice, grants->count - first)];
}

/* ---- making ---- */

static const struct hosted *hosted_at(const struct pond *pond, uint32_t node, const struct id *duck)
{
    const struct pond_store *store = &pond->nodes[node].store;

    for (size_t i = 0; pond->nodes[node].up && i < store->duckling_count; i++)
        if (id_equal(&store->ducklings[i].id, duck))
            return &store->ducklings[i];
    return NULL;
}

static void any_holder(struct pond *pond, struct id *holder)
{
    uint32_t node;

    if (dice_below(&pond->life_dice, 4) > 0 || !hostile_any_duck(pond, &pond->life_dice, holder))
        life_any_duck(pond, &pond->life_dice, holder, &node);
}

static struct grant_wish wish_of(struct pond *pond, const struct hosted *issuer, uint32_t node,
                                 struct identity_key *key)
{
    uint64_t wall_ms = node_moment(pond, &pond->nodes[node]).wall_ms;
    struct grant_wish wish = {.network = bytes_of_text(POND_NETWORK),
                              .issuer = issuer->id,
                              .key = key,
                              .chain = issuer->chain,
                              .scopes = {bytes_of_text(POND_SCOPE)},
                              .scope_count = 1,
                              .uses = dice_below(&pond->life_dice, 4),
                              .further = FURTHER,
                              .issued_ms = wall_ms};

    wish.not_after_ms = wall_ms + between(&pond->life_dice, LIFE_MIN_MS, LIFE_MAX_MS);
    dice_fill(&pond->life_dice, wish.nonce, sizeof wish.nonce);
    any_holder(pond, &wish.holder);
    return wish;
}

static void add(struct pond *pond, const struct granted *parent, const struct grant_wish *wish,
                uint32_t node, struct bytes wire)
{
    struct pond_grants *grants = pond->grants;
    struct granted made = {.wire = arena_copy(&grants->memory, wire),
                           .root = parent ? parent->root : wish->issuer,
                           .issuer = wish->issuer,
                           .holder = wish->holder,
                           .root_node = parent ? parent->root_node : node,
                           .issuer_node = node,
                           .number = grants->count + 1,
                           .uses = wish->uses,
                           .not_after_ms = wish->not_after_ms};

    if (parent) {
        memcpy(made.path, parent->path, sizeof made.path);
        made.length = parent->length;
    }
    made.path[made.length++] = made.number;
    if (grants->count == grants->capacity) {
        grants->capacity = grants->capacity ? 2 * grants->capacity : 16;
        grants->list = memory_resize(grants->list, grants->capacity * sizeof *grants->list);
    }
    grants->list[grants->count++] = made;
    pond->sums.grants++;
}

static void make(struct pond *pond)
{
    struct arena arena;
    struct identity_key *key;
    const struct hosted *issuer;
    struct bytes wire;
    struct id duck;
    uint32_t node;

    if (!life_any_duck(pond, &pond->life_dice, &duck, &node))
        return;
    issuer = hosted_at(pond, node, &duck);
    if (!issuer)
        return;
    arena_init(&arena, MIB);
    key = identity_key_new(issuer->seed);
    struct grant_wish wish = wish_of(pond, issuer, node, key);

    /* A key that was rotated in the same millisecond is not of this date yet. */
    if (grant_make(&wish, &arena, &wire) == GRANT_OK)
        add(pond, NULL, &wish, node, wire);
    identity_key_free(key);
    arena_free(&arena);
}

static bool find_node(const struct pond *pond, const struct id *duck, uint32_t *node)
{
    for (uint32_t i = 0; i < pond->wish.nodes; i++)
        if (hosted_at(pond, i, duck)) {
            *node = i;
            return true;
        }
    return false;
}

static void narrow(struct pond *pond)
{
    const struct granted *parent = any(pond, &pond->life_dice);
    struct identity_key *key;
    struct granted copy;
    struct grant_wish wish;
    struct arena arena;
    struct bytes wire;
    uint32_t node;

    if (!parent || !find_node(pond, &parent->holder, &node))
        return;
    copy = *parent; /* the list may move */
    arena_init(&arena, MIB);
    key = identity_key_new(hosted_at(pond, node, &copy.holder)->seed);
    wish = wish_of(pond, hosted_at(pond, node, &copy.holder), node, key);
    wish.further = copy.length < FURTHER ? (uint32_t)(FURTHER - copy.length) : 0;
    if (wish.not_after_ms > copy.not_after_ms)
        wish.not_after_ms = copy.not_after_ms;
    if (grant_narrow(copy.wire, &wish, &arena, &wire) == GRANT_OK)
        add(pond, &copy, &wish, node, wire);
    identity_key_free(key);
    arena_free(&arena);
}

/* ---- using, and taking back ---- */

static void order_under(struct pond *pond, const struct granted *granted, const struct id *from,
                        uint32_t node, const char *action)
{
    struct message *message = message_make();
    struct order *order = life_ask(pond, message, ORDER_SEND, from);

    order->send.from = *from;
    order->send.to = granted->root;
    order->send.kind = PECK_ACTION;
    order->send.action = bytes_of_text(action);
    order->send.payload = bytes_of_text("{}");
    order->send.grant = granted->wire;
    node_take(pond, &pond->nodes[node], message);
}

static void peck(struct pond *pond)
{
    const struct granted *granted = any(pond, &pond->life_dice);
    uint32_t node;

    if (granted && find_node(pond, &granted->holder, &node) &&
        !id_equal(&granted->holder, &granted->root))
        order_under(pond, granted, &granted->holder, node, POND_SCOPE);
}

static void revoke(struct pond *pond)
{
    struct granted *granted = any(pond, &pond->life_dice);
    struct message *message;

    if (!granted || !pond->nodes[granted->issuer_node].up)
        return;
    if (!id_equal(&granted->issuer, &granted->root)) {
        order_under(pond, granted, &granted->issuer, granted->issuer_node, GRANT_REVOKE_ACTION);
        return;
    }
    message = message_make();
    life_ask(pond, message, ORDER_REVOKE_GRANT, &granted->root)->send.grant = granted->wire;
    life_about_grant(pond, granted->number);
    node_take(pond, &pond->nodes[granted->root_node], message);
}

void grants_step(struct pond *pond)
{
    switch (dice_below(&pond->life_dice, 8)) {
    case 0:
        make(pond);
        break;
    case 1:
    case 2:
        narrow(pond);
        break;
    case 3:
        if (dice_below(&pond->life_dice, 2))
            revoke(pond);
        break;
    default:
        peck(pond);
        break;
    }
}

struct bytes grants_any_wire(struct pond *pond, struct dice *dice)
{
    const struct granted *granted = any(pond, dice);

    return granted ? granted->wire : bytes_of(NULL, 0);
}

void grants_hear_revoked(struct pond *pond, uint64_t number)
{
    if (number > 0)
        pond->grants->list[number - 1].revoked = true;
}

/* ---- laws ---- */

static const struct granted *named_by(struct pond *pond, struct bytes wire, struct peck *peck,
                                      struct arena *arena)
{
    struct pond_grants *grants = pond->grants;
    struct envelope envelope;

    if (envelope_parse(wire, ENVELOPE_PECK, arena, &envelope) != ENVELOPE_TAKEN ||
        peck_parse(envelope.body, arena, peck) != PECK_OK || peck->grant.size == 0)
        return NULL;
    for (size_t i = grants->count; i > 0; i--)
        if (bytes_equal(grants->list[i - 1].wire, peck->grant))
            return &grants->list[i - 1];
    return NULL;
}

static bool has_block(const struct granted *granted, uint64_t number)
{
    for (size_t i = 0; i < granted->length; i++)
        if (granted->path[i] == number)
            return true;
    return false;
}

/* On the disk, so of turns that were kept. */
static uint64_t used(struct pond *pond, const struct pond_node *node, uint64_t number)
{
    uint64_t count = 0;

    for (size_t i = 0; i < node->store.peck_count; i++) {
        const struct kept_peck *kept = node->store.in_order[i];
        uint64_t grant = kept->box == BOX_IN ? laws_watch(pond, &kept->by_id.id)->grant : 0;

        count += grant > 0 && has_block(&pond->grants->list[grant - 1], number);
    }
    return count;
}

/* Of a path the blocks that forbid it. */
static const char *judge_path(struct pond *pond, const struct pond_node *node,
                              const struct granted *granted)
{
    uint64_t wall_ms = node_moment(pond, node).wall_ms;

    for (size_t i = 0; i < granted->length; i++) {
        const struct granted *block = &pond->grants->list[granted->path[i] - 1];

        if (block->revoked)
            return "one of its blocks was taken back";
        if (wall_ms >= block->not_after_ms)
            return "it was over";
        if (block->uses > 0 && used(pond, node, block->number) >= block->uses)
            return "it had no uses left";
    }
    return NULL;
}

/* Of a received peck that is taken, and that no bond covers. */
bool laws_judge_granted(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    const struct granted *granted;
    const char *wrong = NULL;
    struct arena arena;
    struct peck peck;
    bool is_revocation = false;

    arena_init(&arena, MIB);
    granted = named_by(pond, effect->peck.wire, &peck, &arena);
    if (granted) {
        is_revocation = bytes_equal(peck.action, bytes_of_text(GRANT_REVOKE_ACTION));
        if (!id_equal(&granted->root, &peck.to))
            wrong = "it is of another target";
        else if (is_revocation && !id_equal(&granted->issuer, &peck.from))
            wrong = "another signed the block that it takes back";
        else if (!is_revocation && !id_equal(&granted->holder, &peck.from))
            wrong = "its holder is another";
        else if (!is_revocation && !bytes_equal(peck.action, bytes_of_text(POND_SCOPE)))
            wrong = "it does not cover the action";
        else if (!is_revocation)
            wrong = judge_path(pond, node, granted);
    }
    arena_free(&arena);
    if (wrong)
        law_broken(pond, "a grant allows what it says, to its holder, as often as it says",
                   "%s takes a peck under one, but %s", node->name, wrong);
    if (!granted || wrong)
        return false;
    if (!is_revocation) {
        laws_watch(pond, &effect->peck.id)->grant = granted->number;
        pond->sums.pecks_granted++;
    }
    return true;
}

/* Who took a block back by a peck has the answer: from now on its target's node knows. */
void laws_hear_revoked(struct pond *pond, const struct kept_peck *sent)
{
    struct arena arena;
    struct peck peck;
    const struct granted *granted;

    arena_init(&arena, MIB);
    granted = named_by(pond, sent->wire, &peck, &arena);
    if (granted && bytes_equal(peck.action, bytes_of_text(GRANT_REVOKE_ACTION))) {
        pond->sums.grants_revoked += !granted->revoked;
        grants_hear_revoked(pond, granted->number);
    }
    arena_free(&arena);
}
