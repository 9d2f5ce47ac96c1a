/* What programs ask: each member judged, at its limit and one beyond. */
#include "local_parts.h"

#include "wire/local.pb-c.h"

#include <check.h>
#include <stdlib.h>

#define ALICE "dkl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BOB "dkl_baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PECK "pck_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BOND "bnd_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define CERTIFICATE "crt_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NODE "nod_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct message *message;
static struct wish wish;
static struct local_refusal refusal;
static Duck__Request request;
static char filling[LOCAL_REQUEST_MAX];

static void set_up(void)
{
    message = message_new_order(MIB, 0);
    duck__request__init(&request);
    memset(filling, 'a', sizeof filling);
}

static void tear_down(void)
{
    message_free(message);
}

static ProtobufCBinaryData text(const char *from)
{
    return (ProtobufCBinaryData){strlen(from), (uint8_t *)from};
}

static ProtobufCBinaryData as_long_as(size_t size)
{
    return (ProtobufCBinaryData){size, (uint8_t *)filling};
}

static void expect_taken(enum order_kind kind)
{
    *message->order = (struct order){0};
    ck_assert_msg(local_read_request(&request, message, &wish, &refusal), "%s: %s", refusal.field,
                  refusal.message);
    ck_assert_int_eq(message->event.kind, EVENT_ORDER);
    ck_assert_ptr_eq(message->event.order, message->order);
    ck_assert_int_eq(message->order->kind, kind);
}

static void expect_code(const char *field, enum refusal_code code)
{
    *message->order = (struct order){0};
    ck_assert_msg(!local_read_request(&request, message, &wish, &refusal), "taken, despite %s",
                  field);
    ck_assert_str_eq(refusal.field, field);
    ck_assert_int_eq(refusal.code, code);
    ck_assert_uint_gt(strlen(refusal.message), 10);
}

static void expect_malformed(const char *field)
{
    expect_code(field, REFUSAL_MALFORMED);
}

/* ---- hatching, profiles ---- */

static Duck__HatchOrder hatch;

static void ask_hatch(void)
{
    duck__hatch_order__init(&hatch);
    hatch.display_name = text("Alice");
    request.order_case = DUCK__REQUEST__ORDER_HATCH;
    request.hatch = &hatch;
}

START_TEST(each_hatch_gets_seeds_of_its_own_that_are_wiped_after_it)
{
    static const uint8_t nothing[SEED_SIZE];
    uint8_t first[SEED_SIZE];

    ask_hatch();
    expect_taken(ORDER_HATCH);
    ck_assert_int_eq(wish.kind, REQUEST_HATCH);
    ck_assert(message->forget_seeds);
    ck_assert(message->order->profile.accepts_pecks);
    memcpy(first, message->order->seeds[0], SEED_SIZE);
    ck_assert_mem_ne(first, nothing, SEED_SIZE);
    ck_assert_mem_ne(message->order->seeds[1], nothing, SEED_SIZE);
    ck_assert_mem_ne(message->order->seeds[1], first, SEED_SIZE);
    expect_taken(ORDER_HATCH);
    ck_assert_mem_ne(message->order->seeds[0], first, SEED_SIZE);
    hatch.refuses_pecks = true;
    expect_taken(ORDER_HATCH);
    ck_assert(!message->order->profile.accepts_pecks);
}
END_TEST

static Duck__RotateOrder rotate;

static void ask_rotate(char *identity, size_t seed, size_t hash, size_t sealed)
{
    duck__rotate_order__init(&rotate);
    rotate.identity = identity;
    rotate.seed = as_long_as(seed);
    rotate.next_key_hash = as_long_as(hash);
    rotate.sealed_next = as_long_as(sealed);
    request.order_case = DUCK__REQUEST__ORDER_ROTATE;
    request.rotate = &rotate;
}

START_TEST(a_rotation_has_keys_of_their_sizes)
{
    char node[] = "nod_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", duckling[] = ALICE, peck[] = "pck_a";

    ask_rotate(duckling, SEED_SIZE, HASH_SIZE, LOCAL_SEALED_NEXT_SIZE);
    expect_taken(ORDER_ROTATE);
    ck_assert_int_eq(wish.kind, REQUEST_ROTATE);
    ck_assert(message->forget_seeds);
    ask_rotate(duckling, 0, HASH_SIZE, LOCAL_SEALED_NEXT_SIZE); /* the node opens it */
    expect_taken(ORDER_ROTATE);
    ask_rotate(node, SEED_SIZE, HASH_SIZE, 0);
    expect_taken(ORDER_ROTATE);
    ask_rotate(node, 0, HASH_SIZE, 0);
    expect_malformed("seed");
    ask_rotate(duckling, SEED_SIZE - 1, HASH_SIZE, LOCAL_SEALED_NEXT_SIZE);
    expect_malformed("seed");
    ask_rotate(duckling, SEED_SIZE, 0, LOCAL_SEALED_NEXT_SIZE); /* it promises nothing */
    expect_malformed("next_key_hash");
    ask_rotate(duckling, SEED_SIZE, HASH_SIZE, SEED_SIZE); /* not sealed */
    expect_malformed("sealed_next");
    ask_rotate(node, SEED_SIZE, HASH_SIZE, LOCAL_SEALED_NEXT_SIZE);
    expect_malformed("sealed_next");
    ask_rotate(peck, SEED_SIZE, HASH_SIZE, LOCAL_SEALED_NEXT_SIZE);
    expect_malformed("identity");
}
END_TEST

START_TEST(a_display_name_is_1_to_64_bytes_of_text)
{
    ask_hatch();
    hatch.display_name = as_long_as(NAME_MAX_BYTES);
    expect_taken(ORDER_HATCH);
    hatch.display_name = as_long_as(NAME_MAX_BYTES + 1);
    expect_malformed("display_name");
    hatch.display_name = text("");
    expect_malformed("display_name");
    hatch.display_name = text("kcud\xE2\x80\xAE"); /* U+202E */
    expect_malformed("display_name");
    hatch.display_name = text(" ");
    expect_malformed("display_name");
    hatch.display_name = text("two\nlines");
    expect_malformed("display_name");
    hatch.display_name = text("\xff");
    expect_malformed("display_name");
}
END_TEST

START_TEST(a_bio_is_at_most_1024_bytes_of_text)
{
    ask_hatch();
    hatch.bio = as_long_as(BIO_MAX);
    expect_taken(ORDER_HATCH);
    hatch.bio = as_long_as(BIO_MAX + 1);
    expect_malformed("bio");
    hatch.bio = text("two\nlines");
    expect_taken(ORDER_HATCH);
    hatch.bio = text("\x1b[2J");
    expect_malformed("bio");
}
END_TEST

START_TEST(capabilities_are_at_most_32_names)
{
    ProtobufCBinaryData capabilities[DUCKLING_CAPABILITIES_MAX + 1];

    ask_hatch();
    for (size_t i = 0; i <= DUCKLING_CAPABILITIES_MAX; i++)
        capabilities[i] = as_long_as(NAME_MAX_BYTES);
    hatch.capabilities = capabilities;
    hatch.n_capabilities = DUCKLING_CAPABILITIES_MAX;
    expect_taken(ORDER_HATCH);
    ck_assert_uint_eq(message->order->profile.capability_count, DUCKLING_CAPABILITIES_MAX);
    hatch.n_capabilities = DUCKLING_CAPABILITIES_MAX + 1;
    expect_malformed("capabilities");
    hatch.n_capabilities = 1;
    capabilities[0] = as_long_as(NAME_MAX_BYTES + 1);
    expect_malformed("capabilities");
    capabilities[0] = text("");
    expect_malformed("capabilities");
    capabilities[0] = text("Data Read");
    expect_malformed("capabilities");
}
END_TEST

START_TEST(a_profile_changes_only_what_it_names)
{
    Duck__ProfileOrder profile = DUCK__PROFILE_ORDER__INIT;

    request.order_case = DUCK__REQUEST__ORDER_PROFILE;
    request.profile = &profile;
    expect_malformed("duckling");
    profile.duckling = ALICE;
    profile.set_bio = true;
    profile.bio = text("new");
    expect_taken(ORDER_PROFILE);
    ck_assert(message->order->profile.set_bio);
    ck_assert(!message->order->profile.set_display_name);
    ck_assert(!message->order->profile.set_capabilities);
    ck_assert(!message->order->profile.set_accepts_pecks);
    ck_assert_int_eq(wish.kind, REQUEST_DONE);
    profile.set_display_name = true;
    expect_malformed("display_name");
}
END_TEST

/* ---- sending ---- */

static Duck__SendOrder sending;

static void ask_send(void)
{
    duck__send_order__init(&sending);
    sending.from = ALICE;
    sending.to = BOB;
    sending.kind = 1;
    sending.action = text("data.read");
    sending.payload = text("{}");
    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = &sending;
}

static void ask_for_bond(ProtobufCBinaryData *scopes, size_t count)
{
    ask_send();
    sending.kind = 2;
    sending.action = text("");
    sending.payload = text("");
    sending.scopes = scopes;
    sending.n_scopes = count;
}

START_TEST(a_send_names_two_ducklings)
{
    ask_send();
    sending.wait_for = DUCK__WAIT_FOR__WAIT_DONE;
    sending.wait_ms = WAIT_MAX_MS;
    expect_taken(ORDER_SEND);
    ck_assert_int_eq(wish.kind, REQUEST_SEND);
    ck_assert_uint_eq(wish.wait_ms, WAIT_MAX_MS);
    ck_assert(id_equal(&message->order->duckling, &message->order->send.from));
    sending.from = "";
    expect_malformed("from");
    sending.from = NODE;
    expect_malformed("from");
    sending.from = "dkl_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    expect_malformed("from");
    sending.from = BOB;
    expect_malformed("to");
    sending.from = ALICE;
    sending.to = "bob";
    expect_malformed("to");
}
END_TEST

START_TEST(a_send_names_a_context_for_an_action_alone)
{
    ProtobufCBinaryData scope = text("data.*");

    ask_send();
    expect_taken(ORDER_SEND);
    ck_assert_uint_eq(message->order->context.size, 0);
    sending.context = as_long_as(NAME_MAX_BYTES);
    expect_taken(ORDER_SEND);
    ck_assert_uint_eq(message->order->context.size, NAME_MAX_BYTES);
    sending.context = as_long_as(NAME_MAX_BYTES + 1);
    expect_malformed("context");
    ask_for_bond(&scope, 1);
    expect_taken(ORDER_SEND);
    sending.context = text("weather");
    expect_malformed("context");
    duck__send_order__init(&sending);
    sending.from = ALICE;
    sending.made = text("what is signed elsewhere");
    sending.context = text("weather");
    expect_malformed("signed");
    ck_assert_ptr_nonnull(strstr(refusal.message, "name nothing else"));
}
END_TEST

START_TEST(a_peck_is_of_a_kind)
{
    ask_send();
    sending.kind = 0;
    expect_malformed("kind");
    sending.kind = 3;
    expect_malformed("kind");
}
END_TEST

START_TEST(an_action_is_a_name_and_its_payload_at_most_256_kib)
{
    ProtobufCBinaryData scope = text("data.*");

    ask_send();
    sending.action = as_long_as(PECK_ACTION_MAX);
    sending.payload = as_long_as(PECK_PAYLOAD_MAX);
    expect_taken(ORDER_SEND);
    sending.payload = as_long_as(PECK_PAYLOAD_MAX + 1);
    expect_code("payload", REFUSAL_TOO_LARGE);
    sending.payload = text("{}");
    sending.action = as_long_as(PECK_ACTION_MAX + 1);
    expect_malformed("action");
    sending.action = text("");
    expect_malformed("action");
    sending.action = text("Data!");
    expect_malformed("action");
    sending.action = text("data");
    sending.scopes = &scope;
    sending.n_scopes = 1;
    expect_malformed("scopes");
    sending.n_scopes = 0;
    sending.message = text("please");
    expect_malformed("message");
}
END_TEST

START_TEST(a_bond_request_has_1_to_16_scopes_and_neither_action_nor_payload)
{
    ProtobufCBinaryData scopes[PECK_SCOPES_MAX + 1];

    for (size_t i = 0; i <= PECK_SCOPES_MAX; i++)
        scopes[i] = text("data.*");
    ask_for_bond(scopes, PECK_SCOPES_MAX);
    sending.message = as_long_as(PECK_MESSAGE_MAX);
    expect_taken(ORDER_SEND);
    ck_assert_uint_eq(message->order->send.scope_count, PECK_SCOPES_MAX);
    sending.message = as_long_as(PECK_MESSAGE_MAX + 1);
    expect_malformed("message");
    ask_for_bond(scopes, PECK_SCOPES_MAX + 1);
    expect_malformed("scopes");
    ask_for_bond(scopes, 0);
    expect_malformed("scopes");
    ask_for_bond(scopes, 1);
    sending.action = text("data");
    expect_malformed("action");
    ask_for_bond(scopes, 1);
    sending.payload = text("{}");
    expect_malformed("payload");
    scopes[0] = text("*.data");
    ask_for_bond(scopes, 1);
    expect_malformed("scopes");
}
END_TEST

START_TEST(what_goes_along_with_a_peck_is_bounded)
{
    ask_send();
    sending.thread = as_long_as(PECK_THREAD_MAX);
    sending.idempotency_key = as_long_as(PECK_IDEMPOTENCY_KEY_MAX);
    sending.trace = as_long_as(PECK_TRACE_SIZE);
    sending.expires_in_ms = PECK_LIFE_MAX_MS;
    sending.reply_to = PECK;
    expect_taken(ORDER_SEND);
    sending.thread = as_long_as(PECK_THREAD_MAX + 1);
    expect_malformed("thread");
    sending.thread = text("\xc3\xbc");
    expect_malformed("thread");
    sending.thread = text("");
    sending.idempotency_key = as_long_as(PECK_IDEMPOTENCY_KEY_MAX + 1);
    expect_malformed("idempotency_key");
    sending.idempotency_key = text("\xC3\x84");
    expect_malformed("idempotency_key");
    sending.idempotency_key = text("");
    sending.trace = as_long_as(PECK_TRACE_SIZE - 1);
    expect_malformed("trace");
    sending.trace = text("");
    sending.expires_in_ms = PECK_LIFE_MAX_MS + 1;
    expect_malformed("expires_in");
    sending.expires_in_ms = 0;
    sending.reply_to = BOND;
    expect_malformed("reply_to");
}
END_TEST

START_TEST(nobody_waits_longer_than_30_seconds)
{
    ask_send();
    sending.wait_ms = WAIT_MAX_MS + 1;
    expect_malformed("wait_ms");
    sending.wait_ms = 0;
    sending.wait_for = DUCK__WAIT_FOR__WAIT_DONE + 1;
    expect_malformed("wait_for");
}
END_TEST

/* ---- receiving ---- */

START_TEST(a_take_is_of_at_most_200_pecks_for_at_most_an_hour)
{
    Duck__TakeOrder take = DUCK__TAKE_ORDER__INIT;

    request.order_case = DUCK__REQUEST__ORDER_TAKE;
    request.take = &take;
    expect_malformed("duckling");
    take.duckling = ALICE;
    expect_taken(ORDER_TAKE);
    ck_assert_uint_eq(message->order->limit, LOCAL_TAKE);
    ck_assert_uint_eq(message->order->lease_ms, LEASE_MS);
    take.limit = LOCAL_TAKE_MAX;
    take.lease_ms = LEASE_MAX_MS;
    take.wait_ms = WAIT_MAX_MS;
    expect_taken(ORDER_TAKE);
    take.limit++;
    expect_malformed("limit");
    take.limit = 1;
    take.lease_ms++;
    expect_malformed("lease_ms");
    take.lease_ms = LEASE_MIN_MS;
    expect_taken(ORDER_TAKE);
    take.lease_ms--;
    expect_malformed("lease_ms");
    take.lease_ms = 0;
    take.wait_ms++;
    expect_malformed("wait_ms");
}
END_TEST

START_TEST(a_take_names_at_most_64_actions_that_it_wants_or_does_not)
{
    Duck__TakeOrder take = DUCK__TAKE_ORDER__INIT;
    ProtobufCBinaryData scopes[LOCAL_FILTER_MAX + 1];

    for (size_t i = 0; i <= LOCAL_FILTER_MAX; i++)
        scopes[i] = (ProtobufCBinaryData){6, (uint8_t *)"data.*"};
    request.order_case = DUCK__REQUEST__ORDER_TAKE;
    request.take = &take;
    take.duckling = ALICE;
    take.actions = take.but_not = scopes;
    take.n_actions = take.n_but_not = LOCAL_FILTER_MAX;
    expect_taken(ORDER_TAKE);
    ck_assert_uint_eq(message->order->filter.action_count, LOCAL_FILTER_MAX);
    ck_assert_uint_eq(message->order->filter.but_not_count, LOCAL_FILTER_MAX);
    ck_assert(bytes_equal(message->order->filter.but_not[63], bytes_of_text("data.*")));
    take.n_actions++;
    expect_malformed("actions");
    take.n_actions = 0;
    take.n_but_not++;
    expect_malformed("but_not");
    take.n_but_not = 1;
    scopes[0] = (ProtobufCBinaryData){3, (uint8_t *)"da*"};
    expect_malformed("but_not");
    take.n_actions = 1;
    expect_malformed("actions");
}
END_TEST

START_TEST(a_renewal_is_of_1_to_200_pecks_for_at_most_an_hour)
{
    Duck__RenewOrder renewal = DUCK__RENEW_ORDER__INIT;
    char *pecks[LOCAL_ACK_MAX + 1];

    for (size_t i = 0; i <= LOCAL_ACK_MAX; i++)
        pecks[i] = PECK;
    request.order_case = DUCK__REQUEST__ORDER_RENEW;
    request.renew = &renewal;
    renewal.duckling = ALICE;
    renewal.peck_ids = pecks;
    expect_malformed("peck_ids");
    renewal.n_peck_ids = LOCAL_ACK_MAX;
    expect_taken(ORDER_RENEW);
    ck_assert_uint_eq(message->order->lease_ms, LEASE_MS);
    renewal.n_peck_ids++;
    expect_malformed("peck_ids");
    renewal.n_peck_ids = 1;
    renewal.lease_ms = LEASE_MAX_MS;
    expect_taken(ORDER_RENEW);
    renewal.lease_ms++;
    expect_malformed("lease_ms");
    renewal.lease_ms = LEASE_MIN_MS - 1;
    expect_malformed("lease_ms");
    renewal.lease_ms = 0;
    renewal.duckling = "";
    expect_malformed("duckling");
}
END_TEST

START_TEST(an_acknowledgement_is_of_1_to_200_pecks)
{
    Duck__AckOrder acknowledgement = DUCK__ACK_ORDER__INIT;
    char *pecks[LOCAL_ACK_MAX + 1];

    for (size_t i = 0; i <= LOCAL_ACK_MAX; i++)
        pecks[i] = PECK;
    request.order_case = DUCK__REQUEST__ORDER_ACK;
    request.ack = &acknowledgement;
    acknowledgement.peck_ids = pecks;
    expect_malformed("peck_ids");
    acknowledgement.n_peck_ids = LOCAL_ACK_MAX;
    expect_taken(ORDER_ACK);
    ck_assert_uint_eq(message->order->peck_count, LOCAL_ACK_MAX);
    acknowledgement.n_peck_ids++;
    expect_malformed("peck_ids");
    acknowledgement.n_peck_ids = 2;
    pecks[1] = ALICE;
    expect_malformed("peck_ids");
    pecks[1] = PECK;
    acknowledgement.duckling = PECK;
    expect_malformed("duckling");
}
END_TEST

START_TEST(what_is_given_back_is_1_to_200_pecks_of_a_duckling)
{
    Duck__GiveBackOrder back = DUCK__GIVE_BACK_ORDER__INIT;
    char *pecks[LOCAL_ACK_MAX + 1];

    for (size_t i = 0; i <= LOCAL_ACK_MAX; i++)
        pecks[i] = PECK;
    request.order_case = DUCK__REQUEST__ORDER_GIVE_BACK;
    request.give_back = &back;
    back.duckling = ALICE;
    back.peck_ids = pecks;
    expect_malformed("peck_ids");
    back.n_peck_ids = LOCAL_ACK_MAX;
    expect_taken(ORDER_GIVE_BACK);
    ck_assert_uint_eq(message->order->peck_count, LOCAL_ACK_MAX);
    back.n_peck_ids++;
    expect_malformed("peck_ids");
    back.n_peck_ids = 1;
    back.duckling = "";
    expect_malformed("duckling");
}
END_TEST

START_TEST(an_answer_is_a_result_or_a_problem)
{
    Duck__AnswerOrder answer = DUCK__ANSWER_ORDER__INIT;

    request.order_case = DUCK__REQUEST__ORDER_ANSWER;
    request.answer = &answer;
    expect_malformed("peck_id");
    answer.peck_id = PECK;
    answer.result = as_long_as(PECK_PAYLOAD_MAX);
    expect_taken(ORDER_ANSWER);
    ck_assert_int_eq(wish.kind, REQUEST_ANSWER);
    answer.result = as_long_as(PECK_PAYLOAD_MAX + 1);
    expect_code("result", REFUSAL_TOO_LARGE);
    answer.result = text("{}");
    answer.problem = text("no");
    expect_malformed("problem");
    answer.failed = true;
    expect_malformed("result");
    answer.result = text("");
    answer.problem = as_long_as(RECEIPT_PROBLEM_MAX);
    expect_taken(ORDER_ANSWER);
    answer.problem = as_long_as(RECEIPT_PROBLEM_MAX + 1);
    expect_malformed("problem");
    answer.problem = text("\x07");
    expect_malformed("problem");
    answer.problem = text("no");
    answer.duckling = "me";
    expect_malformed("duckling");
}
END_TEST

START_TEST(an_owner_approves_or_denies_a_peck)
{
    ProtobufCBinaryData scopes[PECK_SCOPES_MAX + 1];
    Duck__ApproveOrder approval = DUCK__APPROVE_ORDER__INIT;
    Duck__DenyOrder denial = DUCK__DENY_ORDER__INIT;

    for (size_t i = 0; i <= PECK_SCOPES_MAX; i++)
        scopes[i] = text("data.read");
    request.order_case = DUCK__REQUEST__ORDER_APPROVE;
    request.approve = &approval;
    expect_malformed("peck_id");
    approval.peck_id = PECK;
    expect_taken(ORDER_APPROVE);
    ck_assert_int_eq(wish.kind, REQUEST_DECIDE);
    approval.scopes = scopes;
    approval.n_scopes = PECK_SCOPES_MAX;
    expect_taken(ORDER_APPROVE);
    approval.n_scopes++;
    expect_malformed("scopes");
    approval.n_scopes = 1;
    scopes[0] = text("");
    expect_malformed("scopes");
    request.order_case = DUCK__REQUEST__ORDER_DENY;
    request.deny = &denial;
    expect_malformed("peck_id");
    denial.peck_id = PECK;
    denial.reason = as_long_as(RECEIPT_PROBLEM_MAX);
    expect_taken(ORDER_DENY);
    denial.reason = as_long_as(RECEIPT_PROBLEM_MAX + 1);
    expect_malformed("reason");
}
END_TEST

START_TEST(a_cancel_names_its_peck)
{
    Duck__CancelOrder cancel = DUCK__CANCEL_ORDER__INIT;

    request.order_case = DUCK__REQUEST__ORDER_CANCEL;
    request.cancel = &cancel;
    expect_malformed("peck_id");
    cancel.peck_id = PECK;
    expect_taken(ORDER_CANCEL);
    cancel.duckling = "x";
    expect_malformed("duckling");
}
END_TEST

START_TEST(an_unpeck_names_the_bond_or_the_other_end)
{
    Duck__UnpeckOrder unpeck = DUCK__UNPECK_ORDER__INIT;

    request.order_case = DUCK__REQUEST__ORDER_UNPECK;
    request.unpeck = &unpeck;
    unpeck.duckling = ALICE;
    expect_malformed("bond_id");
    unpeck.bond_id = BOND;
    expect_taken(ORDER_UNPECK);
    unpeck.with = BOB;
    expect_malformed("bond_id");
    unpeck.bond_id = "";
    expect_taken(ORDER_UNPECK);
    unpeck.with = "x";
    expect_malformed("with");
    unpeck.with = "";
    unpeck.bond_id = PECK;
    expect_malformed("bond_id");
    unpeck.bond_id = BOND;
    unpeck.duckling = "";
    expect_malformed("duckling");
}
END_TEST

/* ---- the rest ---- */

START_TEST(an_address_to_join_is_host_and_port_behind_perhaps_a_node)
{
    static const char *const wrong[] = {
        "",        "host",     "host:",         ":7117",        "host:port", "host:123456",
        "ho st:1", "x@host:1", ALICE "@host:1", "http://host:1"};
    Duck__JoinOrder join = DUCK__JOIN_ORDER__INIT;

    request.order_case = DUCK__REQUEST__ORDER_JOIN;
    request.join = &join;
    join.address = "host.example:7117";
    expect_taken(ORDER_JOIN);
    ck_assert(id_is_zero(&message->order->node));
    join.address = NODE "@[::1]:7117";
    expect_taken(ORDER_JOIN);
    ck_assert(bytes_equal(message->order->address, bytes_of_text("[::1]:7117")));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        join.address = (char *)wrong[i];
        expect_malformed("address");
    }
    filling[ADDRESS_MAX - 2] = 0;
    strcat(filling, ":1");
    join.address = filling;
    expect_taken(ORDER_JOIN);
    strcat(filling, "0");
    expect_malformed("address");
}
END_TEST

START_TEST(counters_do_not_jump)
{
    Duck__CountOrder count = DUCK__COUNT_ORDER__INIT;

    request.order_case = DUCK__REQUEST__ORDER_COUNT;
    request.count = &count;
    count.eggs = -1;
    count.pageviews = 1000000000;
    expect_taken(ORDER_COUNT);
    ck_assert_int_eq(message->order->eggs, -1);
    count.pageviews++;
    expect_malformed("pageviews");
    count.pageviews = 0;
    count.eggs = (int64_t)INT32_MAX + 1;
    expect_malformed("eggs");
}
END_TEST

START_TEST(a_pulse_and_a_follow_name_ducklings)
{
    Duck__PulseOrder pulse = DUCK__PULSE_ORDER__INIT;
    Duck__FollowOrder follow = DUCK__FOLLOW_ORDER__INIT;

    request.order_case = DUCK__REQUEST__ORDER_PULSE;
    request.pulse = &pulse;
    expect_malformed("duckling");
    pulse.duckling = ALICE;
    expect_taken(ORDER_PULSE);
    request.order_case = DUCK__REQUEST__ORDER_FOLLOW;
    request.follow = &follow;
    ck_assert(local_read_request(&request, message, &wish, &refusal));
    ck_assert_int_eq(wish.kind, REQUEST_FOLLOW);
    follow.duckling = "x";
    expect_malformed("duckling");
}
END_TEST

START_TEST(a_question_for_a_peck_names_it)
{
    Duck__PeckQuery query = DUCK__PECK_QUERY__INIT;

    request.order_case = DUCK__REQUEST__ORDER_PECK;
    request.peck = &query;
    expect_malformed("peck_id");
    query.peck_id = PECK;
    ck_assert(local_read_request(&request, message, &wish, &refusal));
    ck_assert_int_eq(wish.kind, REQUEST_PECK);
    query.wait_ms = WAIT_MAX_MS + 1;
    expect_malformed("wait_ms");
    query.wait_ms = 0;
    query.duckling = "x";
    expect_malformed("duckling");
}
END_TEST

START_TEST(trust_names_an_operator_or_a_domain)
{
    Duck__TrustOrder trust = DUCK__TRUST_ORDER__INIT;

    request.order_case = DUCK__REQUEST__ORDER_TRUST;
    request.trust = &trust;
    expect_malformed("operator"); /* neither */
    trust.operator_ = "opr_nobody";
    expect_malformed("operator");
    trust.operator_ = ALICE; /* a duckling */
    expect_malformed("operator");
    trust.domain = "example.org";
    expect_malformed("operator"); /* both */
    trust.operator_ = "";
    expect_taken(ORDER_TRUST);
    trust.forget = true;
    expect_malformed("domain");
}
END_TEST

START_TEST(a_context_is_issued_with_a_seed_of_its_own_that_is_wiped_after_it)
{
    static const uint8_t nothing[SEED_SIZE];
    ProtobufCBinaryData scopes[CERTIFICATE_SCOPES_MAX + 1];
    Duck__IssueOrder issue = DUCK__ISSUE_ORDER__INIT;
    uint8_t first[SEED_SIZE];

    for (size_t i = 0; i <= CERTIFICATE_SCOPES_MAX; i++)
        scopes[i] = text("data.read");
    request.order_case = DUCK__REQUEST__ORDER_ISSUE;
    request.issue = &issue;
    issue.duckling = ALICE;
    issue.context = text("weather");
    issue.scopes = scopes;
    expect_malformed("scopes"); /* none */
    issue.n_scopes = CERTIFICATE_SCOPES_MAX + 1;
    expect_malformed("scopes");
    issue.n_scopes = CERTIFICATE_SCOPES_MAX;
    message->forget_seeds = false;
    expect_taken(ORDER_ISSUE);
    ck_assert_int_eq(wish.kind, REQUEST_ISSUE);
    ck_assert(message->forget_seeds);
    memcpy(first, message->order->seeds[0], SEED_SIZE);
    ck_assert_mem_ne(first, nothing, SEED_SIZE);
    expect_taken(ORDER_ISSUE);
    ck_assert_mem_ne(message->order->seeds[0], first, SEED_SIZE);
    scopes[3] = text("data.**");
    expect_malformed("scopes");
    scopes[3] = text("data.*");
    expect_taken(ORDER_ISSUE);
    issue.duckling = "";
    expect_malformed("duckling");
    issue.duckling = NODE;
    expect_malformed("duckling");
}
END_TEST

START_TEST(who_says_whose_context_is_revoked_names_one)
{
    Duck__RevokeOrder revoke = DUCK__REVOKE_ORDER__INIT;

    request.order_case = DUCK__REQUEST__ORDER_REVOKE;
    request.revoke = &revoke;
    revoke.identity = CERTIFICATE;
    expect_taken(ORDER_REVOKE);
    ck_assert(id_is_zero(&message->order->duckling));
    revoke.context_of = BOB;
    expect_taken(ORDER_REVOKE);
    ck_assert(!id_is_zero(&message->order->duckling));
    revoke.context_of = NODE;
    expect_malformed("context_of");
    revoke.context_of = BOB;
    revoke.identity = ALICE; /* it would end altogether */
    expect_malformed("context_of");
    revoke.identity = BOND;
    expect_malformed("context_of");
    revoke.identity = NODE;
    expect_malformed("context_of");
}
END_TEST

START_TEST(a_withdrawal_comes_with_certificates_of_a_size)
{
    static uint8_t chain[CHAIN_SIZE_MAX + 1];
    Duck__WithdrawOrder withdraw = DUCK__WITHDRAW_ORDER__INIT;

    request.order_case = DUCK__REQUEST__ORDER_WITHDRAW;
    request.withdraw = &withdraw;
    withdraw.chain = (ProtobufCBinaryData){sizeof chain, chain};
    expect_malformed("chain");
    withdraw.chain.len--;
    expect_taken(ORDER_WITHDRAW);
}
END_TEST

START_TEST(an_order_that_nobody_knows_is_refused)
{
    expect_malformed("");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("local_orders");
    TCase *tests = tcase_create("local_orders");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, each_hatch_gets_seeds_of_its_own_that_are_wiped_after_it);
    tcase_add_test(tests, a_display_name_is_1_to_64_bytes_of_text);
    tcase_add_test(tests, a_bio_is_at_most_1024_bytes_of_text);
    tcase_add_test(tests, capabilities_are_at_most_32_names);
    tcase_add_test(tests, a_profile_changes_only_what_it_names);
    tcase_add_test(tests, a_send_names_two_ducklings);
    tcase_add_test(tests, a_send_names_a_context_for_an_action_alone);
    tcase_add_test(tests, a_peck_is_of_a_kind);
    tcase_add_test(tests, an_action_is_a_name_and_its_payload_at_most_256_kib);
    tcase_add_test(tests, a_bond_request_has_1_to_16_scopes_and_neither_action_nor_payload);
    tcase_add_test(tests, what_goes_along_with_a_peck_is_bounded);
    tcase_add_test(tests, nobody_waits_longer_than_30_seconds);
    tcase_add_test(tests, a_take_is_of_at_most_200_pecks_for_at_most_an_hour);
    tcase_add_test(tests, an_acknowledgement_is_of_1_to_200_pecks);
    tcase_add_test(tests, a_take_names_at_most_64_actions_that_it_wants_or_does_not);
    tcase_add_test(tests, a_renewal_is_of_1_to_200_pecks_for_at_most_an_hour);
    tcase_add_test(tests, what_is_given_back_is_1_to_200_pecks_of_a_duckling);
    tcase_add_test(tests, an_answer_is_a_result_or_a_problem);
    tcase_add_test(tests, an_owner_approves_or_denies_a_peck);
    tcase_add_test(tests, a_cancel_names_its_peck);
    tcase_add_test(tests, an_unpeck_names_the_bond_or_the_other_end);
    tcase_add_test(tests, an_address_to_join_is_host_and_port_behind_perhaps_a_node);
    tcase_add_test(tests, counters_do_not_jump);
    tcase_add_test(tests, a_pulse_and_a_follow_name_ducklings);
    tcase_add_test(tests, a_question_for_a_peck_names_it);
    tcase_add_test(tests, trust_names_an_operator_or_a_domain);
    tcase_add_test(tests, a_context_is_issued_with_a_seed_of_its_own_that_is_wiped_after_it);
    tcase_add_test(tests, who_says_whose_context_is_revoked_names_one);
    tcase_add_test(tests, a_withdrawal_comes_with_certificates_of_a_size);
    tcase_add_test(tests, a_rotation_has_keys_of_their_sizes);
    tcase_add_test(tests, an_order_that_nobody_knows_is_refused);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
