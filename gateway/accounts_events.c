/* What the accounts themselves do to ducklings is an event, kept with the deed. */
#include "accounts_parts.h"
#include "gate_events.h"
#include "reply.h"

#include <stdlib.h>

/* Takes `data`. */
static int keep(struct accounts *accounts, const struct gate_duckling *duckling,
                enum happening happening, json_t *data)
{
    struct gate_event event = {.operator_id = duckling->operator_id,
                               .duckling = duckling->duckling,
                               .happening = happening,
                               .at_ms = accounts_wall_ms(accounts),
                               .action = ""};
    char text[ID_TEXT_SIZE], *dumped;
    struct gate_feed feed;
    int fault = gate_feed_get(accounts->store, &feed);

    json_object_set_new(data, "duckling_id",
                        json_string(id_text(ID_DUCKLING, &duckling->duckling, text)));
    event.data = dumped = json_dumps(data, JSON_COMPACT);
    json_decref(data);
    if (!fault)
        fault = dumped ? gate_event_keep(accounts->store, feed.name, &event) : GATE_FAULT_STORE;
    free(dumped);
    return fault;
}

int accounts_note_hatch(struct accounts *accounts, const struct gate_duckling *duckling)
{
    json_t *hatched = json_object(), *issued = json_object();
    char text[ID_TEXT_SIZE];
    int fault;

    id_text(ID_CERTIFICATE, &duckling->certificate, text);
    reply_text(hatched, "display_name", bytes_of_text(duckling->display_name));
    reply_word(hatched, "certificate_id", text);
    reply_word(issued, "certificate_id", text);
    fault = keep(accounts, duckling, HAPPENED_HATCH, hatched);
    if (!fault)
        return keep(accounts, duckling, HAPPENED_CERTIFICATE, issued);
    json_decref(issued);
    return fault;
}

int accounts_note_rotation(struct accounts *accounts, const struct gate_duckling *duckling,
                           const struct id *certificate)
{
    json_t *data = json_object();
    char text[ID_TEXT_SIZE];

    reply_word(data, "what", certificate ? "identity" : "beak_key");
    if (certificate)
        reply_word(data, "certificate_id", id_text(ID_CERTIFICATE, certificate, text));
    return keep(accounts, duckling, HAPPENED_KEY_ROTATED, data);
}

void accounts_say_happened(const struct accounts *accounts, const struct order *order,
                           uint64_t operator_id)
{
    if (accounts->happened && order->result.verdict == ACCOUNTS_TAKEN)
        accounts->happened(accounts->context, operator_id);
}
