/* repair: the plan by which a node fetches what its neighbours hold and it lacks, for one set of
 * records.
 *
 * One session at a time, with one neighbour, and only the one that begins it learns; the other way
 * round is the neighbour's own session. The plan (cost follows the difference, measured beside
 * bench_reconcile): are the sets equal (20 bytes)? If not, first the part that was issued since the
 * last good session, fetched and applied, so that what it replaces is not compared any more; then
 * everything. A node that holds next to nothing lets a neighbour stream its set in the order of time
 * instead. Once an hour the set is audited under hashes that are keyed afresh (audit.h).
 *
 * Neighbours may lie or stall: a session in which nothing of use comes for REPAIR_STILL_MS ends, and so does one that
 * brings less than it should (REPAIR_RECORD_MS) while others wait; who
 * fails, or names what it does not bring, waits, twice as long each time, and lets others go first;
 * what came and was refused is not asked for again for REPAIR_REFUSED_MS; all is bounded.
 * No I/O; needs the set that it repairs with each call. */
#ifndef DUCK_CORE_REPAIR_H
#define DUCK_CORE_REPAIR_H

#include "audit.h"
#include "dice.h"
#include "moment.h"
#include "reconcile.h"

struct repair;

struct repair *repair_new(const struct id *self, const uint8_t dice_seed[DICE_SEED_SIZE]);
void repair_free(struct repair *repair); /* NULL is fine */

/* A neighbour's set may differ: its link came up, or (`differs`) its fingerprint says so. True: that
 * is new, and a session with it may begin now; it may also rest, or wait already. */
bool repair_suggest(struct repair *repair, const struct id *peer, bool differs, uint64_t now_ms);
/* It goes before all others, also before one of them with whom a session goes on. */
void repair_hurry(struct repair *repair, const struct id *peer, uint64_t now_ms);
void repair_link_down(struct repair *repair, const struct id *peer, uint64_t now_ms);

/* An answer to REPAIR_COMPARE, and one to REPAIR_AUDIT: the responder's nonce. Those of another
 * session are dropped. */
void repair_answered(struct repair *repair, const struct recordset *set, const struct id *peer,
                     uint32_t session, struct bytes message, const struct moment *at);
void repair_audit_opened(struct repair *repair, const struct recordset *set, const struct id *peer,
                         uint32_t session, const uint8_t nonce[AUDIT_NONCE_SIZE],
                         const struct moment *at);

/* Records came for REPAIR_FETCH or REPAIR_STREAM, and were offered to the directory: `useful` of
 * them were taken. `last`: all that was asked for in one go has come; of a stream, `next` is where
 * it goes on, NULL: at its end. False: nobody asked. */
bool repair_fetched(struct repair *repair, const struct id *peer, uint32_t session, size_t useful,
                    bool last, const struct stamp *next, const struct moment *at);
bool repair_is_filling(const struct repair *repair); /* the first fill goes on */
bool repair_is_asked(const struct repair *repair, const struct id *peer, uint32_t session);

/* A record of this hash is of no use here (expired, over a quota, …). */
void repair_refuse(struct repair *repair, const struct hash *hash);

enum repair_output_kind {
    REPAIR_COMPARE, /* send `message` of reconcile */
    REPAIR_AUDIT,   /* send `nonce`: the responder makes an audit of its set */
    REPAIR_FETCH,   /* ask for `hashes`; keyed ones when `keyed` */
    REPAIR_STREAM,  /* ask for what stands after `after`, in the order of time */
    REPAIR_ENDED,   /* for the log */
};

struct repair_output { /* borrowed until the next call */
    enum repair_output_kind kind;
    struct id peer;
    uint32_t session;
    bool keyed;
    struct bytes message;
    uint8_t nonce[AUDIT_NONCE_SIZE];
    const struct hash *hashes;
    size_t count;
    struct stamp after;
    const char *how;  /* ended: "equal", "repaired", … */
    size_t fetched;   /* ended: records that were of use */
    bool failed;      /* ended: before its time */
};

bool repair_poll(struct repair *repair, const struct recordset *set, const struct moment *at,
                 struct repair_output *output);
uint64_t repair_wake_at_ms(const struct repair *repair); /* steady; MOMENT_NEVER */

struct repair_figures {
    uint64_t sessions, equal, repaired, failed, audits, rounds, fetched, streamed, refused;
    bool busy;
};
void repair_figures(const struct repair *repair, struct repair_figures *figures);

#endif
