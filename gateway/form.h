/* form: members of a request's body and query, each read by the rule it must keep.
 *
 * All return false when they have refused the exchange: the handler then just returns. What is
 * absent and FORM_OPTIONAL leaves `*value` as it was. Texts live as long as the exchange. */
#ifndef DUCK_GATE_FORM_H
#define DUCK_GATE_FORM_H

#include "exchange.h"

enum form_need { FORM_OPTIONAL, FORM_REQUIRED };

/* Of the body. `bytes_max` is of the text in UTF-8. */
bool form_text(struct exchange *exchange, const char *name, enum form_need need, size_t bytes_max,
               const char **value);
/* Standard base64, with padding; at most `bytes_max` of it, into the exchange's arena. */
bool form_base64(struct exchange *exchange, const char *name, enum form_need need, size_t bytes_max,
                 struct bytes *value);
bool form_id(struct exchange *exchange, const char *name, enum form_need need, enum id_kind kind,
             const char **value);
bool form_bool(struct exchange *exchange, const char *name, bool *value);
bool form_integer(struct exchange *exchange, const char *name, uint64_t min, uint64_t max,
                  uint64_t *value);
bool form_date(struct exchange *exchange, const char *name, uint64_t *wall_ms);
/* A list of texts, at most `count_max`; from the exchange's arena. `*is_given`: even when empty. */
bool form_texts(struct exchange *exchange, const char *name, size_t count_max, size_t bytes_max,
                const char ***values, size_t *count, bool *is_given);
/* Any JSON value, byte for byte as the client wrote it. `.data` stays as it was when absent. */
void form_json(struct exchange *exchange, const char *name, struct bytes *text);
bool form_has(const struct exchange *exchange, const char *name);

/* Of the query. */
bool query_text(struct exchange *exchange, const char *name, size_t bytes_max, const char **value);
bool query_id(struct exchange *exchange, const char *name, enum id_kind kind, const char **value);
bool query_integer(struct exchange *exchange, const char *name, uint64_t min, uint64_t max,
                   uint64_t *value);

/* Seconds of a long poll, of either; in milliseconds. */
bool form_wait(struct exchange *exchange, uint64_t *wait_ms);
bool query_wait(struct exchange *exchange, uint64_t *wait_ms);

/* The text of an id of that kind. The id of zeros is nobody's: the local API reads it as "none". */
bool form_is_id(enum id_kind kind, struct bytes text);

/* Refuses for a member: 422 `code`. */
void form_refuse(struct exchange *exchange, const char *code, const char *field,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
