/* What goes to perches and comes from them: what is under the seal is none of the intake's business. */
#include "intake_parts.h"

#include "binary_data.h"
#include "wire/gossip.pb-c.h"

enum intake_verdict intake_open_deposit(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__DepositFrame *frame = intake_unpack(&duck__deposit_frame__descriptor, body, arena);

    if (!frame || frame->sealed.len == 0 ||
        !id_from_bytes(borrowed(frame->owner), &event->deposit.owner) ||
        !id_from_bytes(borrowed(frame->name), &event->deposit.name))
        return INTAKE_MALFORMED;
    event->deposit.not_after_ms = frame->not_after_ms;
    event->deposit.sealed = borrowed(frame->sealed);
    event->kind = EVENT_DEPOSIT;
    return INTAKE_TAKEN;
}

enum intake_verdict intake_open_deposited(struct bytes body, struct arena *arena,
                                          struct event *event)
{
    Duck__DepositedFrame *frame = intake_unpack(&duck__deposited_frame__descriptor, body, arena);

    if (!frame || frame->code.len > NAME_MAX_BYTES || !bytes_are_name(borrowed(frame->code)) ||
        !id_from_bytes(borrowed(frame->name), &event->deposited.name))
        return INTAKE_MALFORMED;
    event->deposited.code = borrowed(frame->code);
    event->kind = EVENT_DEPOSITED;
    return INTAKE_TAKEN;
}

enum intake_verdict intake_open_collect(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__CollectFrame *frame = intake_unpack(&duck__collect_frame__descriptor, body, arena);

    if (!frame)
        return INTAKE_MALFORMED;
    event->collect.after = frame->after;
    event->kind = EVENT_COLLECT;
    return INTAKE_TAKEN;
}

enum intake_verdict intake_open_held(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__HeldFrame *frame = intake_unpack(&duck__held_frame__descriptor, body, arena);

    if (!frame ||
        (frame->sealed.len > 0 && !id_from_bytes(borrowed(frame->name), &event->held.name)))
        return INTAKE_MALFORMED;
    event->held.number = frame->number;
    event->held.sealed = borrowed(frame->sealed);
    event->held.is_last = frame->last;
    event->held.has_more = frame->more;
    event->kind = EVENT_HELD;
    return INTAKE_TAKEN;
}

enum intake_verdict intake_open_settled(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__SettledFrame *frame = intake_unpack(&duck__settled_frame__descriptor, body, arena);
    struct id *names;

    if (!frame || frame->n_names == 0 || frame->n_names > SETTLED_AT_ONCE)
        return INTAKE_MALFORMED;
    names = arena_take(arena, frame->n_names * sizeof *names);
    for (size_t i = 0; names && i < frame->n_names; i++)
        if (!id_from_bytes(borrowed(frame->names[i]), &names[i]))
            return INTAKE_MALFORMED;
    if (!names)
        return INTAKE_MALFORMED;
    event->settled.names = names;
    event->settled.count = frame->n_names;
    event->kind = EVENT_SETTLED;
    return INTAKE_TAKEN;
}
