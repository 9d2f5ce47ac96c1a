/* One agent as a perch, and as one that has perches: what others say is put before it by hand. */
#include "core/agent.h"
#include "core/frame.h"
#include "core/intake.h"
#include "core/sealed.h"

#include <check.h>
#include <sodium.h>

#define NOW_MS 1790000000000ull
#define OWNER 1u
#define BRINGER 2u

static struct bed {
    struct agent *agent;
    struct intake *intake;
    struct keyring *keyring;
    struct identity_key *key;
    struct id id;
    struct moment at;
    struct effects effects; /* of the last turn */
    struct arena memory;
} bed;

static struct id node(uint32_t number)
{
    struct id id = {{0}};

    memcpy(id.bytes, &number, sizeof number);
    return id;
}

/* ---- turns ---- */

static void turn(struct event *event)
{
    effects_clear(&bed.effects);
    event->at = bed.at;
    if (event->kind == EVENT_HELD)
        agent_open_held(bed.agent, bed.intake, event, &bed.memory);
    agent_step(bed.agent, event, &bed.effects);
    agent_settle(bed.agent, &bed.at, &bed.effects);
}

static void tick(uint64_t ms)
{
    struct event event = {.kind = EVENT_TICK};

    bed.at.now_ms += ms;
    bed.at.wall_ms += ms;
    turn(&event);
}

static size_t count(enum effect_kind kind)
{
    size_t found = 0;

    for (size_t i = 0; i < bed.effects.count; i++)
        found += bed.effects.list[i].kind == kind;
    return found;
}

static const struct effect *first(enum effect_kind kind)
{
    for (size_t i = 0; i < bed.effects.count; i++)
        if (bed.effects.list[i].kind == kind)
            return &bed.effects.list[i];
    return NULL;
}

static const struct effect *sent(const struct id *to, enum frame_kind kind)
{
    for (size_t i = 0; i < bed.effects.count; i++)
        if (bed.effects.list[i].kind == EFFECT_SEND && bed.effects.list[i].send.kind == kind &&
            id_equal(&bed.effects.list[i].send.node, to))
            return &bed.effects.list[i];
    return NULL;
}

/* What was sent, as the other end reads it. */
static struct event read_sent(const struct effect *effect)
{
    char reason[160];
    struct event event;
    size_t refused;
    struct id peck;

    ck_assert_ptr_nonnull(effect);
    ck_assert_int_eq(intake_open(bed.intake, effect->send.kind, effect->send.body, bed.at.wall_ms,
                                 &bed.memory, &event, &peck, &refused, reason),
                     INTAKE_TAKEN);
    return event;
}

static struct node_content published(void)
{
    struct node_content content = {0};

    for (size_t i = 0; i < bed.effects.count; i++) {
        const struct effect *effect = &bed.effects.list[i];

        if (effect->kind == EFFECT_KEEP_RECORD && effect->record.item.record.kind == RECORD_NODE)
            ck_assert_int_eq(
                node_content_parse(effect->record.item.record.content, &bed.memory, &content),
                RECORD_OK);
    }
    return content;
}

/* ---- others ---- */

static void hear_record(const struct id *owner, const struct node_content *content)
{
    static uint32_t versions;
    struct offered_record offered = {0};
    struct event event = {.kind = EVENT_RECORDS, .node = *owner};

    offered.record.network = bytes_of_text("duck");
    offered.record.owner = *owner;
    offered.record.kind = RECORD_NODE;
    offered.record.version = (struct version){bed.at.wall_ms, ++versions};
    offered.record.not_after_ms = bed.at.wall_ms + RECORD_LIFE_MS;
    offered.record.content = node_content_pack(content, &bed.memory);
    offered.record.hash = hash_of(bytes_of(&versions, sizeof versions));
    offered.wire = offered.chain = bytes_of_text("not looked at here");
    event.records.items = &offered;
    event.records.count = 1;
    turn(&event);
}

static void link_up(const struct id *other)
{
    struct event event = {.kind = EVENT_LINK_UP, .node = *other};

    turn(&event);
}

static struct node_content owner_content(void)
{
    struct node_content content = {.session_not_after_ms = NOW_MS + DAY_MS};

    content.perches[content.perch_count++] = bed.id;
    return content;
}

static void bring(uint32_t from, uint32_t owner, uint32_t name, size_t size)
{
    struct event event = {.kind = EVENT_DEPOSIT, .node = node(from)};

    event.deposit.owner = node(owner);
    event.deposit.name = node(1000 + name);
    event.deposit.not_after_ms = bed.at.wall_ms + HOUR_MS;
    event.deposit.sealed = bytes_of(arena_take(&bed.memory, size), size);
    turn(&event);
}

static void expect_answer(uint32_t to, const char *code)
{
    struct id other = node(to);
    struct event event = read_sent(sent(&other, FRAME_DEPOSITED));

    ck_assert_msg(bytes_equal(event.deposited.code, bytes_of_text(code)), "%.*s",
                  (int)event.deposited.code.size, (const char *)event.deposited.code.data);
}

/* ---- the bed ---- */

static void bed_open(struct agent_settings settings)
{
    struct certificate_wish wish = {.kind = IDENTITY_NODE,
                                    .display_name = bytes_of_text("node"),
                                    .issued_ms = NOW_MS,
                                    .not_after_ms = NOW_MS + CERTIFICATE_LIFE_MS};
    struct intake_settings intake = {.network = bytes_of_text("duck")};
    struct event event = {.kind = EVENT_START};
    uint8_t seed[SEED_SIZE] = {9};
    struct bytes certificate;

    memset(&bed, 0, sizeof bed);
    bed.at = (struct moment){.now_ms = 1000, .wall_ms = NOW_MS};
    arena_init(&bed.memory, 256 * MIB);
    effects_init(&bed.effects);
    bed.key = identity_key_new(seed);
    certificate = certificate_make(&wish, bed.key, &bed.memory, &bed.id);
    settings.network = bytes_of_text("duck");
    settings.node_key = bed.key;
    settings.node_chain = chain_pack(&certificate, 1, &bed.memory);
    settings.display_name = settings.software = bytes_of_text("test");
    settings.session_not_after_ms = NOW_MS + DAY_MS;
    bed.agent = agent_new(&settings);
    bed.keyring = intake.keyring = keyring_new(16);
    bed.intake = intake_new(&intake);
    turn(&event);
}

static void bed_close(void)
{
    agent_free(bed.agent);
    intake_free(bed.intake);
    keyring_free(bed.keyring);
    identity_key_free(bed.key);
    effects_free(&bed.effects);
    arena_free(&bed.memory);
}

/* ---- as a perch ---- */

static void open_perch(void)
{
    struct id owner = node(OWNER);
    struct node_content content;

    bed_open((struct agent_settings){.is_perch = true,
                                     .perch = {.bytes_max = 10 * PERCH_ENTRY_BYTES_MIN,
                                               .owner_bytes_max = 8 * PERCH_ENTRY_BYTES_MIN}});
    content = owner_content();
    hear_record(&owner, &content);
}

START_TEST(a_perch_says_that_it_holds_when_it_is_kept)
{
    const struct effect *kept;

    open_perch();
    bring(BRINGER, OWNER, 1, KIB);
    kept = first(EFFECT_KEEP_PERCHED);
    ck_assert_ptr_nonnull(kept);
    ck_assert_uint_eq(kept->perched.entry.number, 1);
    ck_assert_uint_eq(kept->perched.sealed.size, KIB);
    expect_answer(BRINGER, "");
    bring(BRINGER, OWNER, 1, KIB);
    ck_assert_uint_eq(count(EFFECT_KEEP_PERCHED), 0);
    expect_answer(BRINGER, ""); /* it has it */
    bed_close();
}
END_TEST

START_TEST(who_is_no_perch_or_is_not_named_holds_nothing)
{
    struct id stranger = node(7);
    struct node_content content = {.session_not_after_ms = NOW_MS + DAY_MS};

    bed_open((struct agent_settings){0});
    bring(BRINGER, OWNER, 1, KIB);
    expect_answer(BRINGER, "not_a_perch");
    ck_assert_uint_eq(count(EFFECT_KEEP_PERCHED), 0);
    bed_close();

    open_perch();
    bring(BRINGER, 7, 1, KIB); /* nobody here knows that node */
    expect_answer(BRINGER, "unnamed");
    content.perches[content.perch_count++] = node(8);
    hear_record(&stranger, &content);
    bring(BRINGER, 7, 1, KIB);
    expect_answer(BRINGER, "unnamed");
    ck_assert_uint_eq(count(EFFECT_KEEP_PERCHED), 0);
    bed_close();
}
END_TEST

START_TEST(a_perch_refuses_what_is_too_large_or_over_and_who_fills_it)
{
    struct event event = {.kind = EVENT_DEPOSIT, .node = node(BRINGER)};

    open_perch();
    bring(BRINGER, OWNER, 1, PERCH_SEALED_MAX + 1);
    expect_answer(BRINGER, "too_large");
    event.deposit.owner = node(OWNER);
    event.deposit.name = node(5);
    event.deposit.not_after_ms = bed.at.wall_ms;
    event.deposit.sealed = bytes_of_text("late");
    turn(&event);
    expect_answer(BRINGER, "expired");
    for (uint32_t i = 0; i < 8; i++)
        bring(66, OWNER, 100 + i, KIB);
    expect_answer(66, "");
    bring(66, OWNER, 200, KIB);
    expect_answer(66, "full");
    bring(BRINGER, OWNER, 201, KIB);
    expect_answer(BRINGER, "");
    ck_assert_uint_eq(count(EFFECT_DROP_PERCHED), 1); /* one of the other */
    bed_close();
}
END_TEST

static const struct perched_portion *collect(uint32_t by, uint64_t after)
{
    struct event event = {.kind = EVENT_COLLECT, .node = node(by)};

    event.collect.after = after;
    turn(&event);
    ck_assert_uint_eq(count(EFFECT_SEND_PERCHED), 1);
    return first(EFFECT_SEND_PERCHED)->portion;
}

static void settle(uint32_t by, uint32_t name)
{
    struct event event = {.kind = EVENT_SETTLED, .node = node(by)};
    struct id names[1] = {node(1000 + name)};

    event.settled.names = names;
    event.settled.count = 1;
    turn(&event);
}

START_TEST(its_owner_alone_collects_and_settles)
{
    const struct perched_portion *portion;

    open_perch();
    for (uint32_t i = 0; i < 3; i++)
        bring(BRINGER, OWNER, i, KIB);
    portion = collect(BRINGER, 0); /* who brought it gets nothing back */
    ck_assert_uint_eq(portion->count, 0);
    ck_assert(!portion->has_more);
    portion = collect(OWNER, 1);
    ck_assert_uint_eq(portion->count, 2);
    ck_assert_uint_eq(portion->entries[0].number, 2);
    ck_assert(!portion->has_more);
    settle(BRINGER, 1);
    ck_assert_uint_eq(count(EFFECT_DROP_PERCHED), 0);
    settle(OWNER, 1);
    ck_assert_uint_eq(count(EFFECT_DROP_PERCHED), 1);
    ck_assert_uint_eq(collect(OWNER, 0)->count, 2);
    bed_close();
}
END_TEST

START_TEST(a_portion_has_so_many_and_says_that_there_are_more)
{
    const struct perched_portion *portion;
    struct id owner = node(OWNER);
    struct node_content content;

    bed_open((struct agent_settings){.is_perch = true});
    content = owner_content();
    hear_record(&owner, &content);
    for (uint32_t i = 0; i <= COLLECT_AT_ONCE; i++)
        bring(BRINGER, OWNER, i, KIB);
    portion = collect(OWNER, 0);
    ck_assert_uint_eq(portion->count, COLLECT_AT_ONCE);
    ck_assert(portion->has_more);
    portion = collect(OWNER, portion->entries[COLLECT_AT_ONCE - 1].number);
    ck_assert_uint_eq(portion->count, 1);
    ck_assert(!portion->has_more);
    for (uint32_t i = 0; i < 5; i++)
        bring(BRINGER, OWNER, 100 + i, PERCH_SEALED_MAX);
    portion = collect(OWNER, COLLECT_AT_ONCE + 1);
    ck_assert_uint_eq(portion->count, COLLECT_BYTES / PERCH_SEALED_MAX + 1);
    ck_assert(portion->has_more);
    bed_close();
}
END_TEST

START_TEST(what_is_brought_for_who_is_linked_goes_on_and_what_is_over_goes)
{
    struct id owner = node(OWNER);
    struct event event;

    open_perch();
    link_up(&owner);
    bring(BRINGER, OWNER, 1, KIB);
    event = read_sent(sent(&owner, FRAME_HELD));
    ck_assert_uint_eq(event.held.number, 1);
    ck_assert_uint_eq(event.held.sealed.size, KIB);
    ck_assert(!event.held.is_last);
    ck_assert_uint_eq(collect(OWNER, 0)->count, 1); /* until it is settled */
    tick(HOUR_MS);
    ck_assert_uint_eq(count(EFFECT_DROP_PERCHED), 1);
    ck_assert_uint_eq(collect(OWNER, 0)->count, 0);
    bed_close();
}
END_TEST

/* ---- as one that has perches ---- */

static void offer_perch(uint32_t number)
{
    struct node_content content = {.session_not_after_ms = NOW_MS + DAY_MS, .is_perch = true};
    struct id other = node(number);

    hear_record(&other, &content);
    link_up(&other);
}

START_TEST(a_pre_key_is_kept_then_published_and_renewed_each_day)
{
    struct id perches[1] = {node(5)};
    struct node_content content;
    uint8_t before[32];

    bed_open((struct agent_settings){.perches = perches, .perch_count = 1});
    ck_assert_uint_eq(count(EFFECT_KEEP_PRE_KEY), 1);
    content = published();
    ck_assert(content.has_pre_key);
    ck_assert_mem_eq(content.pre_key, first(EFFECT_KEEP_PRE_KEY)->pre_key.public, 32);
    ck_assert_uint_eq(content.perch_count, 1);
    ck_assert(id_equal(&content.perches[0], &perches[0]));
    memcpy(before, content.pre_key, sizeof before);
    tick(PRE_KEY_LIFE_MS - 1);
    ck_assert_uint_eq(count(EFFECT_KEEP_PRE_KEY), 0);
    tick(1);
    ck_assert_uint_eq(count(EFFECT_KEEP_PRE_KEY), 1);
    ck_assert(memcmp(published().pre_key, before, sizeof before) != 0);
    for (int day = 2; day < 8; day++)
        tick(PRE_KEY_LIFE_MS);
    ck_assert_uint_eq(count(EFFECT_DROP_PRE_KEY), 0);
    tick(PRE_KEY_LIFE_MS);
    ck_assert_uint_eq(count(EFFECT_DROP_PRE_KEY), 1);
    ck_assert_mem_eq(first(EFFECT_DROP_PRE_KEY)->pre_key.public, before, sizeof before);
    bed_close();
}
END_TEST

START_TEST(who_uses_no_perches_has_no_pre_key_and_asks_nobody)
{
    struct id other = node(1);

    bed_open((struct agent_settings){0});
    ck_assert_uint_eq(count(EFFECT_KEEP_PRE_KEY), 0);
    ck_assert(!published().has_pre_key);
    offer_perch(1);
    ck_assert_ptr_null(sent(&other, FRAME_COLLECT));
    bed_close();
}
END_TEST

START_TEST(perches_are_chosen_among_linked_nodes_that_offer_it)
{
    struct node_content content = {.session_not_after_ms = NOW_MS + DAY_MS};
    struct id stingy = node(50);

    bed_open((struct agent_settings){.choose_perches = true});
    hear_record(&stingy, &content);
    link_up(&stingy);
    tick(PERCH_CHOOSE_FIRST_MS);
    ck_assert_uint_eq(count(EFFECT_KEEP_RECORD), 0);
    for (uint32_t i = 1; i <= 5; i++)
        offer_perch(i);
    tick(PERCH_CHOOSE_FIRST_MS);
    content = published();
    ck_assert_uint_eq(content.perch_count, PERCHES_CHOSEN);
    for (size_t i = 0; i < content.perch_count; i++) {
        ck_assert(!id_equal(&content.perches[i], &stingy));
        for (size_t j = 0; j < i; j++)
            ck_assert(!id_equal(&content.perches[i], &content.perches[j]));
    }
    tick(PERCH_CHOOSE_MS);
    ck_assert_uint_eq(count(EFFECT_KEEP_RECORD), 0); /* they are all there */

    /* One that offers it no more is replaced. */
    stingy = content.perches[1];
    content = (struct node_content){.session_not_after_ms = NOW_MS + DAY_MS};
    hear_record(&stingy, &content);
    tick(PERCH_CHOOSE_MS);
    content = published();
    ck_assert_uint_eq(content.perch_count, PERCHES_CHOSEN);
    for (size_t i = 0; i < content.perch_count; i++)
        ck_assert(!id_equal(&content.perches[i], &stingy));
    bed_close();
}
END_TEST

START_TEST(each_linked_node_that_holds_for_others_is_asked_once_it_links_up)
{
    struct id other = node(1);

    bed_open((struct agent_settings){.choose_perches = true});
    offer_perch(1);
    ck_assert_uint_eq(read_sent(sent(&other, FRAME_COLLECT)).collect.after, 0);
    bed_close();
}
END_TEST

static void hear_held(uint32_t from, struct bytes sealed)
{
    struct event event = {.kind = EVENT_HELD, .node = node(from)};

    event.held.name = node(77);
    event.held.number = 1;
    event.held.sealed = sealed;
    turn(&event);
}

static void expect_junk(uint64_t times)
{
    struct id other = node(1), name = node(77);
    struct agent_figures figures;
    struct event event = read_sent(sent(&other, FRAME_SETTLED));

    ck_assert_uint_eq(event.settled.count, 1);
    ck_assert(id_equal(&event.settled.names[0], &name));
    ck_assert_uint_eq(count(EFFECT_KEEP_PECK), 0);
    agent_figures(bed.agent, &figures);
    ck_assert_uint_eq(figures.perched_junk, times);
    ck_assert_uint_eq(figures.perched_opened, 0);
}

static struct bytes seal(const uint8_t owner_key[32], const struct id *owner, struct bytes frame)
{
    struct sealed_ends ends = {.network = bytes_of_text("duck"), .owner = *owner};
    struct sealed_peck content = {.frame = frame};
    uint8_t secret[32] = {3}, ephemeral[32] = {4};
    struct noise_pair sealer;

    noise_pair_from_secret(&sealer, secret);
    return sealed_seal(&ends, &content, owner_key, &sealer, ephemeral, &bed.memory);
}

START_TEST(what_cannot_be_opened_is_counted_and_the_perch_may_forget_it)
{
    struct id perches[1] = {node(1)}, other = node(9);
    uint8_t secret[32] = {8}, key[32];
    struct noise_pair another;

    bed_open((struct agent_settings){.perches = perches, .perch_count = 1});
    memcpy(key, published().pre_key, sizeof key);
    noise_pair_from_secret(&another, secret);
    offer_perch(1);
    hear_held(1, bytes_of_text("no seal at all"));
    expect_junk(1);
    hear_held(1, seal(another.public, &bed.id, bytes_of_text("x")));
    expect_junk(2);
    hear_held(1, seal(key, &other, bytes_of_text("x")));
    expect_junk(3);
    hear_held(1, seal(key, &bed.id, bytes_of_text("under a good seal, no frame")));
    expect_junk(4);
    bed_close();
}
END_TEST

/* ---- as who sends ---- */

#define PERCH 3u
#define TARGET 500u

static struct id sender;

static void order(struct order *order)
{
    struct event event = {.kind = EVENT_ORDER, .order = order};

    order->ticket = 1;
    turn(&event);
}

static void hatch_sender(void)
{
    struct order hatch = {.kind = ORDER_HATCH, .seeds = {{1}, {2}}};

    hatch.profile.set_display_name = true;
    hatch.profile.display_name = bytes_of_text("Sender");
    order(&hatch);
    ck_assert_int_eq(first(EFFECT_REPLY)->reply.code, REFUSAL_NONE);
    sender = first(EFFECT_REPLY)->reply.duckling;
}

/* A duckling that lives at the owner. */
static void hear_of_target(void)
{
    struct duckling_content content = {
        .host = node(OWNER), .display_name = bytes_of_text("Target"), .accepts_pecks = true};
    struct offered_record offered = {0};
    struct event event = {.kind = EVENT_RECORDS, .node = node(OWNER)};

    offered.record.network = bytes_of_text("duck");
    offered.record.owner = node(TARGET);
    offered.record.kind = RECORD_DUCKLING;
    offered.record.version = (struct version){bed.at.wall_ms, 1};
    offered.record.not_after_ms = bed.at.wall_ms + RECORD_LIFE_MS;
    offered.record.content = duckling_content_pack(&content, &bed.memory);
    offered.record.hash = hash_of(bytes_of_text("target"));
    offered.wire = offered.chain = bytes_of_text("not looked at here");
    event.records.items = &offered;
    event.records.count = 1;
    turn(&event);
}

static struct node_content away_owner(void)
{
    struct node_content content = {
        .session_not_after_ms = NOW_MS + DAY_MS, .away = true, .has_pre_key = true};

    crypto_scalarmult_base(content.pre_key, (const uint8_t[32]){7});
    content.perches[content.perch_count++] = node(PERCH);
    return content;
}

static void open_sender(struct node_content owner)
{
    struct id id = node(OWNER);

    bed_open((struct agent_settings){0});
    hatch_sender();
    hear_record(&id, &owner);
    hear_of_target();
}

static struct id peck_target(const char *thread)
{
    struct order send = {.kind = ORDER_SEND, .duckling = sender};

    send.send.from = sender;
    send.send.to = node(TARGET);
    send.send.kind = PECK_ACTION;
    send.send.action = bytes_of_text("query");
    send.send.payload = bytes_of_text("{}");
    send.send.thread = bytes_of_text(thread);
    order(&send);
    ck_assert_int_eq(first(EFFECT_REPLY)->reply.code, REFUSAL_NONE);
    return first(EFFECT_REPLY)->reply.peck;
}

START_TEST(a_peck_for_who_is_away_goes_to_a_linked_perch_and_is_sent)
{
    struct id peck, perch = node(PERCH), owner = node(OWNER);
    const struct deposit *deposit;

    open_sender(away_owner());
    peck = peck_target("");
    tick(RESEND_FIRST_MS);
    ck_assert_uint_eq(count(EFFECT_DEPOSIT), 0); /* no link to it yet */
    offer_perch(PERCH);
    tick(2 * RESEND_MAX_MS);
    ck_assert_uint_eq(count(EFFECT_DEPOSIT), 1);
    deposit = first(EFFECT_DEPOSIT)->deposit;
    ck_assert(id_equal(&deposit->peck, &peck));
    ck_assert(id_equal(&deposit->perch, &perch));
    ck_assert(id_equal(&deposit->owner, &owner));
    ck_assert(id_is_zero(&deposit->after));
    ck_assert_uint_eq(deposit->not_after_ms % MINUTE_MS, 0);
    ck_assert_uint_ge(deposit->not_after_ms, NOW_MS + PECK_LIFE_MS);
    ck_assert_int_eq(first(EFFECT_KEEP_STATE)->state.state, PECK_SENT);
    bed_close();
}
END_TEST

START_TEST(who_has_no_pre_key_or_no_perch_or_is_only_not_linked_yet_is_not_deposited_for)
{
    struct node_content owners[3] = {away_owner(), away_owner(), away_owner()};

    owners[0].has_pre_key = false;
    owners[1].perch_count = 0;
    owners[2].away = false;
    for (int i = 0; i < 3; i++) {
        open_sender(owners[i]);
        offer_perch(PERCH);
        peck_target("");
        tick(RESEND_FIRST_MS);
        ck_assert_uint_eq(count(EFFECT_DEPOSIT), 0);
        for (unsigned tries = 1; tries < PERCH_AFTER_ATTEMPTS; tries++)
            tick(RESEND_MAX_MS);
        ck_assert_uint_eq(count(EFFECT_DEPOSIT), i == 2); /* it was tried often enough */
        bed_close();
    }
}
END_TEST

static void answer_deposit(uint32_t by, const struct id *name, const char *code)
{
    struct event event = {.kind = EVENT_DEPOSITED, .node = node(by)};

    event.deposited.name = *name;
    event.deposited.code = bytes_of_text(code);
    turn(&event);
}

START_TEST(that_it_is_held_is_kept_when_the_perch_itself_says_so)
{
    struct id peck, name;

    open_sender(away_owner());
    offer_perch(PERCH);
    peck = peck_target("");
    tick(RESEND_FIRST_MS);
    ck_assert_uint_eq(count(EFFECT_DEPOSIT), 1);
    name = first(EFFECT_DEPOSIT)->deposit->name;
    answer_deposit(BRINGER, &name, "");
    ck_assert_uint_eq(count(EFFECT_KEEP_DEPOSIT), 0);
    answer_deposit(PERCH, &peck, ""); /* a name that nobody gave */
    ck_assert_uint_eq(count(EFFECT_KEEP_DEPOSIT), 0);
    answer_deposit(PERCH, &name, "full");
    ck_assert_uint_eq(count(EFFECT_KEEP_DEPOSIT), 0);
    answer_deposit(PERCH, &name, "");
    ck_assert_uint_eq(count(EFFECT_KEEP_DEPOSIT), 1);
    ck_assert(id_equal(&first(EFFECT_KEEP_DEPOSIT)->kept_deposit.peck, &peck));
    answer_deposit(PERCH, &name, "");
    ck_assert_uint_eq(count(EFFECT_KEEP_DEPOSIT), 0);
    bed_close();
}
END_TEST

START_TEST(in_a_thread_each_names_the_one_before_it)
{
    struct id one, other;
    const struct deposit *deposits[3] = {NULL};
    size_t found = 0;

    open_sender(away_owner());
    offer_perch(PERCH);
    one = peck_target("talk");
    other = peck_target("elsewhere");
    peck_target("talk");
    tick(RESEND_FIRST_MS);
    for (size_t i = 0; i < bed.effects.count; i++)
        if (bed.effects.list[i].kind == EFFECT_DEPOSIT && found < 3)
            deposits[found++] = bed.effects.list[i].deposit;
    ck_assert_uint_eq(found, 3);
    ck_assert(id_is_zero(&deposits[0]->after));
    ck_assert(id_equal(&deposits[1]->peck, &other));
    ck_assert(id_is_zero(&deposits[1]->after));
    ck_assert(id_equal(&deposits[2]->after, &one));
    ck_assert_uint_eq(deposits[2]->after_until_ms, NOW_MS + PECK_LIFE_MS);
    bed_close();
}
END_TEST

START_TEST(so_many_are_sealed_in_one_turn_and_the_rest_in_the_next)
{
    open_sender(away_owner());
    offer_perch(PERCH);
    for (unsigned i = 0; i <= DEPOSITS_PER_TURN_MAX; i++)
        peck_target("");
    tick(RESEND_FIRST_MS);
    ck_assert_uint_eq(count(EFFECT_DEPOSIT), DEPOSITS_PER_TURN_MAX);
    ck_assert_uint_le(agent_wake_at_ms(bed.agent, &bed.at), bed.at.now_ms);
    tick(0);
    ck_assert_uint_eq(count(EFFECT_DEPOSIT), 1);
    bed_close();
}
END_TEST

START_TEST(a_peck_that_a_perch_may_hold_is_taken_back_by_its_targets_node_alone)
{
    struct order cancel = {.kind = ORDER_CANCEL};

    open_sender(away_owner());
    offer_perch(PERCH);
    cancel.peck = peck_target("");
    cancel.held.found = true;
    tick(RESEND_FIRST_MS);
    ck_assert_uint_eq(count(EFFECT_DEPOSIT), 1);
    order(&cancel);
    ck_assert_int_eq(first(EFFECT_REPLY)->reply.state, PECK_SENT); /* it is asked for, not done */
    tick(2 * RESEND_MAX_MS);
    ck_assert_uint_eq(count(EFFECT_DEPOSIT), 0); /* and brought nowhere any more */
    bed_close();
}
END_TEST

/* ---- frames ---- */

static void refused(enum frame_kind kind, const char *hex)
{
    uint8_t body[256];
    char reason[160];
    struct event event;
    size_t size, count_refused;
    struct id peck;

    ck_assert_int_eq(sodium_hex2bin(body, sizeof body, hex, strlen(hex), NULL, &size, NULL), 0);
    ck_assert_int_eq(intake_open(bed.intake, kind, bytes_of(body, size), NOW_MS, &bed.memory,
                                 &event, &peck, &count_refused, reason),
                     INTAKE_MALFORMED);
    ck_assert(intake_verdict_offends(INTAKE_MALFORMED));
}

#define ID_1                                                                                       \
    "14"                                                                                           \
    "0101010101010101010101010101010101010101"

START_TEST(frames_that_are_not_well_formed_are_refused)
{
    struct id names[SETTLED_AT_ONCE + 1] = {{{0}}};
    struct event event;
    char reason[160];
    struct bytes body;
    size_t none;
    struct id peck;

    bed_open((struct agent_settings){0});
    refused(FRAME_DEPOSIT, "ff");
    refused(FRAME_DEPOSIT, "0a" ID_1 "12" ID_1); /* nothing sealed */
    refused(FRAME_DEPOSIT, "0a0101"
                           "12" ID_1 "220141"); /* no owner */
    refused(FRAME_DEPOSIT, "0a" ID_1 "120101"
                           "220141"); /* no name */
    refused(FRAME_DEPOSITED, "0a0101");
    refused(FRAME_DEPOSITED, "0a" ID_1 "120141"); /* "A" is no code */
    refused(FRAME_DEPOSITED, "ff");
    refused(FRAME_COLLECT, "ff");
    refused(FRAME_HELD, "ff");
    refused(FRAME_HELD, "1a0141"); /* sealed, without a name */
    refused(FRAME_SETTLED, "ff");
    refused(FRAME_SETTLED, ""); /* none */
    refused(FRAME_SETTLED, "0a0101");
    body = frame_pack_settled(names, SETTLED_AT_ONCE, &bed.memory);
    ck_assert_int_eq(intake_open(bed.intake, FRAME_SETTLED, body, NOW_MS, &bed.memory, &event,
                                 &peck, &none, reason),
                     INTAKE_TAKEN);
    ck_assert_uint_eq(event.settled.count, SETTLED_AT_ONCE);
    bed_close();
}
END_TEST

START_TEST(more_names_than_fit_are_refused)
{
    uint8_t body[(SETTLED_AT_ONCE + 1) * 22];
    char reason[160];
    struct event event;
    size_t none;
    struct id peck;

    bed_open((struct agent_settings){0});
    for (size_t i = 0; i <= SETTLED_AT_ONCE; i++) {
        memset(body + 22 * i, 1, 22);
        body[22 * i] = 0x0a;
        body[22 * i + 1] = ID_SIZE;
    }
    ck_assert_int_eq(intake_open(bed.intake, FRAME_SETTLED, bytes_of(body, sizeof body), NOW_MS,
                                 &bed.memory, &event, &peck, &none, reason),
                     INTAKE_MALFORMED);
    bed_close();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("away");
    TCase *perch = tcase_create("perch"), *owner = tcase_create("owner"),
          *frames = tcase_create("frames"), *sending = tcase_create("sender");
    SRunner *runner = srunner_create(suite);
    int failed;

    if (sodium_init() < 0)
        return 1;
    tcase_add_test(perch, a_perch_says_that_it_holds_when_it_is_kept);
    tcase_add_test(perch, who_is_no_perch_or_is_not_named_holds_nothing);
    tcase_add_test(perch, a_perch_refuses_what_is_too_large_or_over_and_who_fills_it);
    tcase_add_test(perch, its_owner_alone_collects_and_settles);
    tcase_add_test(perch, a_portion_has_so_many_and_says_that_there_are_more);
    tcase_add_test(perch, what_is_brought_for_who_is_linked_goes_on_and_what_is_over_goes);
    tcase_add_test(owner, a_pre_key_is_kept_then_published_and_renewed_each_day);
    tcase_add_test(owner, who_uses_no_perches_has_no_pre_key_and_asks_nobody);
    tcase_add_test(owner, perches_are_chosen_among_linked_nodes_that_offer_it);
    tcase_add_test(owner, each_linked_node_that_holds_for_others_is_asked_once_it_links_up);
    tcase_add_test(owner, what_cannot_be_opened_is_counted_and_the_perch_may_forget_it);
    tcase_add_test(sending, a_peck_for_who_is_away_goes_to_a_linked_perch_and_is_sent);
    tcase_add_test(sending,
                   who_has_no_pre_key_or_no_perch_or_is_only_not_linked_yet_is_not_deposited_for);
    tcase_add_test(sending, that_it_is_held_is_kept_when_the_perch_itself_says_so);
    tcase_add_test(sending, in_a_thread_each_names_the_one_before_it);
    tcase_add_test(sending, so_many_are_sealed_in_one_turn_and_the_rest_in_the_next);
    tcase_add_test(sending, a_peck_that_a_perch_may_hold_is_taken_back_by_its_targets_node_alone);
    tcase_add_test(frames, frames_that_are_not_well_formed_are_refused);
    tcase_add_test(frames, more_names_than_fit_are_refused);
    suite_add_tcase(suite, perch);
    suite_add_tcase(suite, owner);
    suite_add_tcase(suite, sending);
    suite_add_tcase(suite, frames);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
