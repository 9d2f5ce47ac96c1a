/* exports: certificates and keys in the forms that others' tools read, lib/core/jose.h. */
#ifndef DUCK_GATEWAY_EXPORTS_H
#define DUCK_GATEWAY_EXPORTS_H

#include "exchange.h"

struct export_format;

/* The query's `format`: json (the default), raw, jwk, did or jws. False after a refusal was answered. */
bool query_format(struct exchange *exchange, const struct export_format **format);

/* Asks the node, and answers. A JWS is made of the newest certificate of who lives there; all else is told
 * of anyone. Texts live until the answer. */
void export_of(struct exchange *exchange, const char *identity, const struct export_format *format);
void export_certificate(struct exchange *exchange, const char *certificate_id,
                        const struct export_format *format);

/* The chain of `identity` as JSON, as an answer to what changed it. */
void export_chain(struct exchange *exchange, const char *identity);

#endif
