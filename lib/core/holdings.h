/* holdings: which entries a directory holds: by owner, by end, and live nodes by number.
 *
 * Entries are numbered from 0, live node records first; a number is good until the next change.
 * Some 26 bytes an entry. Belongs to directory.c. */
#ifndef DUCK_CORE_HOLDINGS_H
#define DUCK_CORE_HOLDINGS_H

#include "buckets.h"
#include "record_pool.h"

#define HOLDINGS_NONE UINT32_MAX

struct holdings;

struct holdings *holdings_new(const uint8_t key[BUCKETS_KEY_SIZE]);
void holdings_free(struct holdings *holdings); /* NULL is fine; the entries are the caller's */

void holdings_add(struct holdings *holdings, const struct directory_entry *entry);
void holdings_remove(struct holdings *holdings, uint32_t number);
void holdings_replace(struct holdings *holdings, uint32_t number,
                      const struct directory_entry *entry); /* of one owner */

size_t holdings_count(const struct holdings *holdings);
size_t holdings_nodes(const struct holdings *holdings); /* live node records: numbers below it */
const struct directory_entry *holdings_at(const struct holdings *holdings, uint32_t number);

/* An owner's entries: first HOLDINGS_NONE, then the one before; HOLDINGS_NONE at the end. */
uint32_t holdings_of(const struct holdings *holdings, const struct id *owner, uint32_t before);

/* The entry that ends first, of two at once the one of the lesser hash; HOLDINGS_NONE. */
uint32_t holdings_soonest(const struct holdings *holdings);

size_t holdings_memory(const struct holdings *holdings); /* bytes */

#endif
