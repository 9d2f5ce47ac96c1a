#include "collecting.h"

struct asked {
    struct id perch;
    uint64_t after;    /* numbers up to it came */
    uint64_t ask_ms;   /* steady */
    uint64_t pause_ms; /* before the next pass, when some were left */
    bool some_left;    /* in this pass */
    bool had_junk;     /* in this portion */
    bool is_resting;   /* between two passes */
};

struct collecting {
    struct asked list[COLLECTING_MAX];
    size_t count;
};

struct collecting *collecting_new(void)
{
    return memory_take(sizeof(struct collecting));
}

void collecting_free(struct collecting *collecting)
{
    memory_give_back(collecting);
}

static struct asked *find(struct collecting *collecting, const struct id *perch)
{
    for (size_t i = 0; i < collecting->count; i++)
        if (id_equal(&collecting->list[i].perch, perch))
            return &collecting->list[i];
    return NULL;
}

static void begin_pass(struct asked *asked, uint64_t at_ms)
{
    asked->after = 0;
    asked->some_left = asked->had_junk = false;
    asked->ask_ms = at_ms;
    asked->is_resting = true;
}

void collecting_link_up(struct collecting *collecting, const struct id *perch, uint64_t now_ms)
{
    struct asked *asked = find(collecting, perch);

    if (!asked && collecting->count == COLLECTING_MAX)
        return;
    if (!asked)
        asked = &collecting->list[collecting->count++];
    *asked = (struct asked){.perch = *perch, .pause_ms = COLLECT_AGAIN_MS};
    begin_pass(asked, now_ms);
}

void collecting_link_down(struct collecting *collecting, const struct id *perch)
{
    struct asked *asked = find(collecting, perch);

    if (asked)
        *asked = collecting->list[--collecting->count];
}

static void end_pass(struct asked *asked, uint64_t now_ms)
{
    uint64_t pause_ms = asked->pause_ms;

    if (!asked->some_left) {
        begin_pass(asked, now_ms + COLLECT_EVERY_MS);
        asked->pause_ms = COLLECT_AGAIN_MS;
        return;
    }
    begin_pass(asked, now_ms + pause_ms);
    asked->pause_ms = 2 * pause_ms < MINUTE_MS ? 2 * pause_ms : MINUTE_MS;
}

bool collecting_hear(struct collecting *collecting, const struct id *perch, uint64_t number,
                     bool is_last, bool has_more, uint64_t now_ms)
{
    struct asked *asked = find(collecting, perch);
    bool is_further;

    if (!asked)
        return false;
    if (asked->is_resting)
        return true; /* it was just brought there */
    is_further = number > asked->after;
    if (is_further)
        asked->after = number;
    asked->ask_ms = now_ms + COLLECT_ANSWER_MS;
    if (is_last && (!has_more || !is_further)) {
        end_pass(asked, now_ms);
    } else if (is_last) {
        asked->ask_ms = now_ms + (asked->had_junk ? COLLECT_JUNK_MS : 0);
        asked->had_junk = false;
    }
    return true;
}

void collecting_leave(struct collecting *collecting, const struct id *perch, uint64_t now_ms)
{
    struct asked *asked = find(collecting, perch);

    if (!asked)
        return;
    if (!asked->is_resting)
        asked->some_left = true;
    else if (asked->ask_ms > now_ms + asked->pause_ms)
        asked->ask_ms = now_ms + asked->pause_ms;
}

void collecting_note_junk(struct collecting *collecting, const struct id *perch)
{
    struct asked *asked = find(collecting, perch);

    if (asked)
        asked->had_junk = true;
}

bool collecting_poll(struct collecting *collecting, uint64_t now_ms, struct id *perch,
                     uint64_t *after)
{
    for (size_t i = 0; i < collecting->count; i++) {
        struct asked *asked = &collecting->list[i];

        if (asked->ask_ms > now_ms)
            continue;
        *perch = asked->perch;
        *after = asked->after;
        asked->ask_ms = now_ms + COLLECT_ANSWER_MS;
        asked->is_resting = false;
        return true;
    }
    return false;
}

uint64_t collecting_wake_at_ms(const struct collecting *collecting)
{
    uint64_t wake_ms = MOMENT_NEVER;

    for (size_t i = 0; i < collecting->count; i++)
        if (collecting->list[i].ask_ms < wake_ms)
            wake_ms = collecting->list[i].ask_ms;
    return wake_ms;
}
