/* handler_strays: processes that a handler's program left behind.
 *
 * Whoever runs handlers is the subreaper of all below it (prctl(2)): a process whose parent is gone
 * becomes its child. Those that are still in the group of a run that goes on are left alone, they
 * end with it; those that left the group (setsid, setpgid: daemons) are killed. So nothing survives
 * that cannot be found: when a stray is killed, its own children come up in turn. Only who forks
 * faster than it is killed, and for ever, is not caught up with; processes_max, or the limits of a
 * systemd unit, are for that. */
#ifndef DUCK_NODE_HANDLER_STRAYS_H
#define DUCK_NODE_HANDLER_STRAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

bool handler_strays_adopt(void); /* once: become the subreaper. False: this kernel cannot */

/* Kills those whose group is none of `groups`. How many children there are beside the leaders of
 * `groups`: killed now or before and not reaped, or in a group. -1: this kernel does not tell. */
long handler_strays_kill(const pid_t *groups, size_t count);

void handler_strays_end(void); /* kills and reaps until this process has no child left */

#endif
