/* gate_log: lines to stderr, as text ("<6>2026-03-21T10:00:00.000Z info http: …", with the journal's
 * priority when stderr is the journal) or as JSON lines. Never a secret. Thread-safe. */
#ifndef DUCK_GATE_LOG_H
#define DUCK_GATE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum gate_log_format { GATE_LOG_TEXT, GATE_LOG_JSON };
enum gate_log_level { /* syslog's numbers */
    GATE_LOG_ERROR = 3,
    GATE_LOG_WARNING = 4,
    GATE_LOG_INFO = 6,
    GATE_LOG_DEBUG = 7,
};

void gate_log_configure(enum gate_log_format format, enum gate_log_level least);
bool gate_log_shows(enum gate_log_level level); /* cheap: ask before collecting what to say */

void gate_log(enum gate_log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void gate_log_v(enum gate_log_level level, const char *part, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* The access log: one line for each request that was answered. */
struct gate_log_request {
    const char *id, *method, *path, *address; /* path without its query */
    unsigned status;                          /* 0: the client went before an answer */
    uint64_t took_us;
};
void gate_log_access(enum gate_log_level level, const struct gate_log_request *request);

#endif
