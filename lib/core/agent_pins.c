/* Pins: an address that the operator joined without an id belongs to the node that answered there
 * first, in this life and the next ones.
 *
 * Another node that answers later may be the same host made anew, or somebody who has the address
 * now. Only the operator can tell, so it is refused, and the log says what to do: join the address again,
 * alone or behind the id of the node that shall be there. */
#include "agent_parts.h"

#define SHOWN_MAX 100 /* bytes of an address in the log */

static struct pin *find_pin(const struct agent *agent, struct bytes address)
{
    for (size_t i = 0; i < agent->pin_count; i++)
        if (bytes_equal(bytes_of_text(agent->pins[i].address), address))
            return &agent->pins[i];
    return NULL;
}

static void drop_pin(struct agent *agent, const struct pin *pin)
{
    size_t i = (size_t)(pin - agent->pins);

    memmove(&agent->pins[i], &agent->pins[i + 1], (--agent->pin_count - i) * sizeof *pin);
}

static void set_pin(struct agent *agent, struct bytes address, const struct id *node)
{
    const struct pin *old = find_pin(agent, address);
    struct pin *pin;

    if (!old && agent->pin_count == GOSSIP_SEEDS_MAX)
        old = agent->pins; /* the oldest: it may be joined no more */
    if (old)
        drop_pin(agent, old);
    agent->pins =
        agent_grow(agent->pins, agent->pin_count, &agent->pin_capacity, sizeof *agent->pins);
    pin = &agent->pins[agent->pin_count++];
    *pin = (struct pin){.node = *node};
    memcpy(pin->address, address.data, address.size);
}

static void keep_pin(struct bytes address, const struct id *node, struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_KEEP_PIN);

    effect->pin.address = arena_copy(&effects->arena, address);
    effect->pin.node = *node;
}

void agent_restore_pin(struct agent *agent, struct bytes address, const struct id *node)
{
    if (address.size > 0 && address.size <= ADDRESS_MAX)
        set_pin(agent, address, node);
}

/* What is joined by the configuration in each life leaves the pin as it is; what the operator says now
 * outranks it. */
bool agent_join(struct agent *agent, const struct order *order, struct effects *effects)
{
    const struct id *node = id_is_zero(&order->node) ? NULL : &order->node;
    const struct pin *pin = find_pin(agent, order->address);
    struct id nobody = {0}, pinned;

    if (pin && order->anew && !(node && id_equal(node, &pin->node))) {
        gossip_unname_seed(agent->gossip, order->address, &pin->node);
        drop_pin(agent, pin);
        keep_pin(order->address, node ? node : &nobody, effects);
        if (node)
            set_pin(agent, order->address, node);
    } else if (pin && !node) {
        pinned = pin->node;
        node = &pinned;
    }
    return gossip_add_seed(agent->gossip, order->address, node);
}

/* ---- who answers ---- */

static void warn(struct pin *pin, const struct id *other, struct effects *effects)
{
    char text[ID_TEXT_SIZE], pinned[ID_TEXT_SIZE];

    if (id_equal(&pin->told, other))
        return; /* it is dialled for ever, and told of once */
    pin->told = *other;
    agent_log(effects, LOG_WARNING, "%.*s is pinned to %s, but %s answers there: refused",
              SHOWN_MAX, pin->address, id_text(ID_NODE, &pin->node, pinned),
              id_text(ID_NODE, other, text));
    agent_log(effects, LOG_WARNING, "if that is as it should be: ducknode join %s@%.*s", text,
              SHOWN_MAX, pin->address);
}

void agent_take_answer(struct agent *agent, const struct event *event, struct effects *effects)
{
    struct bytes address = event->answered.address;
    struct pin *pin = find_pin(agent, address);
    char text[ID_TEXT_SIZE];

    if (!id_is_zero(&event->answered.wanted)) {
        if (pin && id_equal(&pin->node, &event->answered.wanted))
            warn(pin, &event->node, effects);
        return;
    }
    if (address.size > ADDRESS_MAX || !gossip_answered(agent->gossip, address, &event->node))
        return;
    set_pin(agent, address, &event->node);
    keep_pin(address, &event->node, effects);
    agent_log(effects, LOG_INFO, "%.*s is pinned to %s, which answers there",
              (int)(address.size < SHOWN_MAX ? address.size : SHOWN_MAX),
              (const char *)address.data, id_text(ID_NODE, &event->node, text));
}
