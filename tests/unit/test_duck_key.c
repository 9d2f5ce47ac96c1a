/* Keys of a duckling that keeps its own, as the client makes, keeps and rotates them; no node is asked. */
#include "client/duck_key.h"
#include "core/certificate.h"
#include "core/jose.h"
#include "core/peck.h"
#include "folder.h"

#include <stdio.h>
#include <sys/stat.h>

static struct folder folder;
static struct arena arena;
static const char *problem;

static void set_up(void)
{
    ck_assert(identity_self_test());
    folder = folder_make();
    arena_init(&arena, 64 * MIB);
    problem = "";
}

static void tear_down(void)
{
    arena_free(&arena);
    folder_remove(&folder);
}

static struct duck_holder *made(const char *name)
{
    struct duck_holder *holder;

    ck_assert_msg(duck_key_make(name, folder_file(&folder, "key"), folder_file(&folder, "next"),
                                &problem) == 0,
                  "%s", problem);
    holder = duck_holder_open(folder_file(&folder, "key"), &problem);
    ck_assert_msg(holder != NULL, "%s", problem);
    return holder;
}

static struct chain chain_of(const struct duck_holder *holder)
{
    size_t size;
    const void *bytes = duck_holder_chain(holder, &size);
    struct chain chain;

    ck_assert_int_eq(chain_open(bytes_of(bytes, size), &arena, &chain), CERTIFICATE_TAKEN);
    return chain;
}

START_TEST(a_key_is_made_with_the_certificate_that_makes_its_duckling)
{
    struct duck_holder *holder = made("Vault");
    struct chain chain = chain_of(holder);
    struct stat status;
    char text[ID_TEXT_SIZE];

    ck_assert_int_eq(chain.kind, IDENTITY_DUCKLING);
    ck_assert_uint_eq(chain.count, 1);
    ck_assert_str_eq(id_text(ID_DUCKLING, &chain.identity, text), duck_holder_id(holder));
    ck_assert(bytes_equal(chain.certificates[0].display_name, bytes_of_text("Vault")));
    ck_assert_int_eq(stat(folder_file(&folder, "key"), &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    ck_assert_int_eq(stat(folder_file(&folder, "next"), &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    duck_holder_free(holder);
}
END_TEST

START_TEST(what_cannot_be_made_leaves_no_file)
{
    char name[NAME_MAX_BYTES + 2];
    struct stat status;

    memset(name, 'a', sizeof name);
    name[NAME_MAX_BYTES + 1] = 0;
    ck_assert_int_eq(
        duck_key_make(name, folder_file(&folder, "key"), folder_file(&folder, "next"), &problem),
        -1);
    ck_assert_int_eq(
        duck_key_make("", folder_file(&folder, "key"), folder_file(&folder, "next"), NULL), -1);
    name[NAME_MAX_BYTES] = 0;
    duck_holder_free(made(name));
    ck_assert_int_eq(duck_key_make("Other", folder_file(&folder, "key"),
                                   folder_file(&folder, "other"), &problem),
                     -1);
    ck_assert_int_ne(stat(folder_file(&folder, "other"), &status), 0);
    ck_assert_int_eq(duck_key_make("Other", folder_file(&folder, "third"),
                                   folder_file(&folder, "next"), &problem),
                     -1);
    ck_assert_int_ne(stat(folder_file(&folder, "third"), &status), 0);
}
END_TEST

START_TEST(what_others_tools_read_of_it_is_made_without_a_node)
{
    struct duck_holder *holder = made("Vault");
    enum certificate_verdict certified;
    const char *jws = duck_key_jws(holder);
    char text[ID_TEXT_SIZE];
    struct chain chain;

    ck_assert_int_eq(jose_open(bytes_of_text(jws), &arena, &chain, &certified), JOSE_TAKEN);
    ck_assert_str_eq(id_text(ID_DUCKLING, &chain.identity, text), duck_holder_id(holder));
    ck_assert_ptr_eq(duck_key_jws(holder), jws);
    duck_holder_free(holder);
}
END_TEST

START_TEST(the_next_key_takes_over_and_promises_another_one)
{
    struct duck_holder *holder = made("Vault"), *rotated, *again;
    struct chain before = chain_of(holder), after;

    rotated = duck_key_rotate(holder, folder_file(&folder, "next"), folder_file(&folder, "next2"),
                              &problem);
    ck_assert_msg(rotated != NULL, "%s", problem);
    after = chain_of(rotated);
    ck_assert_uint_eq(after.count, 2);
    ck_assert(id_equal(&after.identity, &before.identity));
    ck_assert(!chain_contradicts(&before, &after));
    again = duck_key_rotate(rotated, folder_file(&folder, "next2"), folder_file(&folder, "next3"),
                            &problem);
    ck_assert_msg(again != NULL, "%s", problem);
    ck_assert_uint_eq(chain_of(again).count, 3);
    duck_holder_free(again);
    duck_holder_free(rotated);
    duck_holder_free(holder);
}
END_TEST

START_TEST(a_key_that_was_not_promised_does_not_take_over)
{
    struct duck_holder *holder = made("Vault");
    struct stat status;

    ck_assert_int_eq(duck_key_make("Other", folder_file(&folder, "key2"),
                                   folder_file(&folder, "next2"), &problem),
                     0);
    ck_assert_ptr_null(duck_key_rotate(holder, folder_file(&folder, "next2"),
                                       folder_file(&folder, "next3"), &problem));
    ck_assert_ptr_nonnull(strstr(problem, "promised"));
    ck_assert_ptr_null(duck_key_rotate(holder, folder_file(&folder, "key2"),
                                       folder_file(&folder, "next3"), &problem));
    ck_assert_ptr_null(duck_key_rotate(holder, folder_file(&folder, "nowhere"),
                                       folder_file(&folder, "next3"), &problem));
    ck_assert_int_eq(chmod(folder_file(&folder, "next"), 0644), 0);
    ck_assert_ptr_null(duck_key_rotate(holder, folder_file(&folder, "next"),
                                       folder_file(&folder, "next3"), &problem));
    ck_assert_int_ne(stat(folder_file(&folder, "next3"), &status), 0);
    duck_holder_free(holder);
}
END_TEST

START_TEST(a_peck_is_made_as_its_receiver_wants_it)
{
    static const char target[] = "dkl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct duck_holder *holder = made("Vault");
    struct duck_peck wish = {.to = target,
                             .action = "query",
                             .payload = "{\"a\":1}",
                             .thread = "t",
                             .idempotency_key = "k",
                             .expires_in_ms = 5000};
    struct chain chain = chain_of(holder);
    struct duck_made_peck *peck;
    struct envelope envelope;
    struct peck parsed;
    char text[ID_TEXT_SIZE];
    const void *bytes;
    size_t size;

    peck = duck_peck_make(holder, "pond", &wish, &problem);
    ck_assert_msg(peck != NULL, "%s", problem);
    bytes = duck_made_bytes(peck, &size);
    ck_assert_int_eq(envelope_parse(bytes_of(bytes, size), ENVELOPE_PECK, &arena, &envelope),
                     ENVELOPE_TAKEN);
    ck_assert_int_eq(envelope_verify(&envelope, &chain.certificates[0].public_key, NULL),
                     ENVELOPE_TAKEN);
    ck_assert_int_eq(peck_parse(envelope.body, &arena, &parsed), PECK_OK);
    ck_assert(bytes_equal(parsed.network, bytes_of_text("pond")));
    ck_assert(id_equal(&parsed.from, &chain.identity));
    ck_assert_str_eq(id_text(ID_PECK, &parsed.id, text), duck_made_id(peck));
    ck_assert_uint_eq(parsed.expires_ms - parsed.created_ms, 5000);
    duck_made_free(peck);

    wish.to = "dkl_short";
    ck_assert_ptr_null(duck_peck_make(holder, NULL, &wish, &problem));
    wish.to = target;
    wish.from = target;
    ck_assert_ptr_null(duck_peck_make(holder, NULL, &wish, &problem));
    wish.from = NULL;
    wish.context = "work"; /* whose key is not here */
    ck_assert_ptr_null(duck_peck_make(holder, NULL, &wish, &problem));
    ck_assert_ptr_nonnull(strstr(problem, "context"));
    wish.context = "";
    wish.payload = "\xff";
    ck_assert_ptr_null(duck_peck_make(holder, NULL, &wish, &problem));
    wish.payload = "{}";
    wish.grant = "none";
    ck_assert_ptr_null(duck_peck_make(holder, NULL, &wish, &problem));
    duck_made_free(NULL);
    duck_holder_free(holder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("duck_key");
    TCase *tests = tcase_create("duck_key");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_key_is_made_with_the_certificate_that_makes_its_duckling);
    tcase_add_test(tests, what_cannot_be_made_leaves_no_file);
    tcase_add_test(tests, what_others_tools_read_of_it_is_made_without_a_node);
    tcase_add_test(tests, the_next_key_takes_over_and_promises_another_one);
    tcase_add_test(tests, a_key_that_was_not_promised_does_not_take_over);
    tcase_add_test(tests, a_peck_is_made_as_its_receiver_wants_it);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
