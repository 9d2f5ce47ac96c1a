#include "limiter.h"

#include "gate_log.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

struct remembered {
    struct id duckling;
    uint32_t tier;
    uint64_t at_ms; /* 0: nothing */
};

struct limiter {
    char *set_path;
    struct rate_table configured;
    struct stat read;   /* the file as it was read last; st_ino 0: there was none */
    struct stat unread; /* as it was when it could not be read */

    pthread_mutex_t lock;
    struct rate_table table;
    struct rates *strangers[RATE_CLASSES]; /* so that a flood in one fills no other */
    struct rates *bearers;
    uint64_t refused[RATE_CLASSES];
    struct remembered tiers[LIMITER_TIERS_MAX];
};

struct limiter *limiter_new(const struct rate_table *configured, const char *set_path)
{
    struct limiter *limiter = memory_take(sizeof *limiter);
    uint8_t key[RATES_KEY_SIZE];

    randombytes_buf(key, sizeof key);
    for (size_t i = 0; i < RATE_CLASSES; i++)
        limiter->strangers[i] = rates_new(LIMITER_STRANGERS_MAX, key);
    limiter->bearers = rates_new(LIMITER_BEARERS_MAX, key);
    limiter->configured = limiter->table = *configured;
    limiter->set_path = set_path ? memory_copy(set_path, strlen(set_path) + 1) : NULL;
    pthread_mutex_init(&limiter->lock, NULL);
    limiter_reload(limiter);
    return limiter;
}

void limiter_free(struct limiter *limiter)
{
    if (!limiter)
        return;
    for (size_t i = 0; i < RATE_CLASSES; i++)
        rates_free(limiter->strangers[i]);
    rates_free(limiter->bearers);
    memory_give_back(limiter->set_path);
    pthread_mutex_destroy(&limiter->lock);
    memory_give_back(limiter);
}

/* ---- the file ---- */

enum reading { READ_WHOLE, READ_NOTHING, READ_NONSENSE };

/* A file, and nothing that could keep us waiting. */
static enum reading read_file(const char *path, struct rate_table *table)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char text[RATE_TEXT_MAX + 1];
    struct stat about;
    ssize_t size = -1;

    if (file >= 0 && fstat(file, &about) == 0 && S_ISREG(about.st_mode))
        size = read(file, text, sizeof text);
    if (file >= 0)
        close(file);
    if (size < 0)
        return READ_NOTHING;
    return size <= RATE_TEXT_MAX && rate_table_set_text(table, bytes_of(text, (size_t)size))
               ? READ_WHOLE
               : READ_NONSENSE;
}

static void put_in_force(struct limiter *limiter, const struct rate_table *table)
{
    char word[RATE_WORD_SIZE];

    pthread_mutex_lock(&limiter->lock);
    limiter->table = *table;
    pthread_mutex_unlock(&limiter->lock);
    for (size_t i = 0; i < RATE_CLASSES; i++)
        gate_log(GATE_LOG_INFO, "limits", "in force: %s",
                 rate_table_word(table, (enum rate_class)i, word));
}

/* It is renamed into place, so another inode tells what the time may be too coarse to tell. Of the
 * times the one that chmod and chown change, too: they may be what it takes to read it. */
static bool is_same(const struct stat *left, const struct stat *right)
{
    return left->st_ino == right->st_ino && left->st_size == right->st_size &&
           left->st_ctim.tv_sec == right->st_ctim.tv_sec &&
           left->st_ctim.tv_nsec == right->st_ctim.tv_nsec;
}

void limiter_reload(struct limiter *limiter)
{
    struct rate_table table = limiter->configured;
    struct stat now = {.st_ino = 0};

    if (!limiter->set_path)
        return;
    if (stat(limiter->set_path, &now) != 0)
        now = (struct stat){.st_ino = 0};
    if (is_same(&now, &limiter->read))
        return;
    switch (now.st_ino ? read_file(limiter->set_path, &table) : READ_WHOLE) {
    case READ_WHOLE:
        limiter->read = now;
        put_in_force(limiter, &table);
        break;
    case READ_NONSENSE:
        limiter->read = now;
        gate_log(GATE_LOG_WARNING, "limits", "%s is not understood: what was in force stays so",
                 limiter->set_path);
        break;
    case READ_NOTHING: /* tried again each time, told once */
        if (!is_same(&now, &limiter->unread))
            gate_log(GATE_LOG_WARNING, "limits", "cannot read %s: what was in force stays so",
                     limiter->set_path);
        limiter->unread = now;
        break;
    }
}

void limiter_table(struct limiter *limiter, struct rate_table *table)
{
    pthread_mutex_lock(&limiter->lock);
    *table = limiter->table;
    pthread_mutex_unlock(&limiter->lock);
}

bool limiter_has_limits(struct limiter *limiter, enum rate_class class)
{
    struct rate_table table;

    limiter_table(limiter, &table);
    for (size_t i = 0; i < RATE_COLUMNS; i++)
        if (table.per_minute[class][i])
            return true;
    return false;
}

/* ---- counting ---- */

struct limiter_answer limiter_take(struct limiter *limiter, enum rate_class class,
                                   const struct limiter_caller *caller, uint64_t now_us)
{
    struct limiter_answer answer = {.class = class, .tier = caller->tier};
    uint8_t name[1 + LIMITER_NAME_MAX];

    assert(caller->name.size <= LIMITER_NAME_MAX);
    name[0] = (uint8_t) class;
    if (caller->name.size > 0)
        memcpy(name + 1, caller->name.data, caller->name.size);
    pthread_mutex_lock(&limiter->lock);
    answer.limit = limiter->table.per_minute[class][rate_column_of(caller->tier)];
    answer.tier_more = rate_tier_with_more(&limiter->table, class, caller->tier);
    answer.rate.is_taken = true;
    if (answer.limit)
        answer.rate = rates_take(caller->is_stranger ? limiter->strangers[class] : limiter->bearers,
                                 bytes_of(name, 1 + caller->name.size), answer.limit, now_us);
    limiter->refused[class] += !answer.rate.is_taken;
    pthread_mutex_unlock(&limiter->lock);
    return answer;
}

uint64_t limiter_refused(struct limiter *limiter, enum rate_class class)
{
    uint64_t refused;

    pthread_mutex_lock(&limiter->lock);
    refused = limiter->refused[class];
    pthread_mutex_unlock(&limiter->lock);
    return refused;
}

/* ---- tiers ---- */

/* Ids are hashes, and those of bearers: whoever hatches until two share a place wins a question
 * to the node. */
static struct remembered *place_of(struct limiter *limiter, const struct id *duckling)
{
    uint32_t at;

    memcpy(&at, duckling->bytes, sizeof at);
    return &limiter->tiers[at % LIMITER_TIERS_MAX];
}

enum limiter_memory limiter_tier(struct limiter *limiter, const struct id *duckling,
                                 uint64_t now_ms, uint32_t *tier)
{
    enum limiter_memory memory = LIMITER_FORGOTTEN;
    const struct remembered *remembered;

    *tier = 0;
    pthread_mutex_lock(&limiter->lock);
    remembered = place_of(limiter, duckling);
    if (remembered->at_ms && id_equal(&remembered->duckling, duckling) &&
        now_ms < remembered->at_ms + LIMITER_TIER_STALE_MS) {
        memory = now_ms < remembered->at_ms + LIMITER_TIER_FRESH_MS ? LIMITER_FRESH : LIMITER_STALE;
        *tier = remembered->tier;
    }
    pthread_mutex_unlock(&limiter->lock);
    return memory;
}

void limiter_note_tier(struct limiter *limiter, const struct id *duckling, uint32_t tier,
                       uint64_t now_ms)
{
    pthread_mutex_lock(&limiter->lock);
    *place_of(limiter, duckling) =
        (struct remembered){.duckling = *duckling, .tier = tier, .at_ms = now_ms};
    pthread_mutex_unlock(&limiter->lock);
}
