/* The fields of an inner frame, packed: the other direction of intake.c. */
#include "frame.h"

#include "binary_data.h"
#include "sealed.h"
#include "wire/gossip.pb-c.h"

#include <protobuf-c/protobuf-c.h>

static struct bytes pack(const ProtobufCMessage *message, struct arena *arena)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *data = arena_take(arena, size ? size : 1);

    if (!data)
        return bytes_of(NULL, 0);
    protobuf_c_message_pack(message, data);
    return bytes_of(data, size);
}

/* Whatever is accepted can also be passed on. */
_Static_assert(CHAIN_SIZE_MAX + CONTEXT_SIZE_MAX + PECK_BODY_MAX + ENVELOPE_OVERHEAD_MAX +
                       2 * FRAME_TAGS_MAX <=
                   FRAME_SIZE_MAX,
               "the largest peck and the longest chain fit into a frame");
_Static_assert(CHAIN_SIZE_MAX + RECEIPT_BODY_MAX + ENVELOPE_OVERHEAD_MAX + FRAME_TAGS_MAX <=
                   FRAME_SIZE_MAX,
               "the largest receipt and the longest chain fit into a frame");

struct bytes frame_pack_peck(struct bytes chain, struct bytes peck, struct arena *arena)
{
    return frame_pack_peck_again(chain, peck, 0, false, arena);
}

struct bytes frame_pack_peck_again(struct bytes chain, struct bytes peck, uint32_t partials,
                                   bool cancelled, struct arena *arena)
{
    Duck__PeckFrame frame = DUCK__PECK_FRAME__INIT;

    frame.chain = lent(chain);
    frame.peck = lent(peck);
    frame.partials = partials;
    frame.cancelled = cancelled;
    return pack(&frame.base, arena);
}

struct bytes frame_pack_receipt(struct bytes chain, struct bytes receipt, struct arena *arena)
{
    Duck__ReceiptFrame frame = DUCK__RECEIPT_FRAME__INIT;

    frame.chain = lent(chain);
    frame.receipt = lent(receipt);
    return pack(&frame.base, arena);
}

struct bytes frame_pack_partial(struct bytes chain, struct bytes receipt, struct arena *arena)
{
    Duck__PartialFrame frame = DUCK__PARTIAL_FRAME__INIT;

    frame.chain = lent(chain);
    frame.receipt = lent(receipt);
    return pack(&frame.base, arena);
}

struct bytes frame_pack_refusal(const struct id *peck, const char *code, const char *reason,
                                bool final, uint64_t retry_after_ms, struct arena *arena)
{
    Duck__RefusalFrame frame = DUCK__REFUSAL_FRAME__INIT;

    frame.peck = lent(id_bytes(peck));
    frame.code = lent(bytes_of_text(code));
    frame.reason = lent(bytes_of_text(reason));
    frame.final = final;
    frame.retry_after_ms = retry_after_ms;
    return pack(&frame.base, arena);
}

struct bytes frame_pack_probe(uint32_t nonce, const uint64_t sums[2], struct arena *arena)
{
    Duck__ProbeFrame frame = DUCK__PROBE_FRAME__INIT;

    frame.nonce = nonce;
    frame.directory_sum = sums[0];
    frame.metrics_sum = sums[1];
    return pack(&frame.base, arena);
}

struct bytes frame_pack_probe_request(uint32_t nonce, const struct id *target, struct arena *arena)
{
    Duck__ProbeRequestFrame frame = DUCK__PROBE_REQUEST_FRAME__INIT;

    frame.nonce = nonce;
    frame.target = lent(id_bytes(target));
    return pack(&frame.base, arena);
}

struct bytes frame_pack_probe_nack(uint32_t nonce, struct arena *arena)
{
    Duck__ProbeNackFrame frame = DUCK__PROBE_NACK_FRAME__INIT;

    frame.nonce = nonce;
    return pack(&frame.base, arena);
}

struct bytes frame_pack_accusation(struct bytes chain, struct bytes accusation, struct arena *arena)
{
    Duck__AccusationFrame frame = DUCK__ACCUSATION_FRAME__INIT;

    frame.chain = lent(chain);
    frame.accusation = lent(accusation);
    return pack(&frame.base, arena);
}

struct bytes frame_pack_reconcile(const struct event *event, struct arena *arena)
{
    Duck__ReconcileFrame frame = DUCK__RECONCILE_FRAME__INIT;

    frame.set = event->reconcile.set;
    frame.session = event->reconcile.session;
    frame.answer = event->reconcile.is_answer;
    frame.keyed = event->reconcile.keyed;
    if (event->reconcile.has_nonce)
        frame.nonce = lent(bytes_of(event->reconcile.nonce, AUDIT_NONCE_SIZE));
    frame.message = lent(event->reconcile.message);
    return pack(&frame.base, arena);
}

struct bytes frame_pack_fetch(const struct event *event, struct arena *arena)
{
    Duck__FetchFrame frame = DUCK__FETCH_FRAME__INIT;

    frame.set = event->fetch.set;
    frame.session = event->fetch.session;
    frame.keyed = event->fetch.keyed;
    frame.stream = event->fetch.stream;
    frame.hashes = lent(bytes_of(event->fetch.hashes, event->fetch.count * HASH_SIZE));
    if (event->fetch.stream) {
        frame.after_s = event->fetch.after.at_s;
        frame.after_hash = lent(bytes_of(event->fetch.after.hash.bytes, HASH_SIZE));
    }
    return pack(&frame.base, arena);
}

static Duck__RecordItem **lend_items(const struct bytes *chains, const struct bytes *records,
                                     size_t count, struct arena *arena)
{
    Duck__RecordItem *items = arena_take(arena, count * sizeof *items + 1);
    Duck__RecordItem **pointers = arena_take(arena, count * sizeof *pointers + 1);

    for (size_t i = 0; i < count && items && pointers; i++) {
        duck__record_item__init(&items[i]);
        items[i].chain = lent(chains[i]);
        items[i].record = lent(records[i]);
        pointers[i] = &items[i];
    }
    return items ? pointers : NULL;
}

struct bytes frame_pack_fetched(const struct fetch_answer *answer, const struct bytes *chains,
                                const struct bytes *records, size_t count, struct arena *arena)
{
    Duck__FetchedFrame frame = DUCK__FETCHED_FRAME__INIT;

    frame.items = lend_items(chains, records, count, arena);
    if (!frame.items)
        return bytes_of(NULL, 0);
    frame.n_items = count;
    frame.set = answer->set;
    frame.session = answer->session;
    frame.last = answer->is_last;
    if (answer->has_next) {
        frame.next_s = answer->next.at_s;
        frame.next_hash = lent(bytes_of(answer->next.hash.bytes, HASH_SIZE));
    }
    return pack(&frame.base, arena);
}

struct bytes frame_pack_records(const struct bytes *chains, const struct bytes *records,
                                size_t count, struct arena *arena)
{
    Duck__RecordsFrame frame = DUCK__RECORDS_FRAME__INIT;

    frame.items = lend_items(chains, records, count, arena);
    if (!frame.items)
        return bytes_of(NULL, 0);
    frame.n_items = count;
    return pack(&frame.base, arena);
}

/* ---- perches ---- */

struct bytes frame_pack_deposit(const struct deposit *deposit, struct bytes chain,
                                struct bytes peck, struct arena *arena)
{
    Duck__DepositFrame frame = DUCK__DEPOSIT_FRAME__INIT;
    struct sealed_ends ends = {.network = deposit->network, .owner = deposit->owner};
    struct sealed_peck content = {.after = deposit->after,
                                  .after_until_ms = deposit->after_until_ms};
    struct noise_pair sealer;
    struct bytes sealed;

    content.frame = frame_pack_peck(chain, peck, arena);
    if (content.frame.size == 0)
        return bytes_of(NULL, 0);
    noise_pair_from_secret(&sealer, deposit->sealer);
    sealed = sealed_seal(&ends, &content, deposit->owner_key, &sealer, deposit->ephemeral, arena);
    noise_wipe(&sealer, sizeof sealer);
    if (sealed.size == 0)
        return sealed;
    frame.owner = lent(id_bytes(&deposit->owner));
    frame.name = lent(id_bytes(&deposit->name));
    frame.not_after_ms = deposit->not_after_ms;
    frame.sealed = lent(sealed);
    return pack(&frame.base, arena);
}

struct bytes frame_pack_deposited(const struct id *name, const char *code, struct arena *arena)
{
    Duck__DepositedFrame frame = DUCK__DEPOSITED_FRAME__INIT;

    frame.name = lent(id_bytes(name));
    frame.code = lent(bytes_of_text(code));
    return pack(&frame.base, arena);
}

struct bytes frame_pack_collect(uint64_t after, struct arena *arena)
{
    Duck__CollectFrame frame = DUCK__COLLECT_FRAME__INIT;

    frame.after = after;
    return pack(&frame.base, arena);
}

struct bytes frame_pack_held(const struct perch_entry *entry, struct bytes sealed, bool is_last,
                             bool has_more, struct arena *arena)
{
    Duck__HeldFrame frame = DUCK__HELD_FRAME__INIT;

    if (entry) {
        frame.name = lent(id_bytes(&entry->name));
        frame.number = entry->number;
        frame.sealed = lent(sealed);
    }
    frame.last = is_last;
    frame.more = has_more;
    return pack(&frame.base, arena);
}

struct bytes frame_pack_settled(const struct id *names, size_t count, struct arena *arena)
{
    Duck__SettledFrame frame = DUCK__SETTLED_FRAME__INIT;
    ProtobufCBinaryData lent_names[SETTLED_AT_ONCE];

    for (size_t i = 0; i < count; i++)
        lent_names[i] = lent(id_bytes(&names[i]));
    frame.n_names = count;
    frame.names = lent_names;
    return pack(&frame.base, arena);
}

struct bytes frame_pack_lobster(const struct lobster_word *word, struct bytes chain,
                                struct arena *arena)
{
    Duck__LobsterFrame frame = DUCK__LOBSTER_FRAME__INIT;

    frame.step = word->step;
    frame.from = lent(id_bytes(&word->from));
    frame.to = lent(id_bytes(&word->to));
    frame.session = lent(bytes_of(word->session, LOBSTER_SESSION_SIZE));
    if (word->step == LOBSTER_OFFER) {
        frame.commitment = lent(bytes_of(word->commitment.bytes, HASH_SIZE));
        frame.lease_ms = word->lease_ms;
    }
    if (word->step == LOBSTER_ANSWER || word->step == LOBSTER_REVEAL)
        frame.nonce = lent(bytes_of(word->nonce, LOBSTER_NONCE_SIZE));
    if (word->step == LOBSTER_OFFER || word->step == LOBSTER_ANSWER)
        frame.chain = lent(chain);
    if (word->step == LOBSTER_NO)
        frame.code = lent(word->code);
    return pack(&frame.base, arena);
}
