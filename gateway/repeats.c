#include "answers.h"

#include <pthread.h>
#include <sodium.h>

enum answer_state { ANSWER_FREE, ANSWER_UNDER_WAY, ANSWER_KEPT };

struct answer {
    enum answer_state state;
    struct answers_name name;
    uint64_t asked_ms;
    unsigned status;
    char *text;
};

struct answers {
    pthread_mutex_t lock;
    uint8_t key[crypto_generichash_KEYBYTES]; /* of this life: bodies hold passwords and codes */
    size_t next;                              /* the place that was filled longest ago */
    struct answer list[ANSWERS_MAX];
};

struct answers *answers_new(void)
{
    struct answers *answers = memory_take(sizeof *answers);

    pthread_mutex_init(&answers->lock, NULL);
    randombytes_buf(answers->key, sizeof answers->key);
    return answers;
}

static void clear(struct answer *answer)
{
    if (answer->text) {
        sodium_memzero(answer->text, strlen(answer->text));
        memory_give_back(answer->text);
    }
    *answer = (struct answer){.state = ANSWER_FREE};
}

void answers_free(struct answers *answers)
{
    if (!answers)
        return;
    for (size_t i = 0; i < ANSWERS_MAX; i++)
        clear(&answers->list[i]);
    pthread_mutex_destroy(&answers->lock);
    sodium_memzero(answers, sizeof *answers);
    memory_give_back(answers);
}

void answers_name(const struct answers *answers, struct bytes place, struct bytes content,
                  struct answers_name *name)
{
    crypto_generichash(name->place, sizeof name->place, place.data, place.size, answers->key,
                       sizeof answers->key);
    crypto_generichash(name->content, sizeof name->content, content.data, content.size,
                       answers->key, sizeof answers->key);
}

/* Under the lock. A thousand comparisons are a few microseconds, for requests that write to disk. */
static struct answer *find(struct answers *answers, const struct answers_name *name)
{
    for (size_t i = 0; i < ANSWERS_MAX; i++)
        if (answers->list[i].state != ANSWER_FREE &&
            memcmp(answers->list[i].name.place, name->place, sizeof name->place) == 0)
            return &answers->list[i];
    return NULL;
}

/* Under the lock. The oldest that is answered makes room; NULL: none is. */
static struct answer *make_room(struct answers *answers)
{
    for (size_t i = 0; i < ANSWERS_MAX; i++) {
        struct answer *answer = &answers->list[answers->next];

        answers->next = (answers->next + 1) % ANSWERS_MAX;
        if (answer->state == ANSWER_UNDER_WAY)
            continue;
        clear(answer);
        return answer;
    }
    return NULL;
}

static enum answers_verdict judge(const struct answer *answer, const struct answers_name *name,
                                  unsigned *status, char **text)
{
    if (memcmp(answer->name.content, name->content, sizeof name->content) != 0)
        return ANSWERS_OTHER;
    if (answer->state == ANSWER_UNDER_WAY)
        return ANSWERS_UNDER_WAY;
    *status = answer->status;
    *text = memory_copy(answer->text, strlen(answer->text) + 1);
    return ANSWERS_KNOWN;
}

enum answers_verdict answers_ask(struct answers *answers, const struct answers_name *name,
                                 uint64_t now_ms, unsigned *status, char **text)
{
    enum answers_verdict verdict = ANSWERS_NEW;
    struct answer *answer;

    pthread_mutex_lock(&answers->lock);
    answer = find(answers, name);
    if (answer && answer->state == ANSWER_KEPT && answer->asked_ms + ANSWER_LIFE_MS <= now_ms) {
        clear(answer);
        answer = NULL;
    }
    if (answer) {
        verdict = judge(answer, name, status, text);
    } else {
        answer = make_room(answers);
        if (answer)
            *answer = (struct answer){.state = ANSWER_UNDER_WAY, .name = *name, .asked_ms = now_ms};
        else
            verdict = ANSWERS_FULL;
    }
    pthread_mutex_unlock(&answers->lock);
    return verdict;
}

void answers_keep(struct answers *answers, const struct answers_name *name, unsigned status,
                  const char *text)
{
    struct answer *answer;

    pthread_mutex_lock(&answers->lock);
    answer = find(answers, name);
    if (answer && strlen(text) <= ANSWER_SIZE_MAX) {
        answer->state = ANSWER_KEPT;
        answer->status = status;
        answer->text = memory_copy(text, strlen(text) + 1);
    } else if (answer) {
        clear(answer);
    }
    pthread_mutex_unlock(&answers->lock);
}

void answers_forget(struct answers *answers, const struct answers_name *name)
{
    struct answer *answer;

    pthread_mutex_lock(&answers->lock);
    answer = find(answers, name);
    if (answer)
        clear(answer);
    pthread_mutex_unlock(&answers->lock);
}
