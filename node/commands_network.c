/* The other nodes: who they are, how the gossip with them goes, joining and leaving them. */
#include "client/duck_client.h"
#include "clock.h"
#include "commands.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- peers ---- */

static const struct command_flag peers_flags[] = {
    {"node", "NODE", "this one only"},
    {"state", "STATE", "only those that are alive, suspect, dead or left"},
    {NULL, NULL, NULL},
};

static const char *duration_text(uint64_t ms, char text[24])
{
    if (ms < 10000)
        snprintf(text, 24, "%" PRIu64 ".%" PRIu64 " s", ms / 1000, ms % 1000 / 100);
    else if (ms < 120000)
        snprintf(text, 24, "%" PRIu64 " s", ms / 1000);
    else if (ms < 7200000)
        snprintf(text, 24, "%" PRIu64 " min", ms / 60000);
    else
        snprintf(text, 24, "%" PRIu64 " h", ms / 3600000);
    return text;
}

static const char *round_trip_text(const Duck__PeerView *peer, char text[24])
{
    if (peer->round_trip_us == 0)
        return "-";
    snprintf(text, 24, "%u.%u ms", peer->round_trip_us / 1000, peer->round_trip_us % 1000 / 100);
    return text;
}

/* "2 accusers, dead in 1.4 s", or since when the state is what it is. */
static const char *change_text(const Duck__PeerView *peer, char text[96])
{
    uint64_t now_ms = clock_wall_ms();
    char time[24];

    if (peer->suspicion_ends_ms > 0) {
        uint64_t left_ms = peer->suspicion_ends_ms > now_ms ? peer->suspicion_ends_ms - now_ms : 0;

        snprintf(text, 96, "%u accuser%s, dead in %s", peer->accusers,
                 peer->accusers == 1 ? "" : "s", duration_text(left_ms, time));
    } else if (peer->changed_ms > 0 && peer->changed_ms <= now_ms) {
        snprintf(text, 96, "%s ago", duration_text(now_ms - peer->changed_ms, time));
    } else {
        snprintf(text, 96, "-");
    }
    return text;
}

static void print_peer(const Duck__PeerView *peer)
{
    char round_trip[24], change[96], software[SHOW_WORD_SIZE], name[SHOW_WORD_SIZE];

    printf("%-36s  %-7s  %-5s  %8s  %-21s  %-15s  %-24s  %s\n", peer->node_id, peer->state,
           peer->link, round_trip_text(peer, round_trip),
           peer->n_addresses > 0 ? peer->addresses[0] : "-",
           peer->software[0] ? show_word(bytes_of_text(peer->software), software) : "-",
           change_text(peer, change), show_word(bytes_of_text(peer->display_name), name));
}

static bool is_meant(const Duck__PeerView *peer, const char *state)
{
    return !state || strcmp(peer->state, state) == 0;
}

/* Takes off what was not asked for. */
static size_t keep_state(Duck__PeerList *list, const char *state)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->n_peers; i++) {
        Duck__PeerView *peer = list->peers[i];

        if (!is_meant(peer, state))
            continue;
        list->peers[i] = list->peers[kept]; /* swapped: each is freed with the reply */
        list->peers[kept++] = peer;
    }
    return kept;
}

static bool is_state(const char *state)
{
    return !state || strcmp(state, "alive") == 0 || strcmp(state, "suspect") == 0 ||
           strcmp(state, "dead") == 0 || strcmp(state, "left") == 0;
}

static int peers(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__PeersQuery query = DUCK__PEERS_QUERY__INIT;
    const char *node = call_flag(call, "node"), *state = call_flag(call, "state");
    Duck__Reply *reply;
    size_t count, all;
    int result;

    if (!is_state(state))
        return misused(call, "--state is alive, suspect, dead or left, not '%s'", state);

    query.node = (char *)(uintptr_t)(node ? node : "");
    request.order_case = DUCK__REQUEST__ORDER_PEERS;
    request.peers = &query;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    all = reply->peers->n_peers;
    count = keep_state(reply->peers, state);
    if (call->json) {
        reply->peers->n_peers = count;
        print_json(json_of_message(reply->peers));
        reply->peers->n_peers = all;
    } else if (all == 0) {
        printf("no other node is known: ducknode join HOST:PORT\n");
    } else if (count > 0) {
        printf("%-36s  %-7s  %-5s  %8s  %-21s  %-15s  %-24s  %s\n", "node", "state", "link", "ping",
               "address", "software", "changed", "name");
        for (size_t i = 0; i < count; i++)
            print_peer(reply->peers->peers[i]);
    } else {
        printf("none of %zu is %s\n", all, state ? state : "shown");
    }
    duck_reply_free(reply);
    return 0;
}

/* ---- gossip ---- */

static json_t *json_of_counters(Duck__NamedCounter *const *counters, size_t count)
{
    json_t *object = json_object();
    char name[COUNTER_NAME_SIZE];

    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, counter_name(counters[i], name),
                            json_integer((json_int_t)counters[i]->value));
    return object;
}

static const char *fingerprint_text(const Duck__RecordSet *set, char text[33])
{
    for (size_t i = 0; i < set->fingerprint.len && i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", set->fingerprint.data[i]);
    return text;
}

static json_t *json_of_set(const Duck__RecordSet *set)
{
    char text[33] = "";

    return json_pack("{s:I, s:s}", "records", (json_int_t)set->records, "fingerprint",
                     fingerprint_text(set, text));
}

static void print_set(const char *name, const Duck__RecordSet *set)
{
    char text[33] = "";

    printf("%-18s %" PRIu64 " records, fingerprint %s\n", name, set->records,
           fingerprint_text(set, text));
}

/* "ducknode_gossip_frames_in_total" is "frames in" to people. */
static void print_counter_name(const char *name)
{
    char text[COUNTER_NAME_SIZE];
    size_t size;

    name += strlen("ducknode_gossip_");
    size = strlen(name);
    if (size > 6 && strcmp(name + size - 6, "_total") == 0)
        size -= 6;
    snprintf(text, sizeof text, "%.*s", (int)size, name);
    for (char *at = text; *at; at++)
        if (*at == '_')
            *at = ' ';
    printf("%-18s ", text);
}

/* Of `kind="peck"` what stands between the quotes. */
static void print_labelled(const Duck__NamedCounter *counter, bool first)
{
    const char *value = strchr(counter->label, '"');
    size_t size = value ? strcspn(value + 1, "\"") : 0;

    printf("%s%.*s %.0f", first ? "" : ", ", (int)size, value ? value + 1 : "", counter->value);
}

/* All of one name in one line; what is zero is left out. Returns where the next name begins. */
static size_t print_counters_of_name(Duck__NamedCounter *const *counters, size_t at, size_t count)
{
    const char *name = counters[at]->name;
    size_t printed = 0;

    print_counter_name(name);
    for (; at < count && strcmp(counters[at]->name, name) == 0; at++)
        if (!counters[at]->label[0])
            printed += (size_t)printf("%.0f", counters[at]->value);
        else if (counters[at]->value > 0)
            print_labelled(counters[at], printed++ == 0);
    printf("%s\n", printed ? "" : "none");
    return at;
}

static void print_gossip(const Duck__GossipAnswer *gossip)
{
    print_set("directory", gossip->directory);
    print_set("metrics", gossip->metrics);
    for (size_t i = 0; i < gossip->n_counters;)
        i = print_counters_of_name(gossip->counters, i, gossip->n_counters);
}

static int gossip(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__GossipQuery query = DUCK__GOSSIP_QUERY__INIT;
    Duck__Reply *reply;
    int result;

    request.order_case = DUCK__REQUEST__ORDER_GOSSIP;
    request.gossip = &query;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_pack("{s:o, s:o, s:o}", "directory", json_of_set(reply->gossip->directory),
                             "metrics", json_of_set(reply->gossip->metrics), "counters",
                             json_of_counters(reply->gossip->counters, reply->gossip->n_counters)));
    else
        print_gossip(reply->gossip);
    duck_reply_free(reply);
    return 0;
}

/* ---- joining and leaving ---- */

static int join(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__JoinOrder order = DUCK__JOIN_ORDER__INIT;
    json_t *joining = json_array();
    int result = 0;

    request.order_case = DUCK__REQUEST__ORDER_JOIN;
    request.join = &order;
    for (size_t i = 0; i < call->argument_count && result == 0; i++) {
        Duck__Reply *reply;

        order.address = (char *)(uintptr_t)call->arguments[i];
        reply = ask(call, &request, &result);
        if (!reply)
            continue;
        duck_reply_free(reply);
        json_array_append_new(joining, json_string(call->arguments[i]));
        if (!call->json)
            printf("joining %s: ducknode peers shows how it goes\n", call->arguments[i]);
    }
    if (call->json && result == 0)
        print_json(json_pack("{s:O}", "joining", joining));
    json_decref(joining);
    return result;
}

static int leave(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__LeaveOrder order = DUCK__LEAVE_ORDER__INIT;
    Duck__Reply *reply;
    int result;

    request.order_case = DUCK__REQUEST__ORDER_LEAVE;
    request.leave = &order;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    duck_reply_free(reply);
    if (call->json)
        print_json(json_pack("{s:b}", "left", true));
    else
        printf("left: the other nodes were told, and the node stops\n");
    return 0;
}

const struct command network_commands[] = {
    {"peers", "", 0, 0,
     "All other nodes that are known: what this one thinks of each, and the links to them.",
     peers_flags, "ducknode peers --state suspect", peers},
    {"gossip", "", 0, 0,
     "How the gossip goes: what is held, what goes in and out, what was refused and why.", NULL,
     "ducknode gossip --json", gossip},
    {"join", "ADDRESS…", 1, ARGUMENTS_MAX,
     "Link with other nodes: host:port, or nod_…@host:port for that node and no other.", NULL,
     "ducknode join nod_…@alice.example:7117 bob.example:7117", join},
    {"leave", "", 0, 0,
     "Tell the other nodes that this one is gone for good, and stop it. Its keys and state stay.",
     NULL, "ducknode leave", leave},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
