/* Rotation, and what it leaves: a chain that answers offline which key spoke when.
 *
 * What rotates is here and not in the node, because the next keys are: the node has no way to open them,
 * so whoever takes its keys cannot take its identities. See keyfile.h. */
#include "backup_files.h"
#include "clock.h"
#include "commands.h"
#include "core/certificate.h"
#include "fault.h"
#include "keyfile.h"
#include "passphrase.h"
#include "wire/local.pb-c.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "client/duck_client.h"
#include "core/binary_data.h"

#define SEALED_NEXT_SIZE (SEED_SIZE + crypto_box_SEALBYTES)

static const struct command_flag rotate_flags[] = {
    {"passphrase-file", "FILE", "opens node.key, and seals the new one"},
    {"next-key-dir", "FOLDER", "where node.next.key and ducklings.next.key are kept"},
    {"next-passphrase-file", "FILE", "opens those (default: as node.key)"},
    {NULL, NULL, NULL},
};

/* In guarded memory. */
struct rotation {
    struct passphrase passphrase, next_passphrase;
    struct keyfile keyfile; /* the new node.key */
    uint8_t seed[SEED_SIZE], next_seed[SEED_SIZE];
    uint8_t seal_secret[SEAL_KEY_SIZE];
};

static const char *next_folder(const struct call *call)
{
    const char *folder = call_flag(call, "next-key-dir");

    return folder ? folder : call->options.state_dir;
}

static int no_next_key(const struct call *call, const char *name, int fault)
{
    return fail(call, "key", "%s in %s: %s%s", name, next_folder(call), fault_text(fault),
                call_has(call, "next-key-dir") ? "" : " (--next-key-dir says where it was taken)");
}

static int read_passphrases(const struct call *call, struct rotation *rotation)
{
    const char *file = call_flag(call, "next-passphrase-file");
    struct options next = call->options;
    int fault = passphrase_read(&call->options, &rotation->passphrase);

    if (file && strlen(file) < sizeof next.passphrase_file)
        snprintf(next.passphrase_file, sizeof next.passphrase_file, "%s", file);
    if (!fault)
        fault = passphrase_read(&next, &rotation->next_passphrase);
    return fault;
}

static struct bytes words_of(const struct passphrase *passphrase)
{
    return bytes_of(passphrase->data, passphrase->size);
}

static struct hash promise_of(const uint8_t seed[SEED_SIZE])
{
    struct identity_key *key = identity_key_new(seed);
    struct public_key public = identity_key_public(key);

    identity_key_free(key);
    return identity_key_hash(&public);
}

static int say_rotated(struct call *call, const char *identity, const char *certificate)
{
    if (call->json)
        print_json(json_pack("{s:s, s:s}", "identity", identity, "certificate_id", certificate));
    else
        printf("%s speaks with a new key: %s\n", identity, certificate);
    return 0;
}

static int order(struct call *call, Duck__RotateOrder *rotate)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    int status;

    request.order_case = DUCK__REQUEST__ORDER_ROTATE;
    request.rotate = rotate;
    reply = ask(call, &request, &status);
    if (!reply)
        return status;
    status = say_rotated(call, reply->rotate->identity, reply->rotate->certificate_id);
    duck_reply_free(reply);
    return status;
}

/* ---- a duckling ---- */

/* Empty: the node opens it. NULL: said why. */
static Duck__Reply *ask_sealed(struct call *call, const char *duckling, int *status)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__NextKeyQuery query = DUCK__NEXT_KEY_QUERY__INIT;

    query.duckling = (char *)(uintptr_t)duckling;
    request.order_case = DUCK__REQUEST__ORDER_NEXT_KEY;
    request.next_key = &query;
    return ask(call, &request, status);
}

static int open_sealed(struct call *call, struct rotation *rotation, struct bytes sealed,
                       uint8_t seal_public[SEAL_KEY_SIZE])
{
    const char *folder = next_folder(call);
    int fault = sealed.size == 0 ? keyfile_read_seal(call->options.state_dir, seal_public)
                                 : keyfile_open_seal(folder, words_of(&rotation->next_passphrase),
                                                     seal_public, rotation->seal_secret);

    if (fault)
        return no_next_key(call, "ducklings.next.key", fault);
    if (sealed.size > 0 && (sealed.size != SEALED_NEXT_SIZE ||
                            crypto_box_seal_open(rotation->seed, sealed.data, sealed.size,
                                                 seal_public, rotation->seal_secret) != 0))
        return fail(call, "key",
                    "ducklings.next.key in %s is not the one for which the next key "
                    "was sealed",
                    folder);
    return 0;
}

static int rotate_duckling(struct call *call, struct rotation *rotation)
{
    Duck__RotateOrder rotate = DUCK__ROTATE_ORDER__INIT;
    uint8_t seal_public[SEAL_KEY_SIZE], sealed_next[SEALED_NEXT_SIZE];
    struct hash promise;
    struct bytes sealed;
    int status;
    Duck__Reply *reply = ask_sealed(call, call->arguments[0], &status);

    if (!reply)
        return status;
    sealed = borrowed(reply->next_key->sealed);
    status = open_sealed(call, rotation, sealed, seal_public);
    if (status == 0) {
        randombytes_buf(rotation->next_seed, SEED_SIZE);
        promise = promise_of(rotation->next_seed);
        if (crypto_box_seal(sealed_next, rotation->next_seed, SEED_SIZE, seal_public) != 0)
            status = fail(call, "key", "ducklings.next.pub is no key");
    }
    if (status == 0) {
        rotate.identity = (char *)(uintptr_t)call->arguments[0];
        rotate.seed.data = rotation->seed;
        rotate.seed.len = sealed.size > 0 ? SEED_SIZE : 0;
        rotate.next_key_hash.data = promise.bytes;
        rotate.next_key_hash.len = HASH_SIZE;
        rotate.sealed_next.data = sealed_next;
        rotate.sealed_next.len = sizeof sealed_next;
        status = order(call, &rotate);
    }
    duck_reply_free(reply);
    return status;
}

/* ---- the node ---- */

static int read_node_chain(const struct call *call, struct arena *arena, struct chain *chain)
{
    char path[OPTIONS_PATH_SIZE + 16];
    uint8_t *data = arena_take(arena, CHAIN_SIZE_MAX);
    enum certificate_verdict verdict;
    FILE *file;
    size_t size;

    snprintf(path, sizeof path, "%s/node.chain", call->options.state_dir);
    file = fopen(path, "re");
    if (!file || !data)
        return fail(call, "not_found", "cannot read %s: %s", path, strerror(errno));
    size = fread(data, 1, CHAIN_SIZE_MAX, file);
    fclose(file);
    verdict = chain_open(bytes_of(data, size), arena, chain);
    if (verdict != CERTIFICATE_TAKEN)
        return fail(call, "malformed", "%s: %s", path, certificate_verdict_text(verdict));
    return 0;
}

/* The network's word outdoes what a backup has: the key that the last certificate there promises takes over. */
static int heed_newer_chain(struct call *call, struct arena *arena, struct chain *chain)
{
    struct chain newer = {0};
    struct bytes wire;
    int fault = newer_chain_read(call->options.state_dir, &wire);

    if (fault)
        return fail(call, "file", NEWER_CHAIN_FILE ": %s", fault_text(fault));
    if (!wire.data)
        return 0;
    if (wire.size <= CHAIN_SIZE_MAX &&
        chain_open(arena_copy(arena, wire), arena, &newer) == CERTIFICATE_TAKEN &&
        id_equal(&newer.identity, &chain->identity) && newer.count > chain->count)
        *chain = newer;
    memory_give_back((void *)(uintptr_t)wire.data);
    return 0;
}

static bool is_promised(const struct chain *chain, const uint8_t seed[SEED_SIZE])
{
    struct hash hash = promise_of(seed);

    assert(chain->count > 0);
    return hash_equal(&hash, &chain->certificates[chain->count - 1].next_key_hash);
}

enum found_next { NEXT_FOUND, NEXT_WAS_LEFT, NEXT_FAILED };

/* After a rotation that was cut off at its very end the one that is promised has still its other name. */
static enum found_next find_next(struct call *call, struct rotation *rotation,
                                 const struct chain *chain, int *status)
{
    const char *folder = next_folder(call);
    struct bytes words = words_of(&rotation->next_passphrase);
    int fault = keyfile_open_next(KEYFILE_NODE, folder, words, rotation->seed);

    if (!fault && is_promised(chain, rotation->seed))
        return NEXT_FOUND;
    if (keyfile_open_next_new(KEYFILE_NODE, folder, words, rotation->seed) == 0 &&
        is_promised(chain, rotation->seed)) {
        fault = keyfile_take_new(KEYFILE_NODE, folder, true);
        if (!fault)
            return NEXT_WAS_LEFT;
    }
    *status = fault ? no_next_key(call, "node.next.key", fault)
                    : fail(call, "key",
                           "node.next.key in %s is not the key that the last certificate promises",
                           folder);
    return NEXT_FAILED;
}

/* Nothing counts yet: whatever is cut off, the keys that stand are the keys. */
static int prepare_keys(struct call *call, struct rotation *rotation)
{
    const char *folder = call->options.state_dir;
    int fault =
        keyfile_open(KEYFILE_NODE, folder, words_of(&rotation->passphrase), &rotation->keyfile);

    memcpy(rotation->keyfile.seed, rotation->seed, SEED_SIZE);
    if (!fault)
        fault = keyfile_prepare_next(KEYFILE_NODE, next_folder(call), rotation->next_seed,
                                     words_of(&rotation->next_passphrase));
    if (!fault)
        fault = keyfile_prepare(KEYFILE_NODE, folder, &rotation->keyfile,
                                words_of(&rotation->passphrase));
    return fault ? fail(call, "key", "cannot keep the new keys: %s", fault_text(fault)) : 0;
}

/* The state folder's lock, that a running node holds; -1: one runs. */
static int lock_state(const struct call *call)
{
    char path[OPTIONS_PATH_SIZE + 16];
    int lock;

    snprintf(path, sizeof path, "%s/lock", call->options.state_dir);
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
        return lock;
    if (lock >= 0)
        close(lock);
    return -1;
}

static int order_node(struct call *call, struct rotation *rotation, const struct chain *chain)
{
    Duck__RotateOrder rotate = DUCK__ROTATE_ORDER__INIT;
    struct hash promise = promise_of(rotation->next_seed);
    char node[ID_TEXT_SIZE];

    rotate.identity = (char *)id_text(ID_NODE, &chain->identity, node);
    rotate.seed.data = rotation->seed;
    rotate.seed.len = SEED_SIZE;
    rotate.next_key_hash.data = promise.bytes;
    rotate.next_key_hash.len = HASH_SIZE;
    return order(call, &rotate);
}

/* The node does not run: the same, by hand. */
static int commit_node(struct call *call, struct rotation *rotation, const struct chain *chain)
{
    struct identity_key *key = identity_key_new(rotation->seed);
    struct hash promise = promise_of(rotation->next_seed);
    char node[ID_TEXT_SIZE], certificate[ID_TEXT_SIZE];
    struct bytes longer;
    struct arena arena;
    struct id last;
    int fault, status;

    arena_init(&arena, 4 * CHAIN_SIZE_MAX);
    longer = chain_lengthen(chain, key, &promise, clock_wall_ms(), &arena);
    identity_key_free(key);
    fault =
        longer.data ? keyfile_commit(KEYFILE_NODE, call->options.state_dir, longer) : FAULT_CONFIG;
    if (!fault)
        newer_chain_drop(call->options.state_dir);
    last = chain_last(longer);
    status = fault ? fail(call, "key", "the key is not rotated: %s", fault_text(fault))
                   : say_rotated(call, id_text(ID_NODE, &chain->identity, node),
                                 id_text(ID_CERTIFICATE, &last, certificate));
    arena_free(&arena);
    return status;
}

static int rotate_with(struct call *call, struct rotation *rotation, const struct chain *chain)
{
    int lock, status;

    randombytes_buf(rotation->next_seed, SEED_SIZE);
    status = prepare_keys(call, rotation);
    if (status != 0)
        return status;
    lock = lock_state(call);
    if (lock < 0) {
        status = order_node(call, rotation, chain);
    } else {
        status = commit_node(call, rotation, chain);
        close(lock);
    }
    if (status == 0 && keyfile_take_new(KEYFILE_NODE, next_folder(call), true) != 0)
        return fail(call, "key", "node.next.key.new in %s is the next key from now on: rename it",
                    next_folder(call));
    return status;
}

static int rotate_node(struct call *call, struct rotation *rotation)
{
    struct chain chain = {0};
    struct arena arena;
    int status;

    arena_init(&arena, 4 * PARSE_BUDGET(CHAIN_SIZE_MAX));
    status = read_node_chain(call, &arena, &chain);
    if (status == 0)
        status = heed_newer_chain(call, &arena, &chain);
    if (status == 0) {
        switch (find_next(call, rotation, &chain, &status)) {
        case NEXT_FOUND:
            status = rotate_with(call, rotation, &chain);
            break;
        case NEXT_WAS_LEFT:
            if (!call->json)
                printf("a rotation had been cut off after the new key took over: it is complete\n");
            break;
        case NEXT_FAILED:
            break;
        }
    }
    arena_free(&arena);
    return status;
}

int next_key_open(struct call *call, const char *duckling, uint8_t seed[SEED_SIZE], size_t *size)
{
    struct rotation *rotation = sodium_malloc(sizeof *rotation);
    uint8_t seal_public[SEAL_KEY_SIZE];
    int fault, status = 0;
    struct bytes sealed;
    Duck__Reply *reply;

    if (!rotation)
        memory_ran_out();
    memset(rotation, 0, sizeof *rotation);
    fault = read_passphrases(call, rotation);
    if (fault)
        status = fail(call, "passphrase", "cannot read the passphrase: %s", fault_text(fault));
    reply = fault ? NULL : ask_sealed(call, duckling, &status);
    if (reply) {
        sealed = borrowed(reply->next_key->sealed);
        status = sealed.size > 0 ? open_sealed(call, rotation, sealed, seal_public) : 0;
        *size = sealed.size > 0 ? SEED_SIZE : 0;
        memcpy(seed, rotation->seed, SEED_SIZE);
        duck_reply_free(reply);
    }
    sodium_free(rotation);
    return status;
}

static int rotate(struct call *call)
{
    struct rotation *rotation;
    int fault, status;

    if (!identity_self_test())
        return fail(call, "crypto", "this libsodium judges signatures otherwise than the network");
    rotation = sodium_malloc(sizeof *rotation);
    if (!rotation)
        memory_ran_out();
    memset(rotation, 0, sizeof *rotation);
    fault = read_passphrases(call, rotation);
    if (fault)
        status = fail(call, "passphrase", "cannot read the passphrase: %s", fault_text(fault));
    else if (call->argument_count > 0)
        status = rotate_duckling(call, rotation);
    else
        status = rotate_node(call, rotation);
    sodium_free(rotation);
    return status;
}

const struct command rotate_commands[] = {
    {"rotate", "[DUCKLING]", 0, 1,
     "Replace the key of a duckling, or of the node, by the one that was promised.", rotate_flags,
     "ducknode rotate dkl_… --next-key-dir /mnt/stick", rotate},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
