/* The body of a bundle: its frames come out within their limits, and one that is packed anew from them opens to the
 * same. */
#include "people.h"

#include "core/bundle.h"

static void pack_anew(struct bytes packed)
{
    static uint8_t room[64 * KIB + 8 * BUNDLE_OPENED_MAX];
    struct bundle_reader first, second;
    struct bundle bundle = {.data = NULL};
    struct bytes inner, again;

    bundle_begin(&bundle, room, sizeof room);
    bundle_open(&first, packed);
    while (bundle_next(&first, &inner) == BUNDLE_FRAME)
        MUST(bundle_add(&bundle, inner.data[0], bytes_of(inner.data + 1, inner.size - 1)));
    bundle_open(&first, packed);
    bundle_open(&second, bytes_of(room, bundle.size));
    while (bundle_next(&first, &inner) == BUNDLE_FRAME)
        MUST(bundle_next(&second, &again) == BUNDLE_FRAME && bytes_equal(inner, again));
    MUST(bundle_next(&second, &again) == BUNDLE_END);
    bundle_free(&bundle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes packed = bytes_of(data, size), inner;
    enum bundle_verdict verdict;
    struct bundle_reader reader;
    size_t opened = 0;

    bundle_open(&reader, packed);
    while ((verdict = bundle_next(&reader, &inner)) == BUNDLE_FRAME) {
        MUST(inner.size >= 1 && inner.size <= 1 + BUNDLE_BODY_MAX);
        opened += inner.size;
    }
    MUST(opened <= BUNDLE_OPENED_MAX);
    if (verdict == BUNDLE_END)
        pack_anew(packed);
    return 0;
}
