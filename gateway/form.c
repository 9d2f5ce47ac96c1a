#include "form.h"

#include "strict_json.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#define BASE64 sodium_base64_VARIANT_ORIGINAL

void form_refuse(struct exchange *exchange, const char *code, const char *field, const char *format,
                 ...)
{
    struct problem problem = {.status = 422, .code = code, .field = field};
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem.detail, sizeof problem.detail, format, arguments);
    va_end(arguments);
    exchange_refuse(exchange, &problem);
}

/* A member that is null is a member that is absent. True: `*member` may be used, NULL when absent. */
static bool find(struct exchange *exchange, const char *name, enum form_need need, json_t **member)
{
    *member = json_object_get(exchange->body, name);
    if (json_is_null(*member))
        *member = NULL;
    if (*member || need == FORM_OPTIONAL)
        return true;
    form_refuse(exchange, "missing_member", name, "%s is needed", name);
    return false;
}

bool form_has(const struct exchange *exchange, const char *name)
{
    const json_t *member = json_object_get(exchange->body, name);

    return member && !json_is_null(member);
}

static bool check_text(struct exchange *exchange, const char *name, const char *text,
                       size_t bytes_max)
{
    if (strlen(text) <= bytes_max)
        return true;
    form_refuse(exchange, "bad_member", name, "%s may have at most %zu bytes", name, bytes_max);
    return false;
}

bool form_text(struct exchange *exchange, const char *name, enum form_need need, size_t bytes_max,
               const char **value)
{
    json_t *member;

    if (!find(exchange, name, need, &member))
        return false;
    if (!member)
        return true;
    if (!json_is_string(member)) {
        form_refuse(exchange, "bad_member", name, "%s must be a text", name);
        return false;
    }
    if (!check_text(exchange, name, json_string_value(member), bytes_max))
        return false;
    *value = json_string_value(member);
    return true;
}

bool form_base64(struct exchange *exchange, const char *name, enum form_need need, size_t bytes_max,
                 struct bytes *value)
{
    const char *text = NULL;
    uint8_t *data;
    size_t size;

    if (!form_text(exchange, name, need, sodium_base64_encoded_len(bytes_max, BASE64), &text))
        return false;
    if (!text)
        return true;
    data = arena_take(&exchange->arena, bytes_max + 1);
    if (!data ||
        sodium_base642bin(data, bytes_max, text, strlen(text), NULL, &size, NULL, BASE64) != 0) {
        form_refuse(exchange, "bad_member", name, "%s must be base64 of at most %zu bytes", name,
                    bytes_max);
        return false;
    }
    *value = bytes_of(data, size);
    return true;
}

static const char *kind_name(enum id_kind kind)
{
    switch (kind) {
    case ID_DUCKLING:
        return "duckling (dkl_…)";
    case ID_NODE:
        return "node (nod_…)";
    case ID_PECK:
        return "peck (pck_…)";
    case ID_CERTIFICATE:
        return "certificate (crt_…)";
    case ID_BOND:
        return "bond (bnd_…)";
    case ID_OPERATOR:
        return "operator (opr_…)";
    case ID_GRANT:
        return "block of a grant (grt_…)";
    case ID_WANTED:
        return "thing that waits for a signature (sig_…)";
    }
    return "thing";
}

bool form_is_id(enum id_kind kind, struct bytes text)
{
    struct id id;

    return id_parse(kind, text, &id) && !id_is_zero(&id);
}

static bool check_id(struct exchange *exchange, const char *name, enum id_kind kind,
                     const char *text)
{
    if (form_is_id(kind, bytes_of_text(text)))
        return true;
    form_refuse(exchange, "bad_member", name, "%s is not the id of a %s", name, kind_name(kind));
    return false;
}

bool form_id(struct exchange *exchange, const char *name, enum form_need need, enum id_kind kind,
             const char **value)
{
    const char *text = NULL;

    if (!form_text(exchange, name, need, ID_TEXT_SIZE * 2, &text))
        return false;
    if (text && !check_id(exchange, name, kind, text))
        return false;
    *value = text ? text : *value;
    return true;
}

bool form_bool(struct exchange *exchange, const char *name, bool *value)
{
    json_t *member;

    find(exchange, name, FORM_OPTIONAL, &member);
    if (member && !json_is_boolean(member)) {
        form_refuse(exchange, "bad_member", name, "%s must be true or false", name);
        return false;
    }
    *value = member ? json_is_true(member) : *value;
    return true;
}

static bool refuse_range(struct exchange *exchange, const char *name, uint64_t min, uint64_t max)
{
    form_refuse(exchange, "bad_member", name,
                "%s must be a whole number from %" PRIu64 " to %" PRIu64, name, min, max);
    return false;
}

bool form_integer(struct exchange *exchange, const char *name, uint64_t min, uint64_t max,
                  uint64_t *value)
{
    json_t *member;
    json_int_t number;

    find(exchange, name, FORM_OPTIONAL, &member);
    if (!member)
        return true;
    number = json_integer_value(member);
    if (!json_is_integer(member) || number < 0 || (uint64_t)number < min || (uint64_t)number > max)
        return refuse_range(exchange, name, min, max);
    *value = (uint64_t)number;
    return true;
}

bool form_date(struct exchange *exchange, const char *name, uint64_t *wall_ms)
{
    const char *text = NULL;

    if (!form_text(exchange, name, FORM_OPTIONAL, 64, &text))
        return false;
    if (text && !reply_parse_time(text, wall_ms)) {
        form_refuse(exchange, "bad_member", name,
                    "%s must be a time as in 2026-03-21T10:00:00.000Z", name);
        return false;
    }
    return true;
}

bool form_texts(struct exchange *exchange, const char *name, size_t count_max, size_t bytes_max,
                const char ***values, size_t *count, bool *is_given)
{
    json_t *member;
    const char **texts;

    find(exchange, name, FORM_OPTIONAL, &member);
    *is_given = member;
    *count = 0;
    if (!member)
        return true;
    if (!json_is_array(member) || json_array_size(member) > count_max) {
        form_refuse(exchange, "bad_member", name, "%s must be a list of at most %zu texts", name,
                    count_max);
        return false;
    }
    texts = arena_take(&exchange->arena, (count_max + 1) * sizeof *texts);
    for (size_t i = 0; texts && i < json_array_size(member); i++) {
        texts[i] = json_string_value(json_array_get(member, i));
        if (!texts[i]) {
            form_refuse(exchange, "bad_member", name, "%s must hold texts only", name);
            return false;
        }
        if (!check_text(exchange, name, texts[i], bytes_max))
            return false;
    }
    *values = texts;
    *count = json_array_size(member);
    return true;
}

void form_json(struct exchange *exchange, const char *name, struct bytes *text)
{
    json_t *member = json_object_get(exchange->body, name);
    struct bytes written;
    char *dumped;

    if (!member)
        return;
    written = strict_json_member(exchange->body_text, name);
    if (written.data) {
        *text = written;
        return;
    }
    dumped = json_dumps(member, JSON_COMPACT | JSON_ENCODE_ANY); /* its name has escapes in it */
    *text = bytes_of_text(exchange_copy(exchange, bytes_of_text(dumped)));
    strict_json_forget(dumped);
}

/* ---- the query ---- */

static const char *find_query(const struct exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->query_count; i++)
        if (!strcmp(exchange->query[i].name, name))
            return exchange->query[i].value;
    return NULL;
}

bool query_text(struct exchange *exchange, const char *name, size_t bytes_max, const char **value)
{
    const char *text = find_query(exchange, name);

    if (text && !check_text(exchange, name, text, bytes_max))
        return false;
    *value = text ? text : *value;
    return true;
}

bool query_id(struct exchange *exchange, const char *name, enum id_kind kind, const char **value)
{
    const char *text = find_query(exchange, name);

    if (text && !check_id(exchange, name, kind, text))
        return false;
    *value = text ? text : *value;
    return true;
}

bool query_integer(struct exchange *exchange, const char *name, uint64_t min, uint64_t max,
                   uint64_t *value)
{
    const char *text = find_query(exchange, name);
    uint64_t number = 0;
    size_t digits = 0;

    if (!text)
        return true;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 18; digits++)
        number = number * 10 + (uint64_t)(text[digits] - '0');
    if (digits == 0 || text[digits] || number < min || number > max)
        return refuse_range(exchange, name, min, max);
    *value = number;
    return true;
}

bool form_wait(struct exchange *exchange, uint64_t *wait_ms)
{
    uint64_t seconds = 0;

    if (!form_integer(exchange, "wait", 0, EXCHANGE_WAIT_MAX_S, &seconds))
        return false;
    *wait_ms = seconds * 1000;
    return true;
}

bool query_wait(struct exchange *exchange, uint64_t *wait_ms)
{
    uint64_t seconds = 0;

    if (!query_integer(exchange, "wait", 0, EXCHANGE_WAIT_MAX_S, &seconds))
        return false;
    *wait_ms = seconds * 1000;
    return true;
}
