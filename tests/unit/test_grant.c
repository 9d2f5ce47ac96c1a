/* Grants: made, narrowed, and what each wrong chain is refused for. */
#include "births.h"
#include "core/grant.h"
#include "core/peck.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW_MS (BORN_MS + HOUR_MS)
#define PEOPLE 10
#define CHAINS_MADE_UP 100000
#define CHAINS_SIGNED 300

static struct arena arena;
static struct person {
    struct identity_key *key;
    struct id id;
    struct bytes chain;
} people[PEOPLE];

enum { ROOT, BEA, CID, DAN };

static struct grant_wish wish_of(int issuer, int holder)
{
    return (struct grant_wish){.network = bytes_of_text("pond"),
                               .issuer = people[issuer].id,
                               .key = people[issuer].key,
                               .chain = people[issuer].chain,
                               .holder = people[holder].id,
                               .scopes = {bytes_of_text("data.*"), bytes_of_text("ask")},
                               .scope_count = 2,
                               .further = GRANT_BLOCKS_MAX - 1,
                               .issued_ms = NOW_MS,
                               .not_after_ms = NOW_MS + DAY_MS,
                               .nonce = {1, 2, 3}};
}

static struct bytes make(const struct grant_wish *wish)
{
    struct bytes wire;

    ck_assert_int_eq(grant_make(wish, &arena, &wire), GRANT_OK);
    return wire;
}

/* One with fewer further blocks, as a holder has to say. */
static struct grant_wish narrower(int issuer, int holder, uint32_t further)
{
    struct grant_wish wish = wish_of(issuer, holder);

    wish.further = further;
    return wish;
}

static struct bytes narrow(struct bytes grant, const struct grant_wish *wish)
{
    struct bytes wire;

    ck_assert_int_eq(grant_narrow(grant, wish, &arena, &wire), GRANT_OK);
    return wire;
}

static enum grant_verdict allows(struct bytes wire, int from, int to, const char *action,
                                 uint64_t wall_ms)
{
    struct grant_use use = {.network = bytes_of_text("pond"),
                            .from = people[from].id,
                            .to = people[to].id,
                            .action = bytes_of_text(action),
                            .wall_ms = wall_ms};
    struct grant grant;

    ck_assert_int_eq(grant_open(wire, &arena, &grant, NULL), GRANT_OK);
    return grant_allows(&grant, &use);
}

static void set_up(void)
{
    ck_assert(identity_self_test());
    arena_init(&arena, 256 * MIB);
    for (uint32_t i = 0; i < PEOPLE; i++) {
        people[i].chain = birth_chain(IDENTITY_DUCKLING, 100 * (i + 1), 1, &arena, &people[i].id);
        people[i].key = birth_key(100 * (i + 1));
    }
}

static void tear_down(void)
{
    for (int i = 0; i < PEOPLE; i++)
        identity_key_free(people[i].key);
    arena_free(&arena);
}

START_TEST(a_grant_comes_back_as_it_was_made)
{
    struct grant_wish wish = wish_of(ROOT, BEA);
    struct grant grant;
    size_t at = 9;

    wish.uses = 5;
    ck_assert_int_eq(grant_open(make(&wish), &arena, &grant, &at), GRANT_OK);
    ck_assert_uint_eq(grant.count, 1);
    ck_assert_uint_eq(at, 0);
    ck_assert(id_equal(&grant.blocks[0].issuer, &people[ROOT].id));
    ck_assert(id_equal(&grant.blocks[0].holder, &people[BEA].id));
    ck_assert(bytes_equal(grant.blocks[0].network, bytes_of_text("pond")));
    ck_assert_uint_eq(grant.blocks[0].scope_count, 2);
    ck_assert(bytes_equal(grant.blocks[0].scopes[1], bytes_of_text("ask")));
    ck_assert_uint_eq(grant.blocks[0].uses, 5);
    ck_assert_uint_eq(grant.blocks[0].further, GRANT_BLOCKS_MAX - 1);
    ck_assert_uint_eq(grant.blocks[0].issued_ms, NOW_MS);
    ck_assert_uint_eq(grant.blocks[0].not_after_ms, NOW_MS + DAY_MS);
    ck_assert_uint_eq(grant.blocks[0].nonce[2], 3);
}
END_TEST

/* For other implementations: from these seeds and dates come these bytes and no others. */
START_TEST(a_grant_is_these_bytes)
{
    struct grant_wish wish = wish_of(ROOT, BEA), next = narrower(BEA, CID, 2);
    struct bytes wire = narrow(make(&wish), &next);
    struct hash hash = hash_of(wire);
    char text[2 * HASH_SIZE + 1], id[ID_TEXT_SIZE];
    struct grant grant;

    for (size_t i = 0; i < HASH_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", hash.bytes[i]);
    ck_assert_int_eq(grant_open(wire, &arena, &grant, NULL), GRANT_OK);
    ck_assert_str_eq(id_text(ID_GRANT, &grant.blocks[1].id, id),
                     "grt_ojhn5iwi6hciu34yjwyu6upg3eq63miq");
    ck_assert_str_eq(text, "9909207226092a9b4ba4b342a42e1c2dfa8d5fb678c14e67cb25309ee8e11e8c");
}
END_TEST

START_TEST(each_holder_narrows_it_for_the_next)
{
    struct grant_wish first = wish_of(ROOT, BEA), second = narrower(BEA, CID, 3);
    struct grant_wish third = narrower(CID, DAN, 0);
    struct bytes wire, narrowed;

    second.scope_count = 1; /* data.* */
    second.uses = 7;
    third.scopes[0] = bytes_of_text("data.read");
    third.scope_count = 1;
    third.uses = 2;
    third.not_after_ms = NOW_MS + HOUR_MS;
    wire = make(&first);
    narrowed = narrow(narrow(wire, &second), &third);
    ck_assert_int_eq(allows(wire, BEA, ROOT, "ask", NOW_MS), GRANT_OK);
    ck_assert_int_eq(allows(narrowed, DAN, ROOT, "data.read", NOW_MS), GRANT_OK);
    ck_assert_int_eq(allows(narrowed, DAN, ROOT, "data.write", NOW_MS), GRANT_COVERS_NOT);
    ck_assert_int_eq(allows(narrowed, DAN, ROOT, "ask", NOW_MS), GRANT_COVERS_NOT);
    ck_assert_int_eq(allows(narrowed, CID, ROOT, "data.read", NOW_MS), GRANT_OTHER_HOLDER);
    ck_assert_int_eq(allows(narrowed, DAN, BEA, "data.read", NOW_MS), GRANT_OTHER_TARGET);
    ck_assert_int_eq(allows(narrowed, DAN, ROOT, "data.read", NOW_MS + HOUR_MS - 1), GRANT_OK);
    ck_assert_int_eq(allows(narrowed, DAN, ROOT, "data.read", NOW_MS + HOUR_MS), GRANT_ENDED);
    ck_assert_int_eq(allows(wire, BEA, ROOT, "ask", NOW_MS - CLOCK_SKEW_MAX_MS), GRANT_OK);
    ck_assert_int_eq(allows(wire, BEA, ROOT, "ask", NOW_MS - CLOCK_SKEW_MAX_MS - 1), GRANT_NOT_YET);
}
END_TEST

START_TEST(what_is_left_is_what_all_blocks_allow)
{
    struct grant_wish first = wish_of(ROOT, BEA), second = narrower(BEA, CID, 3);
    struct grant_reach reach;
    struct grant grant;

    first.uses = 9;
    second.scopes[0] = bytes_of_text("data.read");
    second.not_after_ms = NOW_MS + HOUR_MS;
    ck_assert_int_eq(grant_open(narrow(make(&first), &second), &arena, &grant, NULL), GRANT_OK);
    grant_reach(&grant, &reach);
    ck_assert_uint_eq(reach.scope_count, 2);
    ck_assert(bytes_equal(reach.scopes[0], bytes_of_text("ask")));
    ck_assert(bytes_equal(reach.scopes[1], bytes_of_text("data.read")));
    ck_assert_uint_eq(reach.uses, 9);
    ck_assert_uint_eq(reach.further, 3);
    ck_assert_uint_eq(reach.not_after_ms, NOW_MS + HOUR_MS);
}
END_TEST

/* What gains nothing is no mistake to be found out later. */
START_TEST(a_block_that_says_more_is_not_made)
{
    struct grant_wish first = wish_of(ROOT, BEA);
    struct bytes grant, wire;

    first.uses = 5;
    first.further = 3;
    grant = make(&first);
    for (int what = 0; what < 8; what++) {
        struct grant_wish wish = narrower(BEA, CID, 2);
        enum grant_verdict expected = GRANT_WIDER;

        if (what == 0)
            wish.scopes[1] = bytes_of_text("other");
        else if (what == 1)
            wish.scopes[0] = bytes_of_text("*");
        else if (what == 2)
            wish.not_after_ms++;
        else if (what == 3)
            wish.further = 3;
        else if (what == 4)
            wish.uses = 6;
        else if (what == 5)
            wish = narrower(CID, DAN, 2), expected = GRANT_OTHER_HOLDER;
        else if (what == 6)
            wish.scope_count = 0, expected = GRANT_BAD_SCOPE;
        else
            wish.network = bytes_of_text("lake"), expected = GRANT_NOT_LINKED;
        ck_assert_int_eq(grant_narrow(grant, &wish, &arena, &wire), expected);
        ck_assert_ptr_null(wire.data);
    }
}
END_TEST

START_TEST(it_is_handed_on_as_often_as_each_block_lets_it_be)
{
    struct grant_wish wish = wish_of(ROOT, 1);
    struct bytes wire = make(&wish), longer;
    struct grant grant;

    for (int i = 1; i < GRANT_BLOCKS_MAX; i++) {
        wish = narrower(i, i + 1, (uint32_t)(GRANT_BLOCKS_MAX - 1 - i));
        wire = narrow(wire, &wish);
    }
    ck_assert_uint_le(wire.size, GRANT_SIZE_MAX);
    ck_assert_int_eq(grant_open(wire, &arena, &grant, NULL), GRANT_OK);
    ck_assert_uint_eq(grant.count, GRANT_BLOCKS_MAX);
    wish = narrower(GRANT_BLOCKS_MAX, 1, 0);
    ck_assert_int_eq(grant_narrow(wire, &wish, &arena, &longer), GRANT_TOO_DEEP);
    wish = wish_of(ROOT, BEA);
    wish.further = 0;
    wire = make(&wish);
    wish = narrower(BEA, CID, 0);
    ck_assert_int_eq(grant_narrow(wire, &wish, &arena, &longer), GRANT_TOO_DEEP);
    wish.further = GRANT_BLOCKS_MAX;
    ck_assert_int_eq(grant_make(&wish, &arena, &longer), GRANT_TOO_DEEP);
}
END_TEST

/* ---- wrong chains ---- */

/* A Grant by hand: what no honest holder packs. */
static struct bytes field(uint8_t number, struct bytes value, struct bytes before)
{
    uint8_t *data = arena_take(&arena, before.size + value.size + 4);
    size_t size = before.size, length = value.size;

    if (size > 0)
        memcpy(data, before.data, size);
    data[size++] = (uint8_t)(number << 3 | 2);
    for (; length > 127; length >>= 7)
        data[size++] = (uint8_t)(length | 128);
    data[size++] = (uint8_t)length;
    memcpy(data + size, value.data, value.size);
    return bytes_of(data, size + value.size);
}

static struct bytes assemble(const struct grant *first, const struct grant *second)
{
    struct bytes wire = {0};

    for (size_t i = 0; i < first->count; i++)
        wire = field(2, first->chains[i], field(1, first->wires[i], wire));
    for (size_t i = 0; second && i < second->count; i++)
        wire = field(2, second->chains[i], field(1, second->wires[i], wire));
    return wire;
}

static struct grant opened(struct bytes wire)
{
    struct grant grant;

    ck_assert_int_eq(grant_open(wire, &arena, &grant, NULL), GRANT_OK);
    return grant;
}

static enum grant_verdict verdict_of(struct bytes wire)
{
    struct grant grant = {.count = 77};
    enum grant_verdict verdict = grant_open(wire, &arena, &grant, NULL);

    ck_assert(verdict == GRANT_OK || grant.count == 77);
    return verdict;
}

START_TEST(blocks_stand_in_their_order_or_nowhere)
{
    struct grant_wish first = wish_of(ROOT, BEA), second = narrower(BEA, CID, 3);
    struct grant_wish third = narrower(CID, DAN, 1), strange = wish_of(BEA, CID);
    struct bytes three = make(&first), other = make(&strange);
    struct grant whole, part, alien = opened(other);

    three = narrow(three, &second);
    three = narrow(three, &third);
    whole = opened(three);
    ck_assert_int_eq(verdict_of(assemble(&whole, NULL)), GRANT_OK);
    part = whole; /* the first is left out: the second would be nobody's */
    part.count = 2;
    memmove(part.wires, whole.wires + 1, 2 * sizeof *part.wires);
    memmove(part.chains, whole.chains + 1, 2 * sizeof *part.chains);
    ck_assert_int_eq(verdict_of(assemble(&part, NULL)), GRANT_NOT_LINKED);
    part = whole; /* the one in the middle */
    part.count = 2;
    part.wires[1] = whole.wires[2];
    part.chains[1] = whole.chains[2];
    ck_assert_int_eq(verdict_of(assemble(&part, NULL)), GRANT_NOT_LINKED);
    part = whole; /* two change places */
    part.wires[1] = whole.wires[2], part.wires[2] = whole.wires[1];
    ck_assert_int_eq(verdict_of(assemble(&part, NULL)), GRANT_NOT_LINKED);
    part = whole; /* one twice */
    part.count = 2;
    part.wires[1] = part.wires[0], part.chains[1] = part.chains[0];
    ck_assert_int_eq(verdict_of(assemble(&part, NULL)), GRANT_NOT_LINKED);
    part = whole; /* a first block of somebody else after one */
    part.count = 1;
    ck_assert_int_eq(verdict_of(assemble(&part, &alien)), GRANT_NOT_LINKED);
    part = whole; /* blocks are cut off: that is an earlier holder's, and good for it alone */
    part.count = 1;
    ck_assert_int_eq(allows(assemble(&part, NULL), CID, ROOT, "ask", NOW_MS), GRANT_OTHER_HOLDER);
    ck_assert_int_eq(allows(assemble(&part, NULL), BEA, ROOT, "ask", NOW_MS), GRANT_OK);
}
END_TEST

/* The parent is named rightly, but another than its holder signs. */
START_TEST(only_the_holder_can_add_a_block)
{
    struct grant_wish first = wish_of(ROOT, BEA), wish = narrower(BEA, CID, 3);
    struct bytes grant = make(&first), wire;
    struct grant whole;

    wish.key = people[CID].key; /* with the holder's name, not its key */
    ck_assert_int_eq(grant_narrow(grant, &wish, &arena, &wire), GRANT_BAD_SIGNATURE);
    wish.key = people[BEA].key;
    wish.chain = people[CID].chain;
    ck_assert_int_eq(grant_narrow(grant, &wish, &arena, &wire), GRANT_NO_ISSUER);
    wish.chain = bytes_of_text("no chain");
    ck_assert_int_eq(grant_narrow(grant, &wish, &arena, &wire), GRANT_NO_ISSUER);
    wish.chain = people[BEA].chain;
    whole = opened(narrow(grant, &wish));
    whole.chains[1] = people[ROOT].chain;
    ck_assert_int_eq(verdict_of(assemble(&whole, NULL)), GRANT_NO_ISSUER);
}
END_TEST

START_TEST(an_issuer_is_a_duckling)
{
    struct grant_wish wish = wish_of(ROOT, BEA);
    struct bytes wire;

    wish.chain = birth_chain(IDENTITY_OPERATOR, 100, 1, &arena, &wish.issuer);
    ck_assert_int_eq(grant_make(&wish, &arena, &wire), GRANT_NO_ISSUER);
    wish = wish_of(ROOT, BEA);
    wish.issued_ms = BORN_MS - 1; /* before it was born */
    ck_assert_int_eq(grant_make(&wish, &arena, &wire), GRANT_NO_ISSUER);
    wish.issued_ms = BORN_MS;
    ck_assert_int_eq(grant_make(&wish, &arena, &wire), GRANT_OK);
}
END_TEST

/* Whatever date the thief of a key writes. */
START_TEST(a_key_that_was_replaced_grants_nothing)
{
    struct grant_wish wish = wish_of(ROOT, BEA);
    struct identity_key *next = birth_key(101);
    struct bytes wire;

    wish.chain = birth_chain(IDENTITY_DUCKLING, 100, 2, &arena, &wish.issuer);
    ck_assert(id_equal(&wish.issuer, &people[ROOT].id));
    ck_assert_int_eq(grant_make(&wish, &arena, &wire), GRANT_RETIRED_KEY);
    wish.issued_ms = BORN_MS + ROTATED_EVERY_MS;
    wish.not_after_ms = wish.issued_ms + DAY_MS;
    ck_assert_int_eq(grant_make(&wish, &arena, &wire), GRANT_BAD_SIGNATURE);
    wish.key = next;
    ck_assert_int_eq(grant_make(&wish, &arena, &wire), GRANT_OK);
    identity_key_free(next);
}
END_TEST

START_TEST(each_field_is_judged)
{
    for (int what = 0; what < 12; what++) {
        struct grant_wish wish = wish_of(ROOT, BEA);
        enum grant_verdict expected = GRANT_MALFORMED;
        struct bytes wire;

        if (what == 0)
            wish.network = bytes_of_text("");
        else if (what == 1)
            wish.network = bytes_of_text("123456789012345678901234567890123");
        else if (what == 2)
            wish.holder = (struct id){0};
        else if (what == 3)
            wish.issued_ms = 0;
        else if (what == 4)
            wish.scope_count = 0, expected = GRANT_BAD_SCOPE;
        else if (what == 5)
            wish.scopes[1] = bytes_of_text("data.re*"), expected = GRANT_BAD_SCOPE;
        else if (what == 6)
            wish.scopes[1] = bytes_of_text("Data"), expected = GRANT_BAD_SCOPE;
        else if (what == 7)
            wish.not_after_ms = wish.issued_ms, expected = GRANT_BAD_TIMES;
        else if (what == 8)
            wish.not_after_ms = wish.issued_ms + GRANT_LIFE_MAX_MS + 1, expected = GRANT_BAD_TIMES;
        else if (what == 9)
            wish.not_after_ms = wish.issued_ms + GRANT_LIFE_MAX_MS, expected = GRANT_OK;
        else if (what == 10)
            wish.scope_count = GRANT_SCOPES_MAX + 1, expected = GRANT_BAD_SCOPE;
        else
            wish.further = GRANT_BLOCKS_MAX, expected = GRANT_TOO_DEEP;
        ck_assert_int_eq(grant_make(&wish, &arena, &wire), expected);
        ck_assert(expected == GRANT_OK || !wire.data);
    }
}
END_TEST

START_TEST(as_many_scopes_of_the_longest_names_as_a_block_takes)
{
    struct grant_wish wish = wish_of(ROOT, BEA);
    char names[GRANT_SCOPES_MAX][PECK_ACTION_MAX];

    wish.scope_count = GRANT_SCOPES_MAX;
    for (size_t i = 0; i < GRANT_SCOPES_MAX; i++) {
        memset(names[i], 'a' + (int)i, PECK_ACTION_MAX);
        wish.scopes[i] = bytes_of(names[i], PECK_ACTION_MAX);
    }
    wish.network = bytes_of_text("12345678901234567890123456789012");
    ck_assert_uint_le(opened(make(&wish)).wires[0].size, GRANT_BLOCK_SIZE_MAX);
}
END_TEST

START_TEST(sizes_and_counts_are_looked_at_before_anything_else)
{
    struct grant_wish wish = wish_of(ROOT, BEA);
    struct grant whole = opened(make(&wish));
    uint8_t large[GRANT_SIZE_MAX + 1] = {0};
    struct bytes wire = {0};

    ck_assert_int_eq(verdict_of(bytes_of(large, sizeof large)), GRANT_TOO_LARGE);
    ck_assert_int_eq(verdict_of(bytes_of(large, GRANT_SIZE_MAX)), GRANT_MALFORMED);
    ck_assert_int_eq(verdict_of(bytes_of(large, 0)), GRANT_MALFORMED);
    ck_assert_int_eq(verdict_of(field(1, whole.wires[0], wire)), GRANT_MALFORMED);
    ck_assert_int_eq(verdict_of(field(3, bytes_of_text("?"), assemble(&whole, NULL))),
                     GRANT_MALFORMED);
    for (int i = 0; i <= GRANT_BLOCKS_MAX; i++)
        wire = field(2, bytes_of_text("c"), field(1, bytes_of_text("b"), wire));
    ck_assert_int_eq(verdict_of(wire), GRANT_TOO_DEEP);
}
END_TEST

/* The same bytes under another type's name are no block. */
START_TEST(what_was_signed_as_something_else_is_no_block)
{
    struct grant_wish wish = wish_of(ROOT, BEA);
    struct grant whole = opened(make(&wish));
    struct envelope envelope;

    for (int type = ENVELOPE_CERTIFICATE; type <= ENVELOPE_WITHDRAWAL; type++) {
        struct grant forged = whole;
        struct bytes wire;

        ck_assert_int_eq(envelope_parse(whole.wires[0], ENVELOPE_GRANT, &arena, &envelope),
                         ENVELOPE_TAKEN);
        wire = envelope_seal((enum envelope_type)type, &people[ROOT].id, people[ROOT].key,
                             envelope.body, &arena, NULL);
        forged.wires[0] = wire;
        ck_assert_int_eq(verdict_of(assemble(&forged, NULL)), GRANT_MALFORMED);
    }
}
END_TEST

START_TEST(every_turned_bit_is_refused)
{
    struct grant_wish first = wish_of(ROOT, BEA), second = narrower(BEA, CID, 3);
    struct bytes wire = narrow(make(&first), &second);
    uint8_t *turned = arena_take(&arena, wire.size);

    for (size_t bit = 0; bit < 8 * wire.size; bit += 3) {
        struct grant grant;
        struct arena parsed;

        memcpy(turned, wire.data, wire.size);
        turned[bit / 8] ^= (uint8_t)(1u << bit % 8);
        arena_init(&parsed, MIB);
        ck_assert_int_ne(grant_open(bytes_of(turned, wire.size), &parsed, &grant, NULL), GRANT_OK);
        arena_free(&parsed);
    }
}
END_TEST

START_TEST(another_network_and_each_refusal_have_their_words)
{
    struct grant_wish wish = wish_of(ROOT, BEA);
    struct grant grant = opened(make(&wish));
    struct grant_use use = {.network = bytes_of_text("lake"),
                            .from = people[BEA].id,
                            .to = people[ROOT].id,
                            .action = bytes_of_text("ask"),
                            .wall_ms = NOW_MS};

    ck_assert_int_eq(grant_allows(&grant, &use), GRANT_OTHER_NETWORK);
    for (int verdict = GRANT_OK; verdict <= GRANT_WIDER; verdict++)
        for (int other = GRANT_OK; other < verdict; other++)
            ck_assert_str_ne(grant_verdict_text((enum grant_verdict)verdict),
                             grant_verdict_text((enum grant_verdict)other));
}
END_TEST

/* ---- random chains ---- */

static uint64_t state;

static uint32_t draw(uint32_t below)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state >> 33) % below;
}

static const char *const scope_names[] = {"*", "a.*", "a.b.*", "a.b.c", "a.b", "a", "b.*", "b"};
static const char *const action_names[] = {"a", "a.b", "a.b.c", "a.b.d", "a.c", "b", "b.a", "c"};

/* Whatever a hostile holder might sign: it need not be narrower in anything. */
static void draw_block(struct grant_block *block)
{
    block->scope_count = 1 + draw(3);
    for (size_t i = 0; i < block->scope_count; i++)
        block->scopes[i] = bytes_of_text(scope_names[draw(8)]);
    block->uses = draw(4);
    block->further = draw(GRANT_BLOCKS_MAX);
    block->issued_ms = NOW_MS + draw(3) * CLOCK_SKEW_MAX_MS;
    block->not_after_ms = block->issued_ms + 1 + draw(4) * HOUR_MS;
}

static struct grant draw_grant(void)
{
    struct grant grant = {.count = 1 + draw(GRANT_BLOCKS_MAX)};

    for (size_t i = 0; i < grant.count; i++) {
        draw_block(&grant.blocks[i]);
        grant.blocks[i].network = bytes_of_text("pond");
        grant.blocks[i].issuer = people[i].id;
        grant.blocks[i].holder = people[i + 1].id;
    }
    return grant;
}

static bool reaches(const struct grant *grant, const struct grant_use *use)
{
    struct grant_reach reach;

    grant_reach(grant, &reach);
    if (use->wall_ms >= reach.not_after_ms ||
        use->wall_ms + CLOCK_SKEW_MAX_MS < reach.not_before_ms)
        return false;
    for (size_t i = 0; i < reach.scope_count; i++)
        if (peck_scope_covers(reach.scopes[i], use->action))
            return true;
    return false;
}

/* And what people are shown of it is what is judged by. */
START_TEST(a_longer_grant_never_allows_what_a_shorter_one_does_not)
{
    size_t allowed = 0, refused = 0;

    for (int i = 0; i < CHAINS_MADE_UP; i++) {
        struct grant grant = draw_grant();
        struct grant_use use = {.network = bytes_of_text("pond"),
                                .to = people[0].id,
                                .action = bytes_of_text(action_names[draw(8)]),
                                .wall_ms = NOW_MS + draw(4) * HOUR_MS};
        bool before = true;
        size_t count = grant.count;
        struct grant_reach wider = {0}, reach;

        for (grant.count = 1; grant.count <= count; grant.count++) {
            bool now;

            use.from = people[grant.count].id;
            now = grant_allows(&grant, &use) == GRANT_OK;
            ck_assert(before || !now);
            ck_assert_int_eq(now, reaches(&grant, &use));
            grant_reach(&grant, &reach);
            if (grant.count > 1) {
                ck_assert(wider.uses == 0 || (reach.uses > 0 && reach.uses <= wider.uses));
                ck_assert_uint_le(reach.not_after_ms, wider.not_after_ms);
                ck_assert(reach.further == 0 || reach.further < wider.further);
            }
            wider = reach;
            before = now;
            allowed += now;
            refused += !now;
        }
    }
    ck_assert_uint_gt(allowed, CHAINS_MADE_UP / 10);
    ck_assert_uint_gt(refused, CHAINS_MADE_UP / 10);
}
END_TEST

/* Signed, packed and opened: the same, and grant_narrow makes what allows less, or nothing. */
START_TEST(what_is_narrowed_by_chance_holds_or_is_refused)
{
    size_t made = 0, refused = 0;

    for (int i = 0; i < CHAINS_SIGNED; i++) {
        struct grant_wish wish = wish_of(ROOT, 1);
        struct bytes wire = make(&wish);

        for (int j = 1; j < PEOPLE - 1; j++) {
            struct grant_reach before, after;
            struct grant_block block;
            struct bytes next;
            struct grant grant;

            draw_block(&block);
            wish = wish_of(j, j + 1);
            memcpy(wish.scopes, block.scopes, sizeof wish.scopes);
            wish.scopes[0] = bytes_of_text(draw(2) ? "data.*" : "data.read");
            wish.scope_count = draw(4) ? 1 : block.scope_count;
            wish.uses = block.uses;
            wish.further = draw(2) ? block.further : (uint32_t)(GRANT_BLOCKS_MAX - 1 - j);
            wish.not_after_ms -= draw(3);
            if (grant_narrow(wire, &wish, &arena, &next) != GRANT_OK) {
                refused++;
                break;
            }
            grant = opened(wire);
            grant_reach(&grant, &before);
            grant = opened(next);
            grant_reach(&grant, &after);
            ck_assert_uint_gt(after.scope_count, 0);
            for (size_t s = 0; s < after.scope_count; s++) {
                bool was = false;

                for (size_t b = 0; b < before.scope_count; b++)
                    was = was || peck_scope_covers(before.scopes[b], after.scopes[s]);
                ck_assert(was);
            }
            ck_assert_uint_le(after.not_after_ms, before.not_after_ms);
            ck_assert_uint_lt(after.further, before.further);
            wire = next;
            made++;
        }
    }
    ck_assert_uint_gt(made, CHAINS_SIGNED / 10);
    ck_assert_uint_gt(refused, CHAINS_SIGNED / 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grant");
    TCase *tests = tcase_create("grant");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_grant_comes_back_as_it_was_made);
    tcase_add_test(tests, a_grant_is_these_bytes);
    tcase_add_test(tests, each_holder_narrows_it_for_the_next);
    tcase_add_test(tests, what_is_left_is_what_all_blocks_allow);
    tcase_add_test(tests, a_block_that_says_more_is_not_made);
    tcase_add_test(tests, it_is_handed_on_as_often_as_each_block_lets_it_be);
    tcase_add_test(tests, blocks_stand_in_their_order_or_nowhere);
    tcase_add_test(tests, only_the_holder_can_add_a_block);
    tcase_add_test(tests, an_issuer_is_a_duckling);
    tcase_add_test(tests, a_key_that_was_replaced_grants_nothing);
    tcase_add_test(tests, each_field_is_judged);
    tcase_add_test(tests, as_many_scopes_of_the_longest_names_as_a_block_takes);
    tcase_add_test(tests, sizes_and_counts_are_looked_at_before_anything_else);
    tcase_add_test(tests, what_was_signed_as_something_else_is_no_block);
    tcase_add_test(tests, every_turned_bit_is_refused);
    tcase_add_test(tests, another_network_and_each_refusal_have_their_words);
    tcase_add_test(tests, a_longer_grant_never_allows_what_a_shorter_one_does_not);
    tcase_add_test(tests, what_is_narrowed_by_chance_holds_or_is_refused);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
