#include "id.h"

#include <sodium.h>

#define BITS_PER_CHARACTER 5
#define ID_CHARACTERS 32 /* 20 bytes */
#define PREFIX_SIZE 4

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

struct hash hash_of(struct bytes bytes)
{
    struct hash hash;

    crypto_generichash(hash.bytes, HASH_SIZE, bytes.data, bytes.size, NULL, 0);
    return hash;
}

struct id id_of(const struct hash *hash)
{
    struct id id;

    memcpy(id.bytes, hash->bytes, ID_SIZE);
    return id;
}

bool id_is_zero(const struct id *id)
{
    static const struct id zero;

    return id_equal(id, &zero);
}

int id_compare(const struct id *left, const struct id *right)
{
    return memcmp(left->bytes, right->bytes, ID_SIZE);
}

struct bytes id_bytes(const struct id *id)
{
    return bytes_of(id->bytes, ID_SIZE);
}

bool id_from_bytes(struct bytes bytes, struct id *id)
{
    if (bytes.size != ID_SIZE)
        return false;
    memcpy(id->bytes, bytes.data, ID_SIZE);
    return true;
}

static const char prefixes[][PREFIX_SIZE + 1] = {
    [ID_DUCKLING] = "dkl_", [ID_NODE] = "nod_",     [ID_PECK] = "pck_",  [ID_CERTIFICATE] = "crt_",
    [ID_BOND] = "bnd_",     [ID_OPERATOR] = "opr_", [ID_GRANT] = "grt_", [ID_WANTED] = "sig_",
};

const char *id_text(enum id_kind kind, const struct id *id, char text[ID_TEXT_SIZE])
{
    memcpy(text, prefixes[kind], PREFIX_SIZE);
    base32_encode(id_bytes(id), text + PREFIX_SIZE);
    return text;
}

bool id_parse(enum id_kind kind, struct bytes text, struct id *id)
{
    struct id parsed;
    size_t size;

    if (text.size != PREFIX_SIZE + ID_CHARACTERS ||
        memcmp(text.data, prefixes[kind], PREFIX_SIZE) != 0)
        return false;
    if (!base32_decode(bytes_of(text.data + PREFIX_SIZE, ID_CHARACTERS), parsed.bytes, ID_SIZE,
                       &size) ||
        size != ID_SIZE)
        return false;
    *id = parsed;
    return true;
}

const char *id_form(enum id_kind kind)
{
    switch (kind) {
    case ID_DUCKLING:
        return "a duckling's id is dkl_ and 32 characters";
    case ID_NODE:
        return "a node's id is nod_ and 32 characters";
    case ID_PECK:
        return "a peck's id is pck_ and 32 characters";
    case ID_CERTIFICATE:
        return "a certificate's id is crt_ and 32 characters";
    case ID_BOND:
        return "a bond's id is bnd_ and 32 characters";
    case ID_OPERATOR:
        return "an operator's id is opr_ and 32 characters";
    case ID_GRANT:
        return "the id of a grant's block is grt_ and 32 characters";
    case ID_WANTED:
        return "what waits for a signature has an id of sig_ and 32 characters";
    }
    return "";
}

/* ---- base32 ---- */

size_t base32_text_size(size_t size)
{
    return (size * 8 + BITS_PER_CHARACTER - 1) / BITS_PER_CHARACTER + 1;
}

void base32_encode(struct bytes bytes, char *text)
{
    uint32_t bits = 0;
    unsigned count = 0;

    for (size_t i = 0; i < bytes.size; i++) {
        bits = bits << 8 | bytes.data[i];
        count += 8;
        while (count >= BITS_PER_CHARACTER) {
            count -= BITS_PER_CHARACTER;
            *text++ = alphabet[bits >> count & 31];
        }
    }
    if (count > 0)
        *text++ = alphabet[bits << (BITS_PER_CHARACTER - count) & 31];
    *text = 0;
}

static int digit(uint8_t c)
{
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    if (c >= '2' && c <= '7')
        return c - '2' + 26;
    return -1;
}

bool base32_decode(struct bytes text, uint8_t *data, size_t capacity, size_t *size)
{
    size_t written = 0;
    uint32_t bits = 0;
    unsigned count = 0;

    for (size_t i = 0; i < text.size; i++) {
        int value = digit(text.data[i]);

        if (value < 0)
            return false;
        bits = bits << BITS_PER_CHARACTER | (uint32_t)value;
        count += BITS_PER_CHARACTER;
        if (count >= 8) {
            if (written == capacity)
                return false;
            count -= 8;
            data[written++] = (uint8_t)(bits >> count);
        }
    }
    /* A whole spare character is a length that no encoder makes; spare bits must be zero. */
    if (count >= BITS_PER_CHARACTER || (bits & ((1u << count) - 1)) != 0)
        return false;
    *size = written;
    return true;
}
