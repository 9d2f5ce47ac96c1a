/* A node that sends what does not hold: for hostile.py.
 *
 *     hostile HOST:PORT NETWORK
 *
 * Reads commands from standard input, a line each, and answers each with one line:
 *
 *     at HOST:PORT                              from now on, to that node
 *     peck TARGET GOOD|BODY|SIGNATURE|CHAIN     a peck to that duckling, whole or with one bit turned
 *     peck TARGET SECOND | RETIRED              of the second duckling; by the key that ROTATED replaced
 *     receipt PECK-HASH-IN-HEX FROM TO          a `taken` receipt that is not ours to give
 *     record GOOD|BODY|SIGNATURE|CHAIN          a duckling's record
 *     record ROTATED                            under a new key, with the certificate that says so
 *     record FORGED                             one that another key signed
 *     record EXPIRED                            one that has ended
 *     record FIRST | OLDER | TWIN               of a second duckling: one that holds; then one of a version
 *                                               below it, and another one of the same version
 *
 * Answers: "sent", and for pecks what came back: "refused CODE REASON", "taken", or "silence".
 * A link that the other side closed is dialled again. */
#include "clock.h"
#include "core/intake.h"
#include "transport.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ANSWER_WITHIN_MS 3000
#define NAME "hostile"

struct identity {
    struct identity_key *key;
    uint8_t next_seed[SEED_SIZE];
    struct id id;
    struct bytes chain;
};

struct hostile {
    struct arena memory;
    struct bytes network;
    struct identity node, duckling, second;
    struct identity retired; /* the duckling before it was rotated */
    uint64_t first_ms;       /* version of the second duckling's FIRST */
    struct noise_pair pair;
    struct transport *transport;
    const char *address;
    struct id peer;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool up, answered;
    char answer[512];
};

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "hostile: %s\n", what);
        exit(1);
    }
}

static struct bytes copy_of(struct hostile *hostile, struct bytes bytes)
{
    return arena_copy(&hostile->memory, bytes);
}

static struct hash hash_of_key(const uint8_t seed[SEED_SIZE])
{
    struct identity_key *key = identity_key_new(seed);
    struct public_key public = identity_key_public(key);

    identity_key_free(key);
    return identity_key_hash(&public);
}

static void be_born(struct hostile *hostile, enum identity_kind kind, struct identity *identity)
{
    struct certificate_wish wish = {.kind = kind,
                                    .display_name = bytes_of_text(NAME),
                                    .issued_ms = clock_wall_ms() - SECOND_MS,
                                    .not_after_ms = clock_wall_ms() + DAY_MS};
    uint8_t seed[SEED_SIZE];
    struct bytes certificate;

    randombytes_buf(seed, sizeof seed);
    randombytes_buf(identity->next_seed, SEED_SIZE);
    wish.next_key_hash = hash_of_key(identity->next_seed);
    identity->key = identity_key_new(seed);
    certificate = certificate_make(&wish, identity->key, &hostile->memory, &identity->id);
    identity->chain = chain_pack(&certificate, 1, &hostile->memory);
}

static void rotate(struct hostile *hostile, struct identity *identity)
{
    struct hash promise;
    struct chain chain;

    hostile->retired = *identity;
    identity->key = identity_key_new(identity->next_seed);
    randombytes_buf(identity->next_seed, SEED_SIZE);
    promise = hash_of_key(identity->next_seed);
    must(chain_open(identity->chain, &hostile->memory, &chain) == CERTIFICATE_TAKEN,
         "cannot open what was made here");
    identity->chain =
        chain_lengthen(&chain, identity->key, &promise, clock_wall_ms(), &hostile->memory);
}

/* `lives_ms` may be over: then it has ended. */
static struct bytes make_record_at(struct hostile *hostile, const struct identity *owner,
                                   enum record_kind kind, struct bytes content, uint64_t version_ms,
                                   uint64_t not_after_ms)
{
    struct record record = {.network = hostile->network,
                            .owner = owner->id,
                            .kind = kind,
                            .version = {version_ms, 0},
                            .not_after_ms = not_after_ms,
                            .content = content};
    struct bytes body;

    must(record_pack(&record, &hostile->memory, &body) == RECORD_OK, "cannot pack a record");
    return envelope_seal(ENVELOPE_RECORD, &owner->id, owner->key, body, &hostile->memory, NULL);
}

static struct bytes make_record(struct hostile *hostile, const struct identity *owner,
                                enum record_kind kind, struct bytes content)
{
    return make_record_at(hostile, owner, kind, content, clock_wall_ms(),
                          clock_wall_ms() + HOUR_MS);
}

/* ---- the link ---- */

static void say(struct hostile *hostile, const char *answer)
{
    pthread_mutex_lock(&hostile->lock);
    if (!hostile->answered) {
        snprintf(hostile->answer, sizeof hostile->answer, "%s", answer);
        hostile->answered = true;
        pthread_cond_broadcast(&hostile->changed);
    }
    pthread_mutex_unlock(&hostile->lock);
}

static void on_up(void *context, const struct id *node, struct bytes introduction, bool dialled)
{
    struct hostile *hostile = context;

    (void)introduction;
    (void)dialled;
    pthread_mutex_lock(&hostile->lock);
    hostile->peer = *node;
    hostile->up = true;
    pthread_cond_broadcast(&hostile->changed);
    pthread_mutex_unlock(&hostile->lock);
}

static void on_down(void *context, const struct id *node, const char *reason, bool goodbye)
{
    struct hostile *hostile = context;

    (void)goodbye;
    (void)node;
    (void)reason;
    pthread_mutex_lock(&hostile->lock);
    hostile->up = false;
    pthread_cond_broadcast(&hostile->changed);
    pthread_mutex_unlock(&hostile->lock);
}

static void on_dial_failed(void *context, const struct id *node, struct bytes address,
                           const char *reason)
{
    (void)context;
    (void)node;
    (void)address;
    fprintf(stderr, "hostile: %s\n", reason);
    exit(1);
}

static bool on_frame(void *context, size_t worker, const struct id *node, uint8_t kind,
                     struct bytes body)
{
    struct hostile *hostile = context;
    struct intake_settings settings = {.network = hostile->network, .keyring = keyring_new(4)};
    struct intake *intake = intake_new(&settings);
    struct event event;
    struct arena arena;
    char reason[160], answer[512];
    size_t refused;
    struct id peck;

    (void)worker;
    (void)node;
    arena_init(&arena, PARSE_BUDGET(body.size));
    if (intake_open(intake, (enum frame_kind)kind, body, clock_wall_ms(), &arena, &event, &peck,
                    &refused, reason) == INTAKE_TAKEN) {
        if (event.kind == EVENT_REFUSAL) {
            snprintf(answer, sizeof answer, "refused %.*s %.*s", (int)event.refusal.code.size,
                     (const char *)event.refusal.code.data, (int)event.refusal.reason.size,
                     (const char *)event.refusal.reason.data);
            say(hostile, answer);
        } else if (event.kind == EVENT_RECEIPT) {
            say(hostile, "taken");
        }
    }
    arena_free(&arena);
    intake_free(intake);
    keyring_free(settings.keyring);
    return true;
}

static void on_log(void *context, enum log_level level, const char *text)
{
    (void)context;
    (void)level;
    (void)text;
}

static void open_transport(struct hostile *hostile)
{
    const char *listen = "127.0.0.1:0";
    struct node_content content = {.session_not_after_ms = clock_wall_ms() + HOUR_MS,
                                   .software = bytes_of_text(NAME),
                                   .display_name = bytes_of_text(NAME)};
    struct transport_settings settings = {.listen = &listen,
                                          .listen_count = 1,
                                          .network = hostile->network,
                                          .self = hostile->node.id,
                                          .workers = 1,
                                          .handlers = {.context = hostile,
                                                       .up = on_up,
                                                       .down = on_down,
                                                       .dial_failed = on_dial_failed,
                                                       .frame = on_frame,
                                                       .log = on_log}};
    uint8_t secret[NOISE_KEY_SIZE];
    struct bytes record;

    randombytes_buf(secret, sizeof secret);
    noise_pair_from_secret(&hostile->pair, secret);
    memcpy(content.session_key, hostile->pair.public, sizeof content.session_key);
    record = make_record(hostile, &hostile->node, RECORD_NODE,
                         node_content_pack(&content, &hostile->memory));
    settings.static_pair = hostile->pair;
    transport_limits_default(&settings.limits);
    must(transport_open(&hostile->transport, &settings) == 0, "cannot listen");
    transport_introduce(hostile->transport,
                        introduction_pack(hostile->node.chain, record, &hostile->memory));
}

static void turn_to(struct hostile *hostile, const char *address)
{
    pthread_mutex_lock(&hostile->lock);
    hostile->address = (const char *)copy_of(hostile, bytes_of(address, strlen(address) + 1)).data;
    hostile->up = false;
    pthread_mutex_unlock(&hostile->lock);
    printf("sent\n");
}

static void link_up(struct hostile *hostile)
{
    static const struct id whoever;

    pthread_mutex_lock(&hostile->lock);
    if (!hostile->up) {
        pthread_mutex_unlock(&hostile->lock);
        must(transport_dial(hostile->transport, bytes_of_text(hostile->address), &whoever, NULL) ==
                 0,
             "cannot dial");
        pthread_mutex_lock(&hostile->lock);
        while (!hostile->up)
            pthread_cond_wait(&hostile->changed, &hostile->lock);
    }
    hostile->answered = false;
    pthread_mutex_unlock(&hostile->lock);
}

static void send_frame(struct hostile *hostile, enum frame_kind kind, struct bytes body)
{
    must(transport_send(hostile->transport, &hostile->peer, (uint8_t)kind, body) == 0,
         "cannot send");
    transport_flush(hostile->transport);
}

static void await_answer(struct hostile *hostile)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ANSWER_WITHIN_MS / 1000;
    pthread_mutex_lock(&hostile->lock);
    while (!hostile->answered &&
           pthread_cond_timedwait(&hostile->changed, &hostile->lock, &until) == 0)
        continue;
    printf("%s\n", hostile->answered ? hostile->answer : "silence");
    pthread_mutex_unlock(&hostile->lock);
}

/* ---- what it sends ---- */

/* Turns one bit: within the signed body, the signature, or the certificates. */
static void turn_a_bit(const char *where, struct bytes wire, struct bytes chain)
{
    struct envelope envelope;
    struct arena arena;
    uint8_t *data = (uint8_t *)(uintptr_t)wire.data;

    if (strcmp(where, "CHAIN") == 0) {
        ((uint8_t *)(uintptr_t)chain.data)[chain.size / 2] ^= 1;
        return;
    }
    if (strcmp(where, "BODY") != 0 && strcmp(where, "SIGNATURE") != 0)
        return;
    arena_init(&arena, PARSE_BUDGET(wire.size));
    must(envelope_parse(wire,
                        wire.size > 0 && memmem(wire.data, wire.size, "duck/peck/1", 11)
                            ? ENVELOPE_PECK
                            : ENVELOPE_RECORD,
                        &arena, &envelope) == ENVELOPE_TAKEN,
         "cannot parse what was made here");
    if (strcmp(where, "BODY") == 0) {
        uint8_t *body = memmem(data, wire.size, envelope.body.data, envelope.body.size);

        body[envelope.body.size - 3] ^= 1;
    } else {
        uint8_t *signature = memmem(data, wire.size, envelope.signature.bytes, SIGNATURE_SIZE);

        signature[40] ^= 1;
    }
    arena_free(&arena);
}

static void send_peck(struct hostile *hostile, const char *target, const char *where)
{
    const struct identity *from = strcmp(where, "SECOND") == 0    ? &hostile->second
                                  : strcmp(where, "RETIRED") == 0 ? &hostile->retired
                                                                  : &hostile->duckling;
    struct peck peck = {.network = hostile->network,
                        .from = from->id,
                        .kind = PECK_ACTION,
                        .action = bytes_of_text("query"),
                        .payload = bytes_of_text("{}"),
                        .created_ms = clock_wall_ms(),
                        .expires_ms = clock_wall_ms() + HOUR_MS};
    struct bytes body, wire, chain = copy_of(hostile, from->chain);

    must(id_parse(ID_DUCKLING, bytes_of_text(target), &peck.to), "no such target");
    randombytes_buf(peck.nonce, sizeof peck.nonce);
    must(peck_pack(&peck, &hostile->memory, &body) == PECK_OK, "cannot pack a peck");
    wire = envelope_seal(ENVELOPE_PECK, &from->id, from->key, body, &hostile->memory, NULL);
    turn_a_bit(where, wire, chain);
    link_up(hostile);
    send_frame(hostile, FRAME_PECK, frame_pack_peck(chain, wire, &hostile->memory));
    await_answer(hostile);
}

static void send_receipt(struct hostile *hostile, const char *hash, const char *from,
                         const char *to)
{
    struct receipt receipt = {.network = hostile->network,
                              .kind = RECEIPT_TAKEN,
                              .state = PECK_TAKEN,
                              .at_ms = clock_wall_ms()};
    struct bytes body;

    must(strlen(hash) == 64 &&
             sodium_hex2bin(receipt.peck.bytes, HASH_SIZE, hash, 64, NULL, NULL, NULL) == 0 &&
             id_parse(ID_DUCKLING, bytes_of_text(from), &receipt.from) &&
             id_parse(ID_DUCKLING, bytes_of_text(to), &receipt.to),
         "receipt HASH FROM TO");
    must(receipt_pack(&receipt, &hostile->memory, &body) == RECEIPT_OK, "cannot pack a receipt");
    link_up(hostile);
    send_frame(hostile, FRAME_RECEIPT,
               frame_pack_receipt(hostile->node.chain,
                                  envelope_seal(ENVELOPE_RECEIPT, &hostile->node.id,
                                                hostile->node.key, body, &hostile->memory, NULL),
                                  &hostile->memory));
    printf("sent\n");
}

static struct bytes content_named(struct hostile *hostile, const char *name)
{
    struct duckling_content content = {
        .host = hostile->node.id, .display_name = bytes_of_text(name), .accepts_pecks = true};

    return duckling_content_pack(&content, &hostile->memory);
}

/* What holds by its signature, if by that. */
static bool make_untimely(struct hostile *hostile, const char *what, struct bytes *wire)
{
    struct bytes content = content_named(hostile, what);
    struct identity forger = hostile->duckling;
    uint64_t now_ms = clock_wall_ms();

    if (strcmp(what, "FORGED") == 0) {
        forger.key = hostile->second.key;
        *wire = make_record(hostile, &forger, RECORD_DUCKLING, content);
    } else if (strcmp(what, "EXPIRED") == 0) {
        *wire = make_record_at(hostile, &hostile->duckling, RECORD_DUCKLING, content,
                               now_ms - MINUTE_MS, now_ms - SECOND_MS);
    } else if (strcmp(what, "FIRST") == 0) {
        hostile->first_ms = now_ms;
        *wire = make_record(hostile, &hostile->second, RECORD_DUCKLING, content);
    } else if (strcmp(what, "OLDER") == 0) {
        *wire = make_record_at(hostile, &hostile->second, RECORD_DUCKLING, content,
                               hostile->first_ms - SECOND_MS, now_ms + HOUR_MS);
    } else if (strcmp(what, "TWIN") == 0) {
        *wire = make_record_at(hostile, &hostile->second, RECORD_DUCKLING, content,
                               hostile->first_ms, now_ms + HOUR_MS);
    } else {
        return false;
    }
    return true;
}

static void send_record(struct hostile *hostile, const char *what)
{
    if (strcmp(what, "ROTATED") == 0)
        rotate(hostile, &hostile->duckling);

    bool of_second =
        strcmp(what, "FIRST") == 0 || strcmp(what, "OLDER") == 0 || strcmp(what, "TWIN") == 0;
    struct bytes chain =
        copy_of(hostile, of_second ? hostile->second.chain : hostile->duckling.chain);
    struct bytes wire;

    if (!make_untimely(hostile, what, &wire)) {
        wire =
            make_record(hostile, &hostile->duckling, RECORD_DUCKLING, content_named(hostile, what));
        turn_a_bit(what, wire, chain);
    }
    link_up(hostile);
    send_frame(hostile, FRAME_RECORDS, frame_pack_records(&chain, &wire, 1, &hostile->memory));
    printf("sent\n");
}

int main(int argc, char **argv)
{
    static struct hostile hostile;
    char line[512], what[16], one[128], two[128], three[128];

    must(argc == 3 && identity_self_test(), "usage: hostile HOST:PORT NETWORK");
    setvbuf(stdout, NULL, _IOLBF, 0);
    arena_init(&hostile.memory, 16 * MIB);
    pthread_mutex_init(&hostile.lock, NULL);
    pthread_cond_init(&hostile.changed, NULL);
    hostile.address = argv[1];
    hostile.network = bytes_of_text(argv[2]);
    be_born(&hostile, IDENTITY_NODE, &hostile.node);
    be_born(&hostile, IDENTITY_DUCKLING, &hostile.duckling);
    be_born(&hostile, IDENTITY_DUCKLING, &hostile.second);
    open_transport(&hostile);
    while (fgets(line, sizeof line, stdin)) {
        int words = sscanf(line, "%15s %127s %127s %127s", what, one, two, three);

        if (words == 2 && strcmp(what, "at") == 0)
            turn_to(&hostile, one);
        else if (words == 3 && strcmp(what, "peck") == 0)
            send_peck(&hostile, one, two);
        else if (words == 4 && strcmp(what, "receipt") == 0)
            send_receipt(&hostile, one, two, three);
        else if (words == 2 && strcmp(what, "record") == 0)
            send_record(&hostile, one);
        else
            must(false, "an unknown command");
    }
    transport_close(hostile.transport);
    return 0;
}
