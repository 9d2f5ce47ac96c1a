#include "questions.h"

#include "client/duck_client.h"
#include "core/id.h"
#include "gateway.h"
#include "strict_json.h"
#include "wire/local.pb-c.h"

#include <pthread.h>
#include <stdatomic.h>

struct waiter {
    struct waiter *next;
    questions_done *done;
    void *context;
};

struct question {
    struct question *next;
    struct questions *all;
    struct node_link *node;
    uint8_t *packed; /* the request: what is the same there is the same question */
    size_t size;
    uint64_t asked_ms, orders; /* when it was asked last, and what was ordered until then */
    struct waiter *asking;     /* whose answer is under way; NULL while one is handed out */
    struct waiter *later;      /* who came since */
};

/* What the node said last to a question. */
struct kept {
    struct bytes question; /* owned */
    struct hash reply;     /* of its bytes */
    uint64_t asked_ms, orders;
    struct answer *answer;
    struct told *lately; /* for all who take what was said lately; NULL: nobody did */
};

struct questions {
    pthread_mutex_t lock; /* of the list, of all waiters, and of what is kept */
    struct question *first;
    struct kept kept[ANSWERS_KEPT_MAX];
    size_t kept_next;
};

struct told {
    _Atomic size_t holders, untaken;
    struct answer *answer;
    struct question *question; /* until all have taken it; NULL: nobody waits for that */
};

/* For as long as it is kept, or held by one of the told. */
struct answer {
    _Atomic size_t holders;
    Duck__Reply *reply;
    _Atomic(char *) text; /* NULL until it is made, then that for good */
    pthread_mutex_t lock; /* of making it, and of what follows */
    struct bytes zipped;
    bool is_zipped; /* it was tried */
};

/* ---- answers ---- */

static struct answer *answer_new(Duck__Reply *reply)
{
    struct answer *answer = memory_take(sizeof *answer);

    answer->reply = reply;
    atomic_init(&answer->holders, 1);
    pthread_mutex_init(&answer->lock, NULL);
    return answer;
}

static struct answer *answer_hold(struct answer *answer)
{
    atomic_fetch_add_explicit(&answer->holders, 1, memory_order_relaxed);
    return answer;
}

static void answer_give_back(struct answer *answer)
{
    if (atomic_fetch_sub(&answer->holders, 1) > 1)
        return;
    duck_reply_free(answer->reply);
    strict_json_forget(answer->text);
    memory_give_back((void *)(uintptr_t)answer->zipped.data);
    pthread_mutex_destroy(&answer->lock);
    memory_give_back(answer);
}

struct Duck__Reply *told_reply(struct told *told)
{
    return told->answer->reply;
}

struct bytes told_text(struct told *told, told_make *make)
{
    struct answer *answer = told->answer;
    char *text = atomic_load_explicit(&answer->text, memory_order_acquire);

    if (text)
        return bytes_of_text(text);
    pthread_mutex_lock(&answer->lock);
    if (!answer->text)
        answer->text = make(answer->reply);
    text = answer->text;
    pthread_mutex_unlock(&answer->lock);
    return text ? bytes_of_text(text) : bytes_of(NULL, 0);
}

struct bytes told_zipped(struct told *told, told_zip *zip)
{
    struct answer *answer = told->answer;

    pthread_mutex_lock(&answer->lock);
    if (!answer->is_zipped) {
        size_t size = 0;
        uint8_t *data = zip(bytes_of_text(answer->text), &size);

        answer->zipped = bytes_of(data, data ? size : 0);
        answer->is_zipped = true;
    }
    pthread_mutex_unlock(&answer->lock);
    return answer->zipped;
}

struct told *told_hold(struct told *told)
{
    atomic_fetch_add_explicit(&told->holders, 1, memory_order_relaxed);
    return told;
}

void told_give_back(void *context)
{
    struct told *told = context;

    if (atomic_fetch_sub(&told->holders, 1) > 1)
        return;
    answer_give_back(told->answer);
    memory_give_back(told);
}

static void forget_kept(struct kept *kept)
{
    if (!kept->answer)
        return;
    if (kept->lately)
        told_give_back(kept->lately);
    answer_give_back(kept->answer);
    memory_give_back((void *)(uintptr_t)kept->question.data);
}

struct questions *questions_new(void)
{
    struct questions *questions = memory_take(sizeof *questions);

    pthread_mutex_init(&questions->lock, NULL);
    return questions;
}

void questions_free(struct questions *questions)
{
    if (!questions)
        return;
    for (size_t i = 0; i < ANSWERS_KEPT_MAX; i++)
        forget_kept(&questions->kept[i]);
    pthread_mutex_destroy(&questions->lock);
    memory_give_back(questions);
}

/* ---- what is kept ---- */

static bool is_same(const struct hash *one, const struct hash *other)
{
    return memcmp(one, other, sizeof *one) == 0;
}

static bool hash_reply(Duck__Reply *reply, struct hash *hash)
{
    uint64_t id = reply->id;
    uint8_t *packed;
    size_t size;

    reply->id = 0; /* the call's, not the answer's */
    size = duck__reply__get_packed_size(reply);
    if (size > ANSWER_KEPT_SIZE_MAX)
        return false;
    packed = memory_take(size + 1);
    duck__reply__pack(reply, packed);
    *hash = hash_of(bytes_of(packed, size));
    memory_give_back(packed);
    reply->id = id;
    return true;
}

/* Under the lock. */
static struct kept *find_kept(struct questions *questions, struct bytes question)
{
    for (size_t i = 0; i < ANSWERS_KEPT_MAX; i++)
        if (questions->kept[i].answer && bytes_equal(questions->kept[i].question, question))
            return &questions->kept[i];
    return NULL;
}

static struct kept *take_place(struct questions *questions, struct bytes question)
{
    struct kept *kept = find_kept(questions, question);

    if (!kept)
        kept = &questions->kept[questions->kept_next++ % ANSWERS_KEPT_MAX];
    forget_kept(kept);
    return kept;
}

/* Takes the reply. One that says the same as the last stands for that. */
static struct answer *keep(const struct question *question, Duck__Reply *reply)
{
    struct bytes asked = bytes_of(question->packed, question->size);
    struct questions *questions = question->all;
    struct answer *answer = NULL;
    struct kept *kept;
    struct hash hash;

    if (!hash_reply(reply, &hash))
        return answer_new(reply);
    pthread_mutex_lock(&questions->lock);
    kept = find_kept(questions, asked);
    if (kept && is_same(&kept->reply, &hash)) {
        answer = answer_hold(kept->answer);
    } else {
        kept = take_place(questions, asked);
        answer = answer_new(reply);
        *kept = (struct kept){.question = bytes_of(memory_copy(asked.data, asked.size), asked.size),
                              .reply = hash,
                              .answer = answer_hold(answer)};
    }
    kept->asked_ms = question->asked_ms;
    kept->orders = question->orders;
    pthread_mutex_unlock(&questions->lock);
    if (answer->reply != reply)
        duck_reply_free(reply);
    return answer;
}

/* ---- questions ---- */

static void call(struct question *question);

/* Under the lock. */
static void forget(struct question *question)
{
    struct question **at = &question->all->first;

    while (*at != question)
        at = &(*at)->next;
    *at = question->next;
}

/* False: nobody came meanwhile, and it is forgotten. */
static bool asks_again(struct question *question)
{
    bool asks;

    pthread_mutex_lock(&question->all->lock);
    question->asking = question->later;
    question->later = NULL;
    asks = question->asking;
    if (!asks)
        forget(question);
    pthread_mutex_unlock(&question->all->lock);
    return asks;
}

void told_take(struct told *told)
{
    struct question *question = told->question;

    if (!question)
        return;
    if (atomic_fetch_sub(&told->untaken, 1) > 1)
        return;
    if (asks_again(question)) {
        call(question); /* from here on it is its answer's */
        return;
    }
    memory_give_back(question->packed);
    memory_give_back(question);
}

static void tell(struct waiter *waiters, struct told *told)
{
    struct waiter *next;
    size_t count = 0;

    for (struct waiter *at = waiters; at; at = at->next)
        count++;
    atomic_init(&told->untaken, count);
    for (struct waiter *at = waiters; at; at = next) {
        next = at->next;
        at->done(at->context, told_hold(told));
        memory_give_back(at);
    }
    told_give_back(told);
}

static void replied(void *context, Duck__Reply *reply)
{
    struct question *question = context;
    struct told *told = memory_take(sizeof *told);
    struct waiter *waiters;

    atomic_init(&told->holders, 1);
    told->question = question;
    told->answer = keep(question, reply);
    pthread_mutex_lock(&question->all->lock);
    waiters = question->asking;
    question->asking = NULL;
    pthread_mutex_unlock(&question->all->lock);
    tell(waiters, told); /* the last of them takes the question along */
}

static void call(struct question *question)
{
    Duck__Request *request = duck__request__unpack(NULL, question->size, question->packed);

    question->asked_ms = gateway_now_ms();
    question->orders = node_link_orders(question->node);
    node_link_call(question->node, request, QUESTION_WAIT_MS, replied, question);
    duck__request__free_unpacked(request, NULL);
}

/* Under the lock. */
static struct question *find(const struct questions *questions, const uint8_t *packed, size_t size)
{
    struct question *at = questions->first;

    while (at && (at->size != size || memcmp(at->packed, packed, size) != 0))
        at = at->next;
    return at;
}

static struct question *add(struct questions *questions, struct node_link *node, uint8_t *packed,
                            size_t size)
{
    struct question *question = memory_take(sizeof *question);

    *question = (struct question){
        .next = questions->first, .all = questions, .node = node, .packed = packed, .size = size};
    questions->first = question;
    return question;
}

void questions_ask(struct questions *questions, struct node_link *node,
                   struct Duck__Request *request, questions_done *done, void *context)
{
    size_t size = duck__request__get_packed_size(request);
    uint8_t *packed = memory_take(size + 1);
    struct waiter *waiter = memory_take(sizeof *waiter);
    struct question *question;
    bool is_new;

    duck__request__pack(request, packed);
    *waiter = (struct waiter){.done = done, .context = context};
    pthread_mutex_lock(&questions->lock);
    question = find(questions, packed, size);
    is_new = !question;
    if (is_new) {
        question = add(questions, node, packed, size);
        question->asking = waiter;
    } else {
        waiter->next = question->later;
        question->later = waiter;
    }
    pthread_mutex_unlock(&questions->lock);
    if (is_new)
        call(question);
    else
        memory_give_back(packed);
}

/* Under the lock. */
static struct told *told_lately(struct kept *kept)
{
    if (!kept->lately) {
        kept->lately = memory_take(sizeof *kept->lately);
        *kept->lately = (struct told){.answer = answer_hold(kept->answer)};
        atomic_init(&kept->lately->holders, 1);
    }
    return told_hold(kept->lately);
}

struct told *questions_lately(struct questions *questions, struct node_link *node,
                              struct Duck__Request *request, uint64_t most_ms)
{
    size_t size = duck__request__get_packed_size(request);
    uint8_t packed[QUESTION_LATELY_SIZE_MAX];
    struct told *told = NULL;
    struct kept *kept;

    if (size > sizeof packed)
        return NULL;
    duck__request__pack(request, packed);
    pthread_mutex_lock(&questions->lock);
    kept = find_kept(questions, bytes_of(packed, size));
    if (kept && kept->orders == node_link_orders(node) &&
        gateway_now_ms() - kept->asked_ms <= most_ms &&
        kept->answer->reply->answer_case != DUCK__REPLY__ANSWER_PROBLEM)
        told = told_lately(kept);
    pthread_mutex_unlock(&questions->lock);
    return told;
}
