/* Grants: leave to peck a duckling, handed on from holder to holder.
 *
 * No node is asked: a grant is checked by what it says alone. Whoever signs is a duckling of this state
 * folder, whose key is opened with node.key, or has a file of its own that `grant key` wrote. */
#include "client/duck_grant.h"
#include "clock.h"
#include "commands.h"
#include "core/grant.h"
#include "fault.h"
#include "keyfile.h"
#include "store.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const struct command_flag grant_flags[] = {
    {"from", "DUCKLING", "who signs (narrow: the grant's holder); verify: who pecks"},
    {"to", "DUCKLING", "make, narrow: who may use it; verify: who is pecked"},
    {"scope", "SCOPE",
     "an action, or \"data.*\" (repeatable, at most 8; narrow: by default as it is)"},
    {"uses", "N", "pecks under it and all that is made of it (default: no limit of its own)"},
    {"further", "N", "how often it may be handed on, at most 7 (default: not at all)"},
    {"until", "TIME",
     "its end, as 2026-01-31T12:00:00Z or +SECONDS from now (default: make: a day; "
     "narrow: as it is)"},
    {"action", "ACTION", "verify: would it be allowed, as far as the grant says?"},
    {"at", "TIME", "verify: then (default: now)"},
    {"key", "FILE", "make, narrow: the signer's key, as `grant key` wrote it"},
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
    int fault = options_read_passphrase(&call->options, passphrase);

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

/* NULL: said why. `duckling` NULL: the one of --key. */
static struct duck_holder *open_signer(struct call *call, const char *duckling, int *status)
{
    const char *path = call_flag(call, "key"), *problem = "";
    struct duck_holder *holder;
    struct id id;

    if (!path && (!duckling || !id_parse(ID_DUCKLING, bytes_of_text(duckling), &id))) {
        *status =
            fail(call, "malformed", "who signs? --from a duckling (dkl_…) of this node, or --key");
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

    if (!duckling || !path || call_has(call, "key"))
        return fail(call, "usage", "grant key DUCKLING --out FILE");
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
    *status = fail(call, "usage", "grant %s FILE (-: what is piped in)", call->arguments[0]);
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
    FILE *file = path ? fopen(path, "we") : stdout;
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
    holder = open_signer(call, from || call_has(call, "key") ? from : part.holder, &status);
    if (holder) {
        narrower = duck_grant_narrow(holder, duck_grant_text(grant), &wish, &problem);
        status = narrower ? write_grant(call, narrower) : fail(call, "malformed", "%s", problem);
    }
    duck_holder_free(holder);
    duck_grant_free(grant);
    return status;
}

static int grant(struct call *call)
{
    static const struct {
        const char *name;
        int (*run)(struct call *call);
    } words[] = {
        {"make", make}, {"narrow", narrow}, {"show", show}, {"verify", verify}, {"key", write_key}};

    if (!identity_self_test())
        return fail(call, "crypto", "this libsodium judges signatures otherwise than the network");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(call->arguments[0], words[i].name) == 0)
            return words[i].run(call);
    return fail(call, "usage", "it can make, narrow, show, verify, key, not %s",
                call->arguments[0]);
}

const struct command grant_commands[] = {
    {"grant", "make | narrow FILE | show FILE | verify FILE | key DUCKLING", 1, 2,
     "Let others peck a duckling, as a file that each holder can narrow for the next; no node is "
     "asked.",
     grant_flags,
     "ducknode grant make --from dkl_… --to dkl_… --scope data.* --further 1 --out leave", grant},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
