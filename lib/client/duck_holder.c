/* A duckling's key and certificates, and the file that they are in. */
#include "holder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOLDER_HEAD "duck-holder 1\n"
#define HOLDER_FILE_MAX (2 * CHAIN_SIZE_MAX + 256)

static_assert(DUCK_SEED_SIZE == SEED_SIZE, "a seed");

void *holder_say(const char **problem, const char *sentence)
{
    if (problem)
        *problem = sentence;
    return NULL;
}

static const char *judge_holder(struct duck_holder *holder)
{
    struct public_key ours = identity_key_public(holder->key);
    struct chain chain;

    if (chain_open(holder->chain, &holder->memory, &chain) != CERTIFICATE_TAKEN ||
        chain.kind != IDENTITY_DUCKLING)
        return "these are no duckling's certificates";
    if (memcmp(ours.bytes, chain.certificates[chain.count - 1].public_key.bytes, PUBLIC_KEY_SIZE) !=
        0)
        return "the key is not the one that the certificates name last";
    holder->first = chain.count == 1 ? holder->chain
                                     : chain_pack(&chain.certificates[0].wire, 1, &holder->memory);
    holder->id = chain.identity;
    id_text(ID_DUCKLING, &holder->id, holder->text);
    return NULL;
}

struct duck_holder *duck_holder_new(const uint8_t seed[DUCK_SEED_SIZE], const void *chain,
                                    size_t chain_size, const char **problem)
{
    struct duck_holder *holder;
    const char *wrong;

    if (!identity_self_test())
        return holder_say(problem, "this libsodium judges signatures otherwise than the network");
    if (chain_size > CHAIN_SIZE_MAX)
        return holder_say(problem, "these are no duckling's certificates");
    holder = memory_take(sizeof *holder);
    arena_init(&holder->memory, PARSE_BUDGET(3 * CHAIN_SIZE_MAX));
    holder->chain = arena_copy(&holder->memory, bytes_of(chain, chain_size));
    holder->key = identity_key_new(seed);
    wrong = judge_holder(holder);
    if (!wrong)
        return holder;
    duck_holder_free(holder);
    return holder_say(problem, wrong);
}

void duck_holder_free(struct duck_holder *holder)
{
    if (!holder)
        return;
    identity_key_free(holder->key);
    memory_give_back(holder->jws);
    arena_free(&holder->memory);
    memory_give_back(holder);
}

const char *duck_holder_id(const struct duck_holder *holder)
{
    return holder->text;
}

const void *duck_holder_chain(const struct duck_holder *holder, size_t *size)
{
    *size = holder->chain.size;
    return holder->chain.data;
}

const void *duck_holder_first(const struct duck_holder *holder, size_t *size)
{
    *size = holder->first.size;
    return holder->first.data;
}

/* ---- its file ---- */

ssize_t holder_read_private(const char *path, char *text, size_t max, const char **problem)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat status;
    size_t size = 0;
    ssize_t got = 1;

    if (file < 0) {
        holder_say(problem, "the key's file cannot be opened");
        return -1;
    }
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
        (status.st_mode & 077) != 0) {
        close(file);
        holder_say(problem,
                   "the key's file is not a file of yours that nobody else may read (0600)");
        return -1;
    }
    while (size < max && got > 0) {
        got = read(file, text + size, max - size);
        if (got > 0)
            size += (size_t)got;
    }
    close(file);
    if (got < 0)
        holder_say(problem, "the key's file cannot be read");
    return got < 0 ? -1 : (ssize_t)size;
}

bool holder_read_line(const char **text, uint8_t *data, size_t max, size_t *size)
{
    const char *end = strchr(*text, '\n');
    const char *line = *text;

    if (!end)
        return false;
    *text = end + 1;
    return sodium_base642bin(data, max, line, (size_t)(end - line), NULL, size, NULL,
                             HOLDER_BASE64) == 0;
}

static struct duck_holder *parse_holder(const char *text, uint8_t *seed, const char **problem)
{
    static const char wrong[] = "the file is not one that `ducknode grant key` wrote";
    uint8_t *chain = memory_take(CHAIN_SIZE_MAX);
    struct duck_holder *holder = NULL;
    size_t seed_size = 0, chain_size = 0;
    bool is_one = strncmp(text, HOLDER_HEAD, sizeof HOLDER_HEAD - 1) == 0;

    text += is_one ? sizeof HOLDER_HEAD - 1 : 0;
    if (!is_one || !holder_read_line(&text, seed, SEED_SIZE, &seed_size) ||
        seed_size != SEED_SIZE || !holder_read_line(&text, chain, CHAIN_SIZE_MAX, &chain_size) ||
        *text)
        holder_say(problem, wrong);
    else
        holder = duck_holder_new(seed, chain, chain_size, problem);
    memory_give_back(chain);
    return holder;
}

struct duck_holder *duck_holder_open(const char *path, const char **problem)
{
    struct duck_holder *holder = NULL;
    uint8_t *seed;
    ssize_t size;
    char *text;

    if (!identity_self_test())
        return holder_say(problem, "this libsodium judges signatures otherwise than the network");
    seed = sodium_malloc(SEED_SIZE);
    text = sodium_malloc(HOLDER_FILE_MAX);
    if (!seed || !text)
        memory_ran_out();
    size = holder_read_private(path, text, HOLDER_FILE_MAX - 1, problem);
    if (size >= 0) {
        text[size] = 0;
        holder = parse_holder(text, seed, problem);
    }
    sodium_free(seed);
    sodium_free(text);
    return holder;
}

static void write_holder(const struct duck_holder *holder, char *text)
{
    uint8_t *seed = sodium_malloc(SEED_SIZE);
    size_t size = sizeof HOLDER_HEAD - 1;

    if (!seed)
        memory_ran_out();
    memcpy(text, HOLDER_HEAD, size);
    identity_key_seed(holder->key, seed);
    sodium_bin2base64(text + size, HOLDER_FILE_MAX - size, seed, SEED_SIZE, HOLDER_BASE64);
    sodium_free(seed);
    size = strlen(text);
    text[size++] = '\n';
    sodium_bin2base64(text + size, HOLDER_FILE_MAX - size, holder->chain.data, holder->chain.size,
                      HOLDER_BASE64);
    size = strlen(text);
    text[size++] = '\n';
    text[size] = 0;
}

static bool write_all(int file, const char *text)
{
    size_t size = strlen(text), written = 0;

    while (written < size) {
        ssize_t count = write(file, text + written, size - written);

        if (count < 0 && errno != EINTR)
            return false;
        written += count > 0 ? (size_t)count : 0;
    }
    return fsync(file) == 0;
}

int holder_write_private(const char *path, const char *text, const char **problem)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool is_written;

    if (file < 0) {
        holder_say(problem, errno == EEXIST ? "there is a file of this name already"
                                            : "the key's file cannot be made");
        return -1;
    }
    is_written = write_all(file, text);
    is_written = close(file) == 0 && is_written;
    if (is_written)
        return 0;
    unlink(path);
    holder_say(problem, "the key's file cannot be written");
    return -1;
}

int duck_holder_save(const struct duck_holder *holder, const char *path, const char **problem)
{
    char *text = sodium_malloc(HOLDER_FILE_MAX);
    int failed;

    if (!text)
        memory_ran_out();
    write_holder(holder, text);
    failed = holder_write_private(path, text, problem);
    sodium_free(text);
    return failed;
}
