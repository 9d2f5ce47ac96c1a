/* seeds: writes the seed corpora. Usage: fuzz_seeds FOLDER, which gets one folder a target. */
#include "people.h"

#include "core/bundle.h"
#include "core/context.h"
#include "core/frame.h"
#include "core/grant.h"
#include "core/intake.h"
#include "core/jose.h"
#include "core/receipt.h"
#include "core/reconcile.h"
#include "wire/local.pb-c.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>

static const char *root;
static struct arena memory;
static struct person alice, bob, duck, goose;

static void write_seed(const char *target, const char *name, struct bytes start, struct bytes rest)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", root, target);
    if (mkdir(path, 0777) != 0)
        MUST(errno == EEXIST);
    snprintf(path, sizeof path, "%s/%s/%s", root, target, name);
    file = fopen(path, "wb");
    MUST(file);
    MUST(fwrite(start.data, 1, start.size, file) == start.size);
    MUST(fwrite(rest.data, 1, rest.size, file) == rest.size);
    MUST(fclose(file) == 0);
}

static void write_kind(const char *target, const char *name, uint8_t kind, struct bytes rest)
{
    write_seed(target, name, bytes_of(&kind, 1), rest);
}

/* ---- signed things ---- */

static struct bytes peck_body(enum peck_kind kind)
{
    struct peck peck = {.network = bytes_of_text(PEOPLE_NETWORK),
                        .from = duck.id,
                        .to = goose.id,
                        .kind = kind,
                        .created_ms = PEOPLE_WALL_MS,
                        .expires_ms = PEOPLE_WALL_MS + PECK_LIFE_MS,
                        .thread = bytes_of_text("t1"),
                        .idempotency_key = bytes_of_text("k1")};
    struct bytes body = {0};

    if (kind == PECK_ACTION) {
        peck.action = bytes_of_text("query");
        peck.payload = bytes_of_text("{\"city\":\"Lisbon\"}");
    } else {
        peck.scopes[peck.scope_count++] = bytes_of_text("data.*");
        peck.message = bytes_of_text("May I?");
    }
    MUST(peck_pack(&peck, &memory, &body) == PECK_OK);
    return body;
}

static struct bytes receipt_body(enum receipt_kind kind, enum peck_state state)
{
    struct receipt receipt = {.network = bytes_of_text(PEOPLE_NETWORK),
                              .peck = hash_of(bytes_of_text("a peck")),
                              .from = duck.id,
                              .to = goose.id,
                              .kind = kind,
                              .state = state,
                              .at_ms = PEOPLE_WALL_MS};
    struct bytes body = {0};

    if (kind == RECEIPT_PARTIAL)
        receipt.number = 1;
    if (kind == RECEIPT_DONE && state == PECK_ANSWERED) {
        receipt.partials = 1;
        receipt.partials_hash = hash_of(bytes_of_text("parts"));
    }
    if (state == PECK_ANSWERED || kind == RECEIPT_PARTIAL)
        receipt.result = bytes_of_text("{\"sky\":\"clear\"}");
    MUST(receipt_pack(&receipt, &memory, &body) == RECEIPT_OK);
    return body;
}

static struct bytes record_body(const struct id *owner, uint32_t kind, struct bytes content)
{
    struct record record = {.network = bytes_of_text(PEOPLE_NETWORK),
                            .owner = *owner,
                            .kind = kind,
                            .version = {.ms = PEOPLE_WALL_MS},
                            .not_after_ms = PEOPLE_WALL_MS + DAY_MS,
                            .content = content};
    struct bytes body = {0};

    if (kind == RECORD_REVOCATION)
        record.not_after_ms = PEOPLE_WALL_MS + REVOCATION_LIFE_MAX_MS;
    MUST(record_pack(&record, &memory, &body) == RECORD_OK);
    return body;
}

static struct bytes duckling_body(void)
{
    const struct duckling_content content = {.host = alice.id,
                                             .display_name = bytes_of_text("Weather Duck"),
                                             .bio = bytes_of_text("Knows the sky."),
                                             .capabilities = {bytes_of_text("weather.forecast")},
                                             .capability_count = 1,
                                             .accepts_pecks = true};

    return record_body(&duck.id, RECORD_DUCKLING, duckling_content_pack(&content, &memory));
}

static struct bytes metrics_body(void)
{
    const struct metrics_content content = {.ducklings = 1, .pecks = 2};

    return record_body(&alice.id, RECORD_METRICS, metrics_content_pack(&content, &memory));
}

static struct bytes revocation_body(void)
{
    const struct revocation_content content = {
        .subject = duck.id, .reason = bytes_of_text("stolen"), .revoked_at_ms = PEOPLE_WALL_MS};

    return record_body(&duck.id, RECORD_REVOCATION, revocation_content_pack(&content, &memory));
}

static struct bytes sealed(enum envelope_type type, const struct person *by, struct bytes body)
{
    return envelope_seal(type, &by->id, by->key, body, &memory, NULL);
}

static void sealed_pair(struct bytes wires[2])
{
    const struct bytes bodies[2] = {peck_body(PECK_ACTION), peck_body(PECK_BOND_REQUEST)};
    const struct hash hashes[2] = {envelope_hash(ENVELOPE_PECK, bodies[0]),
                                   envelope_hash(ENVELOPE_PECK, bodies[1])};

    envelope_seal_batch(ENVELOPE_PECK, &duck.id, duck.key, bodies, hashes, 2, &memory, wires);
}

static void write_envelopes(void)
{
    struct bytes batch[2];

    sealed_pair(batch);
    write_kind("envelope", "peck", 1, sealed(ENVELOPE_PECK, &duck, peck_body(PECK_ACTION)));
    write_kind("envelope", "peck_in_batch", 1, batch[1]);
    write_kind("envelope", "receipt", 2,
               sealed(ENVELOPE_RECEIPT, &bob, receipt_body(RECEIPT_TAKEN, PECK_TAKEN)));
    write_kind("envelope", "record", 3, sealed(ENVELOPE_RECORD, &duck, duckling_body()));
    write_kind("envelope", "peck_body", 4, peck_body(PECK_ACTION));
    write_kind("envelope", "bond_body", 4, peck_body(PECK_BOND_REQUEST));
    write_kind("envelope", "receipt_body", 5, receipt_body(RECEIPT_DONE, PECK_ANSWERED));
    write_kind("envelope", "partial_body", 5, receipt_body(RECEIPT_PARTIAL, PECK_TAKEN));
    write_kind("envelope", "duckling_body", 6, duckling_body());
    write_kind("envelope", "metrics_body", 6, metrics_body());
    write_kind("envelope", "revocation_body", 6, revocation_body());
    write_kind("envelope", "chain", 7, duck.chain);
    write_kind("envelope", "introduction", 8, person_introduction(&alice, &memory));
}

/* ---- inner frames ---- */

static struct bytes accusation_body(void)
{
    const struct accusation accusation = {.network = bytes_of_text(PEOPLE_NETWORK),
                                          .accuser = alice.id,
                                          .accused = bob.id,
                                          .version = {.ms = PEOPLE_WALL_MS},
                                          .made_ms = PEOPLE_WALL_MS,
                                          .not_after_ms = PEOPLE_WALL_MS + ACCUSATION_LIFE_MS};
    struct bytes body = {0};

    MUST(accusation_pack(&accusation, &memory, &body) == ACCUSATION_OK);
    return body;
}

static void write_membership_frames(void)
{
    const uint64_t sums[2] = {0x0123456789abcdefull, 42};
    struct bytes accusation = sealed(ENVELOPE_ACCUSATION, &alice, accusation_body());

    write_kind("intake", "probe", FRAME_PROBE, frame_pack_probe(7, sums, &memory));
    write_kind("intake", "probe_ack", FRAME_PROBE_ACK, frame_pack_probe(7, sums, &memory));
    write_kind("intake", "probe_request", FRAME_PROBE_REQUEST,
               frame_pack_probe_request(7, &bob.id, &memory));
    write_kind("intake", "probe_nack", FRAME_PROBE_NACK, frame_pack_probe_nack(7, &memory));
    write_kind("intake", "accusation", FRAME_ACCUSATION,
               frame_pack_accusation(alice.chain, accusation, &memory));
    write_kind("envelope", "accusation_body", 9, accusation_body());
}

static void write_perch_frames(void)
{
    struct bytes peck = sealed(ENVELOPE_PECK, &duck, peck_body(PECK_ACTION));
    struct deposit deposit = {.network = bytes_of_text(PEOPLE_NETWORK),
                              .owner = bob.id,
                              .name = alice.id,
                              .not_after_ms = PEOPLE_WALL_MS + DAY_MS,
                              .sealer = {3},
                              .ephemeral = {4}};
    struct perch_entry entry = {.name = alice.id, .number = 7};
    struct noise_pair owner;

    memset(owner.secret, 5, sizeof owner.secret);
    noise_pair_from_secret(&owner, owner.secret);
    memcpy(deposit.owner_key, owner.public, sizeof deposit.owner_key);
    write_kind("intake", "deposit", FRAME_DEPOSIT,
               frame_pack_deposit(&deposit, duck.chain, peck, &memory));
    write_kind("intake", "deposited", FRAME_DEPOSITED,
               frame_pack_deposited(&alice.id, "full", &memory));
    write_kind("intake", "collect", FRAME_COLLECT, frame_pack_collect(7, &memory));
    write_kind("intake", "held", FRAME_HELD, frame_pack_held(&entry, peck, true, true, &memory));
    write_kind("intake", "settled", FRAME_SETTLED, frame_pack_settled(&alice.id, 1, &memory));
}

static void write_lobster_frames(void)
{
    struct lobster_word word = {
        .step = LOBSTER_OFFER, .from = duck.id, .to = alice.id, .lease_ms = LOBSTER_LEASE_MS};

    memset(word.commitment.bytes, 7, sizeof word.commitment.bytes);
    write_kind("intake", "lobster_offer", FRAME_LOBSTER,
               frame_pack_lobster(&word, duck.chain, &memory));
    word.step = LOBSTER_REVEAL;
    write_kind("intake", "lobster_reveal", FRAME_LOBSTER,
               frame_pack_lobster(&word, duck.chain, &memory));
    word.step = LOBSTER_NO;
    word.code = bytes_of_text("no_bond");
    write_kind("intake", "lobster_no", FRAME_LOBSTER,
               frame_pack_lobster(&word, duck.chain, &memory));
}

static void write_frames(void)
{
    const struct hash hashes[2] = {{{0}}, {{0xff}}};
    const struct fetch_answer answer = {
        .session = 7, .set = RECORD_SET_DIRECTORY, .is_last = true, .has_next = true};
    struct event event = {0};
    const struct bytes chains[2] = {duck.chain, alice.chain};
    const struct bytes records[2] = {sealed(ENVELOPE_RECORD, &duck, duckling_body()),
                                     sealed(ENVELOPE_RECORD, &alice, metrics_body())};
    struct bytes batch[2];

    sealed_pair(batch);
    write_kind(
        "intake", "peck", FRAME_PECK,
        frame_pack_peck(duck.chain, sealed(ENVELOPE_PECK, &duck, peck_body(PECK_ACTION)), &memory));
    write_kind("intake", "bond", FRAME_PECK, frame_pack_peck(duck.chain, batch[1], &memory));
    write_kind(
        "intake", "taken", FRAME_RECEIPT,
        frame_pack_receipt(bob.chain,
                           sealed(ENVELOPE_RECEIPT, &bob, receipt_body(RECEIPT_TAKEN, PECK_TAKEN)),
                           &memory));
    write_kind("intake", "done", FRAME_RECEIPT,
               frame_pack_receipt(
                   goose.chain,
                   sealed(ENVELOPE_RECEIPT, &goose, receipt_body(RECEIPT_DONE, PECK_ANSWERED)),
                   &memory));
    write_kind("intake", "partial", FRAME_PARTIAL,
               frame_pack_partial(
                   goose.chain,
                   sealed(ENVELOPE_RECEIPT, &goose, receipt_body(RECEIPT_PARTIAL, PECK_TAKEN)),
                   &memory));
    write_kind("intake", "peck_taken_back", FRAME_PECK,
               frame_pack_peck_again(duck.chain,
                                     sealed(ENVELOPE_PECK, &duck, peck_body(PECK_ACTION)), 3, true,
                                     &memory));
    write_kind("intake", "refusal", FRAME_REFUSAL,
               frame_pack_refusal(&duck.id, "busy", "Too much at once.", false, 0, &memory));
    event.reconcile.set = RECORD_SET_DIRECTORY;
    event.reconcile.session = 7;
    event.reconcile.message = bytes_of("\x61\x00\x00\x02\x00", 5);
    write_kind("intake", "reconcile", FRAME_RECONCILE, frame_pack_reconcile(&event, &memory));
    memset(&event, 0, sizeof event);
    event.fetch.set = RECORD_SET_METRICS;
    event.fetch.hashes = hashes;
    event.fetch.count = 2;
    write_kind("intake", "fetch", FRAME_FETCH, frame_pack_fetch(&event, &memory));
    event.fetch.stream = true;
    event.fetch.count = 0;
    write_kind("intake", "stream", FRAME_FETCH, frame_pack_fetch(&event, &memory));
    write_kind("intake", "fetched", FRAME_FETCHED,
               frame_pack_fetched(&answer, chains, records, 2, &memory));
    write_kind("intake", "records", FRAME_RECORDS, frame_pack_records(chains, records, 2, &memory));
    write_membership_frames();
    write_perch_frames();
    write_lobster_frames();
    write_kind("intake", "ping", FRAME_PING, bytes_of_text("12345678"));
}

/* ---- sessions ---- */

static struct bytes frame_of(const struct session_output *output)
{
    uint8_t *data = arena_take(&memory, 3 + output->body.size);

    data[0] = (uint8_t)output->type;
    data[1] = (uint8_t)(output->body.size >> 8);
    data[2] = (uint8_t)output->body.size;
    memcpy(data + 3, output->body.data, output->body.size);
    return bytes_of(data, 3 + output->body.size);
}

static struct bytes joined(struct bytes left, struct bytes right)
{
    uint8_t *data = arena_take(&memory, left.size + right.size);

    memcpy(data, left.data, left.size);
    memcpy(data + left.size, right.data, right.size);
    return bytes_of(data, left.size + right.size);
}

/* Both sides use the targets' ephemeral keys, so what one says here the fuzzed other understands. */
static void write_sessions(void)
{
    struct session_settings of_alice = person_settings(&alice, &memory);
    struct session_settings of_bob = person_settings(&bob, &memory);
    struct session_output output;
    struct session *caller, *callee;
    struct bytes to_callee, to_caller;
    uint8_t ephemeral[64], part[] = {FRAME_PING, 1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t out[SESSION_SEALED_MAX];
    size_t size;

    memset(ephemeral, PEOPLE_EPHEMERAL, sizeof ephemeral);
    caller = session_new_caller(&of_alice, &bob.id, bob.pair.public, ephemeral, &output);
    callee = session_new_callee(&of_bob, ephemeral);
    to_callee = frame_of(&output);
    write_kind("session", "first", 1, to_callee);
    MUST(session_receive(callee, output.type, output.body, PEOPLE_WALL_MS, &output) ==
         SESSION_TAKEN);
    to_caller = frame_of(&output);
    MUST(session_receive(caller, output.type, output.body, PEOPLE_WALL_MS, &output) == SESSION_UP);
    to_callee = joined(to_callee, frame_of(&output));
    write_kind("session", "first_and_third", 1, to_callee);
    write_kind("session", "second", 6, to_caller);
    MUST(session_receive(callee, output.type, output.body, PEOPLE_WALL_MS, &output) == SESSION_UP);
    MUST(session_seal(caller, bytes_of(part, sizeof part), false, out, &size) == SESSION_TAKEN);
    output = (struct session_output){.type = SESSION_SEALED, .body = bytes_of(out, size)};
    write_kind("session", "sealed_to_callee", 1, joined(to_callee, frame_of(&output)));
    MUST(session_seal(callee, bytes_of(part, sizeof part), false, out, &size) == SESSION_TAKEN);
    write_kind("session", "sealed_to_caller", 6, joined(to_caller, frame_of(&output)));
    session_free(caller);
    session_free(callee);
    output =
        (struct session_output){.type = SESSION_NOTICE, .body = person_introduction(&bob, &memory)};
    write_kind("session", "notice", 2, frame_of(&output));
    write_kind("session", "notice_to_one_who_takes_anybody", 0, frame_of(&output));
}

static void write_bundles(void)
{
    struct bytes wires[2], body;
    static uint8_t room[8 * KIB];
    struct bundle bundle = {.data = NULL};

    sealed_pair(wires);
    bundle_begin(&bundle, room, sizeof room);
    for (size_t i = 0; i < 2; i++) {
        body = frame_pack_peck(duck.chain, wires[i], &memory);
        MUST(bundle_add(&bundle, FRAME_PECK, body));
    }
    MUST(bundle_add(&bundle, FRAME_PONG, bytes_of_text("12345678")));
    write_seed("bundle", "two_pecks_and_a_pong", bytes_of(NULL, 0), bytes_of(room, bundle.size));
    bundle_free(&bundle);
}

/* ---- the local API ---- */

static void write_request(const char *name, Duck__Request *request)
{
    size_t size;
    uint8_t *data;

    request->id = 1;
    size = duck__request__get_packed_size(request);
    data = arena_take(&memory, 4 + size);
    data[0] = (uint8_t)(size >> 24);
    data[1] = (uint8_t)(size >> 16);
    data[2] = (uint8_t)(size >> 8);
    data[3] = (uint8_t)size;
    duck__request__pack(request, data + 4);
    write_seed("local", name, bytes_of(data, 4 + size), bytes_of(data, 0));
}

static ProtobufCBinaryData binary(const char *text)
{
    struct bytes bytes = arena_copy(&memory, bytes_of_text(text));

    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes.data, .len = bytes.size};
}

static char *text_of(enum id_kind kind, const struct id *id)
{
    return (char *)(uintptr_t)id_text(kind, id, arena_take(&memory, ID_TEXT_SIZE));
}

static void write_requests(void)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__HatchOrder hatch = DUCK__HATCH_ORDER__INIT;
    Duck__SendOrder send = DUCK__SEND_ORDER__INIT;
    Duck__TakeOrder take = DUCK__TAKE_ORDER__INIT;
    Duck__ApproveOrder approve = DUCK__APPROVE_ORDER__INIT;
    Duck__DirectoryQuery directory = DUCK__DIRECTORY_QUERY__INIT;
    Duck__PecksQuery pecks = DUCK__PECKS_QUERY__INIT;
    Duck__FollowOrder follow = DUCK__FOLLOW_ORDER__INIT;
    ProtobufCBinaryData scopes[] = {binary("data.*")};
    char *states[] = {"taken", "pending"};

    hatch.display_name = binary("My First Duck");
    request.order_case = DUCK__REQUEST__ORDER_HATCH;
    request.hatch = &hatch;
    write_request("hatch", &request);
    send.from = text_of(ID_DUCKLING, &duck.id);
    send.to = text_of(ID_DUCKLING, &goose.id);
    send.kind = PECK_ACTION;
    send.action = binary("query");
    send.payload = binary("{}");
    send.wait_for = DUCK__WAIT_FOR__WAIT_DONE;
    send.wait_ms = 1000;
    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = &send;
    write_request("send", &request);
    take.duckling = text_of(ID_DUCKLING, &duck.id);
    take.wait_ms = 1000;
    request.order_case = DUCK__REQUEST__ORDER_TAKE;
    request.take = &take;
    write_request("take", &request);
    approve.duckling = text_of(ID_DUCKLING, &duck.id);
    approve.peck_id = text_of(ID_PECK, &goose.id);
    approve.n_scopes = 1;
    approve.scopes = scopes;
    request.order_case = DUCK__REQUEST__ORDER_APPROVE;
    request.approve = &approve;
    write_request("approve", &request);
    directory.capability = (char *)"weather.*";
    directory.limit = 10;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &directory;
    write_request("directory", &request);
    pecks.duckling = text_of(ID_DUCKLING, &duck.id);
    pecks.n_states = 2;
    pecks.states = states;
    request.order_case = DUCK__REQUEST__ORDER_PECKS;
    request.pecks = &pecks;
    write_request("pecks", &request);
    follow.directory = 1;
    request.order_case = DUCK__REQUEST__ORDER_FOLLOW;
    request.follow = &follow;
    write_request("follow", &request);
}

/* ---- reconciliation ---- */

/* The sets of fuzz_reconcile.c: so many hundred stamps, three a second. */
static struct recordset *stamps(size_t hundreds)
{
    struct recordset *set = recordset_new();

    for (size_t i = 0; i < 100 * hundreds; i++) {
        struct stamp stamp = {.at_s = (uint32_t)(1000 + i / 3)};
        stamp.hash = hash_of(bytes_of(&i, sizeof i));
        recordset_insert(set, &stamp);
    }
    return set;
}

static void write_reconciliation(void)
{
    struct recordset *few = stamps(2), *many = stamps(9);
    struct reconcile_settings settings = reconcile_defaults;
    struct reconcile *one, *other;
    struct bytes message, answer;

    settings.frame_max = RECONCILE_FRAME_MIN;
    one = reconcile_new(&settings);
    other = reconcile_new(&settings);
    reconcile_begin_probe(one, few, &message);
    write_kind("reconcile", "probe", 9 << 4, message);
    reconcile_begin(one, few, &message);
    write_kind("reconcile", "first", 9 << 4, message);
    write_kind("reconcile", "first_as_reference", 9 << 4 | 4, message);
    MUST(reconcile_answer(other, many, message, &answer) == RECONCILE_TAKEN);
    write_kind("reconcile", "answer", 2 << 4 | 1, answer);
    write_kind("reconcile", "answer_to_newest", 2 << 4 | 3, answer);
    MUST(reconcile_take(one, few, answer, &message) == RECONCILE_TAKEN);
    write_kind("reconcile", "second", 9 << 4 | 8, message);
    MUST(reconcile_answer(other, many, message, &answer) == RECONCILE_TAKEN);
    write_kind("reconcile", "answer_with_lists", 2 << 4 | 1, answer);
    write_kind("reconcile", "all", 15 << 4, bytes_of("\x61\x00\x00\x02\x00", 5));
    write_kind("reconcile", "other_version", 1 << 4, bytes_of("\x62\xaa\xbb", 3));
    reconcile_free(one);
    reconcile_free(other);
    recordset_free(few);
    recordset_free(many);
}

/* ---- the rest is text ---- */

static void write_texts(void)
{
    static const uint8_t frames[] = {2, 0, 0, 0,   3, 'a', 'b', 'c', 0,
                                     0, 0, 1, 'd', 0, 0,   0,   9,   'e'};
    static const uint8_t too_long[] = {9, 0, 0, 0, 1, 'a', 0xff, 0xff, 0xff, 0xff};
    struct bytes none = bytes_of(frames, 0);

    write_seed("framing", "two_and_a_half", bytes_of(frames, sizeof frames), none);
    write_seed("framing", "too_long", bytes_of(too_long, sizeof too_long), none);
    write_seed("json", "hatch",
               bytes_of_text("{\"email\":\"you@example.com\",\"display_name\":\"My \\u00e4gent\","
                             "\"password\":\"securepassword123\"}"),
               none);
    write_seed("json", "peck",
               bytes_of_text(" {\"target\": \"dkl_x\", \"payload\": {\"a\": [1, -2.5e3, true, null,"
                             " \"\\ud83e\\udd86\"], \"b\": {}}, \"wait\": 10}\n"),
               none);
    write_seed("json", "double", bytes_of_text("{\"a\":1,\"\\u0061\":2}"), none);
    write_seed("guard", "post",
               bytes_of_text("/beak/hatch?limit=1\nHost: duck.example\nContent-Length: 12\n"
                             "Content-Type: application/json\nOrigin: https://app.example\n"
                             "Authorization: Bearer sd_bk_x"),
               none);
    write_seed("guard", "smuggled",
               bytes_of_text("/beak/\nHost: a\nHost: b\nContent-Length: 1\n"
                             "Transfer-Encoding: chunked"),
               none);
}

/* ---- grants ---- */

static struct grant_wish grant_wish_of(const struct person *issuer, const struct person *holder,
                                       uint32_t further)
{
    return (struct grant_wish){.network = bytes_of_text(PEOPLE_NETWORK),
                               .issuer = issuer->id,
                               .key = issuer->key,
                               .chain = issuer->chain,
                               .holder = holder->id,
                               .scopes = {bytes_of_text("data.*")},
                               .scope_count = 1,
                               .uses = 3,
                               .further = further,
                               .issued_ms = PEOPLE_WALL_MS,
                               .not_after_ms = PEOPLE_WALL_MS + DAY_MS};
}

static struct bytes granted_body(struct bytes grant, const char *action)
{
    struct peck peck = {.network = bytes_of_text(PEOPLE_NETWORK),
                        .from = duck.id,
                        .to = goose.id,
                        .kind = PECK_ACTION,
                        .action = bytes_of_text(action),
                        .payload = bytes_of_text("{}"),
                        .created_ms = PEOPLE_WALL_MS,
                        .expires_ms = PEOPLE_WALL_MS + PECK_LIFE_MS,
                        .grant = grant};
    struct bytes body = {0};

    MUST(peck_pack(&peck, &memory, &body) == PECK_OK);
    return body;
}

static void write_granted(const char *name, struct bytes grant, const char *action)
{
    write_kind("intake", name, FRAME_PECK,
               frame_pack_peck(duck.chain,
                               sealed(ENVELOPE_PECK, &duck, granted_body(grant, action)), &memory));
}

static void write_grants(void)
{
    struct grant_wish wish = grant_wish_of(&goose, &duck, 3);
    struct bytes whole, narrowed;

    MUST(grant_make(&wish, &memory, &whole) == GRANT_OK);
    write_seed("grant", "first_block", bytes_of(NULL, 0), whole);
    write_granted("peck_granted", whole, "data.read");
    wish = grant_wish_of(&duck, &goose, 2);
    wish.scopes[0] = bytes_of_text("data.read");
    MUST(grant_narrow(whole, &wish, &memory, &narrowed) == GRANT_OK);
    write_seed("grant", "narrowed", bytes_of(NULL, 0), narrowed);
    write_granted("peck_revokes", narrowed, GRANT_REVOKE_ACTION);
    wish = grant_wish_of(&goose, &duck, 1);
    wish.scopes[0] = bytes_of_text("data.read");
    MUST(grant_narrow(narrowed, &wish, &memory, &whole) == GRANT_OK);
    write_seed("grant", "narrowed_twice", bytes_of(NULL, 0), whole);
}

/* ---- contexts ---- */

static struct bytes context_of(const struct person *person, const struct identity_key *key,
                               const struct bytes *scopes, size_t scope_count)
{
    struct context_wish wish = {.identity = person->id,
                                .name = bytes_of_text("deploys"),
                                .public_key = identity_key_public(key),
                                .scopes = scopes,
                                .scope_count = scope_count,
                                .issued_ms = PEOPLE_WALL_MS - HOUR_MS,
                                .not_after_ms = PEOPLE_WALL_MS + DAY_MS};
    struct bytes wire;
    struct chain chain;

    MUST(chain_open(person->chain, &memory, &chain) == CERTIFICATE_TAKEN);
    wish.certificate = chain.certificates[0].hash;
    MUST(context_make(&wish, person->key, &memory, &wire) == CONTEXT_OK);
    return wire;
}

static void write_contexts(void)
{
    struct bytes scopes[CERTIFICATE_SCOPES_MAX];
    struct identity_key *key = person_key(55);
    struct person under = {.key = key, .id = duck.id};
    struct bytes one, many;

    for (size_t i = 0; i < CERTIFICATE_SCOPES_MAX; i++)
        scopes[i] = bytes_of_text(i == 0 ? "query" : "data.*");
    one = chain_with_context(duck.chain, context_of(&duck, key, scopes, 1), &memory);
    many = chain_with_context(duck.chain, context_of(&duck, key, scopes, CERTIFICATE_SCOPES_MAX),
                              &memory);
    write_seed("context", "one_scope", bytes_of(NULL, 0), one);
    write_seed("context", "most_scopes", bytes_of(NULL, 0), many);
    write_kind(
        "intake", "peck_under_context", FRAME_PECK,
        frame_pack_peck(one, sealed(ENVELOPE_PECK, &under, peck_body(PECK_ACTION)), &memory));
    write_kind(
        "intake", "bond_request_under_context", FRAME_PECK,
        frame_pack_peck(one, sealed(ENVELOPE_PECK, &under, peck_body(PECK_BOND_REQUEST)), &memory));
    identity_key_free(key);
}

/* ---- certificates as JWS ---- */

static void write_jws(const char *name, const struct person *person)
{
    struct bytes text;
    struct chain chain;

    MUST(chain_open(person->chain, &memory, &chain) == CERTIFICATE_TAKEN);
    text = jose_jws(&chain, person->key, &memory);
    MUST(text.data);
    write_kind("jose", name, 0, text);
}

static char *base64_of(struct bytes data)
{
    size_t size = sodium_base64_encoded_len(data.size, sodium_base64_VARIANT_ORIGINAL);
    char *text = arena_take(&memory, size);

    MUST(text);
    return sodium_bin2base64(text, size, data.data, data.size, sodium_base64_VARIANT_ORIGINAL);
}

static void write_certificates(void)
{
    static const char payload[] = "{\"iss\":\"did:key:z6Mk\",\"chain\":\"%s\"}";
    char *encoded = base64_of(goose.chain), *text;
    size_t size = strlen(encoded) + sizeof payload;

    write_jws("of_a_duckling", &duck);
    write_jws("of_a_node", &alice);
    text = arena_take(&memory, size);
    MUST(text);
    snprintf(text, size, payload, encoded);
    write_kind("jose", "payload", 1, bytes_of_text(text));
    write_kind("jose", "chain_of_the_signer", 2, duck.chain);
    write_kind("jose", "chain_of_another", 2, goose.chain);
}

int main(int count, char **arguments)
{
    if (count != 2 || !identity_self_test())
        return EXIT_FAILURE;
    root = arguments[1];
    arena_init(&memory, PEOPLE_MEMORY);
    alice = person_hatch(IDENTITY_NODE, 1, &memory);
    bob = person_hatch(IDENTITY_NODE, 2, &memory);
    duck = person_hatch(IDENTITY_DUCKLING, 3, &memory);
    goose = person_hatch(IDENTITY_DUCKLING, 4, &memory);
    write_envelopes();
    write_bundles();
    write_grants();
    write_contexts();
    write_certificates();
    write_frames();
    write_sessions();
    write_requests();
    write_reconciliation();
    write_texts();
    identity_key_free(alice.key);
    identity_key_free(bob.key);
    identity_key_free(duck.key);
    identity_key_free(goose.key);
    arena_free(&memory);
    return EXIT_SUCCESS;
}
