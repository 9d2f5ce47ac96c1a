/* handler_call: a peck is POSTed to the URL of a handler (`duckgate --call-handler URL`).
 *
 * Whoever runs handlers starts this as it starts their programs, with their time, output and
 * concurrency caps: the peck is read from standard input, the answer's body is written to standard
 * output. Only 200 is an answer. Address guard and allow list: fetch.h. */
#ifndef DUCK_GATE_HANDLER_CALL_H
#define DUCK_GATE_HANDLER_CALL_H

#include "gate_options.h"

#define HANDLER_CALL_INPUT_MAX (1024u * 1024u) /* bytes: a peck as JSON */

/* The exit status; when it is not 0 a sentence for the peck's sender was written to standard output. */
int handler_call(const struct gate_options *options);

/* Would it be called? Looks the name up, and at what it means; sends nothing. The same status and sentence. */
int handler_check(const struct gate_options *options);

#endif
