#include "gate_options.h"

#include "connections.h"
#include "server.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

static bool __attribute__((format(printf, 2, 3)))
refuse(struct gate_options_problem *problem, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- values ---- */

/* Keys whose value is a text, and where it goes. */
static const struct {
    const char *key;
    size_t offset, size;
} texts[] = {
#define TEXT(KEY, MEMBER)                                                                          \
    {                                                                                              \
        KEY, offsetof(struct gate_options, MEMBER), sizeof((struct gate_options *)0)->MEMBER       \
    }
    TEXT("listen", listen),
    TEXT("socket", socket),
    TEXT("state_dir", state_dir),
    TEXT("url_file", url_file),
    TEXT("public_url", public_url),
    TEXT("smtp_url", smtp_url),
    TEXT("mail_from", mail_from),
    TEXT("smtp_credentials_file", smtp_credentials_file),
    TEXT("smtp_ca_file", smtp_ca_file),
    TEXT("mail_templates", mail_templates),
    TEXT("captcha_secret_file", captcha_secret_file),
    TEXT("captcha_ca_file", captcha_ca_file),
    TEXT("captcha_site_key", captcha_site_key),
    TEXT("captcha_hostname", captcha_hostname),
    TEXT("captcha_verify_url", captcha_verify_url),
    TEXT("passkey_rp_id", passkey_rp_id),
    TEXT("tls_certificate_file", tls_certificate_file),
    TEXT("tls_key_file", tls_key_file),
    TEXT("call_ca_file", call_ca_file),
#undef TEXT
};

static bool set_text(char *place, size_t size, const char *key, const char *value,
                     struct gate_options_problem *problem)
{
    if (strlen(value) >= size)
        return refuse(problem, "%s is too long: at most %zu bytes", key, size - 1);
    snprintf(place, size, "%s", value);
    return true;
}

static bool set_number(unsigned *place, unsigned min, unsigned max, const char *key,
                       const char *value, struct gate_options_problem *problem)
{
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(value, &end, 10);
    if (errno || end == value || *end || !isdigit((unsigned char)*value) || number < min ||
        number > max)
        return refuse(problem, "%s must be a number from %u to %u, not \"%s\"", key, min, max,
                      value);
    *place = (unsigned)number;
    return true;
}

static bool set_bool(bool *place, const char *key, const char *value,
                     struct gate_options_problem *problem)
{
    if (strcmp(value, "yes") && strcmp(value, "no"))
        return refuse(problem, "%s must be yes or no, not \"%s\"", key, value);
    *place = !strcmp(value, "yes");
    return true;
}

/* One or more, separated by commas or blanks; each use adds. */
static bool add_words(char (*words)[GATE_HOST_SIZE], size_t *count, size_t max, const char *key,
                      const char *value, struct gate_options_problem *problem)
{
    while (*value) {
        size_t size = strcspn(value, ", \t");

        if (size >= GATE_HOST_SIZE || (size > 0 && *count == max))
            return refuse(problem, "%s: at most %zu, each of at most %u bytes", key, max,
                          GATE_HOST_SIZE - 1);
        if (size > 0)
            snprintf(words[(*count)++], GATE_HOST_SIZE, "%.*s", (int)size, value);
        value += size;
        value += strspn(value, ", \t");
    }
    return true;
}

static bool add_allowed(struct allow_list *allowed, const char *key, const char *value,
                        struct gate_options_problem *problem)
{
    char words[ALLOW_LIST_MAX][GATE_HOST_SIZE];
    size_t count = 0;

    if (!add_words(words, &count, ALLOW_LIST_MAX, key, value, problem))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!allow_list_add(allowed, words[i]))
            return refuse(problem, "%s: %s is no address, prefix or host name (at most %u of them)",
                          key, words[i], ALLOW_LIST_MAX);
    return true;
}

/* The first use takes the place of the default. */
static bool add_ports(struct gate_options *options, const char *value,
                      struct gate_options_problem *problem)
{
    struct call_ports *ports = &options->webhook_ports;
    char words[CALL_PORTS_MAX][GATE_HOST_SIZE];
    size_t count = 0;

    if (!options->has_webhook_ports)
        ports->count = 0;
    options->has_webhook_ports = true;
    if (!add_words(words, &count, CALL_PORTS_MAX - ports->count, "webhook_ports", value, problem))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!set_number(&ports->list[ports->count++], 1, 65535, "webhook_ports", words[i], problem))
            return false;
    return true;
}

/* Addresses and prefixes only: whoever calls has no name. */
static bool add_prefixes(struct allow_list *list, const char *key, const char *value,
                         struct gate_options_problem *problem)
{
    char words[ALLOW_LIST_MAX][GATE_HOST_SIZE];
    size_t count = 0;

    if (!add_words(words, &count, ALLOW_LIST_MAX, key, value, problem))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!allow_list_add(list, words[i]) || list->list[list->count - 1].name[0])
            return refuse(problem, "%s: %s is no address or prefix (at most %u of them)", key,
                          words[i], ALLOW_LIST_MAX);
    return true;
}

static bool add_limits(struct rate_table *limits, const char *value,
                       struct gate_options_problem *problem)
{
    char words[4 * RATE_CLASSES][GATE_HOST_SIZE];
    size_t count = 0;

    if (!add_words(words, &count, 4 * RATE_CLASSES, "limits", value, problem))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!rate_table_set(limits, bytes_of_text(words[i])))
            return refuse(problem, "limits: %s is not understood; write peck=10/60/300", words[i]);
    return true;
}

static bool set_proxy_header(struct gate_options *options, const char *value,
                             struct gate_options_problem *problem)
{
    if (strcasecmp(value, "X-Forwarded-For") != 0 && strcasecmp(value, "Forwarded") != 0)
        return refuse(problem, "proxy_header is X-Forwarded-For or Forwarded, not \"%s\"", value);
    options->trust.header =
        strcasecmp(value, "Forwarded") ? FORWARDED_X_FORWARDED_FOR : FORWARDED_FORWARDED;
    return true;
}

static bool set_gateway(struct gate_options *options, const char *key, const char *value,
                        struct gate_options_problem *problem)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!strcmp(key, texts[i].key))
            return set_text((char *)options + texts[i].offset, texts[i].size, key, value, problem);
    if (!strcmp(key, "enabled") || !strcmp(key, "program"))
        return true; /* for the node, which starts us */
    if (!strcmp(key, "call_allow"))
        return add_allowed(&options->call_allow, key, value, problem);
    if (!strcmp(key, "webhook_allow"))
        return add_allowed(&options->webhook_allow, key, value, problem);
    if (!strcmp(key, "webhook_ports"))
        return add_ports(options, value, problem);
    if (!strcmp(key, "captcha_allow"))
        return add_allowed(&options->captcha_allow, key, value, problem);
    if (!strcmp(key, "captcha"))
        return captcha_kind_of(value, &options->captcha) ||
               refuse(problem, "captcha is none, pow or turnstile, not \"%s\"", value);
    if (!strcmp(key, "captcha_bits"))
        return set_number(&options->captcha_bits, CAPTCHA_BITS_MIN, CAPTCHA_BITS_MAX, key, value,
                          problem);
    if (!strcmp(key, "passkey_origin"))
        return add_words(options->passkey_origins, &options->passkey_origin_count,
                         PASSKEY_ORIGINS_MAX, key, value, problem);
    if (!strcmp(key, "limits"))
        return add_limits(&options->limits, value, problem);
    if (!strcmp(key, "trust_proxy"))
        return add_prefixes(&options->trust.proxies, key, value, problem);
    if (!strcmp(key, "proxy_header"))
        return set_proxy_header(options, value, problem);
    if (!strcmp(key, "metrics_allow"))
        return add_prefixes(&options->metrics_allow, key, value, problem);
    if (!strcmp(key, "allow_host"))
        return add_words(options->hosts, &options->host_count, GUARD_HOSTS_MAX - 1, key, value,
                         problem);
    if (!strcmp(key, "allow_origin"))
        return add_words(options->origins, &options->origin_count, GUARD_ORIGINS_MAX, key, value,
                         problem);
    if (!strcmp(key, "threads"))
        return set_number(&options->threads, 1, SERVER_THREADS_MAX, key, value, problem);
    if (!strcmp(key, "connections_per_address"))
        return set_number(&options->connections_per_address, 1, CONNECTIONS_MAX, key, value,
                          problem);
    if (!strcmp(key, "connections_per_loopback"))
        return set_number(&options->connections_per_loopback, 1, CONNECTIONS_MAX, key, value,
                          problem);
    if (!strcmp(key, "smtp_in_clear"))
        return set_bool(&options->smtp_in_clear, key, value, problem);
    return refuse(problem, "[gateway] has no key \"%s\"", key);
}

static bool set_log(struct gate_options *options, const char *key, const char *value,
                    struct gate_options_problem *problem)
{
    static const struct {
        const char *name;
        enum gate_log_level level;
    } levels[] = {{"error", GATE_LOG_ERROR},
                  {"warning", GATE_LOG_WARNING},
                  {"info", GATE_LOG_INFO},
                  {"debug", GATE_LOG_DEBUG}};

    if (!strcmp(key, "format")) {
        if (strcmp(value, "text") && strcmp(value, "json"))
            return refuse(problem, "the log's format is text or json, not \"%s\"", value);
        options->log_format = !strcmp(value, "json") ? GATE_LOG_JSON : GATE_LOG_TEXT;
        return true;
    }
    if (strcmp(key, "level"))
        return refuse(problem, "[log] has no key \"%s\"", key);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (!strcmp(value, levels[i].name)) {
            options->log_level = levels[i].level;
            return true;
        }
    return refuse(problem, "the log's level is error, warning, info or debug, not \"%s\"", value);
}

bool gate_options_set(struct gate_options *options, const char *section, const char *key,
                      const char *value, struct gate_options_problem *problem)
{
    if (!strcmp(section, "gateway"))
        return set_gateway(options, key, value, problem);
    if (!strcmp(section, "log"))
        return set_log(options, key, value, problem);
    if (!strcmp(section, "node") || !strcmp(section, "key") || !strcmp(section, "audit") ||
        !strncmp(section, "handler ", strlen("handler ")))
        return true; /* the node's */
    return refuse(problem, "there is no section [%s]", section);
}

/* ---- the file ---- */

struct reading {
    struct gate_options *options;
    struct gate_options_problem *problem;
    bool is_refused;
};

static int take_line(void *context, const char *section, const char *key, const char *value)
{
    struct reading *reading = context;

    if (reading->is_refused)
        return 0;
    reading->is_refused =
        !gate_options_set(reading->options, section, key, value, reading->problem);
    return !reading->is_refused;
}

static bool read_file(struct gate_options *options, const char *path,
                      struct gate_options_problem *problem)
{
    struct reading reading = {options, problem, false};
    char why[512];
    int line = ini_parse(path, take_line, &reading);

    if (line == 0)
        return true;
    if (line < 0)
        return refuse(problem, "%s cannot be read: %s", path, strerror(errno));
    snprintf(why, sizeof why, "%.500s",
             reading.is_refused ? problem->text : "this is neither [section] nor key = value");
    return refuse(problem, "%s, line %d: %s", path, line, why);
}

/* ---- the flags ---- */

enum {
    FLAG_CONFIG = 256,
    FLAG_CHECK,
    FLAG_HELP,
    FLAG_VERSION,
    FLAG_FETCH,
    FLAG_FETCH_CA,
    FLAG_FETCH_PRIVATE,
    FLAG_CALL,
    FLAG_NEWSLETTER,
    FLAG_KEYS
};

/* A flag is a key of the file with '-' for '_'; `section` tells which. */
static const struct {
    const char *flag, *section, *key, *value, *help;
} flags[] = {
    {"listen", "gateway", "listen", "HOST:PORT", "where to serve; port 0: any (127.0.0.1:7118)"},
    {"socket", "gateway", "socket", "PATH", "the node's local API"},
    {"state-dir", "gateway", "state_dir", "PATH", "where accounts and letters are kept"},
    {"url-file", "gateway", "url_file", "PATH", "written with the URL once it is served"},
    {"public-url", "gateway", "public_url", "URL", "where clients reach it, behind a proxy"},
    {"allow-host", "gateway", "allow_host", "NAME", "a Host that is served, beside addresses"},
    {"allow-origin", "gateway", "allow_origin", "URL", "an Origin whose pages may call"},
    {"threads", "gateway", "threads", "COUNT", "that serve; 1 is best on few cores"},
    {"connections-per-address", "gateway", "connections_per_address", "COUNT", "at once (32)"},
    {"connections-per-loopback", "gateway", "connections_per_loopback", "COUNT",
     "at once, of this host (2048)"},
    {"smtp-url", "gateway", "smtp_url", "URL", "of the mail server; none: letters are files"},
    {"mail-from", "gateway", "mail_from", "ADDRESS", "of the letters"},
    {"smtp-credentials-file", "gateway", "smtp_credentials_file", "PATH", "of two lines"},
    {"smtp-in-clear", "gateway", "smtp_in_clear", "yes|no", "without TLS, to a relay on this host"},
    {"smtp-ca-file", "gateway", "smtp_ca_file", "PATH", "certificates to trust for it"},
    {"mail-templates", "gateway", "mail_templates", "PATH", "a folder of letters of your own"},
    {"captcha", "gateway", "captcha", "none|pow|turnstile", "before a letter goes to an address"},
    {"captcha-bits", "gateway", "captcha_bits", "BITS", "of pow (18)"},
    {"captcha-secret-file", "gateway", "captcha_secret_file", "PATH", "of turnstile"},
    {"captcha-site-key", "gateway", "captcha_site_key", "KEY", "of turnstile, told to pages"},
    {"captcha-hostname", "gateway", "captcha_hostname", "NAME", "that its tokens must be of"},
    {"captcha-verify-url", "gateway", "captcha_verify_url", "URL", "that judges tokens"},
    {"captcha-allow", "gateway", "captcha_allow", "WORDS",
     "where that may be beside public addresses"},
    {"captcha-ca-file", "gateway", "captcha_ca_file", "PATH", "certificates to trust for it"},
    {"passkey-rp-id", "gateway", "passkey_rp_id", "NAME", "of passkeys (the host of public_url)"},
    {"passkey-origin", "gateway", "passkey_origin", "URLS", "whose pages make them (public_url)"},
    {"call-allow", "gateway", "call_allow", "WORDS",
     "hosts, addresses or prefixes for handlers' URLs"},
    {"call-ca-file", "gateway", "call_ca_file", "PATH", "certificates for handlers and webhooks"},
    {"webhook-allow", "gateway", "webhook_allow", "WORDS",
     "hosts, addresses or prefixes for webhooks that are not public"},
    {"webhook-ports", "gateway", "webhook_ports", "PORTS", "at public addresses (443)"},
    {"limits", "gateway", "limits", "WORDS", "calls a minute: peck=10/60/300, auth.T1=5, all=off"},
    {"trust-proxy", "gateway", "trust_proxy", "PREFIXES",
     "whose word on callers' addresses is taken"},
    {"proxy-header", "gateway", "proxy_header", "NAME", "X-Forwarded-For (default) or Forwarded"},
    {"metrics-allow", "gateway", "metrics_allow", "PREFIXES",
     "that may read /metrics, beside loopback"},
    {"tls-certificate-file", "gateway", "tls_certificate_file", "PATH",
     "chain in PEM; read again on SIGHUP"},
    {"tls-key-file", "gateway", "tls_key_file", "PATH", "its key in PEM"},
    {"log-format", "log", "format", "text|json", "of the log (text)"},
    {"log-level", "log", "level", "LEVEL", "error, warning, info or debug (info)"},
};
#define FLAG_COUNT (sizeof flags / sizeof flags[0])

static void print_help(FILE *file, const char *flag, const char *value, const char *help)
{
    char left[64];

    snprintf(left, sizeof left, "--%s%s%s", flag, *value ? " " : "", value);
    fprintf(file, "  %-32s  %s\n", left, help);
}

void gate_options_help(FILE *file)
{
    fputs("duckgate: the HTTP gateway of a ducknode, which starts one by itself\n\n", file);
    print_help(file, "config", "PATH",
               "an INI file; of the node's own, [gateway] and [log] are read");
    print_help(file, "check-config", "",
               "says whether file and flags are good, and ends; with --call-handler, whether that "
               "URL would be called");
    print_help(file, "call-handler", "URL",
               "POSTs standard input, prints what is answered, and ends");
    print_help(file, "fetch-operator", "DOMAIN",
               "prints what the domain says of its operator, and ends");
    print_help(file, "fetch-ca-file", "PATH", "for both, instead of the system's certificates");
    print_help(file, "fetch-private", "", "for that, from addresses that are not public, too");
    print_help(file, "newsletter", "", "prints who has the newsletter, as CSV, and ends");
    print_help(file, "help", "", "prints this; --version: which release this is");
    fputs("\nKeys of the file, as flags (gateway/DEPLOYMENT.md has all):\n", file);
    for (size_t i = 0; i < FLAG_COUNT; i++)
        print_help(file, flags[i].flag, flags[i].value, flags[i].help);
    fputs("\nexample:\n  duckgate --socket /var/lib/ducknode/ducknode.sock --listen 127.0.0.1:7118 "
          "--state-dir gateway\n",
          file);
}

static bool take_flag(struct gate_options *options, int flag, const char *value, bool files_only,
                      struct gate_options_problem *problem)
{
    switch (flag) {
    case FLAG_CONFIG:
        if (!set_text(options->config, sizeof options->config, "--config", value, problem))
            return false;
        return !files_only || read_file(options, value, problem);
    case FLAG_FETCH:
        return set_text(options->fetch_operator, sizeof options->fetch_operator, "--fetch-operator",
                        value, problem);
    case FLAG_FETCH_CA:
        return set_text(options->fetch_ca_file, sizeof options->fetch_ca_file, "--fetch-ca-file",
                        value, problem);
    case FLAG_FETCH_PRIVATE:
        options->fetch_private = true;
        return true;
    case FLAG_CALL:
        return set_text(options->call_handler, sizeof options->call_handler, "--call-handler",
                        value, problem);
    case FLAG_NEWSLETTER:
        options->only_newsletter = true;
        return true;
    case FLAG_CHECK:
        options->only_check = true;
        return true;
    case FLAG_HELP:
        options->wants_help = true;
        return true;
    case FLAG_VERSION:
        options->wants_version = true;
        return true;
    default:
        if (files_only)
            return true;
        return gate_options_set(options, flags[flag - FLAG_KEYS].section,
                                flags[flag - FLAG_KEYS].key, value, problem);
    }
}

static bool take_flags(struct gate_options *options, int count, char *const *arguments,
                       bool files_only, struct gate_options_problem *problem)
{
    struct option known[FLAG_COUNT + 10] = {
        {"config", required_argument, NULL, FLAG_CONFIG},
        {"check-config", no_argument, NULL, FLAG_CHECK},
        {"help", no_argument, NULL, FLAG_HELP},
        {"version", no_argument, NULL, FLAG_VERSION},
        {"fetch-operator", required_argument, NULL, FLAG_FETCH},
        {"fetch-ca-file", required_argument, NULL, FLAG_FETCH_CA},
        {"fetch-private", no_argument, NULL, FLAG_FETCH_PRIVATE},
        {"call-handler", required_argument, NULL, FLAG_CALL},
        {"newsletter", no_argument, NULL, FLAG_NEWSLETTER},
    };
    int flag;

    for (size_t i = 0; i < FLAG_COUNT; i++)
        known[9 + i] = (struct option){flags[i].flag, required_argument, NULL, FLAG_KEYS + (int)i};
    opterr = 0;
    optind = 0; /* glibc: from the start */
    while ((flag = getopt_long(count, arguments, ":", known, NULL)) != -1) {
        if (flag == '?' || flag == ':')
            return refuse(problem, "%s: %s", arguments[optind - 1],
                          flag == '?' ? "there is no such flag" : "needs a value");
        if (!take_flag(options, flag, optarg, files_only, problem))
            return false;
    }
    if (optind < count)
        return refuse(problem, "%s: only flags are understood", arguments[optind]);
    return true;
}

/* ---- the whole ---- */

void gate_options_default(struct gate_options *options)
{
    const char *given = getenv("STATE_DIRECTORY"); /* systemd.exec(5) */
    const char *home = getenv("HOME"), *state = getenv("XDG_STATE_HOME");

    *options = (struct gate_options){
        .listen = "127.0.0.1:7118",
        .threads = 1,
        .connections_per_address = CONNECTIONS_PER_ADDRESS_MAX,
        .connections_per_loopback = CONNECTIONS_MAX,
        .webhook_ports = {.list = {443}, .count = 1},
        .captcha_bits = CAPTCHA_BITS,
        .log_format = GATE_LOG_TEXT,
        .log_level = GATE_LOG_INFO,
    };
    rate_table_default(&options->limits);
    if (given && *given)
        snprintf(options->state_dir, sizeof options->state_dir, "%s", given);
    else if (geteuid() == 0)
        snprintf(options->state_dir, sizeof options->state_dir, "/var/lib/ducknode/gateway");
    else if (state && *state)
        snprintf(options->state_dir, sizeof options->state_dir, "%s/ducknode/gateway", state);
    else
        snprintf(options->state_dir, sizeof options->state_dir, "%s/.local/state/ducknode/gateway",
                 home ? home : ".");
}

bool gate_options_read(struct gate_options *options, int count, char *const *arguments,
                       struct gate_options_problem *problem)
{
    gate_options_default(options);
    if (!take_flags(options, count, arguments, true, problem) ||
        !take_flags(options, count, arguments, false, problem))
        return false;
    if (!options->tls_certificate_file[0] != !options->tls_key_file[0])
        return refuse(problem, "tls_certificate_file and tls_key_file go together");
    return true;
}

void gate_options_hosts(struct gate_options *options, struct guard_hosts *hosts)
{
    const char *name = strstr(options->public_url, "://");

    *hosts = (struct guard_hosts){.host_count = 0};
    if (name && options->host_count < GUARD_HOSTS_MAX)
        snprintf(options->hosts[options->host_count++], GATE_HOST_SIZE, "%.*s",
                 (int)strcspn(name + 3, ":/?#"), name + 3);
    for (size_t i = 0; i < options->host_count; i++)
        hosts->hosts[hosts->host_count++] = options->hosts[i];
    for (size_t i = 0; i < options->origin_count; i++)
        hosts->origins[hosts->origin_count++] = options->origins[i];
}

/* "https://duck.example:8443/path": the origin is scheme, host and port. */
static size_t origin_size(const char *url)
{
    const char *host = strstr(url, "://");

    return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

void gate_options_passkeys(struct gate_options *options, struct passkey_place *place)
{
    const char *host = strstr(options->public_url, "://");

    if (!options->passkey_rp_id[0] && host)
        snprintf(options->passkey_rp_id, GATE_HOST_SIZE, "%.*s", (int)strcspn(host + 3, ":/?#"),
                 host + 3);
    if (options->passkey_origin_count == 0 && host)
        snprintf(options->passkey_origins[options->passkey_origin_count++], GATE_HOST_SIZE, "%.*s",
                 (int)origin_size(options->public_url), options->public_url);
    *place = (struct passkey_place){.rp_id = options->passkey_rp_id[0] ? options->passkey_rp_id
                                                                       : "localhost"};
    for (size_t i = 0; i < options->passkey_origin_count; i++)
        place->origins[place->origin_count++] = options->passkey_origins[i];
}
