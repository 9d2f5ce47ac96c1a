#include "strict_json.h"

#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static void *take(size_t size)
{
    void *memory = malloc(size);

    if (!memory && size > 0) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return memory;
}

void strict_json_forget(void *text)
{
    if (text)
        sodium_memzero(text, malloc_usable_size(text));
    free(text);
}

void strict_json_prepare(void)
{
    json_set_alloc_funcs(take, strict_json_forget);
    json_object_seed(0);
}

/* ---- a walk over the text: strings and brackets ---- */

/* From the byte after the opening quote to the byte after the closing one. */
static size_t skip_string(struct bytes text, size_t at)
{
    for (; at < text.size; at++) {
        if (text.data[at] == '"')
            return at + 1;
        if (text.data[at] == '\\')
            at++;
    }
    return text.size;
}

/* Before the parser, which goes down the nesting by calling itself. */
static bool is_too_deep(struct bytes text, size_t *fault_at)
{
    size_t depth = 0;

    for (size_t at = 0; at < text.size;) {
        uint8_t byte = text.data[at++];

        *fault_at = at;
        if (byte == '"')
            at = skip_string(text, at);
        else if ((byte == '[' || byte == '{') && ++depth > STRICT_JSON_DEPTH_MAX)
            return true;
        else if ((byte == ']' || byte == '}') && depth > 0)
            depth--;
    }
    return false;
}

/* The last name in the outermost object that begins before `end`. What stands there may be no JSON. */
static struct bytes member_before(struct bytes text, size_t end)
{
    struct bytes member = bytes_of(NULL, 0);
    bool is_object = false, is_name = false;
    size_t depth = 0;

    for (size_t at = 0; at < end && at < text.size;) {
        size_t from = at + 1;
        uint8_t byte = text.data[at++];

        if (byte == '"') {
            at = skip_string(text, at);
            if (is_name && at > from && text.data[at - 1] == '"')
                member = bytes_of(text.data + from, at - 1 - from);
            is_name = false;
        } else if (byte == '[' || byte == '{') {
            is_object = ++depth == 1 ? byte == '{' : is_object;
            is_name = depth == 1 && is_object;
        } else if ((byte == ']' || byte == '}') && depth > 0) {
            depth--;
        } else if (byte == ',') {
            is_name = depth == 1 && is_object;
        }
    }
    return member;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static size_t skip_blanks(struct bytes text, size_t at)
{
    while (at < text.size && is_blank(text.data[at]))
        at++;
    return at;
}

/* To the comma or bracket that ends the value which begins at `at`. */
static size_t skip_value(struct bytes text, size_t at)
{
    size_t depth = 0;

    while (at < text.size) {
        uint8_t byte = text.data[at];

        if (byte == '"') {
            at = skip_string(text, at + 1);
            continue;
        }
        if (depth == 0 && (byte == ',' || byte == '}' || byte == ']'))
            return at;
        if (byte == '[' || byte == '{')
            depth++;
        if (byte == ']' || byte == '}')
            depth--;
        at++;
    }
    return at;
}

struct bytes strict_json_member(struct bytes text, const char *name)
{
    size_t at = skip_blanks(text, 0) + 1; /* past the brace */

    for (;;) {
        size_t key, key_end, value, end;

        at = skip_blanks(text, at);
        if (at >= text.size || text.data[at] != '"')
            return bytes_of(NULL, 0);
        key = at + 1;
        at = skip_string(text, key);
        key_end = at - 1;
        at = skip_blanks(text, at) + 1; /* past the colon */
        value = skip_blanks(text, at);
        at = end = skip_value(text, value);
        while (end > value && is_blank(text.data[end - 1]))
            end--;
        if (bytes_equal(bytes_of(text.data + key, key_end - key), bytes_of_text(name)))
            return bytes_of(text.data + value, end - value);
        at++; /* past the comma */
    }
}

/* ---- reading ---- */

static const char *error_sentence(enum json_error_code code)
{
    switch (code) {
    case json_error_duplicate_key:
        return "a member stands twice in one object";
    case json_error_invalid_utf8:
        return "the text is not UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "a text holds a NUL";
    case json_error_premature_end_of_input:
        return "the JSON ends too early";
    case json_error_end_of_input_expected:
        return "something follows the JSON";
    case json_error_numeric_overflow:
        return "a number is out of range";
    case json_error_stack_overflow:
        return "the JSON is nested too deep";
    case json_error_unknown:
    case json_error_out_of_memory:
    case json_error_cannot_open_file:
    case json_error_invalid_argument:
    case json_error_invalid_syntax:
    case json_error_invalid_format:
    case json_error_wrong_type:
    case json_error_null_value:
    case json_error_item_not_found:
    case json_error_index_out_of_range:
        break;
    }
    return "this is not JSON";
}

static json_t *read_text(struct bytes text, char problem[STRICT_JSON_PROBLEM_SIZE],
                         size_t *fault_at)
{
    json_error_t error;
    json_t *value;

    if (is_too_deep(text, fault_at)) {
        snprintf(problem, STRICT_JSON_PROBLEM_SIZE, "the JSON is nested deeper than %d",
                 STRICT_JSON_DEPTH_MAX);
        return NULL;
    }
    value = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                       &error);
    if (!value)
        snprintf(problem, STRICT_JSON_PROBLEM_SIZE, "%s: line %d, column %d",
                 error_sentence(json_error_code(&error)), error.line, error.column);
    *fault_at = value ? 0 : (size_t)error.position;
    return value;
}

json_t *strict_json_read(struct bytes text, char problem[STRICT_JSON_PROBLEM_SIZE])
{
    size_t fault_at;

    return read_text(text, problem, &fault_at);
}

json_t *strict_json_read_members(struct bytes text, char problem[STRICT_JSON_PROBLEM_SIZE],
                                 struct bytes *member)
{
    size_t fault_at;
    json_t *value = read_text(text, problem, &fault_at);

    *member = value ? bytes_of(NULL, 0) : member_before(text, fault_at);
    return value;
}
