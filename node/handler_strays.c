#include "handler_strays.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

bool handler_strays_adopt(void)
{
    return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

static bool is_among(pid_t one, const pid_t *groups, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (groups[i] == one)
            return true;
    return false;
}

/* A child's number is nobody else's until it is reaped, which only the caller does. */
long handler_strays_kill(const pid_t *groups, size_t count)
{
    char path[64];
    long found = 0;
    FILE *file;
    int child;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    file = fopen(path, "re");
    if (!file)
        return -1;
    while (fscanf(file, "%d", &child) == 1) {
        if (is_among(child, groups, count))
            continue;
        found++;
        if (!is_among(getpgid(child), groups, count))
            kill(child, SIGKILL);
    }
    fclose(file);
    return found;
}

/* What a killed one had below it has come up by the time it can be reaped: so a round more finds it. */
void handler_strays_end(void)
{
    while (handler_strays_kill(NULL, 0) > 0)
        waitpid(-1, NULL, 0);
}
