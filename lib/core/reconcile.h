/* reconcile: two nodes find out which records the other lacks, at a cost that grows with the
 * difference: range-based set reconciliation, negentropy protocol v1 byte for byte
 * (hoytech/negentropy; Meyer, "Range-Based Set Reconciliation", SRDS 2023).
 *
 * An initiator begins, a responder answers, until the initiator knows. Only the initiator learns:
 * hashes it needs, to fetch and verify, and hashes it has, which are advice: a responder can claim
 * that it holds nothing. Moving the records is not done here.
 *
 * The responder keeps nothing between messages, and either set may change between them: at worst a
 * hash is missed or named in vain until the next session. The plan of a session between members:
 * probe; if different, with `from_s` the part issued since the last session; fetch and apply; then
 * everything; now and then an audit (audit.h), because plain fingerprints can be collided. */
#ifndef DUCK_CORE_RECONCILE_H
#define DUCK_CORE_RECONCILE_H

#include "limits.h"
#include "recordset.h"

struct reconcile_settings {
    size_t pieces;         /* a run that differs is split into so many, 2..RECONCILE_PIECES_MAX */
    size_t list_below;     /* and listed when it has fewer, 2..RECONCILE_LIST_BELOW_MAX */
    size_t frame_max;      /* bytes of a message written, from RECONCILE_FRAME_MIN; 0, in tests: none */
    size_t take_max;       /* bytes of a message read */
    uint32_t from_s;       /* stamps before this second are not looked at */
    size_t needs_max, haves_max, rounds_max, bytes_max, looks_max; /* of an initiator's session */
    bool cuts_like_reference; /* for tests: byte by byte what upstream sends, lost tails included */
};

extern const struct reconcile_settings reconcile_defaults; /* from limits.h; from_s 0 */

enum reconcile_verdict {
    RECONCILE_TAKEN,     /* there is a message to send */
    RECONCILE_DONE,      /* the initiator knows all */
    /* An initiator's session ends before it knows all; what it found holds: */
    RECONCILE_ENOUGH,    /* it needs more than needs_max: fetch those, then begin anew */
    RECONCILE_TOO_LONG,  /* rounds_max */
    RECONCILE_TOO_MUCH,  /* bytes_max, or looks_max */
    /* The peer's message is refused and changed nothing: */
    RECONCILE_MALFORMED,
    RECONCILE_OVERSIZED, /* take_max */
    RECONCILE_OTHER_VERSION, /* the responder speaks only that; a responder answers this itself */
};

/* One side: settings, the memory of a message, and an initiator's findings. A responder can serve
 * any number of peers with one. */
struct reconcile;

struct reconcile *reconcile_new(const struct reconcile_settings *settings);
void reconcile_free(struct reconcile *side); /* NULL is fine */

/* The responder. `answer`, never above frame_max, is borrowed until the next call. */
enum reconcile_verdict reconcile_answer(struct reconcile *side, const struct recordset *set,
                                        struct bytes message, struct bytes *answer);

/* Gives back what the last answer took: a responder is mostly idle. */
void reconcile_rest(struct reconcile *side);

/* The initiator: begins a session, forgetting the one before. A probe asks in 20 bytes (24 with
 * from_s) whether the sets are equal; an answer that is not RECONCILE_DONE can be gone on with, but
 * a session of its own with from_s is usually cheaper. Messages are borrowed as above. */
void reconcile_begin(struct reconcile *side, const struct recordset *set, struct bytes *message);
void reconcile_begin_probe(struct reconcile *side, const struct recordset *set,
                           struct bytes *message);
enum reconcile_verdict reconcile_take(struct reconcile *side, const struct recordset *set,
                                      struct bytes answer, struct bytes *message);

/* What it found so far, sorted, each once; borrowed until the next call. */
const struct hash *reconcile_needs(struct reconcile *side, size_t *count);
const struct hash *reconcile_haves(struct reconcile *side, size_t *count);

#endif
