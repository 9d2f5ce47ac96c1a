/* handler_check: would a handler run? Its program is looked at; of a URL the gateway's program says whether it would
 * be called (`duckgate --check-config --call-handler URL`), and does not call it: that takes as long as a name takes. */
#ifndef DUCK_NODE_HANDLER_CHECK_H
#define DUCK_NODE_HANDLER_CHECK_H

#include "options.h"

/* Words before the URL, NULL at the end, of who calls it. They point into `options`. */
void handler_caller(const struct options *options, const char *words[HANDLER_CALL_WORDS_MAX + 1]);

/* False: a sentence is in `problem`. */
bool handler_would_run(const struct options *options, const struct handler *handler,
                       char problem[HANDLER_PROBLEM_SIZE]);

#endif
