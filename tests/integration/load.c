/* Load for nodes that die: what callers and agents were told, a line each, for whoever keeps the ledger.
 *
 *     load send SOCKET FROM TO NAME PAUSE_MS    pecks under keys NAME.n, each ordered again until it is
 *         acknowledged, and each eighth once more after that
 *             acknowledged KEY PECK
 *     load work SOCKET ME LEASE_MS              takes, acknowledges a third, answers all but a few, which wait
 *         for their lease to end; an answer of which nothing was heard is given again
 *             leased PECK ATTEMPT ASKED_MS HAD_MS     the clock: before the call, after it
 *             acknowledged PECK HAD_MS
 *             answered PECK RESULT HAD_MS
 *             closed PECK                             it had been answered
 *     load ask SOCKET                           ids on the input; waits for each to be done
 *             STATE PECK RESULT
 *
 * It outlives the node: the library connects again. It ends with its input. */
#include "client/duck_client.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SENDERS 4
#define TAKEN_AT_ONCE 16
#define ID_TEXT_MAX 64

struct load {
    struct duck *duck;
    const char *from, *to, *name;
    long pause_ms;
    atomic_uint next;
};

static uint64_t now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Waits so long for the input's end, which is when to stop. */
static bool has_ended(long wait_ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&input, 1, (int)wait_ms) > 0;
}

/* Nothing is known of the order: it is given again. Anything else is the node's last word. */
static bool is_unheard(const struct duck_answer *answer)
{
    static const char *const unheard[] = {"unreachable", "timeout", "busy", "store_failed"};

    for (size_t i = 0; i < sizeof unheard / sizeof *unheard; i++)
        if (strcmp(duck_code(answer), unheard[i]) == 0)
            return true;
    return false;
}

static void say_no(const char *what, const char *subject, const struct duck_answer *answer)
{
    printf("refused %s %s %s %s\n", what, subject, duck_code(answer), duck_message(answer));
}

/* ---- sending ---- */

/* True: acknowledged. */
static bool order(struct load *load, const char *key)
{
    struct duck_peck peck = {.from = load->from,
                             .to = load->to,
                             .action = "query",
                             .payload = "{\"what\":\"of this nothing is lost\"}",
                             .idempotency_key = key};
    struct duck_answer *answer = duck_send(load->duck, &peck, DUCK_WAIT_QUEUED, 0);
    bool is_acknowledged = duck_ok(answer);

    if (is_acknowledged)
        printf("acknowledged %s %s\n", key, duck_peck_id(answer));
    else if (!is_unheard(answer))
        say_no("order", key, answer);
    duck_answer_free(answer);
    return is_acknowledged;
}

static void *send_pecks(void *context)
{
    struct load *load = context;
    bool ended = false;

    while (!ended) {
        unsigned number = atomic_fetch_add(&load->next, 1);
        char key[ID_TEXT_MAX];

        snprintf(key, sizeof key, "%s.%u", load->name, number);
        while (!order(load, key) && !ended)
            ended = has_ended(5);
        if (!ended && number % 8 == 0)
            order(load, key);
        ended = ended || has_ended(load->pause_ms);
    }
    return NULL;
}

static void play_sender(struct load *load)
{
    pthread_t threads[SENDERS];

    for (int i = 0; i < SENDERS; i++)
        pthread_create(&threads[i], NULL, send_pecks, load);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- working ---- */

/* False: the node did not say whether it has it. */
static bool answer_peck(struct load *load, const char *peck, unsigned serial)
{
    struct duck_answer *answer;
    bool is_heard;
    char result[32];

    snprintf(result, sizeof result, "%u", serial);
    answer = duck_answer_peck(load->duck, load->to, peck, result);
    is_heard = !is_unheard(answer);
    if (duck_ok(answer))
        printf("answered %s %s %llu\n", peck, result, (unsigned long long)now_ms());
    else if (is_heard && strcmp(duck_code(answer), "conflict") ==
                             0) /* by an answer of which nothing was heard */
        printf("closed %s\n", peck);
    else if (is_heard)
        say_no("answer", peck, answer);
    duck_answer_free(answer);
    return is_heard;
}

static void acknowledge(struct load *load, const char *peck)
{
    struct duck_answer *answer = duck_acknowledge(load->duck, load->to, &peck, 1);

    if (duck_ok(answer))
        printf("acknowledged %s %llu\n", peck, (unsigned long long)now_ms());
    else if (!is_unheard(answer) && strcmp(duck_code(answer), "conflict") != 0)
        say_no("acknowledge", peck, answer);
    duck_answer_free(answer);
}

/* Acknowledged, to be answered later. */
struct desk {
    struct {
        char peck[ID_TEXT_MAX];
        unsigned serial;
    } held[TAKEN_AT_ONCE];
    size_t count;
    unsigned serial;
};

static void clear_desk(struct load *load, struct desk *desk)
{
    while (desk->count > 0) {
        size_t last = desk->count - 1;

        if (answer_peck(load, desk->held[last].peck, desk->held[last].serial))
            desk->count--;
        else if (has_ended(5))
            return;
    }
}

static void work_on(struct load *load, struct desk *desk, const struct duck_answer *taken)
{
    struct duck_item item;

    for (size_t i = 0; duck_item(taken, i, &item); i++) {
        unsigned serial = ++desk->serial;

        if (serial % 3 == 0 && desk->count < TAKEN_AT_ONCE) {
            acknowledge(load, item.peck_id);
            snprintf(desk->held[desk->count].peck, ID_TEXT_MAX, "%s", item.peck_id);
            desk->held[desk->count++].serial = serial;
        } else if (serial % 16 != 5) {
            while (!answer_peck(load, item.peck_id, serial) && !has_ended(5))
                ;
        }
    }
}

static void say_leases(const struct duck_answer *taken, uint64_t asked_ms)
{
    uint64_t had_ms = now_ms();
    struct duck_item item;

    for (size_t i = 0; duck_item(taken, i, &item); i++)
        printf("leased %s %u %llu %llu\n", item.peck_id, item.attempt, (unsigned long long)asked_ms,
               (unsigned long long)had_ms);
}

static void play_worker(struct load *load, uint64_t lease_ms)
{
    struct desk desk = {0};

    while (!has_ended(0)) {
        uint64_t asked_ms = now_ms();
        struct duck_answer *taken = duck_take(load->duck, load->to, TAKEN_AT_ONCE, 200, lease_ms);
        bool is_ok = duck_ok(taken);

        say_leases(taken, asked_ms);
        clear_desk(load, &desk); /* of the turn before */
        if (is_ok)
            work_on(load, &desk, taken);
        duck_answer_free(taken);
        if (!is_ok)
            has_ended(5);
    }
    clear_desk(load, &desk);
}

/* ---- asking ---- */

static void play_asker(struct load *load)
{
    char peck[ID_TEXT_MAX];

    while (scanf("%63s", peck) == 1) {
        struct duck_answer *answer = duck_peck_get(load->duck, peck, DUCK_WAIT_DONE, 20000);

        if (duck_ok(answer))
            printf("%s %s %s\n", duck_peck_state(answer), peck, duck_peck_result(answer));
        else
            printf("%s %s -\n", duck_code(answer), peck);
        duck_answer_free(answer);
    }
}

int main(int argc, char **argv)
{
    const char *role = argc > 2 ? argv[1] : "", *problem = "";
    struct load load = {0};

    setvbuf(stdout, NULL, _IOLBF, 0);
    /* The node may be dead as we begin. */
    while (argc > 2 && duck_connect(&load.duck, argv[2], &problem) != 0)
        if (strcmp(role, "ask") == 0 || has_ended(5))
            return fprintf(stderr, "%s\n", problem), 1;
    if (strcmp(role, "send") == 0 && argc == 7) {
        load.from = argv[3];
        load.to = argv[4];
        load.name = argv[5];
        load.pause_ms = atol(argv[6]);
        play_sender(&load);
    } else if (strcmp(role, "work") == 0 && argc == 5) {
        load.to = argv[3];
        play_worker(&load, strtoull(argv[4], NULL, 10));
    } else if (strcmp(role, "ask") == 0 && argc == 3) {
        play_asker(&load);
    } else {
        return fprintf(stderr, "load send|work|ask …: see load.c\n"), 2;
    }
    duck_close(load.duck);
    return 0;
}
