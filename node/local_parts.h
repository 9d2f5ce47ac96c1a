/* local_parts: what the files of the local API share. Nobody else includes it.
 *
 * Who runs what: callbacks of nng read frames and give orders to the inbox; the loop tells what
 * became of them (local_api_perform); readers answer questions from the store; one sweeper ends
 * waits and frees clients. One lock over all that is remembered; sends start outside it. */
#ifndef DUCK_NODE_LOCAL_PARTS_H
#define LOCAL_SEALED_NEXT_SIZE 80 /* bytes: a seed, crypto_box_seal */
#define DUCK_NODE_LOCAL_PARTS_H

#include "client/local_frames.h"
#include "client/local_stream.h"
#include "local_api.h"

#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>

#define CLIENT_SLOTS 1024u
#define REQUEST_SLOTS 4096u
#define WHEEL_SLOTS 1024u
#define VIEW_SCRATCH_MAX (64u * MIB)
#define WHEEL_TICK_MS 32u /* 1024 of them are longer than WAIT_MAX_MS */

/* ---- lists ---- */

/* A list without memory of its own. In no list, a ring stands alone. */
struct ring {
    struct ring *next, *previous;
};

static inline void ring_init(struct ring *ring)
{
    ring->next = ring->previous = ring;
}

static inline bool ring_is_alone(const struct ring *ring)
{
    return ring->next == ring;
}

static inline void ring_take_off(struct ring *ring)
{
    ring->previous->next = ring->next;
    ring->next->previous = ring->previous;
    ring_init(ring);
}

static inline void ring_put_last(struct ring *list, struct ring *ring)
{
    ring_take_off(ring);
    ring->previous = list->previous;
    ring->next = list;
    list->previous->next = ring;
    list->previous = ring;
}

#define RING_OWNER(ring, type, member) ((type *)((char *)(ring)-offsetof(type, member)))

/* ---- what a request asked for ---- */

enum request_kind {
    REQUEST_QUESTION, /* a reader answers, once */
    REQUEST_PECK,     /* a reader answers, when the peck is as far as asked, or time is over */
    REQUEST_PARTIALS, /* a reader answers, when there are more, the peck is done, or time is over */
    REQUEST_AUDIT_NEWS, /* a reader answers, when the log has grown, or time is over */
    REQUEST_SEND,     /* an order: answered from what the loop tells, when as far as asked */
    REQUEST_ANSWER,   /* an order: answered from what the loop tells */
    REQUEST_PARTIAL,  /* an order: answered with its number */
    REQUEST_DECIDE,   /* an order: a reader then answers with the peck */
    REQUEST_TAKE,     /* an order: a reader then answers with the pecks; may wait and order again */
    REQUEST_HATCH,
    REQUEST_ROTATE,
    REQUEST_LOBSTER,
    REQUEST_WANTED,   /* an order: what waits for a signature; may wait and order again */
    REQUEST_EXPORT,
    REQUEST_GRANT,
    REQUEST_ISSUE,
    REQUEST_UNPECK,
    REQUEST_BOND,     /* an order: a reader then answers with the bond */
    REQUEST_DONE,     /* an order: answered with Done */
    REQUEST_FOLLOW,
};

/* What a request says beyond its order, parsed and judged. */
struct wish {
    enum request_kind kind;
    struct id peck, duckling;
    uint32_t wait_for;
    uint64_t wait_ms;
    uint32_t after, limit; /* REQUEST_PARTIALS */
    uint64_t after_entry;  /* REQUEST_AUDIT_NEWS */
    int box;
    bool with_envelopes;
};

struct local_refusal {
    enum refusal_code code;
    const char *message, *field;
};

/* What the loop told about a peck that a request is about; all in the request's memory. */
struct told {
    enum box box;
    struct id peck, from, to, reply_to;
    enum peck_kind kind;
    enum peck_state state;
    struct id waits_for; /* a signature; zero: none */
    struct bytes action, thread, message, trace, result, problem;
    const struct bytes *scopes;
    size_t scope_count;
    char *refusal;
    uint64_t created_ms, changed_ms, expires_in_ms, retry_after_ms, charged;
    struct told_receipt {
        enum receipt_kind kind;
        enum peck_state state;
        uint64_t at_ms;
        struct id signer;
        struct bytes wire, chain;
    } receipts[2];
    size_t receipt_count;
};

struct local_client;

/* One request of one client, from its frame to its answer. */
struct request {
    struct local_client *client;
    struct ring by_id, by_ticket; /* in both as long as it lives */
    struct ring shelf;            /* waits on a peck, on a duckling's tray, or follows */
    struct ring wheel;            /* has a deadline */
    struct ring touched;          /* told something in this turn */
    struct ring directory;        /* follows the directory too */
    uint64_t id, ticket;
    enum request_kind kind;
    struct id awaited;            /* of `shelf`: a peck, or a duckling; zero: everything */
    struct id duckling;           /* whose view */
    int box;                      /* 0: any */
    enum peck_kind peck_kind;
    uint32_t wait_for;            /* enum WaitFor */
    uint64_t deadline_ms;         /* steady; 0: it does not wait */
    bool asking, again, late;     /* REQUEST_PECK, _PARTIALS: a reader is at it; it changed since; time is over */
    bool replayed;
    uint32_t limit;               /* REQUEST_TAKE, REQUEST_PARTIALS */
    uint32_t after;               /* REQUEST_PARTIALS */
    uint64_t after_entry;         /* REQUEST_AUDIT_NEWS, REQUEST_WANTED: numbers above it */
    bool with_envelopes;
    uint64_t lease_ms;
    struct tray_filter filter;    /* in the request's memory */
    uint64_t dropped;             /* REQUEST_FOLLOW: events it was too slow for */
    struct arena memory;
    struct told *told;            /* REQUEST_SEND, REQUEST_ANSWER */
};

/* What a reader is to find out, for the request of `ticket`. */
enum question_kind {
    QUESTION_ASKED, /* as it came: `asked` */
    QUESTION_PECK,  /* one peck */
    QUESTION_PARTIALS, /* parts of an answer */
    QUESTION_PECKS, /* those that were handed out */
    QUESTION_BOND,  /* one bond, as `duckling` has it */
    QUESTION_AUDIT_NEWS, /* what the log has above `after_entry` */
};

struct question {
    struct ring ring;
    enum question_kind kind;
    uint64_t ticket;
    struct message *message; /* owns `asked`; or NULL */
    const void *asked;       /* Duck__Request */
    struct id peck, duckling, bond;
    struct id waits_for;     /* a signature, that the order needs; zero: none */
    int box;
    bool replayed;
    uint32_t after, limit;   /* QUESTION_PARTIALS */
    uint64_t after_entry;    /* QUESTION_AUDIT_NEWS */
    bool with_envelopes;
    struct id *pecks;        /* owned */
    size_t peck_count;
};

struct local_client {
    struct local_api *api;
    struct ring ring;
    struct local_stream stream;
    struct inbox_share *share; /* its orders on the way to the loop */
    nng_aio *receive_aio, *send_aio, *try_aio;
    size_t uses;             /* what is under way outside the lock; freed at 0 when closing */
    bool closing, paused, sending_now;
    struct local_buffer in;  /* belongs to whoever receives */
    struct local_buffer out, sending;
    size_t request_count, follow_count;
    struct ring asker;       /* in api->askers while it has questions */
    struct ring questions;   /* that no reader has taken yet, in order */
    struct ring requests[CLIENT_SLOTS]; /* by id */
};

struct store_reader;

/* One answer in the making; all that it points to lives in these arenas until it is sent. */
struct local_view {
    struct local_api *api;
    struct store_reader *reader;
    struct arena arena;   /* of the answer */
    struct arena scratch; /* VIEW_SCRATCH_MAX, of what the store gave: bounded, so that a list ends early */
};

struct local_reader {
    pthread_t thread;
    struct local_view view;
};

struct local_api {
    struct local_api_settings settings;
    char *socket_path, *store_path, *version, *gateway_url, *gateway_url_file;
    struct bytes network, node_chain, display_name; /* owned */
    char **listening;
    size_t listening_count;
    uint64_t started_wall_ms;

    pthread_mutex_t lock;
    pthread_cond_t for_sweeper, for_readers, for_closer;
    nng_stream_listener *listener;
    nng_aio *accept_aio;
    bool accepting, closing;
    uint64_t accept_at_ms;   /* steady: out of descriptors until then; 0: not */

    struct ring clients, dead;
    size_t client_count;     /* also those that close */
    uint64_t last_ticket;
    struct ring by_ticket[REQUEST_SLOTS];
    struct ring peck_waits[REQUEST_SLOTS], take_waits[REQUEST_SLOTS], follows[REQUEST_SLOTS];
    struct ring directory_follows;
    atomic_uint_least64_t follows_begun;
    struct ring audit_waits, wanted_waits;
    bool audit_has_grown;    /* in this turn */
    struct ring touched;
    struct ring wheel[WHEEL_SLOTS];
    size_t armed;            /* requests in the wheel */
    uint64_t sweeper_tick;   /* until which it sleeps, unless it is told; while it works: 0 */
    uint64_t swept_tick;
    struct { struct id bond, duckling, with; } bond_ended; /* told just before its reply */
    struct {
        struct bytes packed;      /* HandlersReport, as it came; owned */
        const struct local_client *by; /* NULL: gone, or there was none */
    } handlers;

    struct ring askers;      /* clients that await a reader, whose turn it is first */
    size_t question_count;
    pthread_t sweeper;
    struct local_reader *readers;
    size_t reader_count;
};

/* ---- local_clients.c: streams and frames ---- */

/* Under the lock. Packs a reply (Duck__Reply) into the client's queue. */
void local_queue(struct local_client *client, void *reply);
size_t local_queued(const struct local_client *client); /* bytes not yet sent */

/* Under the lock: which clients have something to send and no send in flight; each is marked as
 * sending. Then, outside of it: start them. */
size_t local_prepare_sends(struct local_api *api, struct local_client *clients[LOCAL_CLIENTS_MAX]);
void local_start_sends(struct local_client *const *clients, size_t count);

void local_take_client(struct local_api *api, nng_stream *stream); /* keeps the stream */
void local_end_client(struct local_client *client); /* by who holds a use of it, and gives it up */
void local_free_client(struct local_client *client);

/* ---- local_orders.c: what is asked, judged ---- */

/* True: `message->order` is filled in (for orders), and `*wish`. `asked` lives in the message. */
bool local_read_request(const void *asked, struct message *message, struct wish *wish,
                        struct local_refusal *refusal);

/* The order of a take that goes on waiting. */
struct message *local_take_again(const struct request *request);

/* The same, of a question for what waits for signatures. */
struct message *local_wanted_again(const struct request *request);

/* The order that gives back what was handed out to nobody; its reply finds no request. */
struct message *local_give_back(const struct id *duckling, const struct id *pecks, size_t count);

/* ---- local_waits.c: requests and what they wait for; all under the lock ---- */

void local_waits_init(struct local_api *api);
struct request *local_find(struct local_api *api, uint64_t ticket); /* NULL: its client is gone */
struct request *local_find_of_client(struct local_client *client, uint64_t id);
struct request *local_remember(struct local_client *client, uint64_t id, enum request_kind kind);
void local_forget(struct request *request);
size_t local_shelf(const struct id *awaited);
void local_shelve(struct request *request, struct ring *shelves, const struct id *awaited);
void local_arm(struct request *request, uint64_t deadline_ms);
void local_disarm(struct request *request);
void local_answer(struct request *request, void *reply); /* forgets it, unless it follows */
void local_refuse(struct request *request, enum refusal_code code, const char *message,
                  const char *field);
/* The same; `retry_after_ms` 0: not said. */
void local_refuse_until(struct request *request, enum refusal_code code, const char *message,
                        const char *field, uint64_t retry_after_ms);
void local_ask_again(struct request *request); /* what it asked for; it waits for the answer */
bool local_is_as_far(const struct request *request, enum peck_state state);
bool local_is_over(const struct request *request); /* it waits no longer */
/* Under the lock. When the sweeper has something to do again, as a tick; UINT64_MAX: nothing is armed. */
uint64_t local_next_tick(const struct local_api *api);
void local_sweep(struct local_api *api, uint64_t now_ms);

/* ---- local_answers.c: answers to an order, of the EFFECT_REPLY that decided it; all under the lock ---- */
void local_answer_hatched(struct request *request, const struct effect *effect);
void local_answer_rotated(struct request *request, const struct effect *effect);
void local_answer_lobsters(struct request *request, const struct effect *effect);
void local_answer_granted(struct request *request, const struct effect *effect);
void local_answer_issued(struct request *request, const struct effect *effect);
void local_answer_exported(struct request *request, const struct effect *effect);
void local_answer_unpecked(struct request *request, const struct effect *effect);
void local_answer_partial(struct request *request, const struct effect *effect);

/* ---- local_told.c: what the loop tells; all under the lock ---- */

/* Before the message goes to the inbox: afterwards it is the loop's. */
void local_wait_for_order(struct request *request, const struct message *message,
                          const struct wish *wish);
void local_tell(struct local_api *api, const struct effect *effect);
void local_answer_touched(struct local_api *api); /* at the end of a turn */
void local_wake_audit(struct local_api *api);     /* the same */
void local_answer_told(struct request *request);
void local_answer_nothing_taken(struct request *request);

/* ---- local_wanted.c: what waits for signatures; all under the lock ---- */

void local_answer_nothing_wanted(struct request *request);
void local_answer_wanted(struct request *request, const struct effect *effect);
void local_tell_wanted(struct local_api *api, const struct effect *effect);

/* ---- local_follows.c: all under the lock ---- */

void local_follows_tell_peck(struct local_api *api, const struct effect *effect);
void local_follows_tell_partial(struct local_api *api, const struct effect *effect);
void local_follows_tell_bond(struct local_api *api, const struct effect *effect);
void local_follows_tell_record(struct local_api *api, const struct effect *effect);
void local_follows_tell_member(struct local_api *api, const struct effect *effect);
void local_follows_tell_tier(struct local_api *api, const struct effect *effect);
void local_follows_tell_wanted(struct local_api *api, const struct effect *effect);

/* ---- local_questions.c: readers, and what they say of this node ---- */

int local_readers_start(struct local_api *api);
void local_readers_stop(struct local_api *api); /* sets `closing`, if it is not yet */
void local_ask(struct local_client *client, struct question *question); /* under the lock; keeps it */
void local_forget_questions(struct local_client *client); /* under the lock */

void *local_new(struct local_view *view, size_t size); /* zeroed */
char *local_id(struct local_view *view, enum id_kind kind, const struct id *id); /* zero: "" */
char *local_text(struct local_view *view, struct bytes bytes);
/* Makes `reply` (Duck__Reply) a problem. */
void local_problem(struct local_view *view, void *reply, enum refusal_code code,
                   const char *message, const char *field);
/* False, and `reply` a problem: `text` is no such id. An empty one is zero. */
bool local_read_id(struct local_view *view, enum id_kind kind, const char *text, const char *field,
                   struct id *id, void *reply);

/* ---- local_bonds.c ---- */

/* The bond that an order changed, as its approver has it. */
void local_view_bond(struct local_view *view, const struct question *question, void *reply);
void local_view_bonds(struct local_view *view, const void *query, void *reply);

/* ---- local_contexts.c ---- */
struct Duck__ContextView;
struct Duck__ContextView **local_contexts_of(struct local_view *view, const struct id *duckling, size_t *count);
void local_view_contexts(struct local_view *view, const void *query, void *reply);

/* ---- local_grants.c ---- */
void local_view_grants(struct local_view *view, const void *query, void *reply);

/* ---- local_views.c: pecks ---- */

struct stored_peck;

/* Cursors are places in a list, in digits. An empty one leaves `*place` as it is. */
bool local_read_cursor(struct local_view *view, const char *cursor, uint64_t *place, void *reply);
char *local_cursor(struct local_view *view, uint64_t place);

/* What is told of a peck. */
enum peck_detail {
    PECK_FOR_AGENT, /* what it says */
    PECK_IN_LIST,   /* and its receipts */
    PECK_WHOLE,     /* and everything that is signed, as bytes */
};

/* False: `reply` is a problem. */
bool local_view_peck(struct local_view *view, const struct question *question, void *reply,
                     enum peck_state *state, enum peck_kind *kind);
void local_view_taken(struct local_view *view, const struct id *pecks, size_t count, void *reply);
void local_view_pecks(struct local_view *view, const void *query, void *reply);

/* ---- local_partials.c ---- */

/* False: `reply` is a problem. `*is_news`: there are some, or there will be no more. */
bool local_view_partials(struct local_view *view, const struct question *question, void *reply,
                         bool *is_news);

/* ---- local_audit.c: what was done ---- */

void local_view_audit(struct local_view *view, const void *query, void *reply);
/* `*is_news`: there are some. False: `reply` is a problem. */
bool local_view_audit_news(struct local_view *view, const struct question *question, void *reply,
                           bool *is_news);
void local_view_audit_log(struct local_view *view, const void *query, void *reply);

/* ---- local_handlers.c: what runs the operator's handlers, and how it goes ---- */

/* Under the lock. False: it is not one. */
bool local_take_report(struct local_client *client, const void *report);
void local_reporter_left(struct local_client *client); /* under the lock */
void local_view_handlers(struct local_view *view, void *reply);
/* Sums over all handlers. */
struct local_handler_sums {
    uint64_t configured, running, answered, failed, timed_out, lost;
};
void local_sum_handlers(struct local_api *api, struct local_handler_sums *sums);

/* ---- local_peers.c: other nodes ---- */

void local_view_peers(struct local_view *view, const void *query, void *reply);

/* ---- local_figures.c: what is counted ---- */

void local_view_metrics(struct local_view *view, bool totals_only, void *reply);
void local_view_gossip(struct local_view *view, void *reply);

/* ---- local_directory.c: who is there, provably ---- */

void local_view_directory(struct local_view *view, const void *query, void *reply);
void local_view_trust(struct local_view *view, void *reply);
void local_view_next_key(struct local_view *view, const void *asked, void *reply);
void local_view_certificate(struct local_view *view, const void *query, void *reply);

#endif
