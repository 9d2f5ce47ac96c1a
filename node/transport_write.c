/* Frames go out: sealed by whoever sends, under the link's lock, one after the other into blocks. One
 * write is in flight; what is sealed meanwhile leaves with the next. */
#include "transport_parts.h"

#include "clock.h"

#include <assert.h>

#define SEALED_OVERHEAD (FRAMING_LENGTH_SIZE + 1u + 1u + NOISE_TAG_SIZE) /* of one part */
#define BUNDLE_LEAD                                                                                \
    (FRAMING_LENGTH_SIZE + 1u + 1u + 1u) /* length, type, part, kind: then its frames */

/* ---- writing ---- */

struct write {
    nng_iov slices[BLOCKS_PER_WRITE];
    unsigned count;
};

/* Under the lock: puts length and type before the `size` bytes of body that stand in the room. */
static void out_add(struct link *link, uint8_t *at, enum session_frame type, size_t size)
{
    framing_put_length(at, 1 + size);
    at[FRAMING_LENGTH_SIZE] = (uint8_t)type;
    link->out_last->size += FRAMING_LENGTH_SIZE + 1 + size;
    link->out_bytes += FRAMING_LENGTH_SIZE + 1 + size;
}

/* Under the lock: seals the `size` bytes of a part that stand at `at`, behind their room for what
 * comes before them. */
static void seal_part(struct link *link, uint8_t *at, size_t size, bool more_follow)
{
    uint8_t *body = at + FRAMING_LENGTH_SIZE + 1;

    if (session_seal(link->session, bytes_of(body + 1, size), more_follow, body, &size) ==
        SESSION_TAKEN)
        out_add(link, at, SESSION_SEALED, size);
    else
        link->worn_out = true;
}

/* Under the lock: what is in the bundle leaves as it is. */
static void close_bundle(struct link *link)
{
    struct bundle *bundle = &link->bundle;

    if (!bundle->data)
        return;
    seal_part(link, bundle->data - BUNDLE_LEAD, 1 + bundle->size, false);
    bundle->data = NULL;
}

/* Under the lock. True: the caller lets it go, without the lock. */
static bool begin_write(struct link *link, struct write *write)
{
    if (link->writing || link->closing)
        return false;
    close_bundle(link);
    if (link->out_bytes == 0)
        return false;
    write->count = 0;
    for (struct block *block = link->out; block && write->count < BLOCKS_PER_WRITE;
         block = block->next) {
        write->slices[write->count].iov_buf = block->data + block->sent;
        write->slices[write->count++].iov_len = block->size - block->sent;
    }
    link->writing = true;
    link->wrote_ms = clock_now_ms();
    link_hold(link);
    return true;
}

static void keep_spare(struct link *link, struct block *block)
{
    block->sent = block->size = 0;
    block->next = NULL;
    if (link->spare && link->spare->capacity >= block->capacity) {
        memory_give_back(block);
        return;
    }
    memory_give_back(link->spare);
    link->spare = block;
}

static void consume(struct link *link, size_t size)
{
    assert(size <= link->out_bytes);
    link->out_bytes -= size;
    link->info.bytes_out += size;
    while (size > 0) {
        struct block *block = link->out;
        size_t part;

        assert(block); /* out_bytes counts what is in the blocks */
        part = block->size - block->sent < size ? block->size - block->sent : size;
        block->sent += part;
        size -= part;
        if (block->sent < block->size || (block == link->out_last && link->bundle.data))
            break; /* or a bundle is being made behind what was sent */
        link->out = block->next;
        if (!link->out)
            link->out_last = NULL;
        keep_spare(link, block);
    }
}

/* Nearly every write is taken by the kernel at once. Such a one should not cost the waking of one of
 * nng's threads to say so: it is tried with an operation that has no callback, and that is taken
 * back when it would have to wait. `*result` NNG_ECANCELED: nothing was written. */
static size_t try_write(struct link *link, const struct write *write, int *result)
{
    nng_aio_set_iov(link->try_send, write->count, write->slices);
    nng_stream_send(link->stream, link->try_send);
    nng_aio_cancel(link->try_send);
    nng_aio_wait(link->try_send);
    *result = nng_aio_result(link->try_send);
    return *result ? 0 : nng_aio_count(link->try_send);
}

/* True: the next write has begun. */
static bool end_write(struct link *link, size_t size, int result, struct write *next)
{
    bool begun, over;

    if (result)
        link_close(link, link_result_text(result));
    pthread_mutex_lock(&link->lock);
    link->writing = false;
    consume(link, size);
    begun = begin_write(link, next);
    over = link->closing;
    pthread_mutex_unlock(&link->lock);
    if (over)
        link_schedule(link); /* the worker may have waited for this only */
    return begun;
}

/* Each write that was begun holds the link. */
static void let_go(struct link *link, struct write *write)
{
    bool more = true;

    while (more) {
        int result;
        size_t size = try_write(link, write, &result);

        if (result == NNG_ECANCELED) {
            nng_aio_set_iov(link->send, write->count, write->slices);
            nng_stream_send(link->stream, link->send);
            link_take_back_when_closed(link, link->send);
            return; /* on_sent goes on */
        }
        more = end_write(link, size, result, write);
        link_drop(link);
    }
}

void link_flush(struct link *link)
{
    struct write write;
    bool begun;

    pthread_mutex_lock(&link->lock);
    begun = begin_write(link, &write);
    pthread_mutex_unlock(&link->lock);
    if (begun)
        let_go(link, &write);
}

void link_on_sent(void *context)
{
    struct link *link = context;
    int result = nng_aio_result(link->send);
    struct write write;

    if (end_write(link, result ? 0 : nng_aio_count(link->send), result, &write))
        let_go(link, &write);
    link_drop(link);
}

/* Under the lock: `size` contiguous bytes at the end of what goes out; they count once out_add was
 * called. */
static uint8_t *out_room(struct link *link, size_t size)
{
    struct block *block = link->out_last;
    size_t whole = size <= BLOCK_SMALL - sizeof *block && !block ? BLOCK_SMALL : BLOCK_LARGE;

    assert(size <= BLOCK_LARGE - sizeof *block);
    if (block && block->capacity - block->size >= size)
        return block->data + block->size;
    if (link->spare && link->spare->capacity >= size) {
        block = link->spare;
        link->spare = NULL;
    } else {
        block = memory_resize(NULL, whole);
        block->capacity = whole - sizeof *block;
    }
    block->next = NULL;
    block->sent = block->size = 0;
    if (link->out_last)
        link->out_last->next = block;
    else
        link->out = block;
    link->out_last = block;
    return block->data;
}

void link_send_handshake(struct link *link, const struct session_output *output)
{
    uint8_t *at;

    if (output->body.size == 0)
        return;
    pthread_mutex_lock(&link->lock);
    at = out_room(link, FRAMING_LENGTH_SIZE + 1 + output->body.size);
    memcpy(at + FRAMING_LENGTH_SIZE + 1, output->body.data, output->body.size);
    out_add(link, at, output->type, output->body.size);
    pthread_mutex_unlock(&link->lock);
}

static size_t sealed_size(struct bytes body)
{
    size_t parts = (1 + body.size + SESSION_PART_MAX - 1) / SESSION_PART_MAX;

    return 1 + body.size + parts * SEALED_OVERHEAD;
}

/* Under the lock. Each part is put where its sealed form will lie, so nothing is copied twice. */
static void seal_alone(struct link *link, uint8_t kind, struct bytes body)
{
    size_t done = 0, lead = 1, taken;

    close_bundle(link); /* it came before */
    do {
        uint8_t *at, *part;

        taken = body.size - done;
        if (taken > SESSION_PART_MAX - lead)
            taken = SESSION_PART_MAX - lead;
        at = out_room(link, SEALED_OVERHEAD + lead + taken);
        part = at + FRAMING_LENGTH_SIZE + 2;
        if (lead)
            part[0] = kind;
        if (taken)
            memcpy(part + lead, body.data + done, taken);
        seal_part(link, at, lead + taken, done + taken < body.size);
        done += taken;
        lead = 0;
    } while (done < body.size && !link->worn_out);
}

/* Under the lock: with room for a first frame of `size` bytes, and whatever else the block has. */
static void open_bundle(struct link *link, size_t size)
{
    uint8_t *at = out_room(link, SEALED_OVERHEAD + 1 + BUNDLE_ENTRY_OVERHEAD + size);
    size_t room = link->out_last->capacity - link->out_last->size - SEALED_OVERHEAD - 1;

    if (room > SESSION_PART_MAX - 1)
        room = SESSION_PART_MAX - 1;
    at[BUNDLE_LEAD - 1] = FRAME_BUNDLE;
    bundle_begin(&link->bundle, at + BUNDLE_LEAD, room);
}

static void seal(struct link *link, uint8_t kind, struct bytes body)
{
    bool is_added = false;

    if (!link->bundles || body.size > BUNDLE_BODY_MAX) {
        seal_alone(link, kind, body);
    } else {
        if (link->bundle.data)
            is_added = bundle_add(&link->bundle, kind, body);
        if (!is_added) {
            close_bundle(link);
            open_bundle(link, body.size);
            is_added = bundle_add(&link->bundle, kind, body);
            assert(is_added); /* a frame fits into an empty one */
        }
    }
    link->info.frames_out++;
    transport_count(link->transport, true, kind, body.size + 1);
}

/* Under the lock: into the list that transport_flush walks, and once only. */
static void mark_dirty(struct link *link)
{
    struct transport *transport = link->transport;

    if (link->dirty || link->writing)
        return; /* a write under way takes along what was added */
    link->dirty = true;
    link_hold(link);
    pthread_mutex_lock(&transport->dirty_lock);
    link->next_dirty = transport->dirty;
    transport->dirty = link;
    pthread_mutex_unlock(&transport->dirty_lock);
}

static int queue_frame(struct link *link, uint8_t kind, struct bytes body, bool own)
{
    size_t size = sealed_size(body), waiting;
    struct write write;
    bool begun = false, worn_out;
    int fault = 0;

    pthread_mutex_lock(&link->lock);
    waiting = link->out_bytes + (link->bundle.data ? link->bundle.size : 0);
    if (link->closing || link->state != LINK_UP || (link->replaced && !own)) {
        fault = FAULT_CLOSED;
    } else if (waiting > 0 && kind != FRAME_PING &&
               waiting + size > link->transport->limits.send_queue_max) {
        /* Alone any frame passes: else a small queue would never carry a large one. */
        fault = FAULT_BUSY;
        link->sends_refused++;
    } else {
        seal(link, kind, body);
        if (link->out_bytes >= BLOCK_LARGE)
            begun = begin_write(link, &write);
        else if (!own)
            mark_dirty(link); /* our own are flushed by whoever asked for them */
    }
    worn_out = link->worn_out;
    pthread_mutex_unlock(&link->lock);
    if (begun)
        let_go(link, &write);
    if (worn_out) {
        link_close(link, session_verdict_text(SESSION_WORN_OUT));
        fault = FAULT_CLOSED;
    }
    return fault;
}

int link_send(struct link *link, uint8_t kind, struct bytes body)
{
    return queue_frame(link, kind, body, false);
}

int link_send_own(struct link *link, uint8_t kind, struct bytes body)
{
    return queue_frame(link, kind, body, true);
}

static void free_blocks(struct block *block)
{
    while (block) {
        struct block *next = block->next;

        memory_give_back(block);
        block = next;
    }
}

void link_free_output(struct link *link)
{
    bundle_free(&link->bundle);
    free_blocks(link->out);
    free_blocks(link->spare);
}
