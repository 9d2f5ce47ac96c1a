/* What is told of a duckling's tier: once for each change, also after a restart, never for none. */
#include "core/voucher.h"
#include "core/withdrawal.h"
#include "store_bed.h"
#include "tiers.h"

#include <sqlite3.h>
#include <stdio.h>

#define TOLD_MAX 16

static struct bed bed;
static struct tiers *tiers;
static struct author operator_key;
static bool is_followed;
static struct effects effects;
static uint64_t now_ms; /* since the first moment of each test */

/* What the last turn told. */
static size_t told_count;
static struct {
    struct id duckling;
    int before, tier;
    char reason[256];
} told[TOLD_MAX];

static bool follows(void *context, const struct id *duckling)
{
    (void)context;
    (void)duckling;
    return is_followed;
}

static void set_up(void)
{
    bed_make(&bed);
    operator_key = author_new(IDENTITY_OPERATOR, 9, &bed.arena);
    tiers = tiers_new(bed.store);
    ck_assert_int_eq(tiers_restore(tiers), 0);
    effects_init(&effects);
    is_followed = true;
    now_ms = 1000;
}

static void tear_down(void)
{
    tiers_free(tiers);
    effects_free(&effects);
    author_free(&operator_key);
    bed_free(&bed);
}

static struct moment at(void)
{
    return (struct moment){.now_ms = now_ms, .wall_ms = THINGS_WALL_MS + now_ms};
}

static void note_told(const struct effect *effect)
{
    ck_assert_uint_lt(told_count, TOLD_MAX);
    told[told_count].duckling = effect->tier.duckling;
    told[told_count].before = effect->tier.before;
    told[told_count].tier = effect->tier.tier;
    snprintf(told[told_count++].reason, sizeof told->reason, "%s", effect->tier.reason);
}

/* As the loop does it: what was decided is kept and noted, then tiers are settled. */
static void turn_of(const struct effect *kept, size_t count)
{
    struct moment moment = at();
    struct tiers_turn turn = {.at = &moment, .is_followed = follows, .effects = &effects};

    effects_clear(&effects);
    told_count = 0;
    ck_assert_int_eq(store_begin(bed.store), 0);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(store_keep(bed.store, &kept[i]), 0);
        tiers_note(tiers, &kept[i]);
    }
    ck_assert_int_eq(tiers_settle(tiers, &turn), 0);
    for (size_t i = 0; i < effects.count; i++) {
        ck_assert_int_eq(store_keep(bed.store, &effects.list[i]), 0);
        if (effects.list[i].kind == EFFECT_TIER_CHANGED)
            note_told(&effects.list[i]);
    }
    ck_assert_int_eq(store_commit(bed.store), 0);
}

static void keep(struct effect effect)
{
    turn_of(&effect, 1);
}

static void nothing_happens(void)
{
    turn_of(NULL, 0);
    ck_assert_uint_eq(told_count, 0);
}

static void expect(int before, int tier, const char *reason)
{
    ck_assert_uint_eq(told_count, 1);
    ck_assert(id_equal(&told[0].duckling, &bed.bob.id));
    ck_assert_int_eq(told[0].before, before);
    ck_assert_int_eq(told[0].tier, tier);
    ck_assert_str_eq(told[0].reason, reason);
}

static void expect_nothing(void)
{
    ck_assert_uint_eq(told_count, 0);
}

/* ---- what happens to bob, who lives here ---- */

static void hatch(void)
{
    static struct hosted hosted;
    struct effect kept[2] = {{.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted}};

    hosted = (struct hosted){.id = bed.bob.id, .chain = bed.bob.chain};
    hosted.profile.display_name = bytes_of_text("Bob");
    kept[1] =
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);
    turn_of(kept, 2);
    expect_nothing();
}

static struct effect attests(const struct author *owner, const struct author *subject,
                             uint64_t version_ms, bool deleted)
{
    struct attestation_content content = {.subject = subject->id,
                                          .claim = bytes_of_text(CLAIM_BONDED),
                                          .proof = bytes_of(bed.node.id.bytes, ID_SIZE)};
    char text[ID_TEXT_SIZE], key[RECORD_KEY_MAX];

    snprintf(key, sizeof key, "bonded:%s", id_text(ID_DUCKLING, &subject->id, text));
    return make_record(owner, RECORD_ATTESTATION, key, version_ms,
                       attestation_content_pack(&content, &bed.arena), deleted, &bed.arena);
}

/* `of`: the bind that it names. */
static struct effect binds(const struct author *owner, const struct author *subject,
                           const struct id *of, uint64_t version_ms, bool deleted)
{
    struct attestation_content content = {
        .subject = subject->id, .claim = bytes_of_text(CLAIM_LOBSTER), .proof = id_bytes(of)};
    char text[ID_TEXT_SIZE], key[RECORD_KEY_MAX];

    snprintf(key, sizeof key, CLAIM_LOBSTER ":%s", id_text(ID_DUCKLING, &subject->id, text));
    return make_record(owner, RECORD_ATTESTATION, key, version_ms,
                       attestation_content_pack(&content, &bed.arena), deleted, &bed.arena);
}

static void bond(void)
{
    struct effect both[] = {attests(&bed.bob, &bed.alice, THINGS_WALL_MS, false),
                            attests(&bed.alice, &bed.bob, THINGS_WALL_MS, false)};

    turn_of(both, 2);
}

static struct effect voucher_issued(uint64_t issued_ms, uint64_t version_ms)
{
    struct voucher voucher = {.network = bytes_of_text(THINGS_NETWORK),
                              .operator_id = operator_key.id,
                              .subject = bed.bob.id,
                              .issued_ms = issued_ms,
                              .not_after_ms = issued_ms + VOUCHER_LIFE_MS};
    struct attestation_content content = {.subject = operator_key.id,
                                          .claim = bytes_of_text(CLAIM_OPERATOR_VERIFIED),
                                          .chain = operator_key.chain};
    char text[ID_TEXT_SIZE], key[RECORD_KEY_MAX];
    struct bytes body;

    ck_assert_int_eq(voucher_pack(&voucher, &bed.arena, &body), VOUCHER_OK);
    content.proof =
        envelope_seal(ENVELOPE_VOUCHER, &operator_key.id, operator_key.key, body, &bed.arena, NULL);
    snprintf(key, sizeof key, CLAIM_OPERATOR_VERIFIED ":%s",
             id_text(ID_OPERATOR, &operator_key.id, text));
    return make_record(&bed.bob, RECORD_ATTESTATION, key, version_ms,
                       attestation_content_pack(&content, &bed.arena), false, &bed.arena);
}

static struct effect voucher_at(uint64_t version_ms)
{
    return voucher_issued(THINGS_WALL_MS, version_ms);
}

/* Of the operator, for `subject`, in a carrier of this number. */
static struct effect takes_back(const struct id *subject, uint64_t until_ms, uint32_t number)
{
    uint8_t seeds[2][SEED_SIZE] = {{0}, {1}};
    struct withdrawal_wish wish = {.network = bytes_of_text(THINGS_NETWORK),
                                   .operator_id = operator_key.id,
                                   .operator_key = operator_key.key,
                                   .operator_chain = operator_key.chain,
                                   .subject = *subject,
                                   .until_ms = until_ms,
                                   .seeds = (const uint8_t(*)[SEED_SIZE])seeds};
    struct effect effect = {.kind = EFFECT_KEEP_RECORD};
    struct offered_record *item = &effect.record.item;
    struct withdrawal withdrawal;

    memcpy(seeds[0] + 4, &number, sizeof number);
    ck_assert_int_eq(withdrawal_make(&wish, &bed.arena, &item->wire, &item->chain), WITHDRAWAL_OK);
    ck_assert_int_eq(
        withdrawal_open(item->wire, item->chain, &bed.arena, &item->record, &withdrawal),
        WITHDRAWAL_OK);
    item->withdrawn =
        (struct withdrawn){withdrawal.operator_id, withdrawal.subject, withdrawal.until_ms};
    return effect;
}

static void trust(uint64_t until_ms)
{
    struct kept_trust trusted = {.operator_id = operator_key.id, .until_ms = until_ms};

    keep((struct effect){.kind = EFFECT_KEEP_TRUST, .trust = &trusted});
}

static void distrust(void)
{
    struct kept_trust trusted = {.operator_id = operator_key.id};

    keep((struct effect){.kind = EFFECT_DROP_TRUST, .trust = &trusted});
}

static struct effect revokes(const struct author *owner)
{
    struct revocation_content content = {.subject = owner->id, .revoked_at_ms = THINGS_WALL_MS};
    struct effect effect = {.kind = EFFECT_KEEP_RECORD};
    struct record *record = &effect.record.item.record;
    struct bytes body;

    *record = (struct record){.network = bytes_of_text(THINGS_NETWORK),
                              .owner = owner->id,
                              .kind = RECORD_REVOCATION,
                              .version = {THINGS_WALL_MS, 0},
                              .not_after_ms = THINGS_WALL_MS + REVOCATION_LIFE_MIN_MS,
                              .content = revocation_content_pack(&content, &bed.arena)};
    ck_assert_int_eq(record_pack(record, &bed.arena, &body), RECORD_OK);
    effect.record.item.wire =
        envelope_seal(ENVELOPE_RECORD, &owner->id, owner->key, body, &bed.arena, NULL);
    effect.record.item.chain = owner->chain;
    return effect;
}

/* Another life of the node: what is in memory is gone. */
static void restart(void)
{
    tiers_free(tiers);
    bed_close(&bed);
    bed_open(&bed);
    tiers = tiers_new(bed.store);
    ck_assert_int_eq(tiers_restore(tiers), 0);
}

/* ---- told ---- */

/* A duckling that bonds at once, while a node that has just begun looks at nothing. */
START_TEST(what_changes_before_a_hatched_duckling_is_weighed_is_told)
{
    tiers_rest(tiers, now_ms + TIERS_AT_START_MS);
    hatch();
    bond();
    expect_nothing();
    now_ms += TIERS_AT_START_MS;
    turn_of(NULL, 0);
    expect(0, 1, "bonded gained");
    restart();
    nothing_happens();
}
END_TEST

/* The tier that it began with is kept, though nothing was told of it. */
START_TEST(a_hatched_duckling_that_nobody_follows_is_kept_as_it_began)
{
    is_followed = false;
    hatch();
    bond();
    restart();
    is_followed = true;
    turn_of(NULL, 0);
    expect(0, 1, "bonded gained");
}
END_TEST

START_TEST(a_bond_made_and_ended_is_told_once_each)
{
    hatch();
    bond();
    expect(0, 1, "bonded gained");
    nothing_happens();
    keep(attests(&bed.alice, &bed.bob, THINGS_WALL_MS + 1, false)); /* renewed: no change */
    expect_nothing();
    keep(attests(&bed.alice, &bed.bob, THINGS_WALL_MS + 2, true));
    expect(1, 0, "bonded lost");
    nothing_happens();
}
END_TEST

START_TEST(one_end_alone_makes_no_bond)
{
    hatch();
    keep(attests(&bed.alice, &bed.bob, THINGS_WALL_MS, false));
    expect_nothing();
    keep(attests(&bed.bob, &bed.alice, THINGS_WALL_MS, false));
    expect(0, 1, "bonded gained");
}
END_TEST

START_TEST(vouchers_count_with_trust_and_only_so_long)
{
    hatch();
    bond();
    keep(voucher_at(THINGS_WALL_MS));
    expect_nothing(); /* nobody is trusted */
    trust(MOMENT_NEVER);
    expect(1, 2, "operator-verified gained");
    distrust();
    expect(2, 1, "operator-verified lost: its operator is not trusted here");
    trust(THINGS_WALL_MS + HOUR_MS);
    expect(1, 2, "operator-verified gained");
    now_ms = HOUR_MS;
    turn_of(NULL, 0);
    expect(2, 1, "operator-verified lost: its operator is not trusted here");
}
END_TEST

START_TEST(the_revocation_of_an_operator_and_of_a_partner_are_noticed)
{
    struct effect drop = {.kind = EFFECT_DROP_RECORD, .record.dropped_kind = RECORD_ATTESTATION};
    struct effect both[2];

    hatch();
    bond();
    keep(voucher_at(THINGS_WALL_MS));
    trust(MOMENT_NEVER);
    expect(1, 2, "operator-verified gained");
    keep(revokes(&operator_key));
    expect(2, 1, "operator-verified lost: its operator's key is revoked");
    drop.record.dropped =
        attests(&bed.alice, &bed.bob, THINGS_WALL_MS, false).record.item.record.hash;
    both[0] = drop;
    both[1] = revokes(&bed.alice);
    turn_of(both, 2);
    expect(1, 0, "bonded lost");
}
END_TEST

static void be_vouched(void)
{
    hatch();
    bond();
    keep(voucher_at(THINGS_WALL_MS));
    trust(MOMENT_NEVER);
    expect(1, 2, "operator-verified gained");
}

START_TEST(a_lobster_bind_counts_while_both_ends_name_the_same_one)
{
    be_vouched();
    keep(binds(&bed.bob, &bed.alice, &bed.node.id, THINGS_WALL_MS, false));
    expect_nothing(); /* one end alone */
    keep(binds(&bed.alice, &bed.bob, &bed.alice.id, THINGS_WALL_MS, false));
    expect_nothing(); /* another bind than this end's */
    keep(binds(&bed.alice, &bed.bob, &bed.node.id, THINGS_WALL_MS + 1, false));
    expect(2, 3, "lobster-bind gained");
    keep(binds(&bed.alice, &bed.bob, &bed.node.id, THINGS_WALL_MS + 2, false)); /* renewed */
    expect_nothing();
    restart();
    nothing_happens();
    keep(binds(&bed.alice, &bed.bob, &bed.node.id, THINGS_WALL_MS + 3, true));
    expect(3, 2, "lobster-bind lost");
}
END_TEST

START_TEST(a_lobster_bind_is_nothing_without_what_stands_below_it)
{
    be_vouched();
    keep(binds(&bed.bob, &bed.alice, &bed.node.id, THINGS_WALL_MS, false));
    keep(binds(&bed.alice, &bed.bob, &bed.node.id, THINGS_WALL_MS, false));
    expect(2, 3, "lobster-bind gained");
    distrust();
    expect(3, 1, "operator-verified lost: its operator is not trusted here, lobster-bind lost");
}
END_TEST

static void expect_taken_back(const char *date)
{
    char text[ID_TEXT_SIZE], reason[256];

    snprintf(reason, sizeof reason,
             "operator-verified lost: its voucher by %s was taken back on %s",
             id_text(ID_OPERATOR, &operator_key.id, text), date);
    expect(2, 1, reason);
}

START_TEST(a_voucher_that_is_taken_back_is_void_and_a_newer_one_counts)
{
    struct effect drop = {.kind = EFFECT_DROP_RECORD, .record.dropped_kind = RECORD_REVOCATION};
    struct effect withdrawal;

    be_vouched();
    withdrawal = takes_back(&bed.bob.id, THINGS_WALL_MS + 5000, 1);
    keep(withdrawal);
    expect_taken_back("2026-01-01T00:00:05Z");
    restart();
    nothing_happens();
    keep(voucher_at(THINGS_WALL_MS + 6000)); /* published again: it is the same voucher */
    expect_nothing();
    keep(voucher_issued(THINGS_WALL_MS + 5000, THINGS_WALL_MS + 7000)); /* in that millisecond */
    expect_nothing();
    keep(voucher_issued(THINGS_WALL_MS + 5001, THINGS_WALL_MS + 8000));
    expect(1, 2, "operator-verified gained");
    keep(takes_back(&bed.bob.id, THINGS_WALL_MS + 4000, 2)); /* an older one changes nothing */
    expect_nothing();
    keep(takes_back(&bed.bob.id, THINGS_WALL_MS + 9000, 3));
    expect_taken_back("2026-01-01T00:00:09Z");
    drop.record.dropped = withdrawal.record.item.record.hash;
    keep(drop); /* it ended: the later one stands */
    expect_nothing();
}
END_TEST

START_TEST(a_withdrawal_that_came_before_the_voucher_counts_all_the_same)
{
    keep(takes_back(&bed.bob.id, THINGS_WALL_MS + 5000, 1));
    hatch();
    bond();
    keep(voucher_at(THINGS_WALL_MS + 6000));
    trust(MOMENT_NEVER);
    expect_nothing();
}
END_TEST

START_TEST(only_this_operators_voucher_for_this_duckling_is_void)
{
    be_vouched();
    keep(takes_back(&bed.alice.id, THINGS_WALL_MS + 5000, 1));
    expect_nothing();
    author_free(&operator_key);
    operator_key = author_new(IDENTITY_OPERATOR, 10, &bed.arena);
    keep(takes_back(&bed.bob.id, THINGS_WALL_MS + 5000, 2));
    expect_nothing();
}
END_TEST

/* What is not verified is never in `withdrawn`; a revocation alone says nothing of vouchers. */
START_TEST(a_revocation_whose_withdrawal_did_not_hold_voids_nothing)
{
    struct effect effect;

    be_vouched();
    effect = takes_back(&bed.bob.id, THINGS_WALL_MS + 5000, 1);
    effect.record.item.withdrawn = (struct withdrawn){0};
    keep(effect);
    expect_nothing();
}
END_TEST

START_TEST(an_operator_that_took_back_more_than_are_counted_vouches_for_nobody)
{
    static struct effect kept[WITHDRAWALS_PER_OPERATOR_MAX];
    struct id other = {{0}};

    be_vouched();
    for (uint32_t i = 0; i < WITHDRAWALS_PER_OPERATOR_MAX; i++) {
        memcpy(other.bytes, &i, sizeof i);
        other.bytes[ID_SIZE - 1] = 1;
        kept[i] = takes_back(&other, THINGS_WALL_MS + 5000, i);
    }
    turn_of(kept, WITHDRAWALS_PER_OPERATOR_MAX);
    expect_nothing();
    keep(takes_back(&other, THINGS_WALL_MS + 5000, WITHDRAWALS_PER_OPERATOR_MAX));
    expect(2, 1, "operator-verified lost: its operator took back more vouchers than are counted");
}
END_TEST

START_TEST(what_a_partners_quota_puts_out_is_noticed)
{
    struct effect both[2] = {{.kind = EFFECT_DROP_RECORD}};

    hatch();
    bond();
    both[0].record.dropped =
        attests(&bed.alice, &bed.bob, THINGS_WALL_MS, false).record.item.record.hash;
    both[1] = make_duckling_record(&bed.alice, &bed.node.id, "Alice", "", NULL, THINGS_WALL_MS,
                                   &bed.arena);
    both[1].record.puts_out = true;
    turn_of(both, 2);
    expect(1, 0, "bonded lost");
}
END_TEST

START_TEST(a_revoked_duckling_has_no_tier)
{
    hatch();
    keep(revokes(&bed.bob));
    ck_assert_uint_eq(told_count, 1);
    ck_assert_int_eq(told[0].tier, TIER_NONE);
}
END_TEST

/* ---- time ---- */

START_TEST(the_end_of_evidence_is_noticed_when_it_comes)
{
    struct moment moment;

    hatch();
    bond();
    now_ms = RECORD_LIFE_MS - 1;
    moment = at();
    ck_assert_uint_eq(tiers_wake_at_ms(tiers, &moment), now_ms + 1);
    nothing_happens();
    now_ms = RECORD_LIFE_MS;
    turn_of(NULL, 0); /* its own record ends with the bond's */
    ck_assert_uint_eq(told_count, 1);
    ck_assert_int_eq(told[0].before, 1);
    ck_assert_int_eq(told[0].tier, TIER_NONE);
    ck_assert_str_eq(told[0].reason, "hosted-by lost, bonded lost");
    moment = at();
    ck_assert_uint_eq(tiers_wake_at_ms(tiers, &moment), MOMENT_NEVER);
}
END_TEST

START_TEST(what_is_renewed_lives_on)
{
    struct effect renewed[3];

    hatch();
    bond();
    now_ms = RECORD_LIFE_MS / 2;
    renewed[0] = attests(&bed.bob, &bed.alice, THINGS_WALL_MS + now_ms, false);
    renewed[1] = attests(&bed.alice, &bed.bob, THINGS_WALL_MS + now_ms, false);
    renewed[2] = make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL,
                                      THINGS_WALL_MS + now_ms, &bed.arena);
    turn_of(renewed, 3);
    expect_nothing();
    now_ms = RECORD_LIFE_MS;
    nothing_happens();
}
END_TEST

START_TEST(nothing_is_weighed_while_gossip_begins)
{
    struct moment moment = at();

    hatch();
    bond();
    restart();
    tiers_rest(tiers, now_ms + TIERS_AT_START_MS);
    ck_assert_uint_eq(tiers_wake_at_ms(tiers, &moment), now_ms + TIERS_AT_START_MS);
    keep(attests(&bed.alice, &bed.bob, THINGS_WALL_MS + 2, true));
    expect_nothing();
    keep(attests(&bed.alice, &bed.bob, THINGS_WALL_MS + 3, false)); /* as it was: no change */
    now_ms += TIERS_AT_START_MS;
    nothing_happens();
}
END_TEST

/* ---- lives ---- */

START_TEST(a_change_while_the_node_was_down_is_told_after_it)
{
    struct effect ended = attests(&bed.alice, &bed.bob, THINGS_WALL_MS + 2, true);

    hatch();
    bond();
    expect(0, 1, "bonded gained");
    restart();
    nothing_happens(); /* what was told is not told again */
    tiers_free(tiers);
    tiers = NULL;
    bed_keep(&bed, &ended, 1);
    tiers = tiers_new(bed.store);
    ck_assert_int_eq(tiers_restore(tiers), 0);
    turn_of(NULL, 0);
    expect(1, 0, "bonded lost");
    restart();
    nothing_happens();
}
END_TEST

START_TEST(a_turn_that_is_undone_has_told_nothing)
{
    struct moment moment = at();
    struct tiers_turn turn = {.at = &moment, .is_followed = follows, .effects = &effects};
    struct effect both[] = {attests(&bed.bob, &bed.alice, THINGS_WALL_MS, false),
                            attests(&bed.alice, &bed.bob, THINGS_WALL_MS, false)};

    hatch();
    effects_clear(&effects);
    ck_assert_int_eq(store_begin(bed.store), 0);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(store_keep(bed.store, &both[i]), 0);
        tiers_note(tiers, &both[i]);
    }
    ck_assert_int_eq(tiers_settle(tiers, &turn), 0);
    ck_assert_uint_eq(effects.count, 2);
    store_roll_back(bed.store);
    ck_assert_int_eq(tiers_restore(tiers), 0);
    nothing_happens();
    bond();
    expect(0, 1, "bonded gained");
}
END_TEST

/* ---- a directory that is made anew ---- */

static struct bond stands(void)
{
    struct bond kept = {.id = {{5}},
                        .requester = bed.alice.id,
                        .approver = bed.bob.id,
                        .made_ms = THINGS_WALL_MS,
                        .not_after_ms = THINGS_WALL_MS + BOND_LIFE_MS,
                        .scope_count = 1};

    kept.scopes[0] = bytes_of_text("data.*");
    return kept;
}

/* Bob is T2, told; his node keeps its ends of it. */
static void be_told(void)
{
    struct bond bond = stands();
    struct kept_voucher voucher = {.duckling = bed.bob.id,
                                   .operator_id = operator_key.id,
                                   .not_after_ms = THINGS_WALL_MS + VOUCHER_LIFE_MS,
                                   .wire = bytes_of_text("voucher"),
                                   .chain = operator_key.chain};
    struct effect both[] = {{.kind = EFFECT_KEEP_BOND, .bond = &bond},
                            {.kind = EFFECT_KEEP_VOUCHER, .voucher = &voucher}};

    be_vouched();
    turn_of(both, 2);
    expect_nothing();
}

/* Another life, with an empty directory that was made at this date. */
static void lose_directory(uint64_t made_ms)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char path[96], sql[96];
    sqlite3 *directory;

    tiers_free(tiers);
    bed_close(&bed);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/directory.db%s", bed.directory, suffixes[i]);
        unlink(path);
    }
    bed_open(&bed);
    bed_close(&bed);
    snprintf(path, sizeof path, "%s/directory.db", bed.directory);
    snprintf(sql, sizeof sql, "UPDATE origin SET made_ms = %llu", (unsigned long long)made_ms);
    ck_assert_int_eq(sqlite3_open(path, &directory), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(directory, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(directory);
    bed_open(&bed);
    tiers = tiers_new(bed.store);
    ck_assert_int_eq(tiers_restore(tiers), 0);
}

/* In the order in which a neighbour may bring them, with pauses as long as it likes. */
static void all_comes_back(uint64_t version_ms)
{
    keep(make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, version_ms, &bed.arena));
    expect_nothing();
    keep(attests(&bed.bob, &bed.alice, version_ms, false));
    expect_nothing();
    now_ms += HOUR_MS;
    keep(voucher_at(version_ms));
    expect_nothing();
    now_ms += HOUR_MS;
    keep(attests(&bed.alice, &bed.bob, version_ms, false));
}

START_TEST(what_was_lost_with_the_directory_and_comes_back_is_no_change)
{
    be_told();
    lose_directory(THINGS_WALL_MS);
    now_ms += MINUTE_MS;
    nothing_happens();
    all_comes_back(THINGS_WALL_MS);
    expect_nothing();
    restart();
    nothing_happens();
    keep(attests(&bed.alice, &bed.bob, THINGS_WALL_MS + now_ms, true)); /* and the bond stands on */
    expect_nothing();
}
END_TEST

START_TEST(what_has_not_come_back_when_it_could_not_live_any_more_is_told)
{
    struct moment moment;

    be_told();
    lose_directory(THINGS_WALL_MS);
    now_ms = RECORD_LIFE_MS - 1;
    keep(make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS + now_ms,
                              &bed.arena));
    expect_nothing();
    moment = at();
    ck_assert_uint_eq(tiers_wake_at_ms(tiers, &moment), now_ms + 1);
    now_ms++;
    turn_of(NULL, 0);
    expect(2, 0, "bonded lost, operator-verified lost: no voucher lives");
}
END_TEST

START_TEST(what_is_known_to_have_ended_is_told_also_by_a_directory_made_anew)
{
    struct effect end = {.kind = EFFECT_DROP_BOND};
    struct bond bond = stands();

    be_told();
    lose_directory(THINGS_WALL_MS);
    all_comes_back(THINGS_WALL_MS);
    expect_nothing();
    keep(takes_back(&bed.bob.id, THINGS_WALL_MS + 5000, 1));
    expect_taken_back("2026-01-01T00:00:05Z");
    end.bond = &bond;
    keep(end);
    keep(attests(&bed.alice, &bed.bob, THINGS_WALL_MS + now_ms, true));
    expect(1, 0, "bonded lost");
}
END_TEST

/* ---- followers ---- */

START_TEST(what_nobody_follows_waits_for_the_first_who_does)
{
    hatch();
    is_followed = false;
    bond();
    expect_nothing();
    ck_assert(tiers_some_are_unheard(tiers));
    keep(voucher_at(THINGS_WALL_MS));
    trust(MOMENT_NEVER);
    expect_nothing();
    restart();
    nothing_happens();
    ck_assert(tiers_some_are_unheard(tiers));
    is_followed = true;
    tiers_may_be_heard(tiers);
    turn_of(NULL, 0);
    expect(0, 2, "bonded gained, operator-verified gained");
    ck_assert(!tiers_some_are_unheard(tiers));
    tiers_may_be_heard(tiers);
    nothing_happens();
}
END_TEST

START_TEST(what_changed_and_changed_back_unheard_is_nothing_to_tell)
{
    hatch();
    is_followed = false;
    bond();
    keep(attests(&bed.alice, &bed.bob, THINGS_WALL_MS + 1, true));
    ck_assert(!tiers_some_are_unheard(tiers));
    is_followed = true;
    tiers_may_be_heard(tiers);
    nothing_happens();
}
END_TEST

/* ---- bounds ---- */

START_TEST(a_turn_weighs_so_many_and_the_next_the_rest)
{
    static struct hosted hosted[TIERS_AT_ONCE + 1];
    static struct effect kept[TIERS_AT_ONCE + 1];
    struct moment moment = at();

    for (size_t i = 0; i < TIERS_AT_ONCE + 1; i++) {
        hosted[i] = (struct hosted){.chain = bed.bob.chain};
        hosted[i].id.bytes[0] = (uint8_t)i;
        hosted[i].id.bytes[1] = (uint8_t)(1 + i / 256);
        hosted[i].profile.display_name = bytes_of_text("one of many");
        kept[i] = (struct effect){.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted[i]};
    }
    is_followed = false; /* each is kept, none is told */
    turn_of(kept, TIERS_AT_ONCE + 1);
    ck_assert_uint_eq(effects.count, TIERS_AT_ONCE);
    ck_assert_uint_eq(tiers_wake_at_ms(tiers, &moment), now_ms);
    turn_of(NULL, 0);
    ck_assert_uint_eq(effects.count, 1);
    ck_assert_uint_eq(tiers_wake_at_ms(tiers, &moment), MOMENT_NEVER);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tiers");
    TCase *tests = tcase_create("tiers");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60); /* a thousand withdrawals are signed */
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_changes_before_a_hatched_duckling_is_weighed_is_told);
    tcase_add_test(tests, a_hatched_duckling_that_nobody_follows_is_kept_as_it_began);
    tcase_add_test(tests, a_bond_made_and_ended_is_told_once_each);
    tcase_add_test(tests, one_end_alone_makes_no_bond);
    tcase_add_test(tests, vouchers_count_with_trust_and_only_so_long);
    tcase_add_test(tests, the_revocation_of_an_operator_and_of_a_partner_are_noticed);
    tcase_add_test(tests, a_voucher_that_is_taken_back_is_void_and_a_newer_one_counts);
    tcase_add_test(tests, a_withdrawal_that_came_before_the_voucher_counts_all_the_same);
    tcase_add_test(tests, only_this_operators_voucher_for_this_duckling_is_void);
    tcase_add_test(tests, a_revocation_whose_withdrawal_did_not_hold_voids_nothing);
    tcase_add_test(tests, an_operator_that_took_back_more_than_are_counted_vouches_for_nobody);
    tcase_add_test(tests, what_a_partners_quota_puts_out_is_noticed);
    tcase_add_test(tests, a_revoked_duckling_has_no_tier);
    tcase_add_test(tests, the_end_of_evidence_is_noticed_when_it_comes);
    tcase_add_test(tests, what_is_renewed_lives_on);
    tcase_add_test(tests, nothing_is_weighed_while_gossip_begins);
    tcase_add_test(tests, a_change_while_the_node_was_down_is_told_after_it);
    tcase_add_test(tests, a_turn_that_is_undone_has_told_nothing);
    tcase_add_test(tests, what_was_lost_with_the_directory_and_comes_back_is_no_change);
    tcase_add_test(tests, what_has_not_come_back_when_it_could_not_live_any_more_is_told);
    tcase_add_test(tests, what_is_known_to_have_ended_is_told_also_by_a_directory_made_anew);
    tcase_add_test(tests, what_nobody_follows_waits_for_the_first_who_does);
    tcase_add_test(tests, what_changed_and_changed_back_unheard_is_nothing_to_tell);
    tcase_add_test(tests, a_lobster_bind_counts_while_both_ends_name_the_same_one);
    tcase_add_test(tests, a_lobster_bind_is_nothing_without_what_stands_below_it);
    tcase_add_test(tests, a_turn_weighs_so_many_and_the_next_the_rest);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
