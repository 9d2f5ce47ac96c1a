/* frame: packs inner frames (proto/gossip.proto), which intake opens at the other end.
 *
 * The result is in `arena`; what is packed was judged before, and is not judged here. */
#ifndef DUCK_CORE_FRAME_H
#define DUCK_CORE_FRAME_H

#include "effect.h"

struct bytes frame_pack_peck(struct bytes chain, struct bytes peck, struct arena *arena);
/* Of a peck that is sent again: so many partial answers are held, and is it taken back? */
struct bytes frame_pack_peck_again(struct bytes chain, struct bytes peck, uint32_t partials,
                                   bool cancelled, struct arena *arena);
struct bytes frame_pack_receipt(struct bytes chain, struct bytes receipt, struct arena *arena);
struct bytes frame_pack_partial(struct bytes chain, struct bytes receipt, struct arena *arena);
struct bytes frame_pack_refusal(const struct id *peck, const char *code, const char *reason,
                                bool final, uint64_t retry_after_ms, struct arena *arena);
struct bytes frame_pack_reconcile(const struct event *event, struct arena *arena); /* .reconcile */
struct bytes frame_pack_fetch(const struct event *event, struct arena *arena);     /* .fetch */
struct bytes frame_pack_fetched(const struct fetch_answer *answer, const struct bytes *chains,
                                const struct bytes *records, size_t count, struct arena *arena);
struct bytes frame_pack_probe(uint32_t nonce, const uint64_t sums[2], struct arena *arena); /* and ack */
struct bytes frame_pack_probe_request(uint32_t nonce, const struct id *target, struct arena *arena);
struct bytes frame_pack_probe_nack(uint32_t nonce, struct arena *arena);
struct bytes frame_pack_accusation(struct bytes chain, struct bytes accusation, struct arena *arena);
struct bytes frame_pack_records(const struct bytes *chains, const struct bytes *records,
                                size_t count, struct arena *arena);

/* Perches. The first seals the peck as it says; empty: the owner's key is no key. */
struct bytes frame_pack_deposit(const struct deposit *deposit, struct bytes chain, struct bytes peck,
                                struct arena *arena);
struct bytes frame_pack_deposited(const struct id *name, const char *code, struct arena *arena);
struct bytes frame_pack_collect(uint64_t after, struct arena *arena);
/* `entry` NULL: there is nothing. */
struct bytes frame_pack_held(const struct perch_entry *entry, struct bytes sealed, bool is_last,
                             bool has_more, struct arena *arena);
struct bytes frame_pack_settled(const struct id *names, size_t count, struct arena *arena);

/* `chain`: of word.from; with an offer and an answer. */
struct bytes frame_pack_lobster(const struct lobster_word *word, struct bytes chain,
                                struct arena *arena);

#endif
