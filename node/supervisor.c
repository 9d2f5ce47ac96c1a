#include "supervisor.h"

#include "clock.h"
#include "core/bytes.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESTART_FIRST_MS 100ull
#define RESTART_MAX_MS 30000ull
#define STEADY_AFTER_MS 60000ull
#define STOP_WITHIN_MS 5000ull
#define LOOK_EVERY_MS 50
#define LOOK_BLINDLY_MS 500 /* where the kernel does not tell of an end */

extern char **environ;

struct supervisor {
    char *arguments[SUPERVISED_ARGUMENTS_MAX + 1];
    const char *name;
    char *pid_file; /* NULL: none */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pid_t pid; /* 0: none runs */
    bool stopping;
    int stop; /* an eventfd that says so */
};

static void wait_ms(struct supervisor *supervisor, uint64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&supervisor->changed, &supervisor->lock, &until);
}

/* ---- one of an earlier life ---- */

/* Is `pid` really the program that we would start? Numbers are used again. */
static bool is_ours(pid_t pid, const char *program)
{
    char link[64], target[4096], *wanted;
    ssize_t size;
    bool same;

    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    size = readlink(link, target, sizeof target - 1);
    if (size <= 0)
        return false;
    target[size] = 0;
    wanted = realpath(program, NULL);
    same = wanted && strcmp(wanted, target) == 0;
    free(wanted);
    return same;
}

static void end_earlier(const struct supervisor *supervisor)
{
    FILE *file = supervisor->pid_file ? fopen(supervisor->pid_file, "re") : NULL;
    uint64_t until_ms = clock_now_ms() + STOP_WITHIN_MS;
    int pid = 0;

    if (!file)
        return;
    if (fscanf(file, "%d", &pid) != 1)
        pid = 0;
    fclose(file);
    if (pid <= 1 || !is_ours(pid, supervisor->arguments[0]))
        return;
    log_write(LOG_INFO, supervisor->name, "ending the one of an earlier life, pid %d", pid);
    kill(pid, SIGTERM);
    while (is_ours(pid, supervisor->arguments[0]) && clock_now_ms() < until_ms)
        usleep(LOOK_EVERY_MS * 1000);
}

static void write_pid(const struct supervisor *supervisor)
{
    int file;

    if (!supervisor->pid_file)
        return;
    file = open(supervisor->pid_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (file < 0)
        return;
    dprintf(file, "%d\n", (int)supervisor->pid);
    close(file);
}

/* ---- running ---- */

static int spawn(struct supervisor *supervisor)
{
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int error;

    /* The node blocks signals for its own waiting; what it starts begins with none blocked. */
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    error = posix_spawn(&supervisor->pid, supervisor->arguments[0], NULL, &attributes,
                        supervisor->arguments, environ);
    posix_spawnattr_destroy(&attributes);
    if (error) {
        log_write(LOG_ERROR, supervisor->name, "cannot start %s: %s", supervisor->arguments[0],
                  strerror(error));
        supervisor->pid = 0;
        return FAULT_FILE;
    }
    write_pid(supervisor);
    log_write(LOG_INFO, supervisor->name, "started, pid %d", (int)supervisor->pid);
    return 0;
}

static void reap(struct supervisor *supervisor, int status)
{
    if (WIFSIGNALED(status))
        log_write(LOG_ERROR, supervisor->name, "ended by signal %d", WTERMSIG(status));
    else if (!supervisor->stopping)
        log_write(LOG_ERROR, supervisor->name, "ended with status %d", WEXITSTATUS(status));
    supervisor->pid = 0;
    if (supervisor->pid_file)
        unlink(supervisor->pid_file);
}

/* Under the lock, which is given up while there is nothing to see. Waits until the gateway has ended, or
 * somebody wants it to. */
static void watch(struct supervisor *supervisor)
{
    struct pollfd seen[] = {{.fd = supervisor->stop, .events = POLLIN},
                            {.fd = pidfd_open(supervisor->pid, 0), .events = POLLIN}};
    int status;

    while (!supervisor->stopping) {
        if (waitpid(supervisor->pid, &status, WNOHANG) == supervisor->pid) {
            reap(supervisor, status);
            break;
        }
        pthread_mutex_unlock(&supervisor->lock);
        poll(seen, 2, seen[1].fd >= 0 ? -1 : LOOK_BLINDLY_MS);
        pthread_mutex_lock(&supervisor->lock);
    }
    if (seen[1].fd >= 0)
        close(seen[1].fd);
}

static void end(struct supervisor *supervisor)
{
    uint64_t until_ms = clock_now_ms() + STOP_WITHIN_MS;
    int status;

    kill(supervisor->pid, SIGTERM);
    while (waitpid(supervisor->pid, &status, WNOHANG) != supervisor->pid) {
        if (clock_now_ms() >= until_ms) {
            kill(supervisor->pid, SIGKILL);
            waitpid(supervisor->pid, &status, 0);
            break;
        }
        wait_ms(supervisor, LOOK_EVERY_MS);
    }
    reap(supervisor, status);
}

static void *run(void *context)
{
    struct supervisor *supervisor = context;
    uint64_t pause_ms = RESTART_FIRST_MS;

    end_earlier(supervisor);
    pthread_mutex_lock(&supervisor->lock);
    while (!supervisor->stopping) {
        uint64_t started_ms = clock_now_ms();

        if (spawn(supervisor) == 0)
            watch(supervisor);
        if (supervisor->stopping)
            break;
        if (clock_now_ms() - started_ms > STEADY_AFTER_MS)
            pause_ms = RESTART_FIRST_MS;
        wait_ms(supervisor, pause_ms);
        pause_ms = pause_ms * 2 < RESTART_MAX_MS ? pause_ms * 2 : RESTART_MAX_MS;
    }
    if (supervisor->pid > 0)
        end(supervisor);
    pthread_mutex_unlock(&supervisor->lock);
    return NULL;
}

static void supervisor_free(struct supervisor *supervisor)
{
    for (size_t i = 0; i < SUPERVISED_ARGUMENTS_MAX; i++)
        memory_give_back(supervisor->arguments[i]);
    memory_give_back(supervisor->pid_file);
    if (supervisor->stop >= 0)
        close(supervisor->stop);
    pthread_mutex_destroy(&supervisor->lock);
    pthread_cond_destroy(&supervisor->changed);
    memory_give_back(supervisor);
}

int supervisor_start(struct supervisor **started, const char *name, const char *const *arguments,
                     const char *pid_file)
{
    struct supervisor *supervisor = memory_take(sizeof *supervisor);

    supervisor->name = name;
    pthread_condattr_t monotonic;

    for (size_t i = 0; i < SUPERVISED_ARGUMENTS_MAX && arguments[i]; i++)
        supervisor->arguments[i] = memory_copy(arguments[i], strlen(arguments[i]) + 1);
    if (pid_file)
        supervisor->pid_file = memory_copy(pid_file, strlen(pid_file) + 1);
    pthread_mutex_init(&supervisor->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&supervisor->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    supervisor->stop = eventfd(0, EFD_CLOEXEC);
    if (supervisor->stop < 0 || pthread_create(&supervisor->thread, NULL, run, supervisor) != 0) {
        supervisor_free(supervisor);
        return FAULT_BUSY;
    }
    *started = supervisor;
    return 0;
}

void supervisor_stop(struct supervisor *supervisor)
{
    if (!supervisor)
        return;
    pthread_mutex_lock(&supervisor->lock);
    supervisor->stopping = true;
    pthread_cond_broadcast(&supervisor->changed);
    eventfd_write(supervisor->stop, 1);
    pthread_mutex_unlock(&supervisor->lock);
    pthread_join(supervisor->thread, NULL);
    supervisor_free(supervisor);
}

void supervisor_signal(struct supervisor *supervisor, int number)
{
    if (!supervisor)
        return;
    pthread_mutex_lock(&supervisor->lock);
    if (supervisor->pid > 0)
        kill(supervisor->pid, number);
    pthread_mutex_unlock(&supervisor->lock);
}

bool supervisor_is_up(struct supervisor *supervisor)
{
    bool up;

    if (!supervisor)
        return false;
    pthread_mutex_lock(&supervisor->lock);
    up = supervisor->pid > 0;
    pthread_mutex_unlock(&supervisor->lock);
    return up;
}
