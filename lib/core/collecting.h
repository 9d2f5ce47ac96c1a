/* collecting: how this node gets what its perches hold for it.
 *
 * Each perch is asked when it links up, and again every COLLECT_EVERY_MS; it sends a portion in the
 * order of its numbers, and is asked for the next one. What waits for an earlier peck of its thread is
 * left with the perch, and a pass over all is made again soon. */
#ifndef DUCK_CORE_COLLECTING_H
#define DUCK_CORE_COLLECTING_H

#include "id.h"
#include "limits.h"
#include "moment.h"

struct collecting;

struct collecting *collecting_new(void);
void collecting_free(struct collecting *collecting); /* NULL is fine */

/* A linked node that holds pecks for others, whether we name it now or did before. At most
 * COLLECTING_MAX: as many as lasting links. */
#define COLLECTING_MAX ACTIVE_LINKS_MAX
void collecting_link_up(struct collecting *collecting, const struct id *perch, uint64_t now_ms);
void collecting_link_down(struct collecting *collecting, const struct id *perch);

/* A HeldFrame of that perch came. False: nobody asks that node for anything. One that says that there is
 * more, and comes no further, is at its end. */
bool collecting_hear(struct collecting *collecting, const struct id *perch, uint64_t number,
                     bool is_last, bool has_more, uint64_t now_ms);

/* One was left for later; or one was of no use: the next portion comes COLLECT_JUNK_MS later. */
void collecting_leave(struct collecting *collecting, const struct id *perch, uint64_t now_ms);
void collecting_note_junk(struct collecting *collecting, const struct id *perch);

/* A CollectFrame is due to `*perch`. False: none now. */
bool collecting_poll(struct collecting *collecting, uint64_t now_ms, struct id *perch,
                     uint64_t *after);
uint64_t collecting_wake_at_ms(const struct collecting *collecting); /* steady */

#endif
