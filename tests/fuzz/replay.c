/* replay: the seeds of a fuzz target without a fuzzer, as a test: each as it is, cut at every
 * length, and with each byte changed; and with each piece refused that its parser takes of an arena whose
 * budget is spent. Usage: NAME FOLDER-OR-FILE… */
#include "people.h"

#include <dirent.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <sys/stat.h>

#define SEED_SIZE_MAX (1024u * KIB)
#define CHANGES_MAX 400u /* of one seed, spread over it */

#define REFUSALS_MAX 400u /* of one seed */

static size_t inputs, refusals;

/* ---- an arena that is spent ---- */

bool memory_is_short;
static size_t refuse_at, asked; /* counted through all parsers of an input */

static void *take(void *context, size_t size)
{
    ProtobufCAllocator *inner = context;

    return ++asked == refuse_at ? NULL : inner->alloc(inner->allocator_data, size);
}

static void give_back(void *context, void *memory)
{
    ProtobufCAllocator *inner = context;

    inner->free(inner->allocator_data, memory);
}

ProtobufCMessage *__real_protobuf_c_message_unpack(const ProtobufCMessageDescriptor *descriptor,
                                                   ProtobufCAllocator *allocator, size_t size,
                                                   const uint8_t *data);
ProtobufCMessage *__wrap_protobuf_c_message_unpack(const ProtobufCMessageDescriptor *descriptor,
                                                   ProtobufCAllocator *allocator, size_t size,
                                                   const uint8_t *data);

/* The linker puts it in the place of protobuf-c's. Where there is no arena it is the process's memory, and
 * without that the process ends. */
ProtobufCMessage *__wrap_protobuf_c_message_unpack(const ProtobufCMessageDescriptor *descriptor,
                                                   ProtobufCAllocator *allocator, size_t size,
                                                   const uint8_t *data)
{
    ProtobufCAllocator spent = {take, give_back, allocator};

    return __real_protobuf_c_message_unpack(descriptor, allocator ? &spent : NULL, size, data);
}

/* ---- inputs ---- */

static void try(const uint8_t *data, size_t size)
{
    uint8_t *copy =
        memory_take(size + 1); /* of exactly that size, so that a read beyond it is seen */

    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    memory_give_back(copy);
    inputs++;
}

static void try_refused(const uint8_t *data, size_t size)
{
    memory_is_short = true;
    for (refuse_at = 1; refuse_at <= REFUSALS_MAX; refuse_at++) {
        asked = 0;
        try(data, size);
        if (asked < refuse_at)
            break;
        refusals++;
    }
    refuse_at = 0;
    memory_is_short = false;
}

static void try_changed(uint8_t *data, size_t size)
{
    size_t step = size / CHANGES_MAX + 1;

    for (size_t i = 0; i < size; i += step) {
        uint8_t was = data[i];
        try(data, i);
        data[i] = (uint8_t)(was ^ (1u << (i % 8)));
        try(data, size);
        data[i] = 0xff;
        try(data, size);
        data[i] = was;
    }
}

static bool replay_file(const char *path)
{
    uint8_t *data = memory_take(SEED_SIZE_MAX);
    FILE *file = fopen(path, "rb");
    size_t size;

    if (!file) {
        perror(path);
        memory_give_back(data);
        return false;
    }
    size = fread(data, 1, SEED_SIZE_MAX, file);
    fclose(file);
    try(data, size);
    try_refused(data, size);
    try_changed(data, size);
    memory_give_back(data);
    return true;
}

static bool replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    bool fine = folder != NULL;

    while (fine && (entry = readdir(folder))) {
        char file[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        fine = replay_file(file);
    }
    if (folder)
        closedir(folder);
    return fine;
}

int main(int count, char **arguments)
{
    bool fine = count > 1;

    for (int i = 1; i < count && fine; i++) {
        struct stat status;
        fine = stat(arguments[i], &status) == 0 &&
               (S_ISDIR(status.st_mode) ? replay_folder(arguments[i]) : replay_file(arguments[i]));
    }
    printf("%zu inputs, %zu refused pieces of memory\n", inputs, refusals);
    return fine && inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
