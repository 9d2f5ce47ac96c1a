#include "duck_key.h"

#include "answers.h"
#include "connection.h"
#include "core/binary_data.h"
#include "core/jose.h"
#include "core/peck.h"
#include "core/receipt.h"
#include "core/record.h"
#include "holder.h"
#include "wire/local.pb-c.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NEXT_HEAD "duck-next-key 1\n"
#define NEXT_FILE_MAX 256
#define CONFLICTS_MAX 8u

static uint64_t wall_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct duck_answer *ask(struct duck *duck, Duck__Request *request, uint64_t wait_ms)
{
    return answer_new(duck_call_wait(duck, request, wait_ms + CALL_MARGIN_MS));
}

/* What is wrong before the node hears of it, in the form of its answers. */
static struct duck_answer *refuse(const char *field, const char *message)
{
    Duck__Problem problem = DUCK__PROBLEM__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    size_t size;
    uint8_t *packed;
    struct duck_answer *answer;

    problem.code = (char *)"malformed";
    problem.field = (char *)(uintptr_t)field;
    problem.message = (char *)(uintptr_t)message;
    reply.answer_case = DUCK__REPLY__ANSWER_PROBLEM;
    reply.problem = &problem;
    size = duck__reply__get_packed_size(&reply);
    packed = memory_take(size);
    duck__reply__pack(&reply, packed);
    answer = answer_new(duck__reply__unpack(NULL, size, packed));
    memory_give_back(packed);
    return answer;
}

/* ---- keys ---- */

/* In guarded memory. */
struct seeds {
    uint8_t live[SEED_SIZE], next[SEED_SIZE];
    char text[NEXT_FILE_MAX];
};

static struct seeds *seeds_new(void)
{
    struct seeds *seeds = sodium_malloc(sizeof *seeds);

    if (!seeds)
        memory_ran_out();
    memset(seeds, 0, sizeof *seeds);
    return seeds;
}

static struct hash promise_of(const uint8_t seed[SEED_SIZE])
{
    struct identity_key *key = identity_key_new(seed);
    struct public_key public = identity_key_public(key);

    identity_key_free(key);
    return identity_key_hash(&public);
}

static int write_next(struct seeds *seeds, const char *path, const char **problem)
{
    size_t size = sizeof NEXT_HEAD - 1;

    memcpy(seeds->text, NEXT_HEAD, size);
    sodium_bin2base64(seeds->text + size, NEXT_FILE_MAX - size, seeds->next, SEED_SIZE,
                      HOLDER_BASE64);
    size = strlen(seeds->text);
    seeds->text[size] = '\n';
    seeds->text[size + 1] = 0;
    return holder_write_private(path, seeds->text, problem);
}

static bool read_next(struct seeds *seeds, const char *path, const char **problem)
{
    ssize_t size = holder_read_private(path, seeds->text, NEXT_FILE_MAX - 1, problem);
    const char *text = seeds->text;
    size_t read = 0;

    if (size < 0)
        return false;
    seeds->text[size] = 0;
    if (strncmp(text, NEXT_HEAD, sizeof NEXT_HEAD - 1) != 0) {
        holder_say(problem, "the file is not one with a next key");
        return false;
    }
    text += sizeof NEXT_HEAD - 1;
    if (holder_read_line(&text, seeds->live, SEED_SIZE, &read) && read == SEED_SIZE && !*text)
        return true;
    holder_say(problem, "the file is not one with a next key");
    return false;
}

static struct duck_holder *make_holder(const char *display_name, const struct seeds *seeds,
                                       const char **problem)
{
    struct certificate_wish wish = {.kind = IDENTITY_DUCKLING,
                                    .display_name = bytes_of_text(display_name),
                                    .issued_ms = wall_now_ms(),
                                    .next_key_hash = promise_of(seeds->next)};
    struct identity_key *key = identity_key_new(seeds->live);
    struct duck_holder *holder;
    struct bytes certificate, chain;
    struct arena arena;
    struct id identity;

    wish.not_after_ms = wish.issued_ms + CERTIFICATE_LIFE_MS;
    arena_init(&arena, 4 * CERTIFICATE_SIZE_MAX);
    certificate = certificate_make(&wish, key, &arena, &identity);
    chain = chain_pack(&certificate, 1, &arena);
    holder = duck_holder_new(seeds->live, chain.data, chain.size, problem);
    identity_key_free(key);
    arena_free(&arena);
    return holder;
}

static bool is_name(const char *name)
{
    size_t size = name ? strlen(name) : 0;

    return size > 0 && size <= NAME_MAX_BYTES && bytes_are_display_name(bytes_of_text(name));
}

int duck_key_make(const char *display_name, const char *path, const char *next_path,
                  const char **problem)
{
    struct duck_holder *holder = NULL;
    struct seeds *seeds;
    int failed = -1;

    if (!is_name(display_name)) {
        holder_say(problem, "a display name is 1 to 64 bytes of UTF-8, something visible among "
                            "them, and nothing that hides or turns round");
        return -1;
    }
    if (!identity_self_test()) {
        holder_say(problem, "this libsodium judges signatures otherwise than the network");
        return -1;
    }
    seeds = seeds_new();
    randombytes_buf(seeds->live, SEED_SIZE);
    randombytes_buf(seeds->next, SEED_SIZE);
    holder = make_holder(display_name, seeds, problem);
    if (holder && write_next(seeds, next_path, problem) == 0) {
        failed = duck_holder_save(holder, path, problem);
        if (failed)
            unlink(next_path); /* which was made just now, and promises nobody's key */
    }
    duck_holder_free(holder);
    sodium_free(seeds);
    return failed;
}

static struct bytes lengthen(const struct duck_holder *holder, const struct seeds *seeds,
                             struct arena *arena, const char **problem)
{
    struct identity_key *key = identity_key_new(seeds->live);
    struct hash promise = promise_of(seeds->next), ours = promise_of(seeds->live);
    struct bytes longer = {0};
    struct chain chain;

    if (chain_open(holder->chain, arena, &chain) != CERTIFICATE_TAKEN)
        holder_say(problem, "these are no duckling's certificates");
    else if (!hash_equal(&ours, &chain.certificates[chain.count - 1].next_key_hash))
        holder_say(problem, "this is not the key that its last certificate promised");
    else {
        longer = chain_lengthen(&chain, key, &promise, wall_now_ms(), arena);
        if (!longer.data)
            holder_say(problem, "its chain has as many certificates as there may be");
    }
    identity_key_free(key);
    return longer;
}

struct duck_holder *duck_key_rotate(const struct duck_holder *holder, const char *next_path,
                                    const char *new_next_path, const char **problem)
{
    struct seeds *seeds = seeds_new();
    struct duck_holder *rotated = NULL;
    struct bytes longer = {0};
    struct arena arena;

    arena_init(&arena, PARSE_BUDGET(2 * CHAIN_SIZE_MAX));
    if (read_next(seeds, next_path, problem)) {
        randombytes_buf(seeds->next, SEED_SIZE);
        longer = lengthen(holder, seeds, &arena, problem);
    }
    if (longer.data)
        rotated = duck_holder_new(seeds->live, longer.data, longer.size, problem);
    if (rotated && write_next(seeds, new_next_path, problem) != 0) {
        duck_holder_free(rotated);
        rotated = NULL;
    }
    arena_free(&arena);
    sodium_free(seeds);
    return rotated;
}

const char *duck_key_jws(struct duck_holder *holder)
{
    struct arena arena;
    struct chain chain;
    struct bytes jws;
    bool holds;

    if (holder->jws)
        return holder->jws;
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX) + 3 * (size_t)JOSE_JWS_MAX);
    holds = chain_open(holder->chain, &arena, &chain) == CERTIFICATE_TAKEN;
    assert(holds); /* it was opened when it came here */
    (void)holds;
    jws = jose_jws(&chain, holder->key, &arena);
    holder->jws = memory_copy(jws.data, jws.size + 1); /* with its NUL */
    arena_free(&arena);
    return holder->jws;
}

/* ---- orders ---- */

struct duck_answer *duck_hand_in(struct duck *duck, const struct duck_holder *holder)
{
    Duck__RotateOrder order = DUCK__ROTATE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.identity = (char *)(uintptr_t)holder->text;
    order.chain = lent(holder->chain);
    request.order_case = DUCK__REQUEST__ORDER_ROTATE;
    request.rotate = &order;
    return ask(duck, &request, 0);
}

static struct duck_answer *order_hatch(struct duck *duck, struct bytes first,
                                       const struct duck_profile *profile)
{
    static const struct duck_profile plain;
    ProtobufCBinaryData capabilities[DUCKLING_CAPABILITIES_MAX];
    Duck__HatchOrder order = DUCK__HATCH_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (!profile)
        profile = &plain;
    if (profile->capability_count > DUCKLING_CAPABILITIES_MAX)
        return refuse("capabilities", "a duckling has at most 32 capabilities");
    for (size_t i = 0; i < profile->capability_count; i++)
        capabilities[i] = lent(bytes_of_text(profile->capabilities[i]));
    if (profile->display_name)
        order.display_name = lent(bytes_of_text(profile->display_name));
    if (profile->bio)
        order.bio = lent(bytes_of_text(profile->bio));
    order.capabilities = capabilities;
    order.n_capabilities = profile->capability_count;
    order.refuses_pecks = profile->refuses_pecks;
    order.chain = lent(first);
    request.order_case = DUCK__REQUEST__ORDER_HATCH;
    request.hatch = &order;
    return ask(duck, &request, 0);
}

/* The first certificate makes the id, so it alone hatches; of later ones the node takes what it knows itself. Where it
 * knows less than is true, a key that was replaced would speak. */
const char *duck_hatch_hindrance(struct duck *duck, const struct duck_holder *holder)
{
    Duck__CertificateQuery query = DUCK__CERTIFICATE_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    bool is_known;

    if (holder->first.size == holder->chain.size)
        return NULL;
    query.identity = lent_text(holder->text);
    request.order_case = DUCK__REQUEST__ORDER_CERTIFICATE;
    request.certificate = &query;
    reply = duck_call_wait(duck, &request, CALL_MARGIN_MS);
    is_known = reply->answer_case == DUCK__REPLY__ANSWER_CERTIFICATE &&
               bytes_equal(borrowed(reply->certificate->chain), holder->chain);
    duck_reply_free(reply);
    return is_known ? NULL
                    : "this node has not heard that its key was replaced: sign its entry where it "
                      "lives now, and hatch it again";
}

struct duck_answer *duck_hatch_own(struct duck *duck, const struct duck_holder *holder,
                                   const struct duck_profile *profile)
{
    const char *hindrance = duck_hatch_hindrance(duck, holder);

    return hindrance ? refuse("chain", hindrance) : order_hatch(duck, holder->first, profile);
}

/* ---- pecks ---- */

struct duck_made_peck {
    struct arena memory;
    struct bytes wire;
    char id[ID_TEXT_SIZE];
};

static struct bytes text_or_none(const char *text)
{
    return text ? bytes_of_text(text) : bytes_of(NULL, 0);
}

/* NULL: `made` has what `peck` says. */
static const char *read_peck(const struct duck_holder *holder, const char *network,
                             const struct duck_peck *peck, struct peck *made)
{
    *made = (struct peck){.network = bytes_of_text(network ? network : "duck"),
                          .from = holder->id,
                          .kind = peck->action ? PECK_ACTION : PECK_BOND_REQUEST,
                          .action = text_or_none(peck->action),
                          .message = text_or_none(peck->message),
                          .thread = text_or_none(peck->thread),
                          .idempotency_key = text_or_none(peck->idempotency_key),
                          .trace = text_or_none(peck->trace),
                          .created_ms = wall_now_ms()};
    made->expires_ms =
        made->created_ms + (peck->expires_in_ms ? peck->expires_in_ms : PECK_LIFE_MS);
    randombytes_buf(made->nonce, sizeof made->nonce);
    if (peck->action)
        made->payload = bytes_of_text(peck->payload ? peck->payload : "{}");
    if (peck->from && *peck->from && strcmp(peck->from, holder->text) != 0)
        return "another duckling is to send it";
    if (peck->context && *peck->context)
        return "the key of a context is its node's: only that can sign under one";
    if (!peck->to || !id_parse(ID_DUCKLING, bytes_of_text(peck->to), &made->to))
        return "whom is it for? a duckling's id is dkl_ and 32 characters";
    if (peck->reply_to && *peck->reply_to &&
        !id_parse(ID_PECK, bytes_of_text(peck->reply_to), &made->reply_to))
        return "what does it reply to? a peck's id is pck_ and 32 characters";
    if (peck->scope_count > PECK_SCOPES_MAX)
        return "a bond has 1 to 16 scopes";
    made->scope_count = peck->scope_count;
    for (size_t i = 0; i < peck->scope_count; i++)
        made->scopes[i] = bytes_of_text(peck->scopes[i]);
    return NULL;
}

static const char *add_grant(struct peck *made, const char *text, struct arena *arena)
{
    struct duck_grant *grant = duck_grant_open(text, NULL);
    const void *bytes;
    size_t size;

    if (!grant)
        return "its grant does not hold";
    bytes = duck_grant_bytes(grant, &size);
    made->grant = arena_copy(arena, bytes_of(bytes, size));
    duck_grant_free(grant);
    return NULL;
}

struct duck_made_peck *duck_peck_make(const struct duck_holder *holder, const char *network,
                                      const struct duck_peck *peck, const char **problem)
{
    struct duck_made_peck *made = memory_take(sizeof *made);
    struct peck content;
    struct bytes body;
    const char *wrong = read_peck(holder, network, peck, &content);
    enum peck_verdict verdict;

    arena_init(&made->memory, 3 * (size_t)PECK_BODY_MAX);
    if (!wrong && peck->grant)
        wrong = add_grant(&content, peck->grant, &made->memory);
    if (!wrong) {
        verdict = peck_pack(&content, &made->memory, &body);
        wrong = verdict == PECK_OK ? NULL : peck_verdict_text(verdict);
    }
    if (wrong) {
        duck_made_free(made);
        return holder_say(problem, wrong);
    }
    made->wire = envelope_seal(ENVELOPE_PECK, &holder->id, holder->key, body, &made->memory, NULL);
    id_text(ID_PECK, &content.id, made->id);
    return made;
}

const void *duck_made_bytes(const struct duck_made_peck *made, size_t *size)
{
    *size = made->wire.size;
    return made->wire.data;
}

const char *duck_made_id(const struct duck_made_peck *made)
{
    return made->id;
}

void duck_made_free(struct duck_made_peck *made)
{
    if (!made)
        return;
    arena_free(&made->memory);
    memory_give_back(made);
}

struct duck_answer *duck_send_own(struct duck *duck, const struct duck_holder *holder,
                                  const char *network, const struct duck_peck *peck,
                                  enum duck_wait wait, uint64_t wait_ms)
{
    const char *problem = "";
    struct duck_made_peck *made = duck_peck_make(holder, network, peck, &problem);
    Duck__SendOrder order = DUCK__SEND_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct duck_answer *answer;

    if (!made)
        return refuse("", problem);
    order.from = (char *)(uintptr_t)holder->text;
    order.made = lent(made->wire);
    order.wait_for = wait;
    order.wait_ms = wait_ms;
    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = &order;
    answer = ask(duck, &request, wait_ms);
    duck_made_free(made);
    return answer;
}

/* ---- what waits ---- */

struct duck_answer *duck_wanted(struct duck *duck, const char *duckling, uint64_t after,
                                uint64_t wait_ms)
{
    Duck__WantedQuery query = DUCK__WANTED_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.duckling = (char *)(uintptr_t)(duckling ? duckling : "");
    query.after = after;
    query.wait_ms = wait_ms;
    request.order_case = DUCK__REQUEST__ORDER_WANTED;
    request.wanted = &query;
    return ask(duck, &request, wait_ms);
}

/* A node may ask for anything: signed is what is said in the holder's own name, of the kinds that a node makes
 * for it. A certificate, a peck or a grant never comes this way. */
static bool is_ours(const struct duck_holder *holder, const struct duck_wanted *wanted,
                    enum envelope_type *type, struct arena *arena)
{
    struct bytes body = bytes_of(wanted->body, wanted->body_size);
    struct receipt receipt;
    struct record record;

    assert(holder);
    *type = ENVELOPE_RECORD;
    if (strcmp(wanted->type, envelope_type_name(ENVELOPE_RECORD)) == 0)
        return record_parse(body, arena, &record) == RECORD_OK &&
               id_equal(&record.owner, &holder->id);
    *type = ENVELOPE_RECEIPT;
    return strcmp(wanted->type, envelope_type_name(ENVELOPE_RECEIPT)) == 0 &&
           receipt_parse(body, arena, &receipt) == RECEIPT_OK && receipt.kind != RECEIPT_TAKEN &&
           id_equal(&receipt.to, &holder->id);
}

struct duck_answer *duck_sign(struct duck *duck, const struct duck_holder *holder,
                              const struct duck_wanted *wanted)
{
    Duck__SignOrder order = DUCK__SIGN_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    enum envelope_type type;
    struct signature signature;
    struct arena arena;
    bool is_signed;

    arena_init(&arena, PARSE_BUDGET(RECEIPT_BODY_MAX));
    is_signed = wanted->body_size <= RECEIPT_BODY_MAX && is_ours(holder, wanted, &type, &arena);
    if (is_signed)
        signature = identity_sign(
            holder->key, envelope_to_sign(type, bytes_of(wanted->body, wanted->body_size), &arena));
    arena_free(&arena);
    if (!is_signed)
        return refuse("body", "this is no record or receipt in the duckling's own name: it is not "
                              "signed");
    order.duckling = (char *)(uintptr_t)holder->text;
    order.id = (char *)(uintptr_t)wanted->id;
    order.signature = lent(bytes_of(signature.bytes, SIGNATURE_SIZE));
    request.order_case = DUCK__REQUEST__ORDER_SIGN;
    request.sign = &order;
    return ask(duck, &request, 0);
}

/* Something newer may have taken its place, or its time is over: then nobody waits for it. What was said anew
 * meanwhile waits under another id; should that go on and on, it is a problem after all. */
static bool is_done(const struct duck_answer *answer, unsigned *conflicts)
{
    return duck_ok(answer) || strcmp(duck_code(answer), "not_found") == 0 ||
           (strcmp(duck_code(answer), "conflict") == 0 && ++*conflicts <= CONFLICTS_MAX);
}

static const char *problem_of(const struct duck_answer *answer)
{
    static _Thread_local char text[256];

    snprintf(text, sizeof text, "%s", duck_message(answer));
    return text;
}

int duck_sign_all(struct duck *duck, const struct duck_holder *holder, const char **problem)
{
    struct duck_wanted wanted;
    uint64_t after = 0;
    unsigned conflicts = 0;
    int count = 0;
    bool goes_on = true;

    while (goes_on) {
        struct duck_answer *list = duck_wanted(duck, holder->text, after, 0);
        bool is_fine = duck_ok(list);

        if (!is_fine && count > 0 && strcmp(duck_code(list), "conflict") == 0) {
            duck_answer_free(list);
            return count; /* its end was among them */
        }
        if (!is_fine)
            holder_say(problem, problem_of(list));
        goes_on = is_fine && duck_wanted_count(list) > 0;
        for (size_t i = 0; is_fine && duck_wanted_item(list, i, &wanted); i++) {
            struct duck_answer *answer = duck_sign(duck, holder, &wanted);

            is_fine = is_done(answer, &conflicts);
            count += duck_ok(answer);
            after = wanted.number;
            if (!is_fine)
                holder_say(problem, problem_of(answer));
            duck_answer_free(answer);
        }
        duck_answer_free(list);
        if (!is_fine)
            return -1;
    }
    return count;
}
