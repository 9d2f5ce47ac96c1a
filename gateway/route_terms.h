/* route_terms: members of a body that say what a bond allows. False: the exchange is refused. */
#ifndef DUCK_GATE_ROUTE_TERMS_H
#define DUCK_GATE_ROUTE_TERMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;
struct Duck__BondTerms;
struct ProtobufCBinaryData;

/* `limits`; `*named` gets the bits (enum duck_term) of those that are there. */
bool terms_of_body(struct exchange *exchange, struct Duck__BondTerms *terms, uint32_t *named);

/* `scopes`; none when they are absent. Lives as long as the exchange. */
bool scopes_of_body(struct exchange *exchange, struct ProtobufCBinaryData **scopes, size_t *count);

#endif
