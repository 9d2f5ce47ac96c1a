#include "births.h"
#include "wire/certificate.pb-c.h"

#include <sodium.h>
#include <stdlib.h>

#define KEYS 100 /* of the chains here: certificate n is signed by birth_key(KEYS + n) */

static struct arena arena, opened;

static void set_up(void)
{
    ck_assert(identity_self_test());
    arena_init(&arena, 64 * MIB);
    arena_init(&opened, PARSE_BUDGET(CHAIN_SIZE_MAX));
}

static void tear_down(void)
{
    arena_free(&arena);
    arena_free(&opened);
}

/* Opens with the memory that a frame of this size is given, and no more. */
static enum certificate_verdict open_chain(struct bytes wire, struct chain *chain)
{
    arena_free(&opened);
    arena_init(&opened, PARSE_BUDGET(wire.size));
    return chain_open(wire, &opened, chain);
}

/* ---- chains that hold ---- */

START_TEST(a_birth_certificate_makes_the_id)
{
    struct id identity, zero = {0};
    struct bytes wire = birth_chain(IDENTITY_DUCKLING, KEYS, 1, &arena, &identity);
    struct public_key key = birth_public_key(KEYS);
    struct hash next = birth_key_hash(KEYS + 1);
    struct chain chain;

    ck_assert_int_eq(open_chain(wire, &chain), CERTIFICATE_TAKEN);
    ck_assert_uint_eq(chain.count, 1);
    ck_assert_int_eq(chain.kind, IDENTITY_DUCKLING);
    ck_assert(id_equal(&chain.identity, &identity) && !id_equal(&identity, &zero));
    ck_assert(bytes_equal(chain.wire, wire) && chain.wire.data != wire.data);
    identity = id_of(&chain.certificates[0].hash);
    ck_assert(id_equal(&chain.identity, &identity));
    ck_assert_mem_eq(chain.certificates[0].public_key.bytes, key.bytes, PUBLIC_KEY_SIZE);
    ck_assert(hash_equal(&chain.certificates[0].next_key_hash, &next));
    ck_assert(bytes_equal(chain.certificates[0].display_name, bytes_of_text("duck")));
    ck_assert_uint_eq(chain.certificates[0].issued_ms, BORN_MS);
}
END_TEST

START_TEST(a_chain_of_a_hundred_rotations_keeps_its_id)
{
    struct id identity, first;
    struct bytes one = birth_chain(IDENTITY_NODE, KEYS, 1, &arena, &first);
    struct bytes wire = birth_chain(IDENTITY_NODE, KEYS, 101, &arena, &identity);
    struct chain chain;

    ck_assert_uint_lt(one.size, wire.size);
    ck_assert_int_eq(open_chain(wire, &chain), CERTIFICATE_TAKEN);
    ck_assert_uint_eq(chain.count, 101);
    ck_assert(id_equal(&chain.identity, &first));
    for (uint32_t n = 0; n < 101; n++) {
        struct public_key key = birth_public_key(KEYS + n), at;

        ck_assert_uint_eq(chain.certificates[n].sequence, n);
        ck_assert_int_eq(chain_key_at(&chain, BORN_MS + n * ROTATED_EVERY_MS, &at),
                         CERTIFICATE_TAKEN);
        ck_assert_mem_eq(at.bytes, key.bytes, PUBLIC_KEY_SIZE);
    }
}
END_TEST

START_TEST(each_key_speaks_until_the_next_one_is_issued)
{
    struct public_key first = birth_public_key(KEYS), second = birth_public_key(KEYS + 1), key;
    struct id identity;
    struct chain chain;

    ck_assert_int_eq(open_chain(birth_chain(IDENTITY_NODE, KEYS, 2, &arena, &identity), &chain),
                     CERTIFICATE_TAKEN);
    memset(&key, 0xAA, sizeof key);
    ck_assert_int_eq(chain_key_at(&chain, BORN_MS - 1, &key), CERTIFICATE_NOT_YET);
    ck_assert_uint_eq(key.bytes[0], 0xAA); /* a refusal writes nothing */
    ck_assert_int_eq(chain_key_at(&chain, BORN_MS, &key), CERTIFICATE_TAKEN);
    ck_assert_mem_eq(key.bytes, first.bytes, PUBLIC_KEY_SIZE);
    chain_key_at(&chain, BORN_MS + ROTATED_EVERY_MS - 1, &key);
    ck_assert_mem_eq(key.bytes, first.bytes, PUBLIC_KEY_SIZE);
    chain_key_at(&chain, BORN_MS + ROTATED_EVERY_MS, &key);
    ck_assert_mem_eq(key.bytes, second.bytes, PUBLIC_KEY_SIZE);
    ck_assert_int_eq(chain_key_at(&chain, BORN_MS + ROTATED_EVERY_MS + CERTIFICATE_LIFE_MS, &key),
                     CERTIFICATE_TAKEN);
    ck_assert_int_eq(
        chain_key_at(&chain, BORN_MS + ROTATED_EVERY_MS + CERTIFICATE_LIFE_MS + 1, &key),
        CERTIFICATE_EXPIRED);
}
END_TEST

START_TEST(chains_contradict_each_other_only_where_both_speak)
{
    struct bytes wires[2];
    struct certificate last = {0}, fork;
    struct chain one, three, other;
    struct arena memory[3];
    struct id identity;

    for (int i = 0; i < 3; i++)
        arena_init(&memory[i], MIB);
    chain_open(birth_chain(IDENTITY_NODE, KEYS, 1, &arena, &identity), &memory[0], &one);
    chain_open(birth_chain(IDENTITY_NODE, KEYS, 3, &arena, &identity), &memory[1], &three);
    ck_assert(!chain_contradicts(&one, &three));
    ck_assert(!chain_contradicts(&three, &one));
    ck_assert(!chain_contradicts(&three, &three));

    /* Whoever stole key 1 signs a second certificate 1, which promises a key of their own. */
    wires[0] = birth_certificate(IDENTITY_NODE, KEYS, KEYS + 1, 0, &last, &arena);
    fork = last;
    wires[1] = birth_certificate(IDENTITY_NODE, KEYS, 999, 1, &fork, &arena);
    ck_assert_int_eq(chain_open(chain_pack(wires, 2, &arena), &memory[2], &other),
                     CERTIFICATE_TAKEN);
    ck_assert(chain_contradicts(&three, &other));
    ck_assert(chain_contradicts(&other, &three));
    ck_assert(!chain_contradicts(&other, &one));
    for (int i = 0; i < 3; i++)
        arena_free(&memory[i]);
}
END_TEST

START_TEST(every_field_of_a_wish_is_in_the_certificate)
{
    struct bytes scopes[CERTIFICATE_SCOPES_MAX];
    char name[NAME_MAX_BYTES], context[NAME_MAX_BYTES], scope[PECK_ACTION_MAX];
    struct identity_key *key = birth_key(KEYS);
    struct certificate_wish wish = {.kind = IDENTITY_DUCKLING,
                                    .display_name = bytes_of(name, sizeof name),
                                    .context = bytes_of(context, sizeof context),
                                    .scopes = scopes,
                                    .scope_count = CERTIFICATE_SCOPES_MAX,
                                    .issued_ms = 1,
                                    .not_after_ms = 2,
                                    .next_key_hash = birth_key_hash(1)};
    struct id identity;
    struct bytes wire;
    struct chain chain;

    memset(name, 'n', sizeof name);
    memset(context, 'c', sizeof context);
    memset(scope, 's', sizeof scope);
    for (size_t i = 0; i < CERTIFICATE_SCOPES_MAX; i++)
        scopes[i] = bytes_of(scope, sizeof scope);
    wire = certificate_make(&wish, key, &arena, &identity); /* all at their limits */
    identity_key_free(key);
    ck_assert_uint_le(wire.size, CERTIFICATE_SIZE_MAX);
    ck_assert_int_eq(open_chain(chain_pack(&wire, 1, &arena), &chain), CERTIFICATE_TAKEN);
    ck_assert(bytes_equal(chain.certificates[0].display_name, wish.display_name));
    ck_assert(bytes_equal(chain.certificates[0].context, wish.context));
    ck_assert_uint_eq(chain.certificates[0].scope_count, CERTIFICATE_SCOPES_MAX);
    ck_assert(bytes_equal(chain.certificates[0].scopes[15], scopes[15]));
    ck_assert(bytes_equal(chain.certificates[0].wire, wire));
    ck_assert_uint_eq(chain.certificates[0].issued_ms, 1);
    ck_assert_uint_eq(chain.certificates[0].not_after_ms, 2);
}
END_TEST

/* ---- chains that do not hold ---- */

#define SCOPES_ROOM 17

/* A certificate about to be signed, with whatever is wrong with it. */
struct draft {
    Duck__CertificateBody body;
    ProtobufCBinaryData scopes[SCOPES_ROOM];
    uint8_t public_key[PUBLIC_KEY_SIZE + 1], next[HASH_SIZE + 1], previous[HASH_SIZE + 1];
    uint8_t identity[ID_SIZE + 1];
    uint8_t text[200];
    uint32_t signing_key;
    bool other_signer, turned_signature, as_record, cut;
};

static ProtobufCBinaryData text_of(struct draft *draft, size_t size, char filler)
{
    memset(draft->text, filler, sizeof draft->text);
    return (ProtobufCBinaryData){.len = size, .data = draft->text};
}

static void scopes_of(struct draft *draft, size_t count, size_t size, char filler)
{
    for (size_t i = 0; i < count; i++)
        draft->scopes[i] = text_of(draft, size, filler);
    draft->body.n_scopes = count;
    draft->body.scopes = draft->scopes;
}

static void nothing(struct draft *draft)
{
    (void)draft;
}
static void turned_signature(struct draft *draft)
{
    draft->turned_signature = true;
}
static void other_key_signs(struct draft *draft)
{
    draft->signing_key = 77;
}
static void as_record(struct draft *draft)
{
    draft->as_record = true;
}
static void kind_0(struct draft *draft)
{
    draft->body.kind = 0;
}
static void kind_4(struct draft *draft)
{
    draft->body.kind = 4;
}
static void cut_body(struct draft *draft)
{
    draft->cut = true;
}
static void short_key(struct draft *draft)
{
    draft->body.public_key.len--;
}
static void long_key(struct draft *draft)
{
    draft->body.public_key.len++;
}
static void no_next(struct draft *draft)
{
    draft->body.next_key_hash.len = 0;
}
static void long_next(struct draft *draft)
{
    draft->body.next_key_hash.len++;
}
static void no_name(struct draft *draft)
{
    draft->body.display_name.len = 0;
}
static void long_name(struct draft *draft)
{
    draft->body.display_name = text_of(draft, NAME_MAX_BYTES + 1, 'n');
}
static void name_with_newline(struct draft *draft)
{
    draft->body.display_name = text_of(draft, 3, '\n');
}
static void name_not_utf8(struct draft *draft)
{
    draft->body.display_name = text_of(draft, 3, '\xFF');
}
static void long_context(struct draft *draft)
{
    draft->body.context = text_of(draft, NAME_MAX_BYTES + 1, 'c');
}
static void context_not_text(struct draft *draft)
{
    draft->body.context = text_of(draft, 2, '\x01');
}
static void many_scopes(struct draft *draft)
{
    scopes_of(draft, CERTIFICATE_SCOPES_MAX + 1, 4, 's');
}
static void long_scope(struct draft *draft)
{
    scopes_of(draft, 1, PECK_ACTION_MAX + 1, 's');
}
static void empty_scope(struct draft *draft)
{
    scopes_of(draft, 1, 0, 's');
}
static void scope_not_a_name(struct draft *draft)
{
    scopes_of(draft, 1, 4, 'S');
}
static void names_itself(struct draft *draft)
{
    draft->body.identity = (ProtobufCBinaryData){.len = ID_SIZE, .data = draft->identity};
}
static void names_one_before(struct draft *draft)
{
    draft->body.previous = (ProtobufCBinaryData){.len = HASH_SIZE, .data = draft->previous};
}
static void short_identity(struct draft *draft)
{
    draft->body.identity.len--;
}
static void long_previous(struct draft *draft)
{
    draft->body.previous.len++;
}
static void ends_as_it_begins(struct draft *draft)
{
    draft->body.not_after_ms = draft->body.issued_ms;
}
static void issued_at_zero(struct draft *draft)
{
    draft->body.issued_ms = 0;
}
static void issued_before_the_one_before(struct draft *draft)
{
    draft->body.issued_ms -= ROTATED_EVERY_MS + 1;
}
static void no_point(struct draft *draft)
{
    memset(draft->public_key, 0, sizeof draft->public_key);
}
static void mixed_order(struct draft *draft)
{
    uint8_t order_two[PUBLIC_KEY_SIZE], mixed[PUBLIC_KEY_SIZE];

    memset(order_two, 0xFF, sizeof order_two); /* (0, -1) */
    order_two[0] = 0xEC;
    order_two[31] = 0x7F;
    ck_assert_int_eq(crypto_core_ed25519_add(mixed, draft->public_key, order_two), 0);
    memcpy(draft->public_key, mixed, sizeof mixed);
}
static void starts_at_one(struct draft *draft)
{
    draft->body.sequence = 1;
    names_itself(draft);
    names_one_before(draft);
}
static void skips_one(struct draft *draft)
{
    draft->body.sequence++;
}
static void repeats(struct draft *draft)
{
    draft->body.sequence--;
}
static void other_previous(struct draft *draft)
{
    draft->previous[31] ^= 1;
}
static void key_not_promised(struct draft *draft)
{
    struct public_key key = birth_public_key(77);

    memcpy(draft->public_key, key.bytes, sizeof key.bytes);
    draft->signing_key = 77;
}
static void other_identity(struct draft *draft)
{
    draft->identity[0] ^= 1;
}
static void other_kind(struct draft *draft)
{
    draft->body.kind = IDENTITY_NODE;
}
static void other_context(struct draft *draft)
{
    draft->body.context = text_of(draft, 3, 'c');
}
static void other_signer(struct draft *draft)
{
    draft->other_signer = true;
}

static const struct wrong {
    const char *name;
    size_t at; /* which certificate of the three */
    void (*change)(struct draft *draft);
    enum certificate_verdict verdict;
} wrongs[] = {
    {"nothing is wrong", 0, nothing, CERTIFICATE_TAKEN},
    {"turned signature", 0, turned_signature, CERTIFICATE_BAD_ENVELOPE},
    {"turned signature, last", 2, turned_signature, CERTIFICATE_BAD_ENVELOPE},
    {"signed by another key", 0, other_key_signs, CERTIFICATE_BAD_ENVELOPE},
    {"rotation signed by another key", 1, other_key_signs, CERTIFICATE_BAD_ENVELOPE},
    {"signed as a record", 1, as_record, CERTIFICATE_BAD_ENVELOPE},
    {"body cut", 0, cut_body, CERTIFICATE_MALFORMED},
    {"kind 0", 0, kind_0, CERTIFICATE_MALFORMED},
    {"kind 4", 0, kind_4, CERTIFICATE_MALFORMED},
    {"short key", 0, short_key, CERTIFICATE_MALFORMED},
    {"long key", 0, long_key, CERTIFICATE_MALFORMED},
    {"promises nothing", 0, no_next, CERTIFICATE_MALFORMED},
    {"promises 33 bytes", 0, long_next, CERTIFICATE_MALFORMED},
    {"no name", 0, no_name, CERTIFICATE_MALFORMED},
    {"name of 65 bytes", 0, long_name, CERTIFICATE_MALFORMED},
    {"name of lines", 0, name_with_newline, CERTIFICATE_MALFORMED},
    {"name not UTF-8", 0, name_not_utf8, CERTIFICATE_MALFORMED},
    {"context of 65 bytes", 0, long_context, CERTIFICATE_MALFORMED},
    {"context not text", 0, context_not_text, CERTIFICATE_MALFORMED},
    {"17 scopes", 0, many_scopes, CERTIFICATE_MALFORMED},
    {"scope of 129 bytes", 0, long_scope, CERTIFICATE_MALFORMED},
    {"empty scope", 0, empty_scope, CERTIFICATE_MALFORMED},
    {"scope in capitals", 0, scope_not_a_name, CERTIFICATE_MALFORMED},
    {"certificate 0 names itself", 0, names_itself, CERTIFICATE_MALFORMED},
    {"certificate 0 names one before", 0, names_one_before, CERTIFICATE_MALFORMED},
    {"identity of 19 bytes", 1, short_identity, CERTIFICATE_MALFORMED},
    {"previous of 33 bytes", 1, long_previous, CERTIFICATE_MALFORMED},
    {"key is no point", 0, no_point, CERTIFICATE_KEY_REFUSED},
    {"key of mixed order", 0, mixed_order, CERTIFICATE_KEY_REFUSED},
    {"rotation to a key of mixed order", 1, mixed_order, CERTIFICATE_KEY_REFUSED},
    {"starts at 1", 0, starts_at_one, CERTIFICATE_OUT_OF_SEQUENCE},
    {"skips one", 1, skips_one, CERTIFICATE_OUT_OF_SEQUENCE},
    {"repeats one", 2, repeats, CERTIFICATE_OUT_OF_SEQUENCE},
    {"previous is another", 1, other_previous, CERTIFICATE_NOT_LINKED},
    {"key was not promised", 1, key_not_promised, CERTIFICATE_KEY_NOT_PROMISED},
    {"key was not promised, last", 2, key_not_promised, CERTIFICATE_KEY_NOT_PROMISED},
    {"of another identity", 1, other_identity, CERTIFICATE_OTHER_IDENTITY},
    {"of another kind", 1, other_kind, CERTIFICATE_OTHER_IDENTITY},
    {"of another context", 2, other_context, CERTIFICATE_OTHER_IDENTITY},
    {"another signer is named", 0, other_signer, CERTIFICATE_WRONG_SIGNER},
    {"another signer is named, last", 2, other_signer, CERTIFICATE_WRONG_SIGNER},
    {"ends as it begins", 0, ends_as_it_begins, CERTIFICATE_BACK_IN_TIME},
    {"issued at zero", 0, issued_at_zero, CERTIFICATE_BACK_IN_TIME},
    {"issued before the one before", 1, issued_before_the_one_before, CERTIFICATE_BACK_IN_TIME},
};

static struct bytes pack_body(const Duck__CertificateBody *body)
{
    uint8_t *data = arena_take(&arena, duck__certificate_body__get_packed_size(body));

    return bytes_of(data, duck__certificate_body__pack(body, data));
}

static struct bytes sign_draft(struct draft *draft, struct id *identity, struct hash *hash)
{
    struct bytes body = pack_body(&draft->body), wire;
    struct identity_key *key = birth_key(draft->signing_key);
    struct id signer;

    if (draft->cut)
        body.size--;
    *hash = envelope_hash(ENVELOPE_CERTIFICATE, body);
    if (draft->body.identity.len == 0)
        *identity = id_of(hash);
    signer = *identity;
    if (draft->body.identity.len == ID_SIZE)
        memcpy(signer.bytes, draft->identity, ID_SIZE);
    if (draft->other_signer)
        signer.bytes[0] ^= 1;
    wire = envelope_seal(draft->as_record ? ENVELOPE_RECORD : ENVELOPE_CERTIFICATE, &signer, key,
                         body, &arena, NULL);
    if (draft->turned_signature)
        ((uint8_t *)(uintptr_t)wire.data)[wire.size - 1] ^= 1; /* the signature stands last */
    identity_key_free(key);
    return wire;
}

static void begin_draft(struct draft *draft, uint32_t n, const struct id *identity,
                        const struct hash *previous)
{
    struct public_key key = birth_public_key(KEYS + n);
    struct hash next = birth_key_hash(KEYS + n + 1);

    memset(draft, 0, sizeof *draft);
    duck__certificate_body__init(&draft->body);
    memcpy(draft->public_key, key.bytes, PUBLIC_KEY_SIZE);
    memcpy(draft->next, next.bytes, HASH_SIZE);
    memcpy(draft->identity, identity->bytes, ID_SIZE);
    memcpy(draft->previous, previous->bytes, HASH_SIZE);
    draft->signing_key = KEYS + n;
    draft->body.kind = IDENTITY_DUCKLING;
    draft->body.public_key = (ProtobufCBinaryData){PUBLIC_KEY_SIZE, draft->public_key};
    draft->body.next_key_hash = (ProtobufCBinaryData){HASH_SIZE, draft->next};
    draft->body.display_name = text_of(draft, 4, 'd');
    draft->body.issued_ms = BORN_MS + n * ROTATED_EVERY_MS;
    draft->body.not_after_ms = draft->body.issued_ms + CERTIFICATE_LIFE_MS;
    draft->body.sequence = n;
    if (n > 0) {
        draft->body.identity = (ProtobufCBinaryData){ID_SIZE, draft->identity};
        draft->body.previous = (ProtobufCBinaryData){HASH_SIZE, draft->previous};
    }
}

START_TEST(what_is_wrong_with_a_chain_is_said)
{
    const struct wrong *wrong = &wrongs[_i];
    struct id identity = {0};
    struct hash hash = {0};
    struct chain chain = {.count = 4711};
    struct bytes wires[3];
    struct draft draft;
    enum certificate_verdict verdict;

    for (uint32_t n = 0; n < 3; n++) {
        begin_draft(&draft, n, &identity, &hash);
        if (n == wrong->at)
            wrong->change(&draft);
        wires[n] = sign_draft(&draft, &identity, &hash);
    }
    verdict = open_chain(chain_pack(wires, 3, &arena), &chain);
    ck_assert_msg(verdict == wrong->verdict, "%s: %s", wrong->name,
                  certificate_verdict_text(verdict));
    if (verdict != CERTIFICATE_TAKEN)
        ck_assert_uint_eq(chain.count, 4711); /* a refusal writes nothing */
}
END_TEST

static enum certificate_verdict read_kept(struct bytes wire, const struct id *identity)
{
    struct chain chain = {.count = 99};
    enum certificate_verdict verdict;

    arena_reset(&opened);
    verdict = chain_read(wire, identity, &opened, &chain);
    ck_assert(verdict == CERTIFICATE_TAKEN ? id_equal(&chain.identity, identity)
                                           : chain.count == 99);
    return verdict;
}

/* What is left out is the signature, and nothing else. */
START_TEST(a_kept_chain_is_read_without_its_signatures)
{
    struct id identity, another = {{1}};
    struct bytes wire = birth_chain(IDENTITY_DUCKLING, KEYS, 3, &arena, &identity);
    uint8_t *unsigned_wire = arena_take(&arena, wire.size);
    struct chain chain;

    memcpy(unsigned_wire, wire.data, wire.size);
    unsigned_wire[wire.size - 1] ^= 1; /* the last byte is the signature's */
    ck_assert_int_eq(open_chain(bytes_of(unsigned_wire, wire.size), &chain),
                     CERTIFICATE_BAD_ENVELOPE);
    ck_assert_int_eq(read_kept(bytes_of(unsigned_wire, wire.size), &identity), CERTIFICATE_TAKEN);
    ck_assert_int_eq(read_kept(wire, &another), CERTIFICATE_OTHER_IDENTITY);
    for (size_t size = 1; size < wire.size;
         size++) /* whole certificates that are left are a chain */
        if (read_kept(bytes_of(wire.data, size), &identity) == CERTIFICATE_TAKEN)
            ck_assert_int_eq(open_chain(bytes_of(wire.data, size), &chain), CERTIFICATE_TAKEN);
    ck_assert_int_eq(read_kept(bytes_of(wire.data, 0), &identity), CERTIFICATE_EMPTY);
}
END_TEST

/* Every bit of it. What then is read says what the chain said, but for the last certificate of
 * several, whose hash the reader is to compare. */
START_TEST(a_bit_that_turns_in_a_kept_chain_changes_nothing_that_is_said)
{
    size_t certificates = (size_t)_i + 1, taken = 0;
    struct id identity;
    struct bytes wire = birth_chain(IDENTITY_DUCKLING, KEYS, certificates, &arena, &identity);
    uint8_t *turned = arena_take(&arena, wire.size);
    struct chain whole, chain;
    struct hash last;

    ck_assert_int_eq(chain_open(wire, &arena, &whole), CERTIFICATE_TAKEN);
    last = whole.certificates[certificates - 1].hash;
    memcpy(turned, wire.data, wire.size);
    for (size_t bit = 0; bit < 8 * wire.size; bit++) {
        turned[bit / 8] ^= (uint8_t)(1 << bit % 8);
        arena_reset(&opened);
        if (chain_read(bytes_of(turned, wire.size), &identity, &opened, &chain) ==
            CERTIFICATE_TAKEN) {
            const struct hash *hash = &chain.certificates[chain.count - 1].hash;

            taken++;
            ck_assert_uint_eq(chain.count, certificates);
            ck_assert(id_equal(&chain.identity, &identity));
            ck_assert(certificates > 1 || hash_equal(hash, &last));
        }
        turned[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_uint_ge(taken, 8 * 64 * certificates); /* the signatures, at least */
}
END_TEST

START_TEST(no_certificates_are_no_chain)
{
    static const uint8_t unknown_field[] = {0x12, 0x00}, cut[] = {0x0A, 0x05, 0x00};
    static const uint8_t empty_certificate[] = {0x0A, 0x00};
    struct chain chain;

    ck_assert_int_eq(open_chain(bytes_of(NULL, 0), &chain), CERTIFICATE_EMPTY);
    ck_assert_int_eq(open_chain(bytes_of(cut, sizeof cut), &chain), CERTIFICATE_MALFORMED);
    ck_assert_int_eq(open_chain(bytes_of(unknown_field, 2), &chain), CERTIFICATE_MALFORMED);
    ck_assert_int_eq(open_chain(bytes_of(empty_certificate, 2), &chain), CERTIFICATE_BAD_ENVELOPE);
}
END_TEST

/* Certificates without end, each of two bytes: more memory than the frame is worth is not taken. */
START_TEST(a_chain_of_nothings_is_refused)
{
    static uint8_t wire[CHAIN_SIZE_MAX];
    struct chain chain;

    for (size_t i = 0; i < sizeof wire; i += 2)
        wire[i] = 0x0A;
    ck_assert_int_ne(open_chain(bytes_of(wire, sizeof wire), &chain), CERTIFICATE_TAKEN);
}
END_TEST

/* As many certificates as fit, the first of them with names that fill up what is left. */
static struct bytes chain_of_size(size_t size)
{
    static struct bytes wires[400];
    struct id identity = {0};
    struct hash hash = {0};
    size_t count = 0, packed, fill;
    struct draft draft;

    for (size_t total = 0; total <= size; count++) {
        begin_draft(&draft, (uint32_t)count, &identity, &hash);
        draft.body.display_name.len = 1;
        wires[count] = sign_draft(&draft, &identity, &hash);
        total += wires[count].size + 3; /* its tag and length */
    }
    packed = chain_pack(wires, --count, &arena).size;
    ck_assert_uint_le(packed, size);
    fill = size - packed;
    for (size_t n = 0; n < count; n++) {
        size_t more = fill < NAME_MAX_BYTES - 1 ? fill : NAME_MAX_BYTES - 1;

        if (n == 0)
            more = 0; /* the length of its body would take a byte more, too */
        begin_draft(&draft, (uint32_t)n, &identity, &hash);
        if (n == 0)
            draft.body.identity.len = 0;
        draft.body.display_name.len = 1 + more;
        wires[n] = sign_draft(&draft, &identity, &hash);
        fill -= more;
    }
    return chain_pack(wires, count, &arena);
}

START_TEST(a_chain_has_64_kib_and_not_a_byte_more)
{
    struct bytes most = chain_of_size(CHAIN_SIZE_MAX), beyond = chain_of_size(CHAIN_SIZE_MAX + 1);
    struct chain chain;

    ck_assert_uint_eq(most.size, CHAIN_SIZE_MAX);
    ck_assert_int_eq(open_chain(most, &chain), CERTIFICATE_TAKEN);
    ck_assert_uint_gt(chain.count, 200); /* rotations, as limits.h promises */
    ck_assert_uint_eq(beyond.size, CHAIN_SIZE_MAX + 1);
    ck_assert_int_eq(open_chain(beyond, &chain), CERTIFICATE_TOO_LONG);
}
END_TEST

START_TEST(every_turned_bit_of_a_chain_is_refused_or_changes_nothing_that_is_signed)
{
    struct id identity;
    struct bytes wire = birth_chain(IDENTITY_NODE, KEYS, 2, &arena, &identity);
    uint8_t *turned = malloc(wire.size);
    struct chain whole, chain;
    struct arena memory;

    arena_init(&memory, PARSE_BUDGET(wire.size));
    ck_assert_int_eq(chain_open(wire, &memory, &whole), CERTIFICATE_TAKEN);
    for (size_t bit = 0; bit < wire.size * 8; bit += 3) {
        memcpy(turned, wire.data, wire.size);
        turned[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_ne(open_chain(bytes_of(turned, wire.size), &chain), CERTIFICATE_TAKEN);
    }
    for (size_t size = 1; size < wire.size; size++) { /* half of it is a chain too: of one */
        enum certificate_verdict verdict = open_chain(bytes_of(wire.data, size), &chain);

        if (verdict == CERTIFICATE_TAKEN)
            ck_assert(chain.count == 1 && !chain_contradicts(&whole, &chain));
    }
    arena_free(&memory);
    free(turned);
}
END_TEST

START_TEST(every_verdict_has_its_words)
{
    for (int i = CERTIFICATE_TAKEN; i <= CERTIFICATE_EXPIRED; i++)
        ck_assert_uint_gt(strlen(certificate_verdict_text((enum certificate_verdict)i)), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("certificate");
    TCase *holding = tcase_create("chains that hold"), *wrong = tcase_create("chains that do not");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(holding, set_up, tear_down);
    tcase_add_test(holding, a_birth_certificate_makes_the_id);
    tcase_add_test(holding, a_chain_of_a_hundred_rotations_keeps_its_id);
    tcase_add_test(holding, each_key_speaks_until_the_next_one_is_issued);
    tcase_add_test(holding, chains_contradict_each_other_only_where_both_speak);
    tcase_add_test(holding, every_field_of_a_wish_is_in_the_certificate);
    suite_add_tcase(suite, holding);
    tcase_add_checked_fixture(wrong, set_up, tear_down);
    tcase_set_timeout(wrong, 60);
    tcase_add_loop_test(wrong, what_is_wrong_with_a_chain_is_said, 0,
                        sizeof wrongs / sizeof *wrongs);
    tcase_add_test(wrong, a_kept_chain_is_read_without_its_signatures);
    tcase_add_loop_test(wrong, a_bit_that_turns_in_a_kept_chain_changes_nothing_that_is_said, 0, 2);
    tcase_add_test(wrong, no_certificates_are_no_chain);
    tcase_add_test(wrong, a_chain_of_nothings_is_refused);
    tcase_add_test(wrong, a_chain_has_64_kib_and_not_a_byte_more);
    tcase_add_test(wrong, every_turned_bit_of_a_chain_is_refused_or_changes_nothing_that_is_signed);
    tcase_add_test(wrong, every_verdict_has_its_words);
    suite_add_tcase(suite, wrong);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
