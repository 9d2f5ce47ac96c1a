/* Inner frames of other nodes, through everything that a worker does with them. The first byte is
 * the frame's kind. */
#include "people.h"

#include "core/intake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keyring *keyring = keyring_new(16);
    const struct intake_settings settings = {.network = bytes_of_text(PEOPLE_NETWORK),
                                             .keyring = keyring};
    struct intake *intake = intake_new(&settings);
    char reason[160] = "";
    struct arena arena;
    struct event event;
    struct id peck;
    size_t refused = 0;

    if (size > 0) {
        enum intake_verdict verdict;
        arena_init(&arena, PARSE_BUDGET(size) + CHAIN_SIZE_MAX);
        verdict = intake_open(intake, (enum frame_kind)data[0], bytes_of(data + 1, size - 1),
                              PEOPLE_WALL_MS, &arena, &event, &peck, &refused, reason);
        MUST(memchr(reason, '\0', sizeof reason) != NULL);
        MUST(verdict == INTAKE_TAKEN || verdict == INTAKE_UNKNOWN_KIND || reason[0]);
        MUST(refused <= RECORDS_PER_FRAME_MAX);
        arena_free(&arena);
    }
    intake_free(intake);
    keyring_free(keyring);
    return 0;
}
