#include "public_address.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct range {
    uint8_t first[16];
    unsigned bits; /* that count */
};

static const struct range private_4[] = {
    {{0}, 8},             /* this network */
    {{10}, 8},            /* private, RFC 1918 */
    {{100, 64}, 10},      /* shared by carriers, RFC 6598 */
    {{127}, 8},           /* loopback */
    {{169, 254}, 16},     /* link-local; clouds keep their secrets here */
    {{172, 16}, 12},      /* private */
    {{192, 0, 0}, 24},    /* protocol assignments */
    {{192, 0, 2}, 24},    /* documentation */
    {{192, 88, 99}, 24},  /* 6to4 relays, deprecated */
    {{192, 168}, 16},     /* private */
    {{198, 18}, 15},      /* benchmarking */
    {{198, 51, 100}, 24}, /* documentation */
    {{203, 0, 113}, 24},  /* documentation */
    {{224}, 4},           /* multicast */
    {{240}, 4},           /* reserved, and broadcast */
};

/* Everything but 2000::/3 is not global unicast; of that these are not. */
static const struct range private_6[] = {
    {{0x20, 0x01, 0x00}, 23},       /* protocol assignments; Teredo carries IPv4 */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x20, 0x02}, 16},             /* 6to4: carries IPv4 */
    {{0x3f, 0xff}, 20},             /* documentation, RFC 9637 */
};

static bool is_in(const uint8_t *address, const struct range *range)
{
    unsigned whole = range->bits / 8, rest = range->bits % 8;

    return memcmp(address, range->first, whole) == 0 &&
           (rest == 0 || (address[whole] ^ range->first[whole]) >> (8 - rest) == 0);
}

static bool is_public_4(const uint8_t address[4])
{
    for (size_t i = 0; i < sizeof private_4 / sizeof *private_4; i++)
        if (is_in(address, &private_4[i]))
            return false;
    return true;
}

static bool is_public_6(const uint8_t address[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t translated[12] = {0x00, 0x64, 0xff, 0x9b}; /* RFC 6052 */

    if (memcmp(address, mapped, sizeof mapped) == 0 ||
        memcmp(address, translated, sizeof translated) == 0)
        return is_public_4(address + 12);
    if (address[0] >> 5 != 1)
        return false;
    for (size_t i = 0; i < sizeof private_6 / sizeof *private_6; i++)
        if (is_in(address, &private_6[i]))
            return false;
    return true;
}

bool address_is_public(const struct sockaddr *address)
{
    const struct sockaddr_in *four = (const void *)address;
    const struct sockaddr_in6 *six = (const void *)address;

    if (address->sa_family == AF_INET)
        return is_public_4((const uint8_t *)&four->sin_addr);
    return address->sa_family == AF_INET6 && is_public_6(six->sin6_addr.s6_addr);
}
