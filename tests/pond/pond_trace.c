/* The trace: a hash of all that happens, and lines that a reader can follow. A line is what a node
 * logs, or what the pond did to it; ids in it become names. */
#include "pond_parts.h"

#include <stdarg.h>

/* Two lanes of a multiply and fold; whoever wants equal hashes of two runs can have them, but only
 * on purpose. */
void trace_mix(struct pond *pond, uint64_t what, uint64_t more)
{
    uint64_t one = (pond->trace[0] ^ what) * 0x9E3779B97F4A7C15u;
    uint64_t two = (pond->trace[1] ^ more ^ pond->now_us) * 0xC2B2AE3D27D4EB4Fu;

    pond->trace[0] = one ^ (one >> 32) ^ two;
    pond->trace[1] = two ^ (two >> 29) ^ (one << 7);
}

void trace_bytes(struct pond *pond, struct bytes bytes)
{
    uint64_t word;

    for (; bytes.size >= sizeof word; bytes.data += sizeof word, bytes.size -= sizeof word) {
        memcpy(&word, bytes.data, sizeof word);
        trace_mix(pond, word, bytes.size);
    }
    word = 0;
    if (bytes.size)
        memcpy(&word, bytes.data, bytes.size);
    trace_mix(pond, word, bytes.size);
}

uint64_t pond_trace_hash(const struct pond *pond)
{
    return pond->trace[0] ^ pond->trace[1];
}

/* The text of an id at `text`: how long it is in there, and what to write for it. */
static size_t name_id(const struct pond *pond, const char *text, char name[16])
{
    static const struct {
        const char *prefix;
        enum id_kind kind;
    } kinds[] = {{"nod_", ID_NODE}, {"dkl_", ID_DUCKLING}, {"pck_", ID_PECK}};
    const struct pond_node *node;
    size_t size = ID_TEXT_SIZE - 1;
    struct id id;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strncmp(text, kinds[i].prefix, 4) != 0 || strnlen(text, size) < size ||
            !id_parse(kinds[i].kind, bytes_of(text, size), &id))
            continue;
        node = node_find(pond, &id);
        if (node)
            snprintf(name, 16, "%s", node->name);
        else
            snprintf(name, 16, "%.8s", text);
        return size;
    }
    return 0;
}

static void name_ids(const struct pond *pond, const char *text, char *line, size_t size)
{
    size_t used = 0;

    while (*text && used + 16 < size) {
        char name[16];
        size_t taken = name_id(pond, text, name);

        if (taken) {
            used += (size_t)snprintf(line + used, size - used, "%s", name);
            text += taken;
        } else {
            line[used++] = *text++;
        }
    }
    line[used] = 0;
}

static void keep_story(struct pond *pond, const char *line)
{
    size_t size = strlen(line);

    if (pond->story_size + size + 2 > pond->story_capacity) {
        pond->story_capacity = 2 * (pond->story_size + size + 2);
        pond->story = memory_resize(pond->story, pond->story_capacity);
    }
    memcpy(pond->story + pond->story_size, line, size);
    pond->story_size += size;
    pond->story[pond->story_size++] = '\n';
    pond->story[pond->story_size] = 0;
}

void trace_line(struct pond *pond, const struct pond_node *node, const char *format, ...)
{
    char said[LINE_SIZE], named[LINE_SIZE - 40], *line;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(said, sizeof said, format, arguments);
    va_end(arguments);
    name_ids(pond, said, named, sizeof named);
    line = pond->lines[pond->line_count++ % LINES_KEPT];
    snprintf(line, LINE_SIZE, "[%7llu] %-5s %s", (unsigned long long)(pond->now_us / MS_US),
             node ? node->name : "", named);
    trace_bytes(pond, bytes_of_text(line));
    if (pond->wish.trace)
        fprintf(pond->wish.out ? pond->wish.out : stdout, "%s\n", line);
    if (pond->wish.story)
        keep_story(pond, line);
}

const char *pond_story(struct pond *pond)
{
    pond->story_size = 0; /* what was told is overwritten by what comes */
    return pond->story ? pond->story : "";
}

void trace_free(struct pond *pond)
{
    memory_give_back(pond->lines);
    memory_give_back(pond->story);
    memory_give_back(pond->broken);
}
