#include "forwarded.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>

#define FOUR_BYTES 3 /* /24 */
#define SIX_BYTES 7  /* /56 */

void forwarded_add(struct forwarded_lines *lines, struct bytes line)
{
    if (lines->count == FORWARDED_LINES_MAX) {
        memmove(lines->list, lines->list + 1, sizeof lines->list - sizeof lines->list[0]);
        lines->count--;
    }
    lines->list[lines->count++] = line;
}

/* ---- addresses ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

/* An IPv4 address that is written as one of IPv6 becomes what it is. */
static bool read_address(const char *text, union address *address)
{
    *address = (union address){.any = {.sa_family = AF_INET}};
    if (inet_pton(AF_INET, text, &address->four.sin_addr) == 1)
        return true;
    *address = (union address){.six = {.sin6_family = AF_INET6}};
    if (inet_pton(AF_INET6, text, &address->six.sin6_addr) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&address->six.sin6_addr)) {
        struct in_addr four;

        memcpy(&four, address->six.sin6_addr.s6_addr + 12, sizeof four);
        *address = (union address){.four = {.sin_family = AF_INET, .sin_addr = four}};
    }
    return true;
}

static void write_address(const union address *address, char text[FORWARDED_ADDRESS_SIZE])
{
    if (address->any.sa_family == AF_INET)
        inet_ntop(AF_INET, &address->four.sin_addr, text, FORWARDED_ADDRESS_SIZE);
    else
        inet_ntop(AF_INET6, &address->six.sin6_addr, text, FORWARDED_ADDRESS_SIZE);
}

bool forwarded_is_listed(const struct allow_list *list, const char *address)
{
    union address read;

    return list->count > 0 && read_address(address, &read) &&
           allow_list_has_address(list, &read.any);
}

size_t forwarded_prefix(const char *address, uint8_t prefix[FORWARDED_PREFIX_SIZE])
{
    union address read;
    size_t size;

    if (!read_address(address, &read))
        return 0;
    size = read.any.sa_family == AF_INET ? FOUR_BYTES : SIX_BYTES;
    memcpy(prefix,
           read.any.sa_family == AF_INET ? (const void *)&read.four.sin_addr
                                         : (const void *)&read.six.sin6_addr,
           size);
    return size;
}

bool forwarded_is_loopback(const char *address)
{
    union address read;

    if (!read_address(address, &read))
        return false;
    if (read.any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&read.six.sin6_addr);
    return (ntohl(read.four.sin_addr.s_addr) >> 24) == 127;
}

/* ---- the header ---- */

static struct bytes trimmed(struct bytes text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = bytes_of(text.data + 1, text.size - 1);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* What stands after the last `mark`, which the text then ends before. Within quotes a mark is none. */
static struct bytes cut_last(struct bytes *text, char mark)
{
    struct bytes whole = *text;
    bool is_quoted = false;

    for (size_t at = whole.size; at > 0; at--) {
        char byte = (char)whole.data[at - 1];

        is_quoted ^= byte == '"';
        if (byte == mark && !is_quoted) {
            text->size = at - 1;
            return trimmed(bytes_of(whole.data + at, whole.size - at));
        }
    }
    *text = bytes_of(NULL, 0);
    return trimmed(whole);
}

/* node of RFC 7239, section 6, and what proxies write into X-Forwarded-For: an address, with a port
 * or without, an IPv6 one in brackets when it has one. */
static bool read_node(struct bytes node, union address *address)
{
    char text[FORWARDED_ADDRESS_SIZE + 8];
    char *start = text, *end;

    if (node.size >= 2 && node.data[0] == '"' && node.data[node.size - 1] == '"')
        node = bytes_of(node.data + 1, node.size - 2);
    if (node.size == 0 || node.size >= sizeof text)
        return false;
    memcpy(text, node.data, node.size);
    text[node.size] = 0;
    if (*start == '[') {
        end = strchr(++start, ']');
        if (!end || (end[1] && end[1] != ':'))
            return false;
        *end = 0;
    } else {
        end = strchr(start, ':');
        if (end && !strchr(end + 1, ':')) /* two of them: IPv6, and no port */
            *end = 0;
    }
    return read_address(start, address);
}

/* for= of one element. */
static bool read_element(struct bytes element, union address *address)
{
    while (element.data) {
        struct bytes pair = cut_last(&element, ';');

        if (pair.size > 4 && !strncasecmp((const char *)pair.data, "for=", 4))
            return read_node(bytes_of(pair.data + 4, pair.size - 4), address);
    }
    return false;
}

const char *forwarded_caller(const struct forwarded_trust *trust, const char *peer,
                             const struct forwarded_lines *lines,
                             char address[FORWARDED_ADDRESS_SIZE])
{
    snprintf(address, FORWARDED_ADDRESS_SIZE, "%s", peer);
    if (!forwarded_is_listed(&trust->proxies, peer))
        return address;
    for (size_t i = lines->count; i > 0; i--) {
        struct bytes line = lines->list[i - 1];

        while (line.data) {
            struct bytes part = cut_last(&line, ',');
            union address read;

            if (trust->header == FORWARDED_FORWARDED ? !read_element(part, &read)
                                                     : !read_node(part, &read))
                return address;
            write_address(&read, address);
            if (!allow_list_has_address(&trust->proxies, &read.any))
                return address;
        }
    }
    return address;
}
