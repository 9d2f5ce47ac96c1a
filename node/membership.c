#include "membership.h"

#include "core/voucher.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>

#define FILE_SIZE_MAX (16u * KIB)

static bool decode(const json_t *document, const char *member, struct arena *arena,
                   struct bytes *bytes)
{
    const char *text = json_string_value(json_object_get(document, member));
    size_t size = text ? strlen(text) : 0, decoded = 0;
    uint8_t *data = arena_take(arena, size + 1);

    if (size == 0 || !data ||
        sodium_base642bin(data, size + 1, text, size, NULL, &decoded, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    *bytes = bytes_of(data, decoded);
    return true;
}

static const char *judge(struct membership *membership)
{
    enum voucher_verdict verdict;
    struct voucher voucher;
    struct arena arena;

    if (membership->voucher.size + membership->voucher_chain.size > MEMBERSHIP_SIZE_MAX)
        return "the operator has too many certificates for a node record";
    arena_init(&arena, 2 * PARSE_BUDGET(RECORD_SIZE_MAX));
    verdict = voucher_open(membership->voucher, membership->voucher_chain, &arena, &voucher);
    if (verdict == VOUCHER_OK)
        membership->not_after_ms = voucher.not_after_ms;
    arena_free(&arena);
    return verdict == VOUCHER_OK ? NULL : voucher_verdict_text(verdict);
}

bool membership_read(struct membership *membership, const char *path, char problem[256])
{
    json_error_t error;
    json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    const char *why = document ? NULL : error.text;

    arena_init(&membership->memory, FILE_SIZE_MAX);
    if (document && (!decode(document, "voucher", &membership->memory, &membership->voucher) ||
                     !decode(document, "chain", &membership->memory, &membership->voucher_chain)))
        why = "it needs the members voucher and chain, in base64";
    if (!why)
        why = judge(membership);
    if (why)
        snprintf(problem, 256, "%s: %s", path, why);
    json_decref(document);
    return !why;
}

const char *membership_lacks(const struct membership *membership, const struct id *node,
                             struct bytes network, uint64_t wall_ms)
{
    struct record record = {.network = network, .owner = *node, .not_after_ms = wall_ms};
    struct node_content content = {.voucher = membership->voucher,
                                   .voucher_chain = membership->voucher_chain};
    enum fleet_verdict verdict = fleet_judge(&membership->fleet, &record, &content, wall_ms);

    return verdict == FLEET_MEMBER ? NULL : fleet_verdict_text(verdict);
}

void membership_free(struct membership *membership)
{
    arena_free(&membership->memory);
}
