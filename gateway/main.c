/* duckgate: HTTP for a node. Opened from top to bottom, closed from bottom to top:
 *
 *     accounts -> courier, listeners -> the way to the node -> events -> the HTTP server
 *
 * The server's thread runs the handlers; the node's client, the accounts, the courier and the feed
 * of events have threads of their own and wake what waits for them. This thread waits for a signal. */
#include "account_newsletter.h"
#include "client/duck_client.h"
#include "core/voucher.h"
#include "courier.h"
#include "event_feed.h"
#include "fetch.h"
#include "gate_fault.h"
#include "gate_log.h"
#include "gate_options.h"
#include "gateway.h"
#include "handler_call.h"
#include "letters.h"
#include "listeners.h"
#include "reply.h"
#include "server.h"
#include "strict_json.h"
#include "tls.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_WITHIN_MS 2000 /* at the end: the node's supervisor waits for 5 s */
#define PATH_ROOM 64
#define DESCRIPTORS_MAX 8192u

struct program {
    struct gate_options options;
    struct gateway gateway;
    struct event_feed *feed;
    struct server *server;
    bool has_url_file;
};

static void trouble(void *context, const char *text)
{
    (void)context;
    gate_log(GATE_LOG_WARNING, "accounts", "%s", text);
}

/* Events were kept: the courier finds its deliveries, listeners what they listen for. */
static void happened(void *context, uint64_t operator_id)
{
    const struct gateway *gateway = &((struct program *)context)->gateway;

    if (gateway->courier)
        courier_wake(gateway->courier);
    if (gateway->listeners)
        listeners_tell(gateway->listeners, operator_id);
}

static void beat(void *context, uint64_t now_ms)
{
    listeners_beat(context, now_ms);
}

static void status_is_new(void *context, const struct node_status *status)
{
    probe_refresh(context, status);
}

/* `path` and what is above it, each 0700 when new. */
static int make_folders(const char *path)
{
    char part[GATE_PATH_SIZE];

    for (size_t i = 1; path[i - 1]; i++) {
        if (path[i] && path[i] != '/')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            gate_log(GATE_LOG_ERROR, "gateway", "cannot make %s: %s", part, strerror(errno));
            return GATE_FAULT_FILE;
        }
    }
    return 0;
}

static int open_accounts(struct program *program)
{
    const struct gate_options *options = &program->options;
    char store[GATE_PATH_SIZE + PATH_ROOM], key[GATE_PATH_SIZE + PATH_ROOM],
        mail[GATE_PATH_SIZE + PATH_ROOM];
    struct accounts_settings settings = {
        .store_path = store,
        .key_path = key,
        .mail = {.folder = mail,
                 .smtp_url = options->smtp_url,
                 .from = options->mail_from[0] ? options->mail_from : NULL,
                 .credentials_path =
                     options->smtp_credentials_file[0] ? options->smtp_credentials_file : NULL,
                 .ca_file = options->smtp_ca_file,
                 .smtp_in_clear = options->smtp_in_clear},
        .letters_folder = options->mail_templates,
        .public_url = options->public_url,
        .password_cost = PASSWORD_INTERACTIVE,
        .trouble = trouble,
        .happened = happened,
        .context = program,
    };

    snprintf(store, sizeof store, "%s/gateway.db", options->state_dir);
    snprintf(key, sizeof key, "%s/gateway.key", options->state_dir);
    snprintf(mail, sizeof mail, "%s/mail", options->state_dir);
    gate_options_passkeys(&program->options, &settings.place);
    return accounts_open(&program->gateway.accounts, &settings);
}

static int open_telling(struct program *program)
{
    const struct gate_options *options = &program->options;
    char store[GATE_PATH_SIZE + PATH_ROOM], key[GATE_PATH_SIZE + PATH_ROOM];
    struct courier_settings settings = {.store_path = store,
                                        .key_path = key,
                                        .allowed = &options->webhook_allow,
                                        .ports = &options->webhook_ports,
                                        .ca_file = options->call_ca_file,
                                        .trouble = trouble};
    int fault;

    snprintf(store, sizeof store, "%s/gateway.db", options->state_dir);
    snprintf(key, sizeof key, "%s/gateway.key", options->state_dir);
    fault = courier_open(&program->gateway.courier, &settings);
    return fault ? fault : listeners_open(&program->gateway.listeners, store);
}

static int open_feed(struct program *program)
{
    char store[GATE_PATH_SIZE + PATH_ROOM];
    struct event_feed_settings settings = {
        .store_path = store, .node = program->gateway.node, .told = happened, .context = program};

    snprintf(store, sizeof store, "%s/gateway.db", program->options.state_dir);
    return event_feed_open(&program->feed, &settings);
}

static int open_captcha(struct program *program)
{
    const struct gate_options *options = &program->options;
    const struct captcha_settings settings = {
        .kind = options->captcha,
        .bits = options->captcha_bits,
        .secret_path = options->captcha_secret_file[0] ? options->captcha_secret_file : NULL,
        .site_key = options->captcha_site_key,
        .verify_url = options->captcha_verify_url,
        .hostname = options->captcha_hostname,
        .ca_file = options->captcha_ca_file,
        .allowed = options->captcha_allow,
        .trouble = trouble,
    };

    return captcha_open(&program->gateway.captcha, &settings);
}

static int open_node_link(struct program *program)
{
    struct node_link_settings settings = {
        .socket = program->options.socket[0] ? program->options.socket : NULL,
        .accounts = program->gateway.accounts,
        .refreshed = status_is_new,
        .context = program->gateway.probe,
    };

    program->gateway.node = node_link_open(&settings);
    return program->gateway.node ? 0 : GATE_FAULT_THREAD;
}

static int open_server(struct program *program)
{
    struct server_settings settings = {
        .gateway = &program->gateway,
        .listen = program->options.listen,
        .threads = program->options.threads,
        .per_address_max = program->options.connections_per_address,
        .per_loopback_max = program->options.connections_per_loopback,
        .beat = beat,
        .context = program->gateway.listeners,
        .has_tls = program->options.tls_key_file[0],
    };

    return server_open(&program->server, &settings);
}

/* Renamed into place: who finds the file finds the whole URL. */
static int write_url_file(struct program *program)
{
    const char *path = program->options.url_file;
    char fresh[GATE_PATH_SIZE + 8];
    FILE *file;
    int fault = 0;

    if (!path[0])
        return 0;
    snprintf(fresh, sizeof fresh, "%s.new", path);
    file = fopen(fresh, "we");
    if (!file || fprintf(file, "%s\n", server_url(program->server)) < 0)
        fault = GATE_FAULT_FILE;
    if (file && fclose(file) != 0)
        fault = GATE_FAULT_FILE;
    if (!fault && rename(fresh, path) != 0)
        fault = GATE_FAULT_FILE;
    if (fault)
        gate_log(GATE_LOG_ERROR, "gateway", "cannot write %s: %s", path, strerror(errno));
    program->has_url_file = !fault;
    return fault;
}

static bool load_tls(const struct gate_options *options)
{
    char problem[TLS_PROBLEM_SIZE];

    if (!options->tls_key_file[0] ||
        tls_load(options->tls_certificate_file, options->tls_key_file, problem))
        return true;
    gate_log(GATE_LOG_ERROR, "tls", "%s", problem);
    return false;
}

static void open_limiter(struct program *program)
{
    char path[GATE_PATH_SIZE + PATH_ROOM];

    snprintf(path, sizeof path, "%s/limits", program->options.state_dir);
    program->gateway.limiter = limiter_new(&program->options.limits, path);
}

static int open_all(struct program *program)
{
    int fault = make_folders(program->options.state_dir);

    if (!fault && !load_tls(&program->options))
        fault = GATE_FAULT_CONFIG;
    open_limiter(program);
    program->gateway.trust = program->options.trust;
    program->gateway.metrics_allow = program->options.metrics_allow;

    gate_options_hosts(&program->options, &program->gateway.hosts);
    program->gateway.started_ms = gateway_wall_ms();
    program->gateway.repeats = repeats_new();
    program->gateway.questions = questions_new();
    if (!fault)
        fault = open_accounts(program);
    if (!fault)
        fault = open_telling(program);
    if (!fault)
        fault = open_captcha(program);
    if (!fault) {
        program->gateway.probe = probe_new();
        fault = open_node_link(program);
    }
    if (!fault)
        fault = open_feed(program);
    if (!fault)
        fault = open_server(program);
    if (!fault)
        fault = write_url_file(program);
    return fault;
}

/* First no new work; then those who wait for the node or the accounts are told that there is no
 * more; only then the server may go, and with it the last connection. */
static void close_all(struct program *program)
{
    struct gateway *gateway = &program->gateway;

    if (program->has_url_file)
        unlink(program->options.url_file);
    if (gateway->listeners)
        listeners_end_all(gateway->listeners);
    if (program->server)
        server_quiesce(program->server, ANSWER_WITHIN_MS);
    if (gateway->node)
        node_link_shut(gateway->node);
    event_feed_close(program->feed);
    if (program->server)
        server_close(program->server);
    node_link_close(gateway->node);
    captcha_close(gateway->captcha);
    accounts_close(gateway->accounts);
    courier_close(gateway->courier);
    listeners_close(gateway->listeners);
    probe_free(gateway->probe);
    repeats_free(gateway->repeats);
    questions_free(gateway->questions);
    limiter_free(gateway->limiter);
    tls_forget();
}

/* A connection is a descriptor, and a thousand may listen: as many as we may have. */
static void take_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void block_signals(sigset_t *awaited)
{
    sigemptyset(awaited);
    sigaddset(awaited, SIGTERM);
    sigaddset(awaited, SIGINT);
    sigaddset(awaited, SIGHUP);
    pthread_sigmask(SIG_BLOCK, awaited, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a fault of the disk */
}

/* SIGHUP: the certificate was renewed. The limits are looked at every second: who sets them need
 * not know who we are. */
static void wait_for_the_end(struct program *program, const sigset_t *awaited)
{
    struct timespec second = {.tv_sec = 1};

    for (;;) {
        int signal_number = sigtimedwait(awaited, NULL, &second);

        limiter_reload(program->gateway.limiter);
        if (signal_number == SIGTERM || signal_number == SIGINT)
            return;
        if (signal_number == SIGHUP && load_tls(&program->options))
            gate_log(GATE_LOG_INFO, "gateway", "certificate and limits were looked at again");
    }
}

static int run(struct program *program)
{
    sigset_t awaited;
    int fault;

    block_signals(&awaited);
    take_descriptors();
    strict_json_prepare();
    if (!identity_self_test()) {
        gate_log(GATE_LOG_ERROR, "gateway",
                 "this libsodium judges signatures otherwise than the network");
        return EXIT_FAILURE;
    }
    fault = open_all(program);
    if (fault) {
        gate_log(GATE_LOG_ERROR, "gateway", "does not start: %s", gate_fault_text(fault));
    } else {
        gate_log(GATE_LOG_INFO, "gateway", "serving %s/beak/", server_url(program->server));
        wait_for_the_end(program, &awaited);
        gate_log(GATE_LOG_INFO, "gateway", "stopping");
    }
    close_all(program);
    return fault ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* What a domain says of its operator, on standard output: whoever asked judges it. */
static int fetch_operator(const struct gate_options *options)
{
    struct fetch_settings settings = {.ca_file =
                                          options->fetch_ca_file[0] ? options->fetch_ca_file : NULL,
                                      .allow_private = options->fetch_private};
    char url[GATE_HOST_SIZE + 64], problem[FETCH_PROBLEM_SIZE], *document;
    size_t size;

    if (!domain_is_valid(bytes_of_text(options->fetch_operator))) {
        fprintf(stderr, "duckgate: %s is no host name in lower case\n", options->fetch_operator);
        return 2;
    }
    snprintf(url, sizeof url, "https://%s/.well-known/duck-operator.json", options->fetch_operator);
    document = fetch(url, &settings, &size, problem);
    if (!document) {
        fprintf(stderr, "duckgate: %s: %s\n", url, problem);
        return EXIT_FAILURE;
    }
    fwrite(document, 1, size, stdout);
    free(document);
    return EXIT_SUCCESS;
}

static void print_subscriber(void *context, const char *email, uint64_t confirmed_ms,
                             const char token[UNSUBSCRIBE_TEXT_SIZE])
{
    char time[REPLY_TIME_SIZE];

    (void)context;
    printf("%s,%s,%s\n", email, reply_time(confirmed_ms, time), token);
}

/* An address that is taken has no comma and no quote that CSV would mind. */
static int print_newsletter(const struct gate_options *options)
{
    char store[GATE_PATH_SIZE + PATH_ROOM], key[GATE_PATH_SIZE + PATH_ROOM];
    int fault;

    snprintf(store, sizeof store, "%s/gateway.db", options->state_dir);
    snprintf(key, sizeof key, "%s/gateway.key", options->state_dir);
    if (access(store, F_OK) != 0 || access(key, F_OK) != 0) {
        fprintf(stderr, "duckgate: there is no gateway in %s\n", options->state_dir);
        return EXIT_FAILURE;
    }
    puts("email,confirmed_at,unsubscribe_token");
    fault = newsletter_list(store, key, print_subscriber, NULL);
    if (fault)
        fprintf(stderr, "duckgate: %s: %s\n", store, gate_fault_text(fault));
    return fault ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* What a start would stumble over, and can be said without one. */
static bool letters_are_fine(const struct gate_options *options)
{
    char problem[LETTERS_PROBLEM_SIZE] = "";
    struct letters *letters = NULL;
    bool are_fine =
        letters_open(&letters, options->mail_templates, options->public_url, problem) == 0;

    letters_close(letters);
    if (!are_fine)
        fprintf(stderr, "duckgate: %s\n", problem);
    return are_fine;
}

int main(int count, char **arguments)
{
    static struct program program;
    struct gate_options_problem problem;

    if (!gate_options_read(&program.options, count, arguments, &problem)) {
        fprintf(stderr, "duckgate: %s\n", problem.text);
        return 2;
    }
    if (program.options.wants_help || program.options.wants_version) {
        if (program.options.wants_help)
            gate_options_help(stdout);
        else
            puts("duckgate " DUCK_VERSION);
        return EXIT_SUCCESS;
    }
    if (program.options.only_check && program.options.call_handler[0])
        return handler_check(&program.options);
    if (program.options.only_check) {
        if (!load_tls(&program.options) || !letters_are_fine(&program.options))
            return 2;
        printf("fine: would serve on %s, with its state in %s\n", program.options.listen,
               program.options.state_dir);
        return EXIT_SUCCESS;
    }
    if (program.options.only_newsletter)
        return print_newsletter(&program.options);
    if (program.options.fetch_operator[0])
        return fetch_operator(&program.options);
    if (program.options.call_handler[0])
        return handler_call(&program.options);
    gate_log_configure(program.options.log_format, program.options.log_level);
    return run(&program);
}
