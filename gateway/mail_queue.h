/* mail_queue: letters on their way to the mail server, in gateway.db, each sealed; and the thread that
 * brings them there. See mail.h for when. May be used by any thread. */
#ifndef DUCK_GATE_MAIL_QUEUE_H
#define DUCK_GATE_MAIL_QUEUE_H

#include "gate_key.h"
#include "smtp.h"

struct mail_queue;

struct mail_queue_settings {
    struct smtp smtp; /* its texts are borrowed until the queue is closed; is_ending is ours */
    const char *store_path;     /* gateway.db */
    const struct gate_key *key; /* borrowed */
    void (*trouble)(void *context, const char *text); /* NULL: none */
    void *context;
};

int mail_queue_open(struct mail_queue **opened, const struct mail_queue_settings *settings);
void mail_queue_close(struct mail_queue *queue); /* NULL is fine; what waits is kept */

/* True: it is on disk. */
bool mail_queue_give(struct mail_queue *queue, const char *to, struct bytes message,
                     uint64_t life_ms);
bool mail_queue_forget(struct mail_queue *queue, const char *to);
uint64_t mail_queue_waiting(struct mail_queue *queue, const char *to); /* NULL: to anybody */
void mail_queue_flush(struct mail_queue *queue);

#endif
