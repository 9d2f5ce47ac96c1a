#include "handler_peck.h"

#include <inttypes.h>
#include <stdio.h>

#define FRAME_MAX 1024u /* bytes of the object without what the sender chose */

struct line {
    char *data;
    size_t size;
};

static void put(struct line *line, struct bytes bytes)
{
    if (bytes.size > 0)
        memcpy(line->data + line->size, bytes.data, bytes.size);
    line->size += bytes.size;
}

static void put_text(struct line *line, const char *text)
{
    put(line, bytes_of_text(text));
}

/* As a JSON string. What is put here is printable ASCII, and so must stay when it is not. */
static void put_string(struct line *line, const char *name, struct bytes text)
{
    put_text(line, name);
    put_text(line, "\"");
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];

        if (byte == '"' || byte == '\\')
            line->data[line->size++] = '\\';
        line->data[line->size++] = (char)(byte >= 0x20 && byte < 0x7f ? byte : '?');
    }
    put_text(line, "\"");
}

static void put_number(struct line *line, const char *name, uint64_t number)
{
    char digits[24];

    put_text(line, name);
    snprintf(digits, sizeof digits, "%" PRIu64, number);
    put_text(line, digits);
}

enum json_text_verdict handler_peck_line(const struct handler_peck *peck, struct bytes *line)
{
    size_t chosen = peck->action.size + peck->thread.size + peck->trace.size;
    enum json_text_verdict verdict;
    struct bytes payload;
    struct line made = {.size = 0};

    verdict = json_text_check(peck->payload, &payload);
    if (verdict != JSON_TEXT_OK)
        return verdict;
    made.data = memory_take(FRAME_MAX + 2 * chosen + payload.size);
    put_string(&made, "{\"peck_id\":", bytes_of_text(peck->peck_id));
    put_number(&made, ",\"attempt\":", peck->attempt);
    put_string(&made, ",\"from\":", bytes_of_text(peck->from));
    put_string(&made, ",\"to\":", bytes_of_text(peck->to));
    put_string(&made, ",\"action\":", peck->action);
    put_string(&made, ",\"thread\":", peck->thread);
    put_string(&made, ",\"reply_to\":", bytes_of_text(peck->reply_to));
    put_string(&made, ",\"trace\":", peck->trace);
    put_number(&made, ",\"created_ms\":", peck->created_ms);
    put_number(&made, ",\"expires_ms\":", peck->expires_ms);
    put_text(&made, ",\"payload\":");
    put(&made, payload);
    put_text(&made, "}\n");
    *line = bytes_of((uint8_t *)made.data, made.size);
    return JSON_TEXT_OK;
}

static void set(struct handler_environment *environment, size_t *count, const char *name,
                struct bytes value)
{
    char *text = environment->text[*count];

    snprintf(text, sizeof environment->text[0], "%s=%.*s", name, (int)value.size,
             (const char *)value.data);
    environment->list[(*count)++] = text;
}

void handler_peck_environment(const struct handler_peck *peck,
                              struct handler_environment *environment)
{
    char attempt[16];
    size_t count = 0;

    snprintf(attempt, sizeof attempt, "%" PRIu32, peck->attempt);
    set(environment, &count, "PATH", bytes_of_text(HANDLER_PATH));
    set(environment, &count, "DUCK_HANDLER", bytes_of_text(peck->handler));
    set(environment, &count, "DUCK_PECK_ID", bytes_of_text(peck->peck_id));
    set(environment, &count, "DUCK_ATTEMPT", bytes_of_text(attempt));
    set(environment, &count, "DUCK_FROM", bytes_of_text(peck->from));
    set(environment, &count, "DUCK_TO", bytes_of_text(peck->to));
    set(environment, &count, "DUCK_ACTION", peck->action);
    set(environment, &count, "DUCK_THREAD", peck->thread);
    environment->list[count] = NULL;
}
