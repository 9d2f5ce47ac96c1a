/* handler_peck: a peck as a handler's program gets it.
 *
 * On standard input one JSON object, then the end:
 *
 *     {"peck_id":"pck_…","attempt":1,"from":"dkl_…","to":"dkl_…","action":"data.read",
 *      "thread":"","reply_to":"","trace":"","created_ms":1790000000000,
 *      "expires_ms":1790000060000,"payload":…}
 *
 * `attempt` counts how often the peck was handed out: above 1 an earlier run may have done some or
 * all of the work. `payload` is the sender's JSON, byte for byte.
 *
 * The environment holds PATH and, for programs that need not read JSON, DUCK_HANDLER, DUCK_PECK_ID,
 * DUCK_ATTEMPT, DUCK_FROM, DUCK_TO, DUCK_ACTION and DUCK_THREAD. Nothing of the node's own. */
#ifndef DUCK_NODE_HANDLER_PECK_H
#define DUCK_NODE_HANDLER_PECK_H

#include "core/json_text.h"
#include "core/limits.h"

#define HANDLER_ENVIRONMENT_MAX 8u
#define HANDLER_PATH "/usr/local/bin:/usr/bin:/bin"

struct handler_peck {
    const char *handler, *peck_id, *from, *to, *reply_to;
    struct bytes action, thread, trace, payload;
    uint64_t created_ms, expires_ms;
    uint32_t attempt;
};

struct handler_environment {
    char text[HANDLER_ENVIRONMENT_MAX][32 + PECK_ACTION_MAX];
    char *list[HANDLER_ENVIRONMENT_MAX + 1];
};

/* The line for standard input; owned by the caller (memory_give_back of `data`). Not
 * JSON_TEXT_OK: the payload is not JSON, and `*line` is left as it is. */
enum json_text_verdict handler_peck_line(const struct handler_peck *peck, struct bytes *line);

void handler_peck_environment(const struct handler_peck *peck, struct handler_environment *environment);

#endif
