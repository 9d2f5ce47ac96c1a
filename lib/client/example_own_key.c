/* An agent that keeps its own key, in one page: it answers every "query" with what was asked, and signs what it says.
 *
 *     ducknode key new Vault --out vault.key --next-out vault.next
 *     example_own_key vault.key        // hatches it, if it does not live here yet */
#include "duck_key.h"

#include <stdio.h>
#include <string.h>

/* Its node may have been away, or be new to it: "conflict" says that it lives here already. */
static bool hatch(struct duck *duck, const struct duck_holder *me)
{
    static const char *const capabilities[] = {"query"};
    struct duck_profile profile = {.capabilities = capabilities, .capability_count = 1};
    struct duck_answer *answer = duck_hatch_own(duck, me, &profile);
    bool is_here = duck_ok(answer) || strcmp(duck_code(answer), "conflict") == 0;

    if (!is_here)
        fprintf(stderr, "cannot hatch: %s\n", duck_message(answer));
    duck_answer_free(answer);
    return is_here;
}

static void handle(struct duck *duck, const char *me, const struct duck_item *peck)
{
    struct duck_answer *answer =
        strcmp(peck->action, "query") == 0
            ? duck_answer_peck(duck, me, peck->peck_id, peck->payload)
            : duck_fail_peck(duck, me, peck->peck_id, "I know nothing but \"query\"");

    if (!duck_ok(answer))
        fprintf(stderr, "%s: %s\n", peck->peck_id, duck_message(answer));
    duck_answer_free(answer);
}

int main(int argc, char **argv)
{
    struct duck_answer *taken = NULL;
    struct duck_holder *me;
    struct duck *duck = NULL;
    const char *problem = "";
    struct duck_item peck;

    if (argc < 2 || !(me = duck_holder_open(argv[1], &problem)) ||
        duck_connect(&duck, NULL, &problem))
        return fprintf(stderr, "%s\n", argc < 2 ? "usage: example_own_key KEY-FILE" : problem), 1;
    if (!hatch(duck, me))
        return 1;
    printf("%s\n", duck_holder_id(me));
    fflush(stdout);
    while (duck_sign_all(duck, me, &problem) >= 0 &&
           duck_ok(taken = duck_take(duck, duck_holder_id(me), 10, 1000, 60000))) {
        for (size_t i = 0; duck_item(taken, i, &peck); i++)
            handle(duck, duck_holder_id(me), &peck);
        duck_answer_free(taken);
    }
    fprintf(stderr, "%s\n", *problem ? problem : duck_message(taken));
    return 1;
}
