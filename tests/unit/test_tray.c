#include "core/dice.h"
#include "core/tray.h"

#include <check.h>
#include <stdlib.h>

#define NOW_MS 50000ull
#define WALL_MS 1790000000000ull

static struct tray *tray;
static const struct tray_filter everything;

static void set_up(void)
{
    tray = tray_new(TRAY_MAX);
}

static void tear_down(void)
{
    tray_free(tray);
}

static struct id duckling(uint64_t number)
{
    struct hash hash;

    number += 1u << 30;
    hash = hash_of(bytes_of(&number, sizeof number));
    return id_of(&hash);
}

static struct tray_entry entry_of(uint64_t number, uint64_t from, uint64_t to,
                                  enum tray_place place)
{
    struct tray_entry entry = {
        .hash = hash_of(bytes_of(&number, sizeof number)),
        .from = duckling(from),
        .to = duckling(to),
        .kind = PECK_ACTION,
        .state = place == TRAY_WAITING ? PECK_PENDING : PECK_TAKEN,
        .place = place,
        .expires_ms = WALL_MS + HOUR_MS,
    };

    entry.peck = id_of(&entry.hash);
    return entry;
}

static struct id add(uint64_t number, uint64_t from, uint64_t to, enum tray_place place)
{
    struct tray_entry entry = entry_of(number, from, to, place);

    ck_assert_int_eq(tray_add(tray, &entry), TRAY_TAKEN);
    return entry.peck;
}

static bool is_same(const struct tray_entry *left, const struct tray_entry *right)
{
    return id_equal(&left->peck, &right->peck) && hash_equal(&left->hash, &right->hash) &&
           id_equal(&left->from, &right->from) && id_equal(&left->to, &right->to) &&
           left->kind == right->kind && left->state == right->state &&
           left->place == right->place && left->expires_ms == right->expires_ms &&
           left->lease_until_ms == right->lease_until_ms && left->attempt == right->attempt;
}

/* Hands out one with a lease of a minute; false when it is not this one. */
static bool takes(uint64_t to, const struct id *peck)
{
    struct id target = duckling(to);
    const struct tray_entry *taken = tray_take(tray, &target, &everything, NOW_MS + MINUTE_MS);

    return taken ? peck && id_equal(&taken->peck, peck) : !peck;
}

START_TEST(what_is_added_is_found_until_it_is_removed)
{
    struct tray_entry entry = entry_of(1, 1, 2, TRAY_READY);
    const struct tray_entry *found;

    ck_assert_ptr_null(tray_find(tray, &entry.peck));
    add(1, 1, 2, TRAY_READY);
    found = tray_find(tray, &entry.peck);
    ck_assert_ptr_nonnull(found);
    ck_assert(is_same(found, &entry));
    ck_assert_uint_eq(tray_count(tray), 1);
    tray_remove(tray, &entry.peck);
    tray_remove(tray, &entry.peck);
    ck_assert_ptr_null(tray_find(tray, &entry.peck));
    ck_assert_uint_eq(tray_count(tray), 0);
    ck_assert(takes(2, NULL));
}
END_TEST

START_TEST(a_peck_that_is_there_is_not_added_twice)
{
    struct tray_entry entry = entry_of(1, 1, 2, TRAY_READY);

    add(1, 1, 2, TRAY_READY);
    ck_assert(takes(2, &entry.peck));
    ck_assert_int_ne(tray_add(tray, &entry), TRAY_TAKEN);
    ck_assert_int_eq(tray_find(tray, &entry.peck)->place, TRAY_LEASED);
    ck_assert_uint_eq(tray_count(tray), 1);
}
END_TEST

START_TEST(each_duckling_gets_its_own_in_order_of_arrival)
{
    struct id a = add(1, 9, 2, TRAY_READY), b = add(2, 9, 3, TRAY_READY),
              c = add(3, 8, 2, TRAY_READY), d = add(4, 9, 2, TRAY_READY);

    ck_assert(takes(2, &a));
    ck_assert(takes(2, &c));
    ck_assert(takes(3, &b));
    ck_assert(takes(3, NULL));
    ck_assert(takes(2, &d));
    ck_assert(takes(2, NULL));
    ck_assert(takes(9, NULL)); /* who sends gets nothing */
}
END_TEST

static void count_visit(void *context, const struct tray_entry *entry)
{
    (void)entry;
    ++*(unsigned *)context;
}

static unsigned visits_of(const struct id *party)
{
    unsigned count = 0;

    tray_each_of(tray, party, count_visit, &count);
    return count;
}

START_TEST(what_came_under_a_context_is_found_by_it_until_the_last_of_it_is_removed)
{
    struct tray_entry first = entry_of(1, 1, 2, TRAY_READY), second = entry_of(2, 1, 2, TRAY_READY);
    struct id carrier = duckling(7), sender = duckling(1);

    first.context = second.context = carrier;
    add(3, 1, 2, TRAY_READY);
    ck_assert_uint_eq(visits_of(&carrier), 0);
    ck_assert_int_eq(tray_add(tray, &first), TRAY_TAKEN);
    ck_assert(tray_restore(tray, &second));
    ck_assert_uint_eq(visits_of(&carrier), 2);
    ck_assert_uint_eq(visits_of(&sender), 3);
    ck_assert_uint_eq(visits_of(NULL), 3);
    tray_remove(tray, &first.peck);
    ck_assert_uint_eq(visits_of(&carrier), 1);
    tray_remove(tray, &second.peck);
    ck_assert_uint_eq(visits_of(&carrier), 0);
    ck_assert_uint_eq(visits_of(&sender), 1);
}
END_TEST

START_TEST(a_context_that_is_sender_and_target_too_is_parted_with_once)
{
    struct tray_entry entry = entry_of(1, 7, 7, TRAY_READY);
    struct id party = duckling(7);

    entry.context = party;
    ck_assert_int_eq(tray_add(tray, &entry), TRAY_TAKEN);
    ck_assert_uint_eq(visits_of(&party), 1);
    tray_remove(tray, &entry.peck);
    ck_assert_uint_eq(visits_of(&party), 0);
    ck_assert_uint_eq(tray_count(tray), 0);
}
END_TEST

START_TEST(senders_take_turns_however_many_one_has_sent)
{
    struct id flood[4], quiet, late;

    for (uint64_t i = 0; i < 4; i++)
        flood[i] = add(i, 9, 2, TRAY_READY);
    quiet = add(4, 8, 2, TRAY_READY);
    ck_assert(takes(2, &flood[0]));
    ck_assert(takes(2, &quiet));
    ck_assert(takes(2, &flood[1]));
    ck_assert(takes(2, &flood[2]));
    late = add(5, 7, 2, TRAY_READY); /* stands where the agent is, not before it */
    ck_assert(takes(2, &flood[3]));
    ck_assert(takes(2, &late));
    ck_assert(takes(2, NULL));
}
END_TEST

START_TEST(what_waits_for_its_owner_is_not_handed_out_before_approval)
{
    struct id waiting = add(1, 9, 2, TRAY_WAITING), ready = add(2, 9, 2, TRAY_READY);

    ck_assert(takes(2, &ready));
    ck_assert(takes(2, NULL));
    ck_assert(!tray_acknowledge(tray, &waiting));
    tray_approve(tray, &waiting);
    ck_assert_int_eq(tray_find(tray, &waiting)->place, TRAY_READY);
    ck_assert_int_eq(tray_find(tray, &waiting)->state, PECK_APPROVED);
    tray_approve(tray, &waiting); /* once more changes nothing */
    ck_assert(takes(2, &waiting));
    tray_approve(tray, &waiting);
    ck_assert(takes(2, NULL));
}
END_TEST

START_TEST(what_is_not_acknowledged_is_handed_out_again_in_its_old_place)
{
    struct id a = add(1, 9, 2, TRAY_READY), b = add(2, 9, 2, TRAY_READY);
    const struct tray_entry *over;

    ck_assert(takes(2, &a));
    ck_assert_uint_eq(tray_find(tray, &a)->attempt, 1);
    ck_assert_uint_eq(tray_find(tray, &a)->lease_until_ms, NOW_MS + MINUTE_MS);
    ck_assert_ptr_null(tray_poll_lease_over(tray, NOW_MS + MINUTE_MS - 1));
    over = tray_poll_lease_over(tray, NOW_MS + MINUTE_MS);
    ck_assert_ptr_nonnull(over);
    ck_assert(id_equal(&over->peck, &a));
    ck_assert_int_eq(over->place, TRAY_READY);
    ck_assert_ptr_null(tray_poll_lease_over(tray, NOW_MS + MINUTE_MS)); /* told once */
    ck_assert(!tray_acknowledge(tray, &a));                             /* too late */
    ck_assert(takes(2, &a));
    ck_assert_uint_eq(tray_find(tray, &a)->attempt, 2);
    ck_assert(takes(2, &b));
}
END_TEST

START_TEST(what_is_acknowledged_stays_with_its_agent)
{
    struct id peck = add(1, 9, 2, TRAY_READY);

    ck_assert(!tray_acknowledge(tray, &peck));
    ck_assert(takes(2, &peck));
    ck_assert(tray_acknowledge(tray, &peck));
    ck_assert(!tray_acknowledge(tray, &peck));
    ck_assert_int_eq(tray_find(tray, &peck)->place, TRAY_WITH_AGENT);
    ck_assert_ptr_null(tray_poll_lease_over(tray, UINT64_MAX - 1));
    ck_assert(takes(2, NULL));
    ck_assert_ptr_nonnull(tray_poll_expired(tray, WALL_MS + HOUR_MS)); /* but not for ever */
}
END_TEST

START_TEST(a_part_of_an_answer_makes_a_lease_longer_and_never_shorter)
{
    struct id peck = add(1, 9, 2, TRAY_READY), unknown = {{7}};
    uint64_t until_ms;

    ck_assert(takes(2, &peck));
    until_ms = tray_find(tray, &peck)->lease_until_ms;
    tray_add_partial(tray, &peck, bytes_of_text("1"), until_ms - 1);
    tray_add_partial(tray, &unknown, bytes_of_text("1"), until_ms);
    ck_assert_uint_eq(tray_find(tray, &peck)->lease_until_ms, until_ms);
    tray_add_partial(tray, &peck, bytes_of_text("2"), until_ms + 100);
    ck_assert_uint_eq(tray_find(tray, &peck)->partials.count, 2);
    ck_assert_ptr_null(tray_poll_lease_over(tray, until_ms + 99));
    ck_assert_ptr_nonnull(tray_poll_lease_over(tray, until_ms + 100));
    tray_add_partial(tray, &peck, bytes_of_text("3"),
                     until_ms + 200); /* it is ready again, and no lease */
    ck_assert_int_eq(tray_find(tray, &peck)->place, TRAY_READY);
    ck_assert_ptr_null(tray_poll_lease_over(tray, UINT64_MAX - 1));
}
END_TEST

START_TEST(what_is_given_back_is_ready_at_once_and_was_no_attempt)
{
    struct id a = add(1, 9, 2, TRAY_READY), b = add(2, 9, 2, TRAY_READY);

    ck_assert(!tray_give_back(tray, &a)); /* not handed out */
    ck_assert(takes(2, &a));
    ck_assert(tray_give_back(tray, &a));
    ck_assert(!tray_give_back(tray, &a));
    ck_assert_uint_eq(tray_find(tray, &a)->attempt, 0);
    ck_assert_ptr_null(tray_poll_lease_over(tray, UINT64_MAX - 1));
    ck_assert(takes(2, &a)); /* before what came after it */
    ck_assert_uint_eq(tray_find(tray, &a)->attempt, 1);
    ck_assert(tray_acknowledge(tray, &a));
    ck_assert(!tray_give_back(tray, &a)); /* somebody has it */
    ck_assert(takes(2, &b));
}
END_TEST

START_TEST(a_restored_lease_goes_on)
{
    struct tray_entry entry = entry_of(1, 9, 2, TRAY_LEASED);

    entry.attempt = 3;
    entry.lease_until_ms = NOW_MS + 100;
    ck_assert_int_eq(tray_add(tray, &entry), TRAY_TAKEN);
    ck_assert(takes(2, NULL));
    ck_assert_ptr_null(tray_poll_lease_over(tray, NOW_MS + 99));
    ck_assert_ptr_nonnull(tray_poll_lease_over(tray, NOW_MS + 100));
    ck_assert(takes(2, &entry.peck));
    ck_assert_uint_eq(tray_find(tray, &entry.peck)->attempt, 4);
}
END_TEST

START_TEST(a_peck_expires_wherever_it_is)
{
    for (uint64_t place = TRAY_WAITING; place <= TRAY_WITH_AGENT; place++) {
        struct tray_entry entry = entry_of(place, 9, 2, (enum tray_place)place);
        uint64_t end_ms = entry.expires_ms = WALL_MS + place + 1;

        entry.lease_until_ms = NOW_MS + DAY_MS;
        ck_assert_int_eq(tray_add(tray, &entry), TRAY_TAKEN);
        ck_assert_ptr_null(tray_poll_expired(tray, end_ms - 1));
        ck_assert(id_equal(&tray_poll_expired(tray, end_ms)->peck, &entry.peck));
        tray_remove(tray, &entry.peck);
        ck_assert_ptr_null(tray_poll_expired(tray, end_ms));
        ck_assert_ptr_null(tray_poll_lease_over(tray, NOW_MS + DAY_MS));
        ck_assert(takes(2, NULL));
    }
}
END_TEST

START_TEST(it_wakes_for_whichever_clock_comes_first)
{
    struct moment at = {NOW_MS, WALL_MS};
    struct id peck;

    ck_assert_uint_eq(tray_wake_at_ms(tray, &at), MOMENT_NEVER);
    peck = add(1, 9, 2, TRAY_READY);
    ck_assert_uint_eq(tray_wake_at_ms(tray, &at), NOW_MS + HOUR_MS);
    ck_assert(takes(2, &peck));
    ck_assert_uint_eq(tray_wake_at_ms(tray, &at), NOW_MS + MINUTE_MS);
    tray_acknowledge(tray, &peck);
    ck_assert_uint_eq(tray_wake_at_ms(tray, &at), NOW_MS + HOUR_MS);
    at.wall_ms += DAY_MS;
    ck_assert_uint_eq(tray_wake_at_ms(tray, &at), NOW_MS);
}
END_TEST

START_TEST(a_sender_has_64_that_wait_for_owners)
{
    struct tray_entry beyond = entry_of(1000, 9, 3, TRAY_WAITING);
    struct tray_entry ready = entry_of(1001, 9, 3, TRAY_READY);
    struct tray_entry other = entry_of(1002, 8, 3, TRAY_WAITING);
    struct id first = add(0, 9, 2, TRAY_WAITING);

    for (uint64_t i = 1; i < PENDING_PER_SENDER_MAX; i++)
        add(i, 9, 2 + i % 3, TRAY_WAITING);
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_TOO_MANY_PENDING);
    ck_assert_int_eq(tray_add(tray, &ready), TRAY_TAKEN);
    ck_assert_int_eq(tray_add(tray, &other), TRAY_TAKEN);
    tray_approve(tray, &first);
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_TAKEN);
    beyond = entry_of(1003, 9, 3, TRAY_WAITING);
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_TOO_MANY_PENDING);
    first = entry_of(1, 9, 2, TRAY_WAITING).peck;
    tray_remove(tray, &first);
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_TAKEN);
}
END_TEST

START_TEST(a_sender_has_10000_in_all)
{
    struct tray_entry beyond = entry_of(TRAY_PER_SENDER_MAX, 9, 3, TRAY_READY);
    struct tray_entry other = entry_of(TRAY_PER_SENDER_MAX + 1, 8, 3, TRAY_READY);
    struct id first = add(0, 9, 2, TRAY_READY);

    for (uint64_t i = 1; i < TRAY_PER_SENDER_MAX; i++)
        add(i, 9, 2 + i % 3, TRAY_READY);
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_SENDER_FULL);
    ck_assert_int_eq(tray_add(tray, &other), TRAY_TAKEN);
    tray_remove(tray, &first);
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_TAKEN);
}
END_TEST

/* Names cost nothing, and anybody may ask an owner: so many askers leave room for who has a bond. */
START_TEST(what_waits_for_owners_has_half_of_the_room)
{
    struct tray_entry beyond = entry_of(TRAY_MAX, 3, 1, TRAY_WAITING);
    struct id first = add(0, 4, 1, TRAY_WAITING);

    for (uint64_t i = 1; i < TRAY_PENDING_MAX(TRAY_MAX); i++)
        add(i, 4 + i / PENDING_PER_SENDER_MAX, 1, TRAY_WAITING);
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_PENDING_FULL);
    for (uint64_t i = TRAY_PENDING_MAX(TRAY_MAX); i < TRAY_MAX - 1; i++)
        add(i, 4 + i % 20, 1, TRAY_READY);
    tray_approve(tray, &first);
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_TAKEN);
    ck_assert_uint_eq(tray_count(tray), TRAY_MAX);
    tray_remove(tray, &beyond.peck);
    tray_remove(tray, &first);
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_TAKEN);
}
END_TEST

/* A limit that was tightened takes nobody's place away. */
START_TEST(what_was_taken_in_an_earlier_life_is_restored_beyond_the_limits_of_today)
{
    struct tray_entry entry, beyond = entry_of(TRAY_MAX, 4, 1, TRAY_WAITING);

    for (uint64_t i = 0; i < TRAY_MAX; i++) {
        entry = entry_of(i, 3, 1, TRAY_WAITING);
        ck_assert(tray_restore(tray, &entry));
    }
    ck_assert(!tray_restore(tray, &beyond));
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_FULL);
    tray_remove(tray, &entry.peck);
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_PENDING_FULL);
    ck_assert(tray_restore(tray, &beyond));
    ck_assert(!tray_restore(tray, &beyond));
}
END_TEST

START_TEST(it_holds_what_it_is_told_and_refuses_one_beyond)
{
    struct tray_entry beyond = entry_of(TRAY_MAX, 999, 3, TRAY_READY);
    struct id target = duckling(1), peck;
    size_t taken = 0, over = 0;

    for (uint64_t i = 0; i < TRAY_MAX; i++)
        peck = add(i, 2 + i % 20, 1, TRAY_READY);
    ck_assert_uint_eq(tray_count(tray), TRAY_MAX);
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_FULL);
    tray_remove(tray, &peck);
    ck_assert_int_eq(tray_add(tray, &beyond), TRAY_TAKEN);
    /* An agent that took all and died: all come back, each to its place, in good time. */
    while (tray_take(tray, &target, &everything, NOW_MS + 1))
        taken++;
    while (tray_poll_lease_over(tray, NOW_MS + 1))
        over++;
    ck_assert_uint_eq(taken, TRAY_MAX - 1);
    ck_assert_uint_eq(over, TRAY_MAX - 1);
    peck = entry_of(0, 2, 1, TRAY_READY).peck;
    ck_assert(takes(1, &peck));
}
END_TEST

START_TEST(every_verdict_has_its_words)
{
    for (int i = TRAY_TAKEN; i <= TRAY_PENDING_FULL; i++)
        ck_assert_uint_gt(strlen(tray_verdict_text((enum tray_verdict)i)), 0);
}
END_TEST

/* ---- against a list that is looked through from end to end ---- */

#define PECKS 300
#define DUCKLINGS 6

struct listed {
    bool held;
    uint64_t age; /* when it came */
    uint64_t from, to, turn;
    struct tray_entry entry;
};

static struct listed list[PECKS];
static uint64_t turns[DUCKLINGS],
    turn_of[DUCKLINGS][DUCKLINGS]; /* by target, by target and sender */

static size_t count_of(const struct id *from, bool pending_only)
{
    size_t count = 0;

    for (size_t i = 0; i < PECKS; i++)
        count += list[i].held && id_equal(&list[i].entry.from, from) &&
                 (!pending_only || list[i].entry.place == TRAY_WAITING);
    return count;
}

static bool is_before(const struct listed *one, const struct listed *other)
{
    uint64_t turn = turn_of[one->to][one->from], others = turn_of[other->to][other->from];

    return turn < others || (turn == others && one->age < other->age);
}

static struct listed *next_ready(uint64_t to, const struct tray_filter *filter)
{
    struct listed *next = NULL;

    for (size_t i = 0; i < PECKS; i++)
        if (list[i].held && list[i].entry.place == TRAY_READY && list[i].to == to &&
            tray_filter_fits(filter, list[i].entry.action) && (!next || is_before(&list[i], next)))
            next = &list[i];
    return next;
}

static size_t count_in_line(uint64_t to, uint64_t from)
{
    size_t count = 0;

    for (size_t i = 0; i < PECKS; i++)
        count += list[i].held && list[i].to == to && list[i].from == from;
    return count;
}

static struct listed *first_lease_over(uint64_t now_ms)
{
    struct listed *first = NULL;

    for (size_t i = 0; i < PECKS; i++) {
        struct listed *one = &list[i];

        if (!one->held || one->entry.place != TRAY_LEASED || one->entry.lease_until_ms > now_ms)
            continue;
        if (!first || one->entry.lease_until_ms < first->entry.lease_until_ms ||
            (one->entry.lease_until_ms == first->entry.lease_until_ms && one->age < first->age))
            first = one;
    }
    return first;
}

static struct listed *first_expired(uint64_t wall_ms)
{
    struct listed *first = NULL;

    for (size_t i = 0; i < PECKS; i++) {
        struct listed *one = &list[i];

        if (!one->held || one->entry.expires_ms > wall_ms)
            continue;
        if (!first || one->entry.expires_ms < first->entry.expires_ms ||
            (one->entry.expires_ms == first->entry.expires_ms && one->age < first->age))
            first = one;
    }
    return first;
}

#define LIST_ACTIONS 4u
static const char *const list_actions[LIST_ACTIONS] = {"", "data.read", "data.list", "wipe"};

static void try_to_add(struct listed *one, struct dice *dice, struct moment at, uint64_t age)
{
    enum tray_place place = (enum tray_place)dice_below(dice, 4);
    enum tray_verdict verdict;

    uint64_t from = dice_below(dice, DUCKLINGS), to = dice_below(dice, DUCKLINGS);

    one->entry.from = duckling(from);
    one->entry.to = duckling(to); /* its own node's, even itself */
    one->entry.place = place;
    one->entry.action = bytes_of_text(list_actions[dice_below(dice, LIST_ACTIONS)]);
    one->entry.attempt = 0;
    one->entry.lease_until_ms = place == TRAY_LEASED ? at.now_ms + dice_below(dice, 500) : 0;
    one->entry.expires_ms = at.wall_ms + dice_below(dice, 3000);
    verdict = tray_add(tray, &one->entry);
    if (place == TRAY_WAITING && count_of(&one->entry.from, true) >= PENDING_PER_SENDER_MAX) {
        ck_assert_int_eq(verdict, TRAY_TOO_MANY_PENDING);
        return;
    }
    ck_assert_int_eq(verdict, TRAY_TAKEN);
    if (count_in_line(to, from) == 0)
        turn_of[to][from] = ++turns[to];
    one->from = from;
    one->to = to;
    one->turn = 0;
    one->held = true;
    one->age = age;
}

static void change(struct listed *one, struct dice *dice)
{
    switch (dice_below(dice, 3)) {
    case 0:
        tray_remove(tray, &one->entry.peck);
        one->held = false;
        break;
    case 1:
        tray_approve(tray, &one->entry.peck);
        if (one->entry.place == TRAY_WAITING) {
            one->entry.place = TRAY_READY;
            one->entry.state = PECK_APPROVED;
        }
        break;
    case 2:
        ck_assert_int_eq(tray_acknowledge(tray, &one->entry.peck), one->entry.place == TRAY_LEASED);
        if (one->entry.place == TRAY_LEASED)
            one->entry.place = TRAY_WITH_AGENT;
        break;
    default:
        ck_abort();
    }
}

static void hand_out(struct dice *dice, struct moment at)
{
    uint64_t target = dice_below(dice, DUCKLINGS);
    struct id to = duckling(target);
    uint64_t until_ms = at.now_ms + dice_below(dice, 500);
    struct bytes wanted = bytes_of_text(dice_below(dice, 2) ? "data.*" : "wipe"),
                 unwanted = bytes_of_text("data.list");
    struct tray_filter filter = {.actions = &wanted,
                                 .but_not = &unwanted,
                                 .action_count = dice_below(dice, 2),
                                 .but_not_count = dice_below(dice, 2)};
    struct listed *expected = next_ready(target, &filter);
    const struct tray_entry *taken = tray_take(tray, &to, &filter, until_ms);

    ck_assert_int_eq(taken != NULL, expected != NULL);
    if (!taken)
        return;
    expected->turn = turn_of[target][expected->from];
    turn_of[target][expected->from] = ++turns[target];
    expected->entry.place = TRAY_LEASED;
    expected->entry.attempt++;
    expected->entry.lease_until_ms = until_ms;
    ck_assert(is_same(taken, &expected->entry));
}

static void let_time_pass(struct moment at)
{
    const struct tray_entry *over, *expired;
    struct listed *listed;

    while ((listed = first_lease_over(at.now_ms))) {
        over = tray_poll_lease_over(tray, at.now_ms);
        ck_assert_ptr_nonnull(over);
        listed->entry.place = TRAY_READY;
        if (listed->turn > 0 && listed->turn < turn_of[listed->to][listed->from])
            turn_of[listed->to][listed->from] = listed->turn;
        ck_assert(is_same(over, &listed->entry));
    }
    ck_assert_ptr_null(tray_poll_lease_over(tray, at.now_ms));
    while ((listed = first_expired(at.wall_ms))) {
        expired = tray_poll_expired(tray, at.wall_ms);
        ck_assert_ptr_nonnull(expired);
        ck_assert(is_same(expired, &listed->entry));
        listed->held = false;
        tray_remove(tray, &listed->entry.peck);
    }
    ck_assert_ptr_null(tray_poll_expired(tray, at.wall_ms));
}

/* ---- filters and renewals ---- */

static struct id add_action_of(uint64_t number, uint64_t from, const char *action)
{
    struct tray_entry entry = entry_of(number, from, 2, TRAY_READY);
    char text[PECK_ACTION_MAX];

    strcpy(text, action);
    entry.action = bytes_of_text(text);
    ck_assert_int_eq(tray_add(tray, &entry), TRAY_TAKEN);
    memset(text, '!', sizeof text); /* the tray has a copy */
    return entry.peck;
}

static struct id add_action(uint64_t number, const char *action)
{
    return add_action_of(number, 1, action);
}

static bool takes_only(const char *action, const char *but_not, const struct id *peck)
{
    struct bytes wanted = bytes_of_text(action), unwanted = bytes_of_text(but_not);
    struct tray_filter filter = {.actions = &wanted,
                                 .but_not = &unwanted,
                                 .action_count = 1,
                                 .but_not_count = *but_not != 0};
    struct id target = duckling(2);
    const struct tray_entry *taken = tray_take(tray, &target, &filter, NOW_MS + MINUTE_MS);

    return taken ? peck && id_equal(&taken->peck, peck) : !peck;
}

START_TEST(a_filter_takes_the_oldest_that_it_fits)
{
    struct id listed = add_action(1, "data.list"), read = add_action(2, "data.read");
    struct id wipe = add_action(3, "wipe"), again = add_action(4, "data.read");

    ck_assert(takes_only("data.write", "", NULL));
    ck_assert(takes_only("data.*", "data.list", &read));
    ck_assert(takes_only("data.*", "data.*", NULL));
    ck_assert(takes_only("data.read", "", &again));
    ck_assert(takes_only("*", "data.list", &wipe));
    ck_assert(takes_only("*", "", &listed));
    ck_assert(takes_only("*", "", NULL));
    ck_assert_uint_eq(tray_count(tray), 4);
}
END_TEST

START_TEST(among_many_a_filter_finds_the_oldest_whatever_was_taken_before)
{
    struct id odd[50];

    for (uint64_t i = 0; i < 50; i++) {
        add_action(1000 + i, "even");
        odd[i] = add_action(2000 + i, "odd");
    }
    for (int i = 0; i < 20; i++) /* the heap is no longer a list */
        ck_assert(takes(2, NULL) == false);
    for (size_t i = 10; i < 50; i++)
        ck_assert(takes_only("odd", "", &odd[i]));
    ck_assert(takes_only("odd", "", NULL));
}
END_TEST

#define CROWD 20000u
#define CROWD_SENDERS 100u

/* What others want lies there in any number: who wants little does not pay for it. */
START_TEST(a_narrow_filter_costs_a_look_at_each_action_and_not_at_each_peck)
{
    static struct id rare[3];
    uint64_t looks;

    for (uint64_t i = 0; i < CROWD; i++)
        add_action_of(i, 10 + i % CROWD_SENDERS, i % 2 ? "data.read" : "data.list");
    for (uint64_t i = 0; i < 3; i++)
        rare[i] = add_action_of(CROWD + i, 10 + i, "rare");
    looks = tray_looks(tray);
    for (uint64_t i = 0; i < 3; i++)
        ck_assert(takes_only("rare", "", &rare[i]));
    ck_assert_uint_eq(tray_looks(tray) - looks, 9);
    looks = tray_looks(tray);
    ck_assert(takes_only("rare", "", NULL)); /* of which nothing is ready any more */
    ck_assert_uint_eq(tray_looks(tray) - looks, 2);
    ck_assert(!takes(2, NULL)); /* who wants anything looks at nothing */
    ck_assert_uint_eq(tray_looks(tray) - looks, 2);
    /* Senders take turns, and are put behind once for each. */
    for (uint64_t i = 1; i < CROWD / 2; i++)
        ck_assert(!takes_only("data.read", "", NULL));
    ck_assert_uint_eq(tray_looks(tray) - looks, CROWD);
}
END_TEST

/* One sender's last peck goes first, because nobody takes the others: that puts nobody behind them. */
START_TEST(what_is_taken_out_of_order_makes_nobody_wait)
{
    struct id slow[20], fast, quiet;

    for (uint64_t i = 0; i < 20; i++)
        slow[i] = add_action(i, "slow");
    fast = add_action(20, "fast");
    ck_assert(takes_only("fast", "", &fast));
    quiet = add_action_of(21, 7, "slow");
    ck_assert(takes_only("slow", "", &slow[0]));
    ck_assert(takes_only("slow", "", &quiet));
    ck_assert(takes_only("slow", "", &slow[1]));
}
END_TEST

START_TEST(what_comes_back_has_its_turn_again)
{
    struct id first = add(1, 9, 2, TRAY_READY), next = add(2, 9, 2, TRAY_READY),
              other = add(3, 8, 2, TRAY_READY);

    ck_assert(takes(2, &first));
    ck_assert(tray_give_back(tray, &first));
    ck_assert(takes(2, &first));
    ck_assert(takes(2, &other));
    ck_assert(takes(2, &next));
    ck_assert_ptr_nonnull(tray_poll_lease_over(tray, NOW_MS + MINUTE_MS));
    ck_assert(takes(2, &first));
}
END_TEST

START_TEST(a_lease_that_is_renewed_ends_later)
{
    struct id peck = add(1, 1, 2, TRAY_READY), other = add(2, 1, 3, TRAY_WAITING);

    ck_assert(!tray_renew(tray, &peck, NOW_MS + 5)); /* not handed out */
    ck_assert(!tray_renew(tray, &other, NOW_MS + 5));
    ck_assert(takes(2, &peck));
    ck_assert(tray_renew(tray, &peck, NOW_MS + 2 * MINUTE_MS));
    ck_assert_ptr_null(tray_poll_lease_over(tray, NOW_MS + 2 * MINUTE_MS - 1));
    ck_assert_uint_eq(tray_find(tray, &peck)->attempt, 1);
    ck_assert_ptr_nonnull(tray_poll_lease_over(tray, NOW_MS + 2 * MINUTE_MS));
    ck_assert(!tray_renew(tray, &peck, NOW_MS + 3 * MINUTE_MS)); /* too late */
    ck_assert(takes(2, &peck));
    ck_assert(tray_acknowledge(tray, &peck));
    ck_assert(!tray_renew(tray, &peck, NOW_MS + 3 * MINUTE_MS)); /* no lease any more */
}
END_TEST

START_TEST(it_agrees_with_a_list)
{
    struct moment at = {NOW_MS, WALL_MS};
    struct dice dice;

    dice_init_number(&dice, (uint64_t)_i);
    for (uint64_t i = 0; i < PECKS; i++)
        list[i].entry = entry_of(i, 0, 0, TRAY_READY);
    for (uint64_t turn = 0; turn < 8000; turn++) {
        struct listed *one = &list[dice_below(&dice, PECKS)];
        size_t count = 0;

        if (one->held)
            change(one, &dice);
        else
            try_to_add(one, &dice, at, turn);
        if (dice_below(&dice, 3) == 0)
            hand_out(&dice, at);
        if (dice_below(&dice, 20) == 0)
            let_time_pass(at);
        for (size_t i = 0; i < PECKS; i++) {
            const struct tray_entry *found = tray_find(tray, &list[i].entry.peck);

            count += list[i].held;
            if ((found != NULL) != list[i].held || (found && !is_same(found, &list[i].entry)))
                ck_abort_msg("turn %ju, peck %zu", (uintmax_t)turn, i);
        }
        ck_assert_uint_eq(tray_count(tray), count);
        at.now_ms += dice_below(&dice, 20);
        at.wall_ms += dice_below(&dice, 20);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tray");
    TCase *tests = tcase_create("tray");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_filter_takes_the_oldest_that_it_fits);
    tcase_add_test(tests, among_many_a_filter_finds_the_oldest_whatever_was_taken_before);
    tcase_add_test(tests, a_narrow_filter_costs_a_look_at_each_action_and_not_at_each_peck);
    tcase_add_test(tests, what_is_taken_out_of_order_makes_nobody_wait);
    tcase_add_test(tests, what_comes_back_has_its_turn_again);
    tcase_add_test(tests, a_lease_that_is_renewed_ends_later);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_is_added_is_found_until_it_is_removed);
    tcase_add_test(tests, a_peck_that_is_there_is_not_added_twice);
    tcase_add_test(tests, each_duckling_gets_its_own_in_order_of_arrival);
    tcase_add_test(tests, what_came_under_a_context_is_found_by_it_until_the_last_of_it_is_removed);
    tcase_add_test(tests, a_context_that_is_sender_and_target_too_is_parted_with_once);
    tcase_add_test(tests, senders_take_turns_however_many_one_has_sent);
    tcase_add_test(tests, what_waits_for_its_owner_is_not_handed_out_before_approval);
    tcase_add_test(tests, what_is_not_acknowledged_is_handed_out_again_in_its_old_place);
    tcase_add_test(tests, what_is_acknowledged_stays_with_its_agent);
    tcase_add_test(tests, what_is_given_back_is_ready_at_once_and_was_no_attempt);
    tcase_add_test(tests, a_restored_lease_goes_on);
    tcase_add_test(tests, a_peck_expires_wherever_it_is);
    tcase_add_test(tests, it_wakes_for_whichever_clock_comes_first);
    tcase_add_test(tests, a_part_of_an_answer_makes_a_lease_longer_and_never_shorter);
    tcase_add_test(tests, a_sender_has_64_that_wait_for_owners);
    tcase_add_test(tests, a_sender_has_10000_in_all);
    tcase_add_test(tests, what_waits_for_owners_has_half_of_the_room);
    tcase_add_test(tests, what_was_taken_in_an_earlier_life_is_restored_beyond_the_limits_of_today);
    tcase_add_test(tests, it_holds_what_it_is_told_and_refuses_one_beyond);
    tcase_add_test(tests, every_verdict_has_its_words);
    tcase_add_loop_test(tests, it_agrees_with_a_list, 0, 5);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
