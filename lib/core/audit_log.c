#include "audit_log.h"

#include "binary_data.h"
#include "wire/audit.pb-c.h"

#include <stdlib.h>

const char *audit_verdict_text(enum audit_verdict verdict)
{
    switch (verdict) {
    case AUDIT_OK:
        return "fine";
    case AUDIT_MALFORMED:
        return "a page or checkpoint has a field that is missing or of a wrong length";
    case AUDIT_TOO_LARGE:
        return "a page is larger than any page is";
    case AUDIT_OTHER_NODE:
        return "a page or checkpoint is of another node";
    case AUDIT_OUT_OF_ORDER:
        return "pages or entries are missing, or stand twice";
    case AUDIT_BROKEN:
        return "a page does not follow from the one before it: something was changed";
    case AUDIT_NO_ANCHOR:
        return "the beginning is missing, and the node did not sign that it cut it off";
    case AUDIT_BAD_CHECKPOINT:
        return "a checkpoint is not the node's, or is of other pages than these";
    }
    return "";
}

const char *audit_kind_name(enum audit_kind kind)
{
    static const char *const names[AUDIT_KINDS] = {
        [AUDIT_HATCHED] = "hatched",
        [AUDIT_PECK_SENT] = "peck_sent",
        [AUDIT_PECK_RECEIVED] = "peck_received",
        [AUDIT_RECEIPT_MADE] = "receipt_made",
        [AUDIT_RECEIPT_CAME] = "receipt_came",
        [AUDIT_PECK_ENDED] = "peck_ended",
        [AUDIT_HANDED_OUT] = "handed_out",
        [AUDIT_ACKNOWLEDGED] = "acknowledged",
        [AUDIT_GIVEN_BACK] = "given_back",
        [AUDIT_BOND_MADE] = "bond_made",
        [AUDIT_BOND_ENDED] = "bond_ended",
        [AUDIT_REVOKED] = "revoked",
        [AUDIT_GRANT_USED] = "grant_used",
        [AUDIT_GRANT_REVOKED] = "grant_revoked",
        [AUDIT_LOBSTER_CONFIRMED] = "lobster_confirmed",
        [AUDIT_LOBSTER_LIVE] = "lobster_live",
        [AUDIT_LOBSTER_ENDED] = "lobster_ended",
        [AUDIT_RESTORED] = "restored",
        [AUDIT_CONTEXT_ISSUED] = "context_issued",
        [AUDIT_CONTEXT_REVOKED] = "context_revoked",
        [AUDIT_CONTEXT_SHOWN] = "context_shown",
    };

    return (size_t)kind < AUDIT_KINDS && names[kind] ? names[kind] : "";
}

static bool hash_is_zero(const struct hash *hash)
{
    static const struct hash zero;

    return hash_equal(hash, &zero);
}

static struct bytes hash_or_nothing(const struct hash *hash)
{
    return hash_is_zero(hash) ? bytes_of(NULL, 0) : bytes_of(hash->bytes, HASH_SIZE);
}

static struct bytes id_or_nothing(const struct id *id)
{
    return id_is_zero(id) ? bytes_of(NULL, 0) : id_bytes(id);
}

/* ---- pages ---- */

static enum audit_verdict judge_entry(const struct audit_entry *entry)
{
    if (!*audit_kind_name(entry->kind) || id_is_zero(&entry->subject) ||
        entry->state > PECK_CANCELLED || entry->detail.size > AUDIT_DETAIL_MAX)
        return AUDIT_MALFORMED;
    return AUDIT_OK;
}

static enum audit_verdict judge_page(const struct audit_page *page)
{
    if (id_is_zero(&page->node) || page->number == 0 || page->first < page->number ||
        page->count == 0 || page->count > AUDIT_PAGE_ENTRIES_MAX ||
        (page->number == 1) != hash_is_zero(&page->previous) ||
        (page->number == 1) != (page->first == 1))
        return AUDIT_MALFORMED;
    for (size_t i = 0; i < page->count; i++)
        if (judge_entry(&page->entries[i]) != AUDIT_OK)
            return AUDIT_MALFORMED;
    return AUDIT_OK;
}

static void lend_entry(const struct audit_entry *entry, Duck__AuditEntry *message)
{
    duck__audit_entry__init(message);
    message->kind = (uint32_t)entry->kind;
    message->at_ms = entry->at_ms;
    message->duckling = lent(id_bytes(&entry->duckling));
    message->with = lent(id_or_nothing(&entry->with));
    message->subject = lent(id_or_nothing(&entry->subject));
    message->state = (uint32_t)entry->state;
    message->signed_hash = lent(hash_or_nothing(&entry->signed_hash));
    message->detail = lent(entry->detail);
    message->attempt = entry->attempt;
}

enum audit_verdict audit_page_pack(const struct audit_page *page, struct arena *arena,
                                   struct bytes *body)
{
    Duck__AuditPage message = DUCK__AUDIT_PAGE__INIT;
    Duck__AuditEntry entries[AUDIT_PAGE_ENTRIES_MAX], *list[AUDIT_PAGE_ENTRIES_MAX];
    enum audit_verdict verdict = judge_page(page);
    uint8_t *data;

    *body = bytes_of(NULL, 0);
    if (verdict != AUDIT_OK)
        return verdict;
    message.node = lent(id_bytes(&page->node));
    message.number = page->number;
    message.first = page->first;
    message.previous = lent(bytes_of(page->previous.bytes, HASH_SIZE));
    message.at_ms = page->at_ms;
    for (size_t i = 0; i < page->count; i++) {
        lend_entry(&page->entries[i], &entries[i]);
        list[i] = &entries[i];
    }
    message.n_entries = page->count;
    message.entries = list;
    data = arena_take(arena, duck__audit_page__get_packed_size(&message));
    if (!data)
        return AUDIT_TOO_LARGE;
    *body = bytes_of(data, duck__audit_page__pack(&message, data));
    return AUDIT_OK;
}

static bool read_hash(ProtobufCBinaryData data, bool may_be_empty, struct hash *hash)
{
    if (data.len == 0)
        return may_be_empty;
    if (data.len != HASH_SIZE)
        return false;
    memcpy(hash->bytes, data.data, HASH_SIZE);
    return true;
}

static bool read_id(ProtobufCBinaryData data, struct id *id)
{
    return data.len == 0 || id_from_bytes(borrowed(data), id);
}

static bool read_entry(const Duck__AuditEntry *message, struct audit_entry *entry)
{
    *entry = (struct audit_entry){.kind = (enum audit_kind)message->kind,
                                  .at_ms = message->at_ms,
                                  .state = (enum peck_state)message->state,
                                  .detail = borrowed(message->detail),
                                  .attempt = message->attempt};
    return message->kind < AUDIT_KINDS && message->state <= PECK_CANCELLED &&
           message->base.n_unknown_fields == 0 && read_id(message->duckling, &entry->duckling) &&
           read_id(message->with, &entry->with) && read_id(message->subject, &entry->subject) &&
           read_hash(message->signed_hash, true, &entry->signed_hash);
}

enum audit_verdict audit_page_parse(struct bytes body, struct arena *arena, struct audit_page *page)
{
    struct audit_page parsed = {0};
    struct audit_entry *entries;
    enum audit_verdict verdict;
    Duck__AuditPage *message;

    if (body.size > AUDIT_PAGE_SIZE_MAX)
        return AUDIT_TOO_LARGE;
    message = duck__audit_page__unpack(arena_protobuf_allocator(arena), body.size, body.data);
    if (!message || message->base.n_unknown_fields > 0 ||
        message->n_entries > AUDIT_PAGE_ENTRIES_MAX ||
        !id_from_bytes(borrowed(message->node), &parsed.node) ||
        !read_hash(message->previous, false, &parsed.previous))
        return AUDIT_MALFORMED;
    entries = arena_take(arena, (message->n_entries + 1) * sizeof *entries);
    if (!entries)
        return AUDIT_TOO_LARGE;
    for (size_t i = 0; i < message->n_entries; i++)
        if (!read_entry(message->entries[i], &entries[i]))
            return AUDIT_MALFORMED;
    parsed.number = message->number;
    parsed.first = message->first;
    parsed.at_ms = message->at_ms;
    parsed.entries = entries;
    parsed.count = message->n_entries;
    verdict = judge_page(&parsed);
    if (verdict == AUDIT_OK)
        *page = parsed;
    return verdict;
}

struct hash audit_page_hash(struct bytes body)
{
    return envelope_hash(ENVELOPE_AUDIT_PAGE, body);
}

/* ---- checkpoints ---- */

static enum audit_verdict judge_checkpoint(const struct audit_checkpoint *checkpoint)
{
    if (checkpoint->network.size == 0 || checkpoint->network.size > NETWORK_ID_MAX ||
        id_is_zero(&checkpoint->node) || checkpoint->page == 0 || checkpoint->at_ms == 0 ||
        checkpoint->entries < checkpoint->page)
        return AUDIT_MALFORMED;
    return AUDIT_OK;
}

enum audit_verdict audit_checkpoint_pack(const struct audit_checkpoint *checkpoint,
                                         struct arena *arena, struct bytes *body)
{
    Duck__AuditCheckpoint message = DUCK__AUDIT_CHECKPOINT__INIT;
    enum audit_verdict verdict = judge_checkpoint(checkpoint);
    uint8_t *data;

    *body = bytes_of(NULL, 0);
    if (verdict != AUDIT_OK)
        return verdict;
    message.network = lent(checkpoint->network);
    message.node = lent(id_bytes(&checkpoint->node));
    message.page = checkpoint->page;
    message.page_hash = lent(bytes_of(checkpoint->page_hash.bytes, HASH_SIZE));
    message.entries = checkpoint->entries;
    message.at_ms = checkpoint->at_ms;
    message.is_anchor = checkpoint->is_anchor;
    data = arena_take(arena, duck__audit_checkpoint__get_packed_size(&message));
    if (!data)
        return AUDIT_TOO_LARGE;
    *body = bytes_of(data, duck__audit_checkpoint__pack(&message, data));
    return AUDIT_OK;
}

enum audit_verdict audit_checkpoint_parse(struct bytes body, struct arena *arena,
                                          struct audit_checkpoint *checkpoint)
{
    struct audit_checkpoint parsed = {0};
    Duck__AuditCheckpoint *message =
        duck__audit_checkpoint__unpack(arena_protobuf_allocator(arena), body.size, body.data);
    enum audit_verdict verdict;

    if (!message || message->base.n_unknown_fields > 0 ||
        !id_from_bytes(borrowed(message->node), &parsed.node) ||
        !read_hash(message->page_hash, false, &parsed.page_hash))
        return AUDIT_MALFORMED;
    parsed.network = borrowed(message->network);
    parsed.page = message->page;
    parsed.entries = message->entries;
    parsed.at_ms = message->at_ms;
    parsed.is_anchor = message->is_anchor;
    verdict = judge_checkpoint(&parsed);
    if (verdict == AUDIT_OK)
        *checkpoint = parsed;
    return verdict;
}

enum audit_verdict audit_checkpoint_open(struct bytes wire, const struct chain *node,
                                         struct arena *arena, struct audit_checkpoint *checkpoint)
{
    struct audit_checkpoint parsed;
    struct envelope envelope;
    enum audit_verdict verdict;
    struct public_key key;

    if (envelope_parse(wire, ENVELOPE_AUDIT, arena, &envelope) != ENVELOPE_TAKEN)
        return AUDIT_MALFORMED;
    verdict = audit_checkpoint_parse(envelope.body, arena, &parsed);
    if (verdict != AUDIT_OK)
        return verdict;
    if (!id_equal(&parsed.node, &node->identity) || !id_equal(&envelope.signer, &node->identity))
        return AUDIT_OTHER_NODE;
    if (chain_key_at(node, parsed.at_ms, &key) != CERTIFICATE_TAKEN ||
        envelope_verify(&envelope, &key, NULL) != ENVELOPE_TAKEN)
        return AUDIT_BAD_CHECKPOINT;
    *checkpoint = parsed;
    return AUDIT_OK;
}

/* ---- a whole log ---- */

static int compare_checkpoints(const void *left, const void *right)
{
    const struct audit_checkpoint *one = left, *other = right;

    return (one->page > other->page) - (one->page < other->page);
}

void audit_reader_init(struct audit_reader *reader, const struct chain *node,
                       struct audit_checkpoint *checkpoints, size_t count)
{
    *reader =
        (struct audit_reader){.node = node, .checkpoints = checkpoints, .checkpoint_count = count};
    if (count > 0)
        qsort(checkpoints, count, sizeof *checkpoints, compare_checkpoints);
}

/* Of the page before the first one. */
static const struct audit_checkpoint *find_anchor(const struct audit_reader *reader, uint64_t page)
{
    for (size_t i = 0; i < reader->checkpoint_count; i++)
        if (reader->checkpoints[i].page == page && reader->checkpoints[i].is_anchor)
            return &reader->checkpoints[i];
    return NULL;
}

static enum audit_verdict begin(struct audit_reader *reader, const struct audit_page *page)
{
    const struct audit_checkpoint *anchor = NULL;

    reader->first_page = page->number;
    reader->first_entry = page->first;
    if (page->number > 1) {
        anchor = find_anchor(reader, page->number - 1);
        if (!anchor)
            return AUDIT_NO_ANCHOR;
        reader->hash = anchor->page_hash;
        reader->entries = anchor->entries;
        reader->pages = anchor->page;
        reader->vouched_entries = anchor->entries;
        reader->vouched_ms = anchor->at_ms;
    }
    while (reader->next_checkpoint < reader->checkpoint_count &&
           reader->checkpoints[reader->next_checkpoint].page < page->number)
        reader->next_checkpoint++;
    return AUDIT_OK;
}

/* Of one page there may be several: each must be of this one. */
static enum audit_verdict heed_checkpoints(struct audit_reader *reader)
{
    for (; reader->next_checkpoint < reader->checkpoint_count; reader->next_checkpoint++) {
        const struct audit_checkpoint *checkpoint = &reader->checkpoints[reader->next_checkpoint];

        if (checkpoint->page > reader->pages)
            break;
        if (!hash_equal(&checkpoint->page_hash, &reader->hash) ||
            checkpoint->entries != reader->entries)
            return AUDIT_BAD_CHECKPOINT;
        reader->vouched_entries = checkpoint->entries;
        reader->vouched_ms = checkpoint->at_ms;
    }
    return AUDIT_OK;
}

/* After a restore numbers are left out; pages are not: it names the one before by its hash. */
static bool follows(const struct audit_reader *reader, const struct audit_page *page)
{
    if (page->entries[0].kind == AUDIT_RESTORED)
        return page->number > reader->pages && page->first > reader->entries;
    return page->number == reader->pages + 1 && page->first == reader->entries + 1;
}

enum audit_verdict audit_reader_take(struct audit_reader *reader, struct bytes body,
                                     struct arena *arena, struct audit_page *page)
{
    enum audit_verdict verdict = audit_page_parse(body, arena, page);

    if (verdict == AUDIT_OK && reader->first_page == 0)
        verdict = begin(reader, page);
    if (verdict != AUDIT_OK)
        return verdict;
    if (!id_equal(&page->node, &reader->node->identity))
        return AUDIT_OTHER_NODE;
    if (!follows(reader, page))
        return AUDIT_OUT_OF_ORDER;
    if (!hash_equal(&page->previous, &reader->hash))
        return AUDIT_BROKEN;
    reader->restored += page->entries[0].kind == AUDIT_RESTORED;
    reader->pages = page->number;
    reader->entries = page->first + page->count - 1;
    reader->hash = audit_page_hash(body);
    return heed_checkpoints(reader);
}

enum audit_verdict audit_reader_end(const struct audit_reader *reader)
{
    if (reader->checkpoint_count == 0 || reader->first_page == 0)
        return AUDIT_OK;
    return reader->checkpoints[reader->checkpoint_count - 1].page > reader->pages
               ? AUDIT_OUT_OF_ORDER
               : AUDIT_OK;
}
