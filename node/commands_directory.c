/* Ducklings, the directory. */
#include "client/duck_client.h"
#include "client/duck_key.h"
#include "commands.h"
#include "core/binary_data.h"
#include "wire/local.pb-c.h"

#include <pthread.h>
#include <stdlib.h>

#define OPEN_ACTIONS_MAX (DUCKLING_OPEN_ACTIONS_MAX + 1u) /* and one: the node refuses it */
#define CAPABILITIES_MAX 32u

static const struct command_flag hatch_flags[] = {
    {"bio", "TEXT", "a few lines about it"},
    {"capability", "NAME", "what it can do (repeatable)"},
    {"refuse-pecks", NULL, "take pecks only under bonds"},
    {"key-file", "FILE", "of a duckling that keeps its own key: `ducknode key new` wrote it"},
    {NULL, NULL, NULL},
};

/* 0: it can hatch here. */
static int judge_holder(struct call *call, const struct duck_holder *holder)
{
    const char *problem = "";
    struct duck *duck = NULL;

    if (duck_connect(&duck, call->options.socket, &problem) != 0)
        return fail(call, "unreachable", "%s (%s)", problem, call->options.socket);
    problem = duck_hatch_hindrance(duck, holder);
    duck_close(duck);
    return problem ? fail(call, "conflict", "%s", problem) : 0;
}

static int hatch(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__HatchOrder order = DUCK__HATCH_ORDER__INIT;
    ProtobufCBinaryData capabilities[CAPABILITIES_MAX];
    const char *names[CAPABILITIES_MAX];
    struct duck_holder *holder = NULL;
    Duck__Reply *reply;
    int result;

    if (call_has(call, "key-file")) {
        holder = call_holder(call, &result);
        if (!holder)
            return result;
        result = judge_holder(call, holder);
        if (result) {
            duck_holder_free(holder);
            return result;
        }
        order.chain.data = (uint8_t *)(uintptr_t)duck_holder_first(holder, &order.chain.len);
    } else if (call->argument_count == 0) {
        return misused(call, "what is it called? Or --key-file, of one that has its key");
    }
    order.n_capabilities = call_flags(call, "capability", names, CAPABILITIES_MAX);
    for (size_t i = 0; i < order.n_capabilities; i++)
        capabilities[i] = lent_bytes(names[i]);
    order.capabilities = capabilities;
    if (call->argument_count > 0)
        order.display_name = lent_bytes(call->arguments[0]);
    order.bio = lent_bytes(call_flag(call, "bio"));
    order.refuses_pecks = call_has(call, "refuse-pecks");
    request.order_case = DUCK__REQUEST__ORDER_HATCH;
    request.hatch = &order;
    reply = ask(call, &request, &result);
    duck_holder_free(holder);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_of_message(reply->hatch));
    else if (call_has(call, "key-file"))
        printf("%s keeps its own key, and is in the directory when it has signed that:\n"
               "  ducknode sign --key-file %s\n",
               reply->hatch->duckling_id, call_flag(call, "key-file"));
    else
        printf("%s  \"%s\"\n", reply->hatch->duckling_id, call->arguments[0]);
    duck_reply_free(reply);
    return 0;
}

static const struct command_flag profile_flags[] = {
    {"name", "TEXT", "its name"},
    {"bio", "TEXT", "a few lines about it"},
    {"capability", "NAME", "what it can do, instead of what it could (repeatable)"},
    {"accept-pecks", NULL, "take pecks of everybody, to be approved"},
    {"refuse-pecks", NULL, "take pecks only under bonds"},
    {"least-tier", "N", "whoever is below this tier (0 to 3) pecks only under a bond"},
    {"open-action", "SCOPE", "runs unasked for all of that tier: data.read, data.* (repeatable)"},
    {"no-open-actions", NULL, "nothing runs unasked without a bond"},
    {NULL, NULL, NULL},
};

static int profile(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__ProfileOrder order = DUCK__PROFILE_ORDER__INIT;
    ProtobufCBinaryData capabilities[CAPABILITIES_MAX], open_actions[OPEN_ACTIONS_MAX];
    const char *names[CAPABILITIES_MAX], *opened[OPEN_ACTIONS_MAX];
    Duck__Reply *reply;
    uint64_t tier = 0;
    int result;

    order.duckling = lent_text(call->arguments[0]);
    order.set_display_name = call_has(call, "name");
    order.display_name = lent_bytes(call_flag(call, "name"));
    order.set_bio = call_has(call, "bio");
    order.bio = lent_bytes(call_flag(call, "bio"));
    order.set_capabilities = call_has(call, "capability");
    order.n_capabilities = call_flags(call, "capability", names, CAPABILITIES_MAX);
    for (size_t i = 0; i < order.n_capabilities; i++)
        capabilities[i] = lent_bytes(names[i]);
    order.capabilities = capabilities;
    order.set_accepts_pecks = call_has(call, "accept-pecks") || call_has(call, "refuse-pecks");
    order.accepts_pecks = call_has(call, "accept-pecks");
    if (!call_number(call, "least-tier", &tier))
        return 2;
    order.set_least_tier = call_has(call, "least-tier");
    order.least_tier = (uint32_t)(tier > UINT32_MAX ? UINT32_MAX : tier);
    order.set_open_actions = call_has(call, "open-action") || call_has(call, "no-open-actions");
    order.n_open_actions = call_flags(call, "open-action", opened, OPEN_ACTIONS_MAX);
    for (size_t i = 0; i < order.n_open_actions; i++)
        open_actions[i] = lent_bytes(opened[i]);
    order.open_actions = open_actions;
    request.order_case = DUCK__REQUEST__ORDER_PROFILE;
    request.profile = &order;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_pack("{s:s, s:s*}", "duckling", call->arguments[0], "waits_for",
                             *reply->done->waits_for ? reply->done->waits_for : NULL));
    else if (*reply->done->waits_for)
        printf("%s  published when it has signed %s: ducknode sign\n", call->arguments[0],
               reply->done->waits_for);
    else
        printf("%s  published\n", call->arguments[0]);
    duck_reply_free(reply);
    return 0;
}

static const struct command_flag directory_flags[] = {
    {"capability", "NAME", "that can do this; data.* for all that begin so"},
    {"text", "WORDS", "with these words in name, bio or capabilities"},
    {"host", "NODE", "that live on this node"},
    {"alive", "SECONDS", "heard of within so many seconds"},
    {"tier", "N", "of this tier or above: 0 to 3"},
    {"follow", NULL, "and go on: a line for each that comes, changes or goes"},
    {"live-host", NULL, "on nodes that are not known to be dead or gone"},
    {"limit", "N", "at most so many (default: 50)"},
    {"cursor", "TEXT", "go on where a page ended"},
    {NULL, NULL, NULL},
};

static void print_bio(struct bytes bio)
{
    printf("  ");
    show_lines(stdout, bio);
    putchar('\n');
}

static void print_entry(const Duck__DirectoryEntry *entry)
{
    char seen[32];

    printf("%s  T%u  \"", entry->duckling, entry->tier);
    show_line(stdout, borrowed(entry->display_name));
    printf("\"\n");
    printf("  on %s%s, signed %s%s\n", entry->host, entry->host_linked ? "" : " (not linked)",
           time_text(entry->seen_ms, seen), entry->accepts_pecks ? "" : ", bonds only");
    if (entry->n_capabilities > 0)
        printf("  can");
    for (size_t i = 0; i < entry->n_capabilities; i++)
        printf(" %.*s", (int)entry->capabilities[i].len, (const char *)entry->capabilities[i].data);
    if (entry->n_capabilities > 0)
        printf("\n");
    for (size_t i = 0; i < entry->n_taken_back; i++)
        printf("  voucher by %s was taken back on %s\n", entry->taken_back[i]->operator_,
               time_text(entry->taken_back[i]->at_ms, seen));
    if (entry->bio.len > 0)
        print_bio(borrowed(entry->bio));
}

static bool read_query(const struct call *call, Duck__DirectoryQuery *query)
{
    uint64_t limit = 0, tier = 0;

    if (!call_number(call, "limit", &limit) ||
        !call_seconds(call, "alive", &query->alive_within_ms) || !call_number(call, "tier", &tier))
        return false;
    query->capability = lent_text(call_flag(call, "capability"));
    query->text = lent_text(call_flag(call, "text"));
    query->host = lent_text(call_flag(call, "host"));
    query->duckling = lent_text(call->argument_count > 0 ? call->arguments[0] : "");
    query->cursor = lent_text(call_flag(call, "cursor"));
    query->tier_min = (uint32_t)(tier > UINT32_MAX ? UINT32_MAX : tier);
    query->live_host = call_has(call, "live-host");
    query->limit = (uint32_t)(limit > UINT32_MAX ? UINT32_MAX : limit);
    return true;
}

/* ---- following ---- */

#define SHOWN_MAX 65536u /* ducklings whose going is noticed */

/* Between the client's thread, which hears, and this one, which asks and prints. */
struct follower {
    pthread_mutex_t lock;
    pthread_cond_t heard_some;
    char (*heard)[ID_TEXT_SIZE]; /* ducklings whose record changed */
    size_t heard_count, heard_capacity;
    char (*shown)[ID_TEXT_SIZE];
    size_t shown_count, shown_capacity;
};

static bool hear(void *context, const Duck__Reply *event)
{
    struct follower *follower = context;
    const Duck__EventView *view = event->event;

    if (strcmp(view->kind, "record") != 0 || strncmp(view->duckling, "dkl_", 4) != 0)
        return true;
    pthread_mutex_lock(&follower->lock);
    if (follower->heard_count == follower->heard_capacity) {
        follower->heard_capacity = follower->heard_capacity ? 2 * follower->heard_capacity : 64;
        follower->heard =
            memory_resize(follower->heard, follower->heard_capacity * sizeof *follower->heard);
    }
    snprintf(follower->heard[follower->heard_count++], ID_TEXT_SIZE, "%s", view->duckling);
    pthread_cond_signal(&follower->heard_some);
    pthread_mutex_unlock(&follower->lock);
    return true;
}

/* Returns where it stands among the shown; their number: it is not. */
static size_t find_shown(const struct follower *follower, const char *duckling)
{
    size_t at = 0;

    while (at < follower->shown_count && strcmp(follower->shown[at], duckling) != 0)
        at++;
    return at;
}

static void note_shown(struct follower *follower, const char *duckling)
{
    if (find_shown(follower, duckling) < follower->shown_count ||
        follower->shown_count == SHOWN_MAX)
        return;
    if (follower->shown_count == follower->shown_capacity) {
        follower->shown_capacity = follower->shown_capacity ? 2 * follower->shown_capacity : 64;
        follower->shown =
            memory_resize(follower->shown, follower->shown_capacity * sizeof *follower->shown);
    }
    snprintf(follower->shown[follower->shown_count++], ID_TEXT_SIZE, "%s", duckling);
}

static void print_line(json_t *line)
{
    print_json_line(line);
}

static void show(const struct call *call, struct follower *follower,
                 const Duck__DirectoryEntry *entry)
{
    note_shown(follower, entry->duckling);
    if (call->json)
        print_line(json_of_message(entry));
    else
        print_entry(entry);
    fflush(stdout);
}

/* It was shown, and is no longer among what was asked for. */
static void show_gone(const struct call *call, struct follower *follower, const char *duckling)
{
    size_t at = find_shown(follower, duckling);

    if (at == follower->shown_count)
        return;
    memcpy(follower->shown[at], follower->shown[--follower->shown_count], ID_TEXT_SIZE);
    if (call->json)
        print_line(json_pack("{s:s, s:b}", "duckling", duckling, "gone", true));
    else
        printf("%s  gone\n", duckling);
    fflush(stdout);
}

/* What the filter says of one duckling, or of all. False: the node does not answer. */
static bool look(const struct call *call, struct duck *duck, struct follower *follower,
                 const char *duckling)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Reply *reply;
    bool is_answered;

    read_query(call, &query);
    if (duckling && query.duckling[0] && strcmp(query.duckling, duckling) != 0)
        return true;
    if (duckling)
        query.duckling = lent_text(duckling);
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    reply = duck_call_wait(duck, &request, 0);
    is_answered = reply->answer_case == DUCK__REPLY__ANSWER_DIRECTORY;
    if (!is_answered && reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM)
        fail(call, reply->problem->code, "%s", reply->problem->message);
    for (size_t i = 0; is_answered && i < reply->directory->n_entries; i++)
        show(call, follower, reply->directory->entries[i]);
    if (is_answered && duckling && reply->directory->n_entries == 0)
        show_gone(call, follower, duckling);
    duck_reply_free(reply);
    return is_answered;
}

static void await_change(struct follower *follower, char duckling[ID_TEXT_SIZE])
{
    pthread_mutex_lock(&follower->lock);
    while (follower->heard_count == 0)
        pthread_cond_wait(&follower->heard_some, &follower->lock);
    memcpy(duckling, follower->heard[0], ID_TEXT_SIZE);
    memmove(follower->heard, follower->heard + 1,
            --follower->heard_count * sizeof *follower->heard);
    pthread_mutex_unlock(&follower->lock);
}

/* Until the node goes, or the terminal says stop. */
static int follow(struct call *call)
{
    static struct follower follower = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                       .heard_some = PTHREAD_COND_INITIALIZER};
    const char *problem = "";
    struct duck *duck = NULL;
    char duckling[ID_TEXT_SIZE];
    bool goes_on;

    if (duck_connect(&duck, call->options.socket, &problem) != 0)
        return fail(call, "unreachable", "%s (%s)", problem, call->options.socket);
    duck_call_follow(duck, NULL, true, hear, &follower);
    goes_on = look(call, duck, &follower, NULL);
    while (goes_on) {
        await_change(&follower, duckling);
        goes_on = look(call, duck, &follower, duckling);
    }
    duck_close(duck);
    return 1;
}

static int directory(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Reply *reply;
    int result;

    if (!read_query(call, &query))
        return 2;
    if (call_has(call, "follow"))
        return follow(call);
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_of_message(reply->directory));
    for (size_t i = 0; !call->json && i < reply->directory->n_entries; i++)
        print_entry(reply->directory->entries[i]);
    for (size_t i = 0; !call->json && i < reply->directory->n_contradicted; i++)
        printf("%s  in quarantine: it has two certificates of one number\n",
               reply->directory->contradicted[i]);
    if (!call->json && reply->directory->n_entries == 0)
        printf("nobody\n");
    if (!call->json && reply->directory->next_cursor[0])
        printf("more: --cursor %s\n", reply->directory->next_cursor);
    duck_reply_free(reply);
    return 0;
}

const struct command directory_commands[] = {
    {"hatch", "[NAME]", 0, 1, "Hatch a duckling on this node.", hatch_flags,
     "ducknode hatch 'Weather Duck' --capability weather.forecast", hatch},
    {"profile", "DUCKLING", 1, 1, "Change what the directory says of a duckling of this node.",
     profile_flags, "ducknode profile dkl_… --bio 'knows the weather of tomorrow'", profile},
    {"directory", "[DUCKLING]", 0, 1, "Find ducklings anywhere in the network.", directory_flags,
     "ducknode directory --capability weather.forecast", directory},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
