/* Many gossip machines on one made-up clock, with wires of some milliseconds between them: who dies is
 * found out by all, and nobody else is ever taken for dead. News travels as it ideally would; links,
 * dials, probes and accusations go their real way. */
#include "core/gossip.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>

#define DUCKS_MAX 128u
#define START_MS 1000000ull
#define WIRE_MS 2u /* and up to as much again */
#define REFUSED_MS 1u
#define UNREACHED_MS 5000u

enum kind { UP, DOWN, DIAL_FAILED, PROBE, ACK, NACK, REQUEST, WORD, RECORD };

struct happening {
    uint64_t at_ms, order;
    enum kind kind;
    uint32_t to, from;
    bool flag; /* UP: dialled here; DOWN: goodbye */
    uint32_t nonce, target;
    uint64_t version;
    struct gossip_accusation word;
};

struct duck {
    struct gossip *gossip;
    uint64_t versions[DUCKS_MAX]; /* of the records that it holds; 0: none */
    bool running, paused, is_unreachable;
    bool links[DUCKS_MAX];
    enum gossip_state sees[DUCKS_MAX];
    uint64_t dead_ms[DUCKS_MAX]; /* when it took that one for dead last */
    struct happening *waiting;   /* while it is paused */
    size_t waiting_count, waiting_capacity;
    uint64_t frames;
};

static struct {
    struct duck ducks[DUCKS_MAX];
    uint32_t count;
    uint64_t now_ms, order, words;
    struct happening *heap; /* the soonest first */
    size_t heap_count, heap_capacity;
    struct dice dice;
    bool split; /* even and odd do not reach each other */
    uint32_t loss_percent;
    bool fair[DUCKS_MAX]; /* whoever takes one of these for dead is wrong */
    uint32_t wrongs;
} pond;

/* ---- what will happen ---- */

static bool is_sooner(const struct happening *left, const struct happening *right)
{
    return left->at_ms != right->at_ms ? left->at_ms < right->at_ms : left->order < right->order;
}

static void put(struct happening happening)
{
    size_t i = pond.heap_count++;

    if (i == pond.heap_capacity) {
        pond.heap_capacity = pond.heap_capacity ? pond.heap_capacity * 2 : 1024;
        pond.heap = realloc(pond.heap, pond.heap_capacity * sizeof *pond.heap);
    }
    happening.order = pond.order++;
    for (; i > 0 && is_sooner(&happening, &pond.heap[(i - 1) / 2]); i = (i - 1) / 2)
        pond.heap[i] = pond.heap[(i - 1) / 2];
    pond.heap[i] = happening;
}

static struct happening take(void)
{
    struct happening first = pond.heap[0], last = pond.heap[--pond.heap_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= pond.heap_count)
            break;
        if (child + 1 < pond.heap_count && is_sooner(&pond.heap[child + 1], &pond.heap[child]))
            child++;
        if (!is_sooner(&pond.heap[child], &last))
            break;
        pond.heap[i] = pond.heap[child];
        i = child;
    }
    pond.heap[i] = last;
    return first;
}

static uint64_t after_wire(void)
{
    return pond.now_ms + WIRE_MS + dice_below(&pond.dice, WIRE_MS + 1);
}

/* ---- ids and records ---- */

static struct id id_number(uint32_t number)
{
    struct id id = {.bytes = {1}};

    memcpy(id.bytes + 4, &number, sizeof number);
    return id;
}

static uint32_t number_of(const struct id *id)
{
    uint32_t number;

    memcpy(&number, id->bytes + 4, sizeof number);
    return number;
}

static bool find_contact(void *context, const struct id *node, struct gossip_contact *contact)
{
    const struct duck *duck = context;

    if (duck->versions[number_of(node)] == 0)
        return false;
    *contact = (struct gossip_contact){.addresses = {bytes_of_text("a:1")}, .address_count = 1};
    return true;
}

static void hear_record(uint32_t to, uint32_t of, uint64_t version)
{
    struct duck *duck = &pond.ducks[to];
    struct id id = id_number(of);

    if (version <= duck->versions[of] || to == of)
        return;
    duck->versions[of] = version;
    gossip_learn(duck->gossip, &id, (struct version){version, 0});
}

static bool reaches(uint32_t from, uint32_t to)
{
    return !pond.split || from % 2 == to % 2;
}

static void publish(uint32_t of)
{
    struct duck *duck = &pond.ducks[of];

    duck->versions[of]++;
    for (uint32_t i = 0; i < pond.count; i++)
        if (i != of && reaches(of, i) && pond.ducks[i].running)
            put((struct happening){.at_ms = after_wire() + dice_below(&pond.dice, 100),
                                   .kind = RECORD,
                                   .to = i,
                                   .from = of,
                                   .version = duck->versions[of]});
}

/* What two that meet tell each other of all the others. */
static void repair(uint32_t left, uint32_t right)
{
    for (uint32_t i = 0; i < pond.count; i++) {
        hear_record(left, i, pond.ducks[right].versions[i]);
        hear_record(right, i, pond.ducks[left].versions[i]);
    }
}

/* ---- wires ---- */

static void frame(uint32_t from, uint32_t to, struct happening happening)
{
    pond.ducks[from].frames++;
    if (!pond.ducks[from].links[to] || !reaches(from, to) ||
        dice_below(&pond.dice, 100) < pond.loss_percent)
        return;
    happening.at_ms = after_wire();
    happening.from = from;
    happening.to = to;
    put(happening);
}

static void begin_dial(uint32_t from, uint32_t to)
{
    const struct duck *other = &pond.ducks[to];
    uint64_t at_ms = after_wire();

    if (!other->running || other->paused || other->is_unreachable || !reaches(from, to)) {
        bool is_refused = !other->running && !other->is_unreachable && reaches(from, to);

        put((struct happening){.at_ms = pond.now_ms + (is_refused ? REFUSED_MS : UNREACHED_MS),
                               .kind = DIAL_FAILED,
                               .to = from,
                               .from = to});
        return;
    }
    if (pond.ducks[from].links[to])
        return; /* linked already; both know */
    pond.ducks[from].links[to] = pond.ducks[to].links[from] = true;
    put((struct happening){.at_ms = at_ms, .kind = UP, .to = from, .from = to, .flag = true});
    put((struct happening){.at_ms = at_ms, .kind = UP, .to = to, .from = from});
}

static void end_link(uint32_t left, uint32_t right, bool goodbye)
{
    if (!pond.ducks[left].links[right])
        return;
    pond.ducks[left].links[right] = pond.ducks[right].links[left] = false;
    put((struct happening){
        .at_ms = after_wire(), .kind = DOWN, .to = left, .from = right, .flag = goodbye});
    put((struct happening){
        .at_ms = after_wire(), .kind = DOWN, .to = right, .from = left, .flag = goodbye});
}

/* ---- a duck's turn ---- */

static void pass_on(uint32_t number, const struct gossip_accusation *word, uint32_t from)
{
    struct id nodes[DUCKS_MAX], id = id_number(from);
    size_t count = gossip_pass_on(pond.ducks[number].gossip, word, &id, 7, nodes, DUCKS_MAX);

    for (size_t i = 0; i < count; i++)
        frame(number, number_of(&nodes[i]), (struct happening){.kind = WORD, .word = *word});
}

static void hear_word(uint32_t number, const struct gossip_accusation *word, uint32_t from)
{
    struct duck *duck = &pond.ducks[number];
    struct version held = {duck->versions[number_of(&word->accused)], 0};

    if (gossip_take_accusation(duck->gossip, word, held, pond.now_ms) == GOSSIP_COUNTED)
        pass_on(number, word, from);
}

static struct gossip_accusation make_word(uint32_t accuser, uint32_t accused)
{
    struct gossip_accusation word = {.accuser = id_number(accuser),
                                     .accused = id_number(accused),
                                     .version = {pond.ducks[accuser].versions[accused], 0}};

    pond.words++;
    memcpy(word.hash.bytes, &pond.words, sizeof pond.words);
    word.wire = bytes_of(NULL, 0);
    return word;
}

static void note_state(uint32_t number, const struct gossip_output *output)
{
    uint32_t of = number_of(&output->node);

    pond.ducks[number].sees[of] = output->state;
    if (output->state != GOSSIP_DEAD)
        return;
    pond.ducks[number].dead_ms[of] = pond.now_ms;
    pond.wrongs += pond.fair[of];
}

static void carry_out(uint32_t number, const struct gossip_output *output)
{
    uint32_t to = number_of(&output->node);
    struct gossip_accusation word;

    switch (output->kind) {
    case GOSSIP_SEND_PROBE:
        frame(number, to, (struct happening){.kind = PROBE, .nonce = output->nonce});
        break;
    case GOSSIP_SEND_ACK:
        frame(number, to, (struct happening){.kind = ACK, .nonce = output->nonce});
        break;
    case GOSSIP_SEND_NACK:
        frame(number, to, (struct happening){.kind = NACK, .nonce = output->nonce});
        break;
    case GOSSIP_SEND_REQUEST:
        frame(number, to,
              (struct happening){
                  .kind = REQUEST, .nonce = output->nonce, .target = number_of(&output->target)});
        break;
    case GOSSIP_SEND_ACCUSED:
        word = make_word(number, to); /* stands for the bytes that were kept */
        frame(number, to, (struct happening){.kind = WORD, .word = word});
        break;
    case GOSSIP_HANG_UP:
        end_link(number, to, true);
        break;
    case GOSSIP_ACCUSE:
    case GOSSIP_ACCUSE_AGAIN:
        word = make_word(number, to);
        hear_word(number, &word, number);
        break;
    case GOSSIP_REFUTE:
        if (output->version.ms > pond.ducks[number].versions[number])
            pond.ducks[number].versions[number] = output->version.ms;
        publish(number);
        break;
    case GOSSIP_HEALED:
        publish(number);
        break;
    case GOSSIP_CHANGED:
        note_state(number, output);
        break;
    }
}

static void settle(uint32_t number)
{
    struct gossip *gossip = pond.ducks[number].gossip;
    struct gossip_output output;
    struct gossip_dial dial;

    while (gossip_poll(gossip, pond.now_ms, &output))
        carry_out(number, &output);
    while (gossip_poll_dial(gossip, pond.now_ms, &dial))
        begin_dial(number, number_of(&dial.node));
}

static void happen(const struct happening *it)
{
    struct duck *duck = &pond.ducks[it->to];
    struct id from = id_number(it->from), target = id_number(it->target);

    if (!duck->running)
        return;
    if (duck->paused) {
        if (duck->waiting_count == duck->waiting_capacity) {
            duck->waiting_capacity = duck->waiting_capacity ? duck->waiting_capacity * 2 : 64;
            duck->waiting = realloc(duck->waiting, duck->waiting_capacity * sizeof *duck->waiting);
        }
        duck->waiting[duck->waiting_count++] = *it;
        return;
    }
    switch (it->kind) {
    case UP:
        repair(it->to, it->from);
        gossip_link_up(duck->gossip, &from, it->flag, pond.now_ms);
        break;
    case DOWN:
        gossip_link_down(duck->gossip, &from, it->flag, pond.now_ms);
        break;
    case DIAL_FAILED:
        gossip_dial_failed(duck->gossip, &from, bytes_of_text("a:1"), pond.now_ms);
        break;
    case PROBE:
        gossip_take_probe(duck->gossip, &from, it->nonce, pond.now_ms);
        break;
    case ACK:
        gossip_take_ack(duck->gossip, &from, it->nonce, pond.now_ms);
        break;
    case NACK:
        gossip_take_nack(duck->gossip, &from, it->nonce);
        break;
    case REQUEST:
        gossip_take_request(duck->gossip, &from, it->nonce, &target, pond.now_ms);
        break;
    case WORD:
        hear_word(it->to, &it->word, it->from);
        break;
    case RECORD:
        hear_record(it->to, it->from, it->version);
        break;
    }
    settle(it->to);
}

static uint32_t next_to_wake(uint64_t *at_ms)
{
    uint32_t next = DUCKS_MAX;

    *at_ms = MOMENT_NEVER;
    for (uint32_t i = 0; i < pond.count; i++) {
        const struct duck *duck = &pond.ducks[i];
        uint64_t wake_ms;

        if (!duck->running || duck->paused)
            continue;
        wake_ms = gossip_wake_at_ms(duck->gossip);
        if (wake_ms < *at_ms) {
            *at_ms = wake_ms;
            next = i;
        }
    }
    return next;
}

static void pass(uint64_t ms)
{
    uint64_t end_ms = pond.now_ms + ms;

    for (;;) {
        uint64_t wake_ms;
        uint32_t next = next_to_wake(&wake_ms);

        if (pond.heap_count > 0 && pond.heap[0].at_ms <= wake_ms) {
            struct happening first;

            if (pond.heap[0].at_ms > end_ms)
                break;
            first = take();
            if (first.at_ms > pond.now_ms)
                pond.now_ms = first.at_ms;
            happen(&first);
            continue;
        }
        if (wake_ms > end_ms)
            break;
        if (wake_ms > pond.now_ms)
            pond.now_ms = wake_ms;
        settle(next);
    }
    pond.now_ms = end_ms;
}

/* ---- lives ---- */

static void wake_duck(uint32_t number)
{
    struct gossip_settings settings = {.self = id_number(number),
                                       .nodes_max = DUCKS_MAX,
                                       .contact = find_contact,
                                       .context = &pond.ducks[number]};
    struct duck *duck = &pond.ducks[number];

    dice_fill(&pond.dice, settings.dice_seed, sizeof settings.dice_seed);
    duck->gossip = gossip_new(&settings);
    duck->running = true;
    for (uint32_t i = 0; i < pond.count; i++) {
        struct id id = id_number(i);

        duck->sees[i] = GOSSIP_ALIVE;
        if (i != number && duck->versions[i] > 0)
            gossip_learn(duck->gossip, &id, (struct version){duck->versions[i], 0});
    }
    publish(number);
    settle(number);
}

static void kill_duck(uint32_t number)
{
    struct duck *duck = &pond.ducks[number];

    for (uint32_t i = 0; i < pond.count; i++)
        end_link(number, i, false);
    duck->running = false;
    gossip_free(duck->gossip);
    duck->gossip = NULL;
}

/* As if the cable was cut: nobody is told. */
static void cut_off(uint32_t number)
{
    pond.ducks[number].is_unreachable = true;
    pond.ducks[number].paused = true;
}

static void pause_duck(uint32_t number, bool paused)
{
    struct duck *duck = &pond.ducks[number];
    size_t count = duck->waiting_count;

    duck->paused = paused;
    if (paused)
        return;
    duck->waiting_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct happening late = duck->waiting[i];

        happen(&late);
    }
    settle(number);
}

static void begin(uint32_t count, uint64_t seed)
{
    ck_assert_int_ge(sodium_init(), 0);
    memset(&pond, 0, sizeof pond);
    pond.count = count;
    pond.now_ms = START_MS;
    dice_init_number(&pond.dice, seed);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++)
            pond.ducks[i].versions[j] = 1;
    for (uint32_t i = 0; i < count; i++)
        wake_duck(i);
    for (uint32_t i = 0; i < count; i++)
        pond.fair[i] = true;
    pass(2 * MINUTE_MS);
    for (uint32_t i = 0; i < count; i++) /* repair has brought by now what came before a link */
        for (uint32_t j = 0; j < count; j++)
            hear_record(i, j, pond.ducks[j].versions[j]);
    pass(SECOND_MS);
    ck_assert_uint_eq(pond.wrongs, 0);
}

static void end(void)
{
    for (uint32_t i = 0; i < pond.count; i++) {
        gossip_free(pond.ducks[i].gossip);
        free(pond.ducks[i].waiting);
    }
    free(pond.heap);
}

static uint32_t count_seeing(uint32_t of, enum gossip_state state)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < pond.count; i++)
        count += i != of && pond.ducks[i].running && !pond.ducks[i].paused &&
                 pond.ducks[i].sees[of] == state;
    return count;
}

/* Until all others see it so; fails when that takes longer. */
static uint64_t await(uint32_t of, enum gossip_state state, uint64_t most_ms)
{
    uint64_t began_ms = pond.now_ms;
    uint32_t others = 0;

    for (uint32_t i = 0; i < pond.count; i++)
        others += i != of && pond.ducks[i].running && !pond.ducks[i].paused;
    while (count_seeing(of, state) < others) {
        pass(10);
        ck_assert_msg(pond.now_ms - began_ms <= most_ms, "%u of %u see it so after %llu ms",
                      count_seeing(of, state), others,
                      (unsigned long long)(pond.now_ms - began_ms));
    }
    return pond.now_ms - began_ms;
}

/* ---- stories ---- */

static const uint32_t sizes[] = {3, 8, 16, 32, 100};

START_TEST(who_is_killed_is_dead_to_all_within_the_shortest_suspicion_and_two_seconds)
{
    uint32_t count = sizes[_i];

    begin(count, 1);
    pond.fair[1] = false;
    kill_duck(1);
    await(1, GOSSIP_DEAD, gossip_suspicion_ms(count, 3) + 2 * SECOND_MS);
    pass(MINUTE_MS);
    ck_assert_uint_eq(pond.wrongs, 0);
    end();
}
END_TEST

START_TEST(whose_cable_is_cut_is_dead_to_all_soon_after_a_probe)
{
    uint32_t count = sizes[_i];

    begin(count, 2);
    pond.fair[1] = false;
    cut_off(1);
    await(1, GOSSIP_DEAD, gossip_suspicion_ms(count, 3) + 6 * SECOND_MS);
    pass(MINUTE_MS);
    ck_assert_uint_eq(pond.wrongs, 0);
    end();
}
END_TEST

START_TEST(who_starts_again_is_alive_to_all_within_a_second)
{
    begin(sizes[_i], 3);
    pond.fair[1] = false;
    kill_duck(1);
    await(1, GOSSIP_DEAD, 20 * SECOND_MS);
    wake_duck(1);
    await(1, GOSSIP_ALIVE, SECOND_MS);
    pass(10 * SECOND_MS);
    await(1, GOSSIP_ALIVE, 0);
    end();
}
END_TEST

START_TEST(who_was_paused_and_taken_for_dead_is_alive_to_all_once_it_goes_on)
{
    begin(sizes[_i], 4);
    pond.fair[1] = false;
    pause_duck(1, true);
    await(1, GOSSIP_DEAD, 20 * SECOND_MS);
    pause_duck(1, false);
    await(1, GOSSIP_ALIVE, 5 * SECOND_MS);
    ck_assert_uint_eq(pond.wrongs, 0);
    end();
}
END_TEST

/* One in eight stands still for 8 s, runs for a quarter, and again: none of the others is ever
 * taken for dead, by anybody. */
START_TEST(the_healthy_never_die_while_one_in_eight_is_paused)
{
    uint32_t count = sizes[_i] < 8 ? 8 : sizes[_i];

    begin(count, 5);
    for (uint32_t i = 0; i < count; i += 8)
        pond.fair[i] = false;
    for (int cycle = 0; cycle < 8; cycle++) {
        for (uint32_t i = 0; i < count; i += 8)
            pause_duck(i, true);
        pass(8 * SECOND_MS);
        for (uint32_t i = 0; i < count; i += 8)
            pause_duck(i, false);
        pass(250);
    }
    pass(MINUTE_MS);
    ck_assert_uint_eq(pond.wrongs, 0);
    for (uint32_t i = 0; i < count; i++)
        await(i, GOSSIP_ALIVE, 0);
    end();
}
END_TEST

START_TEST(a_tenth_of_all_frames_lost_kills_nobody)
{
    begin(16, 6);
    pond.loss_percent = 10;
    pass(10 * MINUTE_MS);
    ck_assert_uint_eq(pond.wrongs, 0);
    end();
}
END_TEST

START_TEST(two_halves_that_were_apart_are_one_again)
{
    uint32_t count = sizes[_i];

    begin(count, 7);
    for (uint32_t i = 0; i < count; i++)
        pond.fair[i] = false;
    pond.split = true;
    pass(3 * MINUTE_MS);
    for (uint32_t i = 0; i < count; i++) /* as the transport would, after its pings */
        for (uint32_t j = 0; j < i; j++)
            if (!reaches(i, j))
                end_link(i, j, false);
    pass(5 * MINUTE_MS);
    ck_assert_int_eq(pond.ducks[0].sees[1], GOSSIP_DEAD);
    ck_assert_int_eq(pond.ducks[1].sees[0], GOSSIP_DEAD);
    pond.split = false;
    pass(6 * MINUTE_MS);
    for (uint32_t i = 0; i < count; i++)
        await(i, GOSSIP_ALIVE, 0);
    end();
}
END_TEST

START_TEST(one_liar_alone_kills_nobody)
{
    begin(16, 8);
    for (int round = 0; round < 300; round++) {
        for (uint32_t i = 1; i < 16; i++) {
            struct gossip_accusation word = make_word(0, i);

            for (uint32_t j = 1; j < 16; j++)
                frame(0, j, (struct happening){.kind = WORD, .word = word});
        }
        pass(200);
    }
    ck_assert_uint_eq(pond.wrongs, 0);
    pass(10 * SECOND_MS);
    for (uint32_t i = 0; i < 16; i++)
        await(i, GOSSIP_ALIVE, 0);
    end();
}
END_TEST

/* ---- the overlay ---- */

static uint32_t count_reached(void)
{
    bool reached[DUCKS_MAX] = {true};
    uint32_t list[DUCKS_MAX] = {0}, count = 1;

    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < pond.count; j++)
            if (pond.ducks[list[i]].links[j] && !reached[j]) {
                reached[j] = true;
                list[count++] = j;
            }
    return count;
}

START_TEST(a_hundred_nodes_have_some_eight_links_each_and_are_in_one_piece)
{
    size_t links = 0;

    begin(100, 9);
    for (uint32_t i = 0; i < 100; i++) {
        struct gossip_member member;
        uint32_t chosen = 0;

        links += gossip_links(pond.ducks[i].gossip);
        for (size_t j = 0; j < gossip_count(pond.ducks[i].gossip); j++) {
            gossip_at(pond.ducks[i].gossip, j, &member);
            chosen += member.chosen && member.dialled_here;
        }
        ck_assert_uint_ge(chosen, LINKS_CHOSEN);
        ck_assert_uint_le(gossip_links(pond.ducks[i].gossip), 24);
    }
    ck_assert_uint_ge(links, 100 * 7);
    ck_assert_uint_le(links, 100 * 10);
    ck_assert_uint_eq(count_reached(), 100);
    end();
}
END_TEST

START_TEST(the_overlay_mixes_and_stays_in_one_piece)
{
    bool before[DUCKS_MAX][DUCKS_MAX];
    uint32_t kept = 0, links = 0;

    begin(60, 10);
    for (uint32_t i = 0; i < 60; i++)
        memcpy(before[i], pond.ducks[i].links, sizeof before[i]);
    for (int minute = 0; minute < 30; minute++) {
        pass(MINUTE_MS);
        ck_assert_uint_eq(count_reached(), 60);
    }
    for (uint32_t i = 0; i < 60; i++)
        for (uint32_t j = 0; j < 60; j++) {
            links += before[i][j];
            kept += before[i][j] && pond.ducks[i].links[j];
        }
    ck_assert_uint_lt(kept, links / 2);
    ck_assert_uint_eq(pond.wrongs, 0);
    end();
}
END_TEST

START_TEST(twenty_one_nodes_are_all_linked)
{
    begin(FULL_MESH_NODES_MAX + 1, 11);
    for (uint32_t i = 0; i < pond.count; i++)
        ck_assert_uint_eq(gossip_links(pond.ducks[i].gossip), FULL_MESH_NODES_MAX);
    end();
}
END_TEST

/* Each sends a probe and an ack a second, whatever there are. */
START_TEST(the_idle_cost_is_two_frames_a_second_whatever_there_are)
{
    uint64_t frames = 0;

    begin(sizes[_i], 12);
    for (uint32_t i = 0; i < pond.count; i++)
        pond.ducks[i].frames = 0;
    pass(100 * SECOND_MS);
    for (uint32_t i = 0; i < pond.count; i++)
        frames += pond.ducks[i].frames;
    ck_assert_uint_ge(frames, 195 * (uint64_t)pond.count);
    ck_assert_uint_le(frames, 205 * (uint64_t)pond.count);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("membership");
    TCase *stories = tcase_create("stories"), *overlay = tcase_create("overlay");
    int count = sizeof sizes / sizeof *sizes, failed;
    SRunner *runner;

    tcase_set_timeout(stories, 60);
    tcase_set_timeout(overlay, 60);
    tcase_add_loop_test(stories,
                        who_is_killed_is_dead_to_all_within_the_shortest_suspicion_and_two_seconds,
                        0, count);
    tcase_add_loop_test(stories, whose_cable_is_cut_is_dead_to_all_soon_after_a_probe, 0, count);
    tcase_add_loop_test(stories, who_starts_again_is_alive_to_all_within_a_second, 0, count);
    tcase_add_loop_test(stories, who_was_paused_and_taken_for_dead_is_alive_to_all_once_it_goes_on,
                        0, count);
    tcase_add_loop_test(stories, the_healthy_never_die_while_one_in_eight_is_paused, 1, count);
    tcase_add_test(stories, a_tenth_of_all_frames_lost_kills_nobody);
    tcase_add_loop_test(stories, two_halves_that_were_apart_are_one_again, 1, count - 1);
    tcase_add_test(stories, one_liar_alone_kills_nobody);
    tcase_add_test(overlay, a_hundred_nodes_have_some_eight_links_each_and_are_in_one_piece);
    tcase_add_test(overlay, the_overlay_mixes_and_stays_in_one_piece);
    tcase_add_test(overlay, twenty_one_nodes_are_all_linked);
    tcase_add_loop_test(overlay, the_idle_cost_is_two_frames_a_second_whatever_there_are, 0, count);
    suite_add_tcase(suite, stories);
    suite_add_tcase(suite, overlay);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
