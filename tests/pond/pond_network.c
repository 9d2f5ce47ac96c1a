/* Links as node/transport.c gives them: one a pair, ordered, sealed. A session that is renewed is
 * told to nobody, and neither is one that replaces a link whose end was not yet noticed (its
 * transport_peers.c). What is sent while a path is cut waits, as TCP would let it, until the path
 * is whole again or the link is given up: after 15 to 20 s of silence three pings are missed. */
#include "pond_parts.h"

#include <stdlib.h>

#define DIALS_MAX 16u                 /* of one node at once */
#define DIAL_US (5000 * MS_US)        /* then nobody answers */
#define SILENT_MIN_US (60000 * MS_US) /* four waits of 15 to 20 s */
#define SILENT_MAX_US (80000 * MS_US)
#define PING_US (20000 * MS_US)
#define OFFENCES_MAX 3u
#define FRAME_OVERHEAD 22u   /* framing 4, sealed 1, kind 1, tag 16 */
#define SEGMENT_OVERHEAD 52u /* IPv4 20, TCP 32 with its times; bare ACKs are not counted */
#define SEGMENT_BYTES 1448u
#define LATE_US (200 * MS_US) /* a receipt that a full queue did not take is tried again */
#define US_PER_KIB 100u       /* some 80 Mbit/s */

static struct pond_node *at_end(struct pond *pond, const struct link *link, unsigned end)
{
    return &pond->nodes[link->nodes[end]];
}

static unsigned end_of(const struct link *link, uint32_t node)
{
    return link->nodes[1] == node;
}

/* ---- which link ---- */

static struct id name_pair(uint32_t lower, uint32_t higher)
{
    uint64_t pair = (uint64_t)lower << 32 | higher, mixed = pair * 0x9E3779B97F4A7C15u;
    struct id id = {{0}};

    mixed ^= mixed >> 29;
    memcpy(id.bytes, &mixed, sizeof mixed);
    memcpy(id.bytes + sizeof mixed, &pair, sizeof pair);
    return id;
}

struct link *network_link(struct pond *pond, uint32_t one, uint32_t other, bool make)
{
    uint32_t lower = one < other ? one : other, higher = one < other ? other : one;
    struct id id = name_pair(lower, higher);
    struct link *link = (struct link *)idtable_find(&pond->pairs, &id);
    uint32_t middle_us = pond->wish.latency_us ? pond->wish.latency_us : 10000;

    if (link || !make)
        return link;
    link = memory_take(sizeof *link);
    link->by_pair.id = id;
    link->nodes[0] = lower;
    link->nodes[1] = higher;
    for (int end = 0; end < 2; end++)
        link->stalled_end[end] = &link->stalled[end];
    link->latency_us = (uint32_t)between(&pond->network_dice, middle_us / 2, 3 * middle_us / 2);
    link->latency_us += (uint32_t)dice_below(&pond->network_dice, pond->rates.slow_us + 1);
    idtable_add(&pond->pairs, &link->by_pair);
    return link;
}

static void drop_stalled(struct link *link, unsigned end)
{
    for (struct stalled *at = link->stalled[end], *next; at; at = next) {
        next = at->next;
        frame_drop(at->frame);
        memory_give_back(at);
    }
    link->stalled[end] = NULL;
    link->stalled_end[end] = &link->stalled[end];
}

void network_free(struct pond *pond)
{
    for (struct idtable_node *at = idtable_next(&pond->pairs, NULL); at;
         at = idtable_next(&pond->pairs, at))
        for (unsigned end = 0; end < 2; end++)
            drop_stalled((struct link *)at, end);
    idtable_free(&pond->pairs);
}

static void list_link(struct pond_node *node, struct link *link)
{
    if (node->link_count == node->link_capacity) {
        node->link_capacity = node->link_capacity ? node->link_capacity * 2 : 8;
        node->links = memory_resize(node->links, node->link_capacity * sizeof(struct link *));
    }
    node->links[node->link_count++] = link;
}

static void unlist_link(struct pond_node *node, const struct link *link)
{
    for (size_t i = 0; i < node->link_count; i++)
        if (node->links[i] == link) {
            node->links[i] = node->links[--node->link_count];
            return;
        }
}

/* ---- paths ---- */

static bool is_cut(const struct cuts *cuts, uint32_t from, uint32_t to)
{
    unsigned a = cuts->side[from], b = cuts->side[to];

    if ((a & CUT_OUT) || (b & CUT_IN))
        return true;
    if (((a & CUT_ONE) && (b & CUT_SOME)) || ((a & CUT_SOME) && (b & CUT_ONE)))
        return true;
    return cuts->split && (a & CUT_SIDE) != (b & CUT_SIDE) && (!cuts->one_way || (a & CUT_SIDE));
}

bool network_blocked(const struct pond *pond, uint32_t from, uint32_t to)
{
    return is_cut(&pond->cuts, from, to);
}

static uint64_t way_us(struct pond *pond, const struct link *link, size_t bytes)
{
    uint64_t us = link->latency_us + dice_below(&pond->network_dice, link->latency_us / 4 + 1);

    for (unsigned end = 0; end < 2; end++) {
        const struct pond_node *node = at_end(pond, link, end);

        if (node->clogged_until_us > pond->now_us)
            us += dice_below(&pond->network_dice, 2500 * MS_US);
    }
    return us + bytes * US_PER_KIB / KIB;
}

static struct happening about(uint8_t kind, struct link *link, unsigned end)
{
    return (struct happening){.kind = kind,
                              .end = (uint8_t)end,
                              .node = link->nodes[end],
                              .epoch = link->epoch,
                              .link = link};
}

/* ---- links up and down ---- */

static void plan_silence(struct pond *pond, struct link *link, unsigned end)
{
    struct happening silent = about(HAPPENING_SILENT, link, end);

    if (link->misses_pings[end])
        return;
    link->misses_pings[end] = true;
    silent.silence = ++link->silence[end];
    plan(pond, between(&pond->network_dice, SILENT_MIN_US, SILENT_MAX_US), silent);
}

static void hear_again(struct link *link, unsigned end)
{
    link->silence[end]++;
    link->misses_pings[end] = false;
}

static bool has_end(const struct link *link, unsigned end)
{
    return link->told_up[end] || link->coming_up[end];
}

/* A session is made, dialled by `end`. */
static void make_session(struct pond *pond, struct link *link, unsigned end)
{
    uint64_t way = way_us(pond, link, 0);

    if (has_end(link, 0) && has_end(link, 1))
        return; /* renewed, or both dialled at once */
    link->epoch++;
    link->goodbye = false;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t in_us = i == end ? 0 : way;

        drop_stalled(link, i);
        link->offences[i] = 0;
        hear_again(link, i);
        link->dialled[i] = i == end;
        link->arrives_us[i] = pond->now_us + in_us;
        if (link->told_up[i])
            continue; /* it had not noticed that the other end was gone */
        link->coming_up[i] = true;
        plan(pond, in_us, about(HAPPENING_LINK_UP, link, i));
    }
}

static void tell(struct pond *pond, struct link *link, unsigned end, enum event_kind kind)
{
    struct pond_node *node = at_end(pond, link, end), *other = at_end(pond, link, !end);
    struct message *message = message_make();

    message->event.kind = kind;
    message->event.node = other->id;
    if (kind == EVENT_LINK_UP) {
        message->event.link.dialled_here = link->dialled[end];
        message->event.link.introduction = arena_copy(&message->arena, other->introduction);
    }
    if (kind == EVENT_LINK_DOWN)
        message->event.link.goodbye = link->goodbye;
    if (kind == EVENT_ANSWERED)
        message->event.answered.address =
            arena_copy(&message->arena, bytes_of_text(other->address));
    node_take(pond, node, message);
}

void network_link_up(struct pond *pond, struct link *link, unsigned end, uint32_t epoch)
{
    struct pond_node *node = at_end(pond, link, end);

    if (!link->coming_up[end] || link->epoch != epoch)
        return;
    link->coming_up[end] = false;
    link->told_up[end] = true;
    list_link(node, link);
    tell(pond, link, end, EVENT_LINK_UP);
    if (link->asked[end])
        tell(pond, link, end, EVENT_ANSWERED);
    link->asked[end] = false;
}

/* This end gives the link up; the other hears of it if it can. */
static void end_link(struct pond *pond, struct link *link, unsigned end)
{
    struct pond_node *node = at_end(pond, link, end);
    bool was_told = link->told_up[end];

    link->coming_up[end] = link->told_up[end] = false;
    drop_stalled(link, end);
    if (was_told)
        unlist_link(node, link);
    if (!has_end(link, !end))
        return;
    if (network_blocked(pond, link->nodes[end], link->nodes[!end])) {
        plan_silence(pond, link, !end);
        return;
    }
    link->arrives_us[!end] += 1;
    if (link->arrives_us[!end] < pond->now_us + link->latency_us)
        link->arrives_us[!end] = pond->now_us + link->latency_us;
    plan(pond, link->arrives_us[!end] - pond->now_us, about(HAPPENING_LINK_DOWN, link, !end));
}

void network_link_down(struct pond *pond, struct link *link, unsigned end, uint32_t epoch)
{
    if (link->epoch != epoch || !has_end(link, end))
        return;
    if (link->told_up[end])
        tell(pond, link, end, EVENT_LINK_DOWN);
    end_link(pond, link, end);
}

void network_silent(struct pond *pond, struct link *link, unsigned end, uint32_t epoch,
                    uint64_t silence)
{
    if (link->silence[end] == silence)
        network_link_down(pond, link, end, epoch);
}

void network_hang_up(struct pond *pond, struct pond_node *node, const struct id *id)
{
    struct pond_node *other = node_find(pond, id);
    struct link *link = other ? network_link(pond, node->index, other->index, false) : NULL;

    if (!link)
        return;
    link->goodbye = true;
    network_link_down(pond, link, end_of(link, node->index), link->epoch);
}

/* The process ended. The kernel of a machine that lives ends its links; those of one without power
 * stay as they are at the other end until that misses its pings. */
void network_forget(struct pond *pond, struct pond_node *node, bool power_cut)
{
    while (node->link_count > 0) {
        struct link *link = node->links[node->link_count - 1];
        unsigned end = end_of(link, node->index);

        if (!power_cut) {
            end_link(pond, link, end);
            continue;
        }
        link->told_up[end] = false;
        drop_stalled(link, end);
        unlist_link(node, link);
        if (has_end(link, !end))
            plan_silence(pond, link, !end);
    }
    for (struct idtable_node *at = idtable_next(&pond->pairs, NULL); at;
         at = idtable_next(&pond->pairs, at)) {
        struct link *link = (struct link *)at;
        unsigned end = end_of(link, node->index);

        if (link->nodes[end] == node->index && link->coming_up[end])
            end_link(pond, link, end);
    }
    node->dials = 0;
}

/* A machine that is back resets what it is sent on links of its earlier life; the other end's next
 * ping finds out at the latest. */
void network_greet(struct pond *pond, struct pond_node *node)
{
    for (struct idtable_node *at = idtable_next(&pond->pairs, NULL); at;
         at = idtable_next(&pond->pairs, at)) {
        struct link *link = (struct link *)at;
        unsigned end = end_of(link, node->index);

        if (link->nodes[end] == node->index && !has_end(link, end) && link->told_up[!end])
            plan(pond, dice_below(&pond->network_dice, PING_US),
                 about(HAPPENING_LINK_DOWN, link, !end));
    }
}

/* ---- paths change ---- */

static void let_go(struct pond *pond, struct link *link, unsigned end)
{
    struct stalled *at = link->stalled[end];
    uint64_t in_us = 0; /* at once: what was sent after them is still on its way */

    link->stalled[end] = NULL;
    link->stalled_end[end] = &link->stalled[end];
    for (struct stalled *next; at; at = next) {
        struct happening arrives = about(HAPPENING_FRAME, link, end);

        next = at->next;
        arrives.frame = at->frame;
        plan(pond, in_us++, arrives);
        memory_give_back(at);
    }
    if (link->arrives_us[end] < pond->now_us + in_us)
        link->arrives_us[end] = pond->now_us + in_us;
}

void network_set_cuts(struct pond *pond, const struct cuts *cuts)
{
    struct cuts old = pond->cuts;

    pond->cuts = *cuts;
    membership_paths_changed(pond);
    for (struct idtable_node *at = idtable_next(&pond->pairs, NULL); at;
         at = idtable_next(&pond->pairs, at)) {
        struct link *link = (struct link *)at;

        for (unsigned end = 0; end < 2; end++) {
            uint32_t from = link->nodes[!end], to = link->nodes[end];
            bool was = is_cut(&old, from, to), is = is_cut(cuts, from, to);

            if (is && !was && has_end(link, end))
                plan_silence(pond, link, end);
            if (was && !is) {
                hear_again(link, end);
                let_go(pond, link, end);
            }
        }
    }
    memory_give_back(old.side);
}

/* ---- dialling ---- */

static void begin_dial(struct pond *pond, struct pond_node *node, struct dial *dial)
{
    uint64_t in_us = 2 * MS_US;

    dial->from = node->index;
    dial->life = node->life;
    pond->sums.dials++;
    if (dial->to == NOBODY || dial->to == node->index) {
        dial->fails = true;
    } else if (network_blocked(pond, dial->from, dial->to) ||
               network_blocked(pond, dial->to, dial->from)) {
        dial->fails = true;
        in_us = DIAL_US;
    } else {
        struct link *link = network_link(pond, dial->from, dial->to, true);

        in_us = 2 * (way_us(pond, link, 0) + way_us(pond, link, 0)); /* TCP, then Noise */
    }
    node->dials++;
    plan(pond, in_us,
         (struct happening){.kind = HAPPENING_DIALLED, .node = node->index, .dial = dial});
}

static uint32_t find_address(const struct pond *pond, struct bytes address)
{
    char text[32];
    unsigned long number;

    if (address.size < 7 || address.size >= sizeof text || memcmp(address.data, "pond-", 5) != 0)
        return NOBODY;
    snprintf(text, sizeof text, "%.*s", (int)address.size, (const char *)address.data);
    number = strtoul(text + 5, NULL, 10);
    return number < pond->count ? (uint32_t)number : NOBODY;
}

void network_dial(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    struct dial *dial = memory_take(sizeof *dial);

    dial->to = find_address(pond, effect->dial.address);
    dial->wanted = effect->dial.node;
    dial->fails = node->dials >= DIALS_MAX;
    snprintf(dial->address, sizeof dial->address, "%.*s", (int)effect->dial.address.size,
             (const char *)effect->dial.address.data);
    begin_dial(pond, node, dial);
}

void network_dial_to(struct pond *pond, struct pond_node *node, uint32_t to)
{
    struct dial *dial = memory_take(sizeof *dial);

    dial->to = to;
    dial->wanted = pond->nodes[to].id;
    begin_dial(pond, node, dial);
}

void network_dialled(struct pond *pond, struct dial *dial)
{
    struct pond_node *node = &pond->nodes[dial->from], *to;
    struct message *message;

    if (node->life != dial->life || !node->up) {
        memory_give_back(dial);
        return;
    }
    node->dials -= node->dials > 0;
    to = dial->to == NOBODY ? NULL : &pond->nodes[dial->to];
    if (!dial->fails && to->up && to->introduction.size > 0 && node->introduction.size > 0 &&
        to->paused_until_us <= pond->now_us &&
        (id_is_zero(&dial->wanted) || id_equal(&dial->wanted, &to->id)) &&
        !network_blocked(pond, dial->from, dial->to) &&
        !network_blocked(pond, dial->to, dial->from)) {
        struct link *link = network_link(pond, dial->from, dial->to, true);

        unsigned end = end_of(link, dial->from);

        make_session(pond, link, end);
        link->asked[end] |= id_is_zero(&dial->wanted);
        if (link->asked[end] && !link->coming_up[end]) { /* it was linked before */
            tell(pond, link, end, EVENT_ANSWERED);
            link->asked[end] = false;
        }
    } else {
        pond->sums.dials_failed++;
        message = message_make();
        message->event.kind = EVENT_DIAL_FAILED;
        message->event.node = dial->wanted;
        message->event.dial_failed.address =
            arena_copy(&message->arena, bytes_of_text(dial->address));
        node_take(pond, node, message);
    }
    memory_give_back(dial);
}

/* ---- frames ---- */

static size_t wire_size(size_t body)
{
    size_t size = body + FRAME_OVERHEAD;

    return size + SEGMENT_OVERHEAD * (1 + size / SEGMENT_BYTES);
}

static void carry(struct pond *pond, struct link *link, unsigned end, struct frame *frame,
                  uint64_t extra_us)
{
    struct happening arrives = about(HAPPENING_FRAME, link, end);
    uint64_t at_us = pond->now_us + extra_us + way_us(pond, link, frame->size);

    if (at_us <= link->arrives_us[end])
        at_us = link->arrives_us[end] + 1;
    link->arrives_us[end] = at_us;
    arrives.frame = frame;
    plan(pond, at_us - pond->now_us, arrives);
}

/* The link on which a frame goes from `node`; NULL: it is lost, or there is none. */
static struct link *way_out(struct pond *pond, struct pond_node *node, const struct id *id,
                            uint8_t kind, unsigned *end, uint64_t *extra_us)
{
    struct pond_node *to = node_find(pond, id);
    struct link *link = to ? network_link(pond, node->index, to->index, false) : NULL;

    *end = link ? end_of(link, to->index) : 0;
    *extra_us = 0;
    if (!link || !link->told_up[!*end])
        return NULL;
    if (one_in(&pond->network_dice, pond->wish.loss_ppm) ||
        (pond->faults_on && one_in(&pond->network_dice, pond->rates.loss_ppm))) {
        pond->sums.lost++;
        if (kind != FRAME_RECEIPT)
            return NULL;
        *extra_us = LATE_US; /* node/perform.c thinks of those */
    }
    return link;
}

static void send_frame(struct pond *pond, struct pond_node *node, struct link *link, unsigned end,
                       struct frame *frame, uint64_t extra_us)
{
    node->frames_out++;
    node->bytes_out += wire_size(frame->size);
    carry(pond, link, end, frame, extra_us);
    if (pond->faults_on && one_in(&pond->network_dice, pond->rates.duplicate_ppm)) {
        pond->sums.duplicates++;
        frame->refs++;
        carry(pond, link, end, frame, 0);
    }
}

void network_send(struct pond *pond, struct pond_node *node, const struct id *to, uint8_t kind,
                  struct bytes body)
{
    unsigned end;
    uint64_t extra_us;
    struct link *link = way_out(pond, node, to, kind, &end, &extra_us);

    if (link)
        send_frame(pond, node, link, end, frame_hold(pond->frames, kind, body), extra_us);
}

void network_send_listed(struct pond *pond, struct pond_node *node, const struct id *to,
                         uint8_t kind, const struct fetch_answer *answer,
                         struct pooled *const *records, size_t count)
{
    unsigned end;
    uint64_t extra_us;
    struct link *link = way_out(pond, node, to, kind, &end, &extra_us);

    if (link)
        send_frame(pond, node, link, end, frame_list(kind, answer, records, count), extra_us);
}

static void refuse(struct pond *pond, struct link *link, unsigned end, const struct opened *opened,
                   uint8_t kind)
{
    struct pond_node *node = at_end(pond, link, end), *from = at_end(pond, link, !end);
    struct arena arena;

    node->refused++;
    pond->sums.refused_frames++;
    if (opened->verdict == INTAKE_UNKNOWN_KIND)
        return;
    trace_line(pond, node, "refuses a frame of kind %u from %s: %s", kind, from->name,
               opened->reason);
    arena_init(&arena, 4 * KIB);
    if (!id_is_zero(&opened->peck))
        network_send(pond, node, &from->id, FRAME_REFUSAL,
                     frame_pack_refusal(&opened->peck, intake_verdict_code(opened->verdict),
                                        opened->reason, opened->verdict != INTAKE_EXPIRED, 0,
                                        &arena));
    arena_free(&arena);
    if (!intake_verdict_offends(opened->verdict))
        return;
    pond->sums.offences++;
    if (++link->offences[end] >= OFFENCES_MAX)
        network_link_down(pond, link, end, link->epoch);
}

static void meet_contradiction(struct pond *pond, struct pond_node *node,
                               const struct pond_node *from, struct opened *opened)
{
    struct message *message;

    if (opened->one.size == 0)
        return;
    message = message_make();
    message->event.kind = EVENT_CONTRADICTION;
    message->event.node = from->id;
    message->event.contradiction.one = opened->one;
    message->event.contradiction.other = opened->other;
    message->opened = opened;
    opened->refs++;
    node_take(pond, node, message);
}

static void deliver(struct pond *pond, struct link *link, unsigned end, struct frame *frame)
{
    struct pond_node *node = at_end(pond, link, end), *from = at_end(pond, link, !end);
    struct opened *opened = frame_open(pond->frames, frame, node_moment(pond, node).wall_ms);

    trace_mix(pond, (uint64_t)node->index << 32 | from->index,
              frame->shared ? frame->name : frame->size << 8 | frame->kind);
    if (!node->hostile)
        meet_contradiction(pond, node, from, opened);
    if (node->hostile) {
        struct event event = opened->event;

        event.node = from->id;
        hostile_hear(pond, node, opened->verdict == INTAKE_TAKEN ? &event : NULL, frame);
        opened_drop(opened);
    } else if (opened->verdict != INTAKE_TAKEN) {
        refuse(pond, link, end, opened, frame->kind);
        opened_drop(opened);
    } else {
        struct message *message = message_make();

        message->event = opened->event;
        message->event.node = from->id;
        message->opened = opened;
        spread_arrived(pond, node, &message->event);
        node_take(pond, node, message);
    }
}

void network_arrive(struct pond *pond, struct link *link, unsigned end, uint32_t epoch,
                    struct frame *frame)
{
    if (link->epoch != epoch || !link->told_up[end]) {
        frame_drop(frame);
        return;
    }
    if (network_blocked(pond, link->nodes[!end], link->nodes[end])) {
        struct stalled *stalled = memory_take(sizeof *stalled);

        stalled->frame = frame;
        *link->stalled_end[end] = stalled;
        link->stalled_end[end] = &stalled->next;
        return;
    }
    pond->sums.frames++;
    pond->sums.bytes += wire_size(frame->size);
    deliver(pond, link, end, frame);
    frame_drop(frame);
}
