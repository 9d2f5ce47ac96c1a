#include "effect.h"

#define EFFECTS_BUDGET SIZE_MAX /* what a turn may hold is bounded before it begins */

void effects_init(struct effects *effects)
{
    *effects = (struct effects){0};
    arena_init(&effects->arena, EFFECTS_BUDGET);
}

void effects_clear(struct effects *effects)
{
    arena_wipe(&effects->arena);
    effects->count = 0;
}

void effects_free(struct effects *effects)
{
    arena_wipe(&effects->arena);
    arena_free(&effects->arena);
    memory_give_back(effects->list);
    *effects = (struct effects){0};
}

struct effect *effects_add(struct effects *effects, enum effect_kind kind)
{
    struct effect *effect;

    if (effects->count == effects->capacity) {
        effects->capacity = effects->capacity ? effects->capacity * 2 : 16;
        effects->list = memory_resize(effects->list, effects->capacity * sizeof *effects->list);
    }
    effect = &effects->list[effects->count++];
    memset(effect, 0, sizeof *effect);
    effect->kind = kind;
    return effect;
}

const char *refusal_code_name(enum refusal_code code)
{
    switch (code) {
    case REFUSAL_NONE:
        return "";
    case REFUSAL_MALFORMED:
        return "malformed";
    case REFUSAL_TOO_LARGE:
        return "too_large";
    case REFUSAL_NOT_FOUND:
        return "not_found";
    case REFUSAL_NOT_HOSTED:
        return "not_hosted_here";
    case REFUSAL_UNKNOWN_TARGET:
        return "unknown_target";
    case REFUSAL_NOT_ALLOWED:
        return "not_allowed";
    case REFUSAL_CONFLICT:
        return "conflict";
    case REFUSAL_KEY_REUSED:
        return "idempotency_key_reused";
    case REFUSAL_OWN_KEY:
        return "own_key";
    case REFUSAL_GRANT:
        return "grant_refused";
    case REFUSAL_CONTEXT:
        return "context_refused";
    case REFUSAL_BUSY:
        return "busy";
    case REFUSAL_EXPIRED:
        return "expired";
    case REFUSAL_PECKS_REFUSED:
        return "pecks_refused";
    case REFUSAL_BOND_ROUNDS:
        return "bond_rounds";
    case REFUSAL_BOND_COOLING_DOWN:
        return "bond_cooling_down";
    case REFUSAL_STORE:
        return "store_failed";
    }
    return "";
}
