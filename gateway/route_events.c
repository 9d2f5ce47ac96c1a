/* What happens to one's ducklings, as it happens. */
#include "form.h"
#include "listeners.h"

#define NAMES_MAX 256u

/* `events`: names, separated by commas; none: all. */
static bool read_kinds(struct exchange *exchange, uint32_t *kinds)
{
    const char *names = "";

    *kinds = HAPPENINGS_ALL;
    if (!query_text(exchange, "events", NAMES_MAX, &names))
        return false;
    if (*names)
        *kinds = 0;
    while (*names) {
        size_t size = strcspn(names, ",");
        enum happening happening;

        if (!happening_find(bytes_of(names, size), &happening)) {
            form_refuse(exchange, "bad_member", "events", "there are no events of that name");
            return false;
        }
        *kinds |= 1u << happening;
        names += size;
        names += *names == ',';
    }
    return true;
}

void route_events(struct exchange *exchange)
{
    struct gate_event_filter filter = {.operator_id = exchange->access.operator_id};
    const char *last_id = NULL;

    if (!read_kinds(exchange, &filter.kinds) ||
        !query_text(exchange, "after", EVENT_ID_SIZE, &last_id))
        return;
    if (exchange->access.kind == ACCESS_BEAK_KEY || exchange_names_duckling(exchange, false)) {
        if (!exchange_acting(exchange, false))
            return;
        filter.duckling = exchange->acting;
    }
    if (exchange_header(exchange, "Last-Event-ID"))
        last_id = exchange_header(exchange, "Last-Event-ID");
    listeners_add(exchange->gateway->listeners, exchange, &filter, last_id);
}
