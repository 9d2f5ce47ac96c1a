/* intake_parts: what the intake's own files share. Nobody else includes it. */
#ifndef DUCK_CORE_INTAKE_PARTS_H
#define DUCK_CORE_INTAKE_PARTS_H

#include "intake.h"

#include <protobuf-c/protobuf-c.h>

#define REASON_SIZE 160

/* A context that was verified, by its packed bytes, and the main key that issued it. */
struct remembered_context {
    bool is_taken;
    struct hash hash;
    struct public_key issuer;
};

struct intake {
    struct intake_settings settings;
    struct batch_roots *roots;
    uint8_t last_chain[CHAIN_SIZE_MAX]; /* the next thing is mostly of the same signer… */
    size_t last_size;                   /* 0: none */
    struct hash last_hash;              /* …and then its chain is not hashed again */
    _Atomic uint64_t alone;             /* signatures checked that were of one thing; read from other threads */
    uint64_t refused[INTAKE_VERDICTS];
    struct remembered_context contexts[CONTEXTS_REMEMBERED]; /* a later one takes the place of an earlier */
    struct bytes held, contradicting;   /* owned: two chains of one identity; empty: none were met */
};

/* What a signed thing's signer must be. */
struct signer {
    struct id id;
    enum identity_kind kind;
    struct public_key key;
    enum certificate_verdict dates;
};

/* When the key that signed spoke for its owner. */
struct period {
    bool is_over;
    uint64_t from_ms, until_ms;
};

extern const struct period intake_always;

/* Around whatever several threads share: the keyring, the quotas, what was seen. */
void intake_enter(struct intake *intake);
void intake_leave(struct intake *intake);

void intake_say(char reason[REASON_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* NULL: not such a message, or the arena's budget is used up. */
void *intake_unpack(const ProtobufCMessageDescriptor *descriptor, struct bytes body,
                    struct arena *arena);
enum intake_verdict intake_parse_envelope(struct bytes wire, enum envelope_type type,
                                          struct arena *arena, struct envelope *envelope,
                                          char reason[REASON_SIZE]);

/* Who speaks by this chain at that moment; `*why` when its certificates do not hold. */
enum intake_verdict intake_find_signer(struct intake *intake, struct bytes chain, uint64_t at_ms,
                                       struct arena *arena, struct signer *signer,
                                       enum certificate_verdict *why);
/* …and it must be the one that the envelope names. */
enum intake_verdict intake_name_signer(struct intake *intake, const struct envelope *envelope,
                                       struct bytes chain, uint64_t wall_ms, struct arena *arena,
                                       struct signer *signer, char reason[REASON_SIZE]);
enum intake_verdict intake_verify(struct intake *intake, const struct envelope *envelope,
                                  const struct public_key *key, char reason[REASON_SIZE]);
/* By a key that was retired lately: its time is `*period`. */
enum intake_verdict intake_try_retired(struct intake *intake, const struct envelope *envelope,
                                       uint64_t wall_ms, const struct signer *signer,
                                       struct period *period, char reason[REASON_SIZE]);
enum intake_verdict intake_check_signature(struct intake *intake, const struct envelope *envelope,
                                           struct bytes chain, uint64_t wall_ms,
                                           struct arena *arena, struct signer *signer,
                                           char reason[REASON_SIZE]);
/* Of a peck or a receipt: its date, which is read later, must be within `*period`. */
enum intake_verdict intake_check_dated(struct intake *intake, const struct envelope *envelope,
                                       struct bytes chain, uint64_t wall_ms, struct arena *arena,
                                       struct signer *signer, struct period *period,
                                       char reason[REASON_SIZE]);
/* Of a peck that came under the packed context `wire`: by that one's key. `*under` is the context, verified; its
 * date and the peck's must be within `*period`. */
enum intake_verdict intake_check_under(struct intake *intake, const struct envelope *envelope,
                                       struct bytes chain, struct bytes wire, uint64_t wall_ms,
                                       struct arena *arena, struct signer *signer,
                                       struct period *period, const struct context **under,
                                       char reason[REASON_SIZE]);
bool intake_within(const struct period *period, uint64_t ms);

/* Of comparisons and what they fetch. */
bool intake_is_set(uint32_t set);
bool intake_read_hash(struct bytes bytes, struct hash *hash);

/* What a frame of each kind says, into `*event`. */
enum intake_verdict intake_open_peck(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                     struct arena *arena, struct event *event, struct id *name,
                                     char reason[REASON_SIZE]);
enum intake_verdict intake_open_receipt(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event,
                                        char reason[REASON_SIZE]);
enum intake_verdict intake_open_partial(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event,
                                        char reason[REASON_SIZE]);
enum intake_verdict intake_open_refusal(struct bytes body, struct arena *arena, struct event *event);
enum intake_verdict intake_open_records(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event, size_t *refused,
                                        char reason[REASON_SIZE]);
enum intake_verdict intake_open_fetched(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event, size_t *refused,
                                        char reason[REASON_SIZE]);
enum intake_verdict intake_open_reconcile(struct bytes body, struct arena *arena,
                                          struct event *event);
enum intake_verdict intake_open_fetch(struct bytes body, struct arena *arena, struct event *event);
enum intake_verdict intake_open_probe(struct bytes body, enum event_kind kind, struct arena *arena,
                                      struct event *event);
enum intake_verdict intake_open_probe_request(struct bytes body, struct arena *arena,
                                              struct event *event);
enum intake_verdict intake_open_probe_nack(struct bytes body, struct arena *arena,
                                           struct event *event);
enum intake_verdict intake_open_accusation(struct intake *intake, struct bytes body,
                                           uint64_t wall_ms, struct arena *arena,
                                           struct event *event, char reason[REASON_SIZE]);
enum intake_verdict intake_open_deposit(struct bytes body, struct arena *arena, struct event *event);
enum intake_verdict intake_open_deposited(struct bytes body, struct arena *arena,
                                          struct event *event);
enum intake_verdict intake_open_collect(struct bytes body, struct arena *arena, struct event *event);
enum intake_verdict intake_open_held(struct bytes body, struct arena *arena, struct event *event);
enum intake_verdict intake_open_settled(struct bytes body, struct arena *arena, struct event *event);
enum intake_verdict intake_open_lobster(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event,
                                        char reason[REASON_SIZE]);

#endif
