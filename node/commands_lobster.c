/* Lobster binds, from the command line: what one operator does of it. */
#include "client/duck_client.h"
#include "commands.h"
#include "core/binary_data.h"
#include "core/limits.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <stdio.h>

static void print_lobster(const Duck__LobsterView *lobster)
{
    char until[32];

    printf("%s with %s: %s, lease %" PRIu64 " s, %s %s\n", lobster->duckling, lobster->with,
           lobster->state, lobster->lease_ms / 1000,
           strcmp(lobster->state, "live") == 0 ? "opens unless renewed by" : "given up at",
           time_text(lobster->until_ms, until));
    if (strcmp(lobster->state, "shown") == 0)
        printf("  read this to the other operator, by voice or face to face: %s\n"
               "  then confirm with what you heard: ducknode lobster confirm %s %s STRING\n",
               lobster->string, lobster->duckling, lobster->with);
}

static void print_list(const Duck__LobsterList *list, const char *what)
{
    for (size_t i = 0; i < list->n_lobsters; i++)
        print_lobster(list->lobsters[i]);
    if (list->n_lobsters == 0)
        printf("%s\n", strcmp(what, "break") == 0 ? "broken" : "no lobster binds");
}

static int order(struct call *call, Duck__LobsterOrder *lobster)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    int result;

    request.order_case = DUCK__REQUEST__ORDER_LOBSTER;
    request.lobster = lobster;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_of_message(reply->lobsters));
    else
        print_list(reply->lobsters, call->arguments[0]);
    duck_reply_free(reply);
    return 0;
}

static int lobster(struct call *call)
{
    static const struct {
        const char *name;
        Duck__LobsterWish wish;
        size_t arguments_min, arguments_max;
        const char *takes;
    } wishes[] = {
        {"list", DUCK__LOBSTER_WISH__LOBSTERS_LIST, 1, 3, "[DUCKLING [OTHER]]"},
        {"begin", DUCK__LOBSTER_WISH__LOBSTER_BEGIN, 3, 3, "DUCKLING OTHER"},
        {"confirm", DUCK__LOBSTER_WISH__LOBSTER_CONFIRM, 4, 4, "DUCKLING OTHER STRING"},
        {"break", DUCK__LOBSTER_WISH__LOBSTER_BREAK, 3, 3, "DUCKLING OTHER"},
    };
    Duck__LobsterOrder wish = DUCK__LOBSTER_ORDER__INIT;
    const char *what = call->arguments[0];

    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        if (strcmp(what, wishes[i].name) != 0)
            continue;
        if (call->argument_count < wishes[i].arguments_min ||
            call->argument_count > wishes[i].arguments_max)
            return misused(call, "%s takes %s", what, wishes[i].takes);
        wish.wish = wishes[i].wish;
        wish.duckling = lent_text(call->argument_count > 1 ? call->arguments[1] : "");
        wish.with = lent_text(call->argument_count > 2 ? call->arguments[2] : "");
        wish.string = lent_text(call->argument_count > 3 ? call->arguments[3] : "");
        if (!call_seconds(call, "lease", &wish.lease_ms))
            return 2;
        return order(call, &wish);
    }
    return misused_word(call);
}

static const struct command_flag lobster_flags[] = {
    {"lease", "SECONDS", "begin: both ends renew it before, or it opens (default: 900)"},
    {NULL, NULL, NULL},
};

const struct command lobster_commands[] = {
    {"lobster", "begin|confirm|break|list [DUCKLING [OTHER [STRING]]]", 1, 4,
     "Bind two T2 ducklings of production fleets: while it is live, both are T3.", lobster_flags,
     "ducknode lobster begin dkl_… dkl_… --lease 900", lobster},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
