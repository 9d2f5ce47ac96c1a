/* log: lines to stderr, as text ("<6>2026-03-21T10:00:00.000Z info link up …", with the journal's
 * priority when stderr is the journal) or as JSON lines. Never a secret. Thread-safe; a burst of
 * one text is counted, not repeated. */
#ifndef DUCK_NODE_LOG_H
#define DUCK_NODE_LOG_H

#include "core/effect.h"

enum log_format { LOG_TEXT, LOG_JSON };

const char *log_level_name(enum log_level level); /* as in a line, and in the configuration */
void log_configure(enum log_format format, enum log_level least);
void log_write(enum log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
