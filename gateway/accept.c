#include "accept.h"

#include <string.h>
#include <strings.h>

/* One member of a list: "type/subtype;a=b;q=0.5". */
struct range {
    const char *name;
    size_t size;
    unsigned weight; /* thousandths */
};

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static const char *skip_blanks(const char *at)
{
    while (is_blank(*at))
        at++;
    return at;
}

/* qvalue of RFC 9110, section 12.4.2; what is none counts as 0. */
static unsigned read_weight(const char *at)
{
    unsigned weight = *at == '1' ? 1000 : 0, digit = 100;

    if (*at != '0' && *at != '1')
        return 0;
    at++;
    if (*at != '.')
        return weight;
    for (at++; digit > 0 && *at >= '0' && *at <= '9'; at++, digit /= 10)
        weight += (unsigned)(*at - '0') * digit;
    return weight > 1000 ? 1000 : weight;
}

/* The next member from `*at` on; false: that was all. */
static bool next_range(const char **at, struct range *range)
{
    const char *parameter, *end;

    *at = skip_blanks(*at);
    while (**at == ',')
        *at = skip_blanks(*at + 1);
    if (!**at)
        return false;
    end = *at + strcspn(*at, ",");
    *range = (struct range){.name = *at, .size = strcspn(*at, ",; \t"), .weight = 1000};
    for (parameter = *at + strcspn(*at, ",;"); parameter < end && *parameter == ';';
         parameter += strcspn(parameter, ",;")) {
        parameter = skip_blanks(parameter + 1);
        if ((parameter[0] == 'q' || parameter[0] == 'Q') && parameter[1] == '=')
            range->weight = read_weight(parameter + 2);
    }
    *at = end;
    return true;
}

static bool is_called(const struct range *range, const char *name)
{
    return range->size == strlen(name) && !strncasecmp(range->name, name, range->size);
}

bool accept_coding(const char *header, const char *coding)
{
    const char *at = header ? header : "";
    bool is_any = false;
    struct range range;

    while (next_range(&at, &range)) {
        if (is_called(&range, coding))
            return range.weight > 0;
        is_any = is_any || (is_called(&range, "*") && range.weight > 0);
    }
    return is_any;
}

/* How closely a range names the type: 0 not at all, 1 by any, 2 by its first half, 3 by its name. */
static unsigned closeness(const struct range *range, const char *type)
{
    size_t half = strcspn(type, "/") + 1;

    if (is_called(range, type))
        return 3;
    if (range->size == half + 1 && range->name[half] == '*' &&
        !strncasecmp(range->name, type, half))
        return 2;
    return is_called(range, "*/*") ? 1 : 0;
}

static unsigned weight_of(const char *header, const char *type)
{
    unsigned weight = 0, closest = 0;
    struct range range;

    while (next_range(&header, &range)) {
        unsigned close = closeness(&range, type);

        if (close > closest) {
            closest = close;
            weight = range.weight;
        }
    }
    return weight;
}

size_t accept_type(const char *header, const char *const *types, size_t count)
{
    size_t best = count;
    unsigned best_weight = 0;

    if (!header)
        return 0;
    for (size_t i = 0; i < count; i++) {
        unsigned weight = weight_of(header, types[i]);

        if (weight > best_weight) {
            best = i;
            best_weight = weight;
        }
    }
    return best;
}

bool accept_has_tag(const char *header, const char *tag)
{
    const char *at = header ? skip_blanks(header) : "";
    size_t size = strlen(tag);

    if (*at == '*')
        return !*skip_blanks(at + 1);
    while ((at = strchr(at, '"'))) {
        const char *end = strchr(at + 1, '"');

        if (!end)
            return false;
        if ((size_t)(end - at - 1) == size && !strncmp(at + 1, tag, size))
            return true;
        at = end + 1;
    }
    return false;
}
