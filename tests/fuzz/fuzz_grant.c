/* Grants: whole chains of signed blocks, as any stranger may hand them in. */
#include "people.h"

#include "core/grant.h"

/* Whatever holds allows no more than each of its blocks, and can be opened again. */
static void judge(const struct grant *grant, struct arena *arena)
{
    struct grant_reach reach;
    struct grant again;

    MUST(grant->count > 0 && grant->count <= GRANT_BLOCKS_MAX);
    grant_reach(grant, &reach);
    MUST(reach.scope_count <= GRANT_REACH_SCOPES_MAX);
    for (size_t i = 0; i < grant->count; i++) {
        MUST(reach.not_after_ms <= grant->blocks[i].not_after_ms);
        MUST(grant->blocks[i].uses == 0 || reach.uses <= grant->blocks[i].uses);
        MUST(i == 0 || id_equal(&grant->blocks[i].issuer, &grant->blocks[i - 1].holder));
    }
    if (grant_open(grant->wire, arena, &again, NULL) == GRANT_OK)
        MUST(again.count == grant->count);
    else
        MUST(&memory_is_short && memory_is_short);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct grant grant;
    size_t at;

    arena_init(&arena, 4 * PARSE_BUDGET(size));
    if (grant_open(bytes_of(data, size), &arena, &grant, &at) == GRANT_OK)
        judge(&grant, &arena);
    else
        MUST(at < GRANT_BLOCKS_MAX);
    arena_free(&arena);
    return 0;
}
