/* handler_run: one run of a handler's program, from its start to what it said.
 *
 * The program is a process and a process group of its own: standard input is the peck, standard
 * output the answer, standard error goes to the log line by line. It has no other descriptor, no
 * environment but what it is given, "/" as its folder, umask 077, no core dumps, no new privileges,
 * the limits of its handler, and it is killed when the process that started it dies. After its time
 * the group gets SIGTERM, HANDLER_GRACE_MS later SIGKILL; what is left of the group when the program
 * has ended is killed at once. What left the group on purpose is handler_strays's.
 *
 * It answers by ending with status 0 and one JSON value on standard output. Everything else is a
 * failure, and the reason is told the sender: a program that ends with another status may print it
 * (text, at most 1 KiB).
 *
 * Nothing here waits: the caller polls, and says what time it is (steady). */
#ifndef DUCK_NODE_HANDLER_RUN_H
#define DUCK_NODE_HANDLER_RUN_H

#include "core/bytes.h"
#include "core/moment.h"
#include "handler_table.h"

#include <poll.h>
#include <sys/types.h>

#define HANDLER_GRACE_MS 2000u              /* from SIGTERM to SIGKILL */
#define HANDLER_LOG_MAX (64u * KIB)         /* bytes of standard error of one run that reach the log… */
#define HANDLER_LOG_LINES_PER_S 50u         /* …and so many lines a second; the rest is counted */
#define HANDLER_LOG_LINE_MAX 500u           /* bytes; a longer line is cut into several */
#define HANDLER_DESCRIPTORS_MAX 256u        /* that a program may open (RLIMIT_NOFILE) */
#define HANDLER_RUN_FDS 3u

struct handler_run;

enum handler_start {
    HANDLER_STARTED,
    HANDLER_NO_PROGRAM,  /* it cannot be executed: *error is errno */
    HANDLER_NO_ROOM,     /* this machine's fault: no process or descriptor is left */
};

enum handler_end {
    HANDLER_ANSWERED,
    HANDLER_FAILED,
    HANDLER_TIMED_OUT,
    HANDLER_DROPPED,     /* ended by handler_run_drop: there is nothing to say */
};

struct handler_said {
    enum handler_end end;
    struct bytes result;              /* JSON, in the run's memory; when answered */
    char problem[RECEIPT_PROBLEM_MAX + 1]; /* for the sender; when failed or timed out */
};

/* Keeps `input` (from memory_take), whatever happens. `environment` is NULL-terminated. */
enum handler_start handler_run_start(struct handler_run **started, const struct handler *handler,
                                     struct bytes input, char *const *environment, uint64_t now_ms,
                                     int *error);
void handler_run_free(struct handler_run *run); /* NULL is fine; what still runs is killed, not reaped */

pid_t handler_run_pid(const struct handler_run *run); /* of the process, and of its group */

/* What to poll for; -1 where there is nothing. */
void handler_run_fds(const struct handler_run *run, struct pollfd fds[HANDLER_RUN_FDS]);
uint64_t handler_run_wake_at_ms(const struct handler_run *run);
/* Reads and writes what is possible, and ends what is over its time. */
void handler_run_move(struct handler_run *run, uint64_t now_ms);

/* Ends it, SIGTERM first; there will be nothing to say. */
void handler_run_drop(struct handler_run *run, uint64_t now_ms);

/* The process has ended, or is to end now; it is not reaped yet, so that its number is nobody else's.
 * Reads what is left in the pipes, and kills what is left of the group. */
void handler_run_ended(struct handler_run *run, uint64_t now_ms);
/* It is reaped: what did it say? `status` is waitpid's. */
void handler_run_judge(const struct handler_run *run, int status, struct handler_said *said);

#endif
