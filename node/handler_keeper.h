/* handler_keeper: nothing that a handler started outlives whoever runs handlers.
 *
 * The runner kills what it started when it ends. Should it be killed itself, nobody would: the
 * program's process dies with its parent (PR_SET_PDEATHSIG), but not what that one forked. So the
 * runner is the child of a keeper that does nothing else: it is the subreaper of all below
 * (prctl(2)), hands on the signals that end, and when the runner is gone, however it went, kills
 * until it has no child left. A keeper that is killed ends the runner, which cleans up as always.
 * Only who kills both at one moment leaves something behind. */
#ifndef DUCK_NODE_HANDLER_KEEPER_H
#define DUCK_NODE_HANDLER_KEEPER_H

#define HANDLER_KEEP_MS 4500u /* after it was told to end, what is kept is killed; less than the supervisor waits */

/* Runs `run` in a child, with SIGTERM, SIGINT and SIGHUP as they were. Returns its exit status when
 * everything below has ended; 1 when it was killed. The caller is to end too: those signals stay
 * blocked. */
int handler_keeper_run(int (*run)(const void *context), const void *context);

#endif
