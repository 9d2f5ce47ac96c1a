#include "programs.h"

#include "fault.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Appends "FLAG WORD" for each. Returns the new count. */
static size_t pass_each(const char **arguments, size_t count, const char *flag,
                        const char (*words)[OPTIONS_ADDRESS_SIZE], size_t word_count)
{
    for (size_t i = 0; i < word_count; i++) {
        arguments[count++] = flag;
        arguments[count++] = words[i];
    }
    return count;
}

static size_t pass_one(const char **arguments, size_t count, const char *flag, const char *word)
{
    if (word[0]) {
        arguments[count++] = flag;
        arguments[count++] = word;
    }
    return count;
}

/* Who may call how often, who may look, and how it is carried. */
static size_t pass_limits(const struct options *options, const char **arguments, size_t count)
{
    count = pass_each(arguments, count, "--limits", options->gateway_limits,
                      options->gateway_limit_count);
    count = pass_each(arguments, count, "--trust-proxy", options->gateway_proxies,
                      options->gateway_proxy_count);
    count = pass_one(arguments, count, "--proxy-header", options->gateway_proxy_header);
    count = pass_each(arguments, count, "--metrics-allow", options->gateway_metrics,
                      options->gateway_metrics_count);
    count = pass_one(arguments, count, "--tls-certificate-file", options->tls_certificate_file);
    return pass_one(arguments, count, "--tls-key-file", options->tls_key_file);
}

struct gateway_call {
    char state[OPTIONS_PATH_SIZE + 16], url_file[OPTIONS_PATH_SIZE + 32];
    const char *words[SUPERVISED_ARGUMENTS_MAX]; /* the program first, NULL at the end */
};

/* What is called; `last` (NULL: none) stands behind it. */
static void make_call(const struct options *options, const char *last, struct gateway_call *call)
{
    const char **arguments = call->words;
    size_t count = 0;

    snprintf(call->state, sizeof call->state, "%s/gateway", options->state_dir);
    snprintf(call->url_file, sizeof call->url_file, GATEWAY_URL_FILE, options->state_dir);
    arguments[count++] = options->gateway_program;
    arguments[count++] = "--socket";
    arguments[count++] = options->socket;
    arguments[count++] = "--listen";
    arguments[count++] = options->gateway_listen;
    arguments[count++] = "--state-dir";
    arguments[count++] = call->state;
    arguments[count++] = "--url-file";
    arguments[count++] = call->url_file;
    arguments[count++] = "--log-format";
    arguments[count++] = options->log_format == LOG_JSON ? "json" : "text";
    if (options->gateway_public_url[0]) {
        arguments[count++] = "--public-url";
        arguments[count++] = options->gateway_public_url;
    }
    for (size_t i = 0; i < options->gateway_host_count; i++) {
        arguments[count++] = "--allow-host";
        arguments[count++] = options->gateway_hosts[i];
    }
    for (size_t i = 0; i < options->gateway_origin_count; i++) {
        arguments[count++] = "--allow-origin";
        arguments[count++] = options->gateway_origins[i];
    }
    if (options->gateway_call_ca_file[0]) {
        arguments[count++] = "--call-ca-file";
        arguments[count++] = options->gateway_call_ca_file;
    }
    count = pass_limits(options, arguments, count);
    if (options->smtp_url[0]) {
        arguments[count++] = "--smtp-url";
        arguments[count++] = options->smtp_url;
    }
    if (options->mail_from[0]) {
        arguments[count++] = "--mail-from";
        arguments[count++] = options->mail_from;
    }
    if (options->smtp_credentials_file[0]) {
        arguments[count++] = "--smtp-credentials-file";
        arguments[count++] = options->smtp_credentials_file;
    }
    for (size_t i = 0; i < options->gateway_passed_count; i++)
        arguments[count++] = options->gateway_passed[i];
    if (last)
        arguments[count++] = last;
    arguments[count] = NULL;
}

int programs_start_gateway(const struct options *options, struct supervisor **supervisor)
{
    char pid_file[OPTIONS_PATH_SIZE + 32];
    struct gateway_call call;

    if (!options->gateway_enabled)
        return 0;
    make_call(options, NULL, &call);
    snprintf(pid_file, sizeof pid_file, "%s/gateway.pid", options->state_dir);
    if (mkdir(call.state, 0700) != 0 && errno != EEXIST) {
        log_write(LOG_ERROR, "gateway", "cannot make %s: %s", call.state, strerror(errno));
        return FAULT_FILE;
    }
    return supervisor_start(supervisor, "gateway", call.words, pid_file);
}

bool programs_check_gateway(const struct options *options)
{
    posix_spawn_file_actions_t files;
    struct gateway_call call;
    int error, status = -1;
    pid_t pid;

    if (!options->gateway_enabled)
        return true;
    make_call(options, "--check-config", &call);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    error = posix_spawn(&pid, call.words[0], &files, NULL, (char *const *)(uintptr_t)call.words,
                        environ);
    posix_spawn_file_actions_destroy(&files);
    if (error)
        log_write(LOG_ERROR, "gateway", "cannot start %s: %s", call.words[0], strerror(error));
    return !error && waitpid(pid, &status, 0) == pid && status == 0;
}

int programs_start_handlers(const struct options *options, struct supervisor **supervisor)
{
    const char *arguments[SUPERVISED_ARGUMENTS_MAX];
    char program[OPTIONS_PATH_SIZE];
    size_t count = 0;
    ssize_t size;

    if (options->handlers.count == 0)
        return 0;
    size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size <= 0) {
        log_write(LOG_ERROR, "handler", "cannot find this program: %s", strerror(errno));
        return FAULT_FILE;
    }
    program[size] = 0;
    arguments[count++] = program;
    arguments[count++] = "run-handlers";
    arguments[count++] = "--config";
    arguments[count++] = options->config_path;
    arguments[count++] = "--socket";
    arguments[count++] = options->socket;
    arguments[count++] = "--log-format";
    arguments[count++] = options->log_format == LOG_JSON ? "json" : "text";
    arguments[count++] = "--log-level";
    arguments[count++] = log_level_name(options->log_level);
    arguments[count] = NULL;
    return supervisor_start(supervisor, "handler", arguments, NULL);
}
