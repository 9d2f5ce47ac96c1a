/* duck_key: a duckling that keeps its own key. Its node relays, stores and tells; it has no key of it, and cannot
 * say a word in its name.
 *
 *     duck_key_make("Vault", "vault.key", "/mnt/stick/vault.next", &problem);   // once; no node is asked
 *     struct duck_holder *me = duck_holder_open("vault.key", &problem);
 *     struct duck_answer *answer = duck_hatch_own(duck, me, &profile);
 *     duck_sign_all(duck, me, &problem);                                       // its entry in the directory
 *     answer = duck_send_own(duck, me, NULL, &peck, DUCK_WAIT_DONE, 10000);
 *
 * What only its key can say (its entry in the directory, answers, approvals of bonds) the node makes up to the last
 * byte and keeps, until it is signed or over: duck_wanted tells what that is, duck_sign signs it. An answer or approval
 * has changed nothing before it is signed; duck_waits_for of the order's answer is then its id. What is published of a
 * duckling ends after two days, so somebody has to sign it at least once a day; a node that starts asks for it anew.
 *
 * Conventions as in duck_client.h and duck_grant.h. Whoever has the file can speak for the duckling. */
#ifndef DUCK_KEY_H
#define DUCK_KEY_H

#include "duck_client.h"
#include "duck_grant.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a key, the one that will follow it, and the certificate that makes the duckling: `path` is then as
 * duck_holder_open reads it, `next_path` has the next key and belongs where `path` is not. Both are new, 0600.
 * 0, or -1 and neither is there. */
int duck_key_make(const char *display_name, const char *path, const char *next_path, const char **problem);

/* The next key takes over: it is read from `next_path`, and the one after it written to `new_next_path`. What is
 * returned has the new key and one certificate more; save it (duck_holder_save), hand it in, and then let go of
 * the old files. NULL: `*problem`, and no file was written. */
struct duck_holder *duck_key_rotate(const struct duck_holder *holder, const char *next_path,
                                    const char *new_next_path, const char **problem);

/* Tells its node: from then on the new key signs. The same again is no second rotation. */
struct duck_answer *duck_hand_in(struct duck *duck, const struct duck_holder *holder);

/* Its newest certificate as a JWS (EdDSA, compact), for others' tools: what a node makes of the keys that it has. Lives
 * as long as the holder. */
const char *duck_key_jws(struct duck_holder *holder);

/* It lives on this node from now on, wherever it lived before. `profile` may be NULL; its name is the certificate's. One
 * whose key was replaced hatches where that was heard: after the new key has signed its entry where it lived. */
struct duck_answer *duck_hatch_own(struct duck *duck, const struct duck_holder *holder, const struct duck_profile *profile);
const char *duck_hatch_hindrance(struct duck *duck, const struct duck_holder *holder); /* why not; NULL: nothing is in the way */

/* A peck, made and signed now: a packed Envelope, as `made` of an order and `signed` over HTTP (in base64) carry it.
 * No node is asked. `network` NULL: "duck"; `peck->from` NULL: the holder. NULL: `*problem`. */
struct duck_made_peck *duck_peck_make(const struct duck_holder *holder, const char *network, const struct duck_peck *peck,
                                      const char **problem);
const void *duck_made_bytes(const struct duck_made_peck *made, size_t *size);
const char *duck_made_id(const struct duck_made_peck *made); /* "pck_…" */
void duck_made_free(struct duck_made_peck *made);            /* NULL is fine */

/* As duck_send, of such a peck. */
struct duck_answer *duck_send_own(struct duck *duck, const struct duck_holder *holder, const char *network,
                                  const struct duck_peck *peck, enum duck_wait wait, uint64_t wait_ms);

/* ---- what waits for its signature ---- */

struct duck_wanted {
    const char *id, *type;       /* "sig_…"; "duck/record/1", "duck/receipt/1" */
    const char *why, *peck_id;   /* for people; or "" */
    const void *body;            /* what is signed, with the type */
    size_t body_size;
    uint64_t number, asked_ms, until_ms;
};
/* With numbers above `after`; waits up to wait_ms (at most 30,000) for the first. */
struct duck_answer *duck_wanted(struct duck *duck, const char *duckling, uint64_t after, uint64_t wait_ms);
size_t duck_wanted_count(const struct duck_answer *answer);
bool duck_wanted_item(const struct duck_answer *answer, size_t index, struct duck_wanted *wanted);
/* Of an answer to an order that needs the duckling's signature: "sig_…"; "": it is done. */
const char *duck_waits_for(const struct duck_answer *answer);

/* Signs what it is shown, if that is a record or a receipt in the holder's own name, and hands the signature in. */
struct duck_answer *duck_sign(struct duck *duck, const struct duck_holder *holder, const struct duck_wanted *wanted);
/* All that waits now. How many that were; -1: `*problem`, and what was signed before stays so. */
int duck_sign_all(struct duck *duck, const struct duck_holder *holder, const char **problem);

#ifdef __cplusplus
}
#endif

#endif
