/* Watches a fleet of nodes on this host, for fleet.py.
 *
 * It holds one connection to each node's local socket and follows the node's events, so that what
 * a node thinks of its members and what it holds of a duckling is known here when it changes, and
 * asking again and again costs the nodes nothing. Reads commands from standard input, a line each,
 * and answers each with one line:
 *
 *     open I SOCKET      connects to node I; "ok NODE-ID", or "no"
 *     close I            forgets node I
 *     join I ADDRESS     orders it; the answer is not waited for
 *     hatch I            hatches the duckling of node I, named fI, if it has none; "ok DUCKLING-ID"
 *     tag I TEXT         changes the bio of node I's duckling; not waited for
 *     alive              "I:N …": how many members each open node holds for alive, itself included
 *     states NODE-ID     "I:STATE …": of that member at each open node ("-": not known there)
 *     tags DUCKLING-ID   "I:TEXT …": that duckling's bio as each open node has it ("-": none)
 *     failed I           "NODE-ID …": whom node I declared dead so far, with repeats
 *     counters I         the node's counters, one JSON object
 *
 * A number is read from events, never guessed: after each event the member or the duckling is read
 * from the node that told it. */
#include "client/duck_client.h"
#include "core/binary_data.h"
#include "core/id.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_WATCHED_MAX 512
#define DEATHS_MAX 65536u
#define LINE_MAX_BYTES 1024
#define TEXT_MAX 64

struct seen_member {
    char id[ID_TEXT_SIZE];
    char state[12];
    bool told; /* by an event: a list that was made before it must not take it back */
};

struct seen_tag {
    char duckling[ID_TEXT_SIZE];
    char text[TEXT_MAX];
};

struct watched {
    struct duck *duck; /* NULL: not open */
    uint64_t follow;
    unsigned life; /* answers of an earlier connection are not believed */
    char id[ID_TEXT_SIZE], duckling[ID_TEXT_SIZE];
    struct seen_member members[NODES_WATCHED_MAX];
    size_t member_count;
    struct seen_tag tags[NODES_WATCHED_MAX];
    size_t tag_count;
};

/* What a question was about, while its answer is awaited. */
struct awaited {
    struct watched *watched;
    unsigned life;
};

static struct watched fleet[NODES_WATCHED_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all of `fleet` but `duck` */
static struct {
    size_t at;
    char whom[ID_TEXT_SIZE];
} deaths[DEATHS_MAX];
static size_t death_count;

/* ---- what is seen ---- */

static void note_member(struct watched *watched, const char *id, const char *state, bool told)
{
    struct seen_member *member = watched->members;

    while (member < watched->members + watched->member_count && strcmp(member->id, id) != 0)
        member++;
    if (member == watched->members + watched->member_count) {
        if (watched->member_count == NODES_WATCHED_MAX)
            return;
        watched->member_count++;
        snprintf(member->id, sizeof member->id, "%s", id);
        member->told = false;
    }
    if (member->told && !told)
        return;
    member->told = told;
    snprintf(member->state, sizeof member->state, "%s", state);
}

static void note_tag(struct watched *watched, const char *duckling, struct bytes text)
{
    struct seen_tag *tag = watched->tags;

    while (tag < watched->tags + watched->tag_count && strcmp(tag->duckling, duckling) != 0)
        tag++;
    if (tag == watched->tags + watched->tag_count) {
        if (watched->tag_count == NODES_WATCHED_MAX)
            return;
        watched->tag_count++;
        snprintf(tag->duckling, sizeof tag->duckling, "%s", duckling);
    }
    snprintf(tag->text, sizeof tag->text, "%.*s", (int)text.size, (const char *)text.data);
}

static void note_death(const struct watched *watched, const char *id)
{
    if (death_count == DEATHS_MAX)
        return;
    deaths[death_count].at = (size_t)(watched - fleet);
    snprintf(deaths[death_count++].whom, ID_TEXT_SIZE, "%s", id);
}

/* On the client's thread. */
static void answered(void *context, Duck__Reply *reply)
{
    struct awaited *awaited = context;
    struct watched *watched = awaited->watched;

    pthread_mutex_lock(&lock);
    if (awaited->life != watched->life) {
        /* closed meanwhile */
    } else if (reply->answer_case == DUCK__REPLY__ANSWER_PEERS) {
        for (size_t i = 0; i < reply->peers->n_peers; i++)
            note_member(watched, reply->peers->peers[i]->node_id, reply->peers->peers[i]->state,
                        false);
    } else if (reply->answer_case == DUCK__REPLY__ANSWER_DIRECTORY) {
        for (size_t i = 0; i < reply->directory->n_entries; i++)
            note_tag(watched, reply->directory->entries[i]->duckling,
                     bytes_of(reply->directory->entries[i]->bio.data,
                              reply->directory->entries[i]->bio.len));
    }
    pthread_mutex_unlock(&lock);
    duck_reply_free(reply);
    free(awaited);
}

static void send_order(struct watched *watched, Duck__Request *request)
{
    struct awaited *awaited = malloc(sizeof *awaited);

    if (!awaited)
        abort();
    awaited->watched = watched;
    awaited->life = watched->life;
    duck_call(watched->duck, request, 0, answered, awaited);
}

static void look_at_members(struct watched *watched, const char *node)
{
    Duck__PeersQuery query = DUCK__PEERS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.node = (char *)(uintptr_t)node;
    request.order_case = DUCK__REQUEST__ORDER_PEERS;
    request.peers = &query;
    send_order(watched, &request);
}

static void look_at_ducklings(struct watched *watched, const char *duckling)
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.duckling = (char *)(uintptr_t)duckling;
    query.limit = 200;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    send_order(watched, &request);
}

/* On the client's thread. */
static bool happened(void *context, const Duck__Reply *event)
{
    struct watched *watched = context;
    const Duck__EventView *view = event->event;

    if (strcmp(view->kind, "member") == 0) {
        pthread_mutex_lock(&lock);
        note_member(watched, view->with, view->state, true);
        if (strcmp(view->state, "dead") == 0)
            note_death(watched, view->with);
        pthread_mutex_unlock(&lock);
    } else if (strcmp(view->kind, "record") == 0 && strncmp(view->duckling, "dkl_", 4) == 0) {
        look_at_ducklings(watched, view->duckling);
    }
    return true;
}

/* ---- commands ---- */

static bool read_status(struct watched *watched)
{
    Duck__StatusQuery query = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    bool is_answered;

    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &query;
    reply = duck_call_wait(watched->duck, &request, 5000);
    is_answered = reply->answer_case == DUCK__REPLY__ANSWER_STATUS;
    if (is_answered)
        snprintf(watched->id, sizeof watched->id, "%s", reply->status->node_id);
    duck_reply_free(reply);
    return is_answered;
}

static void close_one(struct watched *watched)
{
    struct duck *duck = watched->duck;

    pthread_mutex_lock(&lock);
    watched->duck = NULL;
    watched->life++;
    watched->member_count = watched->tag_count = 0;
    pthread_mutex_unlock(&lock);
    duck_close(duck);
}

static void open_one(struct watched *watched, const char *socket)
{
    if (watched->duck)
        close_one(watched);
    if (duck_connect(&watched->duck, socket, NULL) != 0) {
        watched->duck = NULL;
        printf("no\n");
        return;
    }
    if (!read_status(watched)) {
        close_one(watched);
        printf("no\n");
        return;
    }
    watched->follow = duck_call_follow(watched->duck, NULL, true, happened, watched);
    look_at_members(watched, "");
    look_at_ducklings(watched, "");
    printf("ok %s\n", watched->id);
}

static void join_one(struct watched *watched, const char *address)
{
    Duck__JoinOrder order = DUCK__JOIN_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.address = (char *)(uintptr_t)address;
    request.order_case = DUCK__REQUEST__ORDER_JOIN;
    request.join = &order;
    send_order(watched, &request);
    printf("ok\n");
}

static void find_own(struct watched *watched)
{
    struct duck_search search = {.host = watched->id, .limit = 1};
    struct duck_answer *answer = duck_search(watched->duck, &search);
    struct duck_entry entry;

    if (duck_ok(answer) && duck_entry(answer, 0, &entry))
        snprintf(watched->duckling, sizeof watched->duckling, "%s", entry.duckling);
    duck_answer_free(answer);
}

static void hatch_one(struct watched *watched)
{
    char name[32];
    struct duck_profile profile = {.display_name = name, .bio = "new"};
    struct duck_answer *answer;

    watched->duckling[0] = 0;
    find_own(watched);
    snprintf(name, sizeof name, "f%td", watched - fleet);
    if (!watched->duckling[0]) {
        answer = duck_hatch(watched->duck, &profile);
        if (duck_ok(answer))
            snprintf(watched->duckling, sizeof watched->duckling, "%s", duck_hatched_id(answer));
        duck_answer_free(answer);
    }
    printf("%s %s\n", watched->duckling[0] ? "ok" : "no", watched->duckling);
}

static void tag_one(struct watched *watched, const char *text)
{
    Duck__ProfileOrder order = DUCK__PROFILE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = watched->duckling;
    order.set_bio = true;
    order.bio = lent(bytes_of_text(text));
    request.order_case = DUCK__REQUEST__ORDER_PROFILE;
    request.profile = &order;
    send_order(watched, &request);
    printf("ok\n");
}

static size_t count_alive(const struct watched *watched)
{
    size_t count = 1;

    for (size_t i = 0; i < watched->member_count; i++)
        count += strcmp(watched->members[i].state, "alive") == 0;
    return count;
}

static const char *state_at(const struct watched *watched, const char *node)
{
    for (size_t i = 0; i < watched->member_count; i++)
        if (strcmp(watched->members[i].id, node) == 0)
            return watched->members[i].state;
    return "-";
}

static const char *tag_at(const struct watched *watched, const char *duckling)
{
    for (size_t i = 0; i < watched->tag_count; i++)
        if (strcmp(watched->tags[i].duckling, duckling) == 0)
            return watched->tags[i].text;
    return "-";
}

static void tell_all(const char *what, const char *of)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < NODES_WATCHED_MAX; i++) {
        if (!fleet[i].duck)
            continue;
        if (strcmp(what, "alive") == 0)
            printf("%zu:%zu ", i, count_alive(&fleet[i]));
        else
            printf("%zu:%s ", i,
                   strcmp(what, "states") == 0 ? state_at(&fleet[i], of) : tag_at(&fleet[i], of));
    }
    pthread_mutex_unlock(&lock);
    printf("\n");
}

static void tell_deaths(size_t at)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < death_count; i++)
        if (deaths[i].at == at)
            printf("%s ", deaths[i].whom);
    pthread_mutex_unlock(&lock);
    printf("\n");
}

static void tell_counters(struct watched *watched)
{
    Duck__MetricsQuery query = DUCK__METRICS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;

    request.order_case = DUCK__REQUEST__ORDER_METRICS;
    request.metrics = &query;
    reply = duck_call_wait(watched->duck, &request, 5000);
    printf("{");
    if (reply->answer_case == DUCK__REPLY__ANSWER_METRICS)
        for (size_t i = 0; i < reply->metrics->n_counters; i++) {
            const Duck__NamedCounter *counter = reply->metrics->counters[i];
            const char *value = strchr(counter->label, '"');

            printf("%s\"%s%s%.*s\": %.0f", i ? ", " : "", counter->name, value ? "." : "",
                   value ? (int)strcspn(value + 1, "\"") : 0, value ? value + 1 : "",
                   counter->value);
        }
    printf("}\n");
    duck_reply_free(reply);
}

static void obey(const char *what, size_t at, const char *rest)
{
    struct watched *watched = &fleet[at];

    if (strcmp(what, "open") == 0)
        open_one(watched, rest);
    else if (strcmp(what, "failed") == 0)
        tell_deaths(at);
    else if (!watched->duck)
        printf("no\n");
    else if (strcmp(what, "join") == 0)
        join_one(watched, rest);
    else if (strcmp(what, "hatch") == 0)
        hatch_one(watched);
    else if (strcmp(what, "tag") == 0)
        tag_one(watched, rest);
    else if (strcmp(what, "counters") == 0)
        tell_counters(watched);
    else if (strcmp(what, "close") == 0) {
        close_one(watched);
        printf("ok\n");
    } else {
        printf("no such command\n");
    }
}

int main(void)
{
    char line[LINE_MAX_BYTES], what[16], first[256], rest[512];

    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    while (fgets(line, sizeof line, stdin)) {
        int words;

        first[0] = rest[0] = 0;
        words = sscanf(line, "%15s %255s %511s", what, first, rest);
        if (words < 1)
            continue;
        if (strcmp(what, "alive") == 0 || strcmp(what, "states") == 0 || strcmp(what, "tags") == 0)
            tell_all(what, first);
        else
            obey(what, strtoul(first, NULL, 10) % NODES_WATCHED_MAX, rest);
        fflush(stdout);
    }
    for (size_t i = 0; i < NODES_WATCHED_MAX; i++)
        if (fleet[i].duck)
            close_one(&fleet[i]);
    return 0;
}
