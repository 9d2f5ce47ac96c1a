/* Three whole agents on one clock: frames go through each other's intake, dials become links. No disk,
 * no socket. One stops, the others find out; it comes back; it leaves. */
#include "births.h"
#include "core/agent.h"
#include "core/intake.h"

#include <stdlib.h>

#define NETWORK "pond"
#define NODES 3u
#define RECORDS_MAX 64u
#define WIRE_MS 2u
#define FRAMES_MAX 4096u

struct sent {
    uint64_t at_ms;
    uint32_t from, to;
    enum { SENT_FRAME, SENT_UP, SENT_DOWN, SENT_FAILED } what;
    enum frame_kind kind;
    bool flag;
    uint8_t *body;
    size_t size;
};

struct node {
    struct agent *agent;
    struct intake *intake;
    struct keyring *keyring;
    struct identity_key *key;
    struct id id;
    struct bytes chain;
    char address[32];
    struct arena memory;
    struct offered_record records[RECORDS_MAX]; /* the newest of its own: what a store would hold */
    size_t record_count;
    struct version floor;
    bool running, links[NODES];
    enum gossip_state sees[NODES];
    size_t stops, refused;
    struct agent_member members[8];
    size_t member_count;
};

static struct {
    struct node nodes[NODES];
    struct moment at;
    struct sent sent[FRAMES_MAX];
    size_t sent_count;
    uint64_t bytes;
} pond;

static void turn(uint32_t number, struct event *event);

/* ---- wires ---- */

static void put(struct sent sent, struct bytes body)
{
    ck_assert_uint_lt(pond.sent_count, FRAMES_MAX);
    sent.at_ms = sent.at_ms ? sent.at_ms : pond.at.now_ms + WIRE_MS;
    sent.size = body.size;
    sent.body = malloc(body.size + 1);
    if (body.size > 0)
        memcpy(sent.body, body.data, body.size);
    pond.sent[pond.sent_count++] = sent;
}

static uint32_t number_of(const struct id *id)
{
    for (uint32_t i = 0; i < NODES; i++)
        if (id_equal(&pond.nodes[i].id, id))
            return i;
    return NODES;
}

static void end_link(uint32_t left, uint32_t right, bool goodbye)
{
    if (!pond.nodes[left].links[right])
        return;
    pond.nodes[left].links[right] = pond.nodes[right].links[left] = false;
    put((struct sent){.what = SENT_DOWN, .from = left, .to = right, .flag = goodbye},
        bytes_of(NULL, 0));
    put((struct sent){.what = SENT_DOWN, .from = right, .to = left, .flag = goodbye},
        bytes_of(NULL, 0));
}

static void dial(uint32_t from, const struct effect *effect)
{
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &pond.nodes[i];

        if (!bytes_equal(effect->dial.address, bytes_of_text(node->address)) || !node->running)
            continue;
        if (node->links[from])
            return;
        node->links[from] = pond.nodes[from].links[i] = true;
        put((struct sent){.what = SENT_UP, .from = i, .to = from, .flag = true}, bytes_of(NULL, 0));
        put((struct sent){.what = SENT_UP, .from = from, .to = i}, bytes_of(NULL, 0));
        return;
    }
    put((struct sent){.what = SENT_FAILED, .from = number_of(&effect->dial.node), .to = from},
        effect->dial.address);
}

static void open_frame(struct sent *sent)
{
    struct node *node = &pond.nodes[sent->to];
    struct event event;
    struct arena arena;
    struct id peck;
    char reason[160];
    size_t refused;

    if (!node->links[sent->from])
        return;
    arena_init(&arena, PARSE_BUDGET(sent->size) + CHAIN_SIZE_MAX);
    if (intake_open(node->intake, sent->kind, bytes_of(sent->body, sent->size), pond.at.wall_ms,
                    &arena, &event, &peck, &refused, reason) == INTAKE_TAKEN) {
        event.node = pond.nodes[sent->from].id;
        turn(sent->to, &event);
    } else {
        node->refused++;
    }
    arena_free(&arena);
}

static void arrive(struct sent *sent)
{
    struct event event = {.kind = EVENT_LINK_UP};

    if (!pond.nodes[sent->to].running)
        return;
    if (sent->from < NODES)
        event.node = pond.nodes[sent->from].id;
    switch (sent->what) {
    case SENT_FRAME:
        open_frame(sent);
        return;
    case SENT_UP:
        event.link.dialled_here = sent->flag;
        break;
    case SENT_DOWN:
        event.kind = EVENT_LINK_DOWN;
        event.link.goodbye = sent->flag;
        break;
    case SENT_FAILED:
        event.kind = EVENT_DIAL_FAILED;
        event.dial_failed.address = bytes_of(sent->body, sent->size);
        break;
    }
    turn(sent->to, &event);
}

/* ---- a turn ---- */

static void keep(struct node *node, const struct effect *effect)
{
    struct offered_record *kept = NULL;

    for (size_t i = 0; i < node->record_count; i++)
        if (id_equal(&node->records[i].record.owner, &effect->record.item.record.owner) &&
            node->records[i].record.kind == effect->record.item.record.kind)
            kept = &node->records[i];
    if (!kept)
        kept = &node->records[node->record_count++];
    ck_assert_uint_le(node->record_count, RECORDS_MAX);
    *kept = effect->record.item;
    kept->wire = arena_copy(&node->memory, kept->wire);
    kept->chain = arena_copy(&node->memory, kept->chain);
    kept->record.content = arena_copy(&node->memory, kept->record.content);
    kept->record.key = bytes_of(NULL, 0);
    kept->record.network = bytes_of_text(NETWORK);
    if (effect->record.dated_here)
        node->floor = kept->record.version;
}

static void send_records(uint32_t from, const struct effect *effect)
{
    const struct node *node = &pond.nodes[from];
    struct arena arena;

    arena_init(&arena, MIB);
    for (size_t i = 0; i < effect->send_records.count; i++)
        for (size_t j = 0; j < node->record_count; j++)
            if (hash_equal(&node->records[j].record.hash, &effect->send_records.hashes[i]))
                put((struct sent){.what = SENT_FRAME,
                                  .from = from,
                                  .to = number_of(&effect->send_records.node),
                                  .kind = FRAME_RECORDS},
                    frame_pack_records(&node->records[j].chain, &node->records[j].wire, 1, &arena));
    arena_free(&arena);
}

static void carry_out(uint32_t number, const struct effect *effect)
{
    struct node *node = &pond.nodes[number];

    switch ((int)effect->kind) {
    case EFFECT_KEEP_RECORD:
        keep(node, effect);
        break;
    case EFFECT_SEND:
        pond.bytes += effect->send.body.size;
        put((struct sent){.what = SENT_FRAME,
                          .from = number,
                          .to = number_of(&effect->send.node),
                          .kind = effect->send.kind},
            effect->send.body);
        break;
    case EFFECT_SEND_RECORDS:
        send_records(number, effect);
        break;
    case EFFECT_DIAL:
        dial(number, effect);
        break;
    case EFFECT_HANG_UP:
        end_link(number, number_of(&effect->hang_up.node), true);
        break;
    case EFFECT_MEMBER_CHANGED:
        node->sees[number_of(&effect->member_changed.node)] = effect->member_changed.state;
        break;
    case EFFECT_STOP:
        node->stops++;
        break;
    case EFFECT_REPLY:
        node->member_count = effect->reply.member_count;
        for (size_t i = 0; i < effect->reply.member_count && i < 8; i++)
            node->members[i] = effect->reply.members[i];
        break;
    default:
        break;
    }
}

static void turn(uint32_t number, struct event *event)
{
    struct node *node = &pond.nodes[number];
    struct effects effects;

    effects_init(&effects);
    event->at = pond.at;
    agent_step(node->agent, event, &effects);
    agent_settle(node->agent, &pond.at, &effects);
    for (size_t i = 0; i < effects.count; i++)
        carry_out(number, &effects.list[i]);
    effects_free(&effects);
}

/* ---- time ---- */

static size_t soonest(void)
{
    size_t first = 0;

    for (size_t i = 1; i < pond.sent_count; i++)
        if (pond.sent[i].at_ms < pond.sent[first].at_ms)
            first = i;
    return first;
}

static uint64_t wake_of(uint32_t number)
{
    return pond.nodes[number].running ? agent_wake_at_ms(pond.nodes[number].agent, &pond.at)
                                      : MOMENT_NEVER;
}

static void go_to(uint64_t now_ms)
{
    if (now_ms <= pond.at.now_ms)
        return;
    pond.at.wall_ms += now_ms - pond.at.now_ms;
    pond.at.now_ms = now_ms;
}

static void pass(uint64_t ms)
{
    uint64_t end_ms = pond.at.now_ms + ms;

    for (;;) {
        uint64_t wake_ms = MOMENT_NEVER;
        uint32_t next = 0;
        size_t first = soonest();

        for (uint32_t i = 0; i < NODES; i++)
            if (wake_of(i) < wake_ms) {
                wake_ms = wake_of(i);
                next = i;
            }
        if (pond.sent_count > 0 && pond.sent[first].at_ms <= wake_ms) {
            struct sent sent = pond.sent[first];

            if (sent.at_ms > end_ms)
                break;
            memmove(&pond.sent[first], &pond.sent[first + 1],
                    (--pond.sent_count - first) * sizeof *pond.sent);
            go_to(sent.at_ms);
            arrive(&sent);
            free(sent.body);
        } else {
            struct event event = {.kind = EVENT_TICK};

            if (wake_ms > end_ms)
                break;
            go_to(wake_ms);
            turn(next, &event);
        }
    }
    go_to(end_ms);
}

/* ---- lives ---- */

static void start(uint32_t number)
{
    struct node *node = &pond.nodes[number];
    struct bytes address = bytes_of_text(node->address);
    struct agent_settings settings = {.network = bytes_of_text(NETWORK),
                                      .display_name = bytes_of_text("node"),
                                      .software = bytes_of_text("test"),
                                      .addresses = &address,
                                      .address_count = 1,
                                      .node_key = node->key,
                                      .node_chain = node->chain,
                                      .records_max = 1000,
                                      .session_not_after_ms = pond.at.wall_ms + DAY_MS};
    struct event event = {.kind = EVENT_RESTORED_RECORD, .at = pond.at};
    struct effects unheard;

    memset(settings.dice_seed, (int)(number + 1), sizeof settings.dice_seed);
    node->agent = agent_new(&settings);
    node->running = true;
    effects_init(&unheard);
    for (size_t i = 0; i < node->record_count; i++) {
        event.restored = node->records[i];
        agent_step(node->agent, &event, &unheard);
    }
    effects_free(&unheard);
    event = (struct event){.kind = EVENT_START};
    event.start.version_floor = node->floor;
    turn(number, &event);
}

static void stop(uint32_t number)
{
    for (uint32_t i = 0; i < NODES; i++)
        end_link(number, i, false);
    pond.nodes[number].running = false;
    agent_free(pond.nodes[number].agent);
    pond.nodes[number].agent = NULL;
}

static void order(uint32_t number, enum order_kind kind)
{
    struct order order = {.ticket = 1, .kind = kind};
    struct event event = {.kind = EVENT_ORDER};

    event.order = &order;
    turn(number, &event);
}

static void join(uint32_t number, uint32_t to)
{
    struct order order = {.ticket = 1,
                          .kind = ORDER_JOIN,
                          .address = bytes_of_text(pond.nodes[to].address),
                          .node = pond.nodes[to].id};
    struct event event = {.kind = EVENT_ORDER};

    event.order = &order;
    turn(number, &event);
}

static struct agent_figures figures(uint32_t number)
{
    struct agent_figures figures;

    agent_figures(pond.nodes[number].agent, &figures);
    return figures;
}

static void begin(void)
{
    ck_assert(identity_self_test());
    memset(&pond, 0, sizeof pond);
    pond.at = (struct moment){.now_ms = 1000000, .wall_ms = BORN_MS + HOUR_MS};
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &pond.nodes[i];
        struct intake_settings intake = {.network = bytes_of_text(NETWORK)};

        arena_init(&node->memory, 16 * MIB);
        snprintf(node->address, sizeof node->address, "127.0.0.1:%u", 1 + i);
        node->key = birth_key(100 * (i + 1));
        node->chain = birth_chain(IDENTITY_NODE, 100 * (i + 1), 1, &node->memory, &node->id);
        intake.keyring = node->keyring = keyring_new(64);
        node->intake = intake_new(&intake);
    }
    for (uint32_t i = 0; i < NODES; i++)
        start(i);
    join(1, 0);
    join(2, 0);
    pass(5 * SECOND_MS);
    for (uint32_t i = 0; i < NODES; i++)
        ck_assert_uint_eq(figures(i).links, 2);
    pass(MINUTE_MS);
}

static void end(void)
{
    for (size_t i = 0; i < pond.sent_count; i++)
        free(pond.sent[i].body);
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &pond.nodes[i];

        agent_free(node->agent);
        intake_free(node->intake);
        keyring_free(node->keyring);
        identity_key_free(node->key);
        arena_free(&node->memory);
    }
}

static const struct agent_member *member(uint32_t number, uint32_t of)
{
    struct node *node = &pond.nodes[number];

    order(number, ORDER_MEMBERS);
    for (size_t i = 0; i < node->member_count; i++)
        if (id_equal(&node->members[i].node, &pond.nodes[of].id))
            return &node->members[i];
    ck_abort_msg("%u does not know %u", number, of);
    return NULL;
}

/* ---- stories ---- */

START_TEST(three_nodes_that_join_one_are_all_linked_and_alive)
{
    for (uint32_t i = 0; i < NODES; i++)
        for (uint32_t j = 0; j < NODES; j++) {
            const struct agent_member *other;

            if (i == j)
                continue;
            other = member(i, j);
            ck_assert_int_eq(other->state, GOSSIP_ALIVE);
            ck_assert(other->linked);
            ck_assert_uint_gt(other->version.ms, 0);
            ck_assert_uint_eq(other->accusers, 0);
        }
    ck_assert_uint_eq(figures(0).live_nodes, 3);
    ck_assert_uint_gt(figures(0).membership.probes_sent, 50);
    ck_assert_uint_eq(figures(0).membership.probes_failed, 0);
}
END_TEST

START_TEST(one_stops_and_the_others_find_out)
{
    stop(2);
    pass(1200); /* a period, and what the wires took */
    ck_assert_int_eq(member(0, 2)->state, GOSSIP_SUSPECT);
    ck_assert_uint_gt(member(0, 2)->suspicion_ends_ms, pond.at.wall_ms);
    ck_assert_uint_eq(member(0, 2)->accusers, 2); /* 1 said so as well, and signed it */
    pass(2000);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(pond.nodes[i].sees[2], GOSSIP_DEAD);
        ck_assert_int_eq(member(i, 2)->state, GOSSIP_DEAD);
        ck_assert_uint_eq(figures(i).live_nodes, 2);
        ck_assert_uint_eq(figures(i).membership.accusations_made, 1);
        ck_assert_uint_eq(figures(i).membership.accusations_heard, 1);
        ck_assert_uint_eq(pond.nodes[i].refused, 0);
    }
    ck_assert_uint_gt(member(0, 2)->attempts, 0);
    ck_assert_uint_ge(member(0, 2)->next_dial_ms, pond.at.wall_ms);
}
END_TEST

START_TEST(it_comes_back_with_a_newer_record_and_all_see_it_alive)
{
    struct version before = member(0, 2)->version;

    stop(2);
    pass(10 * SECOND_MS);
    start(2);
    pass(SECOND_MS);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(member(i, 2)->state, GOSSIP_ALIVE);
        ck_assert(member(i, 2)->linked);
        ck_assert_int_gt(version_compare(member(i, 2)->version, before), 0);
    }
    pass(10 * SECOND_MS);
    ck_assert_int_eq(member(0, 2)->state, GOSSIP_ALIVE);
}
END_TEST

START_TEST(an_accusation_that_is_wrong_is_refuted_with_a_newer_record)
{
    struct version before = member(1, 2)->version;
    struct accusation accusation = {.network = bytes_of_text(NETWORK),
                                    .accuser = pond.nodes[0].id,
                                    .accused = pond.nodes[2].id,
                                    .version = before,
                                    .made_ms = pond.at.wall_ms,
                                    .not_after_ms = pond.at.wall_ms + ACCUSATION_LIFE_MS};
    struct arena arena;
    struct bytes body, wire;

    arena_init(&arena, MIB);
    ck_assert_int_eq(accusation_pack(&accusation, &arena, &body), ACCUSATION_OK);
    wire = envelope_seal(ENVELOPE_ACCUSATION, &pond.nodes[0].id, pond.nodes[0].key, body, &arena,
                         NULL);
    put((struct sent){.what = SENT_FRAME, .from = 0, .to = 1, .kind = FRAME_ACCUSATION},
        frame_pack_accusation(pond.nodes[0].chain, wire, &arena));
    arena_free(&arena);
    pass(WIRE_MS);
    ck_assert_int_eq(pond.nodes[1].sees[2], GOSSIP_SUSPECT);
    pass(SECOND_MS);
    ck_assert_uint_eq(figures(2).membership.refutations, 1);
    ck_assert_int_gt(version_compare(member(1, 2)->version, before), 0);
    ck_assert_int_eq(member(1, 2)->state, GOSSIP_ALIVE);
    ck_assert_uint_eq(figures(1).membership.accusations_made, 0);
    pass(30 * SECOND_MS);
    ck_assert_int_eq(member(0, 2)->state, GOSSIP_ALIVE);
    ck_assert_int_eq(member(1, 2)->state, GOSSIP_ALIVE);
}
END_TEST

START_TEST(one_that_leaves_says_so_stops_and_is_accused_by_nobody)
{
    order(2, ORDER_LEAVE);
    ck_assert_uint_eq(pond.nodes[2].stops, 1);
    pass(500);
    stop(2);
    pass(MINUTE_MS);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(pond.nodes[i].sees[2], GOSSIP_LEFT);
        ck_assert_int_eq(member(i, 2)->state, GOSSIP_LEFT);
        ck_assert_uint_eq(figures(i).membership.accusations_made, 0);
        ck_assert_uint_eq(member(i, 2)->attempts, 0);
    }
}
END_TEST

START_TEST(one_that_left_outbids_its_own_farewell_when_it_starts_again)
{
    order(2, ORDER_LEAVE);
    pass(500);
    stop(2);
    pass(10 * SECOND_MS);
    start(2);
    pass(2 * SECOND_MS);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(member(i, 2)->state, GOSSIP_ALIVE);
        ck_assert(member(i, 2)->linked);
    }
}
END_TEST

START_TEST(one_that_stops_is_missed_by_nobody_and_is_alive_when_it_is_back)
{
    order(2, ORDER_STOP);
    ck_assert_uint_eq(pond.nodes[2].stops, 1);
    pass(500);
    stop(2);
    pass(MINUTE_MS);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(pond.nodes[i].sees[2], GOSSIP_LEFT);
        ck_assert_uint_eq(figures(i).membership.accusations_made, 0);
        ck_assert_uint_gt(member(i, 2)->attempts, 0); /* it will be back */
    }
    start(2);
    pass(2 * SECOND_MS);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(member(i, 2)->state, GOSSIP_ALIVE);
        ck_assert(member(i, 2)->linked);
    }
}
END_TEST

START_TEST(an_idle_node_says_two_frames_of_23_bytes_a_second)
{
    uint64_t before;

    pass(2 * MINUTE_MS);
    before = pond.bytes;
    pass(100 * SECOND_MS);
    ck_assert_uint_le(pond.bytes - before, 100 * 2 * 23 * NODES);
    ck_assert_uint_ge(pond.bytes - before, 90 * 2 * 23 * NODES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_membership");
    TCase *tcase = tcase_create("stories");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, three_nodes_that_join_one_are_all_linked_and_alive);
    tcase_add_test(tcase, one_stops_and_the_others_find_out);
    tcase_add_test(tcase, it_comes_back_with_a_newer_record_and_all_see_it_alive);
    tcase_add_test(tcase, an_accusation_that_is_wrong_is_refuted_with_a_newer_record);
    tcase_add_test(tcase, one_that_leaves_says_so_stops_and_is_accused_by_nobody);
    tcase_add_test(tcase, one_that_left_outbids_its_own_farewell_when_it_starts_again);
    tcase_add_test(tcase, one_that_stops_is_missed_by_nobody_and_is_alive_when_it_is_back);
    tcase_add_test(tcase, an_idle_node_says_two_frames_of_23_bytes_a_second);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
