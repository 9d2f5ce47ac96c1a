/* transport: sealed links to other nodes, on nng's streams.
 *
 * Callbacks of nng copy and queue, nothing else; handshakes, opening and intake run on workers;
 * sealing and writing run on the caller of transport_send. One sweep drives all deadlines. One
 * link a pair: of two that dialled each other at once, the link that the lower node id opened stays. Every bound is
 * in `struct transport_limits`. */
#ifndef DUCK_NODE_TRANSPORT_H
#define DUCK_NODE_TRANSPORT_H

#include "core/intake.h"
#include "core/session.h"
#include "fault.h"

struct transport;

struct transport_limits { /* transport_limits_default() fills it in */
    uint32_t links_max;              /* 5000: all connections, in and out */
    uint32_t handshakes_pending_max; /* 128: accepted, not authenticated; the oldest goes */
    uint32_t per_address_max;        /* 32 accepted connections of one address */
    uint32_t per_prefix_max;         /* 128 of one /24 or /64 */
    uint32_t accepts_per_s, accepts_burst; /* 20, 40 of one /32 or /64; loopback is not counted unless `count_loopback` */
    bool count_loopback;
    uint32_t handshakes_per_s;       /* 500: of the whole node */
    uint32_t dials_max;              /* 16 at once */
    uint32_t frame_handshake_max;    /* 8192 bytes, before a link is up */
    uint32_t frame_max;              /* SESSION_SEALED_MAX */
    uint32_t send_queue_max;         /* bytes of one link: 1 MiB; above it transport_send says BUSY */
    uint32_t receive_queue_max;      /* bytes of one link that wait for a worker: 512 KiB; above it reading pauses */
    uint32_t handshake_ms;           /* 5000 */
    uint32_t frame_ms;               /* 15000: a frame that has begun must be whole by then */
    uint32_t ping_ms;                /* 20000 idle, with jitter; away after 3 missed */
    uint32_t write_stall_ms;         /* 30000 */
    uint32_t dial_ms;                /* 5000 */
    uint32_t sweep_ms;               /* 200 */
    uint32_t bad_frames_max;         /* 3 refused signatures: the link is closed */
    uint32_t drain_ms;               /* 10000: so long a link is read on that was hung up on, or is replaced and says nothing */
    uint32_t session_ms;             /* SESSION_LIFE_MS: then a fresh handshake replaces the link, make before break */
};
void transport_limits_default(struct transport_limits *limits);

struct transport_link_info {
    struct id node;
    char address[64];                /* numeric, of the other end */
    bool dialled_here;
    uint64_t up_wall_ms;
    uint64_t frames_in, frames_out, bytes_in, bytes_out;
    uint32_t round_trip_us;          /* of the last ping; 0: none yet */
    int64_t skew_ms;
};

/* All are called on workers, one at a time for one link, never under a lock of the transport. */
struct transport_handlers {
    void *context;
    /* A verified introduction is packed in `introduction`. */
    void (*up)(void *context, const struct id *node, struct bytes introduction, bool dialled_here);
    /* `goodbye`: either end hung up, on purpose; nobody failed. */
    void (*down)(void *context, const struct id *node, const char *reason, bool goodbye);
    void (*dial_failed)(void *context, const struct id *node, struct bytes address, const char *reason);
    /* A dial to whoever answers (`wanted` zero) was answered by `node`, and `up` was called; when it had been
     * linked before, dial_failed follows. Or a dial to `wanted` was answered by `node` instead, and
     * dial_failed follows. NULL: nobody asks. */
    void (*answered)(void *context, const struct id *wanted, const struct id *node, struct bytes address);
    /* An inner frame, opened: `worker` (below `workers`) names the thread, so that each can have its
     * own intake. Returns false when the frame was refused for a bad signature or form: counted
     * against the link. Blocks when the node cannot take more: then the link is not read on. */
    bool (*frame)(void *context, size_t worker, const struct id *node, uint8_t kind, struct bytes body);
    /* All inner frames that came together were handed over. NULL is fine. */
    void (*frames_end)(void *context);
    void (*log)(void *context, enum log_level level, const char *text);
};

struct transport_settings {
    const char *const *listen;       /* "host:port", port 0 picks one; at most NODE_ADDRESSES_MAX */
    size_t listen_count;
    struct bytes network;
    const struct fleet *fleet;       /* borrowed: only its members are linked with; NULL: all are */
    struct id self;
    struct noise_pair static_pair;
    size_t workers;                  /* 1 to 8 */
    struct transport_limits limits;
    struct transport_handlers handlers;
};

/* Listens, but takes no link before transport_introduce was called once. */
int transport_open(struct transport **opened, const struct transport_settings *settings);
/* NULL is fine; flushes for up to 500 ms, ends all links and threads. Waits for handlers that run: by
 * then none may wait for the caller. */
void transport_close(struct transport *transport);

uint16_t transport_port(const struct transport *transport, size_t listener); /* bound */
void transport_introduce(struct transport *transport, struct bytes introduction); /* copied */
void transport_set_static(struct transport *transport, const struct noise_pair *pair,
                          struct bytes introduction); /* a new session key and what certifies it */

/* Begins to connect; `up` or `dial_failed` follows. `node` zero: whoever answers. FAULT_BUSY: dials_max. */
int transport_dial(struct transport *transport, struct bytes address, const struct id *node,
                   const uint8_t *session_key);

/* Seals and queues one inner frame. FAULT_CLOSED: no link to that node; FAULT_BUSY: its queue is full
 * (the caller tries again later; the frame was not queued). Frames may be coalesced until
 * transport_flush, which a turn calls once. */
int transport_send(struct transport *transport, const struct id *node, uint8_t kind, struct bytes body);
void transport_flush(struct transport *transport);

/* Ends all links with the node on purpose: says goodbye, lets what was sent arrive, and closes, for drain_ms at most
 * whatever the other end does; `down` follows, and no other link is taken before. `reason` is a constant. Nothing more
 * can be sent meanwhile. No link: nothing is done. */
void transport_hang_up(struct transport *transport, const struct id *node, const char *reason);
/* The same, but nothing more that it sent is wanted: closes at once. */
void transport_cut_off(struct transport *transport, const struct id *node, const char *reason);

bool transport_has_link(struct transport *transport, const struct id *node);
size_t transport_links(struct transport *transport, struct transport_link_info *infos, size_t max);

#define TRANSPORT_KINDS 32u /* of inner frames that are counted apart; others count as kind 0 */

struct transport_figures {
    uint64_t accepted, accepts_refused, handshakes_failed, frames_in, frames_out, bytes_in, bytes_out,
        frames_refused, links_closed, dials, dials_failed, sends_refused;
    uint64_t links_up, handshakes_pending;
    /* By kind of inner frame; bytes as they were before sealing. */
    uint64_t kind_frames_in[TRANSPORT_KINDS], kind_frames_out[TRANSPORT_KINDS];
    uint64_t kind_bytes_in[TRANSPORT_KINDS], kind_bytes_out[TRANSPORT_KINDS];
};
void transport_figures(struct transport *transport, struct transport_figures *figures);

#endif
