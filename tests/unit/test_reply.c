#include "reply.h"
#include "strict_json.h"
#include "view.h"
#include "wire/local.pb-c.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

START_TEST(a_problem_tells_people_and_programs)
{
    struct problem problem = problem_make(429, "too_many", "at most %d a minute", 10);
    json_t *object;

    problem.field = "email";
    problem.retry_after_s = 7;
    problem.extras = json_pack("{s:s, s:s}", "tier", "T1", "status", "not this");
    object = reply_problem(&problem, "/beak/hatch#1");
    ck_assert_str_eq(text_of(object, "type"), "/docs#too_many");
    ck_assert_str_eq(text_of(object, "title"), "Too many requests");
    ck_assert_int_eq(json_integer_value(json_object_get(object, "status")), 429);
    ck_assert_str_eq(text_of(object, "detail"), "at most 10 a minute");
    ck_assert_str_eq(text_of(object, "message"), "at most 10 a minute");
    ck_assert_str_eq(text_of(object, "instance"), "/beak/hatch#1");
    ck_assert_str_eq(text_of(object, "error"), "too_many");
    ck_assert_str_eq(text_of(object, "field"), "email");
    ck_assert_int_eq(json_integer_value(json_object_get(object, "retry_after")), 7);
    ck_assert_str_eq(text_of(object, "tier"), "T1");
    json_decref(object);
}
END_TEST

START_TEST(what_the_node_says_no_to_has_its_status)
{
    static const struct {
        const char *code;
        unsigned status;
        bool again;
    } codes[] = {{"malformed", 400, false},
                 {"too_large", 413, false},
                 {"not_found", 404, false},
                 {"unknown_target", 404, false},
                 {"not_hosted_here", 404, false},
                 {"not_allowed", 403, false},
                 {"conflict", 409, false},
                 {"idempotency_key_reused", 422, false},
                 {"busy", 503, true},
                 {"expired", 410, false},
                 {"pecks_refused", 403, false},
                 {"store_failed", 503, true},
                 {"unreachable", 503, true},
                 {"timeout", 504, true},
                 {"protocol", 502, false}};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct problem problem = problem_of_node(codes[i].code, "why", "");

        ck_assert_msg(problem.status == codes[i].status, "%s", codes[i].code);
        ck_assert_str_eq(problem.code, codes[i].code);
        ck_assert_str_eq(problem.detail, "why");
        ck_assert_int_eq(problem.retry_after_s > 0, codes[i].again);
        ck_assert_ptr_null(problem.field);
    }
    ck_assert_uint_eq(problem_of_node("news", "why", "").status, 502);
    ck_assert_str_eq(problem_of_node("malformed", "why", "to").field, "target");
    ck_assert_str_eq(problem_of_node("malformed", "why", "bio").field, "bio");
}
END_TEST

START_TEST(times_are_written_and_read_in_one_form)
{
    char text[REPLY_TIME_SIZE];
    uint64_t ms = 0;

    ck_assert_str_eq(reply_time(0, text), "1970-01-01T00:00:00.000Z");
    ck_assert_str_eq(reply_time(1774087200007, text), "2026-03-21T10:00:00.007Z");
    ck_assert_str_eq(reply_time(UINT64_MAX, text), "9999-12-31T23:59:59.615Z");
    ck_assert(reply_parse_time("2026-03-21T10:00:00.007Z", &ms));
    ck_assert_uint_eq(ms, 1774087200007);
    ck_assert(reply_parse_time("2026-03-21T10:00:00Z", &ms));
    ck_assert_uint_eq(ms, 1774087200000);
    ck_assert(reply_parse_time("2028-02-29T23:59:59Z", &ms));
}
END_TEST

START_TEST(what_is_no_date_is_refused)
{
    static const char *const bad[] = {
        "",
        "2026-03-21",
        "2026-03-21T10:00:00",
        "2026-03-21T10:00:00+01:00",
        "2026-03-21 10:00:00Z",
        "2026-02-30T10:00:00Z",
        "2027-02-29T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-00-01T10:00:00Z",
        "2026-03-21T24:00:00Z",
        "2026-03-21T10:60:00Z",
        "2026-03-21T10:00:60Z",
        "1969-12-31T23:59:59Z",
        "2026-03-21T10:00:00.0Z",
        "2026-03-21T10:00:00.000Zx",
    };
    uint64_t ms = 5;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!reply_parse_time(bad[i], &ms), "%s", bad[i]);
    ck_assert_uint_eq(ms, 5);
}
END_TEST

START_TEST(members_that_say_nothing_are_left_out)
{
    json_t *object = json_object();

    reply_word(object, "a", "");
    reply_word(object, "b", NULL);
    reply_text(object, "c", bytes_of("\xff", 1));
    reply_date(object, "d", 0);
    reply_base64(object, "e", bytes_of("", 0));
    reply_json(object, "f", bytes_of("", 0));
    ck_assert_uint_eq(json_object_size(object), 0);
    reply_base64(object, "g", bytes_of("\xff\xfe\xfd\xfc", 4));
    ck_assert_str_eq(text_of(object, "g"), "//79/A==");
    reply_number(object, "h", UINT64_MAX);
    ck_assert_int_eq(json_integer_value(json_object_get(object, "h")), INT64_MAX);
    json_decref(object);
}
END_TEST

START_TEST(json_of_a_peer_is_a_value_or_stays_bytes)
{
    json_t *object = json_object();

    reply_json(object, "payload", bytes_of_text("[1,{\"a\":null}]"));
    ck_assert(json_is_array(json_object_get(object, "payload")));
    reply_json(object, "result", bytes_of_text("{\"a\":1,\"a\":2}"));
    ck_assert_ptr_null(json_object_get(object, "result"));
    ck_assert_str_eq(text_of(object, "result_base64"), "eyJhIjoxLCJhIjoyfQ==");
    json_decref(object);
}
END_TEST

/* ---- reading ---- */

static bool reads(const char *text, size_t size)
{
    char problem[STRICT_JSON_PROBLEM_SIZE] = "";
    json_t *value = strict_json_read(bytes_of(text, size), problem);

    ck_assert_int_eq(value != NULL, problem[0] == 0);
    json_decref(value);
    return value;
}

START_TEST(nesting_ends_at_its_limit)
{
    char text[2 * STRICT_JSON_DEPTH_MAX + 2];
    size_t depth = STRICT_JSON_DEPTH_MAX;

    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    ck_assert(reads(text, 2 * depth));
    depth++;
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    ck_assert(!reads(text, 2 * depth));
    ck_assert(reads("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"", 68));
}
END_TEST

START_TEST(a_refusal_does_not_repeat_what_was_sent)
{
    static const char text[] = "{\"password\":\"hunter2\" hunter2";
    char problem[STRICT_JSON_PROBLEM_SIZE];

    ck_assert_ptr_null(strict_json_read(bytes_of(text, sizeof text - 1), problem));
    ck_assert_ptr_null(strstr(problem, "hunter2"));
    ck_assert_ptr_nonnull(strstr(problem, "line 1"));
}
END_TEST

static const char *faulty(const char *text, char name[128])
{
    char problem[STRICT_JSON_PROBLEM_SIZE];
    struct bytes found = bytes_of_text("not written");
    json_t *value = strict_json_read_members(bytes_of_text(text), problem, &found);

    ck_assert(!value || !found.data);
    json_decref(value);
    if (!found.data)
        return value ? "taken" : "none";
    snprintf(name, 128, "%.*s", (int)found.size, (const char *)found.data);
    return name;
}

START_TEST(a_fault_is_in_a_member)
{
    char deep[STRICT_JSON_DEPTH_MAX + 16] = "{\"a\":1,\"b\":", name[128];

    ck_assert_str_eq(faulty("{\"a\":1,\"b\":2}", name), "taken");
    ck_assert_str_eq(faulty("{\"a\":1,\"b\":2,\"a\":3}", name), "a");
    ck_assert_str_eq(faulty("{\"a\":\"b,\",\"c\":{\"d\":1,\"d\":2}}", name), "c");
    ck_assert_str_eq(faulty("{\"a\":\"x\\\"\",\"b\":\"\xff\",\"c\":1}", name), "b");
    ck_assert_str_eq(faulty("{\"a\":[1,\"b\"],\"c\":tru}", name), "c");
    ck_assert_str_eq(faulty("{\"a\":1,\"b\":\"not ended", name), "b");
    ck_assert_str_eq(faulty("{\"a\":1,\"b", name), "a");
    ck_assert_str_eq(faulty("{", name), "none");
    ck_assert_str_eq(faulty("\"", name), "none");
    ck_assert_str_eq(faulty("", name), "none");
    ck_assert_str_eq(faulty("[{\"a\":1},\"a\",]", name), "none");
    ck_assert_str_eq(faulty("]]}{\"a\":", name), "none");
    memset(deep + strlen(deep), '[', STRICT_JSON_DEPTH_MAX);
    ck_assert_str_eq(faulty(deep, name), "b");
}
END_TEST

static const char *member(const char *text, const char *name, char value[128])
{
    struct bytes found = strict_json_member(bytes_of_text(text), name);

    if (!found.data)
        return "none";
    snprintf(value, 128, "%.*s", (int)found.size, (const char *)found.data);
    return value;
}

START_TEST(a_member_is_given_byte_for_byte)
{
    char value[128];

    ck_assert_str_eq(member("{\"a\":1}", "a", value), "1");
    ck_assert_str_eq(member(" { \"b\" : [ 1 , {\"a\":\"}\"} ] , \"a\" : 1.50e1 } ", "a", value),
                     "1.50e1");
    ck_assert_str_eq(member(" { \"b\" : [ 1 , {\"a\":\"}\"} ] , \"a\" : 1.50e1 } ", "b", value),
                     "[ 1 , {\"a\":\"}\"} ]");
    ck_assert_str_eq(member("{\"x\":\"\\\"a\\\":2,\",\"a\":\"\\\\\"}", "a", value), "\"\\\\\"");
    ck_assert_str_eq(member("{}", "a", value), "none");
    ck_assert_str_eq(member(" { } ", "a", value), "none");
    ck_assert_str_eq(member("{\"x\":{\"a\":1}}", "a", value), "none");
    ck_assert_str_eq(member("{\"\\u0061\":1}", "a", value), "none");
    ck_assert_str_eq(member("{\"aa\":1,\"a\":\n[]\t}", "a", value), "[]");
}
END_TEST

/* ---- views ---- */

START_TEST(a_key_has_its_names_in_the_words_of_others)
{
    /* RFC 8037, appendix A.1: the key of RFC 8032, section 7.1, test 1. */
    static const uint8_t key[32] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7,
                                    0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
                                    0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25,
                                    0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
    Duck__CertificateView certificate = DUCK__CERTIFICATE_VIEW__INIT, *list[] = {&certificate};
    Duck__CertificateAnswer answer = DUCK__CERTIFICATE_ANSWER__INIT;
    json_t *object, *first;

    certificate.public_key.data = (uint8_t *)key;
    certificate.public_key.len = sizeof key;
    certificate.certificate_id = "crt_a";
    answer.identity = "dkl_a";
    answer.certificates = list;
    answer.n_certificates = 1;
    answer.valid = true;
    object = view_certificate(&answer);
    first = json_array_get(json_object_get(object, "certificates"), 0);
    ck_assert_str_eq(text_of(json_object_get(first, "jwk"), "x"),
                     "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    ck_assert_str_eq(text_of(first, "did"),
                     "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw");
    ck_assert_str_eq(text_of(object, "duckling_id"), "dkl_a");
    ck_assert_str_eq(text_of(object, "certificate_id"), "crt_a");
    ck_assert(json_is_true(json_object_get(object, "valid")));
    json_decref(object);
}
END_TEST

START_TEST(a_peck_is_done_when_its_state_says_so)
{
    Duck__PeckView peck = DUCK__PECK_VIEW__INIT;

    peck.kind = 1;
    peck.state = "approved";
    ck_assert(!view_peck_is_done(&peck));
    peck.kind = 2;
    ck_assert(view_peck_is_done(&peck));
    peck.state = "queued";
    ck_assert(!view_peck_is_done(&peck));
    peck.state = "news of a later release";
    ck_assert(!view_peck_is_done(&peck));
}
END_TEST

START_TEST(a_list_leaves_out_the_signed_bytes)
{
    Duck__PeckView peck = DUCK__PECK_VIEW__INIT;
    Duck__ReceiptView receipt = DUCK__RECEIPT_VIEW__INIT, *receipts[] = {&receipt};
    json_t *brief, *whole;

    peck.envelope.data = receipt.envelope.data = (uint8_t *)"abc";
    peck.envelope.len = receipt.envelope.len = 3;
    peck.receipts = receipts;
    peck.n_receipts = 1;
    brief = view_peck(&peck, VIEW_BRIEF);
    whole = view_peck(&peck, VIEW_WHOLE);
    ck_assert_str_eq(text_of(brief, "envelope"), "");
    ck_assert_str_eq(text_of(whole, "envelope"), "YWJj");
    ck_assert_str_eq(text_of(json_array_get(json_object_get(brief, "receipts"), 0), "envelope"),
                     "");
    ck_assert_str_eq(text_of(json_array_get(json_object_get(whole, "receipts"), 0), "envelope"),
                     "YWJj");
    json_decref(brief);
    json_decref(whole);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reply");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    strict_json_prepare();
    tcase_add_test(all, a_problem_tells_people_and_programs);
    tcase_add_test(all, what_the_node_says_no_to_has_its_status);
    tcase_add_test(all, times_are_written_and_read_in_one_form);
    tcase_add_test(all, what_is_no_date_is_refused);
    tcase_add_test(all, members_that_say_nothing_are_left_out);
    tcase_add_test(all, json_of_a_peer_is_a_value_or_stays_bytes);
    tcase_add_test(all, nesting_ends_at_its_limit);
    tcase_add_test(all, a_refusal_does_not_repeat_what_was_sent);
    tcase_add_test(all, a_fault_is_in_a_member);
    tcase_add_test(all, a_member_is_given_byte_for_byte);
    tcase_add_test(all, a_key_has_its_names_in_the_words_of_others);
    tcase_add_test(all, a_peck_is_done_when_its_state_says_so);
    tcase_add_test(all, a_list_leaves_out_the_signed_bytes);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
