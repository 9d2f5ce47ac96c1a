/* A session is a row of steps, each of which waits for one kind of answer:
 *
 *     STREAM ──────────────┐      next to nothing is held
 *     PROBE ── equal? ──> end     (a difference that is known skips it)
 *       └─> NEWEST ─> FETCH ─> PROBE_ALL ── equal? ──> end
 *                                └─> ALL ─> FETCH ─> end
 *     AUDIT_OPEN ─> AUDIT_MAKE ─> AUDIT ─> FETCH ─> end
 */
#include "repair.h"

#include <assert.h>
#include <limits.h>

#define PEERS_MAX 64u /* that wait, and that are remembered */
#define REFUSED_MAX 1024u

enum step { IDLE, STREAM, PROBE, NEWEST, PROBE_ALL, ALL, AUDIT_OPEN, AUDIT_MAKE, AUDIT, FETCH };

struct waiting {
    struct id peer;
    bool differs, hurried;
    uint64_t not_before_ms;
};

/* A peer that is left in peace for a while. */
struct rest {
    struct id peer;
    uint64_t until_ms;
    uint32_t failures;  /* in a row */
    uint32_t fruitless; /* sessions in a row that ended well and brought nothing */
};

struct repair {
    struct id self;
    struct dice dice;
    struct reconcile *side;
    struct audit *audit;
    uint8_t nonce[AUDIT_NONCE_SIZE];

    enum step step, after_fetch;
    struct id peer;
    uint32_t session, from_s;
    bool says; /* the step has something to send */
    bool hurried;
    bool keyed;
    struct bytes message; /* of `side`, to send */
    struct stamp after;   /* of a stream */
    struct hash *needs;
    size_t need_count, need_capacity, asked, asking;
    size_t useful, portion; /* of this session, and of what was asked for last */
    uint64_t deadline_ms, began_wall_ms, audit_due_ms;
    uint64_t again_ms; /* when the question is put once more; MOMENT_NEVER */
    uint64_t began_ms; /* the session */
    uint64_t moved_ms; /* when that was, or it brought something of use last */
    size_t fruitless;  /* portions in a row that brought nothing */
    const char *ended; /* to be told; NULL: nothing */
    bool failed;       /* that one */

    struct waiting waiting[PEERS_MAX];
    size_t waiting_count;
    struct rest rests[PEERS_MAX];
    size_t rest_next;
    struct hash *refused; /* REFUSED_MAX, once there is one */
    size_t refused_next;
    uint64_t refused_ms; /* steady; since when they are gathered */
    uint64_t good_s;     /* wall; when the last session that ended well began; 0: none */
    struct repair_figures figures;
};

struct repair *repair_new(const struct id *self, const uint8_t dice_seed[DICE_SEED_SIZE])
{
    struct repair *repair = memory_take(sizeof *repair);

    repair->self = *self;
    dice_init(&repair->dice, dice_seed);
    repair->session = (uint32_t)dice_below(&repair->dice, UINT32_MAX) + 1;
    repair->audit_due_ms = MOMENT_NEVER;
    return repair;
}

void repair_free(struct repair *repair)
{
    if (!repair)
        return;
    reconcile_free(repair->side);
    audit_free(repair->audit);
    memory_give_back(repair->needs);
    memory_give_back(repair->refused);
    memory_give_back(repair);
}

/* ---- who is next ---- */

static struct rest *rest_of(struct repair *repair, const struct id *peer)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (id_equal(&repair->rests[i].peer, peer))
            return &repair->rests[i];
    return NULL;
}

static struct rest *let_rest(struct repair *repair, const struct id *peer, uint64_t until_ms)
{
    struct rest *rest = rest_of(repair, peer);

    if (!rest) {
        rest = &repair->rests[repair->rest_next];
        repair->rest_next = (repair->rest_next + 1) % PEERS_MAX;
        *rest = (struct rest){.peer = *peer};
    }
    rest->until_ms = until_ms;
    return rest;
}

static struct waiting *waiting_of(struct repair *repair, const struct id *peer)
{
    for (size_t i = 0; i < repair->waiting_count; i++)
        if (id_equal(&repair->waiting[i].peer, peer))
            return &repair->waiting[i];
    return NULL;
}

bool repair_suggest(struct repair *repair, const struct id *peer, bool differs, uint64_t now_ms)
{
    const struct rest *rest = rest_of(repair, peer);
    struct waiting *waiting = waiting_of(repair, peer);
    bool is_new;

    if (!waiting && repair->waiting_count == PEERS_MAX)
        return false; /* who is next tells of the same differences, mostly */
    is_new = !waiting;
    if (is_new) {
        waiting = &repair->waiting[repair->waiting_count++];
        *waiting = (struct waiting){.peer = *peer};
    }
    waiting->differs |= differs;
    waiting->not_before_ms = rest && rest->until_ms > now_ms ? rest->until_ms : now_ms;
    return is_new && waiting->not_before_ms == now_ms;
}

static void forget_waiting(struct repair *repair, size_t i)
{
    repair->waiting_count--;
    memmove(repair->waiting + i, repair->waiting + i + 1,
            (repair->waiting_count - i) * sizeof *repair->waiting);
}

/* ---- ends ---- */

static void end(struct repair *repair, const char *how)
{
    audit_free(repair->audit);
    repair->audit = NULL;
    reconcile_free(repair->side);
    repair->side = NULL;
    memory_give_back(repair->needs);
    repair->needs = NULL;
    repair->need_capacity = 0;
    repair->step = IDLE;
    repair->says = repair->keyed = false;
    repair->need_count = repair->asked = repair->asking = 0;
    repair->ended = how;
}

/* Who brought nothing may be behind us, or may have no more to say; while a crowd is on its way it
 * soon has, so the rest begins short. */
static uint64_t rest_ms(const struct repair *repair, struct rest *rest)
{
    uint64_t ms = REPAIR_FRUITLESS_REST_MIN_MS;

    if (repair->useful > 0 || repair->step == PROBE) {
        rest->fruitless = 0;
        return REPAIR_REST_MS;
    }
    ms <<= rest->fruitless;
    if (ms >= REPAIR_FRUITLESS_REST_MS)
        return REPAIR_FRUITLESS_REST_MS;
    rest->fruitless++;
    return ms;
}

static void end_well(struct repair *repair, const char *how, const struct moment *at)
{
    struct rest *rest = let_rest(repair, &repair->peer, at->now_ms);

    repair->good_s = repair->began_wall_ms / 1000;
    if (repair->audit_due_ms == MOMENT_NEVER)
        repair->audit_due_ms =
            at->now_ms + REPAIR_AUDIT_MS + dice_jitter_ms(&repair->dice, REPAIR_AUDIT_MS);
    rest->until_ms = at->now_ms + rest_ms(repair, rest);
    rest->failures = 0;
    repair->failed = false;
    end(repair, how);
}

/* One failure is nobody's fault. Whoever fails again waits, twice as long each time, so that it does
 * not stand in the way of others. */
static void end_badly(struct repair *repair, const char *how, uint64_t now_ms)
{
    struct rest *rest = let_rest(repair, &repair->peer, now_ms);

    rest->until_ms =
        now_ms + (rest->failures > 0 ? REPAIR_FAILED_REST_MS << (rest->failures - 1) : 0);
    if (rest->failures < REPAIR_FAILURES_MAX)
        rest->failures++;
    repair->figures.failed++;
    if (repair->audit_due_ms == MOMENT_NEVER && repair->good_s != 0)
        repair->audit_due_ms = now_ms + REPAIR_FRUITLESS_REST_MS; /* it was to be one */
    repair->failed = true;
    end(repair, how);
}

/* Of a table that is full the last one gives way that is not hurried itself. */
void repair_hurry(struct repair *repair, const struct id *peer, uint64_t now_ms)
{
    struct waiting *waiting;

    if (repair->step != IDLE && id_equal(&repair->peer, peer)) {
        repair->hurried = true;
        return;
    }
    if (!waiting_of(repair, peer) && repair->waiting_count == PEERS_MAX)
        for (size_t i = PEERS_MAX; i-- > 0;)
            if (!repair->waiting[i].hurried) {
                forget_waiting(repair, i);
                break;
            }
    repair_suggest(repair, peer, false, now_ms);
    waiting = waiting_of(repair, peer);
    if (!waiting)
        return;
    waiting->hurried = true;
    if (repair->step != IDLE && !repair->hurried && waiting->not_before_ms <= now_ms)
        end_badly(repair, "another neighbour goes first", now_ms);
}

void repair_link_down(struct repair *repair, const struct id *peer, uint64_t now_ms)
{
    for (size_t i = repair->waiting_count; i-- > 0;)
        if (id_equal(&repair->waiting[i].peer, peer))
            forget_waiting(repair, i);
    if (repair->step != IDLE && id_equal(&repair->peer, peer)) {
        end_badly(repair, "the link went down", now_ms);
    }
}

/* ---- steps ---- */

/* A step has its time, and the session has one in which something of use must come. */
static void plan_deadline(struct repair *repair, uint64_t now_ms)
{
    uint64_t end_ms = repair->moved_ms + REPAIR_STILL_MS;

    repair->deadline_ms = now_ms + REPAIR_STEP_MS;
    if (repair->deadline_ms > end_ms)
        repair->deadline_ms = end_ms;
}

static void say(struct repair *repair, enum step step, uint64_t now_ms)
{
    repair->step = step;
    repair->says = true;
    repair->again_ms =
        repair->keyed || step == AUDIT_OPEN ? MOMENT_NEVER : now_ms + REPAIR_AGAIN_MS;
    plan_deadline(repair, now_ms);
}

/* A frame of the question or of its answer was lost. The answer that only was late belongs to a
 * session that is over: of two answers none is taken for that of the next question. An audit is
 * bound to its session, so its questions are put once. */
static void say_again(struct repair *repair, uint64_t now_ms)
{
    repair->session++;
    repair->says = true;
    repair->again_ms = MOMENT_NEVER;
    plan_deadline(repair, now_ms);
}

static void compare(struct repair *repair, const struct recordset *set, enum step step,
                    uint64_t now_ms)
{
    struct reconcile_settings settings = reconcile_defaults;
    bool is_probe = step == PROBE || step == PROBE_ALL;

    settings.from_s = step == NEWEST ? repair->from_s : 0;
    reconcile_free(repair->side);
    repair->side = reconcile_new(&settings);
    if (is_probe)
        reconcile_begin_probe(repair->side, set, &repair->message);
    else
        reconcile_begin(repair->side, set, &repair->message);
    say(repair, step, now_ms);
}

/* The last good session, or else the newest record of an earlier life, less what clocks may be
 * apart, twice: the records of the one that is ahead and of the one that is behind. */
static uint32_t newest_from_s(const struct repair *repair, const struct recordset *set)
{
    size_t count = recordset_count(set);
    uint64_t from_s = repair->good_s;
    struct stamp newest;

    if (from_s >= STAMP_TIME_END)
        from_s = STAMP_TIME_END - 1;
    if (from_s == 0 && recordset_read(set, count - 1, &newest, 1) == 1)
        from_s = newest.at_s;
    return from_s > 2 * CLOCK_SKEW_MAX_MS / 1000 ? (uint32_t)(from_s - 2 * CLOCK_SKEW_MAX_MS / 1000)
                                                 : 0;
}

/* All at once, if that is little or nothing of ours is older than the newest part. */
static void compare_newest_first(struct repair *repair, const struct recordset *set,
                                 uint64_t now_ms)
{
    struct stamp from = {.at_s = newest_from_s(repair, set)};

    if (recordset_count(set) < REPAIR_SMALL_SET || recordset_seek(set, &from) == 0) {
        compare(repair, set, ALL, now_ms);
        return;
    }
    repair->from_s = from.at_s;
    compare(repair, set, NEWEST, now_ms);
}

static bool is_refused(const struct repair *repair, const struct hash *hash)
{
    for (size_t i = 0; repair->refused && i < REFUSED_MAX; i++)
        if (hash_equal(&repair->refused[i], hash))
            return true;
    return false;
}

void repair_refuse(struct repair *repair, const struct hash *hash)
{
    if (is_refused(repair, hash))
        return;
    if (!repair->refused)
        repair->refused = memory_take(REFUSED_MAX * sizeof *repair->refused);
    repair->refused[repair->refused_next] = *hash;
    repair->refused_next = (repair->refused_next + 1) % REFUSED_MAX;
    repair->figures.refused++;
}

static void take_needs(struct repair *repair)
{
    size_t count;
    const struct hash *needs = reconcile_needs(repair->side, &count);

    if (count > repair->need_capacity) {
        repair->needs = memory_resize(repair->needs, count * sizeof *repair->needs);
        repair->need_capacity = count;
    }
    repair->need_count = repair->asked = 0;
    for (size_t i = 0; i < count; i++)
        if (repair->keyed || !is_refused(repair, &needs[i]))
            repair->needs[repair->need_count++] = needs[i];
}

/* All of a comparison is fetched: what then? */
static void go_on(struct repair *repair, const struct recordset *set, const struct moment *at)
{
    switch (repair->after_fetch) {
    case NEWEST:
        compare(repair, set, PROBE_ALL, at->now_ms);
        return;
    case STREAM:
        compare(repair, set, PROBE_ALL, at->now_ms);
        return;
    case AUDIT:
        repair->figures.audits++;
        end_well(repair, "audited", at);
        return;
    case IDLE:
    case PROBE:
    case PROBE_ALL:
    case ALL:
    case AUDIT_OPEN:
    case AUDIT_MAKE:
    case FETCH:
        break;
    }
    repair->figures.repaired++;
    end_well(repair, "repaired", at);
}

static void fetch(struct repair *repair, const struct recordset *set, const struct moment *at)
{
    repair->asking = repair->need_count - repair->asked;
    if (repair->asking > REPAIR_FETCH_MAX)
        repair->asking = REPAIR_FETCH_MAX;
    if (repair->asking > 0)
        say(repair, FETCH, at->now_ms);
    else
        go_on(repair, set, at);
}

static void compared(struct repair *repair, const struct recordset *set, const struct moment *at)
{
    take_needs(repair);
    repair->after_fetch = repair->step;
    fetch(repair, set, at);
}

/* ---- answers ---- */

static bool is_current(const struct repair *repair, const struct id *peer, uint32_t session)
{
    return repair->step != IDLE && !repair->says && repair->session == session &&
           id_equal(&repair->peer, peer);
}

static void answered_probe(struct repair *repair, const struct recordset *set,
                           enum reconcile_verdict verdict, const struct moment *at)
{
    if (verdict == RECONCILE_DONE)
        take_needs(repair); /* a set of a few is answered with all of their names at once */
    if (verdict == RECONCILE_DONE && repair->need_count > 0) {
        repair->after_fetch = repair->step;
        fetch(repair, set, at);
    } else if (verdict == RECONCILE_DONE) {
        *(repair->step == PROBE ? &repair->figures.equal : &repair->figures.repaired) += 1;
        end_well(repair, repair->step == PROBE ? "equal" : "repaired", at);
    } else if (repair->step == PROBE) {
        compare_newest_first(repair, set, at->now_ms);
    } else {
        compare(repair, set, ALL, at->now_ms);
    }
}

void repair_answered(struct repair *repair, const struct recordset *set, const struct id *peer,
                     uint32_t session, struct bytes message, const struct moment *at)
{
    enum reconcile_verdict verdict;

    if (!is_current(repair, peer, session) || repair->step == FETCH || repair->step == STREAM ||
        repair->step == AUDIT_OPEN || repair->step == AUDIT_MAKE)
        return;
    repair->figures.rounds++;
    verdict = reconcile_take(repair->side, repair->audit ? audit_set(repair->audit) : set, message,
                             &repair->message);
    switch (verdict) {
    case RECONCILE_MALFORMED:
    case RECONCILE_OVERSIZED:
    case RECONCILE_OTHER_VERSION:
        end_badly(repair, "the answer does not hold together", at->now_ms);
        return;
    case RECONCILE_TAKEN:
    case RECONCILE_DONE:
    case RECONCILE_ENOUGH:
    case RECONCILE_TOO_LONG:
    case RECONCILE_TOO_MUCH:
        break;
    }
    if (repair->step == PROBE || repair->step == PROBE_ALL)
        answered_probe(repair, set, verdict, at);
    else if (verdict == RECONCILE_TAKEN)
        say(repair, repair->step, at->now_ms);
    else
        compared(repair, set, at);
}

void repair_audit_opened(struct repair *repair, const struct recordset *set, const struct id *peer,
                         uint32_t session, const uint8_t nonce[AUDIT_NONCE_SIZE],
                         const struct moment *at)
{
    uint8_t key[AUDIT_KEY_SIZE];

    if (!is_current(repair, peer, session) || repair->step != AUDIT_OPEN)
        return;
    audit_key(&repair->self, repair->nonce, peer, nonce, key);
    repair->audit = audit_begin(set, key);
    repair->keyed = true;
    repair->step = AUDIT_MAKE;
    repair->moved_ms = at->now_ms;
    repair->deadline_ms = at->now_ms + AUDIT_SERVED_MS;
}

bool repair_is_asked(const struct repair *repair, const struct id *peer, uint32_t session)
{
    return is_current(repair, peer, session) && (repair->step == FETCH || repair->step == STREAM);
}

bool repair_is_filling(const struct repair *repair)
{
    return repair->step == STREAM;
}

bool repair_fetched(struct repair *repair, const struct id *peer, uint32_t session, size_t useful,
                    bool last, const struct stamp *next, const struct moment *at)
{
    bool is_stream = repair->step == STREAM;

    if (!repair_is_asked(repair, peer, session))
        return false;
    repair->useful += useful;
    repair->portion += useful;
    *(is_stream ? &repair->figures.streamed : &repair->figures.fetched) += useful;
    if (useful > 0) {
        repair->again_ms = MOMENT_NEVER;
        repair->moved_ms = at->now_ms;
        plan_deadline(repair, at->now_ms);
    }
    if (!last)
        return true;
    repair->fruitless = repair->portion > 0 ? 0 : repair->fruitless + 1;
    if (repair->fruitless > REPAIR_FRUITLESS_MAX) {
        end_badly(repair, "it does not bring what it names", at->now_ms);
        return true;
    }
    repair->says = true;
    if (!is_stream) {
        repair->asked += repair->asking;
    } else if (next && repair->portion > 0 && stamp_compare(next, &repair->after) > 0) {
        repair->after = *next;
    } else {
        repair->after_fetch = STREAM; /* at its end, or a peer that leads nowhere */
        repair->step = FETCH;
        repair->need_count = repair->asked = 0;
    }
    repair->portion = 0;
    return true;
}

/* ---- what to say ---- */

/* What was of no use may be one day: there is room again, or its date has come. */
static void forget_refused(struct repair *repair, uint64_t now_ms)
{
    if (now_ms < repair->refused_ms + REPAIR_REFUSED_MS)
        return;
    memory_give_back(repair->refused);
    repair->refused = NULL;
    repair->refused_next = 0;
    repair->refused_ms = now_ms;
}

/* Whoever is hurried, failed less often, then whoever waits for longer: who stalls gets the time that nobody else
 * wants. `waiting_count`: nobody may begin now. */
static size_t choose(struct repair *repair, uint64_t now_ms)
{
    unsigned least = UINT_MAX;
    size_t chosen = repair->waiting_count;

    for (size_t i = 0; i < repair->waiting_count; i++) {
        const struct waiting *waiting = &repair->waiting[i];
        const struct rest *rest = rest_of(repair, &waiting->peer);
        unsigned order =
            (rest ? rest->failures : 0) + (waiting->hurried ? 0 : REPAIR_FAILURES_MAX + 1);

        if (waiting->not_before_ms > now_ms || order >= least)
            continue;
        least = order;
        chosen = i;
    }
    return chosen;
}

static bool begin(struct repair *repair, const struct recordset *set, const struct moment *at)
{
    size_t i = choose(repair, at->now_ms);
    struct waiting next;

    if (i == repair->waiting_count)
        return false;
    next = repair->waiting[i];
    forget_waiting(repair, i);
    repair->peer = next.peer;
    repair->session++;
    repair->useful = repair->portion = repair->fruitless = 0;
    repair->hurried = next.hurried;
    repair->began_wall_ms = at->wall_ms;
    repair->began_ms = repair->moved_ms = at->now_ms;
    forget_refused(repair, at->now_ms);
    repair->figures.sessions++;
    if (repair->audit_due_ms <= at->now_ms) {
        dice_fill(&repair->dice, repair->nonce, sizeof repair->nonce);
        repair->audit_due_ms = MOMENT_NEVER; /* planned anew when this one ends well */
        say(repair, AUDIT_OPEN, at->now_ms);
    } else if (repair->good_s == 0 && recordset_count(set) < REPAIR_FIRST_FILL_BELOW) {
        memset(&repair->after, 0, sizeof repair->after);
        say(repair, STREAM, at->now_ms);
    } else if (next.differs) {
        compare_newest_first(repair, set, at->now_ms);
    } else {
        compare(repair, set, PROBE, at->now_ms);
    }
    return true;
}

static void fill_in(const struct repair *repair, struct repair_output *output)
{
    output->peer = repair->peer;
    output->session = repair->session;
    output->keyed = repair->keyed;
    switch (repair->step) {
    case STREAM:
        output->kind = REPAIR_STREAM;
        output->after = repair->after;
        break;
    case AUDIT_OPEN:
        output->kind = REPAIR_AUDIT;
        memcpy(output->nonce, repair->nonce, sizeof output->nonce);
        break;
    case FETCH:
        output->kind = REPAIR_FETCH;
        output->hashes = repair->needs + repair->asked;
        output->count = repair->asking;
        break;
    case IDLE:
    case PROBE:
    case NEWEST:
    case PROBE_ALL:
    case ALL:
    case AUDIT_MAKE:
    case AUDIT:
        output->kind = REPAIR_COMPARE;
        output->message = repair->message;
        break;
    }
}

static bool tell_end(struct repair *repair, struct repair_output *output)
{
    if (!repair->ended)
        return false;
    output->kind = REPAIR_ENDED;
    output->peer = repair->peer;
    output->session = repair->session;
    output->how = repair->ended;
    output->fetched = repair->useful;
    output->failed = repair->failed;
    repair->ended = NULL;
    return true;
}

/* A record now and then must not hold up others for ever. */
static bool is_slow(const struct repair *repair, uint64_t now_ms)
{
    return (repair->step == FETCH || repair->step == STREAM) && !repair->keyed &&
           repair->waiting_count > 0 &&
           now_ms >= repair->began_ms + REPAIR_STILL_MS + repair->useful * REPAIR_RECORD_MS;
}

bool repair_poll(struct repair *repair, const struct recordset *set, const struct moment *at,
                 struct repair_output *output)
{
    memset(output, 0, sizeof *output);
    if (repair->step != IDLE && repair->deadline_ms <= at->now_ms)
        end_badly(repair, "no answer in time", at->now_ms);
    else if (is_slow(repair, at->now_ms))
        end_badly(repair, "it brings too little", at->now_ms);
    if (repair->step == FETCH && repair->says)
        fetch(repair, set, at); /* the next portion, or what comes after the last */
    if (repair->step != IDLE && !repair->says && repair->again_ms <= at->now_ms)
        say_again(repair, at->now_ms);
    if (repair->step == AUDIT_MAKE && audit_go_on(repair->audit, set, AUDIT_SLICE)) {
        repair->moved_ms = at->now_ms;
        compare(repair, audit_set(repair->audit), AUDIT, at->now_ms);
    }
    if (tell_end(repair, output))
        return true;
    if (repair->step == IDLE && !begin(repair, set, at))
        return false;
    if (!repair->says)
        return false;
    repair->says = false;
    fill_in(repair, output);
    return true;
}

uint64_t repair_wake_at_ms(const struct repair *repair)
{
    uint64_t wake_ms = MOMENT_NEVER;

    if (repair->ended || repair->says || repair->step == AUDIT_MAKE)
        return 0;
    if (repair->step != IDLE)
        return repair->again_ms < repair->deadline_ms ? repair->again_ms : repair->deadline_ms;
    for (size_t i = 0; i < repair->waiting_count; i++)
        if (repair->waiting[i].not_before_ms < wake_ms)
            wake_ms = repair->waiting[i].not_before_ms;
    return wake_ms;
}

void repair_figures(const struct repair *repair, struct repair_figures *figures)
{
    *figures = repair->figures;
    figures->busy = repair->step != IDLE;
}
