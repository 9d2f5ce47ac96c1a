#include "allow_list.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_name(const char *word)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t size = strlen(word);

    return size > 0 && size < ALLOW_NAME_SIZE && strcspn(word, letters) < size && word[0] != '.' &&
           word[0] != '-' &&
           strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == size;
}

/* -1: it is no number of bits. */
static int read_bits(const char *text, int most)
{
    size_t digits = strspn(text, "0123456789");
    int bits = digits > 0 && digits < 4 && !text[digits] ? atoi(text) : -1;

    return bits <= most ? bits : -1;
}

static bool read_prefix(const char *word, struct allow_entry *entry)
{
    char text[INET6_ADDRSTRLEN + 1];
    size_t size = strcspn(word, "/");
    int most, bits;

    if (size >= sizeof text)
        return false;
    memcpy(text, word, size);
    text[size] = 0;
    entry->family = strchr(text, ':') ? AF_INET6 : AF_INET;
    most = entry->family == AF_INET6 ? 128 : 32;
    bits = word[size] ? read_bits(word + size + 1, most) : most;
    entry->bits = (unsigned)bits;
    return bits >= 0 && inet_pton(entry->family, text, entry->address) == 1;
}

bool allow_list_add(struct allow_list *allowed, const char *word)
{
    struct allow_entry entry = {.bits = 0};

    if (allowed->count == ALLOW_LIST_MAX)
        return false;
    if (!read_prefix(word, &entry)) {
        if (!is_name(word) || strchr(word, '/'))
            return false;
        entry = (struct allow_entry){.family = AF_UNSPEC};
        strcpy(entry.name, word);
    }
    allowed->list[allowed->count++] = entry;
    return true;
}

bool allow_list_has_name(const struct allow_list *allowed, const char *host)
{
    for (size_t i = 0; i < allowed->count; i++)
        if (allowed->list[i].name[0] && strcasecmp(allowed->list[i].name, host) == 0)
            return true;
    return false;
}

static bool begins_with(const uint8_t *address, const struct allow_entry *entry)
{
    unsigned whole = entry->bits / 8, rest = entry->bits % 8;

    return memcmp(address, entry->address, whole) == 0 &&
           (rest == 0 || (address[whole] ^ entry->address[whole]) >> (8 - rest) == 0);
}

bool allow_list_has_address(const struct allow_list *allowed, const struct sockaddr *address)
{
    const struct sockaddr_in *four = (const void *)address;
    const struct sockaddr_in6 *six = (const void *)address;
    const uint8_t *bytes = address->sa_family == AF_INET    ? (const void *)&four->sin_addr
                           : address->sa_family == AF_INET6 ? six->sin6_addr.s6_addr
                                                            : NULL;

    for (size_t i = 0; bytes && i < allowed->count; i++)
        if (!allowed->list[i].name[0] && allowed->list[i].family == address->sa_family &&
            begins_with(bytes, &allowed->list[i]))
            return true;
    return false;
}
