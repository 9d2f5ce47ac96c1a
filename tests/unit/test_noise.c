#include "core/noise.h"

#include <check.h>
#include <stdlib.h>

#define MESSAGE_SIZE 256

struct hand {
    struct noise_handshake caller, callee;
    struct noise_pair caller_static, callee_static;
};

static void pair_of(struct noise_pair *pair, uint8_t number)
{
    uint8_t secret[NOISE_KEY_SIZE];

    memset(secret, number, sizeof secret);
    noise_pair_from_secret(pair, secret);
}

static void begin(struct hand *hand)
{
    struct noise_pair e;

    pair_of(&hand->caller_static, 1);
    pair_of(&hand->callee_static, 2);
    pair_of(&e, 3);
    noise_begin(&hand->caller, &noise_xk, true, bytes_of_text("duck"), &hand->caller_static, &e,
                hand->callee_static.public, NULL);
    pair_of(&e, 4);
    noise_begin(&hand->callee, &noise_xk, false, bytes_of_text("duck"), &hand->callee_static, &e,
                NULL, NULL);
}

static size_t write_next(struct noise_handshake *from, uint8_t message[MESSAGE_SIZE])
{
    size_t size = 0;

    ck_assert_int_eq(noise_write(from, bytes_of_text("payload"), message, MESSAGE_SIZE, &size),
                     NOISE_TAKEN);
    return size;
}

static enum noise_verdict read_next(struct noise_handshake *to, const uint8_t *message, size_t size)
{
    uint8_t payload[MESSAGE_SIZE];
    size_t payload_size;

    return noise_read(to, bytes_of(message, size), payload, sizeof payload, &payload_size);
}

/* The two sides in turn, up to the message with this number. */
static void shake(struct hand *hand, size_t messages)
{
    begin(hand);
    for (size_t i = 0; i < messages; i++) {
        uint8_t message[MESSAGE_SIZE];
        size_t size = write_next(i % 2 ? &hand->callee : &hand->caller, message);

        ck_assert_int_eq(read_next(i % 2 ? &hand->caller : &hand->callee, message, size),
                         NOISE_TAKEN);
    }
}

START_TEST(both_sides_come_to_the_same_keys_and_hash)
{
    struct noise_cipher send, receive, their_send, their_receive;
    struct hand hand;

    shake(&hand, 3);
    ck_assert_mem_eq(hand.callee.rs, hand.caller_static.public, NOISE_KEY_SIZE);
    noise_split(&hand.caller, &send, &receive);
    noise_split(&hand.callee, &their_send, &their_receive);
    ck_assert_mem_eq(hand.caller.h, hand.callee.h, NOISE_HASH_SIZE);
    ck_assert_mem_eq(send.key, their_receive.key, NOISE_KEY_SIZE);
    ck_assert_mem_eq(receive.key, their_send.key, NOISE_KEY_SIZE);
    ck_assert_mem_ne(send.key, receive.key, NOISE_KEY_SIZE);
}
END_TEST

START_TEST(splitting_leaves_no_secret_behind)
{
    static const uint8_t zeros[NOISE_KEY_SIZE];
    struct noise_cipher send, receive;
    struct hand hand;

    shake(&hand, 3);
    noise_split(&hand.caller, &send, &receive);
    ck_assert_mem_eq(hand.caller.s.secret, zeros, NOISE_KEY_SIZE);
    ck_assert_mem_eq(hand.caller.e.secret, zeros, NOISE_KEY_SIZE);
    ck_assert_mem_eq(hand.caller.ck, zeros, NOISE_HASH_SIZE);
    ck_assert_mem_eq(hand.caller.cipher.key, zeros, NOISE_KEY_SIZE);
    ck_assert(noise_is_done(&hand.caller));
}
END_TEST

/* _i: the number of the message. */
START_TEST(a_turned_bit_is_refused_and_changes_nothing)
{
    struct hand hand;
    uint8_t message[MESSAGE_SIZE];
    size_t size;
    struct noise_handshake *to = _i % 2 ? &hand.caller : &hand.callee;

    shake(&hand, (size_t)_i);
    size = write_next(_i % 2 ? &hand.callee : &hand.caller, message);
    for (size_t i = 0; i < size; i++) {
        struct noise_handshake before = *to;

        message[i] ^= (uint8_t)(1u << (i % 8));
        ck_assert_int_eq(read_next(to, message, size), NOISE_BAD_TAG);
        message[i] ^= (uint8_t)(1u << (i % 8));
        ck_assert_mem_eq(&before, to, sizeof before);
    }
    ck_assert_int_eq(read_next(to, message, size), NOISE_TAKEN);
}
END_TEST

/* _i: the number of the message. The payload may be empty, so what is cut is seen by its tag. */
START_TEST(a_cut_message_is_refused)
{
    struct hand hand;
    uint8_t message[MESSAGE_SIZE];
    size_t size, fixed = _i == 2 ? 48 : 32;
    struct noise_handshake *to = _i % 2 ? &hand.caller : &hand.callee;

    shake(&hand, (size_t)_i);
    size = write_next(_i % 2 ? &hand.callee : &hand.caller, message);
    for (size_t cut = 0; cut < size; cut++)
        ck_assert_int_eq(read_next(to, message, cut),
                         cut < fixed + NOISE_TAG_SIZE ? NOISE_TOO_SHORT : NOISE_BAD_TAG);
}
END_TEST

START_TEST(another_prologue_is_refused)
{
    struct hand hand;
    struct noise_pair e;
    uint8_t message[MESSAGE_SIZE];

    begin(&hand);
    pair_of(&e, 4);
    noise_begin(&hand.callee, &noise_xk, false, bytes_of_text("goose"), &hand.callee_static, &e,
                NULL, NULL);
    ck_assert_int_eq(read_next(&hand.callee, message, write_next(&hand.caller, message)),
                     NOISE_BAD_TAG);
}
END_TEST

START_TEST(who_is_not_due_can_neither_write_nor_read)
{
    struct hand hand;
    uint8_t message[MESSAGE_SIZE];
    size_t size;

    begin(&hand);
    ck_assert_int_eq(noise_write(&hand.callee, bytes_of(NULL, 0), message, sizeof message, &size),
                     NOISE_OUT_OF_TURN);
    size = write_next(&hand.caller, message);
    ck_assert_int_eq(read_next(&hand.callee, message, size), NOISE_TAKEN);
    ck_assert_int_eq(read_next(&hand.callee, message, size), NOISE_OUT_OF_TURN);
    shake(&hand, 3);
    ck_assert_int_eq(noise_write(&hand.callee, bytes_of(NULL, 0), message, sizeof message, &size),
                     NOISE_OUT_OF_TURN);
    ck_assert_int_eq(read_next(&hand.caller, message, sizeof message), NOISE_OUT_OF_TURN);
}
END_TEST

START_TEST(a_low_order_point_is_refused_from_a_record_and_from_a_message)
{
    static const uint8_t zeros[NOISE_KEY_SIZE];
    struct hand hand;
    uint8_t message[MESSAGE_SIZE];
    struct noise_pair e;
    size_t size;

    begin(&hand);
    pair_of(&e, 3);
    noise_begin(&hand.caller, &noise_xk, true, bytes_of(NULL, 0), &hand.caller_static, &e, zeros,
                NULL);
    ck_assert_int_eq(noise_write(&hand.caller, bytes_of(NULL, 0), message, sizeof message, &size),
                     NOISE_WEAK_KEY);
    begin(&hand);
    size = write_next(&hand.caller, message);
    memset(message, 0, NOISE_KEY_SIZE);
    ck_assert_int_eq(read_next(&hand.callee, message, size), NOISE_WEAK_KEY);
}
END_TEST

START_TEST(a_message_has_at_most_65535_bytes)
{
    static uint8_t payload[NOISE_MESSAGE_MAX + 1], message[NOISE_MESSAGE_MAX + 1];
    size_t fits = NOISE_MESSAGE_MAX - NOISE_KEY_SIZE - NOISE_TAG_SIZE, size;
    struct hand hand;

    begin(&hand);
    ck_assert_int_eq(
        noise_write(&hand.caller, bytes_of(payload, fits + 1), message, sizeof message, &size),
        NOISE_TOO_LONG);
    ck_assert_int_eq(
        noise_write(&hand.caller, bytes_of(payload, fits), message, sizeof message, &size),
        NOISE_TAKEN);
    ck_assert_uint_eq(size, NOISE_MESSAGE_MAX);
    ck_assert_int_eq(noise_read(&hand.callee, bytes_of(message, NOISE_MESSAGE_MAX + 1), payload,
                                sizeof payload, &size),
                     NOISE_TOO_LONG);
    ck_assert_int_eq(
        noise_read(&hand.callee, bytes_of(message, NOISE_MESSAGE_MAX), payload, fits - 1, &size),
        NOISE_TOO_LONG);
    ck_assert_int_eq(
        noise_read(&hand.callee, bytes_of(message, NOISE_MESSAGE_MAX), payload, fits, &size),
        NOISE_TAKEN);
    ck_assert_uint_eq(size, fits);
}
END_TEST

START_TEST(a_message_is_not_written_beyond_its_room)
{
    uint8_t message[MESSAGE_SIZE];
    size_t whole = NOISE_KEY_SIZE + NOISE_TAG_SIZE, size;
    struct hand hand;

    begin(&hand);
    for (size_t room = 0; room < whole; room++)
        ck_assert_int_eq(noise_write(&hand.caller, bytes_of(NULL, 0), message, room, &size),
                         NOISE_TOO_LONG);
    ck_assert_int_eq(noise_write(&hand.caller, bytes_of(NULL, 0), message, whole, &size),
                     NOISE_TAKEN);
}
END_TEST

START_TEST(a_cipher_has_at_most_65519_bytes_of_plain_text)
{
    static uint8_t text[NOISE_MESSAGE_MAX + NOISE_TAG_SIZE];
    struct noise_cipher send = {.keyed = true}, receive = {.keyed = true};
    size_t fits = NOISE_MESSAGE_MAX - NOISE_TAG_SIZE;

    ck_assert_int_eq(noise_seal(&send, bytes_of(text, fits + 1), text), NOISE_TOO_LONG);
    ck_assert_int_eq(noise_seal(&send, bytes_of(text, fits), text), NOISE_TAKEN);
    ck_assert_int_eq(noise_open(&receive, bytes_of(text, NOISE_MESSAGE_MAX + 1), text),
                     NOISE_TOO_LONG);
    ck_assert_int_eq(noise_open(&receive, bytes_of(text, NOISE_MESSAGE_MAX), text), NOISE_TAKEN);
    ck_assert_int_eq(noise_open(&receive, bytes_of(text, NOISE_TAG_SIZE - 1), text),
                     NOISE_TOO_SHORT);
}
END_TEST

START_TEST(the_last_nonce_is_never_used)
{
    struct noise_cipher send = {.keyed = true, .nonce = UINT64_MAX - 1};
    struct noise_cipher receive = send;
    uint8_t text[8 + NOISE_TAG_SIZE] = "duck";

    ck_assert_int_eq(noise_seal(&send, bytes_of(text, 8), text), NOISE_TAKEN);
    ck_assert_int_eq(noise_open(&receive, bytes_of(text, sizeof text), text), NOISE_TAKEN);
    ck_assert_str_eq((char *)text, "duck");
    ck_assert_int_eq(noise_seal(&send, bytes_of(text, 8), text), NOISE_WORN_OUT);
    ck_assert_int_eq(noise_open(&receive, bytes_of(text, sizeof text), text), NOISE_WORN_OUT);
}
END_TEST

START_TEST(a_refused_text_does_not_use_up_its_nonce)
{
    struct noise_cipher send = {.keyed = true}, receive = {.keyed = true};
    uint8_t text[8 + NOISE_TAG_SIZE] = "duck", wrong[sizeof text] = {0};

    ck_assert_int_eq(noise_seal(&send, bytes_of(text, 8), text), NOISE_TAKEN);
    ck_assert_int_eq(noise_open(&receive, bytes_of(wrong, sizeof wrong), wrong), NOISE_BAD_TAG);
    ck_assert_int_eq(noise_open(&receive, bytes_of(text, sizeof text), text), NOISE_TAKEN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("noise");
    TCase *tcase = tcase_create("noise");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, both_sides_come_to_the_same_keys_and_hash);
    tcase_add_test(tcase, splitting_leaves_no_secret_behind);
    tcase_add_loop_test(tcase, a_turned_bit_is_refused_and_changes_nothing, 0, 3);
    tcase_add_loop_test(tcase, a_cut_message_is_refused, 0, 3);
    tcase_add_test(tcase, another_prologue_is_refused);
    tcase_add_test(tcase, who_is_not_due_can_neither_write_nor_read);
    tcase_add_test(tcase, a_low_order_point_is_refused_from_a_record_and_from_a_message);
    tcase_add_test(tcase, a_message_has_at_most_65535_bytes);
    tcase_add_test(tcase, a_message_is_not_written_beyond_its_room);
    tcase_add_test(tcase, a_cipher_has_at_most_65519_bytes_of_plain_text);
    tcase_add_test(tcase, the_last_nonce_is_never_used);
    tcase_add_test(tcase, a_refused_text_does_not_use_up_its_nonce);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
