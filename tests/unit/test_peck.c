#include "core/peck.h"
#include "wire/peck.pb-c.h"

#include "core/dice.h"

#include <check.h>
#include <stdlib.h>

#define BORN_MS 1790000000000ull

static struct arena arena;

static void set_up(void)
{
    arena_init(&arena, 16 * MIB);
}

static void tear_down(void)
{
    arena_free(&arena);
}

static struct bytes filled(size_t size, char filler)
{
    char *data = arena_take(&arena, size + 1);

    memset(data, filler, size + 1);
    return bytes_of(data, size);
}

static struct peck action(void)
{
    return (struct peck){
        .network = bytes_of_text("pond"),
        .from = {{1}},
        .to = {{2}},
        .kind = PECK_ACTION,
        .action = bytes_of_text("data.read"),
        .payload = bytes_of_text("{\"rows\": 3}"),
        .created_ms = BORN_MS,
        .expires_ms = BORN_MS + PECK_LIFE_MS,
        .nonce = {1, 2, 3, 4, 5, 6, 7, 8},
    };
}

static struct peck bond_request(void)
{
    struct peck peck = action();

    peck.kind = PECK_BOND_REQUEST;
    peck.action = peck.payload = bytes_of(NULL, 0);
    peck.scopes[0] = bytes_of_text("data.*");
    peck.scope_count = 1;
    peck.message = bytes_of_text("May I?\nYours, duck");
    return peck;
}

/* With the memory that a frame of this size is given, and no more. */
static enum peck_verdict parse(struct bytes body, struct peck *peck)
{
    static struct arena parsed;

    arena_free(&parsed);
    arena_init(&parsed, PARSE_BUDGET(body.size));
    return peck_parse(body, &parsed, peck);
}

/* What one side refuses to say, the other refuses to hear. */
static enum peck_verdict verdict_of(struct peck peck)
{
    Duck__PeckBody message = DUCK__PECK_BODY__INIT;
    ProtobufCBinaryData scopes[PECK_SCOPES_MAX + 1];
    struct bytes body;
    enum peck_verdict made = peck_pack(&peck, &arena, &body), heard;
    struct peck parsed = {.scope_count = 4711};
    uint8_t *data;

    ck_assert(made == PECK_OK || body.data == NULL);
#define LEND(field)                                                                                \
    message.field = (ProtobufCBinaryData){peck.field.size, (uint8_t *)(uintptr_t)peck.field.data}
    LEND(network);
    LEND(action);
    LEND(payload);
    LEND(message);
    LEND(thread);
    LEND(idempotency_key);
    LEND(trace);
    LEND(grant);
#undef LEND
    message.from = (ProtobufCBinaryData){ID_SIZE, peck.from.bytes};
    message.to = (ProtobufCBinaryData){ID_SIZE, peck.to.bytes};
    message.nonce = (ProtobufCBinaryData){sizeof peck.nonce, peck.nonce};
    if (!id_is_zero(&peck.reply_to))
        message.reply_to = (ProtobufCBinaryData){ID_SIZE, peck.reply_to.bytes};
    message.kind = (uint32_t)peck.kind;
    message.created_ms = peck.created_ms;
    message.expires_ms = peck.expires_ms;
    message.n_scopes = peck.scope_count;
    message.scopes = scopes;
    for (size_t i = 0; i < peck.scope_count && i <= PECK_SCOPES_MAX; i++) {
        struct bytes scope = peck.scopes[i < PECK_SCOPES_MAX ? i : 0];

        scopes[i] = (ProtobufCBinaryData){scope.size, (uint8_t *)(uintptr_t)scope.data};
    }
    data = arena_take(&arena, duck__peck_body__get_packed_size(&message) + 1);
    heard = parse(bytes_of(data, duck__peck_body__pack(&message, data)), &parsed);
    ck_assert_int_eq(made, heard);
    if (heard != PECK_OK)
        ck_assert_uint_eq(parsed.scope_count, 4711); /* a refusal writes nothing */
    return heard;
}

/* ---- pecks that hold ---- */

START_TEST(an_action_comes_back_as_it_went)
{
    struct peck peck = action(), parsed;
    struct bytes body;
    struct hash hash;
    struct id id;

    peck.thread = bytes_of_text("thread 1");
    peck.reply_to = (struct id){{9}};
    peck.idempotency_key = bytes_of_text("key-1");
    peck.trace = bytes_of_text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    ck_assert_int_eq(peck_pack(&peck, &arena, &body), PECK_OK);
    hash = envelope_hash(ENVELOPE_PECK, body);
    id = id_of(&hash);
    ck_assert(hash_equal(&peck.hash, &hash) && id_equal(&peck.id, &id));
    ck_assert_int_eq(parse(body, &parsed), PECK_OK);
    ck_assert(hash_equal(&parsed.hash, &hash) && id_equal(&parsed.id, &id));
    ck_assert(bytes_equal(parsed.network, peck.network));
    ck_assert(id_equal(&parsed.from, &peck.from) && id_equal(&parsed.to, &peck.to));
    ck_assert_int_eq(parsed.kind, PECK_ACTION);
    ck_assert(bytes_equal(parsed.action, peck.action) && bytes_equal(parsed.payload, peck.payload));
    ck_assert(bytes_equal(parsed.thread, peck.thread));
    ck_assert(id_equal(&parsed.reply_to, &peck.reply_to));
    ck_assert(bytes_equal(parsed.idempotency_key, peck.idempotency_key));
    ck_assert(bytes_equal(parsed.trace, peck.trace));
    ck_assert_mem_eq(parsed.nonce, peck.nonce, sizeof peck.nonce);
    ck_assert_uint_eq(parsed.created_ms, peck.created_ms);
    ck_assert_uint_eq(parsed.expires_ms, peck.expires_ms);
    ck_assert_uint_eq(parsed.scope_count, 0);
}
END_TEST

START_TEST(a_bond_request_comes_back_as_it_went)
{
    struct peck peck = bond_request(), parsed;
    struct bytes body;

    peck.scopes[1] = bytes_of_text("*");
    peck.scope_count = 2;
    ck_assert_int_eq(peck_pack(&peck, &arena, &body), PECK_OK);
    ck_assert_int_eq(parse(body, &parsed), PECK_OK);
    ck_assert_int_eq(parsed.kind, PECK_BOND_REQUEST);
    ck_assert_uint_eq(parsed.scope_count, 2);
    ck_assert(bytes_equal(parsed.scopes[0], peck.scopes[0]));
    ck_assert(bytes_equal(parsed.scopes[1], peck.scopes[1]));
    ck_assert(bytes_equal(parsed.message, peck.message));
    ck_assert(id_is_zero(&parsed.reply_to));
}
END_TEST

START_TEST(the_nonce_makes_two_like_pecks_two)
{
    struct peck one = action(), other = action();
    struct bytes body;

    other.nonce[7]++;
    peck_pack(&one, &arena, &body);
    peck_pack(&other, &arena, &body);
    ck_assert(!id_equal(&one.id, &other.id));
    ck_assert(peck_same_content(&one, &other));
}
END_TEST

START_TEST(fields_of_a_later_release_are_kept_in_the_name)
{
    struct peck peck = action(), parsed;
    struct bytes body, longer;
    uint8_t *data;

    peck_pack(&peck, &arena, &body);
    data = arena_take(&arena, body.size + 4);
    memcpy(data, body.data, body.size);
    memcpy(data + body.size, "\xF8\x3F\x07", 3); /* field 1023: 7 */
    longer = bytes_of(data, body.size + 3);
    ck_assert_int_eq(parse(longer, &parsed), PECK_OK);
    ck_assert(!id_equal(&parsed.id, &peck.id));
    ck_assert(bytes_equal(parsed.payload, peck.payload));
}
END_TEST

/* ---- limits: at it, and one beyond ---- */

#define AT_LIMIT(make, field, limit, beyond)                                                       \
    do {                                                                                           \
        struct peck limited = make();                                                              \
        limited.field = filled(limit, 'a');                                                        \
        ck_assert_int_eq(verdict_of(limited), PECK_OK);                                            \
        limited.field = filled((limit) + 1, 'a');                                                  \
        ck_assert_int_eq(verdict_of(limited), beyond);                                             \
    } while (0)

START_TEST(every_field_has_its_limit)
{
    AT_LIMIT(action, network, NETWORK_ID_MAX, PECK_MALFORMED);
    AT_LIMIT(action, action, PECK_ACTION_MAX, PECK_BAD_NAME);
    AT_LIMIT(action, payload, PECK_PAYLOAD_MAX, PECK_PAYLOAD_TOO_LARGE);
    AT_LIMIT(action, thread, PECK_THREAD_MAX, PECK_BAD_TEXT);
    AT_LIMIT(action, idempotency_key, PECK_IDEMPOTENCY_KEY_MAX, PECK_MALFORMED);
    AT_LIMIT(action, trace, PECK_TRACE_SIZE, PECK_MALFORMED);
    AT_LIMIT(action, grant, GRANT_SIZE_MAX, PECK_MALFORMED);
    AT_LIMIT(bond_request, message, PECK_MESSAGE_MAX, PECK_BAD_TEXT);
    AT_LIMIT(bond_request, scopes[0], PECK_ACTION_MAX, PECK_BAD_NAME);
}
END_TEST

/* All of an action's fields at their limits are one peck that is taken. */
START_TEST(the_largest_action_with_the_largest_grant_fits)
{
    struct peck peck = action(), parsed;
    struct bytes body;

    peck.network = filled(NETWORK_ID_MAX, 'a');
    peck.action = filled(PECK_ACTION_MAX, 'a');
    peck.payload = filled(PECK_PAYLOAD_MAX, 'a');
    peck.thread = filled(PECK_THREAD_MAX, 'a');
    peck.reply_to = peck.from;
    peck.idempotency_key = filled(PECK_IDEMPOTENCY_KEY_MAX, 'a');
    peck.trace = filled(PECK_TRACE_SIZE, 'a');
    peck.grant = filled(GRANT_SIZE_MAX, 'g');
    ck_assert_int_eq(peck_pack(&peck, &arena, &body), PECK_OK);
    ck_assert_uint_le(body.size, PECK_BODY_MAX);
    ck_assert_int_eq(parse(body, &parsed), PECK_OK);
    ck_assert_uint_eq(parsed.grant.size, GRANT_SIZE_MAX);
}
END_TEST

START_TEST(a_bond_request_has_one_to_sixteen_scopes)
{
    struct peck peck = bond_request();

    for (size_t i = 0; i < PECK_SCOPES_MAX; i++)
        peck.scopes[i] = bytes_of_text("a");
    peck.scope_count = 0;
    ck_assert_int_eq(verdict_of(peck), PECK_MALFORMED);
    peck.scope_count = PECK_SCOPES_MAX;
    ck_assert_int_eq(verdict_of(peck), PECK_OK);
    peck.scope_count = PECK_SCOPES_MAX + 1;
    ck_assert_int_eq(verdict_of(peck), PECK_MALFORMED);
}
END_TEST

START_TEST(a_peck_lives_from_a_millisecond_to_seven_days)
{
    struct peck peck = action();

    peck.expires_ms = peck.created_ms + PECK_LIFE_MAX_MS;
    ck_assert_int_eq(verdict_of(peck), PECK_OK);
    peck.expires_ms++;
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_TIMES);
    peck.expires_ms = peck.created_ms + 1;
    ck_assert_int_eq(verdict_of(peck), PECK_OK);
    peck.expires_ms = peck.created_ms;
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_TIMES);
    peck.expires_ms = UINT64_MAX;
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_TIMES);
    peck.created_ms = 0;
    peck.expires_ms = 1;
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_TIMES);
}
END_TEST

/* ---- refusals ---- */

START_TEST(a_duckling_cannot_peck_itself)
{
    struct peck peck = action();

    peck.to = peck.from;
    ck_assert_int_eq(verdict_of(peck), PECK_TO_SELF);
}
END_TEST

START_TEST(a_payload_is_there_and_utf_8)
{
    static const struct {
        const char *payload;
        enum peck_verdict verdict;
    } payloads[] = {
        {"", PECK_MALFORMED},
        {"1", PECK_OK},
        {"{\r\n\t\"a\": 1 }", PECK_OK},
        {"\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\xA6\x86\"", PECK_OK}, /* two, three, four bytes */
        {"\"\x7F\xC2\x80\"", PECK_OK},                         /* JSON lets these stand */
        {"12345678\x01", PECK_BAD_TEXT},
        {"\x1F"
         "2345678",
         PECK_BAD_TEXT},
        {"1234567\x1F", PECK_BAD_TEXT},
        {"\"\xFF\"", PECK_BAD_TEXT},
        {"12345678\xC3", PECK_BAD_TEXT},     /* cut */
        {"\xC0\xAF", PECK_BAD_TEXT},         /* too long for what it says */
        {"\xED\xA0\x80", PECK_BAD_TEXT},     /* half of a pair */
        {"\xF4\x90\x80\x80", PECK_BAD_TEXT}, /* beyond U+10FFFF */
        {"1234\x80"
         "678",
         PECK_BAD_TEXT},
    };

    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        struct peck peck = action();

        peck.payload = bytes_of_text(payloads[i].payload);
        ck_assert_msg(verdict_of(peck) == payloads[i].verdict, "payload %zu", i);
    }
    struct peck peck = action();
    peck.payload = bytes_of("12345678\0", 9);
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_TEXT);
}
END_TEST

START_TEST(names_and_texts_have_their_alphabets)
{
    struct peck peck = action();

    peck.action = bytes_of(NULL, 0);
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_NAME);
    peck.action = bytes_of_text("Data.read");
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_NAME);
    peck.action = bytes_of_text("data.*"); /* a scope, not an action */
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_NAME);
    peck = action();
    peck.thread = bytes_of_text("caf\xC3\xA9");
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_TEXT);
    peck.thread = bytes_of_text("a\nb");
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_TEXT);
    peck = action();
    peck.idempotency_key = bytes_of_text("\x01");
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_TEXT);
    peck = action();
    peck.trace = filled(PECK_TRACE_SIZE, '\x01');
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_TEXT);
    peck.trace = filled(PECK_TRACE_SIZE - 1, 'a');
    ck_assert_int_eq(verdict_of(peck), PECK_MALFORMED);
    peck = action();
    peck.network = bytes_of(NULL, 0);
    ck_assert_int_eq(verdict_of(peck), PECK_MALFORMED);
    peck = bond_request();
    peck.message = bytes_of_text("a\x01");
    ck_assert_int_eq(verdict_of(peck), PECK_BAD_TEXT);
    peck.message = bytes_of(NULL, 0);
    ck_assert_int_eq(verdict_of(peck), PECK_OK);
}
END_TEST

START_TEST(each_kind_has_its_own_fields_only)
{
    struct peck peck = action();

    peck.message = bytes_of_text("hello");
    ck_assert_int_eq(verdict_of(peck), PECK_MALFORMED);
    peck = action();
    peck.scopes[0] = bytes_of_text("a");
    peck.scope_count = 1;
    ck_assert_int_eq(verdict_of(peck), PECK_MALFORMED);
    peck = bond_request();
    peck.action = bytes_of_text("a");
    ck_assert_int_eq(verdict_of(peck), PECK_MALFORMED);
    peck = bond_request();
    peck.payload = bytes_of_text("{}");
    ck_assert_int_eq(verdict_of(peck), PECK_MALFORMED);
    peck = action();
    peck.kind = (enum peck_kind)0;
    ck_assert_int_eq(verdict_of(peck), PECK_MALFORMED);
    peck.kind = (enum peck_kind)3;
    ck_assert_int_eq(verdict_of(peck), PECK_MALFORMED);
}
END_TEST

static struct bytes pack_wire(const Duck__PeckBody *message)
{
    uint8_t *data = arena_take(&arena, duck__peck_body__get_packed_size(message) + 1);

    return bytes_of(data, duck__peck_body__pack(message, data));
}

START_TEST(ids_and_nonce_have_exact_lengths)
{
    static uint8_t zeros[ID_SIZE + 1];
    struct peck peck = action();
    struct bytes body;
    Duck__PeckBody *message;
    ProtobufCBinaryData *fields[4];

    peck.reply_to = (struct id){{9}};
    peck_pack(&peck, &arena, &body);
    message = duck__peck_body__unpack(NULL, body.size, body.data);
    ck_assert_ptr_nonnull(message);
    ck_assert_int_eq(parse(pack_wire(message), &peck), PECK_OK);
    fields[0] = &message->from;
    fields[1] = &message->to;
    fields[2] = &message->nonce;
    fields[3] = &message->reply_to;
    for (size_t i = 0; i < 4; i++) {
        ProtobufCBinaryData right = *fields[i];

        for (size_t length = 0; length <= ID_SIZE + 1; length++) {
            bool fits = length == right.len || (i == 3 && length == 0);

            *fields[i] = (ProtobufCBinaryData){length, zeros};
            zeros[0] = 3; /* neither from nor to */
            ck_assert_int_eq(parse(pack_wire(message), &peck), fits ? PECK_OK : PECK_MALFORMED);
        }
        *fields[i] = right;
    }
    duck__peck_body__free_unpacked(message, NULL);
}
END_TEST

START_TEST(a_cut_body_is_refused_wherever_it_is_cut)
{
    struct peck peck = action();
    struct bytes body;

    peck_pack(&peck, &arena, &body); /* the nonce stands last, and is never left out */
    for (size_t size = 0; size < body.size; size++)
        ck_assert_int_ne(parse(bytes_of(body.data, size), &peck), PECK_OK);
}
END_TEST

START_TEST(a_body_over_its_size_is_not_even_parsed)
{
    uint8_t *data = arena_take(&arena, PECK_BODY_MAX + 1);
    struct peck peck;

    memset(data, 0xFF, PECK_BODY_MAX + 1);
    ck_assert_int_eq(parse(bytes_of(data, PECK_BODY_MAX + 1), &peck), PECK_PAYLOAD_TOO_LARGE);
    ck_assert_int_eq(parse(bytes_of(data, PECK_BODY_MAX), &peck), PECK_MALFORMED);
}
END_TEST

START_TEST(memory_for_scopes_without_end_is_not_taken)
{
    uint8_t *data = arena_take(&arena, PECK_BODY_MAX);
    struct peck peck;

    for (size_t i = 0; i < PECK_BODY_MAX; i += 2)
        memcpy(data + i, "\x3A\x00", 2); /* an empty scope */
    ck_assert_int_eq(parse(bytes_of(data, PECK_BODY_MAX), &peck), PECK_MALFORMED);
}
END_TEST

START_TEST(turned_bits_are_refused_or_make_another_peck)
{
    struct peck peck = bond_request(), turned_peck;
    struct dice dice;
    struct bytes body;
    uint8_t turned[512];

    peck_pack(&peck, &arena, &body);
    ck_assert_uint_lt(body.size, sizeof turned);
    dice_init_number(&dice, 1);
    for (int i = 0; i < 20000; i++) {
        memcpy(turned, body.data, body.size);
        for (uint64_t turns = 1 + dice_below(&dice, 4); turns > 0; turns--)
            turned[dice_below(&dice, body.size)] ^= (uint8_t)(1 + dice_below(&dice, 255));
        if (memcmp(turned, body.data, body.size) == 0 ||
            parse(bytes_of(turned, body.size), &turned_peck) != PECK_OK)
            continue;
        ck_assert(!id_equal(&turned_peck.id, &peck.id));
        ck_assert_int_eq(verdict_of(turned_peck), PECK_OK);
    }
}
END_TEST

/* ---- content, states, scopes ---- */

START_TEST(content_is_all_but_when_and_how_often)
{
    struct peck left = action(), right = action();

    right.created_ms++;
    right.expires_ms--;
    right.nonce[0]++;
    right.idempotency_key = bytes_of_text("k");
    right.trace = filled(PECK_TRACE_SIZE, 'a');
    right.network = bytes_of(NULL, 0); /* an order names none */
    ck_assert(peck_same_content(&left, &right));
#define DIFFERS(make, change)                                                                      \
    do {                                                                                           \
        left = right = make();                                                                     \
        change;                                                                                    \
        ck_assert(!peck_same_content(&left, &right) && !peck_same_content(&right, &left));         \
    } while (0)
    DIFFERS(action, right.to.bytes[19]++);
    DIFFERS(action, right.action = bytes_of_text("data.write"));
    DIFFERS(action, right.payload = bytes_of_text("{}"));
    DIFFERS(action, right.thread = bytes_of_text("t"));
    DIFFERS(action, right.reply_to.bytes[0]++);
    DIFFERS(action, right.grant = bytes_of_text("g"));
    DIFFERS(action, right.kind = PECK_BOND_REQUEST);
    DIFFERS(bond_request, right.scopes[0] = bytes_of_text("data.x"));
    DIFFERS(bond_request, right.scope_count = 0);
    DIFFERS(bond_request, right.message = bytes_of_text("m"));
#undef DIFFERS
}
END_TEST

START_TEST(states_have_names_and_numbers_that_never_change)
{
    static const char *const names[] = {"queued", "sent",     "taken",  "pending", "approved",
                                        "denied", "answered", "failed", "expired", "cancelled"};
    enum peck_state state;

    for (int i = 0; i < 10; i++) {
        ck_assert_str_eq(peck_state_name((enum peck_state)(i + 1)), names[i]);
        ck_assert(peck_state_parse(bytes_of_text(names[i]), &state));
        ck_assert_int_eq(state, i + 1);
        ck_assert_int_eq(peck_state_is_done(state, PECK_ACTION), i >= 5);
        ck_assert_int_eq(peck_state_is_done(state, PECK_BOND_REQUEST), i >= 4);
    }
    state = PECK_SENT;
    ck_assert(!peck_state_parse(bytes_of_text("Queued"), &state));
    ck_assert(!peck_state_parse(bytes_of_text("queue"), &state));
    ck_assert(!peck_state_parse(bytes_of(NULL, 0), &state));
    ck_assert_int_eq(state, PECK_SENT);
    ck_assert_str_eq(peck_state_name((enum peck_state)0), "");
    ck_assert_str_eq(peck_state_name((enum peck_state)11), "");
}
END_TEST

START_TEST(scopes_are_names_or_end_in_a_star)
{
    static const char *const good[] = {"a", "data.read", "data.*", "*", "a-b_c.9", "a.b.*"};
    static const char *const bad[] = {"",      "A",   "da*", "**",      "*.a",
                                      "a.*.b", "a b", "a/b", "\xC3\xA9"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(peck_scope_is_valid(bytes_of_text(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!peck_scope_is_valid(bytes_of_text(bad[i])), "%s", bad[i]);
    ck_assert(peck_scope_is_valid(filled(PECK_ACTION_MAX, 'a')));
    ck_assert(!peck_scope_is_valid(filled(PECK_ACTION_MAX + 1, 'a')));
}
END_TEST

START_TEST(a_scope_covers_what_it_names)
{
    static const struct {
        const char *scope, *action;
        bool covers;
    } cases[] = {
        {"data.read", "data.read", true},
        {"data.read", "data.readall", false},
        {"data.read", "data", false},
        {"data.*", "data.read", true},
        {"data.*", "data.read.all", true},
        {"data.*", "data", false},
        {"data.*", "data.", false},
        {"data.*", "database", false},
        {"data.*", "other.data.x", false},
        {"*", "anything", true},
        {"*", "", false},
        {"a", "", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(peck_scope_covers(bytes_of_text(cases[i].scope),
                                        bytes_of_text(cases[i].action)) == cases[i].covers,
                      "%s and %s", cases[i].scope, cases[i].action);
}
END_TEST

START_TEST(every_verdict_has_its_words)
{
    for (int i = PECK_OK; i <= PECK_TO_SELF; i++)
        ck_assert_uint_gt(strlen(peck_verdict_text((enum peck_verdict)i)), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peck");
    TCase *tests = tcase_create("peck");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_action_comes_back_as_it_went);
    tcase_add_test(tests, a_bond_request_comes_back_as_it_went);
    tcase_add_test(tests, the_nonce_makes_two_like_pecks_two);
    tcase_add_test(tests, fields_of_a_later_release_are_kept_in_the_name);
    tcase_add_test(tests, every_field_has_its_limit);
    tcase_add_test(tests, the_largest_action_with_the_largest_grant_fits);
    tcase_add_test(tests, a_bond_request_has_one_to_sixteen_scopes);
    tcase_add_test(tests, a_peck_lives_from_a_millisecond_to_seven_days);
    tcase_add_test(tests, a_duckling_cannot_peck_itself);
    tcase_add_test(tests, a_payload_is_there_and_utf_8);
    tcase_add_test(tests, names_and_texts_have_their_alphabets);
    tcase_add_test(tests, each_kind_has_its_own_fields_only);
    tcase_add_test(tests, ids_and_nonce_have_exact_lengths);
    tcase_add_test(tests, a_cut_body_is_refused_wherever_it_is_cut);
    tcase_add_test(tests, a_body_over_its_size_is_not_even_parsed);
    tcase_add_test(tests, memory_for_scopes_without_end_is_not_taken);
    tcase_add_test(tests, turned_bits_are_refused_or_make_another_peck);
    tcase_add_test(tests, content_is_all_but_when_and_how_often);
    tcase_add_test(tests, states_have_names_and_numbers_that_never_change);
    tcase_add_test(tests, scopes_are_names_or_end_in_a_star);
    tcase_add_test(tests, a_scope_covers_what_it_names);
    tcase_add_test(tests, every_verdict_has_its_words);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
