#include "rate_table.h"

#include <stdio.h>

static const struct {
    const char *name;
    uint32_t per_minute[RATE_COLUMNS];
} classes[RATE_CLASSES] = {
    [RATE_AUTH] = {"auth", {5, 20, 60}},
    [RATE_PECK] = {"peck", {10, 60, 300}},
    [RATE_CERT] = {"cert", {3, 10, 30}},
    [RATE_AUDIT] = {"audit", {30, 100, 500}},
    [RATE_DIRECTORY] = {"directory", {10, 30, 120}},
};

void rate_table_default(struct rate_table *table)
{
    for (size_t i = 0; i < RATE_CLASSES; i++)
        memcpy(table->per_minute[i], classes[i].per_minute, sizeof table->per_minute[i]);
}

const char *rate_class_name(enum rate_class class)
{
    return classes[class].name;
}

bool rate_class_parse(struct bytes name, enum rate_class *class)
{
    for (size_t i = 0; i < RATE_CLASSES; i++)
        if (bytes_equal(name, bytes_of_text(classes[i].name))) {
            *class = (enum rate_class)i;
            return true;
        }
    return false;
}

enum rate_column rate_column_of(uint32_t tier)
{
    return tier <= 1 ? RATE_T1 : tier == 2 ? RATE_T2 : RATE_T3;
}

/* ---- words ---- */

/* The part of `*rest` before `mark`, which both lose; all of it when it has none. */
static struct bytes cut(struct bytes *rest, char mark)
{
    const uint8_t *at = rest->size > 0 ? memchr(rest->data, mark, rest->size) : NULL;
    struct bytes part = *rest;

    if (!at) {
        *rest = bytes_of(NULL, 0);
        return part;
    }
    part.size = (size_t)(at - rest->data);
    *rest = bytes_of(at + 1, rest->size - part.size - 1);
    return part;
}

static bool read_number(struct bytes text, uint32_t *number)
{
    uint32_t value = 0;

    if (bytes_equal(text, bytes_of_text("off"))) {
        *number = 0;
        return true;
    }
    if (text.size == 0 || text.size > 7)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    *number = value;
    return value >= 1 && value <= RATE_PER_MINUTE_MAX;
}

static bool read_columns(struct bytes text, uint32_t numbers[RATE_COLUMNS])
{
    struct bytes rest = text;

    if (read_number(text, &numbers[0])) { /* one for all */
        numbers[RATE_T2] = numbers[RATE_T3] = numbers[RATE_T1];
        return true;
    }
    for (size_t i = 0; i < RATE_COLUMNS; i++)
        if (!read_number(cut(&rest, '/'), &numbers[i]))
            return false;
    return !rest.data;
}

/* The columns that a word names: all, or that of "T2". */
static bool read_tier(struct bytes text, enum rate_column *first, enum rate_column *last)
{
    if (!text.data) {
        *first = RATE_T1;
        *last = RATE_T3;
        return true;
    }
    if (text.size != 2 || text.data[0] != 'T' || text.data[1] < '1' || text.data[1] > '3')
        return false;
    *first = *last = (enum rate_column)(text.data[1] - '1');
    return true;
}

bool rate_table_set(struct rate_table *table, struct bytes word)
{
    struct bytes value = word, tier = cut(&value, '='), name = cut(&tier, '.');
    bool are_all = bytes_equal(name, bytes_of_text("all"));
    uint32_t numbers[RATE_COLUMNS];
    enum rate_class first_class = RATE_AUTH, last_class = RATE_DIRECTORY;
    enum rate_column first, last;

    if (!are_all && !rate_class_parse(name, &first_class))
        return false;
    if (!are_all)
        last_class = first_class;
    if (!read_tier(tier, &first, &last))
        return false;
    if (first == last ? !read_number(value, &numbers[first]) : !read_columns(value, numbers))
        return false;
    for (size_t i = first_class; i <= last_class; i++)
        for (size_t j = first; j <= last; j++)
            table->per_minute[i][j] = numbers[j];
    return true;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

bool rate_table_set_text(struct rate_table *table, struct bytes text)
{
    struct rate_table changed = *table;
    bool is_remark = false;

    for (size_t at = 0; at < text.size;) {
        size_t from = at;

        while (at < text.size && !is_blank(text.data[at]) && text.data[at] != '#')
            at++;
        if (at > from && !is_remark &&
            !rate_table_set(&changed, bytes_of(text.data + from, at - from)))
            return false;
        if (at < text.size && text.data[at] == '#')
            is_remark = true;
        if (at < text.size && text.data[at] == '\n')
            is_remark = false;
        at++;
    }
    *table = changed;
    return true;
}

static void print_number(char text[12], uint32_t number)
{
    snprintf(text, 12, number ? "%u" : "off", (unsigned)number);
}

const char *rate_table_word(const struct rate_table *table, enum rate_class class,
                            char word[RATE_WORD_SIZE])
{
    char numbers[RATE_COLUMNS][12];

    for (size_t i = 0; i < RATE_COLUMNS; i++)
        print_number(numbers[i], table->per_minute[class][i]);
    snprintf(word, RATE_WORD_SIZE, "%s=%s/%s/%s", classes[class].name, numbers[RATE_T1],
             numbers[RATE_T2], numbers[RATE_T3]);
    return word;
}

uint32_t rate_tier_with_more(const struct rate_table *table, enum rate_class class, uint32_t tier)
{
    uint32_t now = table->per_minute[class][rate_column_of(tier)];

    for (uint32_t more = tier < 1 ? 2 : tier + 1; now && more <= RATE_COLUMNS; more++)
        if (!table->per_minute[class][rate_column_of(more)] ||
            table->per_minute[class][rate_column_of(more)] > now)
            return more;
    return 0;
}
