#include "reconcile_message.h"

#define VARINT_MAX 10u /* bytes */
#define GROUP_BITS 7u
#define MORE 0x80u
#define READ_AT_ONCE 64u /* stamps */

/* ---- reading ---- */

struct range_reader range_reader_of(struct bytes message)
{
    return (struct range_reader){.rest = bytes_of(message.data + 1, message.size - 1)};
}

static bool read_bytes(struct range_reader *reader, size_t size, struct bytes *bytes)
{
    if (size > reader->rest.size)
        return false;
    *bytes = bytes_of(reader->rest.data, size);
    reader->rest = bytes_of(reader->rest.data + size, reader->rest.size - size);
    return true;
}

static bool read_varint(struct range_reader *reader, uint64_t *number)
{
    struct bytes rest = reader->rest;

    *number = 0;
    if (rest.size > 0 && rest.data[0] == MORE)
        return false;
    for (size_t i = 0; i < rest.size && i < VARINT_MAX; i++) {
        if (*number > UINT64_MAX >> GROUP_BITS)
            return false;
        *number = *number << GROUP_BITS | (rest.data[i] & (MORE - 1));
        if (!(rest.data[i] & MORE)) {
            reader->rest = bytes_of(rest.data + i + 1, rest.size - i - 1);
            return true;
        }
    }
    return false;
}

static bool read_bound(struct range_reader *reader, struct bound *bound)
{
    uint64_t later, size, before_s = reader->before.at_s;
    struct bytes hash;

    *bound = (struct bound){0};
    if (!read_varint(reader, &later) || !read_varint(reader, &size) || size > HASH_SIZE ||
        !read_bytes(reader, (size_t)size, &hash))
        return false;
    if (later == 0 || later - 1 > UINT64_MAX - before_s)
        bound->at_s = BOUND_INFINITY;
    else
        bound->at_s = before_s + (later - 1);
    if (hash.size > 0)
        memcpy(bound->hash.bytes, hash.data, hash.size);
    bound->hash_size = hash.size;
    return bound_compare(&reader->before, bound) <= 0;
}

static bool read_payload(struct range_reader *reader, uint64_t mode, struct range *range)
{
    uint64_t count;

    switch (mode) {
    case RANGE_SKIP:
        return read_bytes(reader, 0, &range->payload);
    case RANGE_FINGERPRINT:
        return read_bytes(reader, RECORDSET_PRINT_SIZE, &range->payload);
    case RANGE_LIST:
        return read_varint(reader, &count) && count <= reader->rest.size / HASH_SIZE &&
               read_bytes(reader, (size_t)count * HASH_SIZE, &range->payload);
    default:
        return false;
    }
}

bool range_next(struct range_reader *reader, struct range *range)
{
    uint64_t mode;

    if (reader->malformed || reader->rest.size == 0)
        return false;
    if (!read_bound(reader, &range->end) || !read_varint(reader, &mode) ||
        !read_payload(reader, mode, range)) {
        reader->malformed = true;
        return false;
    }
    range->mode = (enum range_mode)mode;
    reader->before = range->end;
    return true;
}

/* ---- writing ---- */

static void put(struct range_writer *writer, const void *data, size_t size)
{
    if (size > writer->room - writer->size) {
        writer->room = 2 * writer->room + size;
        writer->data = memory_resize(writer->data, writer->room);
    }
    if (size > 0)
        memcpy(writer->data + writer->size, data, size);
    writer->size += size;
}

static void put_varint(struct range_writer *writer, uint64_t number)
{
    uint8_t data[VARINT_MAX];
    size_t at = sizeof data - 1;

    data[at] = (uint8_t)(number & (MORE - 1));
    while (number >>= GROUP_BITS)
        data[--at] = (uint8_t)((number & (MORE - 1)) | MORE);
    put(writer, data + at, sizeof data - at);
}

static void put_bound(struct range_writer *writer, const struct bound *bound)
{
    put_varint(writer, bound->at_s == BOUND_INFINITY ? 0 : bound->at_s - writer->before_s + 1);
    put_varint(writer, bound->hash_size);
    put(writer, bound->hash.bytes, bound->hash_size);
    writer->before_s = bound->at_s;
}

void range_writer_begin(struct range_writer *writer)
{
    const uint8_t version = RECONCILE_VERSION;

    writer->size = 0;
    writer->before_s = 0;
    put(writer, &version, 1);
}

void range_writer_free(struct range_writer *writer)
{
    memory_give_back(writer->data);
}

void range_put_skip(struct range_writer *writer, const struct bound *end)
{
    put_bound(writer, end);
    put_varint(writer, RANGE_SKIP);
}

void range_put_fingerprint(struct range_writer *writer, const struct bound *end,
                           const uint8_t print[RECORDSET_PRINT_SIZE])
{
    put_bound(writer, end);
    put_varint(writer, RANGE_FINGERPRINT);
    put(writer, print, RECORDSET_PRINT_SIZE);
}

void range_put_list(struct range_writer *writer, const struct bound *bound,
                    const struct recordset *set, size_t begin, size_t end)
{
    struct stamp stamps[READ_AT_ONCE];

    put_bound(writer, bound);
    put_varint(writer, RANGE_LIST);
    put_varint(writer, end - begin);
    while (begin < end) {
        size_t count = end - begin < READ_AT_ONCE ? end - begin : READ_AT_ONCE;
        count = recordset_read(set, begin, stamps, count);
        for (size_t i = 0; i < count; i++)
            put(writer, stamps[i].hash.bytes, HASH_SIZE);
        begin += count;
    }
}

/* ---- bounds ---- */

int bound_compare(const struct bound *left, const struct bound *right)
{
    if (left->at_s != right->at_s)
        return left->at_s < right->at_s ? -1 : 1;
    if (left->at_s == BOUND_INFINITY)
        return 0;
    return memcmp(left->hash.bytes, right->hash.bytes, HASH_SIZE);
}

struct bound bound_infinity(void)
{
    return (struct bound){.at_s = BOUND_INFINITY};
}

struct bound bound_at(uint64_t at_s)
{
    return (struct bound){.at_s = at_s};
}

struct bound bound_before(const struct stamp *stamp)
{
    return (struct bound){.at_s = stamp->at_s, .hash = stamp->hash, .hash_size = HASH_SIZE};
}

struct bound bound_between(const struct stamp *left, const struct stamp *right)
{
    struct bound bound = bound_at(right->at_s);

    if (left->at_s != right->at_s)
        return bound;
    while (bound.hash_size < HASH_SIZE &&
           left->hash.bytes[bound.hash_size] == right->hash.bytes[bound.hash_size])
        bound.hash_size++;
    if (bound.hash_size < HASH_SIZE)
        bound.hash_size++;
    memcpy(bound.hash.bytes, right->hash.bytes, bound.hash_size);
    return bound;
}

size_t bound_seek(const struct bound *bound, const struct recordset *set)
{
    struct stamp stamp = {.hash = bound->hash};

    if (bound->at_s >= STAMP_TIME_END)
        return recordset_count(set);
    stamp.at_s = (uint32_t)bound->at_s;
    return recordset_seek(set, &stamp);
}
