#include "repeats.h"

#include <pthread.h>
#include <sodium.h>

enum answer_state { ANSWER_FREE, ANSWER_UNDER_WAY, ANSWER_KEPT };

struct answer {
    enum answer_state state;
    struct repeats_name name;
    uint64_t asked_ms;
    unsigned status;
    char *text;
};

struct repeats {
    pthread_mutex_t lock;
    uint8_t key[crypto_generichash_KEYBYTES]; /* of this life: bodies hold passwords and codes */
    size_t next;                              /* the place that was filled longest ago */
    struct answer list[REPEATS_MAX];
};

struct repeats *repeats_new(void)
{
    struct repeats *repeats = memory_take(sizeof *repeats);

    pthread_mutex_init(&repeats->lock, NULL);
    randombytes_buf(repeats->key, sizeof repeats->key);
    return repeats;
}

static void clear(struct answer *answer)
{
    if (answer->text) {
        sodium_memzero(answer->text, strlen(answer->text));
        memory_give_back(answer->text);
    }
    *answer = (struct answer){.state = ANSWER_FREE};
}

void repeats_free(struct repeats *repeats)
{
    if (!repeats)
        return;
    for (size_t i = 0; i < REPEATS_MAX; i++)
        clear(&repeats->list[i]);
    pthread_mutex_destroy(&repeats->lock);
    sodium_memzero(repeats, sizeof *repeats);
    memory_give_back(repeats);
}

void repeats_name(const struct repeats *repeats, struct bytes place, struct bytes content,
                  struct repeats_name *name)
{
    crypto_generichash(name->place, sizeof name->place, place.data, place.size, repeats->key,
                       sizeof repeats->key);
    crypto_generichash(name->content, sizeof name->content, content.data, content.size,
                       repeats->key, sizeof repeats->key);
}

/* Under the lock. A thousand comparisons are a few microseconds, for requests that write to disk. */
static struct answer *find(struct repeats *repeats, const struct repeats_name *name)
{
    for (size_t i = 0; i < REPEATS_MAX; i++)
        if (repeats->list[i].state != ANSWER_FREE &&
            memcmp(repeats->list[i].name.place, name->place, sizeof name->place) == 0)
            return &repeats->list[i];
    return NULL;
}

/* Under the lock. The oldest that is answered makes room; NULL: none is. */
static struct answer *make_room(struct repeats *repeats)
{
    for (size_t i = 0; i < REPEATS_MAX; i++) {
        struct answer *answer = &repeats->list[repeats->next];

        repeats->next = (repeats->next + 1) % REPEATS_MAX;
        if (answer->state == ANSWER_UNDER_WAY)
            continue;
        clear(answer);
        return answer;
    }
    return NULL;
}

static enum repeats_verdict judge(const struct answer *answer, const struct repeats_name *name,
                                  unsigned *status, char **text)
{
    if (memcmp(answer->name.content, name->content, sizeof name->content) != 0)
        return REPEATS_OTHER;
    if (answer->state == ANSWER_UNDER_WAY)
        return REPEATS_UNDER_WAY;
    *status = answer->status;
    *text = memory_copy(answer->text, strlen(answer->text) + 1);
    return REPEATS_KNOWN;
}

enum repeats_verdict repeats_ask(struct repeats *repeats, const struct repeats_name *name,
                                 uint64_t now_ms, unsigned *status, char **text)
{
    enum repeats_verdict verdict = REPEATS_NEW;
    struct answer *answer;

    pthread_mutex_lock(&repeats->lock);
    answer = find(repeats, name);
    if (answer && answer->state == ANSWER_KEPT && answer->asked_ms + ANSWER_LIFE_MS <= now_ms) {
        clear(answer);
        answer = NULL;
    }
    if (answer) {
        verdict = judge(answer, name, status, text);
    } else {
        answer = make_room(repeats);
        if (answer)
            *answer = (struct answer){.state = ANSWER_UNDER_WAY, .name = *name, .asked_ms = now_ms};
        else
            verdict = REPEATS_FULL;
    }
    pthread_mutex_unlock(&repeats->lock);
    return verdict;
}

void repeats_keep(struct repeats *repeats, const struct repeats_name *name, unsigned status,
                  const char *text)
{
    struct answer *answer;

    pthread_mutex_lock(&repeats->lock);
    answer = find(repeats, name);
    if (answer && strlen(text) <= ANSWER_SIZE_MAX) {
        answer->state = ANSWER_KEPT;
        answer->status = status;
        answer->text = memory_copy(text, strlen(text) + 1);
    } else if (answer) {
        clear(answer);
    }
    pthread_mutex_unlock(&repeats->lock);
}

void repeats_forget(struct repeats *repeats, const struct repeats_name *name)
{
    struct answer *answer;

    pthread_mutex_lock(&repeats->lock);
    answer = find(repeats, name);
    if (answer)
        clear(answer);
    pthread_mutex_unlock(&repeats->lock);
}
