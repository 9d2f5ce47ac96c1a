/* Who this node is: its key, its certificates, and the keys to which it may rotate. */
#include "node_parts.h"

#include "backup_files.h"
#include "clock.h"
#include "log.h"
#include "passphrase.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static int read_chain(struct node *node)
{
    char path[OPTIONS_PATH_SIZE + 16];
    uint8_t *data = memory_take(CHAIN_SIZE_MAX);
    size_t size = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/node.chain", node->options->state_dir);
    file = fopen(path, "re");
    if (file) {
        size = fread(data, 1, CHAIN_SIZE_MAX, file);
        fclose(file);
    }
    if (size == 0) {
        log_write(LOG_ERROR, "node", "cannot read %s: run `ducknode init` first", path);
        memory_give_back(data);
        return FAULT_FILE;
    }
    node->chain = bytes_of(data, size);
    return 0;
}

static int judge_chain(struct node *node)
{
    struct public_key ours = identity_key_public(node->key), speaks;
    enum certificate_verdict verdict;
    struct chain chain;
    struct arena arena;

    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    verdict = chain_open(node->chain, &arena, &chain);
    if (verdict == CERTIFICATE_TAKEN)
        verdict = chain_key_at(&chain, clock_wall_ms(), &speaks);
    if (verdict == CERTIFICATE_TAKEN) {
        struct bytes certified = chain.certificates[chain.count - 1].display_name;

        node->id = chain.identity;
        if (node->options->name_is_default)
            snprintf(node->name, sizeof node->name, "%.*s", (int)certified.size,
                     (const char *)certified.data);
        else
            snprintf(node->name, sizeof node->name, "%s", node->options->name);
    }
    arena_free(&arena);
    if (verdict != CERTIFICATE_TAKEN) {
        log_write(LOG_ERROR, "node", "node.chain: %s", certificate_verdict_text(verdict));
        return FAULT_CORRUPT;
    }
    return memcmp(ours.bytes, speaks.bytes, PUBLIC_KEY_SIZE) == 0 ? 0 : FAULT_FILE;
}

/* A rotation was cut off after the step that counts: see keyfile.h. */
static int finish_rotation(struct node *node, struct bytes passphrase)
{
    int fault = keyfile_open_new(KEYFILE_NODE, node->options->state_dir, passphrase, node->keyfile);

    if (!fault) {
        identity_key_free(node->key);
        node->key = identity_key_new(node->keyfile->seed);
        fault = judge_chain(node);
    }
    if (!fault)
        fault = keyfile_take_new(KEYFILE_NODE, node->options->state_dir, false);
    if (fault)
        log_write(LOG_ERROR, "node", "node.key is not the key that node.chain names");
    else
        log_write(LOG_WARNING, "node", "the rotation that was cut off is finished: the new key");
    return fault == FAULT_FILE ? FAULT_CORRUPT : fault;
}

/* Nodes of earlier builds have no seal. */
static int open_seal(struct node *node, struct bytes passphrase)
{
    const char *folder = node->options->state_dir;
    int fault = keyfile_create_seal(folder, passphrase);

    if (!fault || fault == FAULT_BUSY)
        fault = keyfile_read_seal(folder, node->seal_key);
    if (fault)
        log_write(LOG_ERROR, "node", "ducklings.next.pub cannot be used: %s", fault_text(fault));
    return fault;
}

static int open_chain(struct node *node, struct bytes passphrase)
{
    int fault = read_chain(node);

    node->key = identity_key_new(node->keyfile->seed);
    if (fault)
        return fault;
    fault = judge_chain(node);
    return fault == FAULT_FILE ? finish_rotation(node, passphrase) : fault;
}

/* What the network showed of this node's key in its last life, see backup_files.h. */
static int heed_newer_chain(struct node *node)
{
    const char *folder = node->options->state_dir;
    struct bytes newer;
    struct chain chain;
    struct arena arena;
    bool is_newer;
    int fault = newer_chain_read(folder, &newer);

    if (fault || !newer.data)
        return fault;
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    is_newer = newer.size <= CHAIN_SIZE_MAX &&
               chain_open(newer, &arena, &chain) == CERTIFICATE_TAKEN &&
               id_equal(&chain.identity, &node->id) && chain.count > chain_count(node->chain);
    arena_free(&arena);
    memory_give_back((void *)(uintptr_t)newer.data);
    if (!is_newer)
        return newer_chain_drop(folder);
    log_write(LOG_ERROR, "node",
              "this node's key was rotated after the backup that it was restored from, and counts "
              "nowhere: "
              "`ducknode rotate --next-key-dir …` takes over with the key that was promised then");
    return FAULT_CONFIG;
}

int node_open_identity(struct node *node)
{
    struct passphrase *passphrase = passphrase_new();
    int fault;

    node->keyfile = keyfile_new();
    fault = passphrase_read(node->options, passphrase);
    if (fault) {
        log_write(LOG_ERROR, "node", "cannot use the passphrase file %s: %s",
                  node->options->passphrase_file, passphrase_fault_text(fault));
        sodium_free(passphrase);
        return fault;
    }
    fault = keyfile_open(KEYFILE_NODE, node->options->state_dir,
                         bytes_of(passphrase->data, passphrase->size), node->keyfile);
    if (!fault)
        fault = keyfile_check_next(KEYFILE_NODE, node->options->state_dir);
    if (fault)
        log_write(LOG_ERROR, "node", "cannot open the key file: %s", fault_text(fault));
    if (!fault)
        fault = open_chain(node, bytes_of(passphrase->data, passphrase->size));
    if (!fault)
        fault = open_seal(node, bytes_of(passphrase->data, passphrase->size));
    if (!fault)
        fault = heed_newer_chain(node);
    sodium_free(passphrase);
    return fault;
}

#define MEMBERSHIP_SOON_MS (14 * DAY_MS)

int node_open_membership(struct node *node)
{
    struct membership *membership = &node->membership;
    const struct options *options = node->options;
    struct fleet *fleet = &membership->fleet;
    char problem[256];
    const char *lacks;

    for (size_t i = 0; i < options->members_of_count; i++)
        fleet->count += id_parse(ID_OPERATOR, bytes_of_text(options->members_of[i]),
                                 &fleet->operators[fleet->count]);
    if (options->membership_file[0] &&
        !membership_read(membership, options->membership_file, problem)) {
        log_write(LOG_ERROR, "node", "%s", problem);
        return FAULT_CORRUPT;
    }
    lacks =
        membership_lacks(membership, &node->id, bytes_of_text(options->network), clock_wall_ms());
    if (lacks) {
        log_write(LOG_ERROR, "node", "this node is no member of its own fleet: %s", lacks);
        return FAULT_CORRUPT;
    }
    if (membership->voucher.size > 0 &&
        membership->not_after_ms < clock_wall_ms() + MEMBERSHIP_SOON_MS)
        log_write(
            LOG_WARNING, "node",
            "the voucher in %s ends in %llu hours: have an operator sign anew, and start again",
            options->membership_file,
            (unsigned long long)((membership->not_after_ms - clock_wall_ms()) / HOUR_MS));
    return 0;
}

void node_make_session_key(struct node *node)
{
    uint8_t secret[NOISE_KEY_SIZE];

    randombytes_buf(secret, sizeof secret);
    noise_pair_from_secret(&node->session_pair, secret);
    sodium_memzero(secret, sizeof secret);
    node->session_not_after_ms = clock_wall_ms() + SESSION_KEY_LIFE_MS;
}

int node_keep_chain(void *context, struct bytes chain)
{
    struct node *node = context;
    int fault = keyfile_commit(KEYFILE_NODE, node->options->state_dir, chain);

    if (fault)
        log_write(LOG_ERROR, "keys", "the node's key is not rotated: %s",
                  fault == FAULT_FILE ? "there is no node.key.new" : fault_text(fault));
    return fault;
}

/* The next key of a duckling, where its owner left it to the node: ducklings.next.key beside node.db, and no
 * passphrase. */
static int open_sealed(const struct node *node, struct bytes sealed, struct order *order,
                       uint8_t public[SEAL_KEY_SIZE])
{
    uint8_t *secret = sodium_malloc(SEAL_KEY_SIZE);
    int fault;

    if (!secret)
        memory_ran_out();
    fault = keyfile_open_seal(node->options->state_dir, bytes_of(NULL, 0), public, secret);
    if (!fault &&
        (sealed.size != SEED_SIZE + crypto_box_SEALBYTES ||
         crypto_box_seal_open(order->seeds[0], sealed.data, sealed.size, public, secret) != 0))
        fault = FAULT_CORRUPT;
    sodium_free(secret);
    return fault;
}

bool node_open_next(void *context, struct bytes sealed, struct order *order, struct arena *arena)
{
    const struct node *node = context;
    uint8_t public[SEAL_KEY_SIZE];
    uint8_t *next = sodium_malloc(SEED_SIZE);
    uint8_t *sealed_next = arena_take(arena, SEED_SIZE + crypto_box_SEALBYTES);
    struct public_key promised;
    struct identity_key *key;
    int fault;

    if (!next)
        memory_ran_out();
    fault = sealed.size > 0 ? open_sealed(node, sealed, order, public)
                            : keyfile_read_seal(node->options->state_dir, public);
    randombytes_buf(next, SEED_SIZE);
    if (!fault && (!sealed_next || crypto_box_seal(sealed_next, next, SEED_SIZE, public) != 0))
        fault = FAULT_CORRUPT;
    key = identity_key_new(next);
    promised = identity_key_public(key);
    identity_key_free(key);
    sodium_free(next);
    order->next_key_hash = identity_key_hash(&promised);
    order->sealed_next = bytes_of(sealed_next, SEED_SIZE + crypto_box_SEALBYTES);
    return fault == 0;
}
