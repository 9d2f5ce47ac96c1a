/* Ducklings that keep their own keys. Whatever only such a key can say waits here, made up to the last byte,
 * until its owner signs it: a record, or what an order says of a peck. The node cannot say it, and says nothing
 * in its place.
 *
 * An order (an answer, an approval, …) that needs the signature changes nothing before it is there; then it is
 * carried out as if it had come with it, at the time that the bytes name. So nothing that waits was promised to
 * anybody, and nothing of it is kept: after a restart records are made anew, an answer is given again by who
 * takes its peck again, an approval by its owner. */
#include "agent_orders.h"

#include <assert.h>

#define WANTED_OVERHEAD 512u /* bytes that each counts for beside what it says */

enum wanted_kind { WANTED_RECORD, WANTED_RECEIPT, WANTED_ORDER };

struct held_wanted {
    struct wanted wanted;
    struct held_wanted *next;
    enum wanted_kind kind;
    struct arena memory;
    size_t bytes;
    uint32_t record_kind;         /* record… */
    struct bytes record_key;      /* …in `memory` */
    struct unsigned_receipt said; /* receipt: without what its body says */
    struct order order;           /* order; in `memory` */
    bool is_partial;              /* receipt, order */
    struct bytes shown;           /* its body, in the effects of turn `shown_in` */
    uint64_t shown_in;
};

/* ---- the list of a duckling ---- */

static void count_in(struct agent *agent, struct duckling *duckling, enum wanted_kind kind,
                     size_t bytes, bool is_in)
{
    size_t one = is_in ? 1 : SIZE_MAX,
           more = is_in ? bytes : 0 - bytes; /* modulo: adds, or takes away */

    duckling->wanted_count += one;
    duckling->wanted_records += kind == WANTED_RECORD ? one : 0;
    duckling->wanted_unasked += kind == WANTED_RECEIPT ? one : 0;
    duckling->wanted_bytes += more;
    agent->wanted_bytes += more;
}

static void forget(struct agent *agent, struct duckling *duckling, struct held_wanted **place)
{
    struct held_wanted *held = *place;

    *place = held->next;
    count_in(agent, duckling, held->kind, held->bytes, false);
    arena_free(&held->memory);
    memory_give_back(held);
}

void agent_forget_wanted(struct agent *agent, struct duckling *duckling)
{
    while (duckling->wanted)
        forget(agent, duckling, &duckling->wanted);
}

static struct held_wanted **find(struct duckling *duckling, const struct id *id)
{
    struct held_wanted **place = &duckling->wanted;

    while (*place && !id_equal(&(*place)->wanted.id, id))
        place = &(*place)->next;
    return *place ? place : NULL;
}

static struct held_wanted **find_record(struct duckling *duckling, const struct record *record)
{
    struct held_wanted **place = &duckling->wanted;

    while (*place &&
           ((*place)->kind != WANTED_RECORD || (*place)->record_kind != (uint32_t)record->kind ||
            !bytes_equal((*place)->record_key, record->key)))
        place = &(*place)->next;
    return *place ? place : NULL;
}

static struct held_wanted **find_about(struct duckling *duckling, const struct id *peck)
{
    struct held_wanted **place = &duckling->wanted;

    while (*place && ((*place)->kind == WANTED_RECORD || !id_equal(&(*place)->wanted.peck, peck)))
        place = &(*place)->next;
    return *place ? place : NULL;
}

static const struct held_wanted *find_kind(const struct duckling *duckling, enum record_kind kind)
{
    const struct held_wanted *held = duckling->wanted;

    while (held && (held->kind != WANTED_RECORD || held->record_kind != (uint32_t)kind))
        held = held->next;
    return held;
}

uint64_t agent_entry_wanted_ms(const struct duckling *duckling)
{
    const struct held_wanted *held = find_kind(duckling, RECORD_DUCKLING);

    return held ? held->wanted.asked_ms : 0;
}

struct id agent_wanted_record(const struct duckling *duckling, enum record_kind kind)
{
    const struct held_wanted *held = find_kind(duckling, kind);

    return held ? held->wanted.id : (struct id){0};
}

static bool has_place(const struct duckling *duckling, enum wanted_kind kind)
{
    size_t count = duckling->wanted_count;

    if (kind == WANTED_RECEIPT &&
        duckling->wanted_unasked >= WANTED_UNASKED_MAX(WANTED_PER_DUCKLING_MAX))
        return false;
    if (kind != WANTED_RECORD &&
        count - duckling->wanted_records >= WANTED_BUT_RECORDS_MAX(WANTED_PER_DUCKLING_MAX))
        return false;
    return count < WANTED_PER_DUCKLING_MAX;
}

static struct duckling *find_largest(const struct agent *agent)
{
    struct duckling *largest = NULL;

    for (size_t i = 0; i < agent->hosted_slots; i++)
        if (agent->hosted[i] &&
            (!largest || agent->hosted[i]->wanted_bytes > largest->wanted_bytes))
            largest = agent->hosted[i];
    return largest;
}

/* Nothing that waits was promised, so whoever has most makes the room: nobody shuts others out. */
static bool make_room(struct agent *agent, const struct duckling *newcomer, size_t bytes)
{
    while (agent->wanted_bytes + bytes > WANTED_BYTES_MAX) {
        struct duckling *largest = find_largest(agent);
        struct held_wanted **last;

        if (!largest || largest == newcomer || !largest->wanted ||
            largest->wanted_bytes <= newcomer->wanted_bytes + bytes)
            return false;
        for (last = &largest->wanted; (*last)->next;)
            last = &(*last)->next;
        forget(agent, largest, last);
    }
    return true;
}

/* Behind all others, and told, in the place of `earlier`, if there is one. NULL: there is no room, and that one stays. */
static struct held_wanted *add(struct agent *agent, struct duckling *duckling,
                               enum wanted_kind kind, const struct wanted *wish, size_t more,
                               struct held_wanted **earlier, struct effects *effects)
{
    size_t bytes = wish->body.size + more + WANTED_OVERHEAD;
    struct held_wanted *held, **end = &duckling->wanted, *replaced = earlier ? *earlier : NULL;
    struct hash hash = envelope_hash(wish->type, wish->body);
    struct effect *effect;
    bool has_room;

    if (replaced)
        count_in(agent, duckling, replaced->kind, replaced->bytes, false);
    has_room = has_place(duckling, kind) && make_room(agent, duckling, bytes);
    if (replaced)
        count_in(agent, duckling, replaced->kind, replaced->bytes, true);
    if (!has_room)
        return NULL;
    if (replaced)
        forget(agent, duckling, earlier);
    held = memory_take(sizeof *held);
    arena_init(&held->memory, SIZE_MAX);
    held->kind = kind;
    held->bytes = bytes;
    held->wanted = *wish;
    held->wanted.id = id_of(&hash);
    held->wanted.duckling = duckling->id;
    held->wanted.body = arena_copy(&held->memory, wish->body);
    held->wanted.number =
        agent->wanted_number + 1 > wish->asked_ms ? agent->wanted_number + 1 : wish->asked_ms;
    agent->wanted_number = held->wanted.number;
    while (*end)
        end = &(*end)->next;
    *end = held;
    count_in(agent, duckling, kind, bytes, true);
    if (agent->wanted_until_ms > wish->until_ms)
        agent->wanted_until_ms = wish->until_ms;
    effect = effects_add(effects, EFFECT_WANTED);
    effect->wanted = held->wanted;
    effect->wanted.body = bytes_of(NULL, 0);
    return held;
}

/* ---- records ---- */

static const char *record_why(const struct record *record)
{
    switch ((int)record->kind) {
    case RECORD_DUCKLING:
        return "its entry in the directory";
    case RECORD_REVOCATION:
        return "it is to be revoked, for good";
    case RECORD_ATTESTATION:
        return record->deleted ? "what it said of another one holds no more"
                               : "what it says of another one";
    }
    return "what it says in the directory";
}

void agent_want_record(struct agent *agent, struct duckling *duckling, const struct record *record,
                       struct bytes body, const struct moment *at, struct effects *effects)
{
    struct held_wanted **earlier = find_record(duckling, record), *held;
    struct wanted wish = {.type = ENVELOPE_RECORD,
                          .body = body,
                          .why = record_why(record),
                          .asked_ms = at->wall_ms,
                          .until_ms = record->not_after_ms};
    char text[ID_TEXT_SIZE];

    held = add(agent, duckling, WANTED_RECORD, &wish, record->key.size, earlier, effects);
    if (!held) {
        agent_log(effects, LOG_WARNING,
                  "too much waits for the signature of %s: a record is left out",
                  id_text(ID_DUCKLING, &duckling->id, text));
        return;
    }
    held->record_kind = (uint32_t)record->kind;
    held->record_key = arena_copy(&held->memory, record->key);
}

/* ---- receipts ---- */

static const char *receipt_why(const struct receipt *receipt)
{
    if (receipt->kind == RECEIPT_PARTIAL)
        return "a part of an answer";
    switch ((int)receipt->state) {
    case PECK_APPROVED:
        return "a bond is approved, or its terms change";
    case PECK_DENIED:
        return "a peck is denied";
    case PECK_EXPIRED:
        return "a peck was not answered in time";
    case PECK_CANCELLED:
        return "its sender took a peck back";
    }
    return "a peck is answered";
}

static struct wanted receipt_wish(const struct receipt *receipt, struct bytes body,
                                  uint64_t until_ms, const struct moment *at)
{
    return (struct wanted){.type = ENVELOPE_RECEIPT,
                           .body = body,
                           .why = receipt_why(receipt),
                           .peck = id_of(&receipt->peck),
                           .asked_ms = at->wall_ms,
                           .until_ms = until_ms};
}

void agent_want_receipt(struct agent *agent, const struct unsigned_receipt *said,
                        const struct moment *at, struct effects *effects)
{
    struct duckling *duckling = said->signer;
    struct wanted wish = receipt_wish(&said->receipt, said->body, at->wall_ms + PECK_LIFE_MS, at);
    struct held_wanted **earlier = find_about(duckling, &wish.peck), *held;

    if (agent_is_revoked(agent, &duckling->id))
        return; /* whoever waits hears that */
    if (earlier)
        forget(agent, duckling, earlier);
    held = add(agent, duckling, WANTED_RECEIPT, &wish, 0, NULL, effects);
    if (!held)
        return; /* its sender asks again, or sees its own end of it */
    held->said = *said;
    memset(&held->said.receipt, 0, sizeof held->said.receipt); /* its body says it */
    held->said.body = bytes_of(NULL, 0);
}

/* ---- orders ---- */

static const struct bytes *copy_list(const struct bytes *list, size_t count, struct arena *arena)
{
    struct bytes *copies = arena_take(arena, (count + 1) * sizeof *copies);

    assert(copies);
    for (size_t i = 0; i < count; i++)
        copies[i] = arena_copy(arena, list[i]);
    return copies;
}

/* Of those kinds that say something of a peck. */
static void copy_order(struct order *copy, const struct order *order, struct arena *arena)
{
    *copy = *order;
    copy->result = arena_copy(arena, order->result);
    copy->problem = arena_copy(arena, order->problem);
    copy->scopes = copy_list(order->scopes, order->scope_count, arena);
    for (size_t i = 0; i < copy->terms.stop_word_count; i++)
        copy->terms.stop_words[i] = arena_copy(arena, order->terms.stop_words[i]);
    copy->held.action = arena_copy(arena, order->held.action);
    copy->held.thread = copy->held.chain = bytes_of(NULL, 0);
    copy->pecks = NULL;
    copy->peck_count = 0;
    copy->signed_body = bytes_of(NULL, 0);
}

static void want_order(struct agent *agent, const struct order *order,
                       const struct unsigned_receipt *said, uint64_t until_ms,
                       const struct moment *at, struct effects *effects)
{
    struct duckling *duckling = said->signer;
    struct wanted wish = receipt_wish(&said->receipt, said->body, until_ms, at);
    bool is_partial = said->receipt.kind == RECEIPT_PARTIAL;
    struct held_wanted **earlier = find_about(duckling, &wish.peck), *held;
    struct effect *effect;

    if (earlier && (is_partial || (*earlier)->is_partial)) {
        order_refuse(effects, order, REFUSAL_CONFLICT,
                     "what was said of this peck before waits for its signature still", "peck_id");
        return;
    }
    held = add(agent, duckling, WANTED_ORDER, &wish, order->result.size + order->problem.size,
               earlier, effects);
    if (!held) {
        order_refuse(effects, order, REFUSAL_BUSY,
                     "too much waits for this duckling's signature already", "");
        return;
    }
    held->is_partial = is_partial;
    copy_order(&held->order, order, &held->memory);
    tray_acknowledge(agent->tray, &wish.peck); /* in this life it is not handed out again */
    effect = order_reply(effects, order);
    effect->reply.duckling = duckling->id;
    effect->reply.peck = wish.peck;
    effect->reply.bond = order->bond;
    effect->reply.box = BOX_IN;
    effect->reply.state = order->kind == ORDER_BOND ? PECK_APPROVED : PECK_TAKEN;
    if (tray_find(agent->tray, &wish.peck))
        effect->reply.state = tray_find(agent->tray, &wish.peck)->state;
    effect->reply.waits_for = held->wanted.id;
}

bool agent_await_signature(struct agent *agent, const struct order *order, uint64_t until_ms,
                           const struct moment *at, struct effects *effects)
{
    struct unsigned_receipt *said = &agent->receipts[agent->receipt_count - 1];
    bool is_changed = order->signed_body.data != NULL;
    enum receipt_verdict form;

    if (said->signer->key)
        return false;
    form = receipt_pack(&said->receipt, &effects->arena, &said->body);
    assert(form == RECEIPT_OK); /* it was judged before */
    (void)form;
    if (is_changed && bytes_equal(said->body, order->signed_body)) {
        said->made = envelope_pack_signed(ENVELOPE_RECEIPT, &said->signer->id, said->body,
                                          &order->signature, &effects->arena);
        return false;
    }
    agent->receipt_count--;
    if (is_changed)
        order_refuse(effects, order, REFUSAL_CONFLICT,
                     "what it would say has changed since: order it again", "id");
    else
        want_order(agent, order, said, until_ms, at, effects);
    return true;
}

/* ---- signed ---- */

/* However many ask in one turn, it is copied once. */
static struct bytes show(const struct agent *agent, struct held_wanted *held,
                         struct effects *effects)
{
    if (!held->shown.data || held->shown_in != agent->turns) {
        held->shown = arena_copy(&effects->arena, held->wanted.body);
        held->shown_in = agent->turns;
    }
    return held->shown;
}

void order_list_wanted(struct agent *agent, const struct order *order,
                       const struct duckling *duckling, struct effects *effects)
{
    struct wanted *list = arena_take(&effects->arena, WANTED_LIST_MAX * sizeof *list);
    struct effect *effect;
    size_t count = 0, bytes = 0;

    assert(list);
    for (struct held_wanted *held = duckling->wanted; held && count < WANTED_LIST_MAX;
         held = held->next) {
        if (held->wanted.number <= order->after)
            continue;
        if (count > 0 && bytes + held->wanted.body.size > WANTED_LIST_BYTES)
            break;
        bytes += held->wanted.body.size;
        list[count] = held->wanted;
        list[count++].body = show(agent, held, effects);
    }
    effect = order_reply(effects, order);
    effect->reply.wanted = list;
    effect->reply.wanted_count = count;
}

static void say_record_anew(struct agent *agent, const struct duckling *duckling,
                            const struct record *record, const struct moment *at,
                            struct effects *effects)
{
    struct statement statement = {.by = duckling,
                                  .kind = (enum record_kind)record->kind,
                                  .key = record->key,
                                  .content = record->content,
                                  .deleted = record->deleted,
                                  .life_ms = record->not_after_ms - record->version.ms};

    agent_publish(agent, &statement, at, effects, NULL);
}

static void sign_record(struct agent *agent, const struct order *order, struct duckling *duckling,
                        struct bytes body, const struct moment *at, struct effects *effects)
{
    struct offered_record offered = {.chain = arena_copy(&effects->arena, duckling->chain)};
    enum directory_verdict verdict;

    if (record_parse(body, &effects->arena, &offered.record) != RECORD_OK)
        assert(!"it was packed here");
    offered.wire = envelope_pack_signed(ENVELOPE_RECORD, &duckling->id, body, &order->signature,
                                        &effects->arena);
    verdict = agent_take_own(agent, &offered, at, effects);
    if (verdict == DIRECTORY_TAKEN || verdict == DIRECTORY_SAME) {
        order_reply(effects, order);
        return;
    }
    if (verdict == DIRECTORY_OLDER || verdict == DIRECTORY_BEHIND)
        say_record_anew(agent, duckling, &offered.record, at, effects);
    order_refuse(effects, order, REFUSAL_CONFLICT, directory_verdict_text(verdict), "id");
}

static void sign_receipt(struct agent *agent, const struct order *order,
                         const struct held_wanted *held, struct duckling *duckling,
                         struct bytes body, const struct moment *at, struct effects *effects)
{
    struct unsigned_receipt said = held->said;
    struct effect *effect;

    if (receipt_parse(body, &effects->arena, &said.receipt) != RECEIPT_OK)
        assert(!"it was packed here");
    said.hash = envelope_hash(ENVELOPE_RECEIPT, body);
    said.ticket = 0;
    effect = order_reply(effects, order);
    effect->reply.peck = id_of(&said.receipt.peck);
    effect->reply.box = BOX_IN;
    effect->reply.state = said.receipt.state;
    agent_take_signed_receipt(agent, &said,
                              envelope_pack_signed(ENVELOPE_RECEIPT, &duckling->id, body,
                                                   &order->signature, &effects->arena),
                              at, effects);
}

/* At the moment that the bytes name. */
static void carry_out(struct agent *agent, const struct order *order,
                      const struct held_wanted *held, struct bytes body, const struct moment *at,
                      struct effects *effects)
{
    struct moment asked = {.now_ms = at->now_ms, .wall_ms = held->wanted.asked_ms};
    struct order *copy = arena_take(&effects->arena, sizeof *copy);

    assert(copy);
    copy_order(copy, &held->order, &effects->arena);
    copy->ticket = order->ticket;
    copy->signature = order->signature;
    copy->signed_body = body;
    agent_take_order(agent, copy, &asked, effects);
}

static bool judge(const struct order *order, const struct duckling *duckling,
                  const struct held_wanted *held, const struct moment *at, struct effects *effects)
{
    struct envelope envelope = {
        .type = held->wanted.type, .body = held->wanted.body, .signature = order->signature};

    if (at->wall_ms > duckling->speaks.until_ms) {
        order_refuse(effects, order, REFUSAL_CONFLICT, "its last certificate has ended",
                     "duckling");
        return false;
    }
    if (envelope_verify(&envelope, &duckling->speaks.key, NULL) != ENVELOPE_TAKEN) {
        order_refuse(effects, order, REFUSAL_MALFORMED,
                     "this is no signature of these bytes by the key that the duckling's last "
                     "certificate names",
                     "signature");
        return false;
    }
    return true;
}

void order_sign(struct agent *agent, const struct order *order, struct duckling *duckling,
                const struct moment *at, struct effects *effects)
{
    struct held_wanted **place = find(duckling, &order->wanted), *held;
    struct bytes body;

    if (!place) {
        order_refuse(effects, order, REFUSAL_NOT_FOUND,
                     "nothing of this id waits for its signature: it is signed, its time is over, "
                     "or something newer took its place",
                     "id");
        return;
    }
    held = *place;
    if (!judge(order, duckling, held, at, effects))
        return;
    body = arena_copy(&effects->arena, held->wanted.body);
    *place = held->next; /* what is carried out may look for it */
    if (held->kind == WANTED_RECORD)
        sign_record(agent, order, duckling, body, at, effects);
    else if (held->kind == WANTED_RECEIPT)
        sign_receipt(agent, order, held, duckling, body, at, effects);
    else
        carry_out(agent, order, held, body, at, effects);
    held->next = NULL;
    forget(agent, duckling, &held);
}

/* ---- time, and a new key ---- */

void agent_end_wanted(struct agent *agent, const struct moment *at)
{
    if (agent->wanted_until_ms > at->wall_ms)
        return;
    agent->wanted_until_ms = MOMENT_NEVER;
    for (size_t i = 0; i < agent->hosted_slots; i++) {
        struct duckling *duckling = agent->hosted[i];
        struct held_wanted **place = duckling ? &duckling->wanted : NULL;

        while (place && *place) {
            if ((*place)->wanted.until_ms <= at->wall_ms) {
                forget(agent, duckling, place);
                continue;
            }
            if ((*place)->wanted.until_ms < agent->wanted_until_ms)
                agent->wanted_until_ms = (*place)->wanted.until_ms;
            place = &(*place)->next;
        }
    }
}

uint64_t agent_wanted_wake_at_ms(const struct agent *agent, const struct moment *at)
{
    if (agent->wanted_until_ms == MOMENT_NEVER)
        return MOMENT_NEVER;
    return at->now_ms +
           (agent->wanted_until_ms > at->wall_ms ? agent->wanted_until_ms - at->wall_ms : 0);
}

/* `said` has what its body says. */
static void say_anew(struct agent *agent, struct duckling *duckling, const struct held_wanted *old,
                     const struct moment *at, struct effects *effects)
{
    struct unsigned_receipt said = old->said;
    struct record record;
    bool is_read;

    if (old->kind == WANTED_RECORD) {
        is_read = record_parse(old->wanted.body, &effects->arena, &record) == RECORD_OK;
        assert(is_read);
        say_record_anew(agent, duckling, &record, at, effects);
        return;
    }
    is_read = receipt_parse(old->wanted.body, &effects->arena, &said.receipt) == RECEIPT_OK;
    said.receipt.at_ms = at->wall_ms;
    is_read = is_read && receipt_pack(&said.receipt, &effects->arena, &said.body) == RECEIPT_OK;
    assert(is_read);
    agent_want_receipt(agent, &said, at, effects);
}

/* Each gives up its place before it takes one anew. */
void agent_want_anew(struct agent *agent, struct duckling *duckling, const struct moment *at,
                     struct effects *effects)
{
    struct held_wanted *held = duckling->wanted;

    duckling->wanted = NULL;
    while (held) {
        struct held_wanted old = *held, *next = held->next;
        struct order *copy = arena_take(&effects->arena, sizeof *copy);

        assert(copy);
        old.wanted.body = arena_copy(&effects->arena, held->wanted.body);
        if (held->kind == WANTED_ORDER)
            copy_order(copy, &held->order, &effects->arena);
        held->next = NULL;
        forget(agent, duckling, &held);
        held = next;
        if (old.kind == WANTED_ORDER) {
            copy->ticket = 0; /* who ordered it was answered */
            agent_take_order(agent, copy, at, effects);
        } else {
            say_anew(agent, duckling, &old, at, effects);
        }
    }
}
