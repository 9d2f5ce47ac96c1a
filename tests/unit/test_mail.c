#include "folder.h"
#include "gate_fault.h"
#include "gate_store.h"
#include "mail.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>

static struct folder folder;
static char complaints[1024]; /* of the mail's thread; read after mail_close or mail_flush */

static void setup(void)
{
    folder = folder_make();
    complaints[0] = '\0';
}

static void teardown(void)
{
    folder_remove(&folder);
}

static void trouble(void *context, const char *text)
{
    (void)context;
    strncat(complaints, text, sizeof complaints - strlen(complaints) - 1);
}

static const struct mail_letter letter = {
    .to = "duck@example.com", .subject = "Your code", .text = "Hello.\n\nYour code: 123456\n"};

/* The letters of a gateway with a mail server are kept in its database. */
static const struct gate_key key = {{1, 2, 3}};

static struct mail *open_server(struct mail_settings settings)
{
    const char *path = folder_file(&folder, "gateway.db");
    struct gate_store *store = NULL;
    struct mail *mail = NULL;

    ck_assert_int_eq(gate_store_open(&store, path), 0);
    gate_store_close(store);
    settings.store_path = path;
    settings.key = &key;
    ck_assert_int_eq(mail_open(&mail, &settings, trouble, NULL), 0);
    return mail;
}

static struct mail *open_files(void)
{
    const char *path = folder_file(&folder, "mail");
    const struct mail_settings settings = {.folder = path};
    struct mail *mail = NULL;

    ck_assert_int_eq(mail_open(&mail, &settings, trouble, NULL), 0);
    return mail;
}

START_TEST(without_a_server_a_letter_is_a_file)
{
    struct mail *mail = open_files();
    char *text;
    size_t count;

    ck_assert(mail_give(mail, &letter));
    text = newest_letter(folder_file(&folder, "mail"), &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_ptr_nonnull(strstr(text, "\nTo: duck@example.com\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nSubject: Your code\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n\nHello.\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nYour code: 123456\n"));
    free(text);
    mail_close(mail);
}
END_TEST

START_TEST(letters_are_private_and_in_order)
{
    struct mail *mail = open_files();
    struct mail_letter second = letter;
    struct dirent **entries;
    struct stat status;
    char *text;
    size_t count;

    second.subject = "The second";
    ck_assert(mail_give(mail, &letter));
    ck_assert(mail_give(mail, &second));
    text = newest_letter(folder_file(&folder, "mail"), &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_ptr_nonnull(strstr(text, "Subject: The second\n"));
    free(text);
    ck_assert_int_eq(scandir(folder_file(&folder, "mail"), &entries, folder_is_letter, alphasort),
                     2);
    for (int i = 0; i < 2; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder_file(&folder, "mail"), entries[i]->d_name);
        ck_assert_int_eq(stat(path, &status), 0);
        ck_assert_uint_eq(status.st_mode & 0777, 0600);
        free(entries[i]);
    }
    free(entries);
    ck_assert_int_eq(stat(folder_file(&folder, "mail"), &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0700);
    mail_close(mail);
}
END_TEST

START_TEST(the_oldest_letter_makes_room)
{
    struct mail *mail = open_files();
    size_t count;

    for (int i = 0; i < MAIL_FILES_MAX + 1; i++)
        ck_assert(mail_give(mail, &letter));
    free(newest_letter(folder_file(&folder, "mail"), &count));
    ck_assert_uint_eq(count, MAIL_FILES_MAX);
    mail_close(mail);
}
END_TEST

START_TEST(a_line_break_in_an_address_or_subject_is_refused)
{
    struct mail *mail = open_files();
    struct mail_letter bad = letter;
    const char *addresses[] = {"a@b\r\nRCPT TO:<c@d>", "a@b\n", "<a@b>", "a@b,c@d", "a b@c", ""};
    size_t count;

    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        bad.to = addresses[i];
        ck_assert_msg(!mail_give(mail, &bad), "%s", addresses[i]);
    }
    bad = letter;
    bad.subject = "Hello\nBcc: other@example.com";
    ck_assert(!mail_give(mail, &bad));
    bad = letter;
    bad.text = "a bell: \a\n";
    ck_assert(!mail_give(mail, &bad));
    free(newest_letter(folder_file(&folder, "mail"), &count));
    ck_assert_uint_eq(count, 0);
    mail_close(mail);
}
END_TEST

START_TEST(a_folder_that_others_may_read_is_refused)
{
    const char *path = folder_file(&folder, "mail");
    const struct mail_settings settings = {.folder = path};
    struct mail *mail = NULL;

    ck_assert_int_eq(mkdir(path, 0755), 0);
    ck_assert_int_eq(mail_open(&mail, &settings, NULL, NULL), GATE_FAULT_PERMISSIONS);
}
END_TEST

START_TEST(settings_that_make_no_sense_are_refused)
{
    const char *path = folder_file(&folder, "credentials");
    struct mail_settings settings = {.smtp_url = "http://mail.example.com"};
    struct mail *mail = NULL;
    int file;

    ck_assert_int_eq(mail_open(&mail, &settings, NULL, NULL), GATE_FAULT_CONFIG);
    settings = (struct mail_settings){0};
    ck_assert_int_eq(mail_open(&mail, &settings, NULL, NULL), GATE_FAULT_CONFIG);
    settings = (struct mail_settings){.smtp_url = "smtp://localhost", .from = "a@b\r\nDATA"};
    ck_assert_int_eq(mail_open(&mail, &settings, NULL, NULL), GATE_FAULT_CONFIG);
    settings = (struct mail_settings){
        .smtp_url = "smtp://duck:quack@localhost", .store_path = "gateway.db", .key = &key};
    ck_assert_int_eq(mail_open(&mail, &settings, NULL, NULL), GATE_FAULT_CONFIG);
    settings.smtp_url = "smtp://localhost";
    settings.credentials_path = path;
    ck_assert_int_eq(mail_open(&mail, &settings, NULL, NULL), GATE_FAULT_FILE);
    file = open(path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(write(file, "user only\n", 10), 10);
    ck_assert_int_eq(mail_open(&mail, &settings, NULL, NULL), GATE_FAULT_CONFIG);
    ck_assert_int_eq(fchmod(file, 0644), 0);
    ck_assert_int_eq(mail_open(&mail, &settings, NULL, NULL), GATE_FAULT_PERMISSIONS);
    close(file);
}
END_TEST

/* ---- a server of a few words ---- */

struct server {
    int listener;
    char url[64];
    const char *data_answer; /* to the end of a letter; NULL: hangs up before the greeting */
    const char *capability;  /* one more line of EHLO's answer, or NULL */
    int sessions;            /* to serve */
    char heard[16384];
    pthread_t thread;
};

static bool hear_line(struct server *server, FILE *stream, char *line, size_t size)
{
    if (!fgets(line, (int)size, stream))
        return false;
    strncat(server->heard, line, sizeof server->heard - strlen(server->heard) - 1);
    return true;
}

static void say(FILE *stream, const char *text)
{
    fputs(text, stream);
    fflush(stream);
}

static void serve_session(struct server *server, FILE *stream)
{
    char line[1024];

    if (!server->data_answer)
        return;
    say(stream, "220 pond\r\n");
    while (hear_line(server, stream, line, sizeof line)) {
        if (strncmp(line, "EHLO", 4) == 0) {
            if (server->capability)
                say(stream, server->capability);
            say(stream, "250 pond\r\n");
        } else if (strncmp(line, "AUTH", 4) == 0) {
            say(stream, "334 \r\n");
            if (!hear_line(server, stream, line, sizeof line))
                return;
            say(stream, "235 fine\r\n");
        } else if (strncmp(line, "DATA", 4) == 0) {
            say(stream, "354 go on\r\n");
            while (hear_line(server, stream, line, sizeof line) && strcmp(line, ".\r\n") != 0)
                ;
            say(stream, server->data_answer);
        } else if (strncmp(line, "QUIT", 4) == 0) {
            say(stream, "221 bye\r\n");
            return;
        } else {
            say(stream, "250 fine\r\n");
        }
    }
}

static void *serve(void *argument)
{
    struct server *server = argument;

    for (int i = 0; i < server->sessions; i++) {
        int link = accept(server->listener, NULL, NULL);
        FILE *stream = link < 0 ? NULL : fdopen(link, "r+");
        if (!stream)
            break;
        serve_session(server, stream);
        fclose(stream);
    }
    return NULL;
}

static void server_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(server->listener, 8), 0);
    ck_assert_int_eq(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    snprintf(server->url, sizeof server->url, "smtp://127.0.0.1:%d", ntohs(address.sin_port));
    ck_assert_int_eq(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_join(struct server *server)
{
    pthread_join(server->thread, NULL);
    close(server->listener);
}

START_TEST(with_a_server_a_letter_goes_there)
{
    struct server server = {.data_answer = "250 taken\r\n", .sessions = 1};
    struct mail_settings settings = {.smtp_in_clear = true, .from = "pond@example.com"};
    struct mail_letter dotted = letter;
    struct mail *mail = NULL;

    dotted.text = "Hello.\n.\nYour code: 123456\n";
    server_start(&server);
    settings.smtp_url = server.url;
    mail = open_server(settings);
    ck_assert(mail_give(mail, &dotted));
    mail_flush(mail);
    mail_close(mail);
    server_join(&server);
    ck_assert_ptr_nonnull(strstr(server.heard, "MAIL FROM:<pond@example.com>"));
    ck_assert_ptr_nonnull(strstr(server.heard, "RCPT TO:<duck@example.com>"));
    ck_assert_ptr_nonnull(strstr(server.heard, "\r\nTo: duck@example.com\r\n"));
    ck_assert_ptr_nonnull(strstr(server.heard, "\r\n..\r\nYour code: 123456\r\n"));
    ck_assert_str_eq(complaints, "");
}
END_TEST

START_TEST(credentials_come_from_the_file)
{
    struct server server = {
        .data_answer = "250 taken\r\n", .capability = "250-AUTH PLAIN\r\n", .sessions = 1};
    struct mail_settings settings = {.smtp_in_clear = true};
    struct mail *mail = NULL;
    FILE *file = fopen(folder_file(&folder, "credentials"), "w");

    fputs("duck\nquack\n", file);
    fchmod(fileno(file), 0600);
    fclose(file);
    server_start(&server);
    settings.smtp_url = server.url;
    settings.credentials_path = folder_file(&folder, "credentials");
    mail = open_server(settings);
    ck_assert(mail_give(mail, &letter));
    mail_flush(mail);
    mail_close(mail);
    server_join(&server);
    /* base64 of "\0duck\0quack" (RFC 4616) */
    ck_assert_ptr_nonnull(strstr(server.heard, "AGR1Y2sAcXVhY2s="));
    ck_assert_str_eq(complaints, "");
}
END_TEST

START_TEST(a_server_without_tls_gets_nothing_unless_allowed)
{
    struct server server = {.data_answer = "250 taken\r\n", .sessions = 1};
    struct mail_settings settings = {0};
    struct mail *mail = NULL;

    server_start(&server);
    settings.smtp_url = server.url;
    mail = open_server(settings);
    ck_assert(mail_give(mail, &letter));
    server_join(&server); /* one try was made, and left */
    ck_assert_uint_eq(mail_waiting(mail, NULL), 1);
    mail_close(mail); /* cuts the pause before the next short */
    ck_assert_ptr_null(strstr(server.heard, "RCPT"));
    ck_assert_ptr_null(strstr(server.heard, "123456"));
}
END_TEST

START_TEST(a_letter_that_is_refused_for_good_is_not_tried_again)
{
    struct server server = {.data_answer = "554 no\r\n", .sessions = 1};
    struct mail_settings settings = {.smtp_in_clear = true};
    struct mail *mail = NULL;

    server_start(&server);
    settings.smtp_url = server.url;
    mail = open_server(settings);
    ck_assert(mail_give(mail, &letter));
    mail_flush(mail);
    mail_close(mail);
    server_join(&server);
    ck_assert_ptr_nonnull(strstr(complaints, "a letter was given up"));
    ck_assert_ptr_nonnull(strstr(complaints, "554"));
    ck_assert_ptr_null(strstr(complaints, "example.com")); /* the log names nobody */
}
END_TEST

START_TEST(a_letter_that_fails_once_is_tried_again)
{
    struct server server = {.data_answer = NULL, .sessions = 1};
    struct mail_settings settings = {.smtp_in_clear = true};
    struct mail *mail = NULL;

    server_start(&server);
    settings.smtp_url = server.url;
    mail = open_server(settings);
    ck_assert(mail_give(mail, &letter));
    pthread_join(server.thread, NULL); /* hung up on once */
    server.data_answer = "250 taken\r\n";
    ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, &server), 0);
    mail_flush(mail);
    mail_close(mail);
    server_join(&server);
    ck_assert_ptr_nonnull(strstr(server.heard, "Your code: 123456"));
    ck_assert_ptr_nonnull(strstr(complaints, "the server cannot be used"));
}
END_TEST

START_TEST(a_letter_outlives_the_gateway)
{
    struct server server = {.data_answer = NULL, .sessions = 1};
    struct mail_settings settings = {.smtp_in_clear = true};
    struct mail *mail = NULL;

    server_start(&server);
    settings.smtp_url = server.url;
    mail = open_server(settings);
    ck_assert(mail_give(mail, &letter));
    pthread_join(server.thread, NULL); /* hung up on once */
    mail_close(mail);
    server.data_answer = "250 taken\r\n";
    ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, &server), 0);
    mail = open_server(settings);
    mail_flush(mail);
    mail_close(mail);
    server_join(&server);
    ck_assert_ptr_nonnull(strstr(server.heard, "Your code: 123456"));
}
END_TEST

START_TEST(a_letter_that_waits_is_sealed)
{
    struct mail_settings settings = {.smtp_url = "smtp://127.0.0.1:1", .smtp_in_clear = true};
    struct mail *mail = open_server(settings);
    const char *names[] = {"gateway.db", "gateway.db-wal"};

    ck_assert(mail_give(mail, &letter));
    ck_assert_uint_eq(mail_waiting(mail, "Duck@example.com"), 1);
    ck_assert_uint_eq(mail_waiting(mail, "other@example.com"), 0);
    for (size_t i = 0; i < 2; i++) {
        size_t size;
        char *bytes = file_read(folder_file(&folder, names[i]), &size);
        ck_assert_ptr_nonnull(bytes);
        ck_assert_ptr_null(memmem(bytes, size, "123456", 6));
        ck_assert_ptr_null(memmem(bytes, size, "Your code", 9));
        free(bytes);
    }
    mail_close(mail);
}
END_TEST

START_TEST(a_letter_goes_later_when_the_server_asks_for_it)
{
    struct server server = {.data_answer = "451 greylisted\r\n", .sessions = 1};
    struct mail_settings settings = {.smtp_in_clear = true};
    struct mail *mail = NULL;

    server_start(&server);
    settings.smtp_url = server.url;
    mail = open_server(settings);
    ck_assert(mail_give(mail, &letter));
    pthread_join(server.thread, NULL);
    server.data_answer = "250 taken\r\n";
    ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, &server), 0);
    mail_flush(mail);
    mail_close(mail);
    server_join(&server);
    ck_assert_ptr_nonnull(strstr(complaints, "a letter goes later"));
    ck_assert_ptr_nonnull(strstr(complaints, "451"));
    ck_assert_ptr_null(strstr(complaints, "example.com"));
}
END_TEST

START_TEST(a_letter_of_no_use_any_more_is_not_sent)
{
    struct server server = {.data_answer = NULL, .sessions = 1};
    struct mail_settings settings = {.smtp_in_clear = true};
    struct mail_letter brief = letter;
    struct mail *mail = NULL;

    brief.life_ms = 1; /* its code would be over before the next try */
    server_start(&server);
    settings.smtp_url = server.url;
    mail = open_server(settings);
    ck_assert(mail_give(mail, &brief));
    mail_flush(mail);
    ck_assert_uint_eq(mail_waiting(mail, NULL), 0);
    mail_close(mail);
    ck_assert_ptr_nonnull(strstr(complaints, "given up"));
    shutdown(server.listener, SHUT_RDWR); /* it may never have been called */
    pthread_join(server.thread, NULL);
    close(server.listener);
    ck_assert_ptr_null(strstr(server.heard, "123456"));
}
END_TEST

START_TEST(letters_are_forgotten_by_their_address)
{
    struct mail_settings settings = {.smtp_url = "smtp://127.0.0.1:1", .smtp_in_clear = true};
    struct mail_letter other = letter;
    struct mail *mail = open_server(settings);
    size_t count;

    other.to = "other@example.com";
    ck_assert(mail_give(mail, &letter));
    ck_assert(mail_give(mail, &other));
    ck_assert(mail_forget(mail, "DUCK@example.com"));
    ck_assert_uint_eq(mail_waiting(mail, "duck@example.com"), 0);
    ck_assert_uint_eq(mail_waiting(mail, NULL), 1);
    mail_close(mail);

    mail = open_files();
    ck_assert(mail_give(mail, &letter));
    ck_assert(mail_give(mail, &other));
    ck_assert(mail_forget(mail, "DUCK@example.com"));
    free(newest_letter(folder_file(&folder, "mail"), &count));
    ck_assert_uint_eq(count, 1);
    mail_close(mail);
}
END_TEST

START_TEST(a_full_queue_refuses)
{
    struct mail_settings settings = {.smtp_url = "smtp://127.0.0.1:1", .smtp_in_clear = true};
    struct gate_letter row = {.next_ms = UINT32_MAX, .ends_ms = UINT64_MAX >> 1, .size = 1};
    struct mail *mail = open_server(settings);
    struct gate_store *store = NULL;

    ck_assert_int_eq(gate_store_open(&store, folder_file(&folder, "gateway.db")), 0);
    ck_assert_int_eq(gate_store_begin(store), 0);
    row.next_ms = UINT64_MAX >> 1; /* none of them is due */
    for (int i = 0; i < MAIL_QUEUE_MAX; i++)
        ck_assert_int_eq(gate_letter_add(store, "x@y", &row), 0);
    ck_assert_int_eq(gate_store_commit(store), 0);
    ck_assert(!mail_give(mail, &letter));
    ck_assert_int_eq(gate_letter_drop(store, 1), 0);
    ck_assert(mail_give(mail, &letter));
    gate_store_close(store);
    mail_close(mail);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("mail");
    Suite *suite = suite_create("mail");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, without_a_server_a_letter_is_a_file);
    tcase_add_test(tests, letters_are_private_and_in_order);
    tcase_add_test(tests, the_oldest_letter_makes_room);
    tcase_add_test(tests, a_line_break_in_an_address_or_subject_is_refused);
    tcase_add_test(tests, a_folder_that_others_may_read_is_refused);
    tcase_add_test(tests, settings_that_make_no_sense_are_refused);
    tcase_add_test(tests, with_a_server_a_letter_goes_there);
    tcase_add_test(tests, credentials_come_from_the_file);
    tcase_add_test(tests, a_server_without_tls_gets_nothing_unless_allowed);
    tcase_add_test(tests, a_letter_that_is_refused_for_good_is_not_tried_again);
    tcase_add_test(tests, a_letter_that_fails_once_is_tried_again);
    tcase_add_test(tests, a_letter_outlives_the_gateway);
    tcase_add_test(tests, a_letter_that_waits_is_sealed);
    tcase_add_test(tests, a_letter_goes_later_when_the_server_asks_for_it);
    tcase_add_test(tests, a_letter_of_no_use_any_more_is_not_sent);
    tcase_add_test(tests, letters_are_forgotten_by_their_address);
    tcase_add_test(tests, a_full_queue_refuses);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
