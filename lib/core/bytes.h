/* bytes: borrowed slices, and the memory they point into.
 *
 * A `struct bytes` never owns. Who keeps something beyond a call copies it, usually into an arena
 * whose life is known: one frame, one message, one turn. */
#ifndef DUCK_CORE_BYTES_H
#define DUCK_CORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data;
    size_t size;
};

static inline struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){.data = data, .size = size};
}

static inline struct bytes bytes_of_text(const char *text)
{
    return bytes_of(text, strlen(text));
}

bool bytes_equal(struct bytes left, struct bytes right); /* not for secrets: stops early */

/* True when `text` is valid UTF-8 (RFC 3629) without control characters (U+0000 to U+001F, U+007F
 * to U+009F); newline and tab pass when `lines` is set. */
bool bytes_are_text(struct bytes text, bool lines);

/* The beginning of `text`, which is valid UTF-8, that has at most `max` bytes and ends with a whole character. */
struct bytes bytes_cut(struct bytes text, size_t max);

/* True when `text` is text in one line that people see as it is: something in it is visible, and
 * nothing turns its direction round or joins, hides or blanks what stands beside it (Unicode
 * Standard Annex 9, section 2; Technical Standard 39, section 5.4). For names: one that is shown
 * beside others must not look like another. */
bool bytes_are_display_name(struct bytes text);

/* How many bytes of `text` stand before the first character that a terminal does not show as it is: a control character, a
 * mark that turns the direction of what stands beside it, or what is no UTF-8. `*size`: of that one; 0 at the end. */
size_t bytes_plain(struct bytes text, size_t *size, uint32_t *point);

/* True when `text` can be JSON (RFC 8259) as far as bytes tell: not empty, valid UTF-8, and of the
 * control characters below U+0020 only white space. Whether it parses is for who reads it. */
bool bytes_may_be_json(struct bytes text);

/* True when every byte is one of [a-z0-9_.-]: the alphabet of actions, scopes, capabilities. */
bool bytes_are_name(struct bytes text);

/* arena: memory that is taken in pieces and given back as a whole.
 *
 * `budget` bounds the sum of what may be taken (bytes); beyond it arena_take returns NULL, so a
 * parser of hostile bytes cannot be made to take more. What the machine itself cannot give stops
 * the process: see memory_take. */
struct arena {
    struct arena_chunk *chunks;
    size_t budget, taken;
};

void arena_init(struct arena *arena, size_t budget);

/* The same, beginning in `memory`, which stays the caller's and outlives the arena. */
void arena_init_in(struct arena *arena, size_t budget, void *memory, size_t size);
void *arena_take(struct arena *arena, size_t size);                     /* aligned; NULL: budget */
struct bytes arena_copy(struct arena *arena, struct bytes bytes);       /* .data NULL: budget */
void arena_reset(struct arena *arena); /* keeps one chunk for the next use */
void arena_wipe(struct arena *arena);  /* overwrites what was taken, then resets */
void arena_free(struct arena *arena);

/* An allocator for protobuf-c's unpack, over `arena`. `ProtobufCAllocator` is not named here so
 * that wire types stay inside .c files; the result is one. Borrowed from the arena. */
void *arena_protobuf_allocator(struct arena *arena);

/* memory_take: zeroed memory, or the end of the process with a message. Running on without memory
 * would mean a path that nobody walks; everything acknowledged is on disk, and the supervisor
 * starts us again. memory_resize keeps the contents; memory_give_back takes NULL. */
void *memory_take(size_t size);
void *memory_resize(void *memory, size_t size);
void *memory_copy(const void *data, size_t size);
void memory_give_back(void *memory);

/* That end, for memory that comes from elsewhere: guarded, for keys. */
_Noreturn void memory_ran_out(void);

#endif
