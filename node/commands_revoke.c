/* Revocation, by who runs the node. */
#include "client/duck_client.h"
#include "commands.h"
#include "wire/local.pb-c.h"

#include <stdio.h>

static const struct command_flag revoke_flags[] = {
    {"reason", "TEXT", "for people: all who hold the revocation can read it (at most 256 bytes)"},
    {"for-good", NULL, "needed: nobody can take it back"},
    {NULL, NULL, NULL},
};

static int revoke(struct call *call)
{
    Duck__RevokeOrder revoke = DUCK__REVOKE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    const char *reason = call_flag(call, "reason");
    Duck__Reply *reply;
    int status;

    if (!call_has(call, "for-good"))
        return misused(call->command, "a revocation cannot be taken back: say so by --for-good");
    revoke.identity = (char *)(uintptr_t)call->arguments[0];
    revoke.reason = (char *)(uintptr_t)(reason ? reason : "");
    request.order_case = DUCK__REQUEST__ORDER_REVOKE;
    request.revoke = &revoke;
    reply = ask(call, &request, &status);
    if (!reply)
        return status;
    duck_reply_free(reply);
    if (call->json)
        print_json(json_pack("{s:s, s:b}", "identity", call->arguments[0], "revoked", 1));
    else
        printf("%s is revoked: the network is told, and what was open with it has ended\n",
               call->arguments[0]);
    return 0;
}

const struct command revoke_commands[] = {
    {"revoke", "DUCKLING|NODE", 1, 1,
     "End a duckling of this node, or the node's own identity, everywhere and for good.",
     revoke_flags, "ducknode revoke dkl_… --reason \"its key was stolen\" --for-good", revoke},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
