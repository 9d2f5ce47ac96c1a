/* Messages of reconciliation, to a responder and to an initiator. The first byte says which, how
 * short frames are, how the sets differ, and how it cuts. */
#include "people.h"

#include "core/reconcile.h"

#define TO_INITIATOR 1
#define WITH_NEWEST 2
#define AS_REFERENCE 4
#define LARGE_FRAMES 8
#define SETS_SHIFT 4 /* the rest: how many hundred stamps */

static struct recordset *set_of(size_t count)
{
    struct recordset *set = recordset_new();

    for (size_t i = 0; i < count; i++) {
        struct stamp stamp = {.at_s = (uint32_t)(1000 + i / 3)};
        stamp.hash = hash_of(bytes_of(&i, sizeof i));
        MUST(recordset_insert(set, &stamp));
    }
    return set;
}

static void take(struct reconcile *side, const struct recordset *set,
                 const struct reconcile_settings *settings, struct bytes answer)
{
    struct bytes message;
    size_t count;

    reconcile_begin(side, set, &message);
    (void)reconcile_take(side, set, answer, &message);
    MUST(message.size <= settings->frame_max);
    reconcile_needs(side, &count);
    MUST(count <= settings->needs_max);
    reconcile_haves(side, &count);
    MUST(count <= settings->haves_max);
}

static void respond(struct reconcile *side, const struct recordset *set,
                    const struct reconcile_settings *settings, struct bytes message)
{
    struct bytes answer;
    enum reconcile_verdict verdict = reconcile_answer(side, set, message, &answer);

    MUST(verdict == RECONCILE_TAKEN || verdict >= RECONCILE_MALFORMED);
    MUST((verdict == RECONCILE_TAKEN) == (answer.size > 0));
    MUST(answer.size <= settings->frame_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reconcile_settings settings = reconcile_defaults;
    struct recordset *set;
    struct reconcile *side;

    if (size == 0)
        return 0;
    settings.needs_max = 50;
    settings.haves_max = 20;
    settings.from_s = data[0] & WITH_NEWEST ? 1100 : 0;
    settings.cuts_like_reference = data[0] & AS_REFERENCE;
    settings.frame_max = data[0] & LARGE_FRAMES ? RECONCILE_FRAME_MAX : RECONCILE_FRAME_MIN;
    set = set_of((size_t)(data[0] >> SETS_SHIFT) * 100);
    side = reconcile_new(&settings);
    if (data[0] & TO_INITIATOR)
        take(side, set, &settings, bytes_of(data + 1, size - 1));
    else
        respond(side, set, &settings, bytes_of(data + 1, size - 1));
    reconcile_free(side);
    recordset_free(set);
    return 0;
}
