/* Many deliveries to a receiver that fails half of the time, on a made-up clock, while the courier is
 * killed with -9: each is delivered at least once, under one id, no sooner than the schedule says.
 *
 * DUCK_WEBHOOKS (400): deliveries. The courier is this program again, in a process of its own. */
#include "core/dice.h"
#include "courier.h"
#include "courier_bed.h"
#include "delivery_schedule.h"
#include "hook_receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS 1700000000000ull
#define HOOKS 16u /* of 10,000 deliveries each then keeps all it had: see DELIVERIES_KEPT_MAX */
#define KILLS 3u
#define QUIET_MS 40u   /* without a call: what was due has gone out, or the store says otherwise */
#define LATE_MS 60000u /* of the made-up clock: it moves in steps */
#define DAMAGE(...) (fprintf(stderr, "courier_kills: " __VA_ARGS__), exit(EXIT_FAILURE))

static _Atomic uint64_t *wall; /* made up; shared with the courier's process */
static _Atomic size_t calls, refused;
static struct dice dice;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* What came well, by path and id. */
static struct arrival {
    char path[8], id[EVENT_ID_SIZE];
    unsigned count;
} * arrivals;
static size_t arrival_count, arrival_room;

static struct arrival *arrival_of(const struct hook_call *call)
{
    for (size_t i = 0; i < arrival_count; i++)
        if (!strcmp(arrivals[i].id, call->id) && !strcmp(arrivals[i].path, call->path))
            return &arrivals[i];
    if (arrival_count == arrival_room)
        DAMAGE("an id that no event has: %s\n", call->id);
    snprintf(arrivals[arrival_count].path, sizeof arrivals[0].path, "%s", call->path);
    snprintf(arrivals[arrival_count].id, sizeof arrivals[0].id, "%s", call->id);
    return &arrivals[arrival_count++];
}

static unsigned answer(void *context, const struct hook_call *call)
{
    bool fails;

    (void)context;
    pthread_mutex_lock(&lock);
    fails = dice_below(&dice, 2) == 0;
    if (!fails)
        arrival_of(call)->count++;
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&calls, 1);
    if (fails)
        atomic_fetch_add(&refused, 1);
    return fails ? 500 : 204;
}

/* ---- the courier's process ---- */

static uint64_t now(void *context)
{
    (void)context;
    return atomic_load(wall);
}

static void map_clock(const char *folder)
{
    char path[600];
    int file;

    snprintf(path, sizeof path, "%s/clock", folder);
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof *wall) != 0)
        DAMAGE("no clock: %s\n", strerror(errno));
    wall = mmap(NULL, sizeof *wall, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
}

static _Noreturn void be_courier(const char *folder)
{
    char store[600], key[600];
    struct allow_list allowed = {.count = 0};
    struct courier_settings settings = {.store_path = store,
                                        .key_path = key,
                                        .allowed = &allowed,
                                        .wall_ms = now,
                                        .look_every_ms = 5};
    struct courier *courier;

    snprintf(store, sizeof store, "%s/gateway.db", folder);
    snprintf(key, sizeof key, "%s/gateway.key", folder);
    map_clock(folder);
    allow_list_add(&allowed, "127.0.0.1/32");
    bed_must(courier_open(&courier, &settings));
    for (;;)
        pause();
}

static pid_t start_courier(char *program, char *folder)
{
    char *arguments[] = {program, folder, NULL};
    pid_t process = fork();

    if (process == 0) {
        execv("/proc/self/exe", arguments);
        _exit(127);
    }
    return process;
}

static void kill_courier(pid_t process)
{
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
}

/* ---- what the store says ---- */

static sqlite3 *database;

static uint64_t ask(const char *text)
{
    sqlite3_stmt *statement;
    uint64_t number = 0;

    if (sqlite3_prepare_v2(database, text, -1, &statement, NULL) != SQLITE_OK)
        DAMAGE("%s\n", sqlite3_errmsg(database));
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* No call for QUIET_MS, and nothing in the store that is due. */
static bool is_quiet(void)
{
    struct timespec pause = {.tv_nsec = QUIET_MS * 1000000l};
    size_t before = atomic_load(&calls);
    char text[160];

    nanosleep(&pause, NULL);
    if (atomic_load(&calls) != before)
        return false;
    snprintf(text, sizeof text,
             "SELECT count(*) FROM deliveries WHERE state = 0 AND due_ms <= %llu",
             (unsigned long long)atomic_load(wall));
    return ask(text) == 0;
}

/* To when the next is due, and a little on: what chance spreads comes in one step. */
static void move_clock(void)
{
    uint64_t now_ms = atomic_load(wall);
    uint64_t due_ms = ask("SELECT min(due_ms) FROM deliveries WHERE state = 0");

    if (due_ms > now_ms)
        atomic_store(wall, due_ms + (due_ms - now_ms) / DELIVERY_JITTER_PART);
}

/* From one attempt to the next as long as the schedule says, and not much longer. */
static void check_schedule(void)
{
    char text[512];

    for (unsigned attempt = 2; attempt <= DELIVERY_ATTEMPTS_MAX; attempt++) {
        uint64_t least = delivery_wait_ms(attempt), most = least + least / 2 + LATE_MS;

        snprintf(text, sizeof text,
                 "SELECT count(*) FROM attempts a JOIN attempts b ON b.delivery = a.delivery AND"
                 " b.attempt = a.attempt + 1 WHERE b.attempt = %u AND"
                 " (b.at_ms - a.at_ms < %llu OR b.at_ms - a.at_ms > %llu)",
                 attempt, (unsigned long long)least, (unsigned long long)most);
        if (ask(text) > 0)
            DAMAGE("%llu attempts %u were not in the schedule\n", (unsigned long long)ask(text),
                   attempt);
    }
}

/* ---- the whole ---- */

static uint64_t send_dead_again(struct courier_bed *bed)
{
    struct gate_delivery row;
    uint64_t count = 0;
    bool found = true;

    bed_must(gate_store_begin(bed->store));
    for (uint64_t webhook = 1; webhook <= HOOKS; webhook++)
        for (found = true; found; count += found) {
            bed_must(
                gate_delivery_next(bed->store, webhook, DELIVERY_GIVEN_UP, 0, false, &row, &found));
            if (found)
                bed_must(gate_delivery_again(bed->store, &row, atomic_load(wall)));
        }
    bed_must(gate_store_commit(bed->store));
    return count;
}

static void play(struct courier_bed *bed, char *program, char *folder, size_t wanted)
{
    pid_t courier = start_courier(program, folder);
    uint64_t resent = 0, again;
    unsigned kills = 0;

    do {
        while (ask("SELECT count(*) FROM deliveries WHERE state = 0") > 0) {
            if (kills < KILLS && atomic_load(&calls) > (kills + 1) * wanted / 2) {
                kill_courier(courier);
                courier = start_courier(program, folder);
                kills++;
            } else if (is_quiet()) {
                move_clock();
            }
        }
        if (!resent)
            check_schedule();
        again = send_dead_again(bed);
        resent += again;
        if (again) { /* who was not told of them reads them at its start */
            kill_courier(courier);
            courier = start_courier(program, folder);
        }
    } while (again);
    kill_courier(courier);
    printf("{\"deliveries\": %zu, \"calls\": %zu, \"refused\": %zu, \"kills\": %u, "
           "\"repeated\": %zu, \"given_up_and_sent_again\": %llu, \"made_up_hours\": %llu",
           wanted, atomic_load(&calls), atomic_load(&refused), kills,
           atomic_load(&calls) - (size_t)ask("SELECT sum(attempt) FROM deliveries"),
           (unsigned long long)resent,
           (unsigned long long)(atomic_load(wall) - START_MS) / 3600000);
    if (kills < KILLS)
        DAMAGE("it ended after %u kills\n", kills);
}

static void lay_out(struct courier_bed *bed, unsigned port, size_t wanted)
{
    uint64_t owner = courier_bed_operator(bed, "owner@example.com");
    char url[64];

    for (unsigned i = 0; i < HOOKS; i++) {
        snprintf(url, sizeof url, "http://127.0.0.1:%u/%u", port, i);
        courier_bed_webhook(bed, owner, url);
    }
    bed_must(gate_store_begin(bed->store));
    for (size_t i = 0; i < wanted / HOOKS; i++)
        courier_bed_event(bed, owner, START_MS);
    bed_must(gate_store_commit(bed->store));
}

static void check_arrivals(size_t wanted)
{
    size_t twice = 0;

    if (arrival_count != wanted ||
        ask("SELECT count(DISTINCT event) FROM deliveries") != wanted / HOOKS ||
        ask("SELECT count(*) FROM deliveries WHERE state = 1") != wanted)
        DAMAGE("%zu of %zu were delivered\n", arrival_count, wanted);
    for (size_t i = 0; i < arrival_count; i++)
        twice += arrivals[i].count > 1;
    printf(", \"delivered\": %zu, \"delivered_twice\": %zu, \"lost\": 0}\n", arrival_count, twice);
}

static int drop_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

int main(int count, char **arguments)
{
    char folder[] = "/tmp/duck-courier-XXXXXX";
    const char *asked = getenv("DUCK_WEBHOOKS");
    size_t wanted = asked ? strtoul(asked, NULL, 10) / HOOKS * HOOKS : 400;
    struct hook_receiver receiver = {.answer = answer};
    static struct courier_bed bed;

    signal(SIGPIPE, SIG_IGN);
    if (count > 1)
        be_courier(arguments[1]);
    if (!mkdtemp(folder) || !hook_receiver_open(&receiver))
        DAMAGE("no folder, or no receiver\n");
    dice_init_number(&dice, 5);
    arrival_room = wanted;
    arrivals = memory_take((wanted + 1) * sizeof *arrivals);
    map_clock(folder);
    atomic_store(wall, START_MS);
    courier_bed_make(&bed, folder);
    lay_out(&bed, receiver.port, wanted);
    if (sqlite3_open(bed.store_path, &database) != SQLITE_OK)
        DAMAGE("no store\n");
    sqlite3_busy_timeout(database, 5000);
    play(&bed, arguments[0], folder, wanted);
    check_arrivals(wanted);
    hook_receiver_close(&receiver);
    sqlite3_close(database);
    gate_store_close(bed.store);
    memory_give_back(arrivals);
    nftw(folder, drop_entry, 8, FTW_DEPTH | FTW_PHYS);
    return EXIT_SUCCESS;
}
