/* Lines are put together in memory and written at once, so that those of two threads never mix.
 * What a client chose may be in a text: control characters leave only in escaped form. */
#include "gate_log.h"

#include "core/bytes.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 1024u                       /* bytes of one text; the rest is cut */
#define LINE_MAX_BYTES (6 * TEXT_MAX + 512u) /* each byte may become \u00xx */

struct line {
    char data[LINE_MAX_BYTES];
    size_t size;
    bool json;
};

static struct {
    _Atomic int format, least;
} logger = {.format = GATE_LOG_TEXT, .least = GATE_LOG_INFO};

void gate_log_configure(enum gate_log_format format, enum gate_log_level least)
{
    atomic_store(&logger.format, (int)format);
    atomic_store(&logger.least, (int)least);
}

bool gate_log_shows(enum gate_log_level level)
{
    return (int)level <= atomic_load_explicit(&logger.least, memory_order_relaxed);
}

/* systemd tells the journal's socket as "device:inode", see systemd.exec(5). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;

    if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
        return false;
    return fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

static const char *level_name(enum gate_log_level level)
{
    switch (level) {
    case GATE_LOG_ERROR:
        return "error";
    case GATE_LOG_WARNING:
        return "warning";
    case GATE_LOG_INFO:
        return "info";
    case GATE_LOG_DEBUG:
        return "debug";
    }
    return "unknown";
}

static void __attribute__((format(printf, 2, 3)))
line_print(struct line *line, const char *format, ...)
{
    size_t room = sizeof line->data - line->size;
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(line->data + line->size, room, format, arguments);
    va_end(arguments);
    if (size > 0)
        line->size += (size_t)size < room ? (size_t)size : room - 1;
}

static void line_byte(struct line *line, char byte)
{
    if (line->size < sizeof line->data - 1)
        line->data[line->size++] = byte;
}

/* Bytes that are no UTF-8 would spoil a line of JSON: such a text is shown with '?' in their place. */
static void line_escape(struct line *line, const char *text)
{
    bool is_text = bytes_are_text(bytes_of_text(text), true);

    for (size_t i = 0; i < TEXT_MAX && text[i]; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte < 0x20 || byte == 0x7f)
            line_print(line, line->json ? "\\u%04x" : "\\x%02x", byte);
        else if (line->json && (byte == '"' || byte == '\\'))
            line_print(line, "\\%c", byte);
        else
            line_byte(line, byte >= 0x80 && !is_text ? '?' : (char)byte);
    }
}

static void line_begin(struct line *line, enum gate_log_level level, const char *part)
{
    struct timespec now;
    struct tm date;
    char time_text[32];

    line->size = 0;
    line->json = atomic_load(&logger.format) == GATE_LOG_JSON;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &date);
    strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%S", &date);
    if (stderr_is_journal())
        line_print(line, "<%d>", (int)level);
    line_print(line,
               line->json ? "{\"time\":\"%s.%03uZ\",\"level\":\"%s\",\"part\":\"%s\""
                          : "%s.%03uZ %s %s: ",
               time_text, (unsigned)(now.tv_nsec / 1000000), level_name(level), part);
}

static void line_end(struct line *line)
{
    line_print(line, "%s", line->json ? "}\n" : "\n");
    if (write(STDERR_FILENO, line->data, line->size) < 0)
        return; /* there is nobody left to tell */
}

void gate_log_v(enum gate_log_level level, const char *part, const char *format, va_list arguments)
{
    char text[TEXT_MAX];
    struct line line;

    if (!gate_log_shows(level))
        return;
    vsnprintf(text, sizeof text, format, arguments);
    line_begin(&line, level, part);
    line_print(&line, "%s", line.json ? ",\"text\":\"" : "");
    line_escape(&line, text);
    line_print(&line, "%s", line.json ? "\"" : "");
    line_end(&line);
}

void gate_log(enum gate_log_level level, const char *part, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    gate_log_v(level, part, format, arguments);
    va_end(arguments);
}

void gate_log_access(enum gate_log_level level, const struct gate_log_request *request)
{
    unsigned long long ms = request->took_us / 1000, us = request->took_us % 1000;
    struct line line;

    if (!gate_log_shows(level))
        return;
    line_begin(&line, level, "http");
    line_print(&line, "%s", line.json ? ",\"method\":\"" : "");
    line_escape(&line, request->method);
    line_print(&line, "%s", line.json ? "\",\"path\":\"" : " ");
    line_escape(&line, request->path);
    if (line.json)
        line_print(&line,
                   "\",\"status\":%u,\"took_ms\":%llu.%03llu,\"from\":\"%s\",\"request\":\"%s\"",
                   request->status, ms, us, request->address, request->id);
    else
        line_print(&line, " %u in %llu.%03llu ms from %s, request %s", request->status, ms, us,
                   request->address, request->id);
    line_end(&line);
}
