/* What the files of the transport share.
 *
 *   transport.c            birth and end, what callers see
 *   transport_listen.c     who connects here
 *   transport_dial.c       from "host:port" to a connection
 *   transport_link.c       one connection from birth to end, and what comes in on it
 *   transport_handshake.c  until it is up
 *   transport_write.c      what goes out on it
 *   transport_watch.c      its pings and deadlines
 *   transport_peers.c      which link a node is reached by: replacement, up and down
 *   transport_sweep.c      one thread that looks after all deadlines
 *
 * Locks: transport->lock before link->lock; link->lock before transport->dirty_lock. None of these
 * is held over a call into nng, nor any over a handler.
 *
 * A link lives as long as somebody refers to it: the transport's list until it has ended, each
 * operation in flight, a wait for a worker, and whoever works on it for a moment. */
#ifndef DUCK_NODE_TRANSPORT_PARTS_H
#define DUCK_NODE_TRANSPORT_PARTS_H

#include "admission.h"
#include "core/bundle.h"
#include "framing.h"
#include "transport.h"
#include "workers.h"

#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>

#define ADDRESS_TEXT_SIZE 64          /* numeric, with port */
#define REASON_SIZE 160
#define PING_SIZE 8u
#define PEER_BUCKETS 1024u
#define RECEIVE_SMALL KIB             /* of an idle link */
#define RECEIVE_LARGE (64u * KIB)     /* while much comes in */
#define RECEIVE_QUIET_MS SECOND_MS    /* after that the next receive is small again */
#define LARGE_BUFFERS_MAX (64u * MIB) /* of all links; beyond it receives stay small */
#define BLOCK_SMALL (4u * KIB)        /* of sealed frames that go out */
#define BLOCK_LARGE (64u * KIB)
#define BLOCKS_PER_WRITE 8u           /* nng takes so many slices at once */
#define PINGS_MISSED_MAX 3u
#define SIMULTANEOUS_MS (10 * SECOND_MS) /* two links that came up so close were dialled at once */
#define RENEW_AGAIN_MS (30 * SECOND_MS) /* after a renewal that failed */
#define ACCEPT_PAUSE_MS 100ull        /* out of descriptors or memory: else the accept spins */
#define DESCRIPTORS_RESERVED 64u
#define CLOSE_FLUSH_MS 500ull
#define DIAL_ADDRESSES_MAX 4u         /* tried of one name */

/* Our half of a handshake, as it was when the handshake began. */
struct credentials {
    atomic_uint references;
    struct noise_pair pair;
    size_t size;
    uint8_t introduction[];
};

struct block {
    struct block *next;
    size_t sent, size, capacity; /* data[sent, size) waits */
    uint8_t data[];
};

enum link_state { LINK_SHAKING, LINK_UP };

struct link {
    struct work work;
    struct transport *transport;
    atomic_uint references;

    /* Fixed at birth. */
    nng_stream *stream;
    nng_aio *receive, *send, *try_send;
    char address[ADDRESS_TEXT_SIZE];
    struct admission_place place;
    bool dialled_here;
    uint64_t began_ms;

    /* Under transport->lock. */
    struct link *before, *after;                 /* all links */
    struct link *pending_before, *pending_after; /* accepted, still shaking; oldest first */
    bool is_pending, is_listed;
    bool confirmed; /* the other end is known to have it up, too */

    pthread_mutex_t lock;
    /* Under the link's lock. */
    enum link_state state;
    bool closing, ended;
    char reason[REASON_SIZE];
    bool receiving, writing;
    size_t arrived;                  /* bytes of the last receive, for the worker */
    uint64_t frame_began_ms;         /* an incomplete frame is being received since; 0: none is */
    uint64_t heard_ms, wrote_ms;     /* progress of either way */
    uint64_t rested_ms;
    struct block *out, *out_last, *spare;
    size_t out_bytes;
    struct bundle bundle;            /* .data: at the end of out_last, where it will be sealed; NULL: none is open */
    bool bundles;                    /* the other end understands them */
    bool worn_out;                   /* nothing more can be sealed */
    bool dirty;                      /* in transport->dirty */
    struct link *next_dirty;
    bool replaced;                   /* another link to the node is used; this one drains */
    uint64_t replaced_ms;
    bool last_ping_sent;             /* no frame of ours follows it */
    bool drained;                    /* and its pong came: all was handled */
    const char *hung_up;             /* by us, why: it drains, though nothing replaced it; or NULL */
    bool goodbye;                    /* by the other end */
    uint64_t ping_token, ping_sent_us, pinged_ms;
    uint32_t ping_wait_ms, pings_missed;
    struct id node;                  /* once up */
    uint64_t up_ms;
    struct transport_link_info info; /* counters, round trip */
    uint64_t frames_refused, sends_refused;
    bool tidies;                     /* the worker gives back what a quiet link does not need */

    /* The worker's that runs it. */
    struct session *session;         /* sealing: under the link's lock */
    struct credentials *credentials; /* while shaking */
    struct framing framings[2];
    unsigned filling;                /* which of them is received into */
    size_t receive_size, room;       /* wanted of the next receive; given to the last */
    uint64_t received_ms;
    uint32_t bad_frames;
    bool is_registered, is_confirmed;
    struct dial *dial;               /* that waits for its outcome */
    uint8_t callee_key[NOISE_KEY_SIZE];
    bool callee_key_known;
};

/* A node with at least one link that is up. */
struct peer {
    struct peer *next;
    struct id node;
    struct link *current;  /* used for sending; NULL: only ended ones */
    struct link *draining; /* replaced by current */
    size_t links;          /* registered and not yet dismissed */
    bool told_up, telling;
    const char *hung_up;   /* why, until its last link has ended: no other one is taken meanwhile */
    bool renewing;
    uint64_t renew_at_ms;
};

enum dial_state { DIAL_RESOLVING, DIAL_CONNECTING, DIAL_SHAKING, DIAL_OVER };

struct lookup;

struct dial {
    struct work work;
    struct transport *transport;
    atomic_uint references;
    struct dial *before, *after;  /* under transport->lock */
    char address[ADDRESS_MAX + 1];/* as it was asked for */
    uint16_t port;
    struct id node;               /* zero: whoever answers */
    uint8_t key[NOISE_KEY_SIZE];
    bool key_known, is_renewal;
    uint64_t deadline_ms;

    pthread_mutex_t lock;
    enum dial_state state;
    bool closing, came;           /* came: nng has spoken */
    const char *reason;
    int result;
    struct lookup *lookup;        /* under the resolver's lock */
    char numeric[DIAL_ADDRESSES_MAX][ADDRESS_TEXT_SIZE];
    size_t numeric_count, numeric_next;
    nng_stream_dialer *dialer;    /* closed under the lock: it may be freed any time */
    nng_aio *aio;
};

struct listener {
    struct transport *transport;
    nng_stream_listener *listener;
    nng_aio *aio;
    uint16_t port;
    bool accepting;       /* under transport->lock */
    uint64_t paused_ms;   /* since; 0: not */
};

struct resolver;

struct transport {
    struct transport_limits limits;
    struct transport_handlers handlers;
    struct id self;
    const struct fleet *fleet;
    size_t network_size;
    uint8_t network[NETWORK_ID_MAX];
    struct workers *workers;
    struct resolver *resolver;
    struct listener listeners[NODE_ADDRESSES_MAX];
    size_t listener_count;
    uint8_t hash_key[16];
    atomic_size_t large_buffers;
    struct { atomic_uint_least64_t frames, bytes; } in[TRANSPORT_KINDS], out[TRANSPORT_KINDS];

    pthread_mutex_t lock;
    /* Under the lock. */
    pthread_cond_t changed;       /* links ended, dials over, telling done */
    bool closing, accepts;
    struct credentials *credentials;
    struct admission *admission;
    struct token_bucket handshakes;
    struct link *links, *pending_first, *pending_last;
    size_t links_alive, accepted_alive, pending_count; /* alive: not yet freed */
    struct dial *dials;
    size_t dial_count;            /* that were asked for; renewals are bounded by links */
    size_t dials_alive;
    struct peer *peers[PEER_BUCKETS];
    size_t peer_count;
    struct transport_figures past; /* of links that ended, and what has no link */

    pthread_mutex_t dirty_lock;
    struct link *dirty;

    pthread_t sweeper;
    bool has_sweeper, sweep_ends;
    pthread_cond_t stir;          /* under the lock: the sweep must look again */
    bool sweep_idles;             /* it waits without a bound: nothing is there */
};

/* All links and dials of a moment, held, so that they can be walked without the lock. */
struct round {
    struct link **links;
    struct dial **dials;
    size_t link_count, dial_count, link_capacity, dial_capacity;
    bool resumes[NODE_ADDRESSES_MAX]; /* listeners whose pause is over */
    bool busy;
};

/* ---- transport.c ---- */
struct credentials *credentials_hold(struct transport *transport); /* NULL: not introduced yet */
void credentials_drop(struct credentials *credentials);            /* NULL is fine; wipes */
void transport_stir(struct transport *transport);                  /* under the lock */
bool transport_list(struct transport *transport, struct link *link); /* holds it; false: closing */
void transport_unlist(struct transport *transport, struct link *link); /* under the lock */
void transport_leave_pending(struct transport *transport, struct link *link); /* under the lock */
void transport_log(const struct transport *transport, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void transport_count(struct transport *transport, bool out, uint8_t kind, size_t size);

/* ---- transport_link.c ---- */

/* Takes the stream over, and a place among links_alive that the caller took. `dial` NULL: accepted
 * at `place`. False when nng has no memory or the transport closes: then the stream is freed and
 * the places are given back. */
bool link_begin(struct transport *transport, nng_stream *stream, struct dial *dial,
                const struct admission_place *place);
void link_hold(struct link *link);
void link_drop(struct link *link);
void link_close(struct link *link, const char *reason); /* any thread, no lock held */
void link_schedule(struct link *link);                  /* for a worker */
const char *link_result_text(int result);
/* An operation that is begun on a closed stream of nng 1.5.2 never ends. The link's lock is not held
 * while one begins, so the stream may have been closed just before: look again, and take it back. */
void link_take_back_when_closed(struct link *link, nng_aio *operation);

/* ---- transport_write.c ---- */
int link_send(struct link *link, uint8_t kind, struct bytes body); /* FAULT_CLOSED also: replaced */
int link_send_own(struct link *link, uint8_t kind, struct bytes body); /* pings, pongs: also then */
void link_send_handshake(struct link *link, const struct session_output *output);
void link_flush(struct link *link);
void link_on_sent(void *link); /* callback of link->send */
void link_free_output(struct link *link);

/* ---- transport_handshake.c ---- */
void link_begin_as_caller(struct link *link, const struct dial *dial);
bool link_shake(struct link *link, const uint8_t *frame, size_t size); /* false: it closes */
bool link_refuse(struct link *link, const char *what, const char *why); /* closes; always false */
void link_leave_pending(struct link *link);

/* ---- transport_watch.c ---- */
void link_send_ping(struct link *link, bool last);
void link_send_last_ping(struct link *link);
void link_take_pong(struct link *link, struct bytes body);
void link_hang_up(struct link *link, const char *reason);
void link_take_goodbye(struct link *link);
/* Looks after deadlines; true when something is due within a few sweeps. */
bool link_sweep(struct link *link, uint64_t now_ms);

/* ---- transport_listen.c ---- */
int listener_open(struct transport *transport, const char *address);
void listener_accept(struct listener *listener); /* one at a time, and none before the introduction */

/* ---- transport_sweep.c ---- */
bool sweep_begin(struct transport *transport);
void sweep_end(struct transport *transport);
void round_begin(struct transport *transport, struct round *round, uint64_t now_ms); /* under the lock */
void round_free(struct round *round);

/* ---- transport_peers.c ---- */

/* The session of `link` is up with link->node. Reports it unless another link did before; which of
 * several is used is settled here. False: nobody was told, as the node was up already. `*hung_up`, if not NULL: why
 * the link is to be closed at once. */
bool peers_register(struct link *link, struct bytes introduction, const char **hung_up);
void peers_dismiss(struct link *link); /* its last frame was handled */
void peers_confirm(struct link *link); /* the first pong: the other end uses it as well */
/* Takes no more links with the node until those that it has are down; gives them back, held. */
size_t peers_part_with(struct transport *transport, const struct id *node, const char *reason,
                       struct link *links[2]);
struct link *peers_hold_current(struct transport *transport, const struct id *node);
void peers_renewal_ended(struct transport *transport, const struct id *node);
/* True when the link is due to be replaced by a fresh one: then the caller dials. */
bool peers_renewal_is_due(struct link *link, uint64_t now_ms);
void peers_free(struct transport *transport);

/* ---- transport_dial.c ---- */
struct resolver *resolver_new(void);
void resolver_leave(struct resolver *resolver); /* a name that still is looked up is let go */
int address_split(struct bytes address, char host[ADDRESS_MAX + 1], uint16_t *port);
/* Blocks. Writes numeric "host:port" texts; returns how many. */
size_t address_resolve(const char *host, uint16_t port, bool to_listen,
                       char numeric[DIAL_ADDRESSES_MAX][ADDRESS_TEXT_SIZE]);
int dial_begin(struct transport *transport, struct bytes address, const struct id *node,
               const uint8_t *key, bool is_renewal);
void dial_end(struct dial *dial, const char *reason); /* on a worker; reason NULL: it led to a link */
void dial_hold(struct dial *dial);
void dial_drop(struct dial *dial);
void dial_sweep(struct dial *dial, uint64_t now_ms);
void dial_close(struct dial *dial, const char *reason);

#endif
