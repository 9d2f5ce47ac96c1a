#include "bytes.h"

#include <protobuf-c/protobuf-c.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_MIN 2048u /* bytes: most frames and turns fit into one */
#define ALIGNMENT 16u

bool bytes_equal(struct bytes left, struct bytes right)
{
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

/* How many bytes the UTF-8 sequence at `text` has; 0: it is none. RFC 3629, section 4. */
static size_t sequence_size(struct bytes text, uint32_t *point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = text.data[0];
    size_t size = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;

    if (size == 0 || first > 0xF4 || size > text.size)
        return 0;
    *point = size == 1 ? first : first & (0x7Fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((text.data[i] & 0xC0) != 0x80)
            return 0;
        *point = *point << 6 | (text.data[i] & 0x3F);
    }
    if (*point < least[size] || *point > 0x10FFFF || (*point >= 0xD800 && *point <= 0xDFFF))
        return 0;
    return size;
}

bool bytes_are_text(struct bytes text, bool lines)
{
    while (text.size > 0) {
        uint32_t point = 0;
        size_t size = sequence_size(text, &point);
        bool is_control = point < 0x20 || (point >= 0x7F && point < 0xA0);

        if (size == 0 || (is_control && !(lines && (point == '\n' || point == '\t'))))
            return false;
        text.data += size;
        text.size -= size;
    }
    return true;
}

struct bytes bytes_cut(struct bytes text, size_t max)
{
    size_t size = text.size < max ? text.size : max;

    while (size < text.size && size > 0 && (text.data[size] & 0xC0) == 0x80)
        size--;
    return bytes_of(text.data, size);
}

struct points {
    uint32_t first, last;
};

static bool is_among(uint32_t point, const struct points *points, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (point >= points[i].first && point <= points[i].last)
            return true;
    return false;
}

/* What has no shape of its own but changes how others look, or is only looked for by programs. */
static bool is_hidden(uint32_t point)
{
    static const struct points hidden[] = {
        {0x00AD, 0x00AD},   /* soft hyphen */
        {0x034F, 0x034F},   /* grapheme joiner */
        {0x061C, 0x061C},   /* Arabic letter mark: bidi */
        {0x115F, 0x1160},   /* Hangul fillers */
        {0x17B4, 0x17B5},   /* Khmer inherent vowels */
        {0x180B, 0x180F},   /* Mongolian selectors */
        {0x200B, 0x200F},   /* zero width; bidi marks */
        {0x2028, 0x202E},   /* line and paragraph; bidi embeddings and overrides */
        {0x2060, 0x206F},   /* word joiner, invisible operators; bidi isolates */
        {0x3164, 0x3164},   /* Hangul filler */
        {0xFEFF, 0xFEFF},   /* byte order mark */
        {0xFFA0, 0xFFA0},   /* Hangul filler, half width */
        {0xFFF0, 0xFFFB},   /* interlinear annotation */
        {0x1BCA0, 0x1BCA3}, /* shorthand format */
        {0x1D173, 0x1D17A}, /* musical format */
        {0xE0000, 0xE0FFF}, /* tags, further selectors */
    };

    return is_among(point, hidden, sizeof hidden / sizeof *hidden);
}

static bool is_blank(uint32_t point)
{
    static const struct points blank[] = {
        {0x0020, 0x0020}, {0x00A0, 0x00A0}, {0x1680, 0x1680}, {0x2000, 0x200A}, {0x202F, 0x202F},
        {0x205F, 0x205F}, {0x2800, 0x2800}, {0x3000, 0x3000}, {0xFE00, 0xFE0F},
    };

    return is_among(point, blank, sizeof blank / sizeof *blank);
}

bool bytes_are_display_name(struct bytes text)
{
    bool is_visible = false;

    if (!bytes_are_text(text, false))
        return false;
    while (text.size > 0) {
        uint32_t point = 0;
        size_t size = sequence_size(text, &point);

        if (is_hidden(point))
            return false;
        is_visible = is_visible || !is_blank(point);
        text.data += size;
        text.size -= size;
    }
    return is_visible;
}

/* Unicode Standard Annex 9, section 2; and what ends a line or a paragraph. */
static bool is_turning(uint32_t point)
{
    static const struct points turning[] = {
        {0x061C, 0x061C}, {0x200E, 0x200F}, {0x2028, 0x202E}, {0x2066, 0x2069}};

    return is_among(point, turning, sizeof turning / sizeof *turning);
}

size_t bytes_plain(struct bytes text, size_t *size, uint32_t *point)
{
    size_t plain = 0;

    while (plain < text.size) {
        *size = sequence_size(bytes_of(text.data + plain, text.size - plain), point);
        if (*size == 0) { /* a byte of no character */
            *size = 1;
            *point = text.data[plain];
            return plain;
        }
        if (*point < 0x20 || (*point >= 0x7F && *point < 0xA0) || is_turning(*point))
            return plain;
        plain += *size;
    }
    *size = 0;
    return plain;
}

/* Eight bytes that are all printable ASCII? Payloads are large and mostly that. */
static bool are_plain(const uint8_t *data)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t eight;

    memcpy(&eight, data, sizeof eight);
    /* Below 0x80 no byte borrows from its neighbour unless one is below 0x20. */
    return ((eight | (eight - ones * 0x20)) & ones * 0x80) == 0;
}

bool bytes_may_be_json(struct bytes text)
{
    if (text.size == 0)
        return false;
    while (text.size > 0) {
        uint32_t point = 0;
        size_t size = text.size >= 8 && are_plain(text.data) ? 8 : sequence_size(text, &point);
        bool is_control = size == 1 && point < 0x20;

        if (size == 0 || (is_control && point != '\t' && point != '\n' && point != '\r'))
            return false;
        text.data += size;
        text.size -= size;
    }
    return true;
}

bool bytes_are_name(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
            return false;
    }
    return true;
}

/* ---- arena ---- */

struct arena_chunk {
    struct arena_chunk *older;
    size_t size, used;
    bool is_lent; /* to the arena: nothing to free */
    _Alignas(ALIGNMENT) uint8_t memory[];
};

void arena_init(struct arena *arena, size_t budget)
{
    *arena = (struct arena){.budget = budget};
}

void arena_init_in(struct arena *arena, size_t budget, void *memory, size_t size)
{
    size_t skipped = -(uintptr_t)memory & (ALIGNMENT - 1);
    struct arena_chunk *chunk = (struct arena_chunk *)(void *)((uint8_t *)memory + skipped);

    arena_init(arena, budget);
    if (size <= skipped + sizeof *chunk)
        return;
    *chunk = (struct arena_chunk){.size = size - skipped - sizeof *chunk, .is_lent = true};
    arena->chunks = chunk;
}

static void chunk_free(struct arena_chunk *chunk)
{
    if (!chunk->is_lent)
        free(chunk);
}

static struct arena_chunk *chunk_for(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = arena->chunks;
    size_t wanted = chunk ? chunk->size * 2 : CHUNK_MIN;

    if (chunk && chunk->size - chunk->used >= size)
        return chunk;
    if (wanted < size)
        wanted = size;
    chunk = malloc(sizeof *chunk + wanted);
    if (!chunk)
        memory_ran_out();
    chunk->size = wanted;
    chunk->used = 0;
    chunk->is_lent = false;
    chunk->older = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

void *arena_take(struct arena *arena, size_t size)
{
    size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct arena_chunk *chunk;
    void *taken;

    if (rounded < size || rounded > arena->budget - arena->taken)
        return NULL;
    chunk = chunk_for(arena, rounded);
    taken = chunk->memory + chunk->used;
    chunk->used += rounded;
    arena->taken += rounded;
    return taken;
}

struct bytes arena_copy(struct arena *arena, struct bytes bytes)
{
    uint8_t *copy = arena_take(arena, bytes.size ? bytes.size : 1);

    if (!copy)
        return bytes_of(NULL, 0);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return bytes_of(copy, bytes.size);
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *kept = arena->chunks;

    if (!kept)
        return;
    /* The newest is the largest: after a few uses all of a turn fits into it. */
    while (kept->older) {
        struct arena_chunk *older = kept->older;

        kept->older = older->older;
        chunk_free(older);
    }
    kept->used = 0;
    arena->taken = 0;
}

void arena_wipe(struct arena *arena)
{
    for (struct arena_chunk *chunk = arena->chunks; chunk; chunk = chunk->older)
        sodium_memzero(chunk->memory, chunk->used);
    arena_reset(arena);
}

void arena_free(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *older = arena->chunks->older;

        chunk_free(arena->chunks);
        arena->chunks = older;
    }
    arena->taken = 0;
}

static void *protobuf_take(void *context, size_t size)
{
    return arena_take(context, size);
}

static void protobuf_give_back(void *context, void *memory)
{
    (void)context;
    (void)memory;
}

void *arena_protobuf_allocator(struct arena *arena)
{
    ProtobufCAllocator *allocator = arena_take(arena, sizeof *allocator);
    static struct arena empty; /* no budget: whatever is asked of it is refused */
    static ProtobufCAllocator refusing = {protobuf_take, protobuf_give_back, &empty};

    if (!allocator)
        return &refusing;
    allocator->alloc = protobuf_take;
    allocator->free = protobuf_give_back;
    allocator->allocator_data = arena;
    return allocator;
}

/* ---- memory ---- */

void memory_ran_out(void)
{
    fputs("out of memory\n", stderr);
    abort();
}

void *memory_take(size_t size)
{
    void *memory = calloc(1, size ? size : 1);

    if (!memory)
        memory_ran_out();
    return memory;
}

void *memory_resize(void *memory, size_t size)
{
    void *resized = realloc(memory, size ? size : 1);

    if (!resized)
        memory_ran_out();
    return resized;
}

void *memory_copy(const void *data, size_t size)
{
    void *copy = memory_take(size);

    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

void memory_give_back(void *memory)
{
    free(memory);
}
