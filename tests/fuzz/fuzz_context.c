/* Contexts, as they come with a stranger's chain. */
#include "people.h"

#include "core/context.h"

/* Whatever holds is of the chain that it came with, within the bounds, and can be read again. */
static void judge(const struct chain *chain, const struct context *context,
                  const struct certificate *issuer, struct arena *arena)
{
    struct peck peck = {
        .kind = PECK_ACTION, .action = bytes_of_text("a"), .created_ms = context->not_after_ms};
    struct context again;

    MUST(id_equal(&context->identity, &chain->identity) && chain->kind == IDENTITY_DUCKLING);
    MUST(hash_equal(&issuer->hash, &context->certificate));
    MUST(context->scope_count >= 1 && context->scope_count <= CERTIFICATE_SCOPES_MAX);
    MUST(context->name.size >= 1 && context->name.size <= NAME_MAX_BYTES);
    MUST(context->not_after_ms - context->issued_ms <= CONTEXT_LIFE_MAX_MS);
    MUST(context_judge(context, &peck, context->not_after_ms + 1) == CONTEXT_ENDED);
    if (context_read(context->wire, arena, &again) == CONTEXT_OK)
        MUST(hash_equal(&again.hash, &context->hash) &&
             id_equal(&again.carrier, &context->carrier));
    else
        MUST(&memory_is_short && memory_is_short);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes wire = bytes_of(data, size), packed, under, joined;
    const struct certificate *issuer;
    struct context context;
    struct arena arena;
    struct chain chain;

    arena_init(&arena, 4 * PARSE_BUDGET(size));
    chain_split(wire, &packed, &under);
    MUST(packed.size + under.size <= size);
    joined = chain_with_context(packed, under, &arena);
    MUST(under.size == 0 ? bytes_equal(joined, wire) : joined.size <= size);
    if (under.size > 0)
        MUST(chain_open(wire, &arena, &chain) != CERTIFICATE_TAKEN); /* it is nobody's chain */
    if (chain_open(packed, &arena, &chain) == CERTIFICATE_TAKEN &&
        context_open(under, &chain, &arena, &context, &issuer) == CONTEXT_OK)
        judge(&chain, &context, issuer, &arena);
    arena_free(&arena);
    return 0;
}
