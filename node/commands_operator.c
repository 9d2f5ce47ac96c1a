/* Operators: their keys, what they sign, and which of them this node trusts.
 *
 * What an operator signs is a document: {"voucher", "chain"} in base64, and in clear what it says, for
 * people. The same form serves for a duckling (published by the duckling's node) and for a domain (served at
 * https://DOMAIN/.well-known/duck-operator.json). Signing needs no node. */
#include "client/duck_client.h"
#include "clock.h"
#include "commands.h"
#include "core/binary_data.h"
#include "core/voucher.h"
#include "core/withdrawal.h"
#include "fault.h"
#include "keyfile.h"
#include "passphrase.h"
#include "wire/local.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER "operator"
#define CHAIN_FILE "operator.chain"
#define DOCUMENT_MAX (2u * CHAIN_SIZE_MAX)

static const char *folder_of(const struct call *call, char path[OPTIONS_PATH_SIZE + 16])
{
    const char *given = call_flag(call, "dir");

    if (given)
        return given;
    snprintf(path, OPTIONS_PATH_SIZE + 16, "%s/" FOLDER, call->options.state_dir);
    return path;
}

/* ---- the key ---- */

/* An operator, opened; `key` is the caller's to free. */
struct opened_operator {
    struct identity_key *key;
    struct bytes chain_wire; /* in the arena */
    struct id id;
};

static int read_chain(const char *folder, struct arena *arena, struct bytes *chain)
{
    char path[OPTIONS_PATH_SIZE + 32];
    uint8_t *data = arena_take(arena, CHAIN_SIZE_MAX + 1);
    size_t size;
    FILE *file;

    snprintf(path, sizeof path, "%s/" CHAIN_FILE, folder);
    file = fopen(path, "re");
    if (!file || !data)
        return FAULT_FILE;
    size = fread(data, 1, CHAIN_SIZE_MAX + 1, file);
    fclose(file);
    if (size == 0 || size > CHAIN_SIZE_MAX)
        return FAULT_CORRUPT;
    *chain = bytes_of(data, size);
    return 0;
}

static struct bytes make_chain(const char *name, const struct keyfile *keyfile,
                               const uint8_t next_seed[SEED_SIZE], struct arena *arena,
                               struct id *id)
{
    struct identity_key *key = identity_key_new(keyfile->seed), *next = identity_key_new(next_seed);
    struct public_key next_public = identity_key_public(next);
    struct certificate_wish wish = {
        .kind = IDENTITY_OPERATOR,
        .display_name = bytes_of_text(name),
        .issued_ms = clock_wall_ms(),
        .not_after_ms = clock_wall_ms() + CERTIFICATE_LIFE_MS,
        .next_key_hash = identity_key_hash(&next_public),
    };
    struct bytes certificate = certificate_make(&wish, key, arena, id);

    identity_key_free(key);
    identity_key_free(next);
    return chain_pack(&certificate, 1, arena);
}

static int create(const struct call *call, const char *folder, const char *name, bool *is_sealed,
                  struct id *id)
{
    struct passphrase *passphrase = passphrase_new();
    uint8_t *next_seed = sodium_malloc(SEED_SIZE);
    struct keyfile *keyfile = keyfile_new();
    struct arena arena;
    int fault;

    if (!next_seed)
        memory_ran_out();
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    randombytes_buf(keyfile->seed, sizeof keyfile->seed);
    randombytes_buf(next_seed, SEED_SIZE);
    fault = passphrase_read(&call->options, passphrase);
    if (!fault)
        fault = keyfile_create(KEYFILE_OPERATOR, folder, keyfile, next_seed,
                               bytes_of(passphrase->data, passphrase->size),
                               make_chain(name, keyfile, next_seed, &arena, id));
    *is_sealed = passphrase->size > 0;
    arena_free(&arena);
    keyfile_free(keyfile);
    sodium_free(next_seed);
    sodium_free(passphrase);
    return fault;
}

static int init(struct call *call)
{
    const char *name = call_flag(call, "name");
    char path[OPTIONS_PATH_SIZE + 16], text[ID_TEXT_SIZE];
    const char *folder = folder_of(call, path);
    bool is_sealed;
    struct id id;
    int fault;

    if (!name || strlen(name) > NAME_MAX_BYTES || !bytes_are_display_name(bytes_of_text(name)))
        return fail(call, "malformed", "--name says who you are to others: 1 to 64 bytes of UTF-8");
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return fail(call, "file", "%s: %s", folder, strerror(errno));
    fault = create(call, folder, name, &is_sealed, &id);
    if (fault)
        return fail(call, "file", "%s: %s", folder,
                    fault == FAULT_BUSY ? "there is an operator already" : fault_text(fault));
    id_text(ID_OPERATOR, &id, text);
    if (call->json) {
        print_json(json_pack("{s:s, s:s, s:b}", "operator_id", text, "folder", folder, "sealed",
                             is_sealed));
        return 0;
    }
    printf("%s, in %s\n", text, folder);
    printf("operator.next.key is needed only when the key is replaced: keep it elsewhere.\n");
    if (!is_sealed)
        printf("The key is not sealed: whoever reads the files is this operator "
               "(--passphrase-file seals them).\n");
    return 0;
}

/* Returns the exit status; 0: opened. */
static int open_operator(struct call *call, struct arena *arena, struct opened_operator *opened)
{
    struct passphrase *passphrase = passphrase_new();
    struct keyfile *keyfile = keyfile_new();
    char path[OPTIONS_PATH_SIZE + 16];
    const char *folder = folder_of(call, path);
    struct public_key ours, speaks;
    struct chain chain;
    int fault;

    fault = passphrase_read(&call->options, passphrase);
    if (!fault)
        fault = keyfile_open(KEYFILE_OPERATOR, folder, bytes_of(passphrase->data, passphrase->size),
                             keyfile);
    if (!fault)
        fault = read_chain(folder, arena, &opened->chain_wire);
    if (!fault) {
        opened->key = identity_key_new(keyfile->seed);
        ours = identity_key_public(opened->key);
        if (chain_open(opened->chain_wire, arena, &chain) != CERTIFICATE_TAKEN ||
            chain_key_at(&chain, clock_wall_ms(), &speaks) != CERTIFICATE_TAKEN ||
            memcmp(ours.bytes, speaks.bytes, PUBLIC_KEY_SIZE) != 0)
            fault = FAULT_CORRUPT;
        else
            opened->id = chain.identity;
    }
    keyfile_free(keyfile);
    sodium_free(passphrase);
    if (!fault)
        return 0;
    identity_key_free(opened->key);
    opened->key = NULL;
    return fail(call, "key", "%s: %s", folder, fault_text(fault));
}

/* ---- documents ---- */

static char *base64_of(struct bytes bytes)
{
    size_t size = sodium_base64_ENCODED_LEN(bytes.size, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(size);

    if (!text)
        memory_ran_out();
    sodium_bin2base64(text, size, bytes.data, bytes.size, sodium_base64_VARIANT_ORIGINAL);
    return text;
}

/* `subject_kind` of a voucher that is about no domain. */
static json_t *document_of(const struct voucher *voucher, enum id_kind subject_kind,
                           struct bytes wire, struct bytes chain)
{
    char operator_id[ID_TEXT_SIZE], subject[ID_TEXT_SIZE], until[32];
    char *voucher_text = base64_of(wire), *chain_text = base64_of(chain);
    json_t *document = json_pack("{s:s, s:s, s:s, s:s}", "operator",
                                 id_text(ID_OPERATOR, &voucher->operator_id, operator_id),
                                 "not_after", time_text(voucher->not_after_ms, until), "voucher",
                                 voucher_text, "chain", chain_text);

    if (voucher->domain.size > 0)
        json_object_set_new(document, "domain",
                            json_stringn((const char *)voucher->domain.data, voucher->domain.size));
    else
        json_object_set_new(document, subject_kind == ID_NODE ? "node" : "duckling",
                            json_string(id_text(subject_kind, &voucher->subject, subject)));
    free(voucher_text);
    free(chain_text);
    return document;
}

static struct bytes decode(const json_t *document, const char *member, struct arena *arena)
{
    const char *text = json_string_value(json_object_get(document, member));
    size_t size = text ? strlen(text) : 0, decoded = 0;
    uint8_t *data = arena_take(arena, size + 1);

    if (!text || !data ||
        sodium_base642bin(data, size + 1, text, size, NULL, &decoded, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return bytes_of(NULL, 0);
    return bytes_of(data, decoded);
}

struct document {
    struct bytes wire, chain; /* in the arena */
    struct voucher voucher;
};

/* Returns the exit status; 0: it holds. `where` is what is said of it. */
static int read_document(struct call *call, json_t *parsed, const char *where, struct arena *arena,
                         struct document *document)
{
    enum voucher_verdict verdict;

    document->wire = decode(parsed, "voucher", arena);
    document->chain = decode(parsed, "chain", arena);
    if (!document->wire.data || !document->chain.data)
        return fail(call, "malformed", "%s: it needs the members voucher and chain, in base64",
                    where);
    verdict = voucher_open(document->wire, document->chain, arena, &document->voucher);
    if (verdict != VOUCHER_OK)
        return fail(call, "invalid", "%s: %s", where, voucher_verdict_text(verdict));
    return 0;
}

/* ---- signing ---- */

static int write_document(struct call *call, json_t *document)
{
    const char *path = call_flag(call, "out");
    int status = 0;

    if (!path) {
        print_json(document);
        return 0;
    }
    if (json_dump_file(document, path, JSON_INDENT(2)) != 0)
        status = fail(call, "file", "%s: %s", path, strerror(errno));
    else if (!call->json)
        printf("written to %s\n", path);
    json_decref(document);
    return status;
}

/* A duckling, a node of a closed fleet, or a domain. */
static bool read_subject(const char *text, struct voucher *voucher)
{
    struct bytes name = bytes_of_text(text);

    if (id_parse(ID_DUCKLING, name, &voucher->subject) ||
        id_parse(ID_NODE, name, &voucher->subject))
        return true;
    voucher->domain = name;
    return domain_is_valid(name);
}

static int sign(struct call *call)
{
    uint64_t days = VOUCHER_LIFE_MS / DAY_MS;
    struct voucher voucher = {.network = bytes_of_text(call->options.network)};
    struct opened_operator opened = {0};
    struct bytes body, wire;
    struct arena arena;
    int status;

    if (!call_number(call, "days", &days))
        return 2;
    if (call->argument_count < 2)
        return misused(call, "sign whom? a duckling, a node of your fleet, or a domain of yours");
    if (!read_subject(call->arguments[1], &voucher))
        return fail(call, "malformed",
                    "'%s' is neither the id of a duckling or a node nor a host name in lower case",
                    call->arguments[1]);
    if (days == 0 || days > VOUCHER_LIFE_MAX_MS / DAY_MS)
        return fail(call, "malformed", "--days is 1 to %u",
                    (unsigned)(VOUCHER_LIFE_MAX_MS / DAY_MS));
    arena_init(&arena, 4 * PARSE_BUDGET(CHAIN_SIZE_MAX));
    status = open_operator(call, &arena, &opened);
    if (status == 0) {
        voucher.operator_id = opened.id;
        voucher.issued_ms = clock_wall_ms();
        voucher.not_after_ms = voucher.issued_ms + days * DAY_MS;
        if (voucher_pack(&voucher, &arena, &body) != VOUCHER_OK)
            memory_ran_out(); /* what it says was judged above */
        wire = envelope_seal(ENVELOPE_VOUCHER, &opened.id, opened.key, body, &arena, NULL);
        status = write_document(
            call,
            document_of(&voucher, strncmp(call->arguments[1], "nod_", 4) ? ID_DUCKLING : ID_NODE,
                        wire, opened.chain_wire));
    }
    identity_key_free(opened.key);
    arena_free(&arena);
    return status;
}

/* ---- to the node ---- */

static json_t *load(struct call *call, const char *path)
{
    json_error_t error;
    json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

    if (!document)
        fail(call, "malformed", "%s: %s", path, error.text);
    return document;
}

static int order(struct call *call, Duck__Request *request, const char *done)
{
    Duck__Reply *reply;
    int status;

    reply = ask(call, request, &status);
    if (!reply)
        return status;
    duck_reply_free(reply);
    if (call->json)
        print_json(json_pack("{s:s}", "done", done));
    else
        printf("%s\n", done);
    return 0;
}

/* ---- taking back ---- */

static int make_withdrawal(struct call *call, const struct opened_operator *opened,
                           struct withdrawal_wish *wish, struct arena *arena, struct bytes *wire,
                           struct bytes *chain)
{
    uint8_t(*seeds)[SEED_SIZE] = sodium_malloc(2 * sizeof *seeds);
    enum withdrawal_verdict verdict;

    if (!seeds)
        memory_ran_out();
    randombytes_buf(seeds, 2 * sizeof *seeds); /* nobody has them afterwards */
    wish->seeds = (const uint8_t(*)[SEED_SIZE])seeds;
    wish->operator_id = opened->id;
    wish->operator_key = opened->key;
    wish->operator_chain = opened->chain_wire;
    wish->until_ms = clock_wall_ms();
    verdict = withdrawal_make(wish, arena, wire, chain);
    sodium_free(seeds);
    return verdict == WITHDRAWAL_OK
               ? 0
               : fail(call, "malformed", "%s", withdrawal_verdict_text(verdict));
}

static json_t *withdrawal_document(const struct withdrawal_wish *wish, enum id_kind kind,
                                   struct bytes wire, struct bytes chain)
{
    char operator_id[ID_TEXT_SIZE], subject[ID_TEXT_SIZE], at[32];
    char *wire_text = base64_of(wire), *chain_text = base64_of(chain);
    json_t *document = json_pack(
        "{s:s, s:s, s:s, s:s, s:s}", "operator",
        id_text(ID_OPERATOR, &wish->operator_id, operator_id),
        kind == ID_NODE ? "node" : "duckling", id_text(kind, &wish->subject, subject), "taken_back",
        time_text(wish->until_ms, at), "withdrawal", wire_text, "chain", chain_text);

    free(wire_text);
    free(chain_text);
    return document;
}

static int order_withdrawal(struct call *call, struct bytes wire, struct bytes chain)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__WithdrawOrder withdraw = DUCK__WITHDRAW_ORDER__INIT;

    withdraw.record = lent(wire);
    withdraw.chain = lent(chain);
    request.order_case = DUCK__REQUEST__ORDER_WITHDRAW;
    request.withdraw = &withdraw;
    return order(call, &request,
                 "taken back: the network is told, and what was signed until now is void");
}

static int take_back(struct call *call)
{
    struct withdrawal_wish wish = {.network = bytes_of_text(call->options.network)};
    struct opened_operator opened = {0};
    struct bytes wire, chain, name;
    enum id_kind kind = ID_DUCKLING;
    struct arena arena;
    int status;

    name = bytes_of_text(call->argument_count > 1 ? call->arguments[1] : "");
    if (id_parse(ID_NODE, name, &wish.subject))
        kind = ID_NODE;
    else if (!id_parse(ID_DUCKLING, name, &wish.subject))
        return misused(call, "revoke whose vouchers? the id of a duckling, or of a node of your "
                             "fleet");
    arena_init(&arena, 4 * PARSE_BUDGET(CHAIN_SIZE_MAX));
    status = open_operator(call, &arena, &opened);
    if (status == 0)
        status = make_withdrawal(call, &opened, &wish, &arena, &wire, &chain);
    if (status == 0)
        status = call_has(call, "out")
                     ? write_document(call, withdrawal_document(&wish, kind, wire, chain))
                     : order_withdrawal(call, wire, chain);
    identity_key_free(opened.key);
    arena_free(&arena);
    return status;
}

static int publish_withdrawal(struct call *call, json_t *parsed, struct arena *arena)
{
    struct bytes wire = decode(parsed, "withdrawal", arena), chain = decode(parsed, "chain", arena);

    if (!wire.data || !chain.data)
        return fail(call, "malformed", "%s: it needs the members withdrawal and chain, in base64",
                    call->arguments[1]);
    return order_withdrawal(call, wire, chain);
}

static int publish_voucher(struct call *call, json_t *parsed, struct arena *arena)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__VouchOrder vouch = DUCK__VOUCH_ORDER__INIT;
    char duckling[ID_TEXT_SIZE];
    struct document document = {0};
    int status = read_document(call, parsed, call->arguments[1], arena, &document);

    if (status != 0)
        return status;
    if (document.voucher.domain.size > 0)
        return fail(call, "malformed",
                    "%s is about a domain: it is served there, at /.well-known/duck-operator.json",
                    call->arguments[1]);
    vouch.duckling = (char *)(uintptr_t)id_text(ID_DUCKLING, &document.voucher.subject, duckling);
    vouch.voucher = lent(document.wire);
    vouch.chain = lent(document.chain);
    request.order_case = DUCK__REQUEST__ORDER_VOUCH;
    request.vouch = &vouch;
    return order(call, &request, "published: it is renewed as long as it lives");
}

static int publish(struct call *call)
{
    struct arena arena;
    json_t *parsed;
    int status;

    if (call->argument_count < 2)
        return misused(call, "publish which file? what operator sign or revoke wrote");
    parsed = load(call, call->arguments[1]);
    if (!parsed)
        return 1;
    arena_init(&arena, 4 * PARSE_BUDGET(CHAIN_SIZE_MAX));
    status = json_object_get(parsed, "withdrawal") ? publish_withdrawal(call, parsed, &arena)
                                                   : publish_voucher(call, parsed, &arena);
    json_decref(parsed);
    arena_free(&arena);
    return status;
}

/* What the domain serves, as the gateway's program fetches it: it knows which addresses not to touch. */
static json_t *fetch(struct call *call, const char *domain)
{
    char *argv[] = {call->options.gateway_program, lent_text("--fetch-operator"), lent_text(domain),
                    NULL};
    json_t *document = NULL;
    json_error_t error;
    int ends[2], status;
    FILE *answer;
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) != 0 || (child = fork()) < 0) {
        fail(call, "system", "%s", strerror(errno));
        return NULL;
    }
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execv(argv[0], argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    answer = fdopen(ends[0], "r");
    if (answer) {
        document = json_loadf(answer, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &error);
        fclose(answer);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (document && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return document;
    json_decref(document);
    fail(call, "unreachable", "https://%s/.well-known/duck-operator.json could not be fetched",
         domain);
    return NULL;
}

static int trust_domain(struct call *call, json_t *parsed, const char *domain, uint64_t days)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__TrustOrder trust = DUCK__TRUST_ORDER__INIT;
    struct document document;
    struct arena arena;
    int status;

    arena_init(&arena, 4 * PARSE_BUDGET(CHAIN_SIZE_MAX));
    status = read_document(call, parsed, domain, &arena, &document);
    if (status == 0) {
        trust.operator_ = lent_text("");
        trust.domain = lent_text(domain);
        trust.voucher = lent(document.wire);
        trust.chain = lent(document.chain);
        trust.not_after_ms = days ? clock_wall_ms() + days * DAY_MS : 0;
        request.order_case = DUCK__REQUEST__ORDER_TRUST;
        request.trust = &trust;
        status = order(call, &request, "trusted, as long as the domain's word lives");
    }
    arena_free(&arena);
    return status;
}

static int trust_operator(struct call *call, const char *operator_id, uint64_t days, bool forget)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__TrustOrder trust = DUCK__TRUST_ORDER__INIT;

    trust.operator_ = lent_text(operator_id);
    trust.domain = lent_text("");
    trust.not_after_ms = days ? clock_wall_ms() + days * DAY_MS : 0;
    trust.forget = forget;
    request.order_case = DUCK__REQUEST__ORDER_TRUST;
    request.trust = &trust;
    return order(call, &request, forget ? "not trusted any longer" : "trusted");
}

static int trust(struct call *call, bool forget)
{
    const char *whom = call->argument_count > 1 ? call->arguments[1] : "";
    uint64_t days = 0;
    json_t *document;
    struct id id;
    int status;

    if (!call_number(call, "days", &days))
        return 2;
    if (id_parse(ID_OPERATOR, bytes_of_text(whom), &id))
        return trust_operator(call, whom, days, forget);
    if (forget || !domain_is_valid(bytes_of_text(whom)))
        return misused(call, "whom? an operator's id%s", forget ? "" : ", or the domain of one");
    document = call_has(call, "file") ? load(call, call_flag(call, "file")) : fetch(call, whom);
    if (!document)
        return 1;
    status = trust_domain(call, document, whom, days);
    json_decref(document);
    return status;
}

static int list(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__TrustQuery query = DUCK__TRUST_QUERY__INIT;
    Duck__Reply *reply;
    char until[32];
    int status;

    request.order_case = DUCK__REQUEST__ORDER_TRUSTED;
    request.trusted = &query;
    reply = ask(call, &request, &status);
    if (!reply)
        return status;
    if (call->json)
        print_json(json_of_message(reply->trusted));
    for (size_t i = 0; !call->json && i < reply->trusted->n_operators; i++) {
        const Duck__TrustView *view = reply->trusted->operators[i];

        printf("%s  %s  until %s\n", view->operator_,
               *view->domain ? view->domain : "by the owner's word",
               view->until_ms ? time_text(view->until_ms, until) : "taken back");
    }
    if (!call->json && reply->trusted->n_operators == 0)
        printf("no operator is trusted: so no duckling is T2 here\n");
    duck_reply_free(reply);
    return 0;
}

static int run(struct call *call)
{
    const char *what = call->arguments[0];

    if (!identity_self_test())
        return fail(call, "crypto", "this libsodium judges signatures otherwise than the network");
    if (strcmp(what, "init") == 0)
        return init(call);
    if (strcmp(what, "sign") == 0)
        return sign(call);
    if (strcmp(what, "revoke") == 0)
        return take_back(call);
    if (strcmp(what, "publish") == 0)
        return publish(call);
    if (strcmp(what, "trust") == 0)
        return trust(call, false);
    if (strcmp(what, "distrust") == 0)
        return trust(call, true);
    if (strcmp(what, "list") == 0)
        return list(call);
    return misused_word(call);
}

static const struct command_flag flags[] = {
    {"dir", "DIR", "the operator's keys; default: operator in the node's state folder"},
    {"name", "NAME", "init: who you are, to others"},
    {"passphrase-file", "FILE",
     "init, sign, revoke: seals, or opens, the keys with what is in there"},
    {"days", "N", "sign: how long it holds (30; at most 90). trust: how long"},
    {"out", "FILE",
     "sign: write it here. revoke: do so, instead of telling the network; for publish"},
    {"file", "FILE", "trust DOMAIN: what the domain serves, instead of fetching it"},
    {NULL, NULL, NULL},
};

const struct command operator_commands[] = {
    {"operator",
     "init | sign DUCKLING|NODE|DOMAIN | revoke DUCKLING|NODE | publish FILE | trust "
     "OPERATOR|DOMAIN | "
     "distrust OPERATOR | "
     "list",
     1, 2,
     "Operators answer for ducklings: make one, sign, publish what was signed, say whom this node "
     "trusts.",
     flags, "ducknode operator sign dkl_… --days 30 --out voucher.json", run},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
