/* Everything is opened in the order in which it depends on the rest, and closed the other way
 * round. Each close takes NULL, so one way out serves every failure.
 *
 *     options, key file, certificates -> store -> inbox, transport -> loop -> local API -> gateway
 */
#include "node.h"

#include "backup_files.h"
#include "clock.h"
#include "core/intake.h"
#include "core/introduction.h"
#include "inbox.h"
#include "keyfile.h"
#include "local_api.h"
#include "log.h"
#include "loop.h"
#include "network_file.h"
#include "store.h"
#include "supervisor.h"
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GATEWAY_URL_FILE "%s/gateway/url" /* in the state folder */

extern char **environ;

#define WORKERS 2u /* signature checks: the dear part of a peck */
#define READERS 1u /* questions of the local API */
#define DESCRIPTORS_WANTED 16384u
#define STOP_SAID_WITHIN_S 1 /* a disk that is full or slow does not keep the node */
#define SOFTWARE "ducknode/" DUCK_VERSION

struct node {
    const struct options *options;
    char name[NAME_MAX_BYTES + 1]; /* as configured, or else as certified */
    int lock;                      /* of the state folder */
    struct keyfile *keyfile;
    uint8_t seal_key[SEAL_KEY_SIZE]; /* for next keys of ducklings */
    struct identity_key *key;
    struct bytes chain; /* owned */
    struct id id;
    struct noise_pair session_pair;
    uint64_t session_not_after_ms;
    char store_path[OPTIONS_PATH_SIZE + 16];
    struct store *store;
    struct inbox *inbox;
    struct roster *roster;
    struct transport *transport;
    struct loop *loop;
    struct local_api *api;
    pthread_mutex_t
        api_lock; /* of `api`: links come and go before it is there and after it is gone */
    struct supervisor *supervisor;         /* of the gateway */
    struct supervisor *handler_supervisor; /* of what runs handlers */
    struct keyring *keyring;
    struct seen *seen, *held_good;
    atomic_uint_fast64_t frames_over_quota;
    struct quota *news_quota, *asked_quota; /* under the keyring's lock, too */
    pthread_mutex_t keyring_lock;
    struct intake *intakes[WORKERS + 1]; /* the last: the loop's */
    char gateway_url[OPTIONS_URL_SIZE + 8];
    char gateway_url_file[OPTIONS_PATH_SIZE + 16]; /* the gateway writes it; it knows its port */
    char listening[NODE_ADDRESSES_MAX][OPTIONS_ADDRESS_SIZE]; /* "tcp://host:port" */
    pthread_t loop_thread;
    bool loop_runs;
    int loop_fault;
    atomic_bool outgrown; /* the network says that node.key was rotated elsewhere */
};

/* ---- the process ---- */

/* Keys are in this memory: it is not dumped, and not looked into by others of this user. */
static void seal_process(void)
{
    struct rlimit none = {0, 0}, descriptors;

    setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    prctl(PR_SET_DUMPABLE, 0); /* the leak checker needs to look */
#endif
    umask(0077);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a fault of the disk */
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur < DESCRIPTORS_WANTED) {
        descriptors.rlim_cur =
            descriptors.rlim_max < DESCRIPTORS_WANTED ? descriptors.rlim_max : DESCRIPTORS_WANTED;
        setrlimit(RLIMIT_NOFILE, &descriptors);
    }
}

static int lock_state(struct node *node)
{
    char path[OPTIONS_PATH_SIZE + 16];

    snprintf(path, sizeof path, "%s/lock", node->options->state_dir);
    node->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (node->lock < 0) {
        log_write(LOG_ERROR, "node", "cannot open %s: %s (was `ducknode init` run?)", path,
                  strerror(errno));
        return FAULT_FILE;
    }
    if (flock(node->lock, LOCK_EX | LOCK_NB) != 0) {
        log_write(LOG_ERROR, "node", "another ducknode runs in %s", node->options->state_dir);
        return FAULT_BUSY;
    }
    return 0;
}

/* ---- who we are ---- */

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

static int open_identity(struct node *node)
{
    struct passphrase *passphrase = passphrase_new();
    int fault;

    node->keyfile = keyfile_new();
    fault = options_read_passphrase(node->options, passphrase);
    if (fault) {
        log_write(LOG_ERROR, "node", "cannot use the passphrase file %s: %s",
                  node->options->passphrase_file, options_passphrase_text(fault));
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

static void make_session_key(struct node *node)
{
    uint8_t secret[NOISE_KEY_SIZE];

    randombytes_buf(secret, sizeof secret);
    noise_pair_from_secret(&node->session_pair, secret);
    sodium_memzero(secret, sizeof secret);
    node->session_not_after_ms = clock_wall_ms() + SESSION_KEY_LIFE_MS;
}

/* ---- what links bring ---- */

static void tell_local_api(struct node *node, const struct id *id, bool up)
{
    pthread_mutex_lock(&node->api_lock);
    if (node->api)
        local_api_link_changed(node->api, id, up);
    pthread_mutex_unlock(&node->api_lock);
}

/* The local API asks the transport, so it goes first; links that end after it are told to nobody. */
static void close_local_api(struct node *node)
{
    struct local_api *api;

    pthread_mutex_lock(&node->api_lock);
    api = node->api;
    node->api = NULL;
    pthread_mutex_unlock(&node->api_lock);
    local_api_close(api);
}

static void enter_keyring(void *context)
{
    pthread_mutex_lock(context);
}

static void leave_keyring(void *context)
{
    pthread_mutex_unlock(context);
}

static struct message *contradiction_of(const struct id *from, struct bytes one, struct bytes other)
{
    struct message *message = message_new(one.size + other.size + KIB);

    message->event.kind = EVENT_CONTRADICTION;
    message->event.node = *from;
    message->event.contradiction.one = arena_copy(&message->arena, one);
    message->event.contradiction.other = arena_copy(&message->arena, other);
    message->size = one.size + other.size;
    return message;
}

/* The handshake checked the introduction; whether its key is the one that speaks today is known here. */
static bool is_outgrown(struct node *node, struct bytes wire)
{
    enum keyring_verdict verdict = KEYRING_TAKEN;
    struct introduction introduction;
    struct message *message = NULL;
    struct arena arena;

    arena_init(&arena, PARSE_BUDGET(wire.size));
    if (wire.size > 0 &&
        introduction_open(wire, bytes_of_text(node->options->network), clock_wall_ms(), &arena,
                          &introduction) == INTRODUCTION_TAKEN) {
        enter_keyring(&node->keyring_lock);
        verdict = keyring_meet(node->keyring, &introduction.chain);
        if (verdict == KEYRING_CONTRADICTED)
            message = contradiction_of(&introduction.chain.identity,
                                       keyring_chain(node->keyring, &introduction.chain.identity),
                                       introduction.chain.wire);
        leave_keyring(&node->keyring_lock);
    }
    arena_free(&arena);
    if (message)
        inbox_give(node->inbox, message);
    return verdict != KEYRING_TAKEN;
}

static void on_up(void *context, const struct id *id, struct bytes introduction, bool dialled_here)
{
    struct node *node = context;
    struct message *message = message_new(PARSE_BUDGET(introduction.size));

    message->event.kind = EVENT_LINK_UP;
    message->event.link.is_outgrown = is_outgrown(node, introduction);
    message->event.node = *id;
    message->event.link.dialled_here = dialled_here;
    message->event.link.introduction = arena_copy(&message->arena, introduction);
    inbox_give(node->inbox, message);
    tell_local_api(node, id, true);
}

static void on_down(void *context, const struct id *id, const char *reason, bool goodbye)
{
    struct node *node = context;
    struct message *message = message_new(KIB);
    char text[ID_TEXT_SIZE];

    log_write(LOG_INFO, "link", "%s: %s", id_text(ID_NODE, id, text), reason);
    message->event.kind = EVENT_LINK_DOWN;
    message->event.node = *id;
    message->event.link.goodbye = goodbye;
    inbox_give(node->inbox, message);
    tell_local_api(node, id, false);
}

static void on_dial_failed(void *context, const struct id *id, struct bytes address,
                           const char *reason)
{
    struct node *node = context;
    struct message *message = message_new(KIB);

    log_write(LOG_INFO, "link", "cannot reach %.*s: %s", (int)address.size,
              (const char *)address.data, reason);
    message->event.kind = EVENT_DIAL_FAILED;
    message->event.node = *id;
    message->event.dial_failed.address = arena_copy(&message->arena, address);
    inbox_give(node->inbox, message);
}

static void on_answered(void *context, const struct id *wanted, const struct id *id,
                        struct bytes address)
{
    struct node *node = context;
    struct message *message = message_new(KIB);

    message->event.kind = EVENT_ANSWERED;
    message->event.node = *id;
    message->event.answered.wanted = *wanted;
    message->event.answered.address = arena_copy(&message->arena, address);
    inbox_give(node->inbox, message);
}

static void tell_refused(struct node *node, const struct id *to, const struct id *peck,
                         enum intake_verdict verdict, const char *reason)
{
    struct arena arena;

    if (id_is_zero(peck))
        return;
    arena_init(&arena, 4 * KIB);
    transport_send(node->transport, to, FRAME_REFUSAL,
                   frame_pack_refusal(peck, intake_verdict_code(verdict), reason,
                                      verdict != INTAKE_EXPIRED, 0, &arena));
    transport_flush(node->transport);
    arena_free(&arena);
}

static bool on_frame(void *context, size_t worker, const struct id *from, uint8_t kind,
                     struct bytes body)
{
    struct node *node = context;
    char reason[160], text[ID_TEXT_SIZE];
    enum intake_verdict verdict;
    struct message *message;
    struct bytes one, other;
    size_t refused;
    struct id peck;
    bool offends;

    if (!intake_admits(node->intakes[worker], from, (enum frame_kind)kind, body.size,
                       clock_wall_ms())) {
        node->frames_over_quota++;
        return true;
    }
    message = message_new(PARSE_BUDGET(body.size));
    verdict = intake_open(node->intakes[worker], (enum frame_kind)kind, body, clock_wall_ms(),
                          &message->arena, &message->event, &peck, &refused, reason);
    if (intake_contradiction(node->intakes[worker], &one, &other))
        inbox_leave(node->inbox, contradiction_of(from, one, other));
    if (refused > 0 && verdict == INTAKE_TAKEN)
        log_write(LOG_WARNING, "intake", "%zu records from %s are refused, the first: %s", refused,
                  id_text(ID_NODE, from, text), reason);
    if (verdict == INTAKE_TAKEN) {
        message->event.node = *from;
        message->size = body.size;
        offends = message->event.kind == EVENT_FETCHED && message->event.fetched.offends;
        inbox_leave(node->inbox, message);
        return !offends;
    }
    message_free(message);
    if (verdict == INTAKE_UNKNOWN_KIND)
        return true;
    log_write(LOG_WARNING, "intake", "a frame of kind %u from %s is refused: %s", kind,
              id_text(ID_NODE, from, text), reason);
    tell_refused(node, from, &peck, verdict, reason);
    return !intake_verdict_offends(verdict);
}

static void on_frames_end(void *context)
{
    struct node *node = context;

    inbox_wake(node->inbox);
}

static void on_log(void *context, enum log_level level, const char *text)
{
    (void)context;
    log_write(level, "transport", "%s", text);
}

/* ---- opening ---- */

static int open_store(struct node *node)
{
    struct store_settings settings = {
        .path = node->store_path,
        .storage_key = node->keyfile->storage_key,
        .node = node->id,
        .node_key = node->key,
        .node_chain = node->chain,
        .network = bytes_of_text(node->options->network),
        .seal_key = node->seal_key,
    };
    int fault =
        restored_file_read(node->options->state_dir, &settings.restored_ms, &settings.alone);

    if (fault) {
        log_write(LOG_ERROR, "node", "%s/" RESTORED_FILE ": %s", node->options->state_dir,
                  fault_text(fault));
        return fault;
    }
    snprintf(node->store_path, sizeof node->store_path, "%s/node.db", node->options->state_dir);
    fault = store_open(&node->store, &settings);
    if (fault)
        log_write(LOG_ERROR, "store", "cannot open %s: %s", node->store_path, fault_text(fault));
    else if (settings.restored_ms > 0 && restored_file_drop(node->options->state_dir) != 0)
        log_write(LOG_WARNING, "node", "%s/" RESTORED_FILE " stays: it is heeded once only",
                  node->options->state_dir);
    return fault;
}

static void open_intakes(struct node *node)
{
    struct intake_settings settings = {
        .network = bytes_of_text(node->options->network),
        .enter = enter_keyring,
        .leave = leave_keyring,
        .context = &node->keyring_lock,
    };

    node->keyring = keyring_new(KEYRING_MAX);
    node->seen = seen_new(SEEN_RECORDS);
    node->held_good = seen_new(SEEN_RECORDS);
    node->news_quota = quota_new(NEIGHBOURS_MAX, NEWS_BYTES_PER_S, NEWS_BYTES_BURST);
    node->asked_quota = quota_new(NEIGHBOURS_MAX, ASKED_BYTES_PER_S, ASKED_BYTES_BURST);
    settings.keyring = node->keyring;
    settings.seen = node->seen;
    settings.held_good = node->held_good;
    settings.news = node->news_quota;
    settings.asked = node->asked_quota;
    for (size_t i = 0; i <= WORKERS; i++)
        node->intakes[i] = intake_new(&settings);
}

static void keep_rotated(void *context, struct bytes wire)
{
    struct node *node = context;
    struct chain chain;
    struct arena arena;

    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    if (chain_open(wire, &arena, &chain) == CERTIFICATE_TAKEN)
        keyring_keep(node->keyring, &chain);
    arena_free(&arena);
}

/* A key that was rotated must not speak again because this node has started anew. */
static int remember_rotations(struct node *node)
{
    int fault = store_each_rotated(node->store, keep_rotated, node);

    if (fault)
        log_write(LOG_ERROR, "store", "cannot read the chains in node.db: %s", fault_text(fault));
    return fault;
}

static int keep_chain(void *context, struct bytes chain)
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

static bool open_next(void *context, struct bytes sealed, struct order *order, struct arena *arena)
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

static int open_transport(struct node *node)
{
    const struct options *options = node->options;
    const char *listen[NODE_ADDRESSES_MAX];
    struct transport_settings settings = {
        .listen = listen,
        .listen_count = options->listen_count,
        .network = bytes_of_text(options->network),
        .self = node->id,
        .static_pair = node->session_pair,
        .workers = WORKERS,
        .handlers = {.context = node,
                     .up = on_up,
                     .down = on_down,
                     .dial_failed = on_dial_failed,
                     .answered = on_answered,
                     .frame = on_frame,
                     .frames_end = on_frames_end,
                     .log = on_log},
    };
    int fault;

    for (size_t i = 0; i < options->listen_count; i++)
        listen[i] = options->listen[i];
    transport_limits_default(&settings.limits);
    fault = transport_open(&node->transport, &settings);
    sodium_memzero(&settings.static_pair, sizeof settings.static_pair);
    if (fault)
        log_write(LOG_ERROR, "transport", "cannot listen: %s", fault_text(fault));
    return fault;
}

/* Where others reach us: as configured, or where we listen, if that says a host. */
static size_t find_addresses(const struct node *node,
                             char texts[NODE_ADDRESSES_MAX][OPTIONS_ADDRESS_SIZE],
                             struct bytes addresses[NODE_ADDRESSES_MAX])
{
    const struct options *options = node->options;
    size_t count = 0;

    for (size_t i = 0; i < options->advertise_count; i++)
        addresses[count++] = bytes_of_text(options->advertise[i]);
    if (count > 0)
        return count;
    for (size_t i = 0; i < options->listen_count; i++) {
        const char *listen = options->listen[i];
        const char *colon = strrchr(listen, ':');

        if (!colon || strncmp(listen, "0.0.0.0:", 8) == 0 || strncmp(listen, "[::]:", 5) == 0 ||
            listen[0] == ':')
            continue;
        snprintf(texts[count], OPTIONS_ADDRESS_SIZE, "%.*s:%u", (int)(colon - listen), listen,
                 transport_port(node->transport, i));
        addresses[count] = bytes_of_text(texts[count]);
        count++;
    }
    return count;
}

static void stop_node(void *context)
{
    (void)context;
    kill(getpid(), SIGTERM);
}

static void be_outgrown(void *context, struct bytes chain)
{
    struct node *node = context;
    int fault = newer_chain_keep(node->options->state_dir, chain);

    if (fault)
        log_write(LOG_ERROR, "node", "cannot write %s/" NEWER_CHAIN_FILE ": %s",
                  node->options->state_dir, fault_text(fault));
    node->outgrown = true;
    stop_node(node);
}

/* `ids` is borrowed for loop_new. */
static void set_perches(const struct options *options, struct id ids[NODE_PERCHES_MAX],
                        struct agent_settings *settings)
{
    bool is_auto = options->perch_count == 0 || strcmp(options->perches[0], "auto") == 0;

    settings->is_perch = options->perch;
    settings->perch.bytes_max = options->perch_mib * (size_t)MIB;
    settings->perch.owner_bytes_max = settings->perch.bytes_max / 4;
    settings->choose_perches = is_auto;
    settings->perches = ids;
    for (size_t i = 0; i < options->perch_count && !is_auto; i++)
        settings->perch_count +=
            id_parse(ID_NODE, bytes_of_text(options->perches[i]), &ids[settings->perch_count]);
}

static int open_loop(struct node *node)
{
    struct id perches[NODE_PERCHES_MAX];
    char texts[NODE_ADDRESSES_MAX][OPTIONS_ADDRESS_SIZE];
    struct bytes addresses[NODE_ADDRESSES_MAX];
    struct loop_settings settings = {
        .agent = {.network = bytes_of_text(node->options->network),
                  .node_key = node->key,
                  .node_chain = node->chain,
                  .display_name = bytes_of_text(node->name),
                  .software = bytes_of_text(SOFTWARE),
                  .addresses = addresses,
                  .session_not_after_ms = node->session_not_after_ms,
                  .bond_own = node->options->bond_own,
                  .sign_alone = node->options->sign_alone},
        .node = node->id,
        .store = node->store,
        .inbox = node->inbox,
        .transport = node->transport,
        .roster = node->roster,
        .session_rotate_wall_ms = clock_wall_ms() + SESSION_KEY_LIFE_MS / 2,
        .audit_life_ms = node->options->audit_days * DAY_MS,
        .intake = node->intakes[WORKERS],
        .node_key = node->key,
        .keep_chain = keep_chain,
        .open_next = open_next,
        .stop = stop_node,
        .outgrown = be_outgrown,
        .context = node,
    };
    int fault;

    settings.agent.address_count = find_addresses(node, texts, addresses);
    set_perches(node->options, perches, &settings.agent);
    if (settings.agent.address_count == 0)
        log_write(LOG_WARNING, "node",
                  "no address to advertise: others cannot dial this node (set [node] advertise)");
    memcpy(settings.agent.session_key, node->session_pair.public, NOISE_KEY_SIZE);
    fault = loop_new(&node->loop, &settings);
    if (fault)
        log_write(LOG_ERROR, "store", "cannot read node.db: %s", fault_text(fault));
    return fault;
}

static void read_figures(void *context, struct agent_figures *figures,
                         struct local_figures *node_figures)
{
    struct node *node = context;
    size_t count, bytes;

    loop_figures(node->loop, figures);
    for (size_t i = 0; i <= WORKERS; i++) {
        figures->signature_checks += intake_signature_checks(node->intakes[i]);
        intake_count_refusals(node->intakes[i], node_figures->refused);
    }
    inbox_figures(node->inbox, &count, &bytes);
    node_figures->inbox_messages = count;
}

static bool gateway_is_up(void *context)
{
    const struct node *node = context;

    return supervisor_is_up(node->supervisor);
}

/* The host as configured, the port as bound. */
static void note_listening(struct node *node)
{
    for (size_t i = 0; i < node->options->listen_count; i++) {
        const char *listen = node->options->listen[i];
        const char *colon = strrchr(listen, ':');

        snprintf(node->listening[i], sizeof node->listening[i], "tcp://%.*s:%u",
                 colon ? (int)(colon - listen) : 0, listen, transport_port(node->transport, i));
    }
}

static int open_local_api(struct node *node)
{
    const char *listening[NODE_ADDRESSES_MAX];
    struct local_api_settings settings = {
        .listening = listening,
        .listening_count = node->options->listen_count,
        .socket_path = node->options->socket,
        .store_path = node->store_path,
        .inbox = node->inbox,
        .transport = node->transport,
        .roster = node->roster,
        .node = node->id,
        .network = bytes_of_text(node->options->network),
        .node_chain = node->chain,
        .display_name = bytes_of_text(node->name),
        .version = DUCK_VERSION,
        .gateway_url = node->gateway_url,
        .gateway_url_file = node->options->gateway_public_url[0] ? NULL : node->gateway_url_file,
        .readers = READERS,
        .figures = read_figures,
        .gateway_is_up = gateway_is_up,
        .stop = stop_node,
        .context = node,
    };
    int fault;

    for (size_t i = 0; i < node->options->listen_count; i++)
        listening[i] = node->listening[i];
    pthread_mutex_lock(&node->api_lock);
    fault = local_api_open(&node->api, &settings);
    pthread_mutex_unlock(&node->api_lock);
    if (fault)
        log_write(LOG_ERROR, "local", "cannot listen at %s: %s", node->options->socket,
                  fault_text(fault));
    else
        loop_attach(node->loop, node->api);
    return fault;
}

/* What the configuration names is joined like what `ducknode join` names. */
static void join_seeds(struct node *node)
{
    for (size_t i = 0; i < node->options->join_count; i++) {
        struct message *message = message_new(KIB);
        const char *text = node->options->join[i];
        const char *at = strchr(text, '@');

        message->event.kind = EVENT_ORDER;
        message->event.order = &message->order;
        message->order.kind = ORDER_JOIN;
        if (at && !id_parse(ID_NODE, bytes_of(text, (size_t)(at - text)), &message->order.node)) {
            log_write(LOG_ERROR, "node", "join: %s does not name a node", text);
            message_free(message);
            continue;
        }
        message->order.address = arena_copy(&message->arena, bytes_of_text(at ? at + 1 : text));
        inbox_give(node->inbox, message);
    }
}

/* Appends "FLAG WORD" for each. Returns the new count. */
static size_t pass_each(const char **arguments, size_t count, const char *flag,
                        const char (*words)[OPTIONS_ADDRESS_SIZE], size_t word_count)
{
    for (size_t i = 0; i < word_count; i++) {
        arguments[count++] = flag;
        arguments[count++] = words[i];
    }
    return count;
}

static size_t pass_one(const char **arguments, size_t count, const char *flag, const char *word)
{
    if (word[0]) {
        arguments[count++] = flag;
        arguments[count++] = word;
    }
    return count;
}

/* Who may call how often, who may look, and how it is carried. */
static size_t pass_limits(const struct options *options, const char **arguments, size_t count)
{
    count = pass_each(arguments, count, "--limits", options->gateway_limits,
                      options->gateway_limit_count);
    count = pass_each(arguments, count, "--trust-proxy", options->gateway_proxies,
                      options->gateway_proxy_count);
    count = pass_one(arguments, count, "--proxy-header", options->gateway_proxy_header);
    count = pass_each(arguments, count, "--metrics-allow", options->gateway_metrics,
                      options->gateway_metrics_count);
    count = pass_one(arguments, count, "--tls-certificate-file", options->tls_certificate_file);
    return pass_one(arguments, count, "--tls-key-file", options->tls_key_file);
}

struct gateway_call {
    char state[OPTIONS_PATH_SIZE + 16], url_file[OPTIONS_PATH_SIZE + 32];
    const char *words[SUPERVISED_ARGUMENTS_MAX]; /* the program first, NULL at the end */
};

/* What is called; `last` (NULL: none) stands behind it. */
static void make_call(const struct options *options, const char *last, struct gateway_call *call)
{
    const char **arguments = call->words;
    size_t count = 0;

    snprintf(call->state, sizeof call->state, "%s/gateway", options->state_dir);
    snprintf(call->url_file, sizeof call->url_file, GATEWAY_URL_FILE, options->state_dir);
    arguments[count++] = options->gateway_program;
    arguments[count++] = "--socket";
    arguments[count++] = options->socket;
    arguments[count++] = "--listen";
    arguments[count++] = options->gateway_listen;
    arguments[count++] = "--state-dir";
    arguments[count++] = call->state;
    arguments[count++] = "--url-file";
    arguments[count++] = call->url_file;
    arguments[count++] = "--log-format";
    arguments[count++] = options->log_format == LOG_JSON ? "json" : "text";
    if (options->gateway_public_url[0]) {
        arguments[count++] = "--public-url";
        arguments[count++] = options->gateway_public_url;
    }
    for (size_t i = 0; i < options->gateway_host_count; i++) {
        arguments[count++] = "--allow-host";
        arguments[count++] = options->gateway_hosts[i];
    }
    for (size_t i = 0; i < options->gateway_origin_count; i++) {
        arguments[count++] = "--allow-origin";
        arguments[count++] = options->gateway_origins[i];
    }
    if (options->gateway_call_ca_file[0]) {
        arguments[count++] = "--call-ca-file";
        arguments[count++] = options->gateway_call_ca_file;
    }
    count = pass_limits(options, arguments, count);
    if (options->smtp_url[0]) {
        arguments[count++] = "--smtp-url";
        arguments[count++] = options->smtp_url;
    }
    if (options->mail_from[0]) {
        arguments[count++] = "--mail-from";
        arguments[count++] = options->mail_from;
    }
    if (options->smtp_credentials_file[0]) {
        arguments[count++] = "--smtp-credentials-file";
        arguments[count++] = options->smtp_credentials_file;
    }
    for (size_t i = 0; i < options->gateway_passed_count; i++)
        arguments[count++] = options->gateway_passed[i];
    if (last)
        arguments[count++] = last;
    arguments[count] = NULL;
}

static int start_gateway(struct node *node)
{
    const struct options *options = node->options;
    char pid_file[OPTIONS_PATH_SIZE + 32];
    struct gateway_call call;

    if (!options->gateway_enabled)
        return 0;
    make_call(options, NULL, &call);
    snprintf(pid_file, sizeof pid_file, "%s/gateway.pid", options->state_dir);
    if (mkdir(call.state, 0700) != 0 && errno != EEXIST) {
        log_write(LOG_ERROR, "gateway", "cannot make %s: %s", call.state, strerror(errno));
        return FAULT_FILE;
    }
    return supervisor_start(&node->supervisor, "gateway", call.words, pid_file);
}

bool node_check_gateway(const struct options *options)
{
    posix_spawn_file_actions_t files;
    struct gateway_call call;
    int error, status = -1;
    pid_t pid;

    if (!options->gateway_enabled)
        return true;
    make_call(options, "--check-config", &call);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    error = posix_spawn(&pid, call.words[0], &files, NULL, (char *const *)(uintptr_t)call.words,
                        environ);
    posix_spawn_file_actions_destroy(&files);
    if (error)
        log_write(LOG_ERROR, "gateway", "cannot start %s: %s", call.words[0], strerror(error));
    return !error && waitpid(pid, &status, 0) == pid && status == 0;
}

/* A process of its own runs the operator's programs: this one holds keys and threads, and never forks. It
 * reads the same file; flags are handed on. */
static int start_handlers(struct node *node)
{
    const struct options *options = node->options;
    const char *arguments[SUPERVISED_ARGUMENTS_MAX];
    char program[OPTIONS_PATH_SIZE];
    size_t count = 0;
    ssize_t size;

    if (options->handlers.count == 0)
        return 0;
    size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size <= 0) {
        log_write(LOG_ERROR, "handler", "cannot find this program: %s", strerror(errno));
        return FAULT_FILE;
    }
    program[size] = 0;
    arguments[count++] = program;
    arguments[count++] = "run-handlers";
    arguments[count++] = "--config";
    arguments[count++] = options->config_path;
    arguments[count++] = "--socket";
    arguments[count++] = options->socket;
    arguments[count++] = "--log-format";
    arguments[count++] = options->log_format == LOG_JSON ? "json" : "text";
    arguments[count++] = "--log-level";
    arguments[count++] = log_level_name(options->log_level);
    arguments[count] = NULL;
    return supervisor_start(&node->handler_supervisor, "handler", arguments, NULL);
}

/* ---- running ---- */

static void *run_loop(void *context)
{
    struct node *node = context;

    node->loop_fault = loop_run(node->loop);
    if (node->loop_fault)
        kill(getpid(), SIGTERM); /* the main thread waits for that, and closes everything */
    return NULL;
}

static int keep_network(const struct node *node)
{
    int fault = network_file_keep(node->options->state_dir, node->options->network);

    if (fault)
        log_write(LOG_ERROR, "node", "cannot write %s/network: %s", node->options->state_dir,
                  fault_text(fault));
    return fault;
}

static int open_all(struct node *node)
{
    int fault = lock_state(node);

    if (!fault)
        fault = open_identity(node);
    if (!fault)
        fault = keep_network(node);
    if (!fault)
        fault = open_store(node);
    if (fault)
        return fault;
    make_session_key(node);
    node->inbox = inbox_new();
    node->roster = roster_new();
    open_intakes(node);
    snprintf(node->gateway_url_file, sizeof node->gateway_url_file, GATEWAY_URL_FILE,
             node->options->state_dir);
    if (node->options->gateway_enabled)
        snprintf(node->gateway_url, sizeof node->gateway_url, "%s%s",
                 node->options->gateway_public_url[0] ? "" : "http://",
                 node->options->gateway_public_url[0] ? node->options->gateway_public_url
                                                      : node->options->gateway_listen);
    fault = remember_rotations(node);
    if (!fault)
        fault = open_transport(node);
    if (!fault)
        note_listening(node);
    if (!fault)
        fault = open_loop(node);
    if (!fault)
        fault = open_local_api(node);
    if (!fault)
        join_seeds(node);
    if (!fault && pthread_create(&node->loop_thread, NULL, run_loop, node) != 0)
        fault = FAULT_BUSY;
    node->loop_runs = !fault;
    if (!fault)
        fault = start_gateway(node);
    if (!fault)
        fault = start_handlers(node);
    return fault;
}

/* Nothing new comes in, what was taken is finished, then the wires are cut and the store closed. */
static void close_all(struct node *node)
{
    supervisor_stop(node->handler_supervisor); /* it gives back what it cannot finish */
    supervisor_stop(node->supervisor);
    if (node->inbox)
        inbox_close(node->inbox);
    if (node->loop_runs)
        pthread_join(node->loop_thread, NULL);
    if (node->loop)
        loop_attach(node->loop, NULL);
    close_local_api(node);
    transport_close(node->transport);
    loop_free(node->loop);
    store_close(node->store);
    roster_free(node->roster);
    inbox_free(node->inbox);
    for (size_t i = 0; i <= WORKERS; i++)
        intake_free(node->intakes[i]);
    keyring_free(node->keyring);
    seen_free(node->held_good);
    seen_free(node->seen);
    quota_free(node->news_quota);
    quota_free(node->asked_quota);
    identity_key_free(node->key);
    keyfile_free(node->keyfile);
    memory_give_back((void *)(uintptr_t)node->chain.data);
    sodium_memzero(&node->session_pair, sizeof node->session_pair);
    if (node->lock >= 0)
        close(node->lock);
}

static void say_ready(const struct node *node)
{
    char text[ID_TEXT_SIZE], listening[512] = "";
    size_t size = 0;

    for (size_t i = 0; i < node->options->listen_count && size < sizeof listening; i++)
        size += (size_t)snprintf(listening + size, sizeof listening - size, "%s%s", i ? ", " : "",
                                 node->listening[i] + strlen("tcp://"));
    log_write(LOG_INFO, "node", "ready: listening on %s; %s \"%s\" of network %s", listening,
              id_text(ID_NODE, &node->id, text), node->name, node->options->network);
}

/* Others are told, and the loop says when they are; a second signal does not wait for that. */
static void say_stopping(struct node *node, const sigset_t *signals)
{
    const struct timespec most = {.tv_sec = STOP_SAID_WITHIN_S};
    struct message *message;

    if (node->loop_fault)
        return;
    message = message_new(KIB);
    message->event.kind = EVENT_ORDER;
    message->event.order = &message->order;
    message->order.kind = ORDER_STOP;
    if (inbox_try_give(node->inbox, message) == 0)
        sigtimedwait(signals, NULL, &most);
}

#define KEPT_BY_MALLOC                                                                             \
    (4 * 1024 * 1024) /* bytes at the end of each of its heaps; by default 128 KiB */

/* A large turn's messages are two megabytes, made and given back some ten times a second: what malloc hands to the
 * system each time, it has to ask for again, page by page. */
static void keep_memory(void)
{
    mallopt(M_TRIM_THRESHOLD, KEPT_BY_MALLOC);
    mallopt(M_MMAP_THRESHOLD, KEPT_BY_MALLOC / 4); /* named too, or it would stay where it began */
}

int node_run(const struct options *options)
{
    struct node node = {.options = options, .lock = -1};
    sigset_t signals;
    int fault, signal_number;

    keep_memory();
    log_configure(options->log_format, options->log_level);
    seal_process();
    if (!identity_self_test()) {
        log_write(LOG_ERROR, "node", "this libsodium judges signatures otherwise than the network");
        return 1;
    }
    /* Blocked before the first thread is made, so that every thread inherits it, and taken by
     * sigwait below. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    pthread_mutex_init(&node.keyring_lock, NULL);
    pthread_mutex_init(&node.api_lock, NULL);

    fault = open_all(&node);
    if (!fault) {
        say_ready(&node);
        while (sigwait(&signals, &signal_number) == 0 && signal_number == SIGHUP)
            supervisor_signal(node.supervisor,
                              SIGHUP); /* the gateway has certificates to read anew */
        log_write(LOG_INFO, "node", "stopping");
        say_stopping(&node, &signals);
    }
    close_all(&node);
    pthread_mutex_destroy(&node.keyring_lock);
    pthread_mutex_destroy(&node.api_lock);
    if (!fault)
        fault = node.loop_fault;
    if (!fault)
        log_write(LOG_INFO, "node", "stopped");
    return fault || node.outgrown ? 1 : 0;
}
