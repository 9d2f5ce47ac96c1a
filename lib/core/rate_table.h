/* rate_table: how many HTTP calls a minute are allowed, by class of endpoint and by tier.
 *
 * The node's commands and the gateway both read and write it, as words:
 *
 *     peck=10/60/300   T1 (and T0), T2, T3
 *     peck=60          the same for all tiers
 *     peck.T2=off      one tier; off: no limit
 *     all=off          all classes */
#ifndef DUCK_CORE_RATE_TABLE_H
#define DUCK_CORE_RATE_TABLE_H

#include "bytes.h"

#define RATE_PER_MINUTE_MAX 1000000u
#define RATE_TEXT_MAX 16384 /* bytes of a file of such lines */
#define RATE_WORD_SIZE 48 /* of "directory=1000000/1000000/1000000", with NUL */

enum rate_class {
    RATE_AUTH,      /* hatch, verify, auth, forgot, reset */
    RATE_PECK,      /* peck, unpeck, approve, deny, cancel */
    RATE_CERT,      /* certificate, rotate */
    RATE_AUDIT,     /* pageview, metrics, audit */
    RATE_DIRECTORY, /* directory, spaceducks */
    RATE_CLASSES,
};

enum rate_column { RATE_T1, RATE_T2, RATE_T3, RATE_COLUMNS }; /* who is T0, or nobody, is in T1's */

struct rate_table {
    uint32_t per_minute[RATE_CLASSES][RATE_COLUMNS]; /* 0: no limit */
};

void rate_table_default(struct rate_table *table);

/* False, and `*table` unchanged: `word` is none of the above. */
bool rate_table_set(struct rate_table *table, struct bytes word);

/* Lines of such words; what stands behind a '#' is a remark. False: one is none of the above, and
 * `*table` is unchanged. */
bool rate_table_set_text(struct rate_table *table, struct bytes text);

/* "peck=10/60/300". Returns `word`. */
const char *rate_table_word(const struct rate_table *table, enum rate_class class,
                            char word[RATE_WORD_SIZE]);

const char *rate_class_name(enum rate_class class);
bool rate_class_parse(struct bytes name, enum rate_class *class);
enum rate_column rate_column_of(uint32_t tier);

/* The lowest tier that has more calls in this class than `tier`; 0: none has. */
uint32_t rate_tier_with_more(const struct rate_table *table, enum rate_class class, uint32_t tier);

#endif
