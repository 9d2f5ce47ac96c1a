#include "folder.h"
#include "options.h"

#include "client/duck_client.h"
#include "fault.h"
#include "network_file.h"
#include "passphrase.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODE_ID "nod_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DUCKLING_ID "dkl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct folder folder;
static struct options options;
static struct options_problem problem;

static void set_up(void)
{
    folder = folder_make();
    options_default(&options);
}

static void tear_down(void)
{
    folder_remove(&folder);
}

static const char *write_file(const char *name, const char *text, mode_t mode)
{
    const char *path = folder_file(&folder, name);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(fchmod(file, mode), 0);
    ck_assert_int_eq(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    return path;
}

static void expect_refused(const char *text, const char *says)
{
    const char *path = write_file("refused.conf", text, 0600);

    options_default(&options);
    ck_assert_msg(!options_read_file(&options, path, &problem), "taken: %s", text);
    ck_assert_msg(strstr(problem.text, says), "\"%s\" does not say \"%s\"", problem.text, says);
    ck_assert_ptr_nonnull(strstr(problem.text, path));
}

START_TEST(a_file_sets_what_it_names_and_leaves_the_rest)
{
    const char *path = write_file("duck.conf",
                                  "# the house\n"
                                  "[node]\n"
                                  "name = Ente \xc3\xbc\n"
                                  "network = pond-7\n"
                                  "state_dir = /srv/duck\n"
                                  "listen = 127.0.0.1:7000, [::1]:7000\n"
                                  "listen = 10.0.0.1:7001\n"
                                  "join = a.example:7117 " NODE_ID "@b.example:7117\n"
                                  "bond_own = yes\n"
                                  "[log]\n"
                                  "format = json ; for the collector\n"
                                  "level = debug\n"
                                  "[gateway]\n"
                                  "enabled = no\n"
                                  "[key]\n"
                                  "passphrase_file = /run/secret\n",
                                  0600);

    ck_assert_msg(options_read_file(&options, path, &problem), "%s", problem.text);
    ck_assert_msg(options_settle(&options, &problem), "%s", problem.text);
    ck_assert_str_eq(options.name, "Ente \xc3\xbc");
    ck_assert_str_eq(options.network, "pond-7");
    ck_assert_str_eq(options.state_dir, "/srv/duck");
    ck_assert_str_eq(options.socket, "/srv/duck/ducknode.sock");
    ck_assert(!options.socket_is_default);
    ck_assert_uint_eq(options.listen_count, 3);
    ck_assert_str_eq(options.listen[1], "[::1]:7000");
    ck_assert_uint_eq(options.join_count, 2);
    ck_assert_str_eq(options.join[1], NODE_ID "@b.example:7117");
    ck_assert(options.bond_own);
    ck_assert_int_eq(options.log_format, LOG_JSON);
    ck_assert_int_eq(options.log_level, LOG_DEBUG);
    ck_assert(!options.gateway_enabled);
    ck_assert_str_eq(options.gateway_listen, "127.0.0.1:7118");
    ck_assert_str_eq(options.passphrase_file, "/run/secret");
}
END_TEST

START_TEST(what_the_gateway_alone_understands_is_handed_on)
{
    const char *path = write_file("passed.conf",
                                  "[gateway]\n"
                                  "captcha = pow\n"
                                  "captcha_bits = 20\n"
                                  "passkey_origin = https://a.example, https://b.example\n",
                                  0600);
    char printed[8192] = "", many[4096] = "[gateway]\n";
    FILE *file;

    ck_assert_msg(options_read_file(&options, path, &problem), "%s", problem.text);
    ck_assert_uint_eq(options.gateway_passed_count, 3);
    ck_assert_str_eq(options.gateway_passed[0], "--captcha=pow");
    ck_assert_str_eq(options.gateway_passed[1], "--captcha-bits=20");
    ck_assert_str_eq(options.gateway_passed[2],
                     "--passkey-origin=https://a.example, https://b.example");
    file = fmemopen(printed, sizeof printed, "w");
    options_print(&options, file);
    fclose(file);
    ck_assert_ptr_nonnull(strstr(printed, "\ncaptcha = pow\ncaptcha_bits = 20\n"));
    ck_assert(options_set(&options, "gateway", "connections_per_address", "5", &problem));
    ck_assert_str_eq(options.gateway_passed[3], "--connections-per-address=5");
    for (size_t i = 0; i <= OPTIONS_PASSED_MAX; i++)
        strcat(many, "captcha_allow = 127.0.0.1\n");
    expect_refused(many, "captcha_allow");
}
END_TEST

START_TEST(what_is_not_known_is_refused_by_its_name_and_line)
{
    expect_refused("[node]\nname = a\ncolour = blue\n", ":3: [node] has no key colour");
    expect_refused("[pond]\nname = a\n", ":2: there is no section [pond]");
    expect_refused("name = a\n", ":1: name stands before any [section]");
    expect_refused("[node]\nquack\n", ":2: ");
    expect_refused("[node\nname = a\n", ":1: ");
}
END_TEST

START_TEST(values_that_make_no_sense_are_refused)
{
    expect_refused("[node]\nname =\n", "[node] name");
    expect_refused("[node]\nname = a\x01z\n", "control characters");
    expect_refused("[node]\nname = \xff\n", "UTF-8");
    expect_refused("[node]\nname = a\xE2\x80\xAEz\n", "turn round");
    expect_refused("[node]\nnetwork = Two Words\n", "it is made of a-z");
    expect_refused("[node]\nlisten = nowhere\n", "host:port");
    expect_refused("[node]\nlisten = host:65536\n", "host:port");
    expect_refused("[node]\nlisten = :7117\n", "host:port");
    expect_refused("[node]\nadvertise = " NODE_ID "@a:1\n", "host:port");
    expect_refused("[node]\njoin = nod_short@a.example:1\n", "nod_...@host:port");
    expect_refused("[node]\nbond_own = true\n", "yes or no");
    expect_refused("[log]\nformat = xml\n", "text or json");
    expect_refused("[log]\nlevel = loud\n", "error, warning, info or debug");
    expect_refused("[gateway]\nlisten = 127.0.0.1\n", "host:port");
}
END_TEST

/* "10.0.0.0/8 # ours" would else be four words, and a path one that no file has. */
START_TEST(a_comment_behind_a_value_begins_with_a_semicolon)
{
    const char *path = write_file("comments.conf",
                                  "# a line\n; another\n[node]\nname = Duck #2\n"
                                  "listen = 127.0.0.1:1 ; here\n"
                                  "[handler a]\nduckling = " DUCKLING_ID "\n"
                                  "argv = /bin/a b#c \"#d e\" ; words\n",
                                  0600);

    ck_assert_msg(options_read_file(&options, path, &problem), "%s", problem.text);
    ck_assert_str_eq(options.name, "Duck #2");
    ck_assert_str_eq(options.listen[0], "127.0.0.1:1");
    ck_assert_uint_eq(options.handlers.list[0].word_count, 3);
    ck_assert_mem_eq(options.handlers.list[0].words, "/bin/a\0b#c\0#d e", 16);
    expect_refused("[gateway]\nmetrics_allow = 10.0.0.0/8 # ours\n",
                   ":2: behind a value a comment");
    expect_refused("[gateway]\ntls_key_file = /etc/key.pem\t#\n", ":2: behind a value a comment");
    expect_refused("[handler a]\nargv = /bin/a #b\n", ":2: behind a value a comment");
}
END_TEST

START_TEST(names_are_as_long_as_they_may_be_and_not_longer)
{
    char value[NAME_MAX_BYTES + 2];

    memset(value, 'a', sizeof value);
    value[NAME_MAX_BYTES] = 0;
    ck_assert(options_set(&options, "node", "name", value, &problem));
    value[NAME_MAX_BYTES] = 'a';
    value[NAME_MAX_BYTES + 1] = 0;
    ck_assert(!options_set(&options, "node", "name", value, &problem));
    value[NETWORK_ID_MAX] = 0;
    ck_assert(options_set(&options, "node", "network", value, &problem));
    value[NETWORK_ID_MAX] = 'a';
    value[NETWORK_ID_MAX + 1] = 0;
    ck_assert(!options_set(&options, "node", "network", value, &problem));
}
END_TEST

START_TEST(lists_are_as_long_as_they_may_be_and_not_longer)
{
    for (unsigned i = 0; i < NODE_ADDRESSES_MAX; i++)
        ck_assert(options_set(&options, "node", "listen", "127.0.0.1:0", &problem));
    ck_assert(!options_set(&options, "node", "listen", "127.0.0.1:0", &problem));
    ck_assert_ptr_nonnull(strstr(problem.text, "more than 8"));
    for (unsigned i = 0; i < OPTIONS_JOIN_MAX; i++)
        ck_assert(options_set(&options, "node", "join", "a:1", &problem));
    ck_assert(!options_set(&options, "node", "join", "a:1", &problem));
    options_clear_list(&options, "listen");
    ck_assert_uint_eq(options.listen_count, 0);
    ck_assert_uint_eq(options.join_count, OPTIONS_JOIN_MAX);
}
END_TEST

START_TEST(a_line_that_is_too_long_is_refused_and_a_long_one_is_not)
{
    char *text = calloc(1, OPTIONS_LINE_MAX + 64);

    strcpy(text, "[gateway]\nprogram = /");
    memset(text + strlen(text), 'a', 3000);
    ck_assert(options_read_file(&options, write_file("long.conf", text, 0600), &problem));
    ck_assert_uint_eq(strlen(options.gateway_program), 3001);
    memset(text + strlen(text), 'a', OPTIONS_LINE_MAX - 3000);
    expect_refused(text, ":2: this line is too long");
    free(text);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_said_so)
{
    ck_assert(!options_read_file(&options, folder_file(&folder, "none"), &problem));
    ck_assert_ptr_nonnull(strstr(problem.text, "No such file"));
}
END_TEST

START_TEST(a_socket_path_of_107_bytes_is_taken_and_one_of_108_refused)
{
    char path[SOCKET_PATH_MAX + 2] = "/";

    memset(path + 1, 's', SOCKET_PATH_MAX - 1);
    ck_assert(options_set(&options, "node", "socket", path, &problem));
    ck_assert(options_settle(&options, &problem));
    path[SOCKET_PATH_MAX] = 's';
    ck_assert(options_set(&options, "node", "socket", path, &problem));
    ck_assert(!options_settle(&options, &problem));
    ck_assert_ptr_nonnull(strstr(problem.text, "107 bytes"));
}
END_TEST

START_TEST(a_state_dir_too_deep_for_a_socket_is_refused)
{
    char path[200] = "/";

    memset(path + 1, 's', 150);
    ck_assert(options_set(&options, "node", "state_dir", path, &problem));
    ck_assert(!options_settle(&options, &problem));
    ck_assert_ptr_nonnull(strstr(problem.text, "--socket"));
}
END_TEST

START_TEST(the_default_socket_is_the_clients)
{
    char path[OPTIONS_PATH_SIZE];

    ck_assert(options_settle(&options, &problem));
    ck_assert_str_eq(options.socket, duck_default_socket(path, sizeof path));
    ck_assert(options.socket_is_default);
}
END_TEST

START_TEST(a_state_folder_says_which_network_and_no_other_is_taken)
{
    write_file("network", "demo\n", 0600);
    ck_assert(options_set(&options, "node", "state_dir", folder.path, &problem));
    ck_assert(options_settle(&options, &problem));
    ck_assert_str_eq(options.network, "demo");
    ck_assert(options_set(&options, "node", "network", "demo", &problem));
    ck_assert(options_settle(&options, &problem));
    ck_assert(options_set(&options, "node", "network", "other", &problem));
    ck_assert(!options_settle(&options, &problem));
    ck_assert_ptr_nonnull(strstr(problem.text, "of network demo, not of other"));
}
END_TEST

START_TEST(a_network_file_is_written_once_and_one_that_names_none_is_written_anew)
{
    static const char *const broken[] = {"", "\n", "demo", "De mo\n",
                                         "a23456789012345678901234567890123\n"};
    char network[NETWORK_ID_MAX + 1];

    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        write_file("network", broken[i], 0600);
        ck_assert(!network_file_read(folder.path, network));
    }
    ck_assert_int_eq(network_file_keep(folder.path, "a2345678901234567890123456789012"), 0);
    ck_assert_int_eq(network_file_keep(folder.path, "other"), 0);
    ck_assert(network_file_read(folder.path, network));
    ck_assert_str_eq(network, "a2345678901234567890123456789012");
    ck_assert_int_eq(network_file_keep("/none/such", "demo"), FAULT_FILE);
}
END_TEST

static char *print(const struct options *printed, const char *name)
{
    const char *path = folder_file(&folder, name);
    FILE *file = fopen(path, "w");

    options_print(printed, file);
    fclose(file);
    return file_read(path, NULL);
}

START_TEST(what_is_printed_reads_back_to_the_same)
{
    struct options again;
    char *first, *second;

    ck_assert(options_set(&options, "node", "state_dir", "/srv/duck", &problem));
    ck_assert(options_set(&options, "node", "listen", "127.0.0.1:1 127.0.0.1:2", &problem));
    ck_assert(options_set(&options, "node", "join", NODE_ID "@a:1", &problem));
    ck_assert(options_set(&options, "log", "level", "warning", &problem));
    ck_assert(options_set(&options, "gateway", "public_url", "https://duck.example", &problem));
    ck_assert(options_settle(&options, &problem));
    first = print(&options, "first.conf");
    options_default(&again);
    ck_assert_msg(options_read_file(&again, folder_file(&folder, "first.conf"), &problem), "%s",
                  problem.text);
    ck_assert(options_settle(&again, &problem));
    second = print(&again, "second.conf");
    ck_assert_str_eq(first, second);
    ck_assert_ptr_nonnull(strstr(second, "[node]\n"));
    ck_assert_ptr_nonnull(strstr(second, "listen = 127.0.0.1:2\n"));
    ck_assert_ptr_nonnull(strstr(second, "level = warning\n"));
    free(first);
    free(second);
}
END_TEST

START_TEST(words_that_look_like_comments_are_printed_as_they_are_read)
{
    struct options again;
    char *first, *second;

    ck_assert(options_set(&options, "handler a", "duckling", DUCKLING_ID, &problem));
    ck_assert(options_set(&options, "handler a", "argv", "/bin/a \"#\" \"a;\"", &problem));
    first = print(&options, "first.conf");
    options_default(&again);
    ck_assert_msg(options_read_file(&again, folder_file(&folder, "first.conf"), &problem), "%s",
                  problem.text);
    second = print(&again, "second.conf");
    ck_assert_str_eq(first, second);
    ck_assert_ptr_nonnull(strstr(second, "argv = /bin/a \"#\" \"a;\"\n"));
    free(first);
    free(second);
}
END_TEST

/* ---- the passphrase ---- */

static int read_passphrase(const char *text, mode_t mode, struct passphrase *passphrase)
{
    strcpy(options.passphrase_file, write_file("passphrase", text, mode));
    return passphrase_read(&options, passphrase);
}

START_TEST(a_passphrase_comes_from_its_file_without_the_line_end)
{
    struct passphrase passphrase;

    ck_assert_int_eq(read_passphrase("ducks in a row \n", 0600, &passphrase), 0);
    ck_assert_uint_eq(passphrase.size, 15);
    ck_assert_mem_eq(passphrase.data, "ducks in a row ", 15);
    passphrase_forget(&passphrase);
    ck_assert_uint_eq(passphrase.size, 0);
    ck_assert_uint_eq(passphrase.data[0], 0);
}
END_TEST

START_TEST(a_passphrase_file_that_others_may_read_is_refused)
{
    struct passphrase passphrase;

    ck_assert_int_eq(read_passphrase("secret", 0640, &passphrase), FAULT_PERMISSIONS);
    ck_assert_int_eq(read_passphrase("secret", 0604, &passphrase), FAULT_PERMISSIONS);
}
END_TEST

START_TEST(a_passphrase_file_that_is_empty_missing_or_too_large_is_refused)
{
    struct passphrase passphrase;
    char text[PASSPHRASE_MAX + 2];

    ck_assert_int_eq(read_passphrase("\n", 0600, &passphrase), FAULT_CONFIG);
    memset(text, 'a', sizeof text);
    text[PASSPHRASE_MAX] = 0;
    ck_assert_int_eq(read_passphrase(text, 0600, &passphrase), 0);
    ck_assert_uint_eq(passphrase.size, PASSPHRASE_MAX);
    text[PASSPHRASE_MAX] = 'a';
    text[PASSPHRASE_MAX + 1] = 0;
    ck_assert_int_eq(read_passphrase(text, 0600, &passphrase), FAULT_CONFIG);
    strcpy(options.passphrase_file, folder_file(&folder, "none"));
    ck_assert_int_eq(passphrase_read(&options, &passphrase), FAULT_FILE);
}
END_TEST

START_TEST(a_link_to_a_passphrase_is_refused)
{
    struct passphrase passphrase;
    const char *target = write_file("target", "secret", 0600);

    ck_assert_int_eq(symlink(target, folder_file(&folder, "link")), 0);
    strcpy(options.passphrase_file, folder_file(&folder, "link"));
    ck_assert_int_eq(passphrase_read(&options, &passphrase), FAULT_FILE);
}
END_TEST

START_TEST(systemd_hands_a_passphrase_over_in_its_folder)
{
    struct passphrase passphrase;

    ck_assert_int_eq(passphrase_read(&options, &passphrase), 0);
    ck_assert_uint_eq(passphrase.size, 0);
    setenv("CREDENTIALS_DIRECTORY", folder.path, 1);
    ck_assert_int_eq(passphrase_read(&options, &passphrase), 0);
    ck_assert_uint_eq(passphrase.size, 0);
    write_file("ducknode-passphrase", "from systemd", 0440);
    ck_assert_int_eq(passphrase_read(&options, &passphrase), 0);
    ck_assert_uint_eq(passphrase.size, 12);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tests = tcase_create("options");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_file_sets_what_it_names_and_leaves_the_rest);
    tcase_add_test(tests, what_the_gateway_alone_understands_is_handed_on);
    tcase_add_test(tests, what_is_not_known_is_refused_by_its_name_and_line);
    tcase_add_test(tests, values_that_make_no_sense_are_refused);
    tcase_add_test(tests, a_comment_behind_a_value_begins_with_a_semicolon);
    tcase_add_test(tests, words_that_look_like_comments_are_printed_as_they_are_read);
    tcase_add_test(tests, names_are_as_long_as_they_may_be_and_not_longer);
    tcase_add_test(tests, lists_are_as_long_as_they_may_be_and_not_longer);
    tcase_add_test(tests, a_line_that_is_too_long_is_refused_and_a_long_one_is_not);
    tcase_add_test(tests, a_file_that_is_not_there_is_said_so);
    tcase_add_test(tests, a_socket_path_of_107_bytes_is_taken_and_one_of_108_refused);
    tcase_add_test(tests, a_state_dir_too_deep_for_a_socket_is_refused);
    tcase_add_test(tests, the_default_socket_is_the_clients);
    tcase_add_test(tests, a_state_folder_says_which_network_and_no_other_is_taken);
    tcase_add_test(tests, a_network_file_is_written_once_and_one_that_names_none_is_written_anew);
    tcase_add_test(tests, what_is_printed_reads_back_to_the_same);
    tcase_add_test(tests, a_passphrase_comes_from_its_file_without_the_line_end);
    tcase_add_test(tests, a_passphrase_file_that_others_may_read_is_refused);
    tcase_add_test(tests, a_passphrase_file_that_is_empty_missing_or_too_large_is_refused);
    tcase_add_test(tests, a_link_to_a_passphrase_is_refused);
    tcase_add_test(tests, systemd_hands_a_passphrase_over_in_its_folder);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
