/* Ducklings, the directory, bonds. */
#include "client/duck_client.h"
#include "commands.h"
#include "core/binary_data.h"
#include "wire/local.pb-c.h"

#include <stdlib.h>

#define CAPABILITIES_MAX 32u

static char *lent_text(const char *text)
{
    return (char *)(uintptr_t)(text ? text : "");
}

static ProtobufCBinaryData lent_bytes(const char *text)
{
    return lent(bytes_of_text(text ? text : ""));
}

static const struct command_flag hatch_flags[] = {
    {"bio", "TEXT", "a few lines about it"},
    {"capability", "NAME", "what it can do (repeatable)"},
    {"refuse-pecks", NULL, "take pecks only under bonds"},
    {NULL, NULL, NULL},
};

static int hatch(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__HatchOrder order = DUCK__HATCH_ORDER__INIT;
    ProtobufCBinaryData capabilities[CAPABILITIES_MAX];
    const char *names[CAPABILITIES_MAX];
    Duck__Reply *reply;
    int result;

    order.n_capabilities = call_flags(call, "capability", names, CAPABILITIES_MAX);
    for (size_t i = 0; i < order.n_capabilities; i++)
        capabilities[i] = lent_bytes(names[i]);
    order.capabilities = capabilities;
    order.display_name = lent_bytes(call->arguments[0]);
    order.bio = lent_bytes(call_flag(call, "bio"));
    order.refuses_pecks = call_has(call, "refuse-pecks");
    request.order_case = DUCK__REQUEST__ORDER_HATCH;
    request.hatch = &order;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_of_message(reply->hatch));
    else
        printf("%s  \"%s\"\n", reply->hatch->duckling_id, call->arguments[0]);
    duck_reply_free(reply);
    return 0;
}

static const struct command_flag directory_flags[] = {
    {"capability", "NAME", "that can do this; data.* for all that begin so"},
    {"text", "WORDS", "with these words in name, bio or capabilities"},
    {"host", "NODE", "that live on this node"},
    {"alive", "SECONDS", "heard of within so many seconds"},
    {"live-host", NULL, "on nodes that are not known to be dead or gone"},
    {"limit", "N", "at most so many (default: 50)"},
    {"cursor", "TEXT", "go on where a page ended"},
    {NULL, NULL, NULL},
};

static void print_entry(const Duck__DirectoryEntry *entry)
{
    char seen[32];

    printf("%s  T%u  \"%.*s\"\n", entry->duckling, entry->tier, (int)entry->display_name.len,
           (const char *)entry->display_name.data);
    printf("  on %s%s, signed %s%s\n", entry->host, entry->host_linked ? "" : " (not linked)",
           time_text(entry->seen_ms, seen), entry->accepts_pecks ? "" : ", bonds only");
    if (entry->n_capabilities > 0)
        printf("  can");
    for (size_t i = 0; i < entry->n_capabilities; i++)
        printf(" %.*s", (int)entry->capabilities[i].len, (const char *)entry->capabilities[i].data);
    if (entry->n_capabilities > 0)
        printf("\n");
    if (entry->bio.len > 0)
        printf("  %.*s\n", (int)entry->bio.len, (const char *)entry->bio.data);
}

static int directory(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    uint64_t limit = 0, alive_s = 0;
    Duck__Reply *reply;
    int result;

    if (!call_number(call, "limit", &limit) || !call_number(call, "alive", &alive_s))
        return 2;
    query.capability = lent_text(call_flag(call, "capability"));
    query.text = lent_text(call_flag(call, "text"));
    query.host = lent_text(call_flag(call, "host"));
    query.duckling = lent_text(call->argument_count > 0 ? call->arguments[0] : "");
    query.cursor = lent_text(call_flag(call, "cursor"));
    query.alive_within_ms = alive_s * 1000;
    query.live_host = call_has(call, "live-host");
    query.limit = (uint32_t)(limit > UINT32_MAX ? UINT32_MAX : limit);
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_of_message(reply->directory));
    for (size_t i = 0; !call->json && i < reply->directory->n_entries; i++)
        print_entry(reply->directory->entries[i]);
    if (!call->json && reply->directory->n_entries == 0)
        printf("nobody\n");
    if (!call->json && reply->directory->next_cursor[0])
        printf("more: --cursor %s\n", reply->directory->next_cursor);
    duck_reply_free(reply);
    return 0;
}

static int bonds(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__BondsQuery query = DUCK__BONDS_QUERY__INIT;
    Duck__Reply *reply;
    char ends[32];
    int result;

    query.duckling = lent_text(call->argument_count > 0 ? call->arguments[0] : "");
    request.order_case = DUCK__REQUEST__ORDER_BONDS;
    request.bonds = &query;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_of_message(reply->bonds));
    for (size_t i = 0; !call->json && i < reply->bonds->n_bonds; i++) {
        const Duck__BondView *bond = reply->bonds->bonds[i];

        printf("%s  %s %s %s until %s:", bond->bond_id, bond->duckling,
               bond->requested_here ? "may ask" : "is asked by", bond->with,
               time_text(bond->not_after_ms, ends));
        for (size_t j = 0; j < bond->n_scopes; j++)
            printf(" %.*s", (int)bond->scopes[j].len, (const char *)bond->scopes[j].data);
        printf("\n");
    }
    if (!call->json && reply->bonds->n_bonds == 0)
        printf("no bonds\n");
    duck_reply_free(reply);
    return 0;
}

static int unpeck(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__UnpeckOrder order = DUCK__UNPECK_ORDER__INIT;
    const char *other = call->arguments[1];
    Duck__Reply *reply;
    int result;

    order.duckling = lent_text(call->arguments[0]);
    order.bond_id = lent_text(strncmp(other, "bnd_", 4) == 0 ? other : "");
    order.with = lent_text(strncmp(other, "bnd_", 4) == 0 ? "" : other);
    request.order_case = DUCK__REQUEST__ORDER_UNPECK;
    request.unpeck = &order;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_of_message(reply->bond));
    else
        printf("ended %s\n", reply->bond->bond_id);
    duck_reply_free(reply);
    return 0;
}

const struct command directory_commands[] = {
    {"hatch", "NAME", 1, 1, "Hatch a duckling on this node.", hatch_flags,
     "ducknode hatch 'Weather Duck' --capability weather.forecast", hatch},
    {"directory", "[DUCKLING]", 0, 1, "Find ducklings anywhere in the network.", directory_flags,
     "ducknode directory --capability weather.forecast", directory},
    {"bonds", "[DUCKLING]", 0, 1, "The bonds of the ducklings that live here.", NULL,
     "ducknode bonds", bonds},
    {"unpeck", "DUCKLING BOND|OTHER", 2, 2, "End a bond, at once and from this side.", NULL,
     "ducknode unpeck dkl_… bnd_…", unpeck},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
