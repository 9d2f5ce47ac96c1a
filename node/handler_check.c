#include "handler_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void handler_caller(const struct options *options, const char *words[HANDLER_CALL_WORDS_MAX + 1])
{
    size_t count = 0;

    words[count++] = options->gateway_program;
    for (size_t i = 0; i < options->gateway_call_count; i++) {
        words[count++] = "--call-allow";
        words[count++] = options->gateway_calls[i];
    }
    if (options->gateway_call_ca_file[0]) {
        words[count++] = "--fetch-ca-file";
        words[count++] = options->gateway_call_ca_file;
    }
    words[count++] = "--call-handler";
    words[count] = NULL;
}

/* The first line of what it prints, and its exit status; -1: it did not run. */
static int run_and_read(char *const argv[], char *line, size_t size)
{
    int ends[2], status = 0;
    size_t count = 0;
    ssize_t got;
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execv(argv[0], argv);
        _exit(127);
    }
    close(ends[1]);
    while (
        child > 0 && count < size - 1 &&
        ((got = read(ends[0], line + count, size - 1 - count)) > 0 || (got < 0 && errno == EINTR)))
        count += got > 0 ? (size_t)got : 0;
    close(ends[0]);
    line[count] = 0;
    line[strcspn(line, "\n")] = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool would_be_called(const struct options *options, const struct handler *handler,
                            char problem[HANDLER_PROBLEM_SIZE])
{
    const char *words[HANDLER_CALL_WORDS_MAX + 1];
    char *argv[HANDLER_CALL_WORDS_MAX + 3], said[256];
    size_t count = 0;
    int status;

    handler_caller(options, words);
    argv[count++] = (char *)(uintptr_t)words[0];
    argv[count++] = (char *)(uintptr_t) "--check-config";
    for (size_t i = 1; words[i]; i++)
        argv[count++] = (char *)(uintptr_t)words[i];
    argv[count++] = (char *)(uintptr_t)handler->url;
    argv[count] = NULL;
    status = run_and_read(argv, said, sizeof said);
    if (status == 0)
        return true;
    if (status == 127 || status < 0)
        snprintf(said, sizeof said, "%.200s, which calls URLs, does not run", argv[0]);
    snprintf(problem, HANDLER_PROBLEM_SIZE, "[handler %s] url: %s", handler->name,
             *said ? said : "the gateway's program does not take it");
    return false;
}

bool handler_would_run(const struct options *options, const struct handler *handler,
                       char problem[HANDLER_PROBLEM_SIZE])
{
    if (handler->url[0])
        return would_be_called(options, handler, problem);
    return handler_judge_program(handler, problem);
}
