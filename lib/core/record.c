#include "record.h"

#include "peck.h"
#include "tier.h"

#include "binary_data.h"
#include "wire/record.pb-c.h"

#include <assert.h>

const char *record_verdict_text(enum record_verdict verdict)
{
    switch (verdict) {
    case RECORD_OK:
        return "fine";
    case RECORD_MALFORMED:
        return "the record has a field that is missing or of a wrong length";
    case RECORD_TOO_LARGE:
        return "a record is at most 4096 bytes";
    case RECORD_OTHER_NETWORK:
        return "the record is made for another network";
    case RECORD_WRONG_SIGNER:
        return "the record is not signed by its owner";
    case RECORD_BAD_CONTENT:
        return "the record's content does not fit its kind";
    case RECORD_BAD_TIMES:
        return "the record ends before it begins, or lives longer than 7 days (a revocation: less "
               "than 7 days, or more than a year)";
    case RECORD_EXPIRED:
        return "the record has expired";
    case RECORD_FROM_FUTURE:
        return "the record's version is more than 5 minutes ahead of this node's clock";
    }
    return "";
}

enum record_set record_set_of(uint32_t kind)
{
    return kind == RECORD_METRICS ? RECORD_SET_METRICS : RECORD_SET_DIRECTORY;
}

const char *record_kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [RECORD_NODE] = "node",
        [RECORD_DUCKLING] = "duckling",
        [RECORD_METRICS] = "metrics",
        [RECORD_REVOCATION] = "revocation",
        [RECORD_ATTESTATION] = "attestation",
        [RECORD_SKILL] = "skill",
    };

    if (kind < RECORD_NODE || kind > RECORD_SKILL)
        return "unknown";
    return names[kind];
}

/* ---- records ---- */

/* claim ":" subject: one statement of an owner about a subject, not many under other keys. */
static bool is_key_of(struct bytes key, const struct attestation_content *attestation)
{
    size_t size = attestation->claim.size;
    struct id id;

    if (key.size < size + 1 || memcmp(key.data, attestation->claim.data, size) != 0 ||
        key.data[size] != ':')
        return false;
    key = bytes_of(key.data + size + 1, key.size - size - 1);
    return (id_parse(ID_DUCKLING, key, &id) || id_parse(ID_NODE, key, &id) ||
            id_parse(ID_OPERATOR, key, &id)) &&
           id_equal(&id, &attestation->subject);
}

/* An identity revokes itself, for good: what could be taken back would be, by whoever stole the
 * key. */
static enum record_verdict judge_revocation(const struct record *record, struct arena *arena)
{
    struct revocation_content revocation;

    if (record->deleted ||
        revocation_content_parse(record->content, arena, &revocation) != RECORD_OK ||
        !id_equal(&revocation.subject, &record->owner) ||
        revocation.revoked_at_ms > record->version.ms)
        return RECORD_BAD_CONTENT;
    return RECORD_OK;
}

static enum record_verdict judge_content(const struct record *record, struct arena *arena)
{
    struct attestation_content attestation;
    struct duckling_content duckling;
    struct metrics_content metrics;
    struct node_content node;

    if (record->kind == RECORD_REVOCATION)
        return judge_revocation(record, arena);
    if (record->deleted)
        return RECORD_OK;
    switch (record->kind) {
    case RECORD_NODE:
        return node_content_parse(record->content, arena, &node);
    case RECORD_DUCKLING:
        return duckling_content_parse(record->content, arena, &duckling);
    case RECORD_METRICS:
        return metrics_content_parse(record->content, &metrics);
    case RECORD_ATTESTATION:
        if (attestation_content_parse(record->content, arena, &attestation) != RECORD_OK ||
            !is_key_of(record->key, &attestation))
            return RECORD_BAD_CONTENT;
        return RECORD_OK;
    default:
        return RECORD_OK; /* of a later release: relayed, never interpreted */
    }
}

/* A revocation outlives every record that was made before it: what it dropped cannot return. */
static bool has_fit_life(const struct record *record)
{
    uint64_t life_ms = record->not_after_ms - record->version.ms;

    if (record->version.ms == 0 || record->not_after_ms <= record->version.ms)
        return false;
    if (record->kind == RECORD_REVOCATION)
        return life_ms >= REVOCATION_LIFE_MIN_MS && life_ms <= REVOCATION_LIFE_MAX_MS;
    return life_ms <= RECORD_LIFE_MAX_MS;
}

static enum record_verdict judge(const struct record *record, struct arena *arena)
{
    bool is_single = record->kind >= RECORD_NODE && record->kind <= RECORD_REVOCATION;

    if (record->network.size == 0 || record->network.size > NETWORK_ID_MAX || record->kind == 0 ||
        record->key.size > RECORD_KEY_MAX || (is_single && record->key.size > 0))
        return RECORD_MALFORMED;
    if (record->content.size > RECORD_SIZE_MAX)
        return RECORD_TOO_LARGE;
    if (!has_fit_life(record))
        return RECORD_BAD_TIMES;
    return judge_content(record, arena);
}

enum record_verdict record_parse(struct bytes body, struct arena *arena, struct record *record)
{
    struct record parsed = {0};
    Duck__RecordBody *message;
    enum record_verdict verdict;

    if (body.size > RECORD_SIZE_MAX)
        return RECORD_TOO_LARGE;
    message = duck__record_body__unpack(arena_protobuf_allocator(arena), body.size, body.data);
    if (!message || !id_from_bytes(borrowed(message->owner), &parsed.owner))
        return RECORD_MALFORMED;
    parsed.network = borrowed(message->network);
    parsed.kind = message->kind;
    parsed.key = borrowed(message->key);
    parsed.version = (struct version){message->version_ms, message->version_count};
    parsed.not_after_ms = message->not_after_ms;
    parsed.deleted = message->deleted;
    parsed.content = borrowed(message->content);
    verdict = judge(&parsed, arena);
    if (verdict != RECORD_OK)
        return verdict;
    parsed.hash = envelope_hash(ENVELOPE_RECORD, body);
    *record = parsed;
    return RECORD_OK;
}

enum record_verdict record_pack(struct record *record, struct arena *arena, struct bytes *body)
{
    Duck__RecordBody message = DUCK__RECORD_BODY__INIT;
    enum record_verdict verdict = judge(record, arena);
    size_t size;
    uint8_t *data;

    *body = bytes_of(NULL, 0);
    if (verdict != RECORD_OK)
        return verdict;
    message.network = lent(record->network);
    message.owner = lent(id_bytes(&record->owner));
    message.kind = record->kind;
    message.key = lent(record->key);
    message.version_ms = record->version.ms;
    message.version_count = record->version.count;
    message.not_after_ms = record->not_after_ms;
    message.deleted = record->deleted;
    message.content = lent(record->content);
    size = duck__record_body__get_packed_size(&message);
    if (size + RECORD_ENVELOPE_OVERHEAD > RECORD_SIZE_MAX)
        return RECORD_TOO_LARGE;
    data = arena_take(arena, size);
    if (!data)
        return RECORD_TOO_LARGE;
    duck__record_body__pack(&message, data);
    *body = bytes_of(data, size);
    record->hash = envelope_hash(ENVELOPE_RECORD, *body);
    return RECORD_OK;
}

enum record_verdict record_judge_dates(const struct record *record, uint64_t wall_ms)
{
    if (record->not_after_ms <= wall_ms)
        return RECORD_EXPIRED;
    return record->version.ms > wall_ms + CLOCK_SKEW_MAX_MS ? RECORD_FROM_FUTURE : RECORD_OK;
}

bool record_is_newer(struct version version, const struct hash *hash, struct version held_version,
                     const struct hash *held_hash)
{
    int order = version_compare(version, held_version);

    return order > 0 || (order == 0 && memcmp(hash->bytes, held_hash->bytes, HASH_SIZE) > 0);
}

/* ---- contents ---- */

static bool are_of(struct bytes text, const char *alphabet)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == 0 || !strchr(alphabet, text.data[i]))
            return false;
    return text.size > 0;
}

/* A name or IPv4 address, or an IPv6 address in brackets. Others dial what stands here. */
static bool is_host(struct bytes host)
{
    if (host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']')
        return are_of(bytes_of(host.data + 1, host.size - 2), "0123456789abcdefABCDEF:.");
    return are_of(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
}

static bool is_port(struct bytes port)
{
    uint32_t number = 0;

    if (port.size == 0 || port.size > 5 || port.data[0] == '0' || !are_of(port, "0123456789"))
        return false;
    for (size_t i = 0; i < port.size; i++)
        number = number * 10 + (uint32_t)(port.data[i] - '0');
    return number <= 65535;
}

bool node_address_is_valid(struct bytes address)
{
    const uint8_t *colon = address.size > 0 ? memrchr(address.data, ':', address.size) : NULL;
    size_t host_size = colon ? (size_t)(colon - address.data) : 0;

    return colon && address.size <= ADDRESS_MAX && is_host(bytes_of(address.data, host_size)) &&
           is_port(bytes_of(colon + 1, address.size - host_size - 1));
}

static bool is_name(struct bytes name, size_t min)
{
    return name.size >= min && name.size <= NAME_MAX_BYTES && bytes_are_text(name, false);
}

enum record_verdict node_content_parse(struct bytes content, struct arena *arena,
                                       struct node_content *node)
{
    struct node_content parsed = {0};
    Duck__NodeContent *message =
        duck__node_content__unpack(arena_protobuf_allocator(arena), content.size, content.data);

    if (!message || message->n_addresses > NODE_ADDRESSES_MAX ||
        message->session_key.len != sizeof parsed.session_key)
        return RECORD_BAD_CONTENT;
    if (message->n_perches > NODE_PERCHES_MAX)
        return RECORD_BAD_CONTENT;
    for (size_t i = 0; i < message->n_perches; i++)
        if (!id_from_bytes(borrowed(message->perches[i]), &parsed.perches[i]))
            return RECORD_BAD_CONTENT;
    if (message->pre_key.len != 0 && message->pre_key.len != sizeof parsed.pre_key)
        return RECORD_BAD_CONTENT;
    parsed.perch_count = message->n_perches;
    parsed.has_pre_key = message->pre_key.len != 0;
    if (parsed.has_pre_key)
        memcpy(parsed.pre_key, message->pre_key.data, sizeof parsed.pre_key);
    parsed.is_perch = message->perch;
    parsed.address_count = message->n_addresses;
    for (size_t i = 0; i < message->n_addresses; i++) {
        parsed.addresses[i] = borrowed(message->addresses[i]);
        if (!node_address_is_valid(parsed.addresses[i]))
            return RECORD_BAD_CONTENT;
    }
    memcpy(parsed.session_key, message->session_key.data, sizeof parsed.session_key);
    parsed.session_not_after_ms = message->session_not_after_ms;
    parsed.software = borrowed(message->software);
    parsed.display_name = borrowed(message->display_name);
    parsed.away = message->away;
    parsed.voucher = borrowed(message->voucher);
    parsed.voucher_chain = borrowed(message->voucher_chain);
    if (!is_name(parsed.software, 0) || !is_name(parsed.display_name, 0))
        return RECORD_BAD_CONTENT;
    *node = parsed;
    return RECORD_OK;
}

struct bytes node_content_pack(const struct node_content *node, struct arena *arena)
{
    Duck__NodeContent message = DUCK__NODE_CONTENT__INIT;
    ProtobufCBinaryData addresses[NODE_ADDRESSES_MAX], perches[NODE_PERCHES_MAX];
    uint8_t *data;

    assert(node->address_count <= NODE_ADDRESSES_MAX && node->perch_count <= NODE_PERCHES_MAX);
    for (size_t i = 0; i < node->address_count; i++)
        addresses[i] = lent(node->addresses[i]);
    message.n_addresses = node->address_count;
    message.addresses = addresses;
    message.session_key = lent(bytes_of(node->session_key, sizeof node->session_key));
    message.session_not_after_ms = node->session_not_after_ms;
    message.software = lent(node->software);
    message.display_name = lent(node->display_name);
    message.away = node->away;
    for (size_t i = 0; i < node->perch_count; i++)
        perches[i] = lent(id_bytes(&node->perches[i]));
    message.n_perches = node->perch_count;
    message.perches = perches;
    if (node->has_pre_key)
        message.pre_key = lent(bytes_of(node->pre_key, sizeof node->pre_key));
    message.perch = node->is_perch;
    message.voucher = lent(node->voucher);
    message.voucher_chain = lent(node->voucher_chain);
    data = arena_take(arena, duck__node_content__get_packed_size(&message) + 1);
    if (!data)
        return bytes_of(NULL, 0);
    return bytes_of(data, duck__node_content__pack(&message, data));
}

enum record_verdict duckling_content_parse(struct bytes content, struct arena *arena,
                                           struct duckling_content *duckling)
{
    struct duckling_content parsed = {0};
    Duck__DucklingContent *message =
        duck__duckling_content__unpack(arena_protobuf_allocator(arena), content.size, content.data);

    if (!message || !id_from_bytes(borrowed(message->host), &parsed.host) ||
        message->n_capabilities > DUCKLING_CAPABILITIES_MAX ||
        message->n_open_actions > DUCKLING_OPEN_ACTIONS_MAX || message->least_tier > TIER_MAX)
        return RECORD_BAD_CONTENT;
    parsed.display_name = borrowed(message->display_name);
    parsed.bio = borrowed(message->bio);
    parsed.accepts_pecks = message->accepts_pecks;
    parsed.capability_count = message->n_capabilities;
    if (!is_name(parsed.display_name, 1) || parsed.bio.size > BIO_MAX ||
        !bytes_are_text(parsed.bio, true))
        return RECORD_BAD_CONTENT;
    for (size_t i = 0; i < message->n_capabilities; i++) {
        parsed.capabilities[i] = borrowed(message->capabilities[i]);
        if (parsed.capabilities[i].size == 0 || parsed.capabilities[i].size > NAME_MAX_BYTES ||
            !bytes_are_name(parsed.capabilities[i]))
            return RECORD_BAD_CONTENT;
    }
    parsed.least_tier = message->least_tier;
    parsed.open_action_count = message->n_open_actions;
    for (size_t i = 0; i < message->n_open_actions; i++) {
        parsed.open_actions[i] = borrowed(message->open_actions[i]);
        if (!peck_scope_is_valid(parsed.open_actions[i]))
            return RECORD_BAD_CONTENT;
    }
    *duckling = parsed;
    return RECORD_OK;
}

struct bytes duckling_content_pack(const struct duckling_content *duckling, struct arena *arena)
{
    Duck__DucklingContent message = DUCK__DUCKLING_CONTENT__INIT;
    ProtobufCBinaryData capabilities[DUCKLING_CAPABILITIES_MAX];
    ProtobufCBinaryData open_actions[DUCKLING_OPEN_ACTIONS_MAX];
    uint8_t *data;

    assert(duckling->open_action_count <= DUCKLING_OPEN_ACTIONS_MAX);
    assert(duckling->capability_count <= DUCKLING_CAPABILITIES_MAX);
    message.host = lent(id_bytes(&duckling->host));
    message.display_name = lent(duckling->display_name);
    for (size_t i = 0; i < duckling->capability_count; i++)
        capabilities[i] = lent(duckling->capabilities[i]);
    message.n_capabilities = duckling->capability_count;
    message.capabilities = capabilities;
    message.bio = lent(duckling->bio);
    message.accepts_pecks = duckling->accepts_pecks;
    message.least_tier = duckling->least_tier;
    for (size_t i = 0; i < duckling->open_action_count; i++)
        open_actions[i] = lent(duckling->open_actions[i]);
    message.n_open_actions = duckling->open_action_count;
    message.open_actions = open_actions;
    data = arena_take(arena, duck__duckling_content__get_packed_size(&message) + 1);
    if (!data)
        return bytes_of(NULL, 0);
    return bytes_of(data, duck__duckling_content__pack(&message, data));
}

enum record_verdict metrics_content_parse(struct bytes content, struct metrics_content *metrics)
{
    enum record_verdict verdict = RECORD_BAD_CONTENT;
    Duck__MetricsContent *message;
    struct arena arena;

    arena_init(&arena, PARSE_BUDGET(content.size));
    message =
        duck__metrics_content__unpack(arena_protobuf_allocator(&arena), content.size, content.data);
    if (message) {
        *metrics = (struct metrics_content){
            .ducklings = message->ducklings,
            .birth_certificates = message->birth_certificates,
            .connections = message->connections,
            .eggs = message->eggs,
            .space_ducks = message->space_ducks,
            .pecks = message->pecks,
            .pageviews = message->pageviews,
        };
        verdict = RECORD_OK;
    }
    arena_free(&arena);
    return verdict;
}

struct bytes metrics_content_pack(const struct metrics_content *metrics, struct arena *arena)
{
    Duck__MetricsContent message = DUCK__METRICS_CONTENT__INIT;
    uint8_t *data;

    message.ducklings = metrics->ducklings;
    message.birth_certificates = metrics->birth_certificates;
    message.connections = metrics->connections;
    message.eggs = metrics->eggs;
    message.space_ducks = metrics->space_ducks;
    message.pecks = metrics->pecks;
    message.pageviews = metrics->pageviews;
    data = arena_take(arena, duck__metrics_content__get_packed_size(&message) + 1);
    if (!data)
        return bytes_of(NULL, 0);
    return bytes_of(data, duck__metrics_content__pack(&message, data));
}

enum record_verdict revocation_content_parse(struct bytes content, struct arena *arena,
                                             struct revocation_content *revocation)
{
    struct revocation_content parsed;
    Duck__RevocationContent *message = duck__revocation_content__unpack(
        arena_protobuf_allocator(arena), content.size, content.data);

    if (!message || !id_from_bytes(borrowed(message->subject), &parsed.subject))
        return RECORD_BAD_CONTENT;
    parsed.reason = borrowed(message->reason);
    parsed.revoked_at_ms = message->revoked_at_ms;
    parsed.withdrawal = borrowed(message->withdrawal);
    parsed.chain = borrowed(message->chain);
    parsed.trunk = borrowed(message->trunk);
    parsed.branch = borrowed(message->branch);
    parsed.contradicted = (struct id){0};
    parsed.has_contradicted = message->contradicted.len > 0;
    if (parsed.has_contradicted &&
        !id_from_bytes(borrowed(message->contradicted), &parsed.contradicted))
        return RECORD_BAD_CONTENT;
    if (parsed.reason.size > REVOCATION_REASON_MAX || !bytes_are_text(parsed.reason, false))
        return RECORD_BAD_CONTENT;
    *revocation = parsed;
    return RECORD_OK;
}

struct bytes revocation_content_pack(const struct revocation_content *revocation,
                                     struct arena *arena)
{
    Duck__RevocationContent message = DUCK__REVOCATION_CONTENT__INIT;
    uint8_t *data;

    message.subject = lent(id_bytes(&revocation->subject));
    message.reason = lent(revocation->reason);
    message.revoked_at_ms = revocation->revoked_at_ms;
    message.withdrawal = lent(revocation->withdrawal);
    message.chain = lent(revocation->chain);
    if (revocation->has_contradicted)
        message.contradicted = lent(id_bytes(&revocation->contradicted));
    message.trunk = lent(revocation->trunk);
    message.branch = lent(revocation->branch);
    data = arena_take(arena, duck__revocation_content__get_packed_size(&message) + 1);
    if (!data)
        return bytes_of(NULL, 0);
    return bytes_of(data, duck__revocation_content__pack(&message, data));
}

enum record_verdict attestation_content_parse(struct bytes content, struct arena *arena,
                                              struct attestation_content *attestation)
{
    struct attestation_content parsed;
    bool is_voucher;
    Duck__AttestationContent *message = duck__attestation_content__unpack(
        arena_protobuf_allocator(arena), content.size, content.data);

    if (!message || !id_from_bytes(borrowed(message->subject), &parsed.subject))
        return RECORD_BAD_CONTENT;
    parsed.claim = borrowed(message->claim);
    parsed.proof = borrowed(message->proof);
    parsed.chain = borrowed(message->chain);
    is_voucher = bytes_equal(parsed.claim, bytes_of_text(CLAIM_OPERATOR_VERIFIED));
    if (parsed.claim.size == 0 || parsed.claim.size > NAME_MAX_BYTES ||
        !bytes_are_name(parsed.claim) ||
        parsed.proof.size > (is_voucher ? VOUCHER_SIZE_MAX : NAME_MAX_BYTES) ||
        (parsed.chain.size > 0) != is_voucher)
        return RECORD_BAD_CONTENT;
    if ((bytes_equal(parsed.claim, bytes_of_text(CLAIM_BONDED)) ||
         bytes_equal(parsed.claim, bytes_of_text(CLAIM_LOBSTER))) &&
        parsed.proof.size != ID_SIZE)
        return RECORD_BAD_CONTENT; /* the bond's id, the bind's */
    *attestation = parsed;
    return RECORD_OK;
}

struct bytes attestation_content_pack(const struct attestation_content *attestation,
                                      struct arena *arena)
{
    Duck__AttestationContent message = DUCK__ATTESTATION_CONTENT__INIT;
    uint8_t *data;

    message.subject = lent(id_bytes(&attestation->subject));
    message.claim = lent(attestation->claim);
    message.proof = lent(attestation->proof);
    message.chain = lent(attestation->chain);
    data = arena_take(arena, duck__attestation_content__get_packed_size(&message) + 1);
    if (!data)
        return bytes_of(NULL, 0);
    return bytes_of(data, duck__attestation_content__pack(&message, data));
}
