#include "core/envelope.h"
#include "core/limits.h"
#include "wire/envelope.pb-c.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH_COUNT 5

static const enum envelope_type types[] = {ENVELOPE_CERTIFICATE, ENVELOPE_PECK, ENVELOPE_RECEIPT,
                                           ENVELOPE_RECORD, ENVELOPE_ACCUSATION};
static const struct id alice = {{0xA1, 1, 2, 3}};
static struct identity_key *key, *other;
static struct public_key public, others;
static struct arena arena;
static struct bytes hello;

static void set_up(void)
{
    static const uint8_t seeds[2][SEED_SIZE] = {{1}, {2}};

    ck_assert(identity_self_test());
    key = identity_key_new(seeds[0]);
    other = identity_key_new(seeds[1]);
    public = identity_key_public(key);
    others = identity_key_public(other);
    arena_init(&arena, 64 * MIB);
    hello = bytes_of_text("hello");
}

static void tear_down(void)
{
    identity_key_free(key);
    identity_key_free(other);
    arena_free(&arena);
}

static struct bytes filled(size_t size)
{
    uint8_t *data = arena_take(&arena, size);

    memset(data, 'x', size);
    return bytes_of(data, size);
}

static struct bytes seal(enum envelope_type type, struct bytes body)
{
    return envelope_seal(type, &alice, key, body, &arena, NULL);
}

static void seal_batch(const struct bytes *bodies, size_t count, struct bytes *wires)
{
    struct hash hashes[BATCH_ITEMS_MAX];

    for (size_t i = 0; i < count; i++)
        hashes[i] = envelope_hash(ENVELOPE_PECK, bodies[i]);
    envelope_seal_batch(ENVELOPE_PECK, &alice, key, bodies, hashes, count, &arena, wires);
}

/* BATCH_COUNT pecks "0", "1", … under one signature. */
static void seal_five(struct bytes wires[BATCH_COUNT])
{
    struct bytes bodies[BATCH_COUNT];

    for (size_t i = 0; i < BATCH_COUNT; i++)
        bodies[i] = bytes_of("01234" + i, 1);
    seal_batch(bodies, BATCH_COUNT, wires);
}

static struct bytes batched(void)
{
    struct bytes wires[BATCH_COUNT];

    seal_five(wires);
    return wires[1];
}

/* With the memory that a frame of this size is given, and no more. */
static enum envelope_verdict parse_as(enum envelope_type type, struct bytes wire,
                                      struct envelope *envelope)
{
    struct arena *memory = arena_take(&arena, sizeof *memory);
    enum envelope_verdict verdict;
    struct envelope parsed;

    arena_init(memory, PARSE_BUDGET(wire.size));
    memset(&parsed, 0xEE, sizeof parsed);
    verdict = envelope_parse(wire, type, memory, &parsed);
    if (verdict == ENVELOPE_TAKEN) {
        *envelope = parsed;
        envelope->body = arena_copy(&arena, parsed.body);
    } else {
        const uint8_t *untouched = (const uint8_t *)&parsed;

        for (size_t i = 0; i < sizeof parsed; i++)
            ck_assert_uint_eq(untouched[i], 0xEE);
    }
    arena_free(memory);
    return verdict;
}

static enum envelope_verdict parse(struct bytes wire, struct envelope *envelope)
{
    return parse_as(ENVELOPE_PECK, wire, envelope);
}

static enum envelope_verdict judge(struct bytes wire)
{
    struct envelope envelope;

    return parse(wire, &envelope);
}

static struct envelope parsed(struct bytes wire)
{
    struct envelope envelope;

    ck_assert_int_eq(parse(wire, &envelope), ENVELOPE_TAKEN);
    return envelope;
}

/* ---- forgery: a good envelope, taken apart and packed again ---- */

static Duck__Envelope *take_apart(struct bytes wire)
{
    Duck__Envelope *message =
        duck__envelope__unpack(arena_protobuf_allocator(&arena), wire.size, wire.data);

    ck_assert_ptr_nonnull(message);
    return message;
}

static struct bytes put_together(const Duck__Envelope *message)
{
    uint8_t *data = arena_take(&arena, duck__envelope__get_packed_size(message));

    return bytes_of(data, duck__envelope__pack(message, data));
}

static ProtobufCBinaryData zeros(size_t size)
{
    uint8_t *data = arena_take(&arena, size ? size : 1);

    memset(data, 0, size);
    return (ProtobufCBinaryData){.len = size, .data = data};
}

static struct bytes joined(struct bytes left, struct bytes right)
{
    uint8_t *data = arena_take(&arena, left.size + right.size);

    memcpy(data, left.data, left.size);
    memcpy(data + left.size, right.data, right.size);
    return bytes_of(data, left.size + right.size);
}

/* ---- what is signed ---- */

START_TEST(the_signed_bytes_are_those_of_the_specification)
{
    static const struct {
        enum envelope_type type;
        const char *to_sign;
    } vectors[] = {
        {ENVELOPE_CERTIFICATE, "DUCKv1 18 duck/certificate/1 5 hello"},
        {ENVELOPE_PECK, "DUCKv1 11 duck/peck/1 5 hello"},
        {ENVELOPE_RECEIPT, "DUCKv1 14 duck/receipt/1 5 hello"},
        {ENVELOPE_RECORD, "DUCKv1 13 duck/record/1 5 hello"},
        {ENVELOPE_ACCUSATION, "DUCKv1 17 duck/accusation/1 5 hello"},
        {ENVELOPE_VOUCHER, "DUCKv1 14 duck/voucher/1 5 hello"},
        {ENVELOPE_GRANT, "DUCKv1 12 duck/grant/1 5 hello"},
        {ENVELOPE_WITHDRAWAL, "DUCKv1 17 duck/withdrawal/1 5 hello"},
    };

    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct bytes to_sign = bytes_of_text(vectors[i].to_sign);
        struct hash expected = hash_of(to_sign), hash;
        struct envelope envelope;
        struct bytes wire = envelope_seal(vectors[i].type, &alice, key, hello, &arena, &hash);

        ck_assert_int_eq(parse_as(vectors[i].type, wire, &envelope), ENVELOPE_TAKEN);
        ck_assert(hash_equal(&hash, &expected));
        ck_assert(hash_equal(&envelope.hash, &expected));
        hash = envelope_hash(vectors[i].type, hello);
        ck_assert(hash_equal(&hash, &expected));
        ck_assert(identity_verify(&public, &envelope.signature, to_sign));
    }
}
END_TEST

START_TEST(a_batch_is_signed_over_its_size_and_root)
{
    struct envelope envelope = parsed(batched());
    static const char prefix[] = "DUCKv1 12 duck/batch/1 36 ";
    uint8_t to_sign[sizeof prefix - 1 + BATCH_BODY_SIZE];
    struct hash root;

    ck_assert(batch_climb(&envelope.hash, &envelope.batch, NULL, &root));
    memcpy(to_sign, prefix, sizeof prefix - 1);
    batch_body(BATCH_COUNT, &root, to_sign + sizeof prefix - 1);
    ck_assert(identity_verify(&public, &envelope.signature, bytes_of(to_sign, sizeof to_sign)));
}
END_TEST

START_TEST(a_sealed_thing_says_what_was_sealed)
{
    struct envelope envelope = parsed(seal(ENVELOPE_PECK, hello));

    ck_assert_int_eq(envelope.type, ENVELOPE_PECK);
    ck_assert(id_equal(&envelope.signer, &alice));
    ck_assert(bytes_equal(envelope.body, hello));
    ck_assert_uint_eq(envelope.batch.size, 0);
    ck_assert_int_eq(envelope_verify(&envelope, &public, NULL), ENVELOPE_TAKEN);
}
END_TEST

/* Small bodies are signed from the stack, large ones from the heap. */
START_TEST(bodies_of_every_size_are_sealed)
{
    static const size_t sizes[] = {0, 1, 1023, 1024, 1025, 70000, PECK_BODY_MAX};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct bytes body = filled(sizes[i] ? sizes[i] : 1);
        struct envelope envelope;

        body.size = sizes[i];
        envelope = parsed(seal(ENVELOPE_PECK, body));
        ck_assert(bytes_equal(envelope.body, body));
        ck_assert_int_eq(envelope_verify(&envelope, &public, NULL), ENVELOPE_TAKEN);
    }
}
END_TEST

START_TEST(a_batch_of_one_is_sealed_alone)
{
    struct bytes wire, alone = seal(ENVELOPE_PECK, hello);

    seal_batch(&hello, 1, &wire);
    ck_assert(bytes_equal(wire, alone));
}
END_TEST

START_TEST(every_item_of_every_batch_is_provable_alone)
{
    static const size_t counts[] = {2, 3, 64, 65, BATCH_ITEMS_MAX};
    struct bytes bodies[BATCH_ITEMS_MAX], wires[BATCH_ITEMS_MAX];

    for (size_t i = 0; i < BATCH_ITEMS_MAX; i++) {
        char *text = arena_take(&arena, 16);

        snprintf(text, 16, "body %zu", i);
        bodies[i] = bytes_of_text(text);
    }
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        seal_batch(bodies, counts[c], wires);
        for (size_t i = 0; i < counts[c]; i++) {
            struct envelope envelope = parsed(wires[i]);

            ck_assert(bytes_equal(envelope.body, bodies[i]));
            ck_assert_uint_eq(envelope.batch.size, counts[c]);
            ck_assert_uint_eq(envelope.batch.index, i);
            ck_assert_int_eq(envelope_verify(&envelope, &public, NULL), ENVELOPE_TAKEN);
            ck_assert_int_eq(envelope_verify(&envelope, &others, NULL), ENVELOPE_BAD_SIGNATURE);
        }
    }
}
END_TEST

START_TEST(sealing_takes_no_more_than_the_budget)
{
    struct arena small;

    arena_init(&small, 64);
    ck_assert_ptr_null(envelope_seal(ENVELOPE_PECK, &alice, key, hello, &small, NULL).data);
    arena_free(&small);
}
END_TEST

START_TEST(overhead_is_within_its_limit)
{
    struct bytes bodies[BATCH_ITEMS_MAX], wires[BATCH_ITEMS_MAX];
    size_t body_size = PECK_BODY_MAX;

    for (size_t i = 0; i < BATCH_ITEMS_MAX; i++)
        bodies[i] = hello;
    bodies[0] = filled(body_size);
    seal_batch(bodies, BATCH_ITEMS_MAX, wires);
    ck_assert_uint_le(wires[0].size, body_size + ENVELOPE_OVERHEAD_MAX);
    ck_assert_int_eq(judge(wires[0]), ENVELOPE_TAKEN);
    ck_assert_uint_le(seal(ENVELOPE_RECORD, bytes_of(bodies[0].data, 3000)).size,
                      3000 + RECORD_ENVELOPE_OVERHEAD);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(an_envelope_over_the_size_of_its_type_is_not_parsed)
{
    for (size_t i = 0; i < 4; i++) {
        size_t max = envelope_size_max(types[i]);
        size_t overhead = seal(types[i], filled(max / 2)).size - max / 2;
        struct bytes wire;
        struct envelope envelope;

        /* The body's length takes as many bytes at half the size as at the whole. */
        wire = seal(types[i], filled(max - overhead));
        if (wire.size > max)
            wire = seal(types[i], filled(max - overhead - (wire.size - max)));
        ck_assert_uint_eq(wire.size, max);
        ck_assert_int_eq(parse_as(types[i], wire, &envelope), ENVELOPE_TAKEN);
        wire = joined(wire, bytes_of("", 1));
        ck_assert_int_eq(parse_as(types[i], wire, &envelope), ENVELOPE_TOO_LARGE);
    }
}
END_TEST

START_TEST(a_batch_root_is_not_a_thing_of_its_own)
{
    struct envelope envelope;

    ck_assert_int_eq(parse_as(ENVELOPE_BATCH, seal(ENVELOPE_BATCH, hello), &envelope),
                     ENVELOPE_TOO_LARGE);
}
END_TEST

START_TEST(what_is_cut_off_is_refused)
{
    const struct bytes wires[] = {seal(ENVELOPE_PECK, hello), batched()};

    for (size_t i = 0; i < 2; i++)
        for (size_t size = 0; size < wires[i].size; size++) {
            struct envelope envelope;
            enum envelope_verdict verdict = parse(bytes_of(wires[i].data, size), &envelope);

            /* Without its path a thing parses, as one signed alone; but it was not. */
            if (verdict == ENVELOPE_TAKEN)
                verdict = envelope_verify(&envelope, &public, NULL);
            ck_assert_msg(verdict != ENVELOPE_TAKEN, "%zu of %zu bytes", size, wires[i].size);
        }
    ck_assert_int_eq(judge(bytes_of(NULL, 0)), ENVELOPE_MALFORMED);
    ck_assert_int_eq(judge(bytes_of(wires[0].data, wires[0].size - 1)), ENVELOPE_MALFORMED);
}
END_TEST

START_TEST(fields_of_a_wrong_length_are_malformed)
{
    static const size_t lengths[] = {0, 1, 19, 20, 21, 63, 64, 65};

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        Duck__Envelope *message = take_apart(seal(ENVELOPE_PECK, hello));

        message->signer = zeros(lengths[i]);
        ck_assert_int_eq(judge(put_together(message)),
                         lengths[i] == ID_SIZE ? ENVELOPE_TAKEN : ENVELOPE_MALFORMED);
        message = take_apart(seal(ENVELOPE_PECK, hello));
        message->signature = zeros(lengths[i]);
        ck_assert_int_eq(judge(put_together(message)),
                         lengths[i] == SIGNATURE_SIZE ? ENVELOPE_TAKEN : ENVELOPE_MALFORMED);
    }
}
END_TEST

START_TEST(unknown_fields_are_refused)
{
    static const uint8_t field_6[] = {6 << 3, 1};
    static const uint8_t field_1000[] = {0xC2, 0x3E, 0}; /* bytes, none */
    struct bytes wires[] = {seal(ENVELOPE_PECK, hello), batched()};

    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(judge(joined(wires[i], bytes_of(field_6, 2))), ENVELOPE_UNKNOWN_FIELDS);
        ck_assert_int_eq(judge(joined(wires[i], bytes_of(field_1000, 3))), ENVELOPE_UNKNOWN_FIELDS);
        ck_assert_int_eq(judge(joined(bytes_of(field_6, 2), wires[i])), ENVELOPE_UNKNOWN_FIELDS);
    }
}
END_TEST

/* A second BatchPath is merged into the first, so its unknown field arrives in a good path. */
START_TEST(unknown_fields_in_the_path_are_refused)
{
    static const uint8_t path_with_field_4[] = {5 << 3 | 2, 2, 4 << 3, 1};

    ck_assert_int_eq(judge(joined(batched(), bytes_of(path_with_field_4, 4))),
                     ENVELOPE_UNKNOWN_FIELDS);
    ck_assert_int_eq(judge(joined(seal(ENVELOPE_PECK, hello), bytes_of(path_with_field_4, 4))),
                     ENVELOPE_UNKNOWN_FIELDS);
}
END_TEST

START_TEST(a_thing_of_one_type_is_none_of_another)
{
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            struct envelope envelope;

            ck_assert_int_eq(parse_as(types[j], seal(types[i], hello), &envelope),
                             i == j ? ENVELOPE_TAKEN : ENVELOPE_WRONG_TYPE);
        }
}
END_TEST

/* Renamed, it parses; the name is under the signature, so it does not verify. */
START_TEST(a_thing_cannot_be_given_another_type)
{
    Duck__Envelope *message = take_apart(seal(ENVELOPE_RECEIPT, hello));
    struct envelope envelope;

    message->type = take_apart(seal(ENVELOPE_PECK, hello))->type;
    envelope = parsed(put_together(message));
    ck_assert_int_eq(envelope_verify(&envelope, &public, NULL), ENVELOPE_BAD_SIGNATURE);
    message->type = zeros(0);
    ck_assert_int_eq(judge(put_together(message)), ENVELOPE_WRONG_TYPE);
}
END_TEST

START_TEST(sizes_and_indexes_out_of_range_are_bad_paths)
{
    static const struct {
        uint32_t size, index;
    } refused[] = {{0, 0}, {1, 0}, {2, 2}, {5, 5}, {BATCH_ITEMS_MAX + 1, 1}, {UINT32_MAX, 1}};

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        Duck__Envelope *message = take_apart(batched());

        message->batch->size = refused[i].size;
        message->batch->index = refused[i].index;
        ck_assert_msg(judge(put_together(message)) == ENVELOPE_BAD_PATH, "case %zu", i);
    }
}
END_TEST

START_TEST(hashes_of_a_wrong_length_are_a_bad_path)
{
    static const size_t lengths[] = {0, 31, 33};

    for (size_t i = 0; i < 3; i++) {
        Duck__Envelope *message = take_apart(batched());

        message->batch->path[1] = zeros(lengths[i]);
        ck_assert_int_eq(judge(put_together(message)), ENVELOPE_BAD_PATH);
    }
}
END_TEST

START_TEST(a_path_longer_than_any_tree_is_high_is_bad)
{
    Duck__Envelope *message = take_apart(batched());
    ProtobufCBinaryData path[BATCH_PATH_MAX + 1];
    struct envelope envelope;

    for (size_t i = 0; i <= BATCH_PATH_MAX; i++)
        path[i] = zeros(HASH_SIZE);
    message->batch->path = path;
    message->batch->n_path = BATCH_PATH_MAX + 1;
    ck_assert_int_eq(judge(put_together(message)), ENVELOPE_BAD_PATH);
    /* At the limit the form is fine, but the path is longer than this tree is high. */
    message->batch->n_path = BATCH_PATH_MAX;
    envelope = parsed(put_together(message));
    ck_assert_int_eq(envelope_verify(&envelope, &public, NULL), ENVELOPE_BAD_PATH);
}
END_TEST

START_TEST(a_path_that_ends_below_the_root_is_bad)
{
    Duck__Envelope *message = take_apart(batched());
    struct envelope envelope;

    message->batch->n_path--;
    envelope = parsed(put_together(message));
    ck_assert_int_eq(envelope_verify(&envelope, &public, NULL), ENVELOPE_BAD_PATH);
}
END_TEST

START_TEST(a_batch_with_another_size_was_not_signed)
{
    Duck__Envelope *message = take_apart(batched());
    struct envelope envelope;

    message->batch->size = BATCH_COUNT + 1; /* the path of leaf 1 is as long there */
    envelope = parsed(put_together(message));
    ck_assert_int_eq(envelope_verify(&envelope, &public, NULL), ENVELOPE_BAD_SIGNATURE);
}
END_TEST

START_TEST(who_did_not_sign_is_refused)
{
    struct envelope envelope = parsed(seal(ENVELOPE_PECK, hello));

    ck_assert_int_eq(envelope_verify(&envelope, &others, NULL), ENVELOPE_BAD_SIGNATURE);
    envelope.body = bytes_of_text("hullo");
    ck_assert_int_eq(envelope_verify(&envelope, &public, NULL), ENVELOPE_BAD_SIGNATURE);
}
END_TEST

/* The signature of a lone thing is no batch's, and a batch's is no lone thing's. */
START_TEST(a_signature_does_not_move_between_alone_and_batch)
{
    struct envelope alone = parsed(seal(ENVELOPE_PECK, bytes_of("1", 1)));
    struct envelope in_batch = parsed(batched()), swapped = in_batch;

    swapped.batch.size = 0;
    ck_assert_int_eq(envelope_verify(&swapped, &public, NULL), ENVELOPE_BAD_SIGNATURE);
    swapped = in_batch;
    swapped.signature = alone.signature;
    ck_assert_int_eq(envelope_verify(&swapped, &public, NULL), ENVELOPE_BAD_SIGNATURE);
}
END_TEST

/* Whatever bit is turned: refused, or it names another signer, whose key then does not fit. */
START_TEST(one_turned_bit_is_refused_or_names_another_signer)
{
    struct bytes wires[] = {seal(ENVELOPE_PECK, hello), batched()};
    size_t renamed = 0;

    for (size_t i = 0; i < 2; i++) {
        uint8_t *turned = arena_take(&arena, wires[i].size);

        memcpy(turned, wires[i].data, wires[i].size);
        for (size_t bit = 0; bit < wires[i].size * 8; bit++) {
            enum envelope_verdict verdict;
            struct envelope envelope;

            turned[bit / 8] ^= (uint8_t)(1u << bit % 8);
            verdict = parse(bytes_of(turned, wires[i].size), &envelope);
            if (verdict == ENVELOPE_TAKEN)
                verdict = envelope_verify(&envelope, &public, NULL);
            if (verdict == ENVELOPE_TAKEN) {
                ck_assert_msg(!id_equal(&envelope.signer, &alice), "bit %zu", bit);
                renamed++;
            }
            turned[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    ck_assert_uint_eq(renamed, 2 * ID_SIZE * 8);
}
END_TEST

/* 44 bytes of heap for a byte of wire: more than the budget, so the parser stops. */
START_TEST(a_flood_of_empty_hashes_ends_at_the_budget)
{
    size_t count = (PECK_BODY_MAX - 1000) / 2;
    uint8_t *flood = arena_take(&arena, 8 + 2 * count);
    size_t size = 0;

    flood[size++] = 5 << 3 | 2;
    flood[size++] = (uint8_t)(0x80 | (2 * count & 0x7F));
    flood[size++] = (uint8_t)(0x80 | (2 * count >> 7 & 0x7F));
    flood[size++] = (uint8_t)(2 * count >> 14);
    for (size_t i = 0; i < count; i++) {
        flood[size++] = 3 << 3 | 2;
        flood[size++] = 0;
    }
    ck_assert_int_ne(judge(joined(seal(ENVELOPE_PECK, hello), bytes_of(flood, size))),
                     ENVELOPE_TAKEN);
}
END_TEST

START_TEST(without_memory_nothing_is_taken)
{
    struct bytes wire = batched();
    enum envelope_verdict verdict = ENVELOPE_MALFORMED;
    size_t budget = 0;

    for (; verdict == ENVELOPE_MALFORMED; budget += 16) {
        struct arena small;
        struct envelope envelope;

        arena_init(&small, budget);
        verdict = envelope_parse(wire, ENVELOPE_PECK, &small, &envelope);
        ck_assert_uint_le(small.taken, budget);
        arena_free(&small);
    }
    ck_assert_int_eq(verdict, ENVELOPE_TAKEN); /* nothing between no memory and enough */
    ck_assert_uint_ge(budget, wire.size);
}
END_TEST

/* ---- roots ---- */

START_TEST(a_batch_costs_one_signature_check)
{
    struct batch_roots *roots = batch_roots_new(BATCH_ROOTS_MAX);
    struct bytes wires[BATCH_COUNT];

    seal_five(wires);
    for (size_t i = 0; i < BATCH_COUNT; i++) {
        struct envelope envelope = parsed(wires[i]);

        ck_assert_int_eq(envelope_verify(&envelope, &public, roots), ENVELOPE_TAKEN);
        ck_assert_uint_eq(batch_roots_added(roots), 1);
    }
    batch_roots_free(roots);
}
END_TEST

START_TEST(a_remembered_root_speaks_for_its_signer_and_signature_only)
{
    struct batch_roots *roots = batch_roots_new(BATCH_ROOTS_MAX);
    struct envelope envelope = parsed(batched());

    ck_assert_int_eq(envelope_verify(&envelope, &public, roots), ENVELOPE_TAKEN);
    ck_assert_int_eq(envelope_verify(&envelope, &others, roots), ENVELOPE_BAD_SIGNATURE);
    envelope.signature.bytes[0] ^= 1;
    ck_assert_int_eq(envelope_verify(&envelope, &public, roots), ENVELOPE_BAD_SIGNATURE);
    envelope.signature.bytes[0] ^= 1;
    envelope.hash.bytes[0] ^= 1;
    ck_assert_int_eq(envelope_verify(&envelope, &public, roots), ENVELOPE_BAD_SIGNATURE);
    ck_assert_uint_eq(batch_roots_added(roots), 1);
    batch_roots_free(roots);
}
END_TEST

START_TEST(a_refused_root_is_not_remembered)
{
    struct batch_roots *roots = batch_roots_new(BATCH_ROOTS_MAX);
    struct envelope envelope = parsed(batched());

    for (int again = 0; again < 2; again++)
        ck_assert_int_eq(envelope_verify(&envelope, &others, roots), ENVELOPE_BAD_SIGNATURE);
    ck_assert_uint_eq(batch_roots_added(roots), 0);
    batch_roots_free(roots);
}
END_TEST

START_TEST(every_verdict_and_type_has_its_words)
{
    for (int i = ENVELOPE_TAKEN; i <= ENVELOPE_BAD_SIGNATURE; i++)
        for (int j = ENVELOPE_TAKEN; j < i; j++)
            ck_assert_str_ne(envelope_verdict_text((enum envelope_verdict)i),
                             envelope_verdict_text((enum envelope_verdict)j));
    ck_assert_str_eq(envelope_type_name(ENVELOPE_BATCH), "duck/batch/1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("envelope");
    TCase *tcase = tcase_create("envelope");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, the_signed_bytes_are_those_of_the_specification);
    tcase_add_test(tcase, a_batch_is_signed_over_its_size_and_root);
    tcase_add_test(tcase, a_sealed_thing_says_what_was_sealed);
    tcase_add_test(tcase, bodies_of_every_size_are_sealed);
    tcase_add_test(tcase, a_batch_of_one_is_sealed_alone);
    tcase_add_test(tcase, every_item_of_every_batch_is_provable_alone);
    tcase_add_test(tcase, sealing_takes_no_more_than_the_budget);
    tcase_add_test(tcase, overhead_is_within_its_limit);
    tcase_add_test(tcase, an_envelope_over_the_size_of_its_type_is_not_parsed);
    tcase_add_test(tcase, a_batch_root_is_not_a_thing_of_its_own);
    tcase_add_test(tcase, what_is_cut_off_is_refused);
    tcase_add_test(tcase, fields_of_a_wrong_length_are_malformed);
    tcase_add_test(tcase, unknown_fields_are_refused);
    tcase_add_test(tcase, unknown_fields_in_the_path_are_refused);
    tcase_add_test(tcase, a_thing_of_one_type_is_none_of_another);
    tcase_add_test(tcase, a_thing_cannot_be_given_another_type);
    tcase_add_test(tcase, sizes_and_indexes_out_of_range_are_bad_paths);
    tcase_add_test(tcase, hashes_of_a_wrong_length_are_a_bad_path);
    tcase_add_test(tcase, a_path_longer_than_any_tree_is_high_is_bad);
    tcase_add_test(tcase, a_path_that_ends_below_the_root_is_bad);
    tcase_add_test(tcase, a_batch_with_another_size_was_not_signed);
    tcase_add_test(tcase, who_did_not_sign_is_refused);
    tcase_add_test(tcase, a_signature_does_not_move_between_alone_and_batch);
    tcase_add_test(tcase, one_turned_bit_is_refused_or_names_another_signer);
    tcase_add_test(tcase, a_flood_of_empty_hashes_ends_at_the_budget);
    tcase_add_test(tcase, without_memory_nothing_is_taken);
    tcase_add_test(tcase, a_batch_costs_one_signature_check);
    tcase_add_test(tcase, a_remembered_root_speaks_for_its_signer_and_signature_only);
    tcase_add_test(tcase, a_refused_root_is_not_remembered);
    tcase_add_test(tcase, every_verdict_and_type_has_its_words);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
