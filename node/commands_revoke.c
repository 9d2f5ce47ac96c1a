/* Revocation, by who runs the node. */
#include "client/duck_client.h"
#include "commands.h"
#include "wire/local.pb-c.h"

#include <sodium.h>
#include <stdio.h>

static const struct command_flag revoke_flags[] = {
    {"reason", "TEXT", "for people: all who hold the revocation can read it (at most 256 bytes)"},
    {"for-good", NULL, "needed: nobody can take it back"},
    {"by-next-key", NULL,
     "of a duckling: its next key signs, and is its last (the live one may be stolen)"},
    {"next-key-dir", "FOLDER", "where ducklings.next.key is kept"},
    {"passphrase-file", "FILE", "opens node.key"},
    {"next-passphrase-file", "FILE", "opens ducklings.next.key (default: as node.key)"},
    {NULL, NULL, NULL},
};

/* "duckling dkl_…" says twice what it is, and has to say the same. NULL: said why. */
static const char *read_id(const struct call *call, int *status)
{
    static const struct {
        const char *word, *prefix;
    } kinds[] = {{"duckling", "dkl_"}, {"certificate", "crt_"}, {"bond", "bnd_"}, {"node", "nod_"}};
    const char *id = call->arguments[call->argument_count - 1];

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (call->argument_count == 1 || (strcmp(call->arguments[0], kinds[i].word) == 0 &&
                                          strncmp(id, kinds[i].prefix, 4) == 0))
            return id;
    *status = misused(call, "%s is no %s", id, call->arguments[0]);
    return NULL;
}

static int order(struct call *call, Duck__RevokeOrder *revoke)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    bool is_bond = strncmp(revoke->identity, "bnd_", 4) == 0, waits;
    char waits_for[ID_TEXT_SIZE];
    Duck__Reply *reply;
    int status;

    request.order_case = DUCK__REQUEST__ORDER_REVOKE;
    request.revoke = revoke;
    reply = ask(call, &request, &status);
    if (!reply)
        return status;
    snprintf(waits_for, sizeof waits_for, "%s", reply->done->waits_for);
    duck_reply_free(reply);
    waits = *waits_for;
    if (call->json)
        print_json(json_pack("{s:s, s:b, s:s*}", "identity", revoke->identity, "revoked", !waits,
                             "waits_for", waits ? waits_for : NULL));
    else if (waits)
        printf("nothing is said before %s signs %s: ducknode sign\n", revoke->identity, waits_for);
    else if (is_bond)
        printf("%s has ended\n", revoke->identity);
    else
        printf("%s is revoked: the network is told, and what was open with it has ended\n",
               revoke->identity);
    return 0;
}

static int by_next_key(struct call *call, Duck__RevokeOrder *revoke)
{
    uint8_t *seed;
    int status;

    if (!identity_self_test()) /* guarded memory comes after it */
        return fail(call, "crypto", "this libsodium judges signatures otherwise than the network");
    seed = sodium_malloc(SEED_SIZE);
    if (!seed)
        memory_ran_out();
    revoke->by_next_key = true;
    revoke->seed.data = seed;
    status = next_key_open(call, revoke->identity, seed, &revoke->seed.len);
    if (status == 0)
        status = order(call, revoke);
    sodium_free(seed);
    return status;
}

static int revoke(struct call *call)
{
    Duck__RevokeOrder revoke = DUCK__REVOKE_ORDER__INIT;
    const char *reason = call_flag(call, "reason"), *id;
    int status = 0;

    if (!call_has(call, "for-good"))
        return misused(call, "a revocation cannot be taken back: say so by --for-good");
    id = read_id(call, &status);
    if (!id)
        return status;
    revoke.identity = (char *)(uintptr_t)id;
    revoke.reason = (char *)(uintptr_t)(reason ? reason : "");
    if (!call_has(call, "by-next-key"))
        return order(call, &revoke);
    if (strncmp(id, "dkl_", 4) != 0)
        return misused(call, "the next key is a duckling's: name that");
    return by_next_key(call, &revoke);
}

const struct command revoke_commands[] = {
    {"revoke", "[duckling|certificate|bond|node] ID", 1, 2,
     "End a duckling of this node, or its own identity, everywhere and for good; or a bond.",
     revoke_flags, "ducknode revoke dkl_… --reason \"its key was stolen\" --for-good", revoke},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
