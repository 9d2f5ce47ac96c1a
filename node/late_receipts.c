#include "late_receipts.h"

#include "core/bytes.h"

#include <string.h>

struct line {
    struct id node;
    struct late_receipt *receipts;
    size_t count, capacity;
};

struct late_receipts {
    struct line *lines; /* none is empty; as many as nodes that do not read */
    size_t line_count, line_capacity;
    size_t count;
};

struct late_receipts *late_receipts_new(void)
{
    return memory_take(sizeof(struct late_receipts));
}

void late_receipts_free(struct late_receipts *late)
{
    if (!late)
        return;
    for (size_t i = 0; i < late->line_count; i++)
        memory_give_back(late->lines[i].receipts);
    memory_give_back(late->lines);
    memory_give_back(late);
}

size_t late_receipts_count(const struct late_receipts *late)
{
    return late->count;
}

static struct line *find_line(const struct late_receipts *late, const struct id *node)
{
    for (size_t i = 0; i < late->line_count; i++)
        if (id_equal(&late->lines[i].node, node))
            return &late->lines[i];
    return NULL;
}

bool late_receipts_has(const struct late_receipts *late, const struct id *node)
{
    return find_line(late, node) != NULL;
}

static struct line *add_line(struct late_receipts *late, const struct id *node)
{
    struct line *line;

    if (late->line_count == late->line_capacity) {
        late->line_capacity = late->line_capacity ? late->line_capacity * 2 : 4;
        late->lines = memory_resize(late->lines, late->line_capacity * sizeof *late->lines);
    }
    line = &late->lines[late->line_count++];
    *line = (struct line){.node = *node};
    return line;
}

static void line_put(struct line *line, const struct late_receipt *receipt)
{
    if (line->count == line->capacity) {
        line->capacity = line->capacity ? line->capacity * 2 : 16;
        line->receipts = memory_resize(line->receipts, line->capacity * sizeof *line->receipts);
    }
    line->receipts[line->count++] = *receipt;
}

static bool is_remembered(const struct line *line, const struct late_receipt *receipt)
{
    for (size_t i = line->count; i-- > 0;)
        if (id_equal(&line->receipts[i].peck, &receipt->peck) &&
            line->receipts[i].partials <= receipt->partials)
            return true;
    return false;
}

bool late_receipts_remember(struct late_receipts *late, const struct late_receipt *receipt)
{
    struct line *line = find_line(late, &receipt->node);

    if (line && receipt->partials != LATE_NO_PARTIALS && is_remembered(line, receipt))
        return true;
    if ((line ? line->count : 0) + late->count >= LATE_RECEIPTS_MAX)
        return false;
    if (!line)
        line = add_line(late, &receipt->node);
    line_put(line, receipt);
    late->count++;
    return true;
}

static size_t send_line(struct line *line, bool (*send)(void *, struct late_receipt *),
                        void *context)
{
    size_t done = 0;

    while (done < line->count && send(context, &line->receipts[done]))
        done++;
    line->count -= done;
    memmove(line->receipts, line->receipts + done, line->count * sizeof *line->receipts);
    return done;
}

void late_receipts_send(struct late_receipts *late, bool (*send)(void *, struct late_receipt *),
                        void *context)
{
    for (size_t i = 0; i < late->line_count;) {
        struct line *line = &late->lines[i];

        late->count -= send_line(line, send, context);
        if (line->count > 0) {
            i++;
            continue;
        }
        memory_give_back(line->receipts);
        *line = late->lines[--late->line_count];
    }
}
