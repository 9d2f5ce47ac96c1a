/* questions: what several callers ask the node at once is asked once.
 *
 * Who comes while the same question is at the node, or while its answer is handed out, waits until it is
 * asked again, and shares that answer with all who came meanwhile: nobody is told what was so before it asked. Where
 * a moment does not matter, because the network itself learns no faster, questions_lately asks nobody. The text of an
 * answer is made once, too, and kept: when the node says the same again, it is the same text. For questions whose
 * answer does not depend on who asks. From any thread. */
#ifndef DUCK_GATE_QUESTIONS_H
#define DUCK_GATE_QUESTIONS_H

#include "core/bytes.h"
#include "node_link.h"

#define QUESTION_WAIT_MS 5000u /* for the node, each time */
#define ANSWERS_KEPT_MAX 8u
#define ANSWER_KEPT_SIZE_MAX (256u * 1024u) /* bytes of the node's reply; a larger one is not kept */
#define QUESTION_LATELY_SIZE_MAX 128u /* bytes of the request that questions_lately looks for; a larger one is asked */

struct questions;
struct told; /* the node's answer to those who asked together; it lives as long as one of them holds it */
struct Duck__Reply;
struct Duck__Request;

struct questions *questions_new(void);
void questions_free(struct questions *questions); /* NULL is fine; after node_link_shut */

/* `done` is called once, perhaps before this returns. The holder takes `told`, once, as soon as it gets to
 * it: the next are not asked for before all have. Then it gives it back. */
typedef void questions_done(void *context, struct told *told);
void questions_ask(struct questions *questions, struct node_link *node,
                   struct Duck__Request *request, questions_done *done, void *context);

/* What the node answered to this, asked at most `most_ms` ago, unless something was ordered through this gateway since:
 * so whoever changes something sees it. It need not be taken, only given back. NULL: it must be asked. */
struct told *questions_lately(struct questions *questions, struct node_link *node,
                              struct Duck__Request *request, uint64_t most_ms);

void told_take(struct told *told);
struct Duck__Reply *told_reply(struct told *told);
/* `make` runs for the first who asks: JSON for strict_json_forget. Data NULL: no memory. */
typedef char *told_make(const struct Duck__Reply *reply);
struct bytes told_text(struct told *told, told_make *make);
/* The same, as `zip` makes it: for memory_give_back. Data NULL: it does not get smaller. */
typedef uint8_t *told_zip(struct bytes text, size_t *size);
struct bytes told_zipped(struct told *told, told_zip *zip);
struct told *told_hold(struct told *told);
void told_give_back(void *told);

#endif
