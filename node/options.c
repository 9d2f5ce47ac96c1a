#include "options.h"

#include "client/duck_client.h"
#include "core/id.h"
#include "core/rate_table.h"
#include "core/record.h"
#include "handler_runner.h"
#include "network_file.h"

#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_NETWORK "duck"
#define DEFAULT_LISTEN "0.0.0.0:7117"
#define DEFAULT_GATEWAY_LISTEN "127.0.0.1:7118"
#define DAYS_MAX 3650
#define SOCKET_NAME "/ducknode.sock"
#define HANDLER_SECTION "handler "

/* ---- the keys ---- */

enum key_kind {
    KEY_TEXT,      /* UTF-8 in one line */
    KEY_SHOWN,     /* a display name: text that people see as it is */
    KEY_NAME,      /* of a-z, 0-9, '_', '.', '-' */
    KEY_ADDRESS,   /* host:port */
    KEY_LIST,      /* of addresses */
    KEY_JOIN,      /* of addresses, each perhaps behind a node's id and @ */
    KEY_PERCHES,   /* of nodes' ids, or auto, or none */
    KEY_OPERATORS, /* of operators' ids */
    KEY_WORDS,     /* a list of whatever the gateway makes of it */
    KEY_RATES,     /* a list of limits: see core/rate_table.h */
    KEY_PASSED,    /* a text for the gateway, which judges it */
    KEY_SWITCH,    /* yes or no */
    KEY_NUMBER,    /* 1 to `max` */
    KEY_DAYS,      /* a number of days, at most ten years */
    KEY_FORMAT,
    KEY_LEVEL,
};

struct key {
    const char *section, *name;
    enum key_kind kind;
    size_t at, size;      /* in struct options; bytes, of text */
    size_t count_at, max; /* of lists */
};

#define AT(member) offsetof(struct options, member)
#define TEXT_AT(member) AT(member), sizeof(((struct options *)0)->member)

#define PASSED(name)                                                                               \
    {                                                                                              \
        "gateway", name, KEY_PASSED, AT(gateway_passed), OPTIONS_PASSED_SIZE, 0,                   \
            OPTIONS_PASSED_MAX                                                                     \
    }

static const struct key keys[] = {
    {"node", "name", KEY_SHOWN, TEXT_AT(name), 0, 0},
    {"node", "network", KEY_NAME, TEXT_AT(network), 0, 0},
    {"node", "state_dir", KEY_TEXT, TEXT_AT(state_dir), 0, 0},
    {"node", "socket", KEY_TEXT, TEXT_AT(socket), 0, 0},
    {"node", "listen", KEY_LIST, AT(listen), OPTIONS_ADDRESS_SIZE, AT(listen_count),
     NODE_ADDRESSES_MAX},
    {"node", "advertise", KEY_LIST, AT(advertise), OPTIONS_ADDRESS_SIZE, AT(advertise_count),
     NODE_ADDRESSES_MAX},
    {"node", "join", KEY_JOIN, AT(join), OPTIONS_ADDRESS_SIZE, AT(join_count), OPTIONS_JOIN_MAX},
    {"node", "bond_own", KEY_SWITCH, AT(bond_own), 0, 0, 0},
    {"node", "sign_alone", KEY_SWITCH, AT(sign_alone), 0, 0, 0},
    {"node", "handlers_at_once", KEY_NUMBER, AT(handlers_at_once), 0, 0, HANDLERS_AT_ONCE_MAX},
    {"node", "perches", KEY_PERCHES, AT(perches), ID_TEXT_SIZE, AT(perch_count), NODE_PERCHES_MAX},
    {"node", "members_of", KEY_OPERATORS, AT(members_of), ID_TEXT_SIZE, AT(members_of_count),
     FLEET_OPERATORS_MAX},
    {"node", "membership_file", KEY_TEXT, TEXT_AT(membership_file), 0, 0},
    {"node", "perch", KEY_SWITCH, AT(perch), 0, 0, 0},
    {"node", "perch_mib", KEY_NUMBER, AT(perch_mib), 0, 0, OPTIONS_PERCH_MIB_MAX},
    {"audit", "keep_days", KEY_DAYS, AT(audit_days), 0, 0, 0},
    {"log", "format", KEY_FORMAT, AT(log_format), 0, 0, 0},
    {"log", "level", KEY_LEVEL, AT(log_level), 0, 0, 0},
    {"gateway", "enabled", KEY_SWITCH, AT(gateway_enabled), 0, 0, 0},
    {"gateway", "listen", KEY_ADDRESS, TEXT_AT(gateway_listen), 0, 0},
    {"gateway", "program", KEY_TEXT, TEXT_AT(gateway_program), 0, 0},
    {"gateway", "allow_host", KEY_WORDS, AT(gateway_hosts), OPTIONS_ADDRESS_SIZE,
     AT(gateway_host_count), OPTIONS_ALLOW_MAX},
    {"gateway", "allow_origin", KEY_WORDS, AT(gateway_origins), OPTIONS_ADDRESS_SIZE,
     AT(gateway_origin_count), OPTIONS_ALLOW_MAX},
    {"gateway", "call_allow", KEY_WORDS, AT(gateway_calls), OPTIONS_ADDRESS_SIZE,
     AT(gateway_call_count), OPTIONS_ALLOW_MAX},
    {"gateway", "call_ca_file", KEY_TEXT, TEXT_AT(gateway_call_ca_file), 0, 0},
    PASSED("webhook_allow"),
    PASSED("webhook_ports"),
    PASSED("threads"),
    PASSED("connections_per_address"),
    PASSED("connections_per_loopback"),
    {"gateway", "public_url", KEY_TEXT, TEXT_AT(gateway_public_url), 0, 0},
    {"gateway", "limits", KEY_RATES, AT(gateway_limits), OPTIONS_ADDRESS_SIZE,
     AT(gateway_limit_count), OPTIONS_LIMITS_MAX},
    {"gateway", "trust_proxy", KEY_WORDS, AT(gateway_proxies), OPTIONS_ADDRESS_SIZE,
     AT(gateway_proxy_count), OPTIONS_ALLOW_MAX},
    {"gateway", "proxy_header", KEY_TEXT, TEXT_AT(gateway_proxy_header), 0, 0},
    {"gateway", "metrics_allow", KEY_WORDS, AT(gateway_metrics), OPTIONS_ADDRESS_SIZE,
     AT(gateway_metrics_count), OPTIONS_ALLOW_MAX},
    {"gateway", "tls_certificate_file", KEY_TEXT, TEXT_AT(tls_certificate_file), 0, 0},
    {"gateway", "tls_key_file", KEY_TEXT, TEXT_AT(tls_key_file), 0, 0},
    {"gateway", "smtp_url", KEY_TEXT, TEXT_AT(smtp_url), 0, 0},
    {"gateway", "mail_from", KEY_TEXT, TEXT_AT(mail_from), 0, 0},
    {"gateway", "smtp_credentials_file", KEY_TEXT, TEXT_AT(smtp_credentials_file), 0, 0},
    PASSED("smtp_in_clear"),
    PASSED("smtp_ca_file"),
    PASSED("mail_templates"),
    PASSED("captcha"),
    PASSED("captcha_bits"),
    PASSED("captcha_secret_file"),
    PASSED("captcha_site_key"),
    PASSED("captcha_hostname"),
    PASSED("captcha_verify_url"),
    PASSED("captcha_allow"),
    PASSED("captcha_ca_file"),
    PASSED("passkey_rp_id"),
    PASSED("passkey_origin"),
    {"key", "passphrase_file", KEY_TEXT, TEXT_AT(passphrase_file), 0, 0},
};
#define KEY_COUNT (sizeof keys / sizeof *keys)

static const struct {
    const char *name;
    enum log_level level;
} levels[] = {
    {"error", LOG_ERROR}, {"warning", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}};

static void *member(struct options *options, size_t at)
{
    return (char *)options + at;
}

static const void *member_const(const struct options *options, size_t at)
{
    return (const char *)options + at;
}

static bool refuse(struct options_problem *problem, const struct key *key, const char *what,
                   const char *value)
{
    snprintf(problem->text, sizeof problem->text, "[%s] %s = %.200s: %s", key->section, key->name,
             value, what);
    return false;
}

/* ---- values ---- */

static bool is_address(const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;

    return colon && colon != text && digits > 0 && digits <= 5 && !colon[1 + digits] &&
           atol(colon + 1) <= UINT16_MAX && strlen(text) <= ADDRESS_MAX &&
           !strpbrk(text, " \t/@") && bytes_are_text(bytes_of_text(text), false);
}

static bool is_rate(const char *word)
{
    struct rate_table table;

    rate_table_default(&table);
    return rate_table_set(&table, bytes_of_text(word));
}

static bool is_join(const char *text)
{
    const char *at = strchr(text, '@');
    struct id node;

    if (!at)
        return is_address(text);
    return id_parse(ID_NODE, bytes_of(text, (size_t)(at - text)), &node) && is_address(at + 1);
}

static bool is_perch(const char *word)
{
    struct id node;

    return strcmp(word, "auto") == 0 || strcmp(word, "none") == 0 ||
           id_parse(ID_NODE, bytes_of_text(word), &node);
}

static bool set_text(struct options *options, const struct key *key, const char *value,
                     struct options_problem *problem)
{
    struct bytes text = bytes_of_text(value);

    if (text.size == 0)
        return refuse(problem, key, "it is empty", value);
    if (text.size >= key->size)
        return refuse(problem, key, "it is too long", value);
    if (!bytes_are_text(text, false))
        return refuse(problem, key, "it is not UTF-8 without control characters", value);
    if (key->kind == KEY_SHOWN && !bytes_are_display_name(text))
        return refuse(problem, key, "it is blank, or has characters that hide or turn round",
                      value);
    if (key->kind == KEY_NAME && !bytes_are_name(text))
        return refuse(problem, key, "it is made of a-z, 0-9, '_', '.', '-'", value);
    if (key->kind == KEY_ADDRESS && !is_address(value))
        return refuse(problem, key, "an address is host:port", value);
    memcpy(member(options, key->at), value, text.size + 1);
    if (key->at == AT(name))
        options->name_is_default = false;
    if (key->at == AT(network))
        options->network_is_default = false;
    return true;
}

static bool add_address(struct options *options, const struct key *key, const char *address,
                        struct options_problem *problem)
{
    size_t *count = member(options, key->count_at);
    char *list = member(options, key->at);
    struct id parsed;

    if (*count == key->max) {
        char what[64];

        snprintf(what, sizeof what, "there are more than %zu", key->max);
        return refuse(problem, key, what, address);
    }
    if (strlen(address) >= key->size)
        return refuse(problem, key, "it is too long", address);
    if (key->kind == KEY_JOIN && !is_join(address))
        return refuse(problem, key, "it is host:port or nod_...@host:port", address);
    if (key->kind == KEY_RATES && !is_rate(address))
        return refuse(problem, key, "a limit is written peck=10/60/300, peck.T2=60 or peck=off",
                      address);
    if (key->kind == KEY_PERCHES && !is_perch(address))
        return refuse(problem, key, "it is auto, none, or ids of nodes (nod_...)", address);
    if (key->kind == KEY_OPERATORS && !id_parse(ID_OPERATOR, bytes_of_text(address), &parsed))
        return refuse(problem, key, "it is ids of operators (opr_...)", address);
    if (key->kind == KEY_LIST && !is_address(address))
        return refuse(problem, key, "an address is host:port", address);
    strcpy(list + *count * key->size, address);
    (*count)++;
    return true;
}

static bool add_list(struct options *options, const struct key *key, const char *value,
                     struct options_problem *problem)
{
    char copy[OPTIONS_LINE_MAX + 1], *rest = copy, *address;

    if (strlen(value) > OPTIONS_LINE_MAX)
        return refuse(problem, key, "it is too long", value);
    strcpy(copy, value);
    while ((address = strsep(&rest, ", \t")))
        if (*address && !add_address(options, key, address, problem))
            return false;
    return true;
}

/* As the flag that hands it on. What is set again comes later, and wins there. */
static bool add_passed(struct options *options, const struct key *key, const char *value,
                       struct options_problem *problem)
{
    char *flag;

    if (options->gateway_passed_count == key->max)
        return refuse(problem, key, "too many settings are handed on to the gateway", value);
    if (!bytes_are_text(bytes_of_text(value), false))
        return refuse(problem, key, "it is not UTF-8 without control characters", value);
    flag = options->gateway_passed[options->gateway_passed_count];
    if ((size_t)snprintf(flag, key->size, "--%s=%s", key->name, value) >= key->size)
        return refuse(problem, key, "it is too long", value);
    for (char *at = flag; *at != '='; at++)
        if (*at == '_')
            *at = '-';
    options->gateway_passed_count++;
    return true;
}

static bool set_switch(struct options *options, const struct key *key, const char *value,
                       struct options_problem *problem)
{
    bool *set = member(options, key->at);

    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        return refuse(problem, key, "it is yes or no", value);
    *set = strcmp(value, "yes") == 0;
    return true;
}

static bool set_number(struct options *options, const struct key *key, const char *value,
                       struct options_problem *problem)
{
    uint32_t *set = member(options, key->at);
    size_t digits = strspn(value, "0123456789");
    unsigned long number =
        digits > 0 && digits < 10 && !value[digits] ? strtoul(value, NULL, 10) : 0;
    char what[64];

    snprintf(what, sizeof what, "it is 1 to %zu", key->max);
    if (number < 1 || number > key->max)
        return refuse(problem, key, what, value);
    *set = (uint32_t)number;
    return true;
}

static bool set_days(struct options *options, const struct key *key, const char *value,
                     struct options_problem *problem)
{
    size_t digits = strspn(value, "0123456789");
    long days = digits > 0 && digits <= 4 && !value[digits] ? atol(value) : -1;

    if (days < 0 || days > DAYS_MAX)
        return refuse(problem, key, "it is a number of days, 0 to 3650", value);
    *(uint32_t *)member(options, key->at) = (uint32_t)days;
    return true;
}

static bool set_format(struct options *options, const struct key *key, const char *value,
                       struct options_problem *problem)
{
    if (strcmp(value, "text") != 0 && strcmp(value, "json") != 0)
        return refuse(problem, key, "it is text or json", value);
    options->log_format = strcmp(value, "json") == 0 ? LOG_JSON : LOG_TEXT;
    return true;
}

static bool set_level(struct options *options, const struct key *key, const char *value,
                      struct options_problem *problem)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(value, levels[i].name) == 0) {
            options->log_level = levels[i].level;
            return true;
        }
    return refuse(problem, key, "it is error, warning, info or debug", value);
}

static bool set_key(struct options *options, const struct key *key, const char *value,
                    struct options_problem *problem)
{
    switch (key->kind) {
    case KEY_TEXT:
    case KEY_SHOWN:
    case KEY_NAME:
    case KEY_ADDRESS:
        return set_text(options, key, value, problem);
    case KEY_LIST:
    case KEY_JOIN:
    case KEY_PERCHES:
    case KEY_OPERATORS:
    case KEY_WORDS:
    case KEY_RATES:
        return add_list(options, key, value, problem);
    case KEY_PASSED:
        return add_passed(options, key, value, problem);
    case KEY_SWITCH:
        return set_switch(options, key, value, problem);
    case KEY_NUMBER:
        return set_number(options, key, value, problem);
    case KEY_DAYS:
        return set_days(options, key, value, problem);
    case KEY_FORMAT:
        return set_format(options, key, value, problem);
    case KEY_LEVEL:
        return set_level(options, key, value, problem);
    }
    return false;
}

static bool is_section(const char *section)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strcmp(keys[i].section, section) == 0)
            return true;
    return false;
}

static bool set_handler(struct options *options, const char *section, const char *key,
                        const char *value, struct options_problem *problem)
{
    const char *wrong =
        handler_set(&options->handlers, section + strlen(HANDLER_SECTION), key, value);

    if (wrong)
        snprintf(problem->text, sizeof problem->text, "[%.200s] %.200s = %.200s: %s", section, key,
                 value, wrong);
    return !wrong;
}

bool options_set(struct options *options, const char *section, const char *key, const char *value,
                 struct options_problem *problem)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, key) == 0)
            return set_key(options, &keys[i], value, problem);
    if (strncmp(section, HANDLER_SECTION, strlen(HANDLER_SECTION)) == 0)
        return set_handler(options, section, key, value, problem);
    if (!*section)
        snprintf(problem->text, sizeof problem->text, "%.200s stands before any [section]", key);
    else if (!is_section(section))
        snprintf(problem->text, sizeof problem->text, "there is no section [%.200s]", section);
    else
        snprintf(problem->text, sizeof problem->text, "[%s] has no key %.200s", section, key);
    return false;
}

void options_clear_list(struct options *options, const char *key)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (keys[i].count_at > 0 && strcmp(keys[i].name, key) == 0)
            *(size_t *)member(options, keys[i].count_at) = 0;
}

/* ---- the whole ---- */

void options_default(struct options *options)
{
    char host[NAME_MAX_BYTES + 1] = "";

    *options = (struct options){
        .network = DEFAULT_NETWORK,
        .network_is_default = true,
        .log_format = LOG_TEXT,
        .log_level = LOG_INFO,
        .gateway_enabled = true,
        .gateway_listen = DEFAULT_GATEWAY_LISTEN,
        .handlers_at_once = HANDLERS_AT_ONCE,
        .perch = true,
        .perch_mib = PERCH_BYTES_MAX / MIB,
    };
    if (gethostname(host, sizeof host - 1) != 0 || !host[0] ||
        !bytes_are_text(bytes_of_text(host), false))
        strcpy(host, "ducknode");
    strcpy(options->name, host);
    options->name_is_default = true;
}

/* The folder of duck_default_socket, so that both agree without being told. */
static void settle_state_dir(struct options *options)
{
    size_t size;

    if (options->state_dir[0])
        return;
    options->socket_is_default = !options->socket[0];
    duck_default_socket(options->state_dir, sizeof options->state_dir);
    size = strlen(options->state_dir);
    if (size > strlen(SOCKET_NAME))
        options->state_dir[size - strlen(SOCKET_NAME)] = 0;
}

static void settle_program(struct options *options)
{
    ssize_t size;
    char *slash;

    if (options->gateway_program[0])
        return;
    size = readlink("/proc/self/exe", options->gateway_program,
                    sizeof options->gateway_program - sizeof "/duckgate");
    options->gateway_program[size > 0 ? size : 0] = 0;
    slash = strrchr(options->gateway_program, '/');
    strcpy(slash ? slash + 1 : options->gateway_program, "duckgate");
}

static bool settle_network(struct options *options, struct options_problem *problem)
{
    char kept[NETWORK_ID_MAX + 1];

    if (!network_file_read(options->state_dir, kept) || strcmp(kept, options->network) == 0)
        return true;
    if (!options->network_is_default) {
        snprintf(problem->text, sizeof problem->text,
                 "the node in %.200s is of network %s, not of %s: another network needs a node of "
                 "its own",
                 options->state_dir, kept, options->network);
        return false;
    }
    strcpy(options->network, kept);
    return true;
}

bool options_settle(struct options *options, struct options_problem *problem)
{
    settle_state_dir(options);
    if (!settle_network(options, problem))
        return false;
    settle_program(options);
    if (options->listen_count == 0)
        strcpy(options->listen[options->listen_count++], DEFAULT_LISTEN);
    if (!options->socket[0] &&
        strlen(options->state_dir) + strlen(SOCKET_NAME) < sizeof options->socket)
        snprintf(options->socket, sizeof options->socket, "%.*s%s",
                 (int)(sizeof options->socket - sizeof SOCKET_NAME), options->state_dir,
                 SOCKET_NAME);
    if (!options->socket[0] || strlen(options->socket) > SOCKET_PATH_MAX) {
        snprintf(problem->text, sizeof problem->text,
                 "the path of the socket is longer than %u bytes, which no Unix socket may be: "
                 "%.200s (set [node] socket, or --socket)",
                 SOCKET_PATH_MAX, options->socket[0] ? options->socket : options->state_dir);
        return false;
    }
    for (size_t i = 0; i < options->advertise_count; i++) {
        if (node_address_is_valid(bytes_of_text(options->advertise[i])))
            continue;
        snprintf(problem->text, sizeof problem->text,
                 "[node] advertise: others cannot dial %s (host:port, the port from 1)",
                 options->advertise[i]);
        return false;
    }
    for (size_t i = 0; i < options->perch_count; i++) {
        if (options->perch_count == 1 || strncmp(options->perches[i], "nod_", 4) == 0)
            continue;
        snprintf(problem->text, sizeof problem->text,
                 "[node] perches: %s stands alone, or not at all", options->perches[i]);
        return false;
    }
    return handler_table_judge(&options->handlers, problem->text);
}

/* ---- printing ---- */

static const char *level_name(enum log_level level)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (levels[i].level == level)
            return levels[i].name;
    return "info";
}

static void print_list(const struct options *options, const struct key *key, FILE *file)
{
    size_t count = *(const size_t *)member_const(options, key->count_at);
    const char *list = member_const(options, key->at);

    for (size_t i = 0; i < count; i++)
        fprintf(file, "%s = %s\n", key->name, list + i * key->size);
}

static void print_passed(const struct options *options, const struct key *key, FILE *file)
{
    char flag[64];
    int size = snprintf(flag, sizeof flag, "--%s=", key->name);

    for (char *at = flag; *at; at++)
        if (*at == '_')
            *at = '-';
    for (size_t i = 0; i < options->gateway_passed_count; i++)
        if (strncmp(options->gateway_passed[i], flag, (size_t)size) == 0)
            fprintf(file, "%s = %s\n", key->name, options->gateway_passed[i] + size);
}

static void print_key(const struct options *options, const struct key *key, FILE *file)
{
    const void *value = member_const(options, key->at);

    switch (key->kind) {
    case KEY_TEXT:
    case KEY_SHOWN:
    case KEY_NAME:
    case KEY_ADDRESS:
        if (*(const char *)value)
            fprintf(file, "%s = %s\n", key->name, (const char *)value);
        break;
    case KEY_LIST:
    case KEY_JOIN:
    case KEY_PERCHES:
    case KEY_OPERATORS:
    case KEY_WORDS:
    case KEY_RATES:
        print_list(options, key, file);
        break;
    case KEY_PASSED:
        print_passed(options, key, file);
        break;
    case KEY_DAYS:
        fprintf(file, "%s = %u\n", key->name, *(const uint32_t *)member_const(options, key->at));
        break;
    case KEY_SWITCH:
        fprintf(file, "%s = %s\n", key->name, *(const bool *)value ? "yes" : "no");
        break;
    case KEY_NUMBER:
        fprintf(file, "%s = %u\n", key->name, *(const uint32_t *)value);
        break;
    case KEY_FORMAT:
        fprintf(file, "%s = %s\n", key->name, options->log_format == LOG_JSON ? "json" : "text");
        break;
    case KEY_LEVEL:
        fprintf(file, "%s = %s\n", key->name, level_name(options->log_level));
        break;
    }
}

void options_print(const struct options *options, FILE *file)
{
    const char *section = "";

    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(section, keys[i].section) != 0)
            fprintf(file, "%s[%s]\n", *section ? "\n" : "", keys[i].section);
        section = keys[i].section;
        print_key(options, &keys[i], file);
    }
    handler_table_print(&options->handlers, file);
}
