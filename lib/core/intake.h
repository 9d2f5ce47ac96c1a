/* intake: from an inner frame to an event: parsed, and its signatures verified.
 *
 * Runs before the loop (on workers in the node, in line in the pond). Not thread-safe: one for
 * each worker; they may share a keyring under a lock. */
#ifndef DUCK_CORE_INTAKE_H
#define DUCK_CORE_INTAKE_H

#include "fleet.h"
#include "frame.h"
#include "keyring.h"
#include "quota.h"
#include "seen.h"

struct intake;

struct intake_settings {
    struct bytes network;
    struct keyring *keyring;                        /* borrowed; so are the others: */
    struct seen *seen;                              /* NULL: every copy is verified */
    struct seen *held_good;                         /* signatures; NULL: what is asked for twice is verified twice */
    struct quota *news, *asked;                     /* NULL: no limit */
    const struct fleet *fleet;                      /* whose node records are taken; NULL: all are */
    void (*enter)(void *context), (*leave)(void *context); /* around these; NULL: not shared */
    void *context;
};

enum intake_verdict {
    INTAKE_TAKEN,
    INTAKE_UNKNOWN_KIND,     /* a frame kind of a later release: count, drop */
    INTAKE_MALFORMED,
    INTAKE_BAD_ENVELOPE,
    INTAKE_BAD_CHAIN,
    INTAKE_BAD_SIGNATURE,
    INTAKE_WRONG_SIGNER,     /* not by whom the body names */
    INTAKE_BAD_BODY,
    INTAKE_OTHER_NETWORK,
    INTAKE_EXPIRED,
    INTAKE_UNKNOWN_SIGNER,   /* no certificates came along, and none are held */
    INTAKE_CONTRADICTED,     /* the signer's chain contradicts the one we hold */
    INTAKE_RETIRED_KEY,      /* its signer had another key by then: see intake.c */
    INTAKE_NO_MEMBER,        /* a node record of one that does not belong to this closed fleet */
};
#define INTAKE_VERDICTS (INTAKE_NO_MEMBER + 1u)

struct intake *intake_new(const struct intake_settings *settings);
void intake_free(struct intake *intake); /* NULL is fine */

/* May this neighbour give us this frame now? What it tells unasked and what it is asked for have each
 * their quota, in bytes; pecks and what belongs to them have other limits. False: drop it unread. */
bool intake_admits(struct intake *intake, const struct id *node, enum frame_kind kind, size_t size,
                   uint64_t wall_ms);

/* `*event` (kind, and the frame's member; `at` and `node` are the caller's) borrows from `arena`,
 * which also gets a copy of what it needs of `body`. In a RecordsFrame the items that do not hold
 * are left out, and the verdict is that of the first of them when none is left; `*refused` counts.
 * `reason` gets one sentence when refused, "" otherwise. For a refused peck whose id is known
 * `*peck` is set, so that its sender can be told; else it is zero. */
enum intake_verdict intake_open(struct intake *intake, enum frame_kind kind, struct bytes body,
                                uint64_t wall_ms, struct arena *arena, struct event *event,
                                struct id *peck, size_t *refused, char reason[160]);

/* Did the last intake_open meet a chain that contradicts the one that is held? Both, packed and verified;
 * borrowed until the next call, which forgets them. */
bool intake_contradiction(const struct intake *intake, struct bytes *one, struct bytes *other);
const char *intake_verdict_text(enum intake_verdict verdict);

/* Is it worth a mark against the link? A peer that means well sends nothing of the kind. A chain
 * that is not valid now, or a date that is over, may be a matter of clocks. */
bool intake_verdict_offends(enum intake_verdict verdict);

/* A verdict as a refusal's code: "bad_signature", … */
const char *intake_verdict_code(enum intake_verdict verdict);

/* Checks a chain as a signer's: verified now or before. Used for restored and local things too. */
enum intake_verdict intake_signer(struct intake *intake, struct bytes chain, uint64_t at_ms,
                                  struct arena *arena, struct id *signer,
                                  enum identity_kind *kind, struct public_key *key);

/* The longest chain that is known of the identity that `chain` is of, packed; .data NULL: none. Certificates are
 * public: whoever brings the first of another one's may have a key that was retired since. */
struct bytes intake_known_chain(struct intake *intake, struct bytes chain, struct arena *arena);

/* Opens a grant as grant_open does, and looks whether keys that signed it were replaced since, as far as
 * is known here. */
void intake_open_grant(struct intake *intake, struct bytes wire, struct arena *arena,
                       struct opened_grant *opened);

/* How many signatures of pecks, receipts and records were checked: a batch counts once. */
uint64_t intake_signature_checks(const struct intake *intake);

/* Adds how many records, and other frames as a whole, were refused, by verdict. */
void intake_count_refusals(const struct intake *intake, uint64_t refused[INTAKE_VERDICTS]);

#endif
