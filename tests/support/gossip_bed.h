/* gossip_bed: one gossip machine among members that are numbers. Time goes from wake to wake; what is
 * probed answers at once unless it is silent. */
#ifndef TESTS_SUPPORT_GOSSIP_BED_H
#define TESTS_SUPPORT_GOSSIP_BED_H

#include "core/gossip.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define BED_START_MS 1000000ull /* steady: far from zero */
#define BED_NODES 200u          /* most in a table of these tests */
#define BED_SAID_MAX 4096u

struct bed {
    struct gossip *gossip;
    struct id self;
    uint64_t now_ms;
    struct gossip_contact contacts[2 * BED_NODES];
    bool recorded[2 * BED_NODES];
    uint64_t versions[2 * BED_NODES];
    bool silent[2 * BED_NODES]; /* answers no probe */
    bool nacks[2 * BED_NODES];  /* when asked to help */
    bool signs;                 /* accusations that are wished for are made */
    struct gossip_output said[BED_SAID_MAX];
    uint64_t said_ms[BED_SAID_MAX];
    size_t said_count;
    uint64_t made; /* accusations, so that each has a name */
};

static struct bed bed;

static inline struct id id_number(uint32_t number)
{
    struct id id = {.bytes = {1}};

    memcpy(id.bytes + 4, &number, sizeof number);
    return id;
}

static inline uint32_t number_of(const struct id *id)
{
    uint32_t number;

    memcpy(&number, id->bytes + 4, sizeof number);
    return number;
}

static inline bool bed_contact(void *context, const struct id *node, struct gossip_contact *contact)
{
    uint32_t number = number_of(node);

    (void)context;
    if (number >= 2 * BED_NODES || !bed.recorded[number])
        return false;
    *contact = bed.contacts[number];
    return true;
}

static inline void bed_begin_with(uint8_t seed, size_t nodes_max)
{
    struct gossip_settings settings = {.nodes_max = nodes_max, .contact = bed_contact};

    ck_assert_int_ge(sodium_init(), 0);
    memset(&bed, 0, sizeof bed);
    bed.self = settings.self = id_number(UINT32_MAX);
    memset(settings.dice_seed, seed, sizeof settings.dice_seed);
    bed.gossip = gossip_new(&settings);
    bed.now_ms = BED_START_MS;
    bed.signs = true;
}

static inline void bed_begin(void)
{
    bed_begin_with(7, BED_NODES);
}

static inline void bed_end(void)
{
    gossip_free(bed.gossip);
}

/* ---- words ---- */

static inline struct bytes address_number(uint32_t number)
{
    static char text[2 * BED_NODES + 512][32];

    ck_assert_uint_lt(number, 2 * BED_NODES + 512);
    snprintf(text[number], sizeof text[number], "host-%u:7777", number);
    return bytes_of_text(text[number]);
}

/* A newer record of the member, which names this address. */
static inline bool learn_at(uint32_t number, struct bytes address)
{
    struct id id = id_number(number);

    bed.contacts[number] = (struct gossip_contact){.addresses = {address}, .address_count = 1};
    memset(bed.contacts[number].session_key, (int)number, 32);
    bed.recorded[number] = true;
    bed.versions[number]++;
    return gossip_learn(bed.gossip, &id, (struct version){bed.versions[number], 0});
}

static inline bool learn(uint32_t number)
{
    return learn_at(number, address_number(number));
}

static inline void learn_many(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ck_assert(learn(i));
}

static inline bool is_known(uint32_t number)
{
    struct gossip_member member;
    struct id id = id_number(number);

    return gossip_find(bed.gossip, &id, &member);
}

static inline struct gossip_member member(uint32_t number)
{
    struct gossip_member member;
    struct id id = id_number(number);

    ck_assert(gossip_find(bed.gossip, &id, &member));
    return member;
}

static inline void up(uint32_t number)
{
    struct id id = id_number(number);

    gossip_link_up(bed.gossip, &id, false, bed.now_ms);
}

static inline void up_dialled(uint32_t number)
{
    struct id id = id_number(number);

    gossip_link_up(bed.gossip, &id, true, bed.now_ms);
}

static inline void down(uint32_t number)
{
    struct id id = id_number(number);

    gossip_link_down(bed.gossip, &id, false, bed.now_ms);
}

static inline void goodbye(uint32_t number)
{
    struct id id = id_number(number);

    gossip_link_down(bed.gossip, &id, true, bed.now_ms);
}

static inline void want(uint32_t number)
{
    struct id id = id_number(number);

    gossip_want(bed.gossip, &id, bed.now_ms);
}

/* An accusation that nobody made before, by `accuser` of `accused`, of the version that is held. */
static inline struct gossip_accusation word_against(uint32_t accuser, uint32_t accused)
{
    struct gossip_accusation word = {.accuser = id_number(accuser),
                                     .accused = id_number(accused),
                                     .wire = bytes_of_text("wire"),
                                     .chain = bytes_of_text("chain")};

    if (accused < 2 * BED_NODES)
        word.version = (struct version){bed.versions[accused], 0};
    bed.made++;
    memcpy(word.hash.bytes, &bed.made, sizeof bed.made);
    return word;
}

static inline enum gossip_verdict say_word(const struct gossip_accusation *word)
{
    uint32_t accused = number_of(&word->accused);
    struct version held = {accused < 2 * BED_NODES ? bed.versions[accused] : 0, 0};

    return gossip_take_accusation(bed.gossip, word, held, bed.now_ms);
}

static inline enum gossip_verdict accuse(uint32_t accuser, uint32_t accused)
{
    struct gossip_accusation word = word_against(accuser, accused);

    return say_word(&word);
}

/* ---- time ---- */

static inline void heed(const struct gossip_output *output)
{
    uint32_t number = number_of(&output->node);

    if (output->kind == GOSSIP_SEND_PROBE && number < 2 * BED_NODES && !bed.silent[number])
        gossip_take_ack(bed.gossip, &output->node, output->nonce, bed.now_ms);
    if (output->kind == GOSSIP_SEND_REQUEST && number < 2 * BED_NODES && bed.nacks[number])
        gossip_take_nack(bed.gossip, &output->node, output->nonce);
    if (output->kind == GOSSIP_ACCUSE && bed.signs)
        ck_assert_int_eq(accuse(UINT32_MAX, number), GOSSIP_COUNTED);
}

static inline void settle(void)
{
    struct gossip_output output;

    while (gossip_poll(bed.gossip, bed.now_ms, &output)) {
        ck_assert_uint_lt(bed.said_count, BED_SAID_MAX);
        bed.said[bed.said_count] = output;
        bed.said_ms[bed.said_count++] = bed.now_ms;
        heed(&output);
    }
}

static inline bool dial(struct gossip_dial *dialled)
{
    return gossip_poll_dial(bed.gossip, bed.now_ms, dialled);
}

/* To that time, from wake to wake; dials wait until somebody looks. */
static inline void pass_to(uint64_t at_ms)
{
    uint64_t last_ms = 0;

    settle();
    while (bed.now_ms < at_ms) {
        uint64_t wake_ms = gossip_wake_at_ms(bed.gossip);

        /* Dials that nobody takes here stay due. */
        if (wake_ms <= bed.now_ms)
            wake_ms = bed.now_ms + 10;
        bed.now_ms = wake_ms < at_ms ? wake_ms : at_ms;
        ck_assert_uint_gt(bed.now_ms, last_ms);
        last_ms = bed.now_ms;
        settle();
    }
}

static inline void pass(uint64_t ms)
{
    pass_to(bed.now_ms + ms);
}

/* Lets all dials of the time fail. */
static inline void pass_unreached(uint64_t ms)
{
    uint64_t end_ms = bed.now_ms + ms;
    struct gossip_dial dialled;

    for (;;) {
        uint64_t wake_ms;

        settle();
        while (dial(&dialled))
            gossip_dial_failed(bed.gossip, &dialled.node, bytes_of_text(dialled.address),
                               bed.now_ms);
        settle();
        wake_ms = gossip_wake_at_ms(bed.gossip);
        if (wake_ms <= bed.now_ms)
            wake_ms = bed.now_ms + 1;
        if (wake_ms > end_ms)
            break;
        bed.now_ms = wake_ms;
    }
    pass_to(end_ms);
}

static inline size_t count_said(enum gossip_output_kind kind, uint32_t number)
{
    struct id id = id_number(number);
    size_t count = 0;

    for (size_t i = 0; i < bed.said_count; i++)
        count += bed.said[i].kind == kind && id_equal(&bed.said[i].node, &id);
    return count;
}

static inline size_t count_kind(enum gossip_output_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < bed.said_count; i++)
        count += bed.said[i].kind == kind;
    return count;
}

/* When this was said last; fails when it was not. */
static inline uint64_t said_at(enum gossip_output_kind kind, uint32_t number)
{
    struct id id = id_number(number);

    for (size_t i = bed.said_count; i-- > 0;)
        if (bed.said[i].kind == kind && id_equal(&bed.said[i].node, &id))
            return bed.said_ms[i];
    ck_abort_msg("output %d of %u was not said", (int)kind, number);
    return 0;
}

static inline void forget_said(void)
{
    bed.said_count = 0;
}

static inline struct gossip_figures figures(void)
{
    struct gossip_figures figures;

    gossip_figures(bed.gossip, &figures);
    return figures;
}

static inline void expect_dial(uint32_t number, struct gossip_dial *dialled)
{
    settle();
    ck_assert(dial(dialled));
    ck_assert_uint_eq(number_of(&dialled->node), number);
}

static inline void expect_nobody(void)
{
    struct gossip_dial dialled;

    settle();
    ck_assert(!dial(&dialled));
    ck_assert_uint_gt(gossip_wake_at_ms(bed.gossip), bed.now_ms);
}

static inline void fail_dial(const struct gossip_dial *dialled)
{
    gossip_dial_failed(bed.gossip, &dialled->node, bytes_of_text(dialled->address), bed.now_ms);
}

/* The number of a seed without an id is that of its dial. */
static inline int bed_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
