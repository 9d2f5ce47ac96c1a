/* connection_parts: what the files of the connection share. Nobody else includes it.
 *
 * All is under the connection's lock, if nothing else is said. "Lets go": of the lock, meanwhile. */
#ifndef DUCK_CLIENT_CONNECTION_PARTS_H
#define DUCK_CLIENT_CONNECTION_PARTS_H

#include "connection.h"
#include "core/bytes.h"
#include "local_frames.h"
#include "local_stream.h"

#define CALL_SLOTS 1024u /* a power of two: ids are handed out in order */
#define RECEIVE_SIZE (64u * KIB)
#define NEVER_MS UINT64_MAX

struct call {
    struct call *next; /* of its slot */
    uint64_t id, deadline_ms;
    uint64_t begins_at; /* of all bytes ever appended: which send carries it */
    connection_done done;
    void *context;
};

struct follow {
    struct follow *next;
    uint64_t id, begins_at;
    char *duckling;
    bool directory;
    connection_seen seen;
    void *context, *copy;
    uint64_t gaps; /* broken streams so far: told as dropped events */
    bool began, refused, resend;
    bool awaited; /* somebody waits to hear whether it began */
    bool over;    /* taken off as soon as it is neither called nor awaited */
};

enum connection_state { CONNECTION_DOWN, CONNECTION_DIALLING, CONNECTION_UP };

struct connection {
    pthread_mutex_t lock;
    pthread_cond_t work, changed; /* for the client's thread; for those who wait for it */
    pthread_t thread;
    bool ending, unread_paused;
    bool delivering; /* the client's thread calls back: what is asked meanwhile leaves with one write */

    enum connection_state state;
    nng_stream_dialer *dialer;
    struct local_stream stream; /* while the state is UP */
    nng_aio *dial_aio, *receive_aio, *send_aio, *try_aio;
    bool dial_busy, receive_busy, send_busy, broken, wanted;
    uint64_t dials_ended; /* counts; so that opening can wait for its own */
    int dial_error;
    uint64_t redial_at_ms, redial_ms;

    struct local_buffer out, sending, unread;
    uint64_t appended, handed; /* bytes: all that was put into `out`, all that went to `sending` */
    uint8_t chunk[RECEIVE_SIZE];

    uint64_t last_id;
    struct call *calls[CALL_SLOTS];
    size_t call_count;
    uint64_t next_deadline_ms; /* not later than any call's */
    struct follow *follows;
    uint64_t calling; /* the follow whose `seen` runs now; 0: none */
};

/* ---- connection.c ---- */
uint64_t connection_now_ms(void); /* steady */

/* ---- connection_calls.c ---- */
struct call *connection_take_call(struct connection *connection, uint64_t id); /* NULL: none */
/* Takes off every call for which `is_meant`, as a chain. */
struct call *connection_take_calls(struct connection *connection,
                                   bool (*is_meant)(const struct call *call, uint64_t limit),
                                   uint64_t limit);
bool connection_call_begins_before(const struct call *call, uint64_t handed);
void connection_finish_call(struct call *call, struct Duck__Reply *reply); /* without the lock */
void connection_finish_calls(struct call *calls, const char *code, const char *message); /* same */
void connection_expire_calls(struct connection *connection, uint64_t at_ms); /* lets go */
void connection_send_or_dial(struct connection *connection); /* comes back without the lock */

/* ---- connection_stream.c ---- */
void connection_append(struct connection *connection, const struct Duck__Request *request);
bool connection_prepare_send(struct connection *connection); /* true: connection_start_send is next */
void connection_start_send(struct connection *connection);    /* without the lock */
void connection_start_receive(struct connection *connection); /* without the lock */
void connection_note_broken(struct connection *connection);
void connection_go_up(struct connection *connection);         /* lets go */
void connection_stay_down(struct connection *connection);     /* lets go */
void connection_drop_stream(struct connection *connection);   /* lets go */
void connection_dial_ended(void *connection);                 /* called back by nng, as the next two */
void connection_receive_ended(void *connection);
void connection_send_ended(void *connection);

/* ---- connection_follows.c ---- */
struct follow *connection_find_follow(struct connection *connection, uint64_t id);
void connection_tell_follow(struct connection *connection, struct follow *follow,
                            struct Duck__Reply *reply); /* lets go */
void connection_follows_resume(struct connection *connection);
void connection_follows_fail(struct connection *connection);
void connection_follows_break(struct connection *connection);
void connection_follows_free(struct connection *connection);

#endif
