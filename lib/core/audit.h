/* audit: a set under hashes that nobody can have prepared for.
 *
 * The sum in a fingerprint can be collided by who may choose some thousand records (Wagner's
 * generalised birthday problem), and a record of somebody else then stays hidden in every session.
 * So two nodes now and then agree on a fresh key, hash every hash with it (BLAKE2b-256, RFC 7693,
 * keyed) and reconcile those, each over a snapshot of its own. What the initiator needs it asks for
 * by keyed hash, and the responder maps that back. */
#ifndef DUCK_CORE_AUDIT_H
#define DUCK_CORE_AUDIT_H

#include "recordset.h"

#define AUDIT_KEY_SIZE 32
#define AUDIT_NONCE_SIZE 16

/* Fresh as long as one of the two nonces is. */
void audit_key(const struct id *initiator, const uint8_t of_initiator[AUDIT_NONCE_SIZE],
               const struct id *responder, const uint8_t of_responder[AUDIT_NONCE_SIZE],
               uint8_t key[AUDIT_KEY_SIZE]);

struct audit;

/* Some 90 bytes and a microsecond a stamp: so it is made in slices. Each call takes at most `stamps_max` more of
 * the set, in its order, however many are of one second; true: that was the last, and now it may be
 * used. What the set changes meanwhile behind that place is missed: the next audit sees it. */
struct audit *audit_begin(const struct recordset *set, const uint8_t key[AUDIT_KEY_SIZE]);
bool audit_go_on(struct audit *audit, const struct recordset *set, size_t stamps_max);

/* The same at once, of the set as it is now. */
struct audit *audit_new(const struct recordset *set, const uint8_t key[AUDIT_KEY_SIZE]);
void audit_free(struct audit *audit); /* NULL is fine */

const struct recordset *audit_set(const struct audit *audit);

/* The hash that became `keyed`. False: none did. */
bool audit_original(const struct audit *audit, const struct hash *keyed, struct hash *original);

#endif
