#include "json_write.h"

#include "core/bytes.h"
#include "strict_json.h"

#include <assert.h>
#include <stdio.h>

#define NUMBER_SIZE 32u /* of an integer of 64 bits, with NUL */

/* Once it measures, once it writes, so that the text is never moved: there may be secrets in it. */
struct writer {
    char *at; /* NULL: it measures */
    size_t size;
};

static void put(struct writer *writer, const char *text, size_t size)
{
    if (writer->at) {
        memcpy(writer->at, text, size);
        writer->at += size;
    }
    writer->size += size;
}

static void write_value(struct writer *writer, const json_t *value);

/* ---- strings ---- */

/* NULL: it stands for itself. */
static const char *escape_of(uint8_t byte, char text[8])
{
    switch (byte) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        break;
    }
    if (byte >= 0x20)
        return NULL;
    snprintf(text, 8, "\\u%04X", byte);
    return text;
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\';
}

static void write_string(struct writer *writer, const char *text, size_t size)
{
    size_t from = 0;

    put(writer, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        char made[8];
        const char *escape;

        if (is_plain((uint8_t)text[i]))
            continue;
        escape = escape_of((uint8_t)text[i], made);
        put(writer, text + from, i - from);
        put(writer, escape, strlen(escape));
        from = i + 1;
    }
    put(writer, text + from, size - from);
    put(writer, "\"", 1);
}

/* ---- the others ---- */

static void write_integer(struct writer *writer, json_int_t number)
{
    char text[NUMBER_SIZE];

    put(writer, text, (size_t)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, number));
}

/* Seldom, and not simple. */
static void write_real(struct writer *writer, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    assert(text); /* it is finite, and memory does not run out */
    put(writer, text, strlen(text));
    strict_json_forget(text);
}

static void write_array(struct writer *writer, const json_t *array)
{
    put(writer, "[", 1);
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            put(writer, ",", 1);
        write_value(writer, json_array_get(array, i));
    }
    put(writer, "]", 1);
}

static void write_object(struct writer *writer, const json_t *object)
{
    json_t *of = (json_t *)(uintptr_t)object; /* which is only read */
    bool is_first = true;

    put(writer, "{", 1);
    for (void *at = json_object_iter(of); at; at = json_object_iter_next(of, at)) {
        const char *name = json_object_iter_key(at);

        if (!is_first)
            put(writer, ",", 1);
        is_first = false;
        write_string(writer, name, strlen(name));
        put(writer, ":", 1);
        write_value(writer, json_object_iter_value(at));
    }
    put(writer, "}", 1);
}

static void write_value(struct writer *writer, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(writer, value);
        break;
    case JSON_ARRAY:
        write_array(writer, value);
        break;
    case JSON_STRING:
        write_string(writer, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        write_integer(writer, json_integer_value(value));
        break;
    case JSON_REAL:
        write_real(writer, value);
        break;
    case JSON_TRUE:
        put(writer, "true", 4);
        break;
    case JSON_FALSE:
        put(writer, "false", 5);
        break;
    case JSON_NULL:
        put(writer, "null", 4);
        break;
    }
}

char *json_write(const json_t *value)
{
    struct writer writer = {.at = NULL};
    char *text;

    write_value(&writer, value);
    text = memory_take(writer.size + 1);
    writer.at = text;
    write_value(&writer, value);
    *writer.at = 0;
    return text;
}
