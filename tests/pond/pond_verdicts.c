/* Signatures and keys are checked once in a process, however many nodes meet them, and one that was
 * made in here holds: the linker puts these in the place of identity_verify, identity_admit and
 * identity_sign (--wrap), which are functions of their arguments alone. What was asked is named by
 * 128 bits of SipHash: nobody here looks for two of one name. The self-test before the first pond
 * (main.c) asks the real ones. */
#include "pond_parts.h"

#include <sodium.h>

#define VERDICTS_KEPT (1u << 18)

struct verdict {
    uint64_t name[2]; /* zero: free */
    bool holds;
};

static struct verdict verdicts[VERDICTS_KEPT];

bool __real_identity_verify(const struct public_key *key, const struct signature *signature,
                            struct bytes message);
bool __real_identity_admit(const struct public_key *key);
struct signature __real_identity_sign(const struct identity_key *key, struct bytes message);
bool __wrap_identity_verify(const struct public_key *key, const struct signature *signature,
                            struct bytes message);
bool __wrap_identity_admit(const struct public_key *key);
struct signature __wrap_identity_sign(const struct identity_key *key, struct bytes message);

/* Direct mapped: what falls on the same place takes it. */
static struct verdict *find(struct bytes asked, uint64_t name[2])
{
    static const uint8_t key[crypto_shorthash_siphashx24_KEYBYTES];

    crypto_shorthash_siphashx24((uint8_t *)name, asked.data, asked.size, key);
    return &verdicts[name[0] & (VERDICTS_KEPT - 1)];
}

static bool is_known(const struct verdict *verdict, const uint64_t name[2])
{
    return verdict->name[0] == name[0] && verdict->name[1] == name[1];
}

static bool remember(struct verdict *verdict, const uint64_t name[2], bool holds)
{
    *verdict = (struct verdict){.name = {name[0], name[1]}, .holds = holds};
    return holds;
}

/* NULL: too long to be remembered. */
static struct verdict *find_signature(const struct public_key *key,
                                      const struct signature *signature, struct bytes message,
                                      uint64_t name[2])
{
    uint8_t asked[8192];

    if (message.size > sizeof asked - sizeof *key - sizeof *signature)
        return NULL;
    memcpy(asked, key, sizeof *key);
    memcpy(asked + sizeof *key, signature, sizeof *signature);
    memcpy(asked + sizeof *key + sizeof *signature, message.data, message.size);
    return find(bytes_of(asked, sizeof *key + sizeof *signature + message.size), name);
}

bool __wrap_identity_verify(const struct public_key *key, const struct signature *signature,
                            struct bytes message)
{
    uint64_t name[2];
    struct verdict *verdict = find_signature(key, signature, message, name);

    if (!verdict)
        return __real_identity_verify(key, signature, message);
    return is_known(verdict, name)
               ? verdict->holds
               : remember(verdict, name, __real_identity_verify(key, signature, message));
}

struct signature __wrap_identity_sign(const struct identity_key *key, struct bytes message)
{
    struct signature signature = __real_identity_sign(key, message);
    struct public_key public = identity_key_public(key);
    uint64_t name[2];
    struct verdict *verdict = find_signature(&public, &signature, message, name);

    if (verdict)
        remember(verdict, name, true);
    return signature;
}

bool __wrap_identity_admit(const struct public_key *key)
{
    uint64_t name[2];
    struct verdict *verdict = find(bytes_of(key, sizeof *key), name);

    return is_known(verdict, name) ? verdict->holds
                                   : remember(verdict, name, __real_identity_admit(key));
}
