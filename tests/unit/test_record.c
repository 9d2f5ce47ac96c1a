#include "births.h"
#include "core/record.h"
#include "wire/record.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW_MS BORN_MS
#define RELAYED 99 /* a kind of a later release */

static struct arena arena;

static void set_up(void)
{
    ck_assert(identity_self_test());
    arena_init(&arena, 16 * MIB);
}

static void tear_down(void)
{
    arena_free(&arena);
}

static struct bytes filled(size_t size, char filler)
{
    char *data = arena_take(&arena, size + 1);

    memset(data, filler, size + 1);
    return bytes_of(data, size);
}

static struct record record_of(uint32_t kind, struct bytes content)
{
    return (struct record){
        .network = bytes_of_text("pond"),
        .owner = {{1}},
        .kind = kind,
        .version = {NOW_MS, 3},
        .not_after_ms = NOW_MS + RECORD_LIFE_MS,
        .content = content,
    };
}

static ProtobufCBinaryData lent(struct bytes bytes)
{
    return (ProtobufCBinaryData){bytes.size, (uint8_t *)(uintptr_t)bytes.data};
}

static struct bytes wire_of(struct record *record)
{
    Duck__RecordBody message = DUCK__RECORD_BODY__INIT;
    uint8_t *data;

    message.network = lent(record->network);
    message.owner = (ProtobufCBinaryData){ID_SIZE, record->owner.bytes};
    message.kind = record->kind;
    message.key = lent(record->key);
    message.version_ms = record->version.ms;
    message.version_count = record->version.count;
    message.not_after_ms = record->not_after_ms;
    message.deleted = record->deleted;
    message.content = lent(record->content);
    data = arena_take(&arena, duck__record_body__get_packed_size(&message) + 1);
    return bytes_of(data, duck__record_body__pack(&message, data));
}

static enum record_verdict parse(struct bytes body, struct record *record)
{
    static struct arena parsed;

    arena_free(&parsed);
    arena_init(&parsed, PARSE_BUDGET(body.size));
    return record_parse(body, &parsed, record);
}

/* What one side refuses to say, the other refuses to hear. */
static enum record_verdict verdict_of(struct record record)
{
    struct record parsed = {.kind = 4711};
    struct bytes body;
    enum record_verdict made = record_pack(&record, &arena, &body);
    enum record_verdict heard = parse(wire_of(&record), &parsed);

    ck_assert(made == RECORD_OK || body.data == NULL);
    ck_assert_int_eq(made, heard);
    if (heard != RECORD_OK)
        ck_assert_uint_eq(parsed.kind, 4711); /* a refusal writes nothing */
    return heard;
}

/* ---- records ---- */

START_TEST(a_record_comes_back_as_it_went)
{
    struct record record = record_of(RELAYED, bytes_of_text("\x01\x02")), parsed;
    struct bytes body;
    struct hash hash;

    record.key = bytes_of_text("key");
    record.deleted = true;
    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    hash = envelope_hash(ENVELOPE_RECORD, body);
    ck_assert(hash_equal(&record.hash, &hash));
    ck_assert_int_eq(parse(body, &parsed), RECORD_OK);
    ck_assert(hash_equal(&parsed.hash, &hash));
    ck_assert(bytes_equal(parsed.network, record.network));
    ck_assert(id_equal(&parsed.owner, &record.owner));
    ck_assert_uint_eq(parsed.kind, RELAYED);
    ck_assert(bytes_equal(parsed.key, record.key));
    ck_assert_uint_eq(parsed.version.ms, NOW_MS);
    ck_assert_uint_eq(parsed.version.count, 3);
    ck_assert_uint_eq(parsed.not_after_ms, record.not_after_ms);
    ck_assert(parsed.deleted);
    ck_assert(bytes_equal(parsed.content, record.content));
}
END_TEST

START_TEST(a_record_fits_an_envelope_of_4_kib)
{
    struct identity_key *key = birth_key(1);
    struct record record = record_of(RELAYED, filled(3000, 'x'));
    struct envelope envelope;
    struct bytes body, wire;
    struct id signer = {{1}};
    size_t room;

    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    room = RECORD_SIZE_MAX - RECORD_ENVELOPE_OVERHEAD - body.size;
    record.content = filled(3000 + room, 'x');
    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    wire = envelope_seal(ENVELOPE_RECORD, &signer, key, body, &arena, NULL);
    ck_assert_uint_le(wire.size, RECORD_SIZE_MAX);
    ck_assert_int_eq(envelope_parse(wire, ENVELOPE_RECORD, &arena, &envelope), ENVELOPE_TAKEN);
    record.content = filled(3000 + room + 1, 'x');
    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_TOO_LARGE);
    ck_assert_int_eq(parse(filled(RECORD_SIZE_MAX + 1, '\xFF'), &record), RECORD_TOO_LARGE);
    ck_assert_int_eq(parse(filled(RECORD_SIZE_MAX, '\xFF'), &record), RECORD_MALFORMED);
    identity_key_free(key);
}
END_TEST

START_TEST(every_field_has_its_limit)
{
    struct record record = record_of(RELAYED, bytes_of(NULL, 0));

    record.network = filled(NETWORK_ID_MAX, 'n');
    ck_assert_int_eq(verdict_of(record), RECORD_OK);
    record.network.size++;
    ck_assert_int_eq(verdict_of(record), RECORD_MALFORMED);
    record.network.size = 0;
    ck_assert_int_eq(verdict_of(record), RECORD_MALFORMED);
    record = record_of(RELAYED, bytes_of(NULL, 0));
    record.key = filled(RECORD_KEY_MAX, 'k');
    ck_assert_int_eq(verdict_of(record), RECORD_OK);
    record.key.size++;
    ck_assert_int_eq(verdict_of(record), RECORD_MALFORMED);
    ck_assert_int_eq(verdict_of(record_of(0, bytes_of(NULL, 0))), RECORD_MALFORMED);
    ck_assert_int_eq(verdict_of(record_of(UINT32_MAX, bytes_of(NULL, 0))), RECORD_OK);
}
END_TEST

START_TEST(a_record_lives_from_a_millisecond_to_seven_days)
{
    struct record record = record_of(RELAYED, bytes_of(NULL, 0));

    record.not_after_ms = NOW_MS + RECORD_LIFE_MAX_MS;
    ck_assert_int_eq(verdict_of(record), RECORD_OK);
    record.not_after_ms++;
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_TIMES);
    record.not_after_ms = NOW_MS + 1;
    ck_assert_int_eq(verdict_of(record), RECORD_OK);
    record.not_after_ms = NOW_MS;
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_TIMES);
    record.version.ms = 0;
    record.not_after_ms = 1;
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_TIMES);
}
END_TEST

START_TEST(dates_are_judged_by_the_clock)
{
    struct record record = record_of(RELAYED, bytes_of(NULL, 0));

    ck_assert_int_eq(record_judge_dates(&record, record.not_after_ms - 1), RECORD_OK);
    ck_assert_int_eq(record_judge_dates(&record, record.not_after_ms), RECORD_EXPIRED);
    ck_assert_int_eq(record_judge_dates(&record, NOW_MS - CLOCK_SKEW_MAX_MS), RECORD_OK);
    ck_assert_int_eq(record_judge_dates(&record, NOW_MS - CLOCK_SKEW_MAX_MS - 1),
                     RECORD_FROM_FUTURE);
}
END_TEST

START_TEST(the_newer_version_wins_and_ties_go_by_hash)
{
    struct version version = {10, 5}, later_ms = {11, 0}, later_count = {10, 6};
    struct hash low = {{1}}, high = {{2}};

    ck_assert(record_is_newer(later_ms, &low, version, &high));
    ck_assert(record_is_newer(later_count, &low, version, &high));
    ck_assert(!record_is_newer(version, &high, later_ms, &low));
    ck_assert(!record_is_newer(version, &high, later_count, &low));
    ck_assert(record_is_newer(version, &high, version, &low));
    ck_assert(!record_is_newer(version, &low, version, &high));
    ck_assert(!record_is_newer(version, &low, version, &low)); /* not than itself */
}
END_TEST

START_TEST(an_owner_has_exactly_twenty_bytes)
{
    static uint8_t zeros[ID_SIZE + 1];
    struct record record = record_of(RELAYED, bytes_of(NULL, 0));
    struct bytes body = wire_of(&record);
    Duck__RecordBody *message = duck__record_body__unpack(NULL, body.size, body.data);
    ProtobufCBinaryData right;
    uint8_t data[256];

    ck_assert_ptr_nonnull(message);
    right = message->owner;
    for (size_t length = 0; length <= ID_SIZE + 1; length++) {
        message->owner = (ProtobufCBinaryData){length, zeros};
        ck_assert_int_eq(parse(bytes_of(data, duck__record_body__pack(message, data)), &record),
                         length == ID_SIZE ? RECORD_OK : RECORD_MALFORMED);
    }
    message->owner = right;
    duck__record_body__free_unpacked(message, NULL);
}
END_TEST

START_TEST(kinds_have_names)
{
    static const char *const names[] = {"unknown",    "node",        "duckling", "metrics",
                                        "revocation", "attestation", "skill",    "unknown"};

    for (uint32_t kind = 0; kind < 8; kind++)
        ck_assert_str_eq(record_kind_name(kind), names[kind]);
    ck_assert_str_eq(record_kind_name(UINT32_MAX), "unknown");
    for (int i = RECORD_OK; i <= RECORD_FROM_FUTURE; i++)
        ck_assert_uint_gt(strlen(record_verdict_text((enum record_verdict)i)), 0);
}
END_TEST

/* ---- contents ---- */

static struct node_content node_content(void)
{
    return (struct node_content){
        .addresses = {bytes_of_text("duck.example:7000"), bytes_of_text("[2001:db8::1]:7000")},
        .address_count = 2,
        .session_key = {5},
        .session_not_after_ms = NOW_MS + DAY_MS,
        .software = bytes_of_text("ducknode/0.1.0"),
        .display_name = bytes_of_text("a node"),
    };
}

static struct duckling_content duckling_content(void)
{
    return (struct duckling_content){
        .host = {{4}},
        .display_name = bytes_of_text("Quack"),
        .bio = bytes_of_text("Reads data.\nWrites none."),
        .capabilities = {bytes_of_text("data.read"), bytes_of_text("echo")},
        .capability_count = 2,
        .accepts_pecks = true,
    };
}

static struct attestation_content attestation_content(void)
{
    return (struct attestation_content){
        .subject = {{7}}, .claim = bytes_of_text("bonded"), .proof = filled(ID_SIZE, 'b')};
}

static struct revocation_content revocation_content(void)
{
    return (struct revocation_content){.subject = {{1}}, /* the owner in record_of */
                                       .reason = bytes_of_text("the machine was stolen"),
                                       .revoked_at_ms = NOW_MS};
}

static struct record revocation_record(const struct revocation_content *content)
{
    struct record record = record_of(RECORD_REVOCATION, revocation_content_pack(content, &arena));

    record.not_after_ms = NOW_MS + REVOCATION_LIFE_MAX_MS;
    return record;
}

static struct bytes key_of(const struct attestation_content *attestation, enum id_kind kind)
{
    char text[ID_TEXT_SIZE], *key = arena_take(&arena, 256);

    snprintf(key, 256, "%.*s:%s", (int)attestation->claim.size,
             (const char *)attestation->claim.data, id_text(kind, &attestation->subject, text));
    return bytes_of_text(key);
}

static enum record_verdict node_verdict(const struct node_content *content)
{
    return verdict_of(record_of(RECORD_NODE, node_content_pack(content, &arena)));
}

static enum record_verdict duckling_verdict(const struct duckling_content *content)
{
    return verdict_of(record_of(RECORD_DUCKLING, duckling_content_pack(content, &arena)));
}

static enum record_verdict attestation_verdict(const struct attestation_content *content)
{
    struct record record = record_of(RECORD_ATTESTATION, attestation_content_pack(content, &arena));

    record.key = key_of(content, ID_DUCKLING);
    return verdict_of(record);
}

START_TEST(contents_come_back_as_they_went)
{
    struct metrics_content metrics = {1, 2, 3, 4, 5, UINT64_MAX, 7}, metrics_read;
    struct attestation_content attestation = attestation_content(), attestation_read;
    struct duckling_content duckling = duckling_content(), duckling_read;
    struct node_content node = node_content(), node_read;

    ck_assert_int_eq(node_content_parse(node_content_pack(&node, &arena), &arena, &node_read),
                     RECORD_OK);
    ck_assert_uint_eq(node_read.address_count, 2);
    ck_assert(bytes_equal(node_read.addresses[1], node.addresses[1]));
    ck_assert_mem_eq(node_read.session_key, node.session_key, 32);
    ck_assert_uint_eq(node_read.session_not_after_ms, node.session_not_after_ms);
    ck_assert(bytes_equal(node_read.software, node.software));
    ck_assert(bytes_equal(node_read.display_name, node.display_name));

    ck_assert_int_eq(
        duckling_content_parse(duckling_content_pack(&duckling, &arena), &arena, &duckling_read),
        RECORD_OK);
    ck_assert(id_equal(&duckling_read.host, &duckling.host));
    ck_assert(bytes_equal(duckling_read.display_name, duckling.display_name));
    ck_assert(bytes_equal(duckling_read.bio, duckling.bio));
    ck_assert_uint_eq(duckling_read.capability_count, 2);
    ck_assert(bytes_equal(duckling_read.capabilities[1], duckling.capabilities[1]));
    ck_assert(duckling_read.accepts_pecks);

    ck_assert_int_eq(metrics_content_parse(metrics_content_pack(&metrics, &arena), &metrics_read),
                     RECORD_OK);
    ck_assert_mem_eq(&metrics_read, &metrics, sizeof metrics);

    ck_assert_int_eq(attestation_content_parse(attestation_content_pack(&attestation, &arena),
                                               &arena, &attestation_read),
                     RECORD_OK);
    ck_assert(id_equal(&attestation_read.subject, &attestation.subject));
    ck_assert(bytes_equal(attestation_read.claim, attestation.claim));
    ck_assert(bytes_equal(attestation_read.proof, attestation.proof));
}
END_TEST

START_TEST(addresses_are_a_host_and_a_port)
{
    static const char *const good[] = {"a:1",          "10.0.0.1:65535",  "[::1]:7000",
                                       "Duck-1.x_y:7", "xn--bcher.de:80", "[::ffff:10.0.0.1]:1"};
    static const char *const bad[] = {
        "",        "a",        "a:",    ":1",    "a:0",       "a:01",          "a:65536",
        "a:99999", "a:123456", "a:1x",  "a b:1", "[::1]",     "::1:7000",      "[]:1",
        "[x]:1",   "[::1]7:1", "a/b:1", "u@h:1", "tcp://a:1", "caf\xC3\xA9:1", "a\n:1",
        "a:-1",    "a: 1",     "[::1:1"};
    struct node_content node = node_content();

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        node.addresses[1] = bytes_of_text(good[i]);
        ck_assert(node_address_is_valid(node.addresses[1]));
        ck_assert_msg(node_verdict(&node) == RECORD_OK, "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        node.addresses[1] = bytes_of_text(bad[i]);
        ck_assert(!node_address_is_valid(node.addresses[1]));
        ck_assert_msg(node_verdict(&node) == RECORD_BAD_CONTENT, "%s", bad[i]);
    }
    node.addresses[1] = filled(ADDRESS_MAX, 'a');
    memcpy((char *)(uintptr_t)node.addresses[1].data + ADDRESS_MAX - 2, ":1", 2);
    ck_assert_int_eq(node_verdict(&node), RECORD_OK);
    node.addresses[1] = filled(ADDRESS_MAX + 1, 'a');
    memcpy((char *)(uintptr_t)node.addresses[1].data + ADDRESS_MAX - 1, ":1", 2);
    ck_assert_int_eq(node_verdict(&node), RECORD_BAD_CONTENT);
    node.address_count = 0; /* a node that only dials out */
    ck_assert_int_eq(node_verdict(&node), RECORD_OK);
}
END_TEST

START_TEST(a_node_has_its_limits)
{
    struct node_content node = node_content();

    node.software = node.display_name = filled(NAME_MAX_BYTES, 'n');
    ck_assert_int_eq(node_verdict(&node), RECORD_OK);
    node.software = filled(NAME_MAX_BYTES + 1, 'n');
    ck_assert_int_eq(node_verdict(&node), RECORD_BAD_CONTENT);
    node = node_content();
    node.display_name = filled(NAME_MAX_BYTES + 1, 'n');
    ck_assert_int_eq(node_verdict(&node), RECORD_BAD_CONTENT);
    node.display_name = bytes_of_text("a\nb");
    ck_assert_int_eq(node_verdict(&node), RECORD_BAD_CONTENT);
    node = node_content();
    node.software = bytes_of_text("\xFF");
    ck_assert_int_eq(node_verdict(&node), RECORD_BAD_CONTENT);
}
END_TEST

static enum record_verdict wire_node_verdict(const Duck__NodeContent *message)
{
    uint8_t *data = arena_take(&arena, duck__node_content__get_packed_size(message) + 1);

    return verdict_of(
        record_of(RECORD_NODE, bytes_of(data, duck__node_content__pack(message, data))));
}

START_TEST(a_node_has_eight_addresses_eight_perches_and_one_key)
{
    static uint8_t key[33], perch[ID_SIZE + 1];
    ProtobufCBinaryData addresses[NODE_ADDRESSES_MAX + 1], perches[NODE_PERCHES_MAX + 1];
    Duck__NodeContent message = DUCK__NODE_CONTENT__INIT;

    for (size_t i = 0; i <= NODE_ADDRESSES_MAX; i++)
        addresses[i] = (ProtobufCBinaryData){3, (uint8_t *)(uintptr_t) "a:1"};
    for (size_t i = 0; i <= NODE_PERCHES_MAX; i++)
        perches[i] = (ProtobufCBinaryData){ID_SIZE, perch};
    message.session_key = (ProtobufCBinaryData){32, key};
    message.addresses = addresses;
    message.perches = perches;
    message.n_addresses = NODE_ADDRESSES_MAX;
    message.n_perches = NODE_PERCHES_MAX;
    ck_assert_int_eq(wire_node_verdict(&message), RECORD_OK);
    message.n_addresses++;
    ck_assert_int_eq(wire_node_verdict(&message), RECORD_BAD_CONTENT);
    message.n_addresses--;
    message.n_perches++;
    ck_assert_int_eq(wire_node_verdict(&message), RECORD_BAD_CONTENT);
    message.n_perches--;
    perches[3].len++;
    ck_assert_int_eq(wire_node_verdict(&message), RECORD_BAD_CONTENT);
    perches[3].len = ID_SIZE - 1;
    ck_assert_int_eq(wire_node_verdict(&message), RECORD_BAD_CONTENT);
    perches[3].len = ID_SIZE;
    for (size_t length = 0; length <= 33; length++) {
        message.session_key.len = length;
        ck_assert_int_eq(wire_node_verdict(&message),
                         length == 32 ? RECORD_OK : RECORD_BAD_CONTENT);
    }
}
END_TEST

START_TEST(a_duckling_has_its_limits)
{
    struct duckling_content duckling = duckling_content();

    for (size_t i = 0; i < DUCKLING_CAPABILITIES_MAX; i++)
        duckling.capabilities[i] = filled(NAME_MAX_BYTES, 'c');
    duckling.capability_count = DUCKLING_CAPABILITIES_MAX;
    duckling.display_name = filled(NAME_MAX_BYTES, 'n');
    duckling.bio = filled(BIO_MAX, 'b');
    ck_assert_int_eq(duckling_verdict(&duckling), RECORD_OK); /* all of it fits one record */
    duckling.capabilities[31] = filled(NAME_MAX_BYTES + 1, 'c');
    ck_assert_int_eq(duckling_verdict(&duckling), RECORD_BAD_CONTENT);
    duckling = duckling_content();
    duckling.display_name = filled(NAME_MAX_BYTES + 1, 'n');
    ck_assert_int_eq(duckling_verdict(&duckling), RECORD_BAD_CONTENT);
    duckling.display_name = bytes_of(NULL, 0);
    ck_assert_int_eq(duckling_verdict(&duckling), RECORD_BAD_CONTENT);
    duckling = duckling_content();
    duckling.bio = filled(BIO_MAX + 1, 'b');
    ck_assert_int_eq(duckling_verdict(&duckling), RECORD_BAD_CONTENT);
    duckling.bio = bytes_of_text("\x1B[2J");
    ck_assert_int_eq(duckling_verdict(&duckling), RECORD_BAD_CONTENT);
    duckling = duckling_content();
    duckling.capabilities[1] = bytes_of_text("Data");
    ck_assert_int_eq(duckling_verdict(&duckling), RECORD_BAD_CONTENT);
    duckling.capabilities[1] = bytes_of(NULL, 0);
    ck_assert_int_eq(duckling_verdict(&duckling), RECORD_BAD_CONTENT);
}
END_TEST

START_TEST(a_duckling_has_32_capabilities_and_a_host)
{
    static uint8_t host[ID_SIZE + 1];
    ProtobufCBinaryData capabilities[DUCKLING_CAPABILITIES_MAX + 1];
    Duck__DucklingContent message = DUCK__DUCKLING_CONTENT__INIT;
    struct duckling_content duckling;
    uint8_t data[1024];

    for (size_t i = 0; i <= DUCKLING_CAPABILITIES_MAX; i++)
        capabilities[i] = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t) "c"};
    message.display_name = capabilities[0];
    message.capabilities = capabilities;
    message.host.data = host;
    for (size_t length = 0; length <= ID_SIZE + 1; length++)
        for (size_t more = 0; more < 2; more++) {
            message.host.len = length;
            message.n_capabilities = DUCKLING_CAPABILITIES_MAX + more;
            ck_assert_int_eq(
                duckling_content_parse(bytes_of(data, duck__duckling_content__pack(&message, data)),
                                       &arena, &duckling),
                length == ID_SIZE && more == 0 ? RECORD_OK : RECORD_BAD_CONTENT);
        }
}
END_TEST

START_TEST(an_attestation_stands_under_its_own_key)
{
    struct attestation_content attestation = attestation_content();
    struct record record =
        record_of(RECORD_ATTESTATION, attestation_content_pack(&attestation, &arena));
    struct attestation_content other = attestation;

    record.key = key_of(&attestation, ID_DUCKLING);
    ck_assert_int_eq(verdict_of(record), RECORD_OK);
    record.key = key_of(&attestation, ID_NODE);
    ck_assert_int_eq(verdict_of(record), RECORD_OK);
    record.key = key_of(&attestation, ID_PECK);
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_CONTENT);
    other.subject.bytes[0]++;
    record.key = key_of(&other, ID_DUCKLING);
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_CONTENT);
    other = attestation;
    other.claim = bytes_of_text("bonder");
    record.key = key_of(&other, ID_DUCKLING);
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_CONTENT);
    record.key = bytes_of(NULL, 0);
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_CONTENT);
    record.key = bytes_of_text("bonded");
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_CONTENT);
    record.key = bytes_of_text("bonded:");
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_CONTENT);
}
END_TEST

START_TEST(an_attestation_has_its_limits)
{
    struct attestation_content attestation = attestation_content();

    ck_assert_int_eq(attestation_verdict(&attestation), RECORD_OK);
    attestation.proof = filled(ID_SIZE - 1, 'b'); /* of a bond: its id */
    ck_assert_int_eq(attestation_verdict(&attestation), RECORD_BAD_CONTENT);
    attestation.proof = filled(ID_SIZE + 1, 'b');
    ck_assert_int_eq(attestation_verdict(&attestation), RECORD_BAD_CONTENT);
    attestation.claim = bytes_of_text("of-a-later-release");
    attestation.proof = filled(NAME_MAX_BYTES, 'p');
    ck_assert_int_eq(attestation_verdict(&attestation), RECORD_OK);
    attestation.proof = filled(NAME_MAX_BYTES + 1, 'p');
    ck_assert_int_eq(attestation_verdict(&attestation), RECORD_BAD_CONTENT);
    attestation.proof = filled(1, 'p');
    attestation.chain = filled(1, 'c');
    ck_assert_int_eq(attestation_verdict(&attestation), RECORD_BAD_CONTENT);
    attestation.claim = bytes_of_text(CLAIM_OPERATOR_VERIFIED);
    attestation.proof = filled(VOUCHER_SIZE_MAX, 'p');
    ck_assert_int_eq(attestation_verdict(&attestation), RECORD_OK);
    attestation.proof = filled(VOUCHER_SIZE_MAX + 1, 'p');
    ck_assert_int_eq(attestation_verdict(&attestation), RECORD_BAD_CONTENT);
    attestation.proof = filled(1, 'p');
    attestation.chain = bytes_of(NULL, 0); /* of a voucher nobody knows the signer */
    ck_assert_int_eq(attestation_verdict(&attestation), RECORD_BAD_CONTENT);
    attestation = attestation_content();
    attestation.claim = bytes_of_text("Bonded");
    ck_assert_int_eq(attestation_verdict(&attestation), RECORD_BAD_CONTENT);
    attestation.claim = bytes_of(NULL, 0);
    ck_assert_int_eq(attestation_verdict(&attestation), RECORD_BAD_CONTENT);
}
END_TEST

START_TEST(a_revocation_comes_back_as_it_went)
{
    struct revocation_content revocation = revocation_content(), read;

    ck_assert_int_eq(
        revocation_content_parse(revocation_content_pack(&revocation, &arena), &arena, &read),
        RECORD_OK);
    ck_assert(id_equal(&read.subject, &revocation.subject));
    ck_assert(bytes_equal(read.reason, revocation.reason));
    ck_assert_uint_eq(read.revoked_at_ms, NOW_MS);
    ck_assert_int_eq(verdict_of(revocation_record(&revocation)), RECORD_OK);
}
END_TEST

START_TEST(a_revocation_lives_from_seven_days_to_a_year)
{
    struct revocation_content revocation = revocation_content();
    struct record record = revocation_record(&revocation);

    record.not_after_ms++;
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_TIMES);
    record.not_after_ms = NOW_MS + REVOCATION_LIFE_MIN_MS;
    ck_assert_int_eq(verdict_of(record), RECORD_OK);
    record.not_after_ms--;
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_TIMES);
    record.not_after_ms = NOW_MS;
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_TIMES);
}
END_TEST

START_TEST(an_identity_revokes_itself_once_and_for_good)
{
    struct revocation_content revocation = revocation_content();
    struct record record = revocation_record(&revocation);

    record.deleted = true;
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_CONTENT);
    record = revocation_record(&revocation);
    record.key = bytes_of_text("k");
    ck_assert_int_eq(verdict_of(record), RECORD_MALFORMED);
    revocation.subject.bytes[0]++;
    ck_assert_int_eq(verdict_of(revocation_record(&revocation)), RECORD_BAD_CONTENT);
    record.content = bytes_of("\xFF", 1);
    record.key = bytes_of(NULL, 0);
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_CONTENT);
    record.content = bytes_of(NULL, 0); /* no subject */
    ck_assert_int_eq(verdict_of(record), RECORD_BAD_CONTENT);
}
END_TEST

START_TEST(a_revocation_has_its_limits)
{
    struct revocation_content revocation = revocation_content();

    revocation.reason = filled(REVOCATION_REASON_MAX, 'r');
    ck_assert_int_eq(verdict_of(revocation_record(&revocation)), RECORD_OK);
    revocation.reason.size++;
    ck_assert_int_eq(verdict_of(revocation_record(&revocation)), RECORD_BAD_CONTENT);
    revocation.reason = bytes_of_text("\x1B[2J");
    ck_assert_int_eq(verdict_of(revocation_record(&revocation)), RECORD_BAD_CONTENT);
    revocation.reason = bytes_of(NULL, 0);
    revocation.revoked_at_ms = 0;
    ck_assert_int_eq(verdict_of(revocation_record(&revocation)), RECORD_OK);
    revocation.revoked_at_ms = NOW_MS + 1; /* it speaks of the past */
    ck_assert_int_eq(verdict_of(revocation_record(&revocation)), RECORD_BAD_CONTENT);
}
END_TEST

START_TEST(single_records_have_no_key_and_each_kind_its_content)
{
    struct metrics_content metrics = {0};
    struct duckling_content duckling = duckling_content();
    struct node_content node = node_content();
    struct record records[3] = {
        record_of(RECORD_NODE, node_content_pack(&node, &arena)),
        record_of(RECORD_DUCKLING, duckling_content_pack(&duckling, &arena)),
        record_of(RECORD_METRICS, metrics_content_pack(&metrics, &arena)),
    };

    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(verdict_of(records[i]), RECORD_OK);
        records[i].key = bytes_of_text("k");
        ck_assert_int_eq(verdict_of(records[i]), RECORD_MALFORMED);
        records[i].key = bytes_of(NULL, 0);
        records[i].content = bytes_of("\xFF", 1);
        ck_assert_int_eq(verdict_of(records[i]), RECORD_BAD_CONTENT);
        records[i].deleted = true; /* then nobody looks at it */
        ck_assert_int_eq(verdict_of(records[i]), RECORD_OK);
    }
    ck_assert_int_eq(verdict_of(record_of(RECORD_NODE, records[1].content)), RECORD_BAD_CONTENT);
    ck_assert_int_eq(verdict_of(record_of(RELAYED, bytes_of("\xFF", 1))), RECORD_OK);
}
END_TEST

START_TEST(turned_bits_are_refused_or_make_another_record)
{
    struct duckling_content duckling = duckling_content();
    struct record record = record_of(RECORD_DUCKLING, duckling_content_pack(&duckling, &arena));
    struct record turned_record;
    struct bytes body;
    uint8_t turned[512];

    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    ck_assert_uint_lt(body.size, sizeof turned);
    for (size_t bit = 0; bit < body.size * 8; bit++) {
        memcpy(turned, body.data, body.size);
        turned[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (parse(bytes_of(turned, body.size), &turned_record) != RECORD_OK)
            continue;
        ck_assert(!hash_equal(&turned_record.hash, &record.hash));
        ck_assert_int_eq(verdict_of(turned_record), RECORD_OK);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record");
    TCase *records = tcase_create("records"), *contents = tcase_create("contents");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(records, set_up, tear_down);
    tcase_add_test(records, a_record_comes_back_as_it_went);
    tcase_add_test(records, a_record_fits_an_envelope_of_4_kib);
    tcase_add_test(records, every_field_has_its_limit);
    tcase_add_test(records, a_record_lives_from_a_millisecond_to_seven_days);
    tcase_add_test(records, dates_are_judged_by_the_clock);
    tcase_add_test(records, the_newer_version_wins_and_ties_go_by_hash);
    tcase_add_test(records, an_owner_has_exactly_twenty_bytes);
    tcase_add_test(records, kinds_have_names);
    suite_add_tcase(suite, records);
    tcase_add_checked_fixture(contents, set_up, tear_down);
    tcase_set_timeout(contents, 60);
    tcase_add_test(contents, contents_come_back_as_they_went);
    tcase_add_test(contents, addresses_are_a_host_and_a_port);
    tcase_add_test(contents, a_node_has_its_limits);
    tcase_add_test(contents, a_node_has_eight_addresses_eight_perches_and_one_key);
    tcase_add_test(contents, a_duckling_has_its_limits);
    tcase_add_test(contents, a_duckling_has_32_capabilities_and_a_host);
    tcase_add_test(contents, an_attestation_stands_under_its_own_key);
    tcase_add_test(contents, an_attestation_has_its_limits);
    tcase_add_test(contents, a_revocation_comes_back_as_it_went);
    tcase_add_test(contents, a_revocation_lives_from_seven_days_to_a_year);
    tcase_add_test(contents, an_identity_revokes_itself_once_and_for_good);
    tcase_add_test(contents, a_revocation_has_its_limits);
    tcase_add_test(contents, single_records_have_no_key_and_each_kind_its_content);
    tcase_add_test(contents, turned_bits_are_refused_or_make_another_record);
    suite_add_tcase(suite, contents);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
