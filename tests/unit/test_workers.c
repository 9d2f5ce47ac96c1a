#include "workers.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>

#define GIVEN 100000u

struct thing {
    struct work work;
    atomic_uint inside, runs, rests, asked, answered;
    atomic_bool overlapped;
    atomic_bool held;
};

static void run(struct work *work, size_t worker)
{
    struct thing *thing = (struct thing *)work;

    (void)worker;
    if (atomic_fetch_add(&thing->inside, 1) != 0)
        atomic_store(&thing->overlapped, true);
    atomic_fetch_add(&thing->runs, 1);
    atomic_store(&thing->answered, atomic_load(&thing->asked));
    while (atomic_load(&thing->held))
        ;
    atomic_fetch_sub(&thing->inside, 1);
}

static void rest(struct work *work)
{
    atomic_fetch_add(&((struct thing *)work)->rests, 1);
}

START_TEST(a_thing_never_runs_twice_at_once_and_misses_nothing)
{
    static struct thing things[3];
    struct workers *workers = workers_new(4);
    unsigned begun[3] = {0};

    for (size_t i = 0; i < 3; i++)
        work_init(&things[i].work, run, rest);
    for (unsigned k = 1; k <= GIVEN; k++)
        for (size_t i = 0; i < 3; i++) {
            atomic_store(&things[i].asked, k);
            begun[i] += workers_give(workers, &things[i].work);
        }
    workers_free(workers);
    for (size_t i = 0; i < 3; i++) {
        ck_assert(!atomic_load(&things[i].overlapped));
        ck_assert_uint_eq(atomic_load(&things[i].answered), GIVEN); /* the last giving was seen */
        ck_assert_uint_eq(atomic_load(&things[i].rests), begun[i]); /* one rest for each true */
        ck_assert_uint_le(atomic_load(&things[i].runs), GIVEN);
    }
}
END_TEST

START_TEST(what_is_given_while_it_runs_runs_once_more)
{
    static struct thing thing;
    struct workers *workers = workers_new(1);

    work_init(&thing.work, run, rest);
    atomic_store(&thing.held, true);
    ck_assert(workers_give(workers, &thing.work));
    while (atomic_load(&thing.runs) == 0)
        ;
    for (size_t i = 0; i < 10; i++)
        ck_assert(!workers_give(workers, &thing.work));
    atomic_store(&thing.held, false);
    workers_free(workers);
    ck_assert_uint_eq(atomic_load(&thing.runs), 2);
    ck_assert_uint_eq(atomic_load(&thing.rests), 1);
}
END_TEST

START_TEST(one_that_is_busy_does_not_starve_the_others)
{
    static struct thing busy, other;
    struct workers *workers = workers_new(1);

    work_init(&busy.work, run, rest);
    work_init(&other.work, run, rest);
    atomic_store(&busy.held, true);
    workers_give(workers, &busy.work);
    while (atomic_load(&busy.runs) == 0)
        ;
    workers_give(workers, &busy.work);  /* once more, but behind… */
    workers_give(workers, &other.work); /* … this one, which waits already */
    atomic_store(&other.held, true);
    atomic_store(&busy.held, false);
    while (atomic_load(&other.runs) == 0)
        ;
    ck_assert_uint_eq(atomic_load(&busy.runs), 1);
    atomic_store(&other.held, false);
    workers_free(workers);
    ck_assert_uint_eq(atomic_load(&busy.runs), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("workers");
    TCase *tests = tcase_create("workers");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_thing_never_runs_twice_at_once_and_misses_nothing);
    tcase_add_test(tests, what_is_given_while_it_runs_runs_once_more);
    tcase_add_test(tests, one_that_is_busy_does_not_starve_the_others);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
