/* A store with operators and webhooks, and what happens to them, without accounts and a node. */
#ifndef DUCK_TEST_COURIER_BED_H
#define DUCK_TEST_COURIER_BED_H

#include "core/bytes.h"
#include "gate_events.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

struct courier_bed {
    struct gate_store *store;
    struct gate_key key;
    struct gate_feed feed;
    char store_path[600], key_path[600];
};

static inline void bed_must(int fault)
{
    if (!fault)
        return;
    fprintf(stderr, "courier_bed: %s\n", gate_fault_text(fault));
    abort();
}

static inline void courier_bed_make(struct courier_bed *bed, const char *folder)
{
    snprintf(bed->store_path, sizeof bed->store_path, "%s/gateway.db", folder);
    snprintf(bed->key_path, sizeof bed->key_path, "%s/gateway.key", folder);
    bed_must(gate_key_open(bed->key_path, &bed->key));
    bed_must(gate_store_open(&bed->store, bed->store_path));
    bed_must(gate_feed_get(bed->store, &bed->feed));
}

static inline uint64_t courier_bed_operator(struct courier_bed *bed, const char *email)
{
    struct gate_operator row = {.created_ms = 1};

    snprintf(row.lookup, sizeof row.lookup, "%s", email);
    snprintf(row.email, sizeof row.email, "%s", email);
    bed_must(gate_operator_add(bed->store, &row));
    return row.operator_id;
}

static inline uint64_t courier_bed_webhook(struct courier_bed *bed, uint64_t operator_id,
                                           const char *url)
{
    struct gate_webhook row = {.operator_id = operator_id, .created_ms = 1};
    uint8_t secret[WEBHOOK_SECRET_SIZE] = {7};

    webhook_name_make(row.name);
    snprintf(row.url, sizeof row.url, "%s", url);
    row.filter.kinds = HAPPENINGS_ALL;
    webhook_seal(&bed->key, row.name, secret, row.secret);
    bed_must(gate_webhook_add(bed->store, &row));
    return row.webhook;
}

/* In a transaction of its own, unless one is open. */
static inline uint64_t courier_bed_event(struct courier_bed *bed, uint64_t operator_id,
                                         uint64_t at_ms)
{
    struct gate_event event = {.operator_id = operator_id,
                               .duckling = {{1}},
                               .happening = HAPPENED_PECK,
                               .at_ms = at_ms,
                               .data = "{\"peck_id\":\"pck_x\"}",
                               .action = "query"};

    bed_must(gate_event_keep(bed->store, bed->feed.name, &event));
    return event.number;
}

#endif
