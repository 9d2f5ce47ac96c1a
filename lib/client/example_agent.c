/* An agent in one page: it answers every "query" with what was asked.
 *
 *     example_agent [dkl_…]        // without an id it hatches one, and prints it */
#include "duck_client.h"

#include <stdio.h>
#include <string.h>

static const char *hatch(struct duck *duck)
{
    static const char *const capabilities[] = {"query"};
    struct duck_profile profile = {
        .display_name = "Echo", .capabilities = capabilities, .capability_count = 1};
    struct duck_answer *answer = duck_hatch(duck, &profile);
    static char id[64];

    snprintf(id, sizeof id, "%s", duck_hatched_id(answer));
    if (!duck_ok(answer))
        fprintf(stderr, "cannot hatch: %s\n", duck_message(answer));
    duck_answer_free(answer);
    return id[0] ? id : NULL;
}

static void handle(struct duck *duck, const char *me, const struct duck_item *peck)
{
    struct duck_answer *answer =
        strcmp(peck->action, "query") == 0
            ? duck_answer_peck(duck, me, peck->peck_id, peck->payload)
            : duck_fail_peck(duck, me, peck->peck_id, "I know nothing but \"query\"");

    printf("%s %s from %s: %s\n", peck->peck_id, peck->action, peck->from,
           duck_ok(answer) ? duck_peck_state(answer) : duck_message(answer));
    fflush(stdout);
    duck_answer_free(answer);
}

int main(int argc, char **argv)
{
    struct duck_answer *taken = NULL;
    struct duck *duck = NULL;
    const char *problem = "", *me;

    if (duck_connect(&duck, NULL, &problem) || !(me = argc > 1 ? argv[1] : hatch(duck)))
        return fprintf(stderr, "%s\n", problem), 1;
    printf("%s\n", me);
    fflush(stdout);
    while (duck_ok(taken = duck_take(duck, me, 10, 20000, 60000))) {
        struct duck_item peck;

        for (size_t i = 0; duck_item(taken, i, &peck); i++)
            handle(duck, me, &peck);
        duck_answer_free(taken);
    }
    fprintf(stderr, "%s\n", duck_message(taken));
    return 1;
}
