/* Ducklings that keep their own keys: their key files, made where no node is asked, and what they are to sign. */
#include "client/duck_client.h"
#include "client/duck_key.h"
#include "commands.h"
#include "core/envelope.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define BASE64 sodium_base64_VARIANT_ORIGINAL

struct duck_holder *call_holder(struct call *call, int *status)
{
    const char *path = call_flag(call, "key-file"), *problem = "";
    struct duck_holder *holder = duck_holder_open(path, &problem);

    if (!holder)
        *status = fail(call, "key", "%s: %s", path, problem);
    return holder;
}

/* NULL: said why. */
static struct duck *connect_to(struct call *call, int *status)
{
    const char *problem = "";
    struct duck *duck = NULL;

    if (duck_connect(&duck, call->options.socket, &problem) != 0)
        *status = fail(call, "unreachable", "%s (%s)", problem, call->options.socket);
    return duck;
}

/* Frees the answer. */
static int judge(struct call *call, struct duck_answer *answer)
{
    const char *field = duck_field(answer);
    int status = 0;

    if (!duck_ok(answer))
        status = fail(call, duck_code(answer), "%s%s%s%s", duck_message(answer), *field ? " (" : "",
                      field, *field ? ")" : "");
    duck_answer_free(answer);
    return status;
}

/* ---- key files ---- */

static int say_made(struct call *call, const char *path, const char *next_path)
{
    const char *problem = "";
    struct duck_holder *holder = duck_holder_open(path, &problem);

    if (!holder)
        return fail(call, "key", "%s: %s", path, problem);
    if (call->json)
        print_json(json_pack("{s:s, s:s, s:s}", "duckling", duck_holder_id(holder), "file", path,
                             "next_file", next_path));
    else
        printf("%s has the key of %s: whoever reads it is this duckling\n"
               "%s has the one that follows it: keep it elsewhere, a thief of the first must not "
               "find it\n",
               path, duck_holder_id(holder), next_path);
    duck_holder_free(holder);
    return 0;
}

static int make_key(struct call *call)
{
    const char *path = call_flag(call, "out"), *next_path = call_flag(call, "next-out");
    const char *problem = "";

    if (call->argument_count != 2 || !path || !next_path)
        return misused(call, "new takes NAME, --out and --next-out");
    if (duck_key_make(call->arguments[1], path, next_path, &problem) != 0)
        return fail(call, "key", "%s", problem);
    return say_made(call, path, next_path);
}

static int hand_in(struct call *call)
{
    struct duck_holder *holder;
    struct duck *duck;
    int status = 0;

    if (!call_has(call, "key-file"))
        return misused(call, "hand-in takes --key-file");
    holder = call_holder(call, &status);
    duck = holder ? connect_to(call, &status) : NULL;
    if (duck)
        status = judge(call, duck_hand_in(duck, holder));
    if (duck && status == 0 && call->json)
        print_json(json_pack("{s:s}", "duckling", duck_holder_id(holder)));
    else if (duck && status == 0)
        printf("%s speaks with the key in %s; what it says has to be signed anew: ducknode sign\n",
               duck_holder_id(holder), call_flag(call, "key-file"));
    duck_close(duck);
    duck_holder_free(holder);
    return status;
}

static int rotate_key(struct call *call)
{
    const char *next = call_flag(call, "next"), *path = call_flag(call, "out");
    const char *next_path = call_flag(call, "next-out"), *problem = "";
    struct duck_holder *holder, *rotated;
    int status = 0;

    if (!call_has(call, "key-file") || !next || !path || !next_path)
        return misused(call, "rotate takes --key-file, --next, --out and --next-out");
    holder = call_holder(call, &status);
    if (!holder)
        return status;
    rotated = duck_key_rotate(holder, next, next_path, &problem);
    if (!rotated)
        status = fail(call, "key", "%s", problem);
    else if (duck_holder_save(rotated, path, &problem) != 0)
        status = fail(call, "file", "%s: %s", path, problem);
    duck_holder_free(rotated);
    duck_holder_free(holder);
    return status ? status : say_made(call, path, next_path);
}

static int export_jws(struct call *call)
{
    struct duck_holder *holder;
    int status = 0;

    if (!call_has(call, "key-file"))
        return misused(call, "jws takes --key-file");
    holder = call_holder(call, &status);
    if (holder && call->json)
        print_json(json_pack("{s:s, s:s}", "format", "jws", "text", duck_key_jws(holder)));
    else if (holder)
        printf("%s\n", duck_key_jws(holder));
    duck_holder_free(holder);
    return status;
}

static int key(struct call *call)
{
    const char *what = call->arguments[0];

    if (strcmp(what, "new") == 0)
        return make_key(call);
    if (strcmp(what, "rotate") == 0)
        return rotate_key(call);
    if (strcmp(what, "hand-in") == 0)
        return hand_in(call);
    if (strcmp(what, "jws") == 0)
        return export_jws(call);
    return misused_word(call);
}

/* ---- what waits for signatures ---- */

static char *base64_of(struct bytes bytes)
{
    size_t size = sodium_base64_encoded_len(bytes.size, BASE64);
    char *text = memory_take(size);

    sodium_bin2base64(text, size, bytes.data, bytes.size, BASE64);
    return text;
}

static json_t *json_of(const struct duck_wanted *wanted)
{
    bool is_record = strcmp(wanted->type, envelope_type_name(ENVELOPE_RECORD)) == 0;
    struct bytes body = bytes_of(wanted->body, wanted->body_size);
    char asked[32], until[32], *body_text = base64_of(body), *to_sign_text;
    struct arena arena;
    json_t *json;

    arena_init(&arena, body.size + KIB);
    to_sign_text =
        base64_of(envelope_to_sign(is_record ? ENVELOPE_RECORD : ENVELOPE_RECEIPT, body, &arena));
    json =
        json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", wanted->id, "number",
                  (json_int_t)wanted->number, "type", wanted->type, "why", wanted->why, "peck_id",
                  wanted->peck_id, "asked_at", time_text(wanted->asked_ms, asked), "until",
                  time_text(wanted->until_ms, until), "body", body_text, "to_sign", to_sign_text);
    memory_give_back(body_text);
    memory_give_back(to_sign_text);
    arena_free(&arena);
    return json;
}

static void print_wanted(const struct duck_wanted *wanted)
{
    char until[32];

    printf("%s  %s: %s%s%s, until %s\n", wanted->id, wanted->type, wanted->why,
           *wanted->peck_id ? " " : "", wanted->peck_id, time_text(wanted->until_ms, until));
}

static int list(struct call *call, struct duck *duck, const char *duckling)
{
    uint64_t after = 0, wait_ms = 0;
    struct duck_wanted wanted;
    struct duck_answer *answer;
    json_t *things = json_array();

    if (!call_number(call, "after", &after) || !call_seconds(call, "wait", &wait_ms)) {
        json_decref(things);
        return 2;
    }
    answer = duck_wanted(duck, duckling, after, wait_ms);
    for (size_t i = 0; duck_wanted_item(answer, i, &wanted); i++) {
        if (call->json)
            json_array_append_new(things, json_of(&wanted));
        else
            print_wanted(&wanted);
    }
    if (call->json && duck_ok(answer))
        print_json(json_pack("{s:O}", "wanted", things));
    else if (duck_ok(answer) && duck_wanted_count(answer) == 0)
        printf("nothing waits for its signature\n");
    json_decref(things);
    return judge(call, answer);
}

/* All that waits; with --follow also what comes. */
static int sign_all(struct call *call, struct duck *duck, const struct duck_holder *holder)
{
    const char *problem = "";
    int count, all = 0;

    do {
        count = duck_sign_all(duck, holder, &problem);
        if (count < 0)
            return fail(call, "not_signed", "%s", problem);
        all += count;
        if (count > 0 && call_has(call, "follow") && !call->json)
            printf("signed: %d\n", count);
        fflush(stdout);
        if (call_has(call, "follow"))
            duck_answer_free(duck_wanted(duck, duck_holder_id(holder), 0, 30000));
    } while (call_has(call, "follow"));
    if (call->json)
        print_json(json_pack("{s:i}", "signed", all));
    else
        printf("signed: %d\n", all);
    return 0;
}

/* What was signed elsewhere. */
static int take_signature(struct call *call, const char *id)
{
    Duck__SignOrder sign = DUCK__SIGN_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    const char *text = call_flag(call, "signature");
    uint8_t signature[SIGNATURE_SIZE];
    Duck__Reply *reply;
    int status;

    if (sodium_base642bin(signature, sizeof signature, text, strlen(text), NULL,
                          &sign.signature.len, NULL, BASE64) != 0)
        return misused(call, "a signature is 64 bytes, in base64");
    sign.duckling = (char *)(uintptr_t)call->arguments[0];
    sign.id = (char *)(uintptr_t)id;
    sign.signature.data = signature;
    request.order_case = DUCK__REQUEST__ORDER_SIGN;
    request.sign = &sign;
    reply = ask(call, &request, &status);
    if (reply && call->json)
        print_json(json_of_message(reply->done));
    else if (reply)
        printf("signed: 1\n");
    duck_reply_free(reply);
    return status;
}

static int sign(struct call *call)
{
    bool signs = call_has(call, "key-file");
    struct duck_holder *holder = NULL;
    struct duck *duck;
    int status = 0;

    if (call_has(call, "signature"))
        return call->argument_count == 2 && !signs
                   ? take_signature(call, call->arguments[1])
                   : misused(call, "--signature goes with DUCKLING and ID");
    if (call->argument_count != (signs ? 0 : 1))
        return misused(call, "it takes a DUCKLING, whose list is shown, or --key-file");
    if (signs && !(holder = call_holder(call, &status)))
        return status;
    duck = connect_to(call, &status);
    if (duck)
        status = signs ? sign_all(call, duck, holder) : list(call, duck, call->arguments[0]);
    duck_close(duck);
    duck_holder_free(holder);
    return status;
}

static const struct command_flag key_flags[] = {
    {"out", "FILE", "new, rotate: where the key is written"},
    {"next-out", "FILE", "new, rotate: where the key that follows it is written"},
    {"key-file", "FILE", "rotate, hand-in, jws: the key"},
    {"next", "FILE", "rotate: the key that follows it, and takes over now"},
    {NULL, NULL, NULL},
};

static const struct command_flag sign_flags[] = {
    {"key-file", "FILE", "signs all that waits for this duckling"},
    {"follow", NULL, "and goes on signing what comes, until it is stopped"},
    {"signature", "BASE64", "of ID, by a key that is elsewhere"},
    {"after", "N", "shows what has higher numbers"},
    {"wait", "SECONDS", "for the first, at most 30"},
    {NULL, NULL, NULL},
};

const struct command key_commands[] = {
    {"key", "new|rotate|hand-in|jws [NAME]", 1, 2,
     "Make the key files of a duckling that keeps its own key; no node has it.", key_flags,
     "ducknode key new Vault --out vault.key --next-out /mnt/stick/vault.next", key},
    {"sign", "[DUCKLING [ID]]", 0, 2,
     "Show what waits for the signature of a duckling that keeps its own key, or sign it.",
     sign_flags, "ducknode sign --key-file vault.key --follow", sign},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
