/* Header lines of a request, "name: value" a line, the first line being its target: nothing that
 * two parsers read differently gets by. */
#include "guard.h"
#include "people.h"

static struct bytes next_line(struct bytes *rest)
{
    const uint8_t *end = rest->size > 0 ? memchr(rest->data, '\n', rest->size) : NULL;
    struct bytes line = bytes_of(rest->data, end ? (size_t)(end - rest->data) : rest->size);
    size_t used = line.size + (end ? 1 : 0);

    *rest = bytes_of(rest->data + used, rest->size - used);
    return line;
}

static void see_line(struct guard_headers *headers, struct bytes line)
{
    const uint8_t *colon = line.size > 0 ? memchr(line.data, ':', line.size) : NULL;
    size_t name_size = colon ? (size_t)(colon - line.data) : line.size;
    struct bytes value = {0};

    if (colon)
        value = bytes_of(colon + 1, line.size - name_size - 1);
    (void)guard_see(headers, bytes_of(line.data, name_size), value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct guard_hosts hosts = {.hosts = {"duck.example"},
                                             .host_count = 1,
                                             .origins = {"https://app.example"},
                                             .origin_count = 1};
    struct bytes rest = bytes_of(data, size), target;
    struct guard_headers headers = {0};
    char path[256] = "";

    if (size == 0)
        return 0;
    target = next_line(&rest);
    if (target.size < sizeof path)
        memcpy(path, target.data, target.size);
    while (rest.size > 0)
        see_line(&headers, next_line(&rest));
    if (guard_judge(&headers, path) == GUARD_TAKEN) {
        MUST(headers.verdict == GUARD_TAKEN);
        MUST(!headers.content_length.data || !headers.transfer_encoding.data);
    }
    (void)guard_content_length(&headers);
    (void)guard_place(&hosts, &headers);
    (void)guard_origin_is_listed(&hosts, &headers);
    return 0;
}
