/* What foxes do with records. */
#include "hostile_parts.h"

#define FLOOD_RECORDS 24u /* of one owner: more than any may have */
#define FLY_MIN_MS 2000u
#define FLY_MAX_MS 12000u
#define CROWD 4u              /* made-up nodes a time */
#define TWINS_MAX 8u          /* of one fox */
#define LEAVER_KNOWN_MS 5000u /* by then all have heard of who is to be revoked */

/* ---- of its own making ---- */

struct statement {
    const struct id *owner; /* whoever signs it */
    enum record_kind kind;
    struct bytes key, content;
    uint64_t version_ms, life_ms;
};

static struct bytes make_record(const struct author *author, const struct statement *statement,
                                struct arena *arena)
{
    struct record record = {.network = bytes_of_text(POND_NETWORK),
                            .owner = *statement->owner,
                            .kind = statement->kind,
                            .key = statement->key,
                            .version = {.ms = statement->version_ms},
                            .not_after_ms = statement->version_ms + statement->life_ms,
                            .content = statement->content};
    struct bytes body;

    if (record_pack(&record, arena, &body) != RECORD_OK)
        assert(!"a fox makes records whose form holds");
    return envelope_seal(ENVELOPE_RECORD, &author->id, author->key, body, arena, NULL);
}

struct bytes fox_node_record(struct pond *pond, struct pond_node *node, const struct author *author,
                             const struct id *owner, struct arena *arena)
{
    struct node_content content = {.address_count = 1,
                                   .session_not_after_ms = POND_BORN_MS + SESSION_KEY_LIFE_MS,
                                   .software = bytes_of_text("fox"),
                                   .display_name = bytes_of_text(node->name)};
    struct statement statement = {.owner = owner,
                                  .kind = RECORD_NODE,
                                  .version_ms = fox_wall_ms(pond),
                                  .life_ms = RECORD_LIFE_MS};

    content.addresses[0] = bytes_of_text(node->address);
    memset(content.session_key, 7, sizeof content.session_key);
    statement.content = node_content_pack(&content, arena);
    return make_record(author, &statement, arena);
}

struct bytes fox_duckling_record(struct pond *pond, struct pond_node *node,
                                 const struct author *author, struct arena *arena)
{
    struct duckling_content content = {
        .host = node->id, .display_name = bytes_of_text("nobody"), .accepts_pecks = true};
    struct statement statement = {.owner = &author->id,
                                  .kind = RECORD_DUCKLING,
                                  .content = duckling_content_pack(&content, arena),
                                  .version_ms = fox_wall_ms(pond),
                                  .life_ms = RECORD_LIFE_MS};

    return make_record(author, &statement, arena);
}

/* That the two are bonded, which only one of them says. */
struct bytes fox_attestation(struct pond *pond, const struct author *author,
                             const struct id *subject, struct arena *arena)
{
    struct attestation_content content = {
        .subject = *subject, .claim = bytes_of_text("bonded"), .proof = id_bytes(subject)};
    struct statement statement = {.owner = &author->id,
                                  .kind = RECORD_ATTESTATION,
                                  .version_ms = fox_wall_ms(pond),
                                  .life_ms = RECORD_LIFE_MS};
    char text[ID_TEXT_SIZE], key[RECORD_KEY_MAX];

    snprintf(key, sizeof key, "bonded:%s", id_text(ID_DUCKLING, subject, text));
    statement.key = arena_copy(arena, bytes_of_text(key));
    statement.content = attestation_content_pack(&content, arena);
    return make_record(author, &statement, arena);
}

/* Of a kind that nobody interprets: keys and contents are its own affair. */
static struct bytes skill(const struct author *author, const char *key, const char *text,
                          uint64_t version_ms, uint64_t life_ms, struct arena *arena)
{
    struct statement statement = {.owner = &author->id,
                                  .kind = RECORD_SKILL,
                                  .key = arena_copy(arena, bytes_of_text(key)),
                                  .content = bytes_of_text(text),
                                  .version_ms = version_ms,
                                  .life_ms = life_ms};

    return make_record(author, &statement, arena);
}

void fox_send_record(struct pond *pond, struct pond_node *node, const struct id *to,
                     struct bytes chain, struct bytes wire, struct arena *arena)
{
    fox_send(pond, node, to, FRAME_RECORDS, frame_pack_records(&chain, &wire, 1, arena));
}

static void send_to_all(struct pond *pond, struct pond_node *node, struct bytes chain,
                        const struct bytes *wires, size_t count, struct arena *arena)
{
    for (size_t i = 0; i < node->link_count; i++) {
        const struct link *link = node->links[i];
        uint32_t other = link->nodes[link->nodes[0] == node->index];

        fox_send_record(pond, node, &pond->nodes[other].id, chain, wires[other % count], arena);
    }
}

/* ---- habits ---- */

static struct bytes turn_a_bit(struct pond *pond, struct bytes wire, struct arena *arena)
{
    uint8_t *copy = (uint8_t *)(uintptr_t)arena_copy(arena, wire).data;

    copy[dice_below(&pond->hostile_dice, wire.size)] ^=
        (uint8_t)(1u << dice_below(&pond->hostile_dice, 8));
    return bytes_of(copy, wire.size);
}

void fox_forge(struct pond *pond, struct pond_node *node, const struct id *to, struct arena *arena)
{
    const struct seen *seen = fox_any_seen(pond, node->hostile);
    const struct id *owner = &fox_any_healthy(pond)->id;
    struct author author = fox_author(node);

    switch (dice_below(&pond->hostile_dice, 3)) {
    case 0:
        if (seen)
            fox_send_record(pond, node, to, seen->chain, turn_a_bit(pond, seen->wire, arena),
                            arena);
        break;
    case 1:
        fox_send_record(pond, node, to, node->chain,
                        fox_node_record(pond, node, &author, owner, arena), arena);
        break;
    default:
        if (seen)
            fox_send_record(pond, node, to, seen->chain,
                            fox_node_record(pond, node, &author, owner, arena), arena);
        break;
    }
}

void fox_replay(struct pond *pond, struct pond_node *node, const struct id *to, struct arena *arena)
{
    const struct seen *seen = fox_any_seen(pond, node->hostile);

    if (seen)
        fox_send_record(pond, node, to, seen->chain, seen->wire, arena);
}

void fox_equivocate(struct pond *pond, struct pond_node *node, struct arena *arena)
{
    struct author author = fox_author(node);
    uint64_t version_ms = fox_wall_ms(pond);
    struct bytes two[2] = {
        skill(&author, "two", "white", version_ms, RECORD_LIFE_MS, arena),
        skill(&author, "two", "black", version_ms, RECORD_LIFE_MS, arena),
    };

    send_to_all(pond, node, node->chain, two, 2, arena);
}

static void flood_identity(struct pond *pond, struct pond_node *node, const struct id *to,
                           struct arena *arena)
{
    struct author author = fox_hatch(pond, node, IDENTITY_DUCKLING, arena);

    fox_send_record(pond, node, to, author.chain, fox_duckling_record(pond, node, &author, arena),
                    arena);
    identity_key_free(author.key);
}

void fox_flood(struct pond *pond, struct pond_node *node, const struct id *to, struct arena *arena)
{
    struct author author = fox_author(node);
    uint8_t noise[300];
    char key[24];

    switch (dice_below(&pond->hostile_dice, 3)) {
    case 0:
        for (uint64_t i = 0; i < FLOOD_RECORDS; i++) {
            snprintf(key, sizeof key, "k%llu",
                     (unsigned long long)dice_below(&pond->hostile_dice, 2ull * FLOOD_RECORDS));
            fox_send_record(pond, node, to, node->chain,
                            skill(&author, key, "noise", fox_wall_ms(pond), RECORD_LIFE_MS, arena),
                            arena);
        }
        break;
    case 1:
        flood_identity(pond, node, to, arena);
        break;
    default:
        dice_fill(&pond->hostile_dice, noise, sizeof noise);
        fox_send(pond, node, to, noise[0], bytes_of(noise, dice_below(&pond->hostile_dice, 301)));
        break;
    }
}

/* Made-up nodes that are all reached where the fox is: they are to fill tables, and places of
 * neighbours. */
void fox_crowd(struct pond *pond, struct pond_node *node, const struct id *to, struct arena *arena)
{
    for (unsigned i = 0; i < CROWD; i++) {
        struct author author = fox_hatch(pond, node, IDENTITY_NODE, arena);

        fox_send_record(pond, node, to, author.chain,
                        fox_node_record(pond, node, &author, &author.id, arena), arena);
        identity_key_free(author.key);
    }
}

/* ---- revocations ---- */

static struct bytes revocation(struct pond *pond, const struct author *author, struct arena *arena)
{
    uint64_t now_ms = fox_wall_ms(pond);
    struct revocation_content content = {
        .subject = author->id, .reason = bytes_of_text("gone"), .revoked_at_ms = now_ms};
    struct statement statement = {.owner = &author->id,
                                  .kind = RECORD_REVOCATION,
                                  .content = revocation_content_pack(&content, arena),
                                  .version_ms = now_ms,
                                  .life_ms = REVOCATION_LIFE_MIN_MS + DAY_MS};

    return make_record(author, &statement, arena);
}

/* Followed from here: the pool knows it before anybody holds it. */
static void follow(struct pond *pond, struct pond_node *node, struct bytes chain, struct bytes wire,
                   struct arena *arena)
{
    struct offered_record item = {.wire = wire, .chain = chain};
    struct envelope envelope;

    if (envelope_parse(wire, ENVELOPE_RECORD, arena, &envelope) != ENVELOPE_TAKEN ||
        record_parse(envelope.body, arena, &item.record) != RECORD_OK)
        assert(!"what it made parses");
    spread_begin(pond, node, records_pool(pond->records, &item));
}

void fox_revoke(struct pond *pond, struct pond_node *node, const struct id *to, struct arena *arena)
{
    struct hostile *hostile = node->hostile;
    struct author *leaver = &hostile->leaver;
    struct bytes wire;

    if (!leaver->key) {
        *leaver = fox_hatch(pond, node, IDENTITY_DUCKLING, &hostile->own);
        hostile->leaver_told_ms = fox_wall_ms(pond);
        fox_send_record(pond, node, to, leaver->chain,
                        fox_duckling_record(pond, node, leaver, arena), arena);
        return;
    }
    if (fox_wall_ms(pond) < hostile->leaver_told_ms + LEAVER_KNOWN_MS)
        return;
    wire = revocation(pond, leaver, arena);
    follow(pond, node, leaver->chain, wire, arena);
    fox_send_record(pond, node, to, leaver->chain, wire, arena);
    identity_key_free(leaver->key);
    *leaver = (struct author){0};
}

/* ---- one key, rotated twice ---- */

static void hatch_twin(struct pond *pond, struct pond_node *node, const struct id *to,
                       struct arena *arena)
{
    struct hostile *hostile = node->hostile;
    struct public_key public;
    uint8_t seed[SEED_SIZE];
    struct hash promise;

    dice_fill(&pond->hostile_dice, seed, sizeof seed);
    hostile->twin_next = identity_key_new(seed);
    public = identity_key_public(hostile->twin_next);
    promise = identity_key_hash(&public);
    hostile->twin = fox_hatch_promising(pond, node, IDENTITY_DUCKLING, &promise, &hostile->own);
    hostile->twin_told_ms = fox_wall_ms(pond);
    fox_send_record(pond, node, to, hostile->twin.chain,
                    fox_duckling_record(pond, node, &hostile->twin, arena), arena);
}

static struct author rotate_twin(struct pond *pond, const struct hostile *hostile, uint8_t way,
                                 struct arena *arena)
{
    struct author author = {.id = hostile->twin.id, .key = hostile->twin_next};
    struct hash promise = {{way}};
    struct chain chain;

    if (chain_open(hostile->twin.chain, arena, &chain) != CERTIFICATE_TAKEN)
        assert(!"what it hatched holds");
    author.chain = chain_lengthen(&chain, hostile->twin_next, &promise, fox_wall_ms(pond), arena);
    return author;
}

void fox_contradict(struct pond *pond, struct pond_node *node, const struct id *to,
                    struct arena *arena)
{
    struct hostile *hostile = node->hostile;
    struct author ways[2];

    if (!hostile->twin.key) {
        if (hostile->twins++ < TWINS_MAX)
            hatch_twin(pond, node, to, arena);
        return;
    }
    if (fox_wall_ms(pond) < hostile->twin_told_ms + LEAVER_KNOWN_MS)
        return;
    for (uint8_t way = 0; way < 2; way++)
        ways[way] = rotate_twin(pond, hostile, (uint8_t)(way + 1), arena);
    for (size_t i = 0; i < node->link_count; i++) {
        const struct link *link = node->links[i];
        uint32_t other = link->nodes[link->nodes[0] == node->index];
        const struct author *way = &ways[i % 2];

        fox_send_record(pond, node, &pond->nodes[other].id, way->chain,
                        fox_duckling_record(pond, node, way, arena), arena);
    }
    identity_key_free(hostile->twin.key);
    identity_key_free(hostile->twin_next);
    hostile->twin = (struct author){0};
    hostile->twin_next = NULL;
}

/* ---- records that end soon ---- */

static void hatch_fly(struct pond *pond, struct pond_node *node, struct arena *arena)
{
    struct hostile *hostile = node->hostile;
    size_t number = hostile->fly_next++ % FLIES_MAX;
    struct fly *fly = &hostile->flies[number];
    uint64_t now_ms = fox_wall_ms(pond),
             life_ms = between(&pond->hostile_dice, FLY_MIN_MS, FLY_MAX_MS);
    char key[24];

    snprintf(key, sizeof key, "fly%zu", number);
    fly->older = arena_copy(
        &hostile->own, skill(&hostile->flier, key, "older", now_ms - 1000, RECORD_LIFE_MS, arena));
    fly->newer =
        arena_copy(&hostile->own, skill(&hostile->flier, key, "newer", now_ms, life_ms, arena));
    fly->ends_ms = now_ms + life_ms;
    if (!fly->newer.data || !fly->older.data)
        fly->ends_ms = 0; /* its memory is full: it has lied enough */
}

/* The newer one is known to all while it lives; when it is over the older one comes. */
void fox_let_fly(struct pond *pond, struct pond_node *node, const struct id *to,
                 struct arena *arena)
{
    struct hostile *hostile = node->hostile;
    const struct fly *fly = &hostile->flies[dice_below(&pond->hostile_dice, FLIES_MAX)];

    if (fly->ends_ms == 0 || dice_below(&pond->hostile_dice, 6) == 0)
        hatch_fly(pond, node, arena);
    if (fly->ends_ms == 0)
        return;
    if (fly->ends_ms > fox_wall_ms(pond))
        send_to_all(pond, node, hostile->flier.chain, &fly->newer, 1, arena);
    else
        fox_send_record(pond, node, to, hostile->flier.chain, fly->older, arena);
}
