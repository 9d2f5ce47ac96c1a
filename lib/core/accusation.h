/* accusation: one node's signed word that another does not answer. The wire: proto/gossip.proto.
 *
 * It counts against one version of the accused's node record. Nobody's verdict travels, only these:
 * each node counts distinct accusers for itself (see gossip.h). */
#ifndef DUCK_CORE_ACCUSATION_H
#define DUCK_CORE_ACCUSATION_H

#include "envelope.h"
#include "limits.h"
#include "moment.h"

struct accusation {
    struct bytes network;
    struct id accuser, accused; /* nodes */
    struct version version;     /* of the accused's node record */
    uint64_t made_ms, not_after_ms; /* Unix time */
};

enum accusation_verdict {
    ACCUSATION_OK,
    ACCUSATION_MALFORMED,
    ACCUSATION_TOO_LARGE,  /* ACCUSATION_SIZE_MAX */
    ACCUSATION_OF_ITSELF,
    ACCUSATION_BAD_TIMES,  /* lives longer than ACCUSATION_LIFE_MS, or ends before it begins */
    ACCUSATION_EXPIRED,    /* by more than CLOCK_SKEW_MAX_MS */
    ACCUSATION_FROM_FUTURE,/* it, or the version that it names, by more than CLOCK_SKEW_MAX_MS */
};

const char *accusation_verdict_text(enum accusation_verdict verdict);

/* Form only. `network` borrows from `arena`. */
enum accusation_verdict accusation_parse(struct bytes body, struct arena *arena,
                                         struct accusation *accusation);
enum accusation_verdict accusation_pack(const struct accusation *accusation, struct arena *arena,
                                        struct bytes *body);

/* Clocks of members may be CLOCK_SKEW_MAX_MS apart. */
enum accusation_verdict accusation_judge_dates(const struct accusation *accusation,
                                               uint64_t wall_ms);

#endif
