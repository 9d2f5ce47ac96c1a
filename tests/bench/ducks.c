#include "ducks.h"

#include "limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AWAIT_S 20
#define LOOK_US 20000 /* between two searches */

void bench_die(const char *what, const struct duck_answer *answer)
{
    fprintf(stderr, "%s: %s %s\n", what, answer ? duck_code(answer) : "",
            answer ? duck_message(answer) : "");
    exit(1);
}

struct duck_answer *bench_must(const char *what, struct duck_answer *answer)
{
    if (!duck_ok(answer))
        bench_die(what, answer);
    return answer;
}

const char *bench_hatch(struct duck *duck, const char *name)
{
    struct duck_profile profile = {.display_name = name, .bio = "", .capabilities = NULL};
    struct duck_answer *answer = bench_must("hatch", duck_hatch(duck, &profile));
    const char *id = strdup(duck_hatched_id(answer));

    duck_answer_free(answer);
    return id;
}

void bench_await_duckling(struct duck *duck, const char *id)
{
    struct duck_search search = {.duckling = id};
    double end = bench_now_s() + AWAIT_S;
    size_t found = 0;

    while (found == 0) {
        struct duck_answer *answer = bench_must("search", duck_search(duck, &search));

        found = duck_count(answer);
        duck_answer_free(answer);
        if (found == 0 && bench_now_s() > end)
            bench_die("a duckling never came to the other node", NULL);
        if (found == 0)
            usleep(LOOK_US);
    }
}

void bench_bond(struct duck *a, struct duck *b, const char *asker, const char *target)
{
    const char *scope = "query";
    struct duck_peck request = {
        .from = asker, .to = target, .scopes = &scope, .scope_count = 1, .message = "bench"};
    struct duck_answer *answer =
        bench_must("bond request", duck_send(a, &request, DUCK_WAIT_TAKEN, 10000));
    char *peck = strdup(duck_peck_id(answer));

    duck_answer_free(answer);
    duck_answer_free(bench_must("approve", duck_approve(b, target, peck, &scope, 1, 0)));
    duck_answer_free(bench_must("wait", duck_peck_get(a, peck, DUCK_WAIT_DONE, 10000)));
    free(peck);
}
