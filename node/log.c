/* Lines are put together in memory and written at once, so that those of two threads never mix.
 * What a peer or a user chose may be in a text: control characters leave only in escaped form. */
#include "log.h"

#include "clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 1024u                       /* bytes of one text; the rest is cut */
#define LINE_MAX_BYTES (6 * TEXT_MAX + 256u) /* each byte may become \u00xx */
#define BURST_SLOTS 16u
#define BURST_LINES 5u /* of one text within BURST_MS; further ones are counted */
#define BURST_MS (10 * SECOND_MS)

/* One text that was said of late. Texts that fall on one slot push each other out: then a
 * repetition is printed rather than counted, which does no harm. */
struct burst {
    enum log_level level;
    char part[24], text[TEXT_MAX];
    uint64_t began_ms, said, counted;
};

struct line {
    char data[LINE_MAX_BYTES];
    size_t size;
};

static struct {
    pthread_mutex_t lock;
    enum log_format format;
    enum log_level least;
    bool is_journal_known, is_journal;
    struct burst bursts[BURST_SLOTS];
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER, .format = LOG_TEXT, .least = LOG_INFO};

void log_configure(enum log_format format, enum log_level least)
{
    pthread_mutex_lock(&logger.lock);
    logger.format = format;
    logger.least = least;
    pthread_mutex_unlock(&logger.lock);
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

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LOG_ERROR:
        return "error";
    case LOG_WARNING:
        return "warning";
    case LOG_INFO:
        return "info";
    case LOG_DEBUG:
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

static void line_put_escaped(struct line *line, const char *text)
{
    bool json = logger.format == LOG_JSON;

    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        if (byte < 0x20 || byte == 0x7f)
            line_print(line, json ? "\\u%04x" : "\\x%02x", byte);
        else if (json && (byte == '"' || byte == '\\'))
            line_print(line, "\\%c", byte);
        else
            line_print(line, "%c", byte);
    }
}

static void line_put_time(struct line *line)
{
    uint64_t wall_ms = clock_wall_ms();
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm date;
    char text[32];

    gmtime_r(&seconds, &date);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &date);
    line_print(line, "%s.%03uZ", text, (unsigned)(wall_ms % 1000));
}

/* Invalid UTF-8 would spoil a line of JSON, and marks that turn its direction what is read: such a text is shown byte by
 * byte. */
static bool is_printable(const char *text)
{
    struct bytes rest = bytes_of_text(text);
    uint32_t point = 0;
    size_t size;

    for (;;) {
        size_t plain = bytes_plain(rest, &size, &point);

        if (size == 0)
            return true;
        if (point >= 0x20 && point != 0x7F) /* those below are escaped */
            return false;
        rest.data += plain + size;
        rest.size -= plain + size;
    }
}

static void make_printable(char *text)
{
    if (is_printable(text))
        return;
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            *text = '?';
}

static void write_line(enum log_level level, const char *part, const char *text, uint64_t repeated)
{
    struct line line = {.size = 0};
    bool json = logger.format == LOG_JSON;

    if (!logger.is_journal_known) {
        logger.is_journal = stderr_is_journal();
        logger.is_journal_known = true;
    }
    if (logger.is_journal)
        line_print(&line, "<%d>", (int)level);
    line_print(&line, "%s", json ? "{\"time\":\"" : "");
    line_put_time(&line);
    line_print(&line, json ? "\",\"level\":\"%s\",\"part\":\"" : " %s ", log_level_name(level));
    line_put_escaped(&line, part);
    line_print(&line, "%s", json ? "\",\"text\":\"" : ": ");
    line_put_escaped(&line, text);
    if (repeated)
        line_print(&line, json ? "\",\"repeated\":%llu}\n" : " (%llu times more)\n",
                   (unsigned long long)repeated);
    else
        line_print(&line, "%s", json ? "\"}\n" : "\n");
    if (write(STDERR_FILENO, line.data, line.size) < 0)
        return; /* there is nobody left to tell */
}

static void burst_end(struct burst *burst)
{
    if (burst->counted)
        write_line(burst->level, burst->part, burst->text, burst->counted);
    burst->said = burst->counted = 0;
}

static struct burst *burst_of(enum log_level level, const char *part, const char *text)
{
    uint32_t sum = 2166136261u ^ (uint32_t)level; /* FNV-1a */

    for (const char *at = part; *at; at++)
        sum = (sum ^ (uint8_t)*at) * 16777619u;
    for (const char *at = text; *at; at++)
        sum = (sum ^ (uint8_t)*at) * 16777619u;
    return &logger.bursts[sum % BURST_SLOTS];
}

/* True when the text has been said often enough of late and was only counted. */
static bool burst_counts(enum log_level level, const char *part, const char *text, uint64_t now_ms)
{
    struct burst *burst = burst_of(level, part, text);
    bool same = burst->said && burst->level == level &&
                !strncmp(burst->part, part, sizeof burst->part - 1) && !strcmp(burst->text, text);

    for (size_t i = 0; i < BURST_SLOTS; i++)
        if (logger.bursts[i].said && now_ms - logger.bursts[i].began_ms >= BURST_MS)
            burst_end(&logger.bursts[i]);
    if (!same || !burst->said) {
        burst_end(burst);
        burst->level = level;
        snprintf(burst->part, sizeof burst->part, "%s", part);
        snprintf(burst->text, sizeof burst->text, "%s", text);
        burst->began_ms = now_ms;
    }
    if (burst->said == BURST_LINES) {
        burst->counted++;
        return true;
    }
    burst->said++;
    return false;
}

void log_write(enum log_level level, const char *part, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    make_printable(text);

    pthread_mutex_lock(&logger.lock);
    if (level <= logger.least && !burst_counts(level, part, text, clock_now_ms()))
        write_line(level, part, text, 0);
    pthread_mutex_unlock(&logger.lock);
}
