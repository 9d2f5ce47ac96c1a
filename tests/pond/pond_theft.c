/* A stolen key: what each node, by what it holds, makes of the pecks that its thief signs. The pond's
 * nodes share one keyring for speed; here each has its own, filled from its own disk. */
#include "pond_parts.h"

#define THEFT_BUDGET (512u * KIB)

struct theft {
    struct id id;
    struct bytes chain, early; /* as stolen; a peck that the owner signed before */
    uint8_t seed[SEED_SIZE], next_seed[SEED_SIZE];
    struct arena memory;
};

static struct bytes sign_peck(const struct theft *theft, const struct id *to, uint64_t wall_ms,
                              struct arena *arena)
{
    struct identity_key *key = identity_key_new(theft->seed);
    struct peck peck = {.network = bytes_of_text(POND_NETWORK),
                        .from = theft->id,
                        .to = *to,
                        .kind = PECK_ACTION,
                        .action = bytes_of_text("query"),
                        .payload = bytes_of_text("{}"),
                        .created_ms = wall_ms,
                        .expires_ms = wall_ms + HOUR_MS};
    struct bytes body, wire;

    if (peck_pack(&peck, arena, &body) != PECK_OK)
        assert(!"a thief makes pecks whose form holds");
    wire = envelope_seal(ENVELOPE_PECK, &theft->id, key, body, arena, NULL);
    identity_key_free(key);
    return wire;
}

static struct hosted *first_duckling(struct pond *pond, size_t node)
{
    assert(pond->nodes[node].store.duckling_count > 0);
    return &pond->nodes[node].store.ducklings[0];
}

struct theft *pond_steal(struct pond *pond, size_t node)
{
    const struct hosted *owner = first_duckling(pond, node);
    struct theft *theft = memory_take(sizeof *theft);

    arena_init(&theft->memory, MIB);
    theft->id = owner->id;
    theft->chain = arena_copy(&theft->memory, owner->chain);
    memcpy(theft->seed, owner->seed, SEED_SIZE);
    memcpy(theft->next_seed, owner->next_seed, SEED_SIZE);
    theft->early = sign_peck(theft, &pond->nodes[0].id,
                             node_moment(pond, &pond->nodes[node]).wall_ms, &theft->memory);
    return theft;
}

void theft_free(struct theft *theft)
{
    arena_free(&theft->memory);
    memory_give_back(theft);
}

/* ---- pecks that hurry ---- */

/* To the laws it is the owner's: nobody can tell. */
void pond_peck_as(struct pond *pond, size_t thief, struct theft *theft, size_t to)
{
    struct pond_node *node = &pond->nodes[thief], *target = &pond->nodes[to];
    struct envelope envelope;
    struct bytes wire;
    struct arena arena;
    struct id name;

    if (!node->up || !target->up)
        return;
    arena_init(&arena, THEFT_BUDGET);
    wire = sign_peck(theft, &first_duckling(pond, to)->id, node_moment(pond, node).wall_ms, &arena);
    if (envelope_parse(wire, ENVELOPE_PECK, &arena, &envelope) != ENVELOPE_TAKEN)
        assert(!"what is sealed here parses");
    name = id_of(&envelope.hash);
    laws_watch(pond, &name)->from = records_owner(pond->records, &theft->id)->node;
    network_send(pond, node, &target->id, FRAME_PECK, frame_pack_peck(theft->chain, wire, &arena));
    arena_free(&arena);
}

size_t pond_taken_of(struct pond *pond, const struct theft *theft, size_t node)
{
    const struct pond_store *store = &pond->nodes[node].store;
    size_t count = 0;

    for (size_t i = 0; i < store->peck_count; i++)
        count +=
            store->in_order[i]->box == BOX_IN && id_equal(&store->in_order[i]->from, &theft->id);
    return count;
}

/* ---- the node's view ---- */

static void keep_chain(struct keyring *ring, struct bytes wire)
{
    struct chain chain;
    struct arena arena;

    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    if (chain_open(wire, &arena, &chain) == CERTIFICATE_TAKEN)
        keyring_keep(ring, &chain);
    arena_free(&arena);
}

static struct keyring *keyring_of(const struct pond *pond, const struct pond_node *node,
                                  const struct id *owner)
{
    struct keyring *ring = keyring_new(16);

    for (size_t i = 0; i < records_count(pond->records); i++) {
        const struct pooled *record = records_at(pond->records, (uint32_t)i);

        if (id_equal(&record->owner, owner) && held_set_has(&node->store.records, record))
            keep_chain(ring, record->chain);
    }
    return ring;
}

static bool is_fooled(const struct pond *pond, const struct pond_node *node,
                      const struct theft *theft)
{
    struct intake_settings settings = {.network = bytes_of_text(POND_NETWORK),
                                       .keyring = keyring_of(pond, node, &theft->id)};
    struct intake *intake = intake_new(&settings);
    uint64_t wall_ms = node_moment(pond, node).wall_ms;
    enum intake_verdict verdict;
    struct arena arena;
    struct event event;
    struct id peck;
    size_t refused;
    char reason[160];

    arena_init(&arena, THEFT_BUDGET);
    verdict =
        intake_open(intake, FRAME_PECK,
                    frame_pack_peck(theft->chain,
                                    sign_peck(theft, &pond->nodes[0].id, wall_ms, &arena), &arena),
                    wall_ms, &arena, &event, &peck, &refused, reason);
    arena_free(&arena);
    intake_free(intake);
    keyring_free(settings.keyring);
    return verdict == INTAKE_TAKEN;
}

size_t pond_fooled(const struct pond *pond, const struct theft *theft)
{
    size_t fooled = 0;

    for (size_t i = 0; i < pond->wish.nodes; i++)
        fooled += is_fooled(pond, &pond->nodes[i], theft);
    return fooled;
}

/* Offline: with the chain as it is today, and nothing else. */
bool theft_is_early_provable(struct pond *pond, size_t node, const struct theft *theft)
{
    struct bytes wire = first_duckling(pond, node)->chain;
    struct envelope envelope;
    struct public_key key;
    struct chain chain;
    struct arena arena;
    struct peck peck;
    bool is_provable;

    arena_init(&arena, THEFT_BUDGET);
    is_provable =
        chain_open(wire, &arena, &chain) == CERTIFICATE_TAKEN &&
        envelope_parse(theft->early, ENVELOPE_PECK, &arena, &envelope) == ENVELOPE_TAKEN &&
        peck_parse(envelope.body, &arena, &peck) == PECK_OK &&
        chain_key_at(&chain, peck.created_ms, &key) == CERTIFICATE_TAKEN &&
        envelope_verify(&envelope, &key, NULL) == ENVELOPE_TAKEN;
    arena_free(&arena);
    return is_provable;
}

/* ---- rotations ---- */

size_t pond_certificates(struct pond *pond, size_t node)
{
    return chain_count(first_duckling(pond, node)->chain);
}

void pond_revoke(struct pond *pond, size_t node)
{
    life_revoke(pond, &pond->nodes[node], &first_duckling(pond, node)->id);
}

void pond_rotate(struct pond *pond, size_t node)
{
    const struct hosted *owner = first_duckling(pond, node);

    life_rotate(pond, &pond->nodes[node], &owner->id, owner->next_seed);
}

void pond_rotate_as(struct pond *pond, size_t node, const struct theft *theft)
{
    life_rotate(pond, &pond->nodes[node], &theft->id, theft->seed);
}

/* ---- a second certificate of one number ---- */

static struct bytes fork_chain(const struct theft *theft, const struct identity_key *next,
                               uint64_t wall_ms, struct arena *arena)
{
    struct public_key public = identity_key_public(next);
    struct hash promise = identity_key_hash(&public); /* any that its owner did not give */
    struct chain chain;

    if (chain_open(theft->chain, arena, &chain) != CERTIFICATE_TAKEN)
        assert(!"what was stolen held");
    return chain_lengthen(&chain, next, &promise, wall_ms, arena);
}

void pond_fork(struct pond *pond, size_t from, const struct theft *theft)
{
    uint64_t wall_ms = node_moment(pond, &pond->nodes[from]).wall_ms;
    struct identity_key *next = identity_key_new(theft->next_seed);
    struct duckling_content content = {.host = pond->nodes[from].id,
                                       .display_name = bytes_of_text("Thief"),
                                       .accepts_pecks = true};
    struct record record = {.network = bytes_of_text(POND_NETWORK),
                            .owner = theft->id,
                            .kind = RECORD_DUCKLING,
                            .version = {wall_ms, 0},
                            .not_after_ms = wall_ms + DAY_MS};
    struct bytes chain, wire, body;
    struct arena arena;

    arena_init(&arena, THEFT_BUDGET);
    chain = fork_chain(theft, next, wall_ms, &arena);
    record.content = duckling_content_pack(&content, &arena);
    if (record_pack(&record, &arena, &body) != RECORD_OK)
        assert(!"a thief makes records whose form holds");
    wire = envelope_seal(ENVELOPE_RECORD, &theft->id, next, body, &arena, NULL);
    for (size_t i = 0; i < pond->wish.nodes; i++)
        if (i != from) /* those that are linked hear it */
            network_send(pond, &pond->nodes[from], &pond->nodes[i].id, FRAME_RECORDS,
                         frame_pack_records(&chain, &wire, 1, &arena));
    identity_key_free(next);
    arena_free(&arena);
}

size_t pond_believers(const struct pond *pond, const struct theft *theft)
{
    size_t believers = 0;

    for (size_t i = 0; i < pond->wish.nodes; i++) {
        bool believes = false;

        for (size_t j = 0; j < records_count(pond->records); j++) {
            const struct pooled *record = records_at(pond->records, (uint32_t)j);

            believes |= id_equal(&record->owner, &theft->id) &&
                        held_set_has(&pond->nodes[i].store.records, record);
        }
        believers += believes;
    }
    return believers;
}
