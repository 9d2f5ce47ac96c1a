#include "store_play.h"

#include "core/dice.h"
#include "core/voucher.h"
#include "core/withdrawal.h"
#include "store_internal.h"

#include <sodium.h>

#define PLAY_GRANT_BLOCKS 4
#define LEASE_UNTIL_MS (THINGS_WALL_MS + HOUR_MS)

static const struct moment restored_at = {.now_ms = 5000, .wall_ms = THINGS_WALL_MS + MINUTE_MS};

/* ---- the script ---- */

static struct effect *add(struct played_turn *turn, struct effect effect, size_t subject)
{
    struct played_effect *played = &turn->effects[turn->count++];

    assert(turn->count <= PLAY_EFFECTS_MAX);
    played->effect = effect;
    played->subject = subject;
    return &played->effect;
}

struct writer {
    struct play *play;
    struct dice dice;
    struct effect latest[PLAY_PECKS_MAX]; /* the last EFFECT_KEEP_PECK or _STATE of each */
    struct effect own;                    /* this node's record; kind 0: none yet */
    size_t records;
    bool bound;  /* a lobster bind is there */
    bool issued; /* a context is there */
    size_t held; /* the turn whose perched peck and pre-key are there; 0: none */
};

static size_t begin_peck(struct writer *writer, struct played_turn *turn, enum box box)
{
    struct play *play = writer->play;
    size_t number = play->peck_count++;
    struct peck_wish wish = {.payload_size = dice_below(&writer->dice, 6000)};
    const struct author *from = box == BOX_IN ? &play->alice : &play->bob;
    const struct author *to = box == BOX_IN ? &play->bob : &play->alice;
    char *key = arena_take(&play->arena, 16);

    assert(play->peck_count <= PLAY_PECKS_MAX);
    snprintf(key, 16, "k%zu", number);
    wish.key = box == BOX_OUT ? key : NULL;
    play->pecks[number] =
        make_peck(from, &to->id, box, box == BOX_IN ? PECK_TAKEN : PECK_SENT, &wish, &play->arena);
    writer->latest[number] = *add(turn, play->pecks[number], number);
    return number;
}

static void receive_pecks(struct writer *writer, struct played_turn *turn)
{
    struct play *play = writer->play;
    size_t count = 1 + dice_below(&writer->dice, 3);

    for (size_t i = 0; i < count; i++) {
        size_t number = begin_peck(writer, turn, BOX_IN);

        add(turn,
            make_receipt(&play->node, &play->pecks[number], RECEIPT_TAKEN, PECK_TAKEN,
                         &play->arena),
            number);
    }
}

static enum peck_state state_of(const struct effect *latest)
{
    return latest->kind == EFFECT_KEEP_PECK ? latest->peck.state : latest->state.state;
}

static enum tray_place place_of(const struct effect *latest)
{
    return latest->kind == EFFECT_KEEP_PECK ? TRAY_READY : latest->state.place;
}

static struct effect *move(struct writer *writer, struct played_turn *turn, size_t number,
                           enum peck_state state, enum tray_place place)
{
    const struct effect *before = &writer->latest[number];
    uint32_t attempt = before->kind == EFFECT_KEEP_STATE ? before->state.attempt : 0;
    struct effect effect = make_state(writer->play->pecks[number].peck.box,
                                      &writer->play->pecks[number].peck.id, state, place);

    effect.state.attempt = attempt + (place == TRAY_LEASED);
    effect.state.lease_until_ms = place == TRAY_LEASED ? LEASE_UNTIL_MS + number : 0;
    writer->latest[number] = effect;
    return add(turn, effect, number);
}

/* One step further on the way of a peck. */
static void advance(struct writer *writer, struct played_turn *turn, size_t number)
{
    struct play *play = writer->play;
    const struct effect *peck = &play->pecks[number], *latest = &writer->latest[number];
    bool is_in = peck->peck.box == BOX_IN;

    if (state_of(latest) == PECK_SENT && dice_below(&writer->dice, 4) == 0) {
        move(writer, turn, number, PECK_CANCELLED, TRAY_WAITING);
    } else if (state_of(latest) == PECK_SENT) {
        add(turn, make_receipt(&play->alice, peck, RECEIPT_TAKEN, PECK_TAKEN, &play->arena),
            number);
        move(writer, turn, number, PECK_TAKEN, TRAY_WAITING);
        turn->promises = false;
    } else if (is_in && place_of(latest) == TRAY_READY) {
        move(writer, turn, number, PECK_TAKEN, TRAY_LEASED);
    } else if (is_in && place_of(latest) == TRAY_LEASED && dice_below(&writer->dice, 2)) {
        move(writer, turn, number, PECK_TAKEN, TRAY_WITH_AGENT);
    } else {
        add(turn,
            make_receipt(is_in ? &play->bob : &play->alice, peck, RECEIPT_DONE, PECK_ANSWERED,
                         &play->arena),
            number);
        move(writer, turn, number, PECK_ANSWERED, TRAY_WAITING);
        turn->promises = is_in;
    }
}

static void advance_one(struct writer *writer, struct played_turn *turn)
{
    size_t first = dice_below(&writer->dice, writer->play->peck_count);

    for (size_t i = 0; i < writer->play->peck_count; i++) {
        size_t number = (first + i) % writer->play->peck_count;

        if (state_of(&writer->latest[number]) < PECK_DENIED) {
            advance(writer, turn, number);
            return;
        }
    }
}

static void change_bonds(struct writer *writer, struct played_turn *turn)
{
    struct play *play = writer->play;
    struct bond *bond = &play->bonds[play->bond_count];
    struct effect drop = {.kind = EFFECT_DROP_BOND},
                  keep = {.kind = EFFECT_KEEP_BOND, .bond = bond};

    if (play->bond_count > 0 && dice_below(&writer->dice, 2)) {
        drop.bond = &play->bonds[play->bond_count - 1];
        add(turn, drop, 0);
    }
    *bond = (struct bond){.id = {.bytes = {5, (uint8_t)play->bond_count}},
                          .requester = play->alice.id,
                          .approver = play->bob.id,
                          .made_ms = THINGS_WALL_MS,
                          .not_after_ms = THINGS_WALL_MS + BOND_LIFE_MS,
                          .scope_count = 1};
    bond->scopes[0] = bytes_of_text("data.*");
    play->bond_count++;
    add(turn, keep, 0);
}

/* Our own: its version is promised never to fall. */
static void publish(struct writer *writer, struct played_turn *turn, size_t number)
{
    struct effect effect =
        make_record(&writer->play->node, RECORD_SKILL, "own", THINGS_WALL_MS + number,
                    bytes_of_text("x"), false, &writer->play->arena);

    effect.record.own = effect.record.dated_here = true;
    if (writer->own.kind)
        effect.record.replaced = writer->own.record.item.record.hash;
    writer->own = *add(turn, effect, 0);
}

static void learn(struct writer *writer, struct played_turn *turn)
{
    char key[16];

    if (writer->records == PLAY_RECORDS_MAX)
        return;
    snprintf(key, sizeof key, "%zu", writer->records++);
    add(turn,
        make_record(&writer->play->alice, RECORD_SKILL, key, THINGS_WALL_MS, bytes_of_text("x"),
                    false, &writer->play->arena),
        0);
    turn->promises = false;
}

/* ---- evidence of tiers ---- */

static void be_vouched(struct writer *writer, struct played_turn *turn, size_t number)
{
    struct play *play = writer->play;
    struct kept_voucher *kept = arena_take(&play->arena, sizeof *kept);
    struct effect effect = {.kind = EFFECT_KEEP_VOUCHER, .voucher = kept};

    *kept = (struct kept_voucher){.duckling = play->bob.id,
                                  .operator_id = play->operator_key.id,
                                  .not_after_ms = THINGS_WALL_MS + VOUCHER_LIFE_MS + number,
                                  .wire = bytes_of_text("a voucher"),
                                  .chain = play->operator_key.chain};
    add(turn, effect, 0);
}

static void change_trust(struct writer *writer, struct played_turn *turn, size_t number)
{
    struct kept_trust *trust = arena_take(&writer->play->arena, sizeof *trust);
    struct effect effect = {.kind = EFFECT_KEEP_TRUST, .trust = trust};

    *trust = (struct kept_trust){.operator_id = writer->play->operator_key.id,
                                 .until_ms = THINGS_WALL_MS + DAY_MS + number};
    if (dice_below(&writer->dice, 3) == 0)
        effect.kind = EFFECT_DROP_TRUST;
    add(turn, effect, 0);
}

static void tell_tier(struct writer *writer, struct played_turn *turn, size_t number)
{
    struct effect effect = {.kind = EFFECT_KEEP_TIER};

    effect.tier.duckling = writer->play->bob.id;
    effect.tier.tier = (int)(number % 3);
    effect.tier.pieces = (unsigned)number;
    add(turn, effect, 0);
}

static void attest(struct writer *writer, struct played_turn *turn, size_t number)
{
    struct play *play = writer->play;
    struct attestation_content content = {.subject = play->bob.id,
                                          .claim = bytes_of_text(CLAIM_BONDED),
                                          .proof = id_bytes(&play->node.id)};
    char text[ID_TEXT_SIZE], key[RECORD_KEY_MAX];

    snprintf(key, sizeof key, "bonded:%s", id_text(ID_DUCKLING, &play->bob.id, text));
    add(turn,
        make_record(&play->carol, RECORD_ATTESTATION, key, THINGS_WALL_MS + number,
                    attestation_content_pack(&content, &play->arena),
                    dice_below(&writer->dice, 3) == 0, &play->arena),
        0);
    turn->promises = false;
}

static void take_back(struct writer *writer, struct played_turn *turn, size_t number)
{
    struct play *play = writer->play;
    uint8_t seeds[2][SEED_SIZE] = {{(uint8_t)number, 1}, {(uint8_t)number, 2}};
    struct withdrawal_wish wish = {.network = bytes_of_text(THINGS_NETWORK),
                                   .operator_id = play->operator_key.id,
                                   .operator_key = play->operator_key.key,
                                   .operator_chain = play->operator_key.chain,
                                   .subject = play->bob.id,
                                   .until_ms = THINGS_WALL_MS + number,
                                   .seeds = (const uint8_t(*)[SEED_SIZE])seeds};
    struct effect effect = {.kind = EFFECT_KEEP_RECORD};
    struct offered_record *item = &effect.record.item;
    struct withdrawal withdrawal;

    if (withdrawal_make(&wish, &play->arena, &item->wire, &item->chain) != WITHDRAWAL_OK ||
        withdrawal_open(item->wire, item->chain, &play->arena, &item->record, &withdrawal) !=
            WITHDRAWAL_OK)
        assert(!"the withdrawal holds");
    item->withdrawn =
        (struct withdrawn){withdrawal.operator_id, withdrawal.subject, withdrawal.until_ms};
    add(turn, effect, 0);
    turn->promises = false;
}

static void change_evidence(struct writer *writer, struct played_turn *turn, size_t number)
{
    static void (*const changes[])(struct writer *, struct played_turn *, size_t) = {
        be_vouched, change_trust, tell_tier, attest, take_back};

    changes[dice_below(&writer->dice, sizeof changes / sizeof *changes)](writer, turn, number);
}

static struct effect pre_key_of(size_t number)
{
    struct effect effect = {.kind = EFFECT_KEEP_PRE_KEY};

    memset(effect.pre_key.secret, (int)number, NOISE_KEY_SIZE);
    crypto_scalarmult_base(effect.pre_key.public, effect.pre_key.secret);
    effect.pre_key.made_ms = number;
    return effect;
}

/* For who is away; before it what was held goes, now and then. */
static void hold(struct writer *writer, struct played_turn *turn, size_t number)
{
    struct effect perched = {.kind = EFFECT_KEEP_PERCHED};
    struct effect drops[2] = {{.kind = EFFECT_DROP_PERCHED}, {0}};

    if (writer->held > 0) {
        drops[0].perched.entry.number = writer->held;
        drops[1] = pre_key_of(writer->held);
        drops[1].kind = EFFECT_DROP_PRE_KEY;
        add(turn, drops[0], 0);
        add(turn, drops[1], 0);
    }
    perched.perched.entry = (struct perch_entry){.name = writer->play->alice.id,
                                                 .owner = writer->play->carol.id,
                                                 .from = writer->play->bob.id,
                                                 .number = number,
                                                 .not_after_ms = THINGS_WALL_MS + DAY_MS};
    perched.perched.sealed = bytes_of_text("sealed");
    add(turn, perched, 0);
    add(turn, pre_key_of(number), 0);
    writer->held = dice_below(&writer->dice, 3) ? number : 0; /* else it stays to the end */
}

/* A block is used once more, revoked, or forgotten. */
static void use_grant(struct writer *writer, struct played_turn *turn, size_t number)
{
    struct play *play = writer->play;
    uint8_t block = (uint8_t)dice_below(&writer->dice, PLAY_GRANT_BLOCKS);
    struct grant_change *change = arena_take(&play->arena, sizeof *change);
    struct effect effect = {.kind = EFFECT_KEEP_GRANT, .grant = change};

    if (dice_below(&writer->dice, 6) == 0) {
        effect.kind = EFFECT_DROP_GRANT;
        effect.dropped_grant = (struct id){.bytes = {6, block}};
        add(turn, effect, block);
        return;
    }
    *change = (struct grant_change){.is_revocation = number % 3 == 0,
                                    .root = play->bob.id,
                                    .with = play->alice.id,
                                    .block = {.bytes = {6, block}},
                                    .peck = {.bytes = {7, (uint8_t)number}},
                                    .at_ms = THINGS_WALL_MS + number,
                                    .row_count = 1};
    change->rows[0] = (struct grant_row){.block = change->block,
                                         .first = change->block,
                                         .root = play->bob.id,
                                         .issuer = play->bob.id,
                                         .holder = play->alice.id,
                                         .uses = 100,
                                         .used = number,
                                         .revoked_ms = change->is_revocation ? number : 0,
                                         .not_after_ms = THINGS_WALL_MS + DAY_MS};
    add(turn, effect, block);
}

/* Of bob with carol: another state each time, and over now and then. */
static void bind(struct writer *writer, struct played_turn *turn, size_t number)
{
    struct lobster *lobster = arena_take(&writer->play->arena, sizeof *lobster);
    bool is_over = writer->bound && dice_below(&writer->dice, 3) == 0;
    struct effect effect = {.kind = is_over ? EFFECT_DROP_LOBSTER : EFFECT_KEEP_LOBSTER};

    *lobster = (struct lobster){.here = writer->play->bob.id,
                                .there = writer->play->carol.id,
                                .state = LOBSTER_CONFIRMED,
                                .id = writer->play->alice.id,
                                .lease_ms = number};
    memset(lobster->nonce, (int)number, sizeof lobster->nonce);
    effect.lobster.lobster = lobster;
    effect.lobster.why = "a step";
    add(turn, effect, 0);
    writer->bound = !is_over;
}

/* Bob's context: issued anew each time, and over now and then. */
static void issue(struct writer *writer, struct played_turn *turn, size_t number)
{
    struct kept_context *kept = arena_take(&writer->play->arena, sizeof *kept);
    bool is_over = writer->issued && dice_below(&writer->dice, 3) == 0;

    *kept = author_context(&writer->play->bob, 40, THINGS_WALL_MS + number, &writer->play->arena);
    add(turn,
        (struct effect){.kind = is_over ? EFFECT_DROP_CONTEXT : EFFECT_KEEP_CONTEXT,
                        .context = kept},
        0);
    writer->issued = !is_over;
}

static void write_turn(struct writer *writer, size_t number)
{
    struct play *play = writer->play;
    struct played_turn *turn = &play->turns[number];
    struct effect hatch = {.kind = EFFECT_KEEP_DUCKLING, .duckling = &play->hosted};
    struct effect count = {.kind = EFFECT_KEEP_COUNTERS};

    turn->promises = true;
    turn->checkpoints = number > 1 && dice_below(&writer->dice, 6) == 0;
    turn->carries = turn->checkpoints && number % 2 == 0;
    turn->restarts = number > 1 && dice_below(&writer->dice, 12) == 0;
    if (number == 1)
        add(turn, hatch, 0);
    else if (number == PLAY_ROTATES_AT)
        add(turn, (struct effect){.kind = EFFECT_KEEP_KEY, .duckling = &play->rotated}, 0);
    else if (play->peck_count < 3 || dice_below(&writer->dice, 5) == 0)
        receive_pecks(writer, turn);
    else if (dice_below(&writer->dice, 8) == 0)
        begin_peck(writer, turn, BOX_OUT);
    else if (dice_below(&writer->dice, 8) == 0)
        change_bonds(writer, turn);
    else if (dice_below(&writer->dice, 4) == 0)
        change_evidence(writer, turn, number);
    else if (dice_below(&writer->dice, 8) == 0)
        hold(writer, turn, number);
    else if (dice_below(&writer->dice, 10) == 0)
        bind(writer, turn, number);
    else if (dice_below(&writer->dice, 10) == 0)
        issue(writer, turn, number);
    else if (dice_below(&writer->dice, 6) == 0)
        use_grant(writer, turn, number);
    else if (dice_below(&writer->dice, 6) == 0)
        publish(writer, turn, number);
    else if (dice_below(&writer->dice, 4) == 0)
        learn(writer, turn);
    else
        advance_one(writer, turn);
    turn->records = writer->records;
    count.counters.pecks = number;
    add(turn, count, 0);
}

struct play *play_new(uint64_t seed, size_t turns)
{
    struct play *play = memory_take(sizeof *play);
    struct writer *writer = memory_take(sizeof *writer);
    struct id certificate;

    assert(turns <= PLAY_TURNS_MAX);
    arena_init(&play->arena, 64 * MIB);
    memset(play->storage_key, 7, sizeof play->storage_key);
    play->alice = author_new(IDENTITY_DUCKLING, 1, &play->arena);
    play->bob = author_new(IDENTITY_DUCKLING, 2, &play->arena);
    play->node = author_new(IDENTITY_NODE, 3, &play->arena);
    play->carol = author_new(IDENTITY_DUCKLING, 4, &play->arena);
    play->operator_key = author_new(IDENTITY_OPERATOR, 5, &play->arena);
    play->hosted = (struct hosted){.id = play->bob.id, .chain = play->bob.chain};
    memcpy(play->hosted.seed, play->bob.seed, SEED_SIZE);
    memcpy(play->hosted.next_seed, play->bob.next_seed, SEED_SIZE);
    play->hosted.profile.display_name = bytes_of_text("Bob");
    play->rotated = play->hosted;
    play->rotated.chain = author_rotated_chain(&play->bob, &play->arena, &certificate);
    memcpy(play->rotated.seed, play->bob.next_seed, SEED_SIZE);
    play->rotated.sealed_next = bytes_of_text("sealed for somebody else");
    play->turn_count = turns;
    play->told = memory_take(sizeof *play->told);
    writer->play = play;
    dice_init_number(&writer->dice, seed);
    for (size_t number = 1; number <= turns; number++)
        write_turn(writer, number);
    memory_give_back(writer);
    return play;
}

void play_free(struct play *play)
{
    play_close(play);
    author_free(&play->alice);
    author_free(&play->bob);
    author_free(&play->node);
    author_free(&play->carol);
    author_free(&play->operator_key);
    arena_free(&play->arena);
    memory_give_back(play->told);
    memory_give_back(play);
}

/* ---- playing it ---- */

int play_open(struct play *play, const char *folder)
{
    char path[256];
    struct store_settings settings = {.path = path,
                                      .storage_key = play->storage_key,
                                      .node = play->node.id,
                                      .node_key = play->node.key,
                                      .node_chain = play->node.chain,
                                      .network = bytes_of_text(THINGS_NETWORK)};

    snprintf(path, sizeof path, "%s/node.db", folder);
    return store_open(&play->store, &settings);
}

void play_close(struct play *play)
{
    store_close(play->store);
    play->store = NULL;
}

static int restart(struct play *play, const char *folder, size_t turn)
{
    int fault;

    play_close(play);
    fault = play_open(play, folder);
    if (!fault)
        play->told->records = play->turns[turn - 1].records;
    return fault;
}

static int keep_turn(struct play *play, const struct played_turn *turn)
{
    int fault = store_begin(play->store);

    for (size_t i = 0; i < turn->count && !fault; i++)
        fault = store_keep(play->store, &turn->effects[i].effect);
    if (!fault)
        fault = store_commit(play->store);
    if (fault)
        store_roll_back(play->store);
    return fault;
}

static int play_turn(struct play *play, const char *folder, size_t number)
{
    const struct played_turn *turn = &play->turns[number];
    int fault = 0;

    if (turn->restarts)
        fault = restart(play, folder, number);
    if (fault)
        return fault;
    if (turn->checkpoints) /* as if so much had been kept since the last one */
        play->store->log_pages = play->store->directory_log_pages = STORE_CHECKPOINT_PAGES;
    if (turn->carries && store_begin_carrying(play->store))
        (void)store_carry(play->store); /* what went wrong, the next turn meets */
    store_audit_at(play->store, THINGS_WALL_MS + number * 400);
    fault = keep_turn(play, turn);
    if (!fault && turn->promises) {
        fault = play->lies ? 0 : store_sync(play->store);
        if (!fault)
            play->told->turn = number;
    }
    return fault;
}

int play_turns(struct play *play, const char *folder, size_t from, size_t to, size_t *turn)
{
    int fault = 0;

    for (*turn = from; *turn <= to; ++*turn) {
        fault = play_turn(play, folder, *turn);
        if (fault)
            break;
    }
    return fault;
}

/* ---- what must be there ---- */

struct expected_peck {
    bool is_kept;
    enum peck_state state;
    enum tray_place place;
    uint32_t attempt;
    uint64_t lease_until_ms;
    struct bytes receipts[2];
    size_t receipt_count;
};

struct expected {
    struct expected_peck pecks[PLAY_PECKS_MAX];
    size_t bonds, ducklings;
    bool is_rotated;
    uint64_t floor_ms, voucher_until_ms, trust_until_ms;
    uint64_t lobster;           /* the turn that it is of; 0: there is none */
    struct id context;          /* of it; zero: there is none */
    uint64_t perched, pre_keys; /* sums of the turns that they are of */
    struct told_tier told_tier;
    struct grant_row grants[PLAY_GRANT_BLOCKS]; /* zero: not there */
};

static void expect_effect(struct expected *expected, const struct played_effect *played)
{
    struct expected_peck *peck = &expected->pecks[played->subject];
    const struct effect *effect = &played->effect;

    if (effect->kind == EFFECT_KEEP_PECK) {
        peck->is_kept = true;
        peck->state = effect->peck.state;
        peck->place = effect->peck.box == BOX_IN ? TRAY_READY : TRAY_WAITING;
    } else if (effect->kind == EFFECT_KEEP_STATE) {
        peck->state = effect->state.state;
        peck->place = effect->state.place;
        peck->attempt = effect->state.attempt;
        peck->lease_until_ms = effect->state.lease_until_ms;
    } else if (effect->kind == EFFECT_KEEP_RECEIPT) {
        peck->receipts[peck->receipt_count++] = effect->receipt.wire;
    } else if (effect->kind == EFFECT_KEEP_BOND) {
        expected->bonds++;
    } else if (effect->kind == EFFECT_DROP_BOND) {
        expected->bonds--;
    } else if (effect->kind == EFFECT_KEEP_DUCKLING) {
        expected->ducklings++;
    } else if (effect->kind == EFFECT_KEEP_VOUCHER) {
        expected->voucher_until_ms = effect->voucher->not_after_ms;
    } else if (effect->kind == EFFECT_KEEP_TRUST || effect->kind == EFFECT_DROP_TRUST) {
        expected->trust_until_ms = effect->kind == EFFECT_KEEP_TRUST ? effect->trust->until_ms : 0;
    } else if (effect->kind == EFFECT_KEEP_TIER) {
        expected->told_tier = (struct told_tier){
            .is_told = true, .tier = effect->tier.tier, .pieces = effect->tier.pieces};
    } else if (effect->kind == EFFECT_KEEP_LOBSTER || effect->kind == EFFECT_DROP_LOBSTER) {
        expected->lobster =
            effect->kind == EFFECT_KEEP_LOBSTER ? effect->lobster.lobster->lease_ms : 0;
    } else if (effect->kind == EFFECT_KEEP_CONTEXT) {
        expected->context = effect->context->id;
    } else if (effect->kind == EFFECT_DROP_CONTEXT) {
        expected->context = (struct id){0};
    } else if (effect->kind == EFFECT_KEEP_PERCHED) {
        expected->perched += effect->perched.entry.number;
    } else if (effect->kind == EFFECT_DROP_PERCHED) {
        expected->perched -= effect->perched.entry.number;
    } else if (effect->kind == EFFECT_KEEP_PRE_KEY) {
        expected->pre_keys += effect->pre_key.made_ms;
    } else if (effect->kind == EFFECT_DROP_PRE_KEY) {
        expected->pre_keys -= effect->pre_key.made_ms;
    } else if (effect->kind == EFFECT_KEEP_GRANT) {
        expected->grants[played->subject] = effect->grant->rows[0];
    } else if (effect->kind == EFFECT_DROP_GRANT) {
        expected->grants[played->subject] = (struct grant_row){0};
    } else if (effect->kind == EFFECT_KEEP_KEY) {
        expected->is_rotated = true;
    } else if (effect->kind == EFFECT_KEEP_RECORD && effect->record.dated_here) {
        expected->floor_ms = effect->record.item.record.version.ms;
    }
}

static void expect(const struct play *play, size_t turns, struct expected *expected)
{
    memset(expected, 0, sizeof *expected);
    for (size_t number = 1; number <= turns; number++)
        for (size_t i = 0; i < play->turns[number].count; i++)
            expect_effect(expected, &play->turns[number].effects[i]);
}

/* ---- what is there ---- */

struct found {
    const struct play *play;
    struct tray_entry received[PLAY_PECKS_MAX];
    struct outbox_entry sent[PLAY_PECKS_MAX];
    size_t received_count, sent_count, bonds, ducklings, records;
    bool records_in_order, seeds_hold, is_bob, is_rotated_bob; /* key and chain, both of one time */
    uint64_t voucher_until_ms, perched, pre_keys, lobster;
    struct told_tier told_tier;
    struct id context;
    struct grant_row grants[PLAY_GRANT_BLOCKS];
    struct metrics_content counters;
    struct version floor;
};

static void note_record(struct found *found, const struct record *record)
{
    char key[16];

    if (!id_equal(&record->owner, &found->play->alice.id))
        return;
    snprintf(key, sizeof key, "%zu", found->records++);
    found->records_in_order &= bytes_equal(record->key, bytes_of_text(key));
}

static bool is_same_key(const struct hosted *found, const struct hosted *kept)
{
    return memcmp(found->seed, kept->seed, SEED_SIZE) == 0 &&
           bytes_equal(found->chain, kept->chain);
}

static void note_duckling(struct found *found, const struct hosted *duckling)
{
    found->ducklings++;
    found->is_bob = is_same_key(duckling, &found->play->hosted);
    found->is_rotated_bob = is_same_key(duckling, &found->play->rotated);
}

/* With its key. */
static void note_context(struct found *found, const struct kept_context *kept)
{
    struct identity_key *key = identity_key_new(kept->seed);
    struct public_key public = identity_key_public(key);
    struct context context;
    struct arena arena;

    identity_key_free(key);
    arena_init(&arena, PARSE_BUDGET(CONTEXT_SIZE_MAX));
    if (context_read(kept->wire, &arena, &context) == CONTEXT_OK &&
        memcmp(public.bytes, context.public_key.bytes, PUBLIC_KEY_SIZE) == 0)
        found->context = context.id;
    arena_free(&arena);
}

static void note_restored(void *context, const struct event *event)
{
    struct found *found = context;

    if (event->kind == EVENT_RESTORED_RECEIVED && found->received_count < PLAY_PECKS_MAX)
        found->received[found->received_count++] = event->received;
    else if (event->kind == EVENT_RESTORED_SENT && found->sent_count < PLAY_PECKS_MAX)
        found->sent[found->sent_count++] = event->sent;
    else if (event->kind == EVENT_RESTORED_LOBSTER)
        found->lobster = event->lobster.nonce[0] == (uint8_t)event->lobster.lease_ms
                             ? event->lobster.lease_ms
                             : UINT64_MAX;
    else if (event->kind == EVENT_RESTORED_CONTEXT)
        note_context(found, &event->context);
    else if (event->kind == EVENT_RESTORED_PERCHED)
        found->perched += event->perched.number;
    else if (event->kind == EVENT_RESTORED_PRE_KEY)
        found->pre_keys += event->pre_key.made_ms;
    else if (event->kind == EVENT_RESTORED_VOUCHER)
        found->voucher_until_ms = event->voucher.not_after_ms;
    else if (event->kind == EVENT_RESTORED_GRANT)
        found->grants[event->grant.block.bytes[1] % PLAY_GRANT_BLOCKS] = event->grant;
    else if (event->kind == EVENT_RESTORED_BOND)
        found->bonds++;
    else if (event->kind == EVENT_RESTORED_RECORD)
        note_record(found, &event->restored.record);
    else if (event->kind == EVENT_RESTORED_DUCKLING)
        note_duckling(found, &event->duckling);
}

static const char *check_receipts(struct play *play, const struct effect *peck,
                                  const struct expected_peck *expected, struct arena *arena)
{
    struct bytes wires[2], chains[2];
    size_t count;

    if (store_read_receipts(play->store, peck->peck.box, &peck->peck.id, arena, wires, chains,
                            &count) != 0)
        return "receipts cannot be read";
    if (count != expected->receipt_count)
        return "a receipt is missing, or there is one too many";
    for (size_t i = 0; i < count; i++)
        if (!bytes_equal(wires[i], expected->receipts[i]))
            return "a receipt contradicts the one that was given";
    return NULL;
}

static const char *check_key(struct play *play, const struct effect *peck, bool is_kept)
{
    enum peck_state state;
    struct hash hash;
    struct id id;
    bool is_found = store_find_idempotent(play->store, &peck->peck.from, peck->peck.idempotency_key,
                                          &id, &hash, &state);

    if (is_found != is_kept)
        return is_kept ? "an idempotency key is forgotten" : "an idempotency key of nothing";
    return is_found && !id_equal(&id, &peck->peck.id) ? "an idempotency key names another peck"
                                                      : NULL;
}

static const char *check_peck(struct play *play, size_t number,
                              const struct expected_peck *expected, struct arena *arena)
{
    const struct effect *peck = &play->pecks[number];
    struct bytes wire, chain;
    enum peck_state state;

    arena_reset(arena);
    if (store_read_peck(play->store, peck->peck.box, &peck->peck.id, arena, &wire, &chain) != 0)
        return "a peck cannot be read";
    if (!expected->is_kept && wire.size > 0)
        return "a peck of a turn that is not there";
    if (peck->peck.box == BOX_OUT && check_key(play, peck, expected->is_kept))
        return check_key(play, peck, expected->is_kept);
    if (!expected->is_kept)
        return NULL;
    if (!bytes_equal(wire, peck->peck.wire))
        return "a peck is lost or changed";
    if (peck->peck.box == BOX_IN &&
        (!store_knows_peck(play->store, &peck->peck.id, &state) || state != expected->state))
        return "a received peck is in another state";
    return check_receipts(play, peck, expected, arena);
}

/* What is handed out again, or sent again, and what is not. */
static const char *check_received(const struct found *found, const struct effect *peck,
                                  const struct expected_peck *expected)
{
    const struct tray_entry *entry = NULL;
    uint64_t lease_ms = expected->lease_until_ms - restored_at.wall_ms + restored_at.now_ms;

    for (size_t i = 0; i < found->received_count; i++)
        if (id_equal(&found->received[i].peck, &peck->peck.id))
            entry = entry ? entry : &found->received[i];
    if (!entry)
        return expected->state < PECK_DENIED ? "an open peck is not given back" : NULL;
    if (expected->state >= PECK_DENIED)
        return "a peck that was answered is handed out again";
    if (entry->place != expected->place || entry->attempt != expected->attempt)
        return "a peck that the agent has is handed out again";
    return entry->place == TRAY_LEASED && entry->lease_until_ms != lease_ms
               ? "a lease is of another length"
               : NULL;
}

static const char *check_sent(const struct found *found, const struct effect *peck,
                              const struct expected_peck *expected)
{
    for (size_t i = 0; i < found->sent_count; i++)
        if (id_equal(&found->sent[i].peck, &peck->peck.id))
            return found->sent[i].state == expected->state ? NULL
                                                           : "a sent peck is in another state";
    return expected->state < PECK_DENIED ? "an open peck is not sent again" : NULL;
}

static const char *check_counts(const struct found *found, const struct expected *expected,
                                const struct play_told *told)
{
    if (found->bonds != expected->bonds)
        return "a bond is lost, or is back";
    if (!id_equal(&found->context, &expected->context))
        return "a context is not as it was kept";
    if (found->lobster != expected->lobster)
        return "a lobster bind is not as it was kept";
    if (found->perched != expected->perched)
        return "what is held for others is lost, or is back";
    if (memcmp(found->grants, expected->grants, sizeof found->grants) != 0)
        return "what was used or revoked of a grant is lost, or is back";
    if (found->pre_keys != expected->pre_keys)
        return "a pre-key is lost, or is back";
    if (found->ducklings != expected->ducklings)
        return "a duckling is lost";
    if (expected->ducklings > 0 && !(expected->is_rotated ? found->is_rotated_bob : found->is_bob))
        return "a duckling has the key of another time, or none";
    if (found->floor.ms < expected->floor_ms)
        return "a version could be given twice";
    if (!found->play->was_cut && (!found->records_in_order || found->records < told->records))
        return "the directory has lost what was synced, or is out of order";
    return NULL;
}

static const char *check_open(const struct play *play, const struct found *found,
                              const struct expected *expected)
{
    const char *wrong = NULL;
    size_t open[3] = {0};

    for (size_t i = 0; i < play->peck_count && !wrong; i++) {
        const struct expected_peck *peck = &expected->pecks[i];
        enum box box = play->pecks[i].peck.box;

        if (!peck->is_kept)
            continue;
        open[box] += peck->state < PECK_DENIED;
        wrong = (box == BOX_IN ? check_received : check_sent)(found, &play->pecks[i], peck);
    }
    if (!wrong && (open[BOX_IN] != found->received_count || open[BOX_OUT] != found->sent_count))
        wrong = "a peck comes back twice";
    return wrong;
}

static void note_told(void *context, const struct told_tier *told)
{
    ((struct found *)context)->told_tier = *told;
}

/* The network can say the directory's part again; but what is weighed there is always what the records say. */
static const char *check_evidence(struct play *play, struct found *found,
                                  const struct expected *expected)
{
    const struct told_tier *told = &found->told_tier, *wanted = &expected->told_tier;
    int64_t trust = 0, void_rows = 0, bond_rows = 0;

    if (store_read_told_tiers(play->store, note_told, found) ||
        store_read_number(&play->store->connection, "SELECT coalesce(sum(until_ms), 0) FROM trust",
                          &trust) ||
        store_read_number(&play->store->directory,
                          "SELECT (SELECT count(*) FROM withdrawn NATURAL JOIN (SELECT number AS "
                          "record FROM record WHERE kind = 4)) * 1000 + (SELECT count(*) FROM "
                          "withdrawn) - (SELECT count(*) FROM record WHERE kind = 4) * 1001",
                          &void_rows) ||
        store_read_number(&play->store->directory,
                          "SELECT (SELECT count(*) FROM bonded) - (SELECT count(*) FROM record "
                          "WHERE kind = 5 AND flags & 1 = 0)",
                          &bond_rows))
        return "evidence cannot be read";
    if (found->voucher_until_ms != expected->voucher_until_ms)
        return "a voucher is lost, or an older one is back";
    if ((uint64_t)trust != expected->trust_until_ms)
        return "trust is lost, or is back";
    if (told->is_told != wanted->is_told || told->tier != wanted->tier ||
        told->pieces != wanted->pieces)
        return "a tier that was told would be told again, or another";
    return void_rows || bond_rows ? "what is weighed is not what the records say" : NULL;
}

const char *play_check(struct play *play, size_t *turn)
{
    struct expected *expected = memory_take(sizeof *expected);
    struct found *found = memory_take(sizeof *found);
    const char *wrong = NULL;
    struct arena arena;

    arena_init(&arena, MIB);
    found->play = play;
    found->records_in_order = found->is_bob = true;
    if (store_restore(play->store, &restored_at, note_restored, found, &found->counters,
                      &found->floor))
        wrong = "what is stored cannot be read";
    *turn = (size_t)found->counters.pecks;
    if (!wrong && *turn < play->told->turn)
        wrong = "a turn that was told is lost";
    if (!wrong && *turn > play->turn_count)
        wrong = "a turn that never was";
    if (!wrong) {
        expect(play, *turn, expected);
        wrong = check_counts(found, expected, play->told);
    }
    if (!wrong)
        wrong = check_evidence(play, found, expected);
    for (size_t i = 0; i < play->peck_count && !wrong; i++)
        wrong = check_peck(play, i, &expected->pecks[i], &arena);
    if (!wrong)
        wrong = check_open(play, found, expected);
    arena_free(&arena);
    memory_give_back(found);
    memory_give_back(expected);
    return wrong;
}
