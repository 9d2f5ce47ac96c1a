#include "exchange.h"
#include "routes.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const char *found(const char *method, const char *path, struct route_match *match)
{
    return routes_find(method, path, match) == ROUTE_FOUND ? match->route->path : "";
}

START_TEST(a_path_is_found_by_its_method)
{
    struct route_match match;

    ck_assert_str_eq(found("POST", "/beak/peck", &match), "/beak/peck");
    ck_assert_ptr_eq(match.route->handle, route_peck);
    ck_assert_str_eq(found("GET", "/beak/", &match), "/beak/");
    ck_assert_ptr_eq(match.route->handle, route_probe);
}
END_TEST

START_TEST(an_id_is_taken_out_of_the_path)
{
    struct route_match match;

    ck_assert_str_eq(found("GET", "/beak/pecks/pck_abc", &match), "/beak/pecks/{id}");
    ck_assert(bytes_equal(match.id, bytes_of_text("pck_abc")));
    ck_assert_str_eq(found("GET", "/beak/pecks", &match), "/beak/pecks");
    ck_assert_ptr_null(match.id.data);
}
END_TEST

START_TEST(a_path_may_have_two_ids_and_parts_after_them)
{
    static const char *const others[] = {
        "/beak/webhooks/whk_a/", "/beak/webhooks/whk_a/testing", "/beak/webhooks//test",
        "/beak/webhooks/whk_a/deliveries/dlv_1", "/beak/webhooks/whk_a/deliveries/dlv_1/resend/"};
    struct route_match match;

    ck_assert_str_eq(found("POST", "/beak/webhooks/whk_a/deliveries/dlv_1/resend", &match),
                     "/beak/webhooks/{id}/deliveries/{delivery_id}/resend");
    ck_assert(bytes_equal(match.id, bytes_of_text("whk_a")));
    ck_assert(bytes_equal(match.second_id, bytes_of_text("dlv_1")));
    ck_assert_str_eq(found("POST", "/beak/webhooks/whk_a/test", &match),
                     "/beak/webhooks/{id}/test");
    ck_assert(bytes_equal(match.id, bytes_of_text("whk_a")));
    ck_assert_ptr_null(match.second_id.data);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert_int_eq(routes_find("POST", others[i], &match), ROUTE_NO_SUCH_PATH);
}
END_TEST

START_TEST(a_path_of_the_table_is_no_id_of_another)
{
    struct route_match match;

    ck_assert_str_eq(found("POST", "/beak/passkeys/challenge", &match), "/beak/passkeys/challenge");
    ck_assert_int_eq(routes_find("DELETE", "/beak/passkeys/challenge", &match), ROUTE_OTHER_METHOD);
    ck_assert_str_eq(match.allow, "POST, OPTIONS");
    ck_assert_str_eq(found("DELETE", "/beak/passkeys/psk_1", &match), "/beak/passkeys/{id}");
}
END_TEST
START_TEST(what_is_no_id_is_no_path)
{
    static const char *const paths[] = {"/beak/pecks/",    "/beak/pecks/A", "/beak/pecks/a/b",
                                        "/beak/pecks/a-b", "/beak/pecks/%", "/beak/pecks/.."};
    struct route_match match;

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        ck_assert_int_eq(routes_find("GET", paths[i], &match), ROUTE_NO_SUCH_PATH);
}
END_TEST

START_TEST(another_method_is_told_what_is_allowed)
{
    struct route_match match;

    ck_assert_int_eq(routes_find("DELETE", "/beak/peck", &match), ROUTE_OTHER_METHOD);
    ck_assert_str_eq(match.allow, "POST, OPTIONS");
    ck_assert_int_eq(routes_find("POST", "/beak/metrics", &match), ROUTE_OTHER_METHOD);
    ck_assert_str_eq(match.allow, "GET, HEAD, OPTIONS");
    ck_assert_int_eq(routes_find("get", "/beak/metrics", &match), ROUTE_OTHER_METHOD);
    ck_assert_int_eq(routes_find("OPTIONS", "/beak/metrics", &match), ROUTE_OPTIONS);
    ck_assert_int_eq(routes_find("OPTIONS", "*", &match), ROUTE_OPTIONS);
    ck_assert_int_eq(routes_find("GET", "*", &match), ROUTE_OTHER_METHOD);
    ck_assert_int_eq(routes_find("OPTIONS", "/nowhere", &match), ROUTE_NO_SUCH_PATH);
}
END_TEST

START_TEST(head_stands_for_get_where_get_changes_nothing)
{
    struct route_match match;

    ck_assert_str_eq(found("HEAD", "/beak/directory", &match), "/beak/directory");
    ck_assert_int_eq(routes_find("HEAD", "/beak/inbox", &match), ROUTE_OTHER_METHOD);
    ck_assert_str_eq(match.allow, "GET, OPTIONS");
    ck_assert_int_eq(routes_find("HEAD", "/beak/peck", &match), ROUTE_OTHER_METHOD);
}
END_TEST

START_TEST(no_two_rows_are_the_same_and_each_can_be_found)
{
    size_t count;
    const struct route *routes = routes_all(&count);
    struct route_match match;

    ck_assert_uint_gt(count, 25);
    for (size_t i = 0; i < count; i++) {
        char path[128], *end = path;

        for (const char *at = routes[i].path; *at; at++) {
            *end++ = *at == '{' ? 'x' : *at;
            at = *at == '{' ? strchr(at, '}') : at;
        }
        *end = 0;
        ck_assert_int_eq(routes_find(routes[i].method, path, &match), ROUTE_FOUND);
        ck_assert_ptr_eq(match.route, &routes[i]);
        ck_assert_ptr_nonnull(routes[i].handle);
    }
}
END_TEST

/* exchange.h keeps a fixed number of query members: no row may name more. */
START_TEST(no_row_names_more_query_members_than_a_request_holds)
{
    size_t count;
    const struct route *routes = routes_all(&count);

    for (size_t i = 0; i < count; i++) {
        size_t names = 0;

        for (const char *at = routes[i].query; at && *at;
             at += strcspn(at, " ") + !!strchr(at, ' '))
            names++;
        ck_assert_uint_le(names, EXCHANGE_QUERY_MAX);
        ck_assert(!routes[i].members ==
                  (!strcmp(routes[i].method, "GET") || !strcmp(routes[i].method, "DELETE")));
    }
}
END_TEST

START_TEST(a_name_is_a_whole_word_of_the_row)
{
    ck_assert(route_names("target action", bytes_of_text("action")));
    ck_assert(route_names("target action", bytes_of_text("target")));
    ck_assert(!route_names("target action", bytes_of_text("act")));
    ck_assert(!route_names("target action", bytes_of_text("target action")));
    ck_assert(!route_names("", bytes_of_text("")));
    ck_assert(!route_names(NULL, bytes_of_text("a")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("routes");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(all, a_path_is_found_by_its_method);
    tcase_add_test(all, an_id_is_taken_out_of_the_path);
    tcase_add_test(all, a_path_may_have_two_ids_and_parts_after_them);
    tcase_add_test(all, a_path_of_the_table_is_no_id_of_another);
    tcase_add_test(all, what_is_no_id_is_no_path);
    tcase_add_test(all, another_method_is_told_what_is_allowed);
    tcase_add_test(all, head_stands_for_get_where_get_changes_nothing);
    tcase_add_test(all, no_two_rows_are_the_same_and_each_can_be_found);
    tcase_add_test(all, no_row_names_more_query_members_than_a_request_holds);
    tcase_add_test(all, a_name_is_a_whole_word_of_the_row);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
