/* doctor, of the node that runs: what it says of itself, and whether its ports and those of others answer. */
#include "client/duck_client.h"
#include "commands.h"
#include "doctor_parts.h"
#include "wire/local.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 2000
#define QUEUE_WORTH_TELLING(max) ((max) / 10)

/* ---- ports ---- */

/* 0, or what connect(2) or the name service said. */
static int try_connect(const char *address, char *why, size_t size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL, *at;
    char host[ADDRESS_MAX + 1];
    const char *colon = strrchr(address, ':');
    int result, error = EHOSTUNREACH;

    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    if (host[0] == '[') { /* [::1]:7117 */
        memmove(host, host + 1, strlen(host));
        host[strcspn(host, "]")] = 0;
    }
    result = getaddrinfo(host, colon + 1, &hints, &found);
    if (result != 0) {
        snprintf(why, size, "%s", gai_strerror(result));
        return -1;
    }
    for (at = found; at; at = at->ai_next) {
        int stream = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct pollfd polled = {.fd = stream, .events = POLLOUT};
        socklen_t length = sizeof error;

        if (stream < 0)
            continue;
        error = connect(stream, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
        if (error == EINPROGRESS &&
            (poll(&polled, 1, CONNECT_MS) != 1 ||
             getsockopt(stream, SOL_SOCKET, SO_ERROR, &error, &length) != 0))
            error = ETIMEDOUT;
        close(stream);
        if (error == 0)
            break;
    }
    freeaddrinfo(found);
    snprintf(why, size, "%s", strerror(error));
    return error ? -1 : 0;
}

/* Any address of this host is as good as another: what listens on all is asked on loopback. */
static const char *reachable(const char *address, char text[OPTIONS_ADDRESS_SIZE])
{
    const char *colon = strrchr(address, ':');
    bool is_any = strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;

    snprintf(text, OPTIONS_ADDRESS_SIZE, "%s%s", is_any ? "127.0.0.1" : "",
             is_any ? colon : address);
    return text;
}

static void check_listening(struct doctor *doctor)
{
    const Duck__StatusAnswer *status = doctor->status->status;

    for (size_t i = 0; i < status->n_listening; i++) {
        const char *listening = status->listening[i];
        char address[OPTIONS_ADDRESS_SIZE], why[128];

        if (strncmp(listening, "tcp://", 6) == 0)
            listening += 6;
        if (!strrchr(listening, ':'))
            continue;
        if (try_connect(reachable(listening, address), why, sizeof why) == 0)
            doctor_say(doctor, "port", FINDING_OK, "", "%s takes links", listening);
        else
            doctor_say(doctor, "port", FINDING_FAIL,
                       "look at the node's log, and at local firewall rules", "%s: %s", listening,
                       why);
    }
}

/* The node does not run: is somebody else at its ports? */
static void check_free_ports(struct doctor *doctor)
{
    const struct options *options = &doctor->call->options;

    for (size_t i = 0; i < options->listen_count; i++) {
        char address[OPTIONS_ADDRESS_SIZE], why[128];

        if (try_connect(reachable(options->listen[i], address), why, sizeof why) == 0)
            doctor_say(doctor, "port", FINDING_FAIL,
                       "stop what listens there, or set [node] listen",
                       "%s is taken by another program", options->listen[i]);
        else
            doctor_say(doctor, "port", FINDING_OK, "", "%s is free", options->listen[i]);
    }
}

static void check_addresses(struct doctor *doctor, const char *name, const char *help,
                            const char (*addresses)[OPTIONS_ADDRESS_SIZE], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *at = strchr(addresses[i], '@'), *address = at ? at + 1 : addresses[i];
        char why[128];

        if (try_connect(address, why, sizeof why) == 0)
            doctor_say(doctor, name, FINDING_OK, "", "%s answers", address);
        else
            doctor_say(doctor, name, FINDING_WARN, help, "%s: %s", address, why);
    }
}

/* ---- the running node ---- */

static bool find_node(struct doctor *doctor)
{
    const char *socket = doctor->call->options.socket, *problem = "";
    Duck__StatusQuery query = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct duck *duck = NULL;

    if (duck_connect(&duck, socket, &problem) != 0) {
        doctor_say(doctor, "node", FINDING_FAIL, "start it: ducknode run",
                   "nobody answers at %s (%s)", socket, problem);
        return false;
    }
    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &query;
    doctor->status = duck_call_wait(duck, &request, 10000);
    duck_close(duck);
    if (doctor->status->answer_case == DUCK__REPLY__ANSWER_STATUS)
        return true;
    doctor_say(doctor, "node", FINDING_FAIL,
               "look at its log; stop it with SIGTERM and start it again",
               "it takes connections, but does not say how it is");
    duck_reply_free(doctor->status);
    doctor->status = NULL;
    return false;
}

static const char *part_help(const char *part)
{
    if (strcmp(part, "clock") == 0)
        return "keep it in time: five minutes off, and others refuse what this node says";
    if (strcmp(part, "links") == 0)
        return "ducknode peers shows who is known; ducknode join HOST:PORT links with a node";
    if (strcmp(part, "gateway") == 0)
        return "the node's log says why it ended; it is started again by itself";
    return "it passes by itself, once the store is read or the disk has room; the log says why";
}

static void check_parts(struct doctor *doctor)
{
    const Duck__StatusAnswer *status = doctor->status->status;

    if (strcmp(status->version, DUCK_VERSION) != 0)
        doctor_say(doctor, "node", FINDING_WARN, "restart it: an older one still runs",
                   "%s runs version %s, this program is %s", status->node_id, status->version,
                   DUCK_VERSION);
    else
        doctor_say(doctor, "node", FINDING_OK, "", "%s answers, version %s, network %s",
                   status->node_id, status->version, status->network);
    for (size_t i = 0; i < status->n_parts; i++) {
        const Duck__StatusPart *part = status->parts[i];
        bool is_well = strcmp(part->status, "operational") == 0;
        bool is_out = strcmp(part->status, "outage") == 0;

        if (strcmp(part->name, "clock") == 0 && is_well)
            continue; /* said before */
        doctor_say(doctor, part->name,
                   is_well  ? FINDING_OK
                   : is_out ? FINDING_FAIL
                            : FINDING_WARN,
                   part_help(part->name), "%s%s%s", part->status, *part->reason ? ": " : "",
                   part->reason);
    }
}

static void check_gateway(struct doctor *doctor)
{
    const char *url = doctor->status->status->gateway_url, *host = strstr(url, "://");
    char address[OPTIONS_ADDRESS_SIZE], why[128];

    if (!*url || !host || doctor->call->options.gateway_public_url[0])
        return; /* none, or behind a proxy of whose ways nothing is known here */
    snprintf(address, sizeof address, "%.*s", (int)strcspn(host + 3, "/"), host + 3);
    if (!strrchr(address, ':'))
        return;
    if (try_connect(address, why, sizeof why) == 0)
        doctor_say(doctor, "http", FINDING_OK, "", "%s answers", url);
    else
        doctor_say(doctor, "http", FINDING_FAIL, "the node's log says how its gateway fares",
                   "%s: %s", url, why);
}

static void check_queues(struct doctor *doctor)
{
    const Duck__StatusAnswer *status = doctor->status->status;

    if (status->outbox >= QUEUE_WORTH_TELLING(OUTBOX_MAX))
        doctor_say(
            doctor, "outbox", status->outbox >= OUTBOX_MAX ? FINDING_FAIL : FINDING_WARN,
            "ducknode pecks --box out --state queued shows for whom; ducknode peers, whose node is "
            "away",
            "%" PRIu64 " pecks await their receipts, of at most %u", status->outbox, OUTBOX_MAX);
    else
        doctor_say(doctor, "outbox", FINDING_OK, "", "%" PRIu64 " pecks await their receipts",
                   status->outbox);
    if (status->inbox >= QUEUE_WORTH_TELLING(TRAY_MAX))
        doctor_say(doctor, "inbox", status->inbox >= TRAY_MAX ? FINDING_FAIL : FINDING_WARN,
                   "agents do not take their pecks, or take too few: see ducknode inbox DUCKLING",
                   "%" PRIu64 " pecks await an agent or an owner, of at most %u", status->inbox,
                   TRAY_MAX);
    else
        doctor_say(doctor, "inbox", FINDING_OK, "", "%" PRIu64 " pecks await an agent or an owner",
                   status->inbox);
}

static void count_peers(const Duck__PeerList *list, size_t counts[3])
{
    static const char *const states[] = {"alive", "suspect", "dead"};

    for (size_t i = 0; i < list->n_peers; i++)
        for (size_t j = 0; j < 3; j++)
            counts[j] += strcmp(list->peers[i]->state, states[j]) == 0;
}

static void check_peers(struct doctor *doctor)
{
    Duck__PeersQuery query = DUCK__PEERS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    size_t counts[3] = {0};
    Duck__Reply *reply;
    int status;

    request.order_case = DUCK__REQUEST__ORDER_PEERS;
    request.peers = &query;
    reply = ask(doctor->call, &request, &status);
    if (!reply)
        return; /* it was said */
    count_peers(reply->peers, counts);
    if (reply->peers->n_peers == 0)
        doctor_say(doctor, "peers", FINDING_WARN, "ducknode join HOST:PORT links with a node",
                   "no other node is known");
    else if (counts[0] == 0)
        doctor_say(doctor, "peers", FINDING_FAIL,
                   "is this host cut off? ducknode peers shows where they were",
                   "none of %zu is alive", reply->peers->n_peers);
    else if (counts[1] + counts[2] > counts[0])
        doctor_say(doctor, "peers", FINDING_WARN,
                   "most cannot be reached: is it they, or this host's network?",
                   "%zu alive, %zu suspect, %zu dead", counts[0], counts[1], counts[2]);
    else
        doctor_say(doctor, "peers", FINDING_OK, "", "%zu alive, %zu suspect, %zu dead", counts[0],
                   counts[1], counts[2]);
    duck_reply_free(reply);
}

static void check_directory(struct doctor *doctor)
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    const Duck__DirectoryList *found;
    Duck__Reply *reply;
    int status;

    query.limit = 1;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    reply = ask(doctor->call, &request, &status);
    if (!reply)
        return; /* it was said */
    found = reply->directory;
    if (found->n_contradicted > 0)
        doctor_say(
            doctor, "quarantine", FINDING_WARN,
            "their next keys are known to somebody else: hatch them anew; ducknode directory names "
            "them",
            "%zu identities have two certificates of one number, the first: %s",
            found->n_contradicted, found->contradicted[0]);
    duck_reply_free(reply);
}

static void check_running(struct doctor *doctor)
{
    check_parts(doctor);
    check_listening(doctor);
    check_gateway(doctor);
    check_peers(doctor);
    check_directory(doctor);
    check_queues(doctor);
}

void doctor_ask(struct doctor *doctor)
{
    const struct options *options = &doctor->call->options;

    if (find_node(doctor))
        check_running(doctor);
    else
        check_free_ports(doctor);
    check_addresses(
        doctor, "advertise",
        "others are told to dial this: does it lead to this host, through every firewall?",
        options->advertise, options->advertise_count);
    check_addresses(doctor, "join", "is that node up? it is tried again and again", options->join,
                    options->join_count);
    if (doctor->status)
        duck_reply_free(doctor->status);
    doctor->status = NULL;
}
