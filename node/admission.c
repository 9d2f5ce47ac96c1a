#include "admission.h"

#include <assert.h>
#include <sodium.h>

#define SLOTS 16384u /* a power of two; several times links_max */

enum key_kind { KEY_ADDRESS, KEY_PREFIX, KEY_BUCKET };

struct admission {
    struct admission_limits limits;
    uint8_t secret[crypto_shorthash_KEYBYTES];
    uint16_t addresses[SLOTS], prefixes[SLOTS];
    struct token_bucket buckets[SLOTS];
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

struct admission *admission_new(const struct admission_limits *limits)
{
    struct admission *admission = memory_take(sizeof *admission);

    admission->limits = *limits;
    randombytes_buf(admission->secret, sizeof admission->secret);
    return admission;
}

void admission_free(struct admission *admission)
{
    memory_give_back(admission);
}

struct admission_address admission_address_ipv4(const uint8_t bytes[4])
{
    struct admission_address address;

    memcpy(address.bytes, mapped, sizeof mapped);
    memcpy(address.bytes + sizeof mapped, bytes, 4);
    return address;
}

static bool is_ipv4(const struct admission_address *address)
{
    return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

static bool is_loopback(const struct admission_address *address)
{
    static const uint8_t one[16] = {[15] = 1};

    return is_ipv4(address) ? address->bytes[12] == 127
                            : memcmp(address->bytes, one, sizeof one) == 0;
}

static uint16_t slot_of(const struct admission *admission, const struct admission_address *address,
                        enum key_kind kind)
{
    bool ipv4 = is_ipv4(address);
    size_t significant = kind == KEY_ADDRESS  ? 16u
                         : kind == KEY_PREFIX ? (ipv4 ? 15u : 8u)
                                              : (ipv4 ? 16u : 8u);
    uint8_t key[17] = {0}, sum[crypto_shorthash_BYTES];

    static_assert(SLOTS == 1u << 14, "the slot is the low 14 bits of the sum");
    key[0] = (uint8_t)kind;
    memcpy(key + 1, address->bytes, significant);
    crypto_shorthash(sum, key, sizeof key, admission->secret);
    return (uint16_t)(((unsigned)sum[0] | (unsigned)sum[1] << 8) & (SLOTS - 1));
}

bool token_bucket_take(struct token_bucket *bucket, uint32_t per_s, uint32_t burst, uint64_t now_ms)
{
    uint64_t passed_ms = now_ms - bucket->filled_ms;
    uint64_t refill_milli = passed_ms < 1000ull * 3600 ? passed_ms * per_s : UINT64_MAX;

    bucket->filled_ms = now_ms;
    bucket->used_milli =
        refill_milli >= bucket->used_milli ? 0 : bucket->used_milli - (uint32_t)refill_milli;
    if (bucket->used_milli + 1000ull > burst * 1000ull)
        return false;
    bucket->used_milli += 1000;
    return true;
}

enum admission_verdict admission_enter(struct admission *admission,
                                       const struct admission_address *address, uint64_t now_ms,
                                       struct admission_place *place)
{
    const struct admission_limits *limits = &admission->limits;

    *place = (struct admission_place){.counted = false};
    if (is_loopback(address) && !limits->count_loopback)
        return ADMISSION_TAKEN;
    if (!token_bucket_take(&admission->buckets[slot_of(admission, address, KEY_BUCKET)],
                           limits->accepts_per_s, limits->burst, now_ms))
        return ADMISSION_TOO_OFTEN;
    place->address = slot_of(admission, address, KEY_ADDRESS);
    place->prefix = slot_of(admission, address, KEY_PREFIX);
    if (admission->addresses[place->address] >= limits->per_address_max)
        return ADMISSION_ADDRESS_FULL;
    if (admission->prefixes[place->prefix] >= limits->per_prefix_max)
        return ADMISSION_PREFIX_FULL;
    admission->addresses[place->address]++;
    admission->prefixes[place->prefix]++;
    place->counted = true;
    return ADMISSION_TAKEN;
}

void admission_leave(struct admission *admission, const struct admission_place *place)
{
    if (!place->counted)
        return;
    assert(admission->addresses[place->address] > 0 && admission->prefixes[place->prefix] > 0);
    admission->addresses[place->address]--;
    admission->prefixes[place->prefix]--;
}
