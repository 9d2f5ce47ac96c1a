/* Grants: leave to peck a duckling, handed on from holder to holder.
 *
 * To make, narrow and check one no node is asked: it is judged by what it says alone. Only `revoke` and `list` go to
 * the node. Whoever signs is a duckling of this state
 * folder, whose key is opened with node.key, or has a file of its own that `grant key` wrote. */
#include "client/duck_client.h"
#include "client/duck_grant.h"
#include "clock.h"
#include "commands.h"
#include "core/binary_data.h"
#include "core/grant.h"
#include "fault.h"
#include "keyfile.h"
#include "passphrase.h"
#include "store.h"
#include "wire/local.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define REVOCATION_WAIT_MS 10000u /* for the node of the target */
#define CURSOR_SIZE 80u

static const struct command_flag grant_flags[] = {
    {"from", "DUCKLING", "who signs (narrow: the grant's holder) or revokes; verify: who pecks"},
    {"to", "DUCKLING", "make, narrow: who may use it; verify: who is pecked"},
    {"scope", "SCOPE",
     "an action, or \"data.*\" (repeatable, at most 8; narrow: by default as it is)"},
    {"uses", "N", "pecks under it and all that is made of it (default: no limit of its own)"},
    {"further", "N", "how often it may be handed on, at most 7 (default: not at all)"},
    {"until", "TIME",
     "its end, as 2026-01-31T12:00:00Z or +SECONDS from now (default: make: a day; "
     "narrow: as it is)"},
    {"block", "BLOCK", "revoke: this one (grt_…; default: the last that --from signed)"},
    {"action", "ACTION", "verify: would it be allowed, as far as the grant says?"},
    {"at", "TIME", "verify: then (default: now)"},
    {"key-file", "FILE", "make, narrow: the signer's key, as `grant key` or `key new` wrote it"},
    {"key", "FILE", "the same, as it was called at first"},
    {"out", "FILE", "where the grant, or the key, is written (a grant: by default printed)"},
    {"passphrase-file", "FILE", "opens node.key"},
    {NULL, NULL, NULL},
};

/* ---- who signs ---- */

static struct duck_holder *holder_of(struct call *call, const struct keyfile *keyfile,
                                     const struct id *duckling, int *status)
{
    char path[OPTIONS_PATH_SIZE + 16];
    struct duck_holder *holder = NULL;
    struct store_reader *reader;
    const char *problem = "";
    struct bytes chain;
    struct arena arena;
    uint8_t *seed;
    int fault;

    snprintf(path, sizeof path, "%s/node.db", call->options.state_dir);
    fault = store_reader_open(&reader, path);
    if (fault) {
        *status = fail(call, "file", "%s: %s", path, fault_text(fault));
        return NULL;
    }
    seed = sodium_malloc(SEED_SIZE);
    if (!seed)
        memory_ran_out();
    arena_init(&arena, 4 * PARSE_BUDGET(CHAIN_SIZE_MAX));
    chain = store_view_chain(reader, duckling, &arena);
    if (!store_view_live_seed(reader, keyfile->storage_key, duckling, seed))
        *status = fail(call, "not_hosted_here",
                       "%s has no key of this duckling that node.key opens", path);
    else if (!(holder = duck_holder_new(seed, chain.data, chain.size, &problem)))
        *status = fail(call, "key", "%s", problem);
    sodium_free(seed);
    store_reader_close(reader);
    arena_free(&arena);
    return holder;
}

/* Of a duckling that lives here, or lived when this copy of the state folder was made. */
static struct duck_holder *open_hosted(struct call *call, const struct id *duckling, int *status)
{
    struct passphrase *passphrase = passphrase_new();
    struct keyfile *keyfile = keyfile_new();
    struct duck_holder *holder = NULL;
    int fault = passphrase_read(&call->options, passphrase);

    if (!fault)
        fault = keyfile_open(KEYFILE_NODE, call->options.state_dir,
                             bytes_of(passphrase->data, passphrase->size), keyfile);
    if (fault)
        *status =
            fail(call, "key", "node.key in %s: %s", call->options.state_dir, fault_text(fault));
    else
        holder = holder_of(call, keyfile, duckling, status);
    keyfile_free(keyfile);
    sodium_free(passphrase);
    return holder;
}

static const char *key_path(const struct call *call)
{
    const char *path = call_flag(call, "key-file");

    return path ? path : call_flag(call, "key");
}

/* NULL: said why. `duckling` NULL: the one of --key-file. */
static struct duck_holder *open_signer(struct call *call, const char *duckling, int *status)
{
    const char *path = key_path(call), *problem = "";
    struct duck_holder *holder;
    struct id id;

    if (!path && (!duckling || !id_parse(ID_DUCKLING, bytes_of_text(duckling), &id))) {
        *status = fail(call, "malformed",
                       "who signs? --from a duckling (dkl_…) of this node, or --key-file");
        return NULL;
    }
    if (!path)
        return open_hosted(call, &id, status);
    holder = duck_holder_open(path, &problem);
    if (!holder) {
        *status = fail(call, "key", "%s: %s", path, problem);
    } else if (duckling && strcmp(duckling, duck_holder_id(holder)) != 0) {
        *status = fail(call, "key", "%s is the key of %s", path, duck_holder_id(holder));
        duck_holder_free(holder);
        holder = NULL;
    }
    return holder;
}

static int write_key(struct call *call)
{
    const char *duckling = call->argument_count > 1 ? call->arguments[1] : NULL;
    const char *path = call_flag(call, "out"), *problem = "";
    struct duck_holder *holder;
    int status = 0;

    if (!duckling || !path || key_path(call))
        return misused(call, "key takes DUCKLING and --out FILE");
    holder = open_signer(call, duckling, &status);
    if (!holder)
        return status;
    if (duck_holder_save(holder, path, &problem) != 0)
        status = fail(call, "file", "%s: %s", path, problem);
    else if (call->json)
        print_json(json_pack("{s:s, s:s}", "duckling", duckling, "file", path));
    else
        printf(
            "%s has the key of %s: whoever reads it is this duckling until its key is replaced\n",
            path, duckling);
    duck_holder_free(holder);
    return status;
}

/* ---- reading ---- */

struct duck_grant *call_grant(struct call *call, const char *path, int *status)
{
    static char text[DUCK_GRANT_TEXT_MAX + 64];
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "re");
    const char *problem = "";
    struct duck_grant *grant;
    size_t size;

    if (!file) {
        *status = fail(call, "file", "%s: %s", path, strerror(errno));
        return NULL;
    }
    size = fread(text, 1, sizeof text - 1, file);
    text[size] = 0;
    if (!is_input)
        fclose(file);
    grant = strlen(text) == size ? duck_grant_open(text, &problem) : NULL;
    if (!grant)
        *status = fail(call, "invalid", "%s: %s", path, *problem ? problem : "it is not text");
    return grant;
}

/* The file that the second word names. */
static struct duck_grant *read_grant(struct call *call, int *status)
{
    if (call->argument_count > 1)
        return call_grant(call, call->arguments[1], status);
    *status = misused(call, "%s takes FILE (-: what is piped in)", call->arguments[0]);
    return NULL;
}

/* ---- showing ---- */

static void print_part(const char *indent, const struct duck_grant_part *part)
{
    char until[32];

    printf("%sscopes  ", indent);
    for (size_t i = 0; i < part->scope_count; i++)
        printf("%s%s", i > 0 ? ", " : "", part->scopes[i]);
    printf("%s\n", part->scope_count > 0 ? "" : "none");
    if (part->uses > 0)
        printf("%suses    %" PRIu64 "\n", indent, part->uses);
    printf("%sfurther %u\n", indent, part->further);
    printf("%suntil   %s\n", indent, time_text(part->not_after_ms, until));
}

static json_t *json_of_part(const struct duck_grant_part *part)
{
    json_t *scopes = json_array();
    char issued[32], until[32];

    for (size_t i = 0; i < part->scope_count; i++)
        json_array_append_new(scopes, json_string(part->scopes[i]));
    return json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:s, s:s}", "block", part->id, "issuer",
                     part->issuer, "holder", part->holder, "scopes", scopes, "uses",
                     (json_int_t)part->uses, "further", (json_int_t)part->further, "issued_at",
                     time_text(part->issued_ms, issued), "not_after",
                     time_text(part->not_after_ms, until));
}

static json_t *json_of_grant(const struct duck_grant *grant)
{
    struct duck_grant_part part;
    json_t *blocks = json_array();
    json_t *document;

    for (size_t i = 0; duck_grant_block(grant, i, &part); i++)
        json_array_append_new(blocks, json_of_part(&part));
    duck_grant_whole(grant, &part);
    document = json_of_part(&part);
    json_object_set_new(document, "target", json_string(part.issuer));
    json_object_del(document, "issuer");
    json_object_set_new(document, "network", json_string(duck_grant_network(grant)));
    json_object_set_new(document, "blocks", blocks);
    json_object_set_new(document, "grant", json_string(duck_grant_text(grant)));
    return document;
}

static int show(struct call *call)
{
    struct duck_grant_part part;
    struct duck_grant *grant;
    int status = 0;

    grant = read_grant(call, &status);
    if (!grant)
        return status;
    if (call->json) {
        print_json(json_of_grant(grant));
    } else {
        duck_grant_whole(grant, &part);
        printf("%s may peck %s in %s\n", part.holder, part.issuer, duck_grant_network(grant));
        print_part("  ", &part);
        for (size_t i = 0; duck_grant_block(grant, i, &part); i++) {
            printf("  %s: %s for %s\n", part.id, part.issuer, part.holder);
            print_part("    ", &part);
        }
    }
    duck_grant_free(grant);
    return 0;
}

/* That it holds; and with --action, that it allows this. */
static int verify(struct call *call)
{
    const char *action = call_flag(call, "action"), *from = call_flag(call, "from");
    const char *to = call_flag(call, "to"), *problem = "";
    uint64_t at_ms = clock_wall_ms();
    struct duck_grant_part part;
    struct duck_grant *grant;
    int status = 0;

    if (!call_time(call, "at", &at_ms))
        return 2;
    grant = read_grant(call, &status);
    if (!grant)
        return status;
    duck_grant_whole(grant, &part);
    if (action && !duck_grant_allows(grant, from ? from : part.holder, to ? to : part.issuer,
                                     action, at_ms, &problem))
        status = fail(call, "not_allowed", "%s", problem);
    else if (call->json)
        print_json(json_of_grant(grant));
    else
        printf("valid: %s may peck %s, as far as the grant says; whether a block was revoked or is "
               "used up, the latter's node alone knows\n",
               part.holder, part.issuer);
    duck_grant_free(grant);
    return status;
}

/* ---- making ---- */

static bool read_wish(struct call *call, const char **scopes, struct duck_grant_wish *wish)
{
    uint64_t further = 0;

    if (!call_number(call, "uses", &wish->uses) || !call_number(call, "further", &further) ||
        !call_time(call, "until", &wish->not_after_ms))
        return false;
    wish->network = call->options.network;
    wish->holder = call_flag(call, "to");
    wish->scopes = scopes;
    wish->scope_count = call_flags(call, "scope", scopes, FLAGS_MAX);
    wish->further = further < GRANT_BLOCKS_MAX ? (unsigned)further : GRANT_BLOCKS_MAX;
    return true;
}

/* Frees the grant. */
static int write_grant(struct call *call, struct duck_grant *grant)
{
    const char *path = call_flag(call, "out");
    FILE *file = path ? fopen(path, "wxe") : stdout; /* what is there may be a key */
    int status = 0;

    if (!file) {
        status = fail(call, "file", "%s: %s", path, strerror(errno));
    } else if (!path && call->json) {
        print_json(json_of_grant(grant));
    } else {
        bool is_written = fprintf(file, "%s\n", duck_grant_text(grant)) > 0 && fflush(file) == 0;

        if (path)
            is_written = fclose(file) == 0 && is_written;
        if (!is_written)
            status = fail(call, "file", "%s: %s", path ? path : "output", strerror(errno));
        else if (path && call->json)
            print_json(json_of_grant(grant));
        else if (path)
            printf("written to %s\n", path);
    }
    duck_grant_free(grant);
    return status;
}

static int make(struct call *call)
{
    const char *scopes[FLAGS_MAX], *problem = "";
    struct duck_grant_wish wish = {0};
    struct duck_holder *issuer;
    struct duck_grant *grant;
    int status = 0;

    if (!read_wish(call, scopes, &wish))
        return 2;
    issuer = open_signer(call, call_flag(call, "from"), &status);
    if (!issuer)
        return status;
    grant = duck_grant_make(issuer, &wish, &problem);
    duck_holder_free(issuer);
    return grant ? write_grant(call, grant) : fail(call, "malformed", "%s", problem);
}

static int narrow(struct call *call)
{
    const char *scopes[FLAGS_MAX], *problem = "", *from = call_flag(call, "from");
    struct duck_grant *grant, *narrower = NULL;
    struct duck_grant_wish wish = {0};
    struct duck_holder *holder;
    struct duck_grant_part part;
    int status = 0;

    if (!read_wish(call, scopes, &wish))
        return 2;
    grant = read_grant(call, &status);
    if (!grant)
        return status;
    duck_grant_whole(grant, &part);
    holder = open_signer(call, from || key_path(call) ? from : part.holder, &status);
    if (holder) {
        narrower = duck_grant_narrow(holder, duck_grant_text(grant), &wish, &problem);
        status = narrower ? write_grant(call, narrower) : fail(call, "malformed", "%s", problem);
    }
    duck_holder_free(holder);
    duck_grant_free(grant);
    return status;
}

/* ---- with the node ---- */

/* --block, or the last that --from (by default who signed the last one) signed. */
static bool choose_block(const struct call *call, const struct duck_grant *grant,
                         struct duck_grant_part *chosen, size_t *number)
{
    const char *block = call_flag(call, "block"), *from = call_flag(call, "from");
    struct duck_grant_part part;
    bool is_found = false;

    for (size_t i = 0; duck_grant_block(grant, i, &part); i++)
        if (block ? !strcmp(block, part.id) : !from || !strcmp(from, part.issuer)) {
            *chosen = part;
            *number = i;
            is_found = true;
        }
    return is_found;
}

static struct bytes cut_grant(const struct duck_grant *grant, size_t count, struct arena *arena)
{
    struct grant *opened = arena_take(arena, sizeof *opened);
    size_t size;
    const void *data = duck_grant_bytes(grant, &size);

    if (!opened || grant_open(bytes_of(data, size), arena, opened, NULL) != GRANT_OK)
        memory_ran_out(); /* it was opened before */
    return grant_cut(opened, count, arena);
}

static int order_revocation(struct call *call, const char *target, struct bytes wire)
{
    Duck__GrantRevokeOrder revocation = DUCK__GRANT_REVOKE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    int status;

    revocation.duckling = (char *)(uintptr_t)target;
    revocation.grant = lent(wire);
    request.order_case = DUCK__REQUEST__ORDER_REVOKE_GRANT;
    request.revoke_grant = &revocation;
    reply = ask(call, &request, &status);
    if (!reply)
        return status;
    duck_reply_free(reply);
    return 0;
}

/* Who is not the target tells it so: kept, tried until it is there, and answered by its node. */
static int send_revocation(struct call *call, const char *from, const char *target,
                           struct bytes wire, bool *is_done)
{
    Duck__SendOrder send = DUCK__SEND_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    const Duck__PeckView *peck;
    Duck__Reply *reply;
    int status;

    send.from = (char *)(uintptr_t)from;
    send.to = (char *)(uintptr_t)target;
    send.kind = PECK_ACTION;
    send.action = lent(bytes_of_text(GRANT_REVOKE_ACTION));
    send.payload = lent(bytes_of_text("{}"));
    send.grant = lent(wire);
    send.expires_in_ms = PECK_LIFE_MAX_MS;
    send.wait_for = DUCK__WAIT_FOR__WAIT_DONE;
    send.wait_ms = REVOCATION_WAIT_MS;
    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = &send;
    reply = ask(call, &request, &status);
    if (!reply)
        return status;
    peck = reply->peck;
    *is_done = !strcmp(peck->state, "answered");
    if (!strcmp(peck->state, "failed") || !strcmp(peck->state, "denied"))
        status = fail(call, *peck->refusal ? peck->refusal : "not_allowed", "%.*s",
                      (int)peck->problem.len, (const char *)peck->problem.data);
    duck_reply_free(reply);
    return status;
}

static void say_revoked(const struct call *call, const char *block, bool is_done)
{
    if (call->json)
        print_json(json_pack("{s:s, s:b}", "block", block, "revoked", is_done));
    else if (is_done)
        printf("%s is revoked, and all that was made of it\n", block);
    else
        printf("%s: the target's node is not there; it is told when it is, within 7 days\n", block);
}

static int revoke(struct call *call)
{
    const char *from = call_flag(call, "from");
    struct duck_grant_part whole, part = {0};
    struct duck_grant *grant;
    struct arena arena;
    bool is_done = true;
    size_t number = 0;
    int status = 0;

    grant = read_grant(call, &status);
    if (!grant)
        return status;
    arena_init(&arena, SIZE_MAX);
    duck_grant_whole(grant, &whole);
    if (!choose_block(call, grant, &part, &number)) {
        status = fail(call, "not_found", "the grant has no such block");
    } else {
        struct bytes wire = cut_grant(grant, number + 1, &arena);

        from = from ? from : part.issuer;
        status = strcmp(from, whole.issuer)
                     ? send_revocation(call, from, whole.issuer, wire, &is_done)
                     : order_revocation(call, whole.issuer, wire);
        if (status == 0)
            say_revoked(call, part.id, is_done);
    }
    arena_free(&arena);
    duck_grant_free(grant);
    return status;
}

static void print_view(const Duck__GrantView *block)
{
    char at[32];

    printf("%s\tof %s for %s", block->block_id, block->issuer, block->holder);
    if (block->uses > 0)
        printf("\tused %" PRIu64 " of %" PRIu64, block->used, block->uses);
    if (block->revoked_ms > 0)
        printf("\trevoked %s", time_text(block->revoked_ms, at));
    printf("\tuntil %s\n", time_text(block->not_after_ms, at));
}

/* All pages, as if they were one. */
static int list(struct call *call)
{
    const char *duckling = call->argument_count > 1 ? call->arguments[1] : "";
    json_t *blocks = json_array();
    char cursor[CURSOR_SIZE] = "";
    int status = 0;

    do {
        Duck__GrantsQuery query = DUCK__GRANTS_QUERY__INIT;
        Duck__Request request = DUCK__REQUEST__INIT;
        Duck__Reply *reply;

        query.duckling = (char *)(uintptr_t)duckling;
        query.cursor = cursor;
        request.order_case = DUCK__REQUEST__ORDER_GRANTS;
        request.grants = &query;
        reply = ask(call, &request, &status);
        if (!reply)
            break;
        for (size_t i = 0; i < reply->grants->n_blocks; i++)
            if (call->json)
                json_array_append_new(blocks, json_of_message(reply->grants->blocks[i]));
            else
                print_view(reply->grants->blocks[i]);
        snprintf(cursor, sizeof cursor, "%s", reply->grants->next_cursor);
        duck_reply_free(reply);
    } while (cursor[0]);
    if (call->json && status == 0)
        print_json(json_pack("{s:O}", "blocks", blocks));
    json_decref(blocks);
    return status;
}

static int grant(struct call *call)
{
    static const struct {
        const char *name;
        int (*run)(struct call *call);
    } words[] = {{"make", make},     {"narrow", narrow}, {"show", show}, {"verify", verify},
                 {"key", write_key}, {"revoke", revoke}, {"list", list}};

    if (!identity_self_test())
        return fail(call, "crypto", "this libsodium judges signatures otherwise than the network");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(call->arguments[0], words[i].name) == 0)
            return words[i].run(call);
    return misused_word(call);
}

const struct command grant_commands[] = {
    {"grant", "make|narrow|show|verify|key|revoke|list [FILE|DUCKLING]", 1, 2,
     "Let others peck a duckling, by a file that each holder can narrow for the next (only revoke "
     "and list ask a node).",
     grant_flags,
     "ducknode grant make --from dkl_… --to dkl_… --scope 'data.*' --further 1 --out leave", grant},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
