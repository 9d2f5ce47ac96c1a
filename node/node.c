/* Everything is opened in the order in which it depends on the rest, and closed the other way
 * round. Each close takes NULL, so one way out serves every failure.
 *
 *     options, key file, certificates -> store -> inbox, transport -> loop -> local API -> gateway
 */
#include "node.h"

#include "backup_files.h"
#include "clock.h"
#include "log.h"
#include "network_file.h"
#include "node_parts.h"
#include "programs.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define READERS 1u /* questions of the local API */
#define DESCRIPTORS_WANTED 16384u
#define STOP_SAID_WITHIN_S 1 /* a disk that is full or slow does not keep the node */
#define SOFTWARE "ducknode/" DUCK_VERSION

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

/* ---- opening ---- */

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
                  .sign_alone = node->options->sign_alone,
                  .fleet = node->membership.fleet.count > 0 ? &node->membership.fleet : NULL,
                  .voucher = node->membership.voucher,
                  .voucher_chain = node->membership.voucher_chain,
                  .voucher_not_after_ms = node->membership.not_after_ms},
        .node = node->id,
        .store = node->store,
        .inbox = node->inbox,
        .transport = node->transport,
        .roster = node->roster,
        .session_rotate_wall_ms = clock_wall_ms() + SESSION_KEY_LIFE_MS / 2,
        .audit_life_ms = node->options->audit_days * DAY_MS,
        .intake = node->intakes[WORKERS],
        .node_key = node->key,
        .keep_chain = node_keep_chain,
        .open_next = node_open_next,
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
        struct message *message = message_new_order(KIB, 0);
        const char *text = node->options->join[i];
        const char *at = strchr(text, '@');

        message->event.kind = EVENT_ORDER;
        message->event.order = message->order;
        message->order->kind = ORDER_JOIN;
        if (at && !id_parse(ID_NODE, bytes_of(text, (size_t)(at - text)), &message->order->node)) {
            log_write(LOG_ERROR, "node", "join: %s does not name a node", text);
            message_free(message);
            continue;
        }
        message->order->address = arena_copy(&message->arena, bytes_of_text(at ? at + 1 : text));
        inbox_give(node->inbox, message);
    }
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
        fault = node_open_identity(node);
    if (!fault)
        fault = keep_network(node);
    if (!fault)
        fault = node_open_membership(node);
    if (!fault)
        fault = open_store(node);
    if (fault)
        return fault;
    node_make_session_key(node);
    node->inbox = inbox_new();
    node->roster = roster_new();
    node_open_intakes(node);
    snprintf(node->gateway_url_file, sizeof node->gateway_url_file, GATEWAY_URL_FILE,
             node->options->state_dir);
    if (node->options->gateway_enabled)
        snprintf(node->gateway_url, sizeof node->gateway_url, "%s%s",
                 node->options->gateway_public_url[0] ? "" : "http://",
                 node->options->gateway_public_url[0] ? node->options->gateway_public_url
                                                      : node->options->gateway_listen);
    fault = remember_rotations(node);
    if (!fault)
        fault = node_open_transport(node);
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
        fault = programs_start_gateway(node->options, &node->supervisor);
    if (!fault)
        fault = programs_start_handlers(node->options, &node->handler_supervisor);
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
    membership_free(&node->membership);
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
    message = message_new_order(KIB, 0);
    message->event.kind = EVENT_ORDER;
    message->event.order = message->order;
    message->order->kind = ORDER_STOP;
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
    membership_init(&node.membership);

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
