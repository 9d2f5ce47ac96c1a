#include "handler_keeper.h"

#include "clock.h"
#include "core/moment.h"
#include "handler_strays.h"
#include "log.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct keeper {
    sigset_t heard, before;
    pid_t kept;
    int status; /* of the kept one, once it is reaped */
    uint64_t kill_at_ms;
};

static pid_t start(const struct keeper *keeper, int (*run)(const void *), const void *context)
{
    pid_t parent = getpid(), pid = fork();

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* it died before we asked to be told */
        _exit(1);
    sigprocmask(SIG_SETMASK, &keeper->before, NULL);
    exit(run(context));
}

/* Orphans of what the kept one runs end here too; only its own end counts. */
static bool has_ended(struct keeper *keeper)
{
    int status;
    pid_t ended;

    while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
        if (ended == keeper->kept) {
            keeper->status = status;
            return true;
        }
    return false;
}

/* A signal, or when it is time to kill. */
static int wait_for_signal(const struct keeper *keeper)
{
    uint64_t now_ms = clock_now_ms(), left_ms;
    struct timespec left;

    if (keeper->kill_at_ms == MOMENT_NEVER)
        return sigwaitinfo(&keeper->heard, NULL);
    left_ms = keeper->kill_at_ms > now_ms ? keeper->kill_at_ms - now_ms : 0;
    left = (struct timespec){(time_t)(left_ms / 1000), (long)(left_ms % 1000) * 1000000};
    return sigtimedwait(&keeper->heard, NULL, &left);
}

static void watch(struct keeper *keeper)
{
    while (!has_ended(keeper)) {
        int number = wait_for_signal(keeper);

        if (number == SIGTERM || number == SIGINT || number == SIGHUP)
            kill(keeper->kept, number);
        if ((number == SIGTERM || number == SIGINT) && keeper->kill_at_ms == MOMENT_NEVER)
            keeper->kill_at_ms = clock_now_ms() + HANDLER_KEEP_MS;
        if (clock_now_ms() >= keeper->kill_at_ms)
            kill(keeper->kept, SIGKILL);
    }
}

int handler_keeper_run(int (*run)(const void *context), const void *context)
{
    struct keeper keeper = {.kill_at_ms = MOMENT_NEVER};

    sigemptyset(&keeper.heard);
    sigaddset(&keeper.heard, SIGCHLD);
    sigaddset(&keeper.heard, SIGTERM);
    sigaddset(&keeper.heard, SIGINT);
    sigaddset(&keeper.heard, SIGHUP);
    sigprocmask(SIG_BLOCK, &keeper.heard, &keeper.before);
    if (!handler_strays_adopt())
        log_write(LOG_WARNING, "handler", "processes that leave their parents will not be found");
    keeper.kept = start(&keeper, run, context);
    if (keeper.kept < 0) {
        log_write(LOG_ERROR, "handler", "cannot start a process: %s", strerror(errno));
        return 1;
    }
    watch(&keeper);
    handler_strays_end();
    if (WIFEXITED(keeper.status))
        return WEXITSTATUS(keeper.status);
    log_write(LOG_ERROR, "handler", "what ran them was ended by signal %d: so were they",
              WTERMSIG(keeper.status));
    return 1;
}
