#include "contradiction.h"

const char *contradiction_verdict_text(enum contradiction_verdict verdict)
{
    switch (verdict) {
    case CONTRADICTION_PROVEN:
        return "proven";
    case CONTRADICTION_NONE:
        return "the record proves no contradiction";
    case CONTRADICTION_MALFORMED:
        return "the certificates of the proof do not hold, or are another identity's";
    case CONTRADICTION_AGREES:
        return "the certificates do not contradict each other";
    case CONTRADICTION_TOO_LARGE:
        return "the certificates up to where they differ do not fit into a record";
    }
    return "";
}

/* ---- reading ---- */

bool contradiction_carries(struct bytes chain)
{
    static const struct hash none;
    struct arena arena;
    struct chain opened;
    bool carries;

    if (chain_count(chain) != 1)
        return false;
    arena_init(&arena, PARSE_BUDGET(CERTIFICATE_SIZE_MAX));
    carries = chain_open(chain, &arena, &opened) == CERTIFICATE_TAKEN &&
              hash_equal(&opened.certificates[0].next_key_hash, &none);
    arena_free(&arena);
    return carries;
}

/* The other chain is the one up to its last certificate, and then `branch`. */
static enum contradiction_verdict judge(const struct revocation_content *content,
                                        struct arena *arena)
{
    struct bytes wires[CONTRADICTION_CERTIFICATES_MAX];
    struct chain one, other;

    if (chain_open(content->trunk, arena, &one) != CERTIFICATE_TAKEN ||
        !id_equal(&one.identity, &content->contradicted) ||
        one.count > CONTRADICTION_CERTIFICATES_MAX)
        return CONTRADICTION_MALFORMED;
    for (size_t i = 0; i + 1 < one.count; i++)
        wires[i] = one.certificates[i].wire;
    wires[one.count - 1] = content->branch;
    if (chain_open(chain_pack(wires, one.count, arena), arena, &other) != CERTIFICATE_TAKEN ||
        !id_equal(&other.identity, &content->contradicted))
        return CONTRADICTION_MALFORMED;
    return chain_contradicts(&one, &other) ? CONTRADICTION_PROVEN : CONTRADICTION_AGREES;
}

enum contradiction_verdict contradiction_read(const struct record *record, struct arena *arena,
                                              struct id *contradicted)
{
    struct revocation_content content;
    enum contradiction_verdict verdict;

    if (record->kind != RECORD_REVOCATION ||
        revocation_content_parse(record->content, arena, &content) != RECORD_OK ||
        !content.has_contradicted)
        return CONTRADICTION_NONE;
    if (id_equal(&content.contradicted, &record->owner))
        return CONTRADICTION_MALFORMED;
    verdict = judge(&content, arena);
    if (verdict == CONTRADICTION_PROVEN)
        *contradicted = content.contradicted;
    return verdict;
}

/* ---- making ---- */

/* The identity that carries it: born to be revoked. It promises no key. */
static struct bytes make_carrier(const struct contradiction_wish *wish,
                                 const struct identity_key *key, struct arena *arena,
                                 struct id *carrier)
{
    struct certificate_wish birth = {
        .kind = IDENTITY_OPERATOR,
        .display_name = bytes_of_text("contradiction"),
        .issued_ms = wish->now_ms,
        .not_after_ms = wish->now_ms + CERTIFICATE_LIFE_MS,
    };
    struct bytes certificate = certificate_make(&birth, key, arena, carrier);

    return chain_pack(&certificate, 1, arena);
}

/* Up to the first certificate in which they differ. False: they agree. */
static bool cut(const struct contradiction_wish *wish, struct arena *arena,
                struct revocation_content *content, size_t *count)
{
    const struct chain *one = wish->one, *other = wish->other;
    struct bytes wires[CONTRADICTION_CERTIFICATES_MAX];
    size_t same = 0;

    if (!id_equal(&one->identity, &other->identity) || !chain_contradicts(one, other))
        return false;
    while (hash_equal(&one->certificates[same].hash, &other->certificates[same].hash))
        same++;
    *count = same + 1;
    if (*count > CONTRADICTION_CERTIFICATES_MAX)
        return true;
    for (size_t i = 0; i < *count; i++)
        wires[i] = one->certificates[i].wire;
    content->has_contradicted = true;
    content->contradicted = one->identity;
    content->trunk = chain_pack(wires, *count, arena);
    content->branch = other->certificates[same].wire;
    return true;
}

enum contradiction_verdict contradiction_make(const struct contradiction_wish *wish,
                                              struct arena *arena, struct bytes *wire,
                                              struct bytes *chain)
{
    struct record record = {.network = wish->network,
                            .kind = RECORD_REVOCATION,
                            .version = {wish->now_ms, 0},
                            .not_after_ms = wish->now_ms + REVOCATION_LIFE_MAX_MS};
    struct revocation_content content = {.reason = bytes_of_text("proves a contradiction"),
                                         .revoked_at_ms = wish->now_ms};
    struct identity_key *key;
    enum record_verdict form;
    struct bytes body;
    size_t count;

    *wire = *chain = bytes_of(NULL, 0);
    if (!cut(wish, arena, &content, &count))
        return CONTRADICTION_AGREES;
    if (count > CONTRADICTION_CERTIFICATES_MAX)
        return CONTRADICTION_TOO_LARGE;
    key = identity_key_new(wish->seed);
    *chain = make_carrier(wish, key, arena, &record.owner);
    content.subject = record.owner;
    record.content = revocation_content_pack(&content, arena);
    form = record.content.data ? record_pack(&record, arena, &body) : RECORD_TOO_LARGE;
    if (form == RECORD_OK)
        *wire = envelope_seal(ENVELOPE_RECORD, &record.owner, key, body, arena, NULL);
    identity_key_free(key);
    if (form == RECORD_OK && wire->size <= RECORD_SIZE_MAX)
        return CONTRADICTION_PROVEN;
    *wire = bytes_of(NULL, 0);
    return CONTRADICTION_TOO_LARGE;
}
