#include "guard.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stddef.h>
#include <strings.h>

#define HOST_MAX 255 /* bytes, with port */

/* tchar of RFC 9110, section 5.6.2. */
static bool is_token_byte(uint8_t byte)
{
    return isalnum(byte) || (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

static bool is_token(struct bytes name)
{
    for (size_t i = 0; i < name.size; i++)
        if (!is_token_byte(name.data[i]))
            return false;
    return name.size > 0;
}

/* field-content of RFC 9110, section 5.5: no control character but the tab. */
static bool is_value(struct bytes value)
{
    for (size_t i = 0; i < value.size; i++)
        if ((value.data[i] < 0x20 && value.data[i] != '\t') || value.data[i] == 0x7f)
            return false;
    return true;
}

static bool is_same_word(struct bytes word, const char *text)
{
    return word.size == strlen(text) && !strncasecmp((const char *)word.data, text, word.size);
}

static struct bytes *place_of(struct guard_headers *headers, struct bytes name)
{
    static const struct {
        const char *name;
        size_t offset;
    } known[] = {
        {"Host", offsetof(struct guard_headers, host)},
        {"Origin", offsetof(struct guard_headers, origin)},
        {"Authorization", offsetof(struct guard_headers, authorization)},
        {"Content-Type", offsetof(struct guard_headers, content_type)},
        {"Content-Length", offsetof(struct guard_headers, content_length)},
        {"Transfer-Encoding", offsetof(struct guard_headers, transfer_encoding)},
        {"Idempotency-Key", offsetof(struct guard_headers, idempotency_key)},
        {"traceparent", offsetof(struct guard_headers, traceparent)},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (is_same_word(name, known[i].name))
            return (struct bytes *)((char *)headers + known[i].offset);
    return NULL;
}

bool guard_see(struct guard_headers *headers, struct bytes name, struct bytes value)
{
    struct bytes *place;

    if (!is_token(name)) {
        headers->verdict = GUARD_BAD_NAME;
        return false;
    }
    if (!is_value(value)) {
        headers->verdict = GUARD_BAD_VALUE;
        return false;
    }
    place = place_of(headers, name);
    if (!place)
        return true;
    if (place->data) {
        headers->verdict = GUARD_TWICE;
        return false;
    }
    *place = bytes_of(value.data ? value.data : (const uint8_t *)"", value.size);
    return true;
}

static bool is_number(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return text.size > 0;
}

uint64_t guard_content_length(const struct guard_headers *headers)
{
    uint64_t length = 0;

    for (size_t i = 0; i < headers->content_length.size; i++) {
        uint64_t digit = (uint64_t)(headers->content_length.data[i] - '0');

        if (length > (UINT64_MAX - digit) / 10)
            return UINT64_MAX;
        length = length * 10 + digit;
    }
    return length;
}

/* origin-form of RFC 9112, section 3.2.1, or the asterisk. */
static bool is_path(const char *target)
{
    if (!strcmp(target, "*"))
        return true;
    if (target[0] != '/')
        return false;
    for (const char *at = target; *at; at++)
        if (*at <= 0x20 || *at >= 0x7f || !strncmp(at, "%00", 3))
            return false;
    return true;
}

enum guard_verdict guard_judge(struct guard_headers *headers, const char *target)
{
    if (headers->verdict != GUARD_TAKEN)
        return headers->verdict;
    if (headers->content_length.data && headers->transfer_encoding.data)
        headers->verdict = GUARD_TWO_LENGTHS;
    else if (headers->content_length.data && !is_number(headers->content_length))
        headers->verdict = GUARD_BAD_LENGTH;
    else if (headers->transfer_encoding.data &&
             !is_same_word(headers->transfer_encoding, "chunked"))
        headers->verdict = GUARD_BAD_CODING;
    else if (!is_path(target))
        headers->verdict = GUARD_BAD_TARGET;
    return headers->verdict;
}

/* ---- for us? ---- */

/* Takes the port off "name:port" and "[address]:port". False: it is neither. */
static bool host_name(struct bytes host, char name[HOST_MAX + 1])
{
    size_t size = host.size;
    const uint8_t *port;

    if (size == 0 || size > HOST_MAX)
        return false;
    if (host.data[0] == '[') {
        const uint8_t *end = memchr(host.data, ']', size);

        if (!end)
            return false;
        size = (size_t)(end - host.data) + 1;
        if (size < host.size && host.data[size] != ':')
            return false;
    } else {
        port = memchr(host.data, ':', size);
        size = port ? (size_t)(port - host.data) : size;
    }
    port = host.data + size;
    if (size < host.size && host.size - size > 1 &&
        !is_number(bytes_of(port + 1, host.size - size - 1)))
        return false;
    if (size > 1 && host.data[size - 1] == '.')
        size--; /* a full name's last dot */
    memcpy(name, host.data, size);
    name[size] = 0;
    return size > 0;
}

static bool is_address(const char *name)
{
    struct in6_addr address;
    char inside[HOST_MAX + 1];
    size_t size = strlen(name);

    if (name[0] != '[')
        return inet_pton(AF_INET, name, &address) == 1;
    memcpy(inside, name + 1, size - 1);
    inside[size - 2] = 0;
    return inet_pton(AF_INET6, inside, &address) == 1;
}

static bool is_local_name(const char *name)
{
    size_t size = strlen(name);

    return !strcasecmp(name, "localhost") ||
           (size > 10 && !strcasecmp(name + size - 10, ".localhost")); /* RFC 6761, section 6.3 */
}

static bool host_is_ours(const struct guard_hosts *hosts, struct bytes host)
{
    char name[HOST_MAX + 1];

    if (!host_name(host, name))
        return false;
    if (is_address(name) || is_local_name(name))
        return true;
    for (size_t i = 0; i < hosts->host_count; i++)
        if (!strcasecmp(hosts->hosts[i], name))
            return true;
    return false;
}

bool guard_origin_is_listed(const struct guard_hosts *hosts, const struct guard_headers *headers)
{
    for (size_t i = 0; headers->origin.data && i < hosts->origin_count; i++)
        if (is_same_word(headers->origin, hosts->origins[i]))
            return true;
    return false;
}

/* The scheme is left out: behind a proxy that ends TLS the page is https and we are http. */
static bool origin_is_host(struct bytes origin, struct bytes host)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(schemes[i]);

        if (origin.size == size + host.size && host.size > 0 &&
            !strncasecmp((const char *)origin.data, schemes[i], size) &&
            !strncasecmp((const char *)origin.data + size, (const char *)host.data, host.size))
            return true;
    }
    return false;
}

enum guard_verdict guard_place(const struct guard_hosts *hosts, const struct guard_headers *headers)
{
    /* Without Host it is HTTP/1.0, and no browser. */
    if (headers->host.data && !host_is_ours(hosts, headers->host))
        return GUARD_FOREIGN_HOST;
    if (headers->origin.data && !guard_origin_is_listed(hosts, headers) &&
        !origin_is_host(headers->origin, headers->host))
        return GUARD_FOREIGN_ORIGIN;
    return GUARD_TAKEN;
}

const char *guard_verdict_text(enum guard_verdict verdict)
{
    switch (verdict) {
    case GUARD_TAKEN:
        return "taken";
    case GUARD_BAD_NAME:
        return "the name of a header is not a token";
    case GUARD_BAD_VALUE:
        return "the value of a header holds a control character";
    case GUARD_TWICE:
        return "a header that may stand only once stands there twice";
    case GUARD_TWO_LENGTHS:
        return "Content-Length and Transfer-Encoding exclude each other";
    case GUARD_BAD_LENGTH:
        return "Content-Length is not a number";
    case GUARD_BAD_CODING:
        return "no Transfer-Encoding but chunked is understood";
    case GUARD_BAD_TARGET:
        return "the target of the request must be a path";
    case GUARD_FOREIGN_HOST:
        return "this Host is not served here; the operator can allow it (--allow-host)";
    case GUARD_FOREIGN_ORIGIN:
        return "pages of this Origin may not call; the operator can allow it (--allow-origin)";
    }
    return "unknown";
}
