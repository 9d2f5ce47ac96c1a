#include "reply.h"

#include "strict_json.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

struct problem problem_make(unsigned status, const char *code, const char *format, ...)
{
    struct problem problem = {.status = status, .code = code};
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem.detail, sizeof problem.detail, format, arguments);
    va_end(arguments);
    return problem;
}

/* What the node says, in the words of HTTP. A code that is not here is news to this release. */
static const struct {
    const char *code;
    unsigned status;
    uint32_t retry_after_s;
} node_codes[] = {
    {"malformed", 400, 0},         {"too_large", 413, 0},
    {"not_found", 404, 0},         {"not_hosted_here", 404, 0},
    {"unknown_target", 404, 0},    {"not_allowed", 403, 0},
    {"pecks_refused", 403, 0},     {"grant_refused", 403, 0},
    {"context_refused", 403, 0},   {"conflict", 409, 0},
    {"own_key", 409, 0},           {"idempotency_key_reused", 422, 0},
    {"expired", 410, 0},           {"busy", 503, 1},
    {"store_failed", 503, 5},      {"bond_rounds", 429, 0},
    {"bond_cooling_down", 429, 1}, {"unreachable", 503, 1},
    {"timeout", 504, 1},           {"protocol", 502, 0},
};

/* The local API's word for a member, and ours. */
static const char *field_of_node(const char *field)
{
    static const struct {
        const char *node, *http;
    } fields[] = {
        {"to", "target"},
        {"from", "duckling_id"},
        {"duckling", "duckling_id"},
        {"trace", "traceparent"},
        {"wait_ms", "wait"},
        {"expires_in_ms", "expires_in"},
        {"lease_ms", "lease"},
        {"not_after_ms", "not_after"},
        {"text", "q"},
        {"idempotency_key", "Idempotency-Key"},
    };

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (!strcmp(field, fields[i].node))
            return fields[i].http;
    return field;
}

struct problem problem_of_node(const char *code, const char *message, const char *field)
{
    struct problem problem = problem_make(502, "protocol", "%s", message);

    for (size_t i = 0; i < sizeof node_codes / sizeof node_codes[0]; i++)
        if (!strcmp(code, node_codes[i].code)) {
            problem.code = node_codes[i].code;
            problem.status = node_codes[i].status;
            problem.retry_after_s = node_codes[i].retry_after_s;
        }
    problem.field = field && *field ? field_of_node(field) : NULL;
    return problem;
}

uint32_t reply_seconds(uint64_t ms)
{
    uint64_t seconds = ms / 1000 + (ms % 1000 != 0);

    return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
}

static const char *title_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {
        {400, "Not understood"},
        {401, "Not signed in"},
        {403, "Not allowed"},
        {404, "Not found"},
        {405, "Method not allowed"},
        {408, "Too slow"},
        {409, "In conflict with what is"},
        {410, "Gone"},
        {413, "Too large"},
        {415, "Not JSON"},
        {421, "Not served here"},
        {422, "Not acceptable"},
        {429, "Too many requests"},
        {500, "Our fault"},
        {502, "The node was not understood"},
        {503, "Not possible right now"},
        {504, "The node did not answer in time"},
    };

    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Refused";
}

json_t *reply_problem(const struct problem *problem, const char *instance)
{
    json_t *object = json_object();
    char type[64];

    snprintf(type, sizeof type, "/docs#%s", problem->code);
    json_object_set_new(object, "type", json_string(type));
    json_object_set_new(object, "title", json_string(title_of(problem->status)));
    json_object_set_new(object, "status", json_integer((json_int_t)problem->status));
    reply_word(object, "detail", problem->detail);
    reply_word(object, "instance", instance);
    json_object_set_new(object, "error", json_string(problem->code));
    reply_word(object, "message", problem->detail);
    if (problem->field)
        reply_word(object, "field", problem->field);
    if (problem->retry_after_s)
        reply_number(object, "retry_after", problem->retry_after_s);
    if (problem->extras) {
        json_object_update_missing(object, problem->extras);
        json_decref(problem->extras);
    }
    return object;
}

/* ---- times ---- */

const char *reply_time(uint64_t wall_ms, char text[REPLY_TIME_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm date;
    char day[REPLY_TIME_SIZE];

    /* Years of four digits: what a peer dated beyond is shown as their last moment. */
    if (seconds > 253402300799)
        seconds = 253402300799;
    gmtime_r(&seconds, &date);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &date);
    snprintf(text, REPLY_TIME_SIZE, "%.19s.%03uZ", day, (unsigned)(wall_ms % 1000));
    return text;
}

static bool is_shaped_as(const char *text, const char *shape)
{
    for (; *shape; text++, shape++)
        if (*shape == '0' ? (*text < '0' || *text > '9') : *text != *shape)
            return false;
    return !*text;
}

bool reply_parse_time(const char *text, uint64_t *wall_ms)
{
    bool has_ms = is_shaped_as(text, "0000-00-00T00:00:00.000Z");
    struct tm date = {.tm_isdst = 0}, asked;
    unsigned ms = 0;
    time_t seconds;

    if (!has_ms && !is_shaped_as(text, "0000-00-00T00:00:00Z"))
        return false;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &date.tm_year, &date.tm_mon, &date.tm_mday,
               &date.tm_hour, &date.tm_min, &date.tm_sec) != 6)
        return false;
    if (has_ms && sscanf(text + 20, "%3u", &ms) != 1)
        return false;
    date.tm_year -= 1900;
    date.tm_mon -= 1;
    asked = date;
    seconds = timegm(&date); /* puts the 31st of February into March: look whether it did */
    if (seconds < 0 || date.tm_mon != asked.tm_mon || date.tm_mday != asked.tm_mday ||
        date.tm_hour != asked.tm_hour || date.tm_min != asked.tm_min || date.tm_sec != asked.tm_sec)
        return false;
    *wall_ms = (uint64_t)seconds * 1000 + ms;
    return true;
}

/* ---- members ---- */

void reply_text(json_t *object, const char *name, struct bytes text)
{
    json_t *value = text.size > 0 ? json_stringn((const char *)text.data, text.size) : NULL;

    if (value)
        json_object_set_new(object, name, value);
}

void reply_word(json_t *object, const char *name, const char *text)
{
    if (text)
        reply_text(object, name, bytes_of_text(text));
}

void reply_date(json_t *object, const char *name, uint64_t wall_ms)
{
    char text[REPLY_TIME_SIZE];

    if (wall_ms)
        json_object_set_new(object, name, json_string(reply_time(wall_ms, text)));
}

void reply_number(json_t *object, const char *name, uint64_t number)
{
    json_int_t value = number > INT64_MAX ? INT64_MAX : (json_int_t)number;

    json_object_set_new(object, name, json_integer(value));
}

static void put_base64(json_t *object, const char *name, struct bytes bytes, int variant)
{
    size_t size = sodium_base64_encoded_len(bytes.size, variant);
    char *text;

    if (bytes.size == 0)
        return;
    text = memory_take(size);
    sodium_bin2base64(text, size, bytes.data, bytes.size, variant);
    json_object_set_new(object, name, json_string_nocheck(text));
    memory_give_back(text);
}

void reply_base64(json_t *object, const char *name, struct bytes bytes)
{
    put_base64(object, name, bytes, sodium_base64_VARIANT_ORIGINAL);
}

void reply_base64url(json_t *object, const char *name, struct bytes bytes)
{
    put_base64(object, name, bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

void reply_json(json_t *object, const char *name, struct bytes text)
{
    char problem[STRICT_JSON_PROBLEM_SIZE], other_name[64];
    json_t *value;

    if (text.size == 0)
        return;
    value = strict_json_read(text, problem);
    if (value) {
        json_object_set_new(object, name, value);
        return;
    }
    snprintf(other_name, sizeof other_name, "%s_base64", name);
    reply_base64(object, other_name, text);
}

json_t *reply_tier(uint32_t tier)
{
    char text[8];

    snprintf(text, sizeof text, "T%u", (unsigned)(tier > 9 ? 9 : tier));
    return json_string(text);
}
