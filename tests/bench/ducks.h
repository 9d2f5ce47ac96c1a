/* ducks: what the benchmarks of pecks share: ducklings, bonds, and an end with a reason. */
#ifndef DUCK_BENCH_DUCKS_H
#define DUCK_BENCH_DUCKS_H

#include "client/duck_client.h"

_Noreturn void bench_die(const char *what, const struct duck_answer *answer); /* answer: NULL is fine */
struct duck_answer *bench_must(const char *what, struct duck_answer *answer); /* returns it, if it is fine */

const char *bench_hatch(struct duck *duck, const char *name); /* the id, kept for ever */
void bench_await_duckling(struct duck *duck, const char *id); /* until the directory there has it */

/* `asker` at `a` may then peck `target` at `b` with the action "query". */
void bench_bond(struct duck *a, struct duck *b, const char *asker, const char *target);

#endif
