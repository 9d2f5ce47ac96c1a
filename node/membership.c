#include "membership.h"

#include "core/voucher.h"
#include "store.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>

#define FILE_SIZE_MAX (16u * KIB)

static void enter(void *context)
{
    pthread_mutex_lock(context);
}

static void leave(void *context)
{
    pthread_mutex_unlock(context);
}

void membership_init(struct membership *membership)
{
    struct withdrawals_settings settings = {
        .enter = enter, .leave = leave, .context = &membership->lock};

    *membership = (struct membership){0};
    arena_init(&membership->memory, FILE_SIZE_MAX);
    pthread_mutex_init(&membership->lock, NULL);
    membership->fleet.withdrawals = withdrawals_new(&settings);
}

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

struct recalled {
    const struct fleet *fleet;
    uint64_t wall_ms;
};

static void take_back(void *context, const struct withdrawn *withdrawn)
{
    const struct recalled *recalled = context;

    fleet_take_back(recalled->fleet, withdrawn, recalled->wall_ms);
}

int membership_recall(const struct fleet *fleet, struct store *store, uint64_t wall_ms)
{
    struct recalled recalled = {fleet, wall_ms};
    int fault = 0;

    for (size_t i = 0; fleet && i < fleet->count && !fault; i++)
        fault = store_read_withdrawn(store, &fleet->operators[i], WITHDRAWALS_PER_OPERATOR_MAX + 1,
                                     take_back, &recalled);
    return fault;
}

void membership_free(struct membership *membership)
{
    withdrawals_free(membership->fleet.withdrawals);
    pthread_mutex_destroy(&membership->lock);
    arena_free(&membership->memory);
}
