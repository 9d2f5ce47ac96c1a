#include "gate_key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int judge_file(int file)
{
    struct stat status;

    if (fstat(file, &status) != 0)
        return GATE_FAULT_FILE;
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return GATE_FAULT_PERMISSIONS;
    return status.st_size == GATE_KEY_SIZE ? 0 : GATE_FAULT_CORRUPT;
}

static int read_key(const char *path, struct gate_key *key, bool *missing)
{
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int fault;

    *missing = file < 0 && errno == ENOENT;
    if (file < 0)
        return errno == ELOOP ? GATE_FAULT_PERMISSIONS : GATE_FAULT_FILE;
    fault = judge_file(file);
    if (!fault && read(file, key->bytes, sizeof key->bytes) != (ssize_t)sizeof key->bytes)
        fault = GATE_FAULT_FILE;
    close(file);
    return fault;
}

static int sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[4096] = ".";
    int file, fault;

    if (slash) {
        size_t size = (size_t)(slash - path) + 1;
        if (size >= sizeof folder)
            return GATE_FAULT_FILE;
        memcpy(folder, path, size);
        folder[size] = '\0';
    }
    file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return GATE_FAULT_FILE;
    fault = fsync(file) == 0 ? 0 : GATE_FAULT_FILE;
    close(file);
    return fault;
}

static int write_key(const char *path, const struct gate_key *key)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int fault = 0;

    if (file < 0)
        return errno == ENOSPC ? GATE_FAULT_DISK_FULL : GATE_FAULT_FILE;
    if (write(file, key->bytes, sizeof key->bytes) != (ssize_t)sizeof key->bytes ||
        fsync(file) != 0)
        fault = errno == ENOSPC ? GATE_FAULT_DISK_FULL : GATE_FAULT_FILE;
    close(file);
    return fault;
}

/* A key that is lost would end every bearer, so it is on disk before the first hash is made. It gets its name
 * when it is whole: half a key would be refused for ever. */
static int make_key(const char *path, struct gate_key *key)
{
    char fresh[4096];
    int fault;

    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh)
        return GATE_FAULT_FILE;
    unlink(fresh); /* of a start that was cut off */
    randombytes_buf(key->bytes, sizeof key->bytes);
    fault = write_key(fresh, key);
    if (!fault && renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) != 0)
        fault = GATE_FAULT_FILE;
    if (fault)
        unlink(fresh);
    return fault ? fault : sync_folder_of(path);
}

int gate_key_open(const char *path, struct gate_key *key)
{
    bool missing;
    int fault;

    if (sodium_init() < 0)
        return GATE_FAULT_STORE;
    fault = read_key(path, key, &missing);
    if (fault && missing)
        fault = make_key(path, key);
    if (fault)
        gate_key_wipe(key);
    return fault;
}

void gate_key_wipe(struct gate_key *key)
{
    sodium_memzero(key, sizeof *key);
}

static void hash_in(crypto_generichash_state *state, const char *text)
{
    uint64_t size = strlen(text);
    uint8_t length[8];

    for (size_t i = 0; i < sizeof length; i++)
        length[i] = (uint8_t)(size >> (8 * i));
    crypto_generichash_update(state, length, sizeof length);
    crypto_generichash_update(state, (const uint8_t *)text, size);
}

void gate_key_hash(const struct gate_key *key, const char *purpose, const char *owner,
                   const char *secret, uint8_t hash[GATE_HASH_SIZE])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, key->bytes, sizeof key->bytes, GATE_HASH_SIZE);
    hash_in(&state, purpose);
    hash_in(&state, owner);
    hash_in(&state, secret);
    crypto_generichash_final(&state, hash, GATE_HASH_SIZE);
    sodium_memzero(&state, sizeof state);
}

static void key_of(const struct gate_key *key, const char *purpose,
                   uint8_t derived[crypto_aead_xchacha20poly1305_ietf_KEYBYTES])
{
    _Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == GATE_HASH_SIZE, "one hash");
    gate_key_hash(key, "seal", purpose, "", derived);
}

void gate_key_seal(const struct gate_key *key, const char *purpose, struct bytes plain,
                   uint8_t *sealed)
{
    uint8_t derived[GATE_HASH_SIZE];

    _Static_assert(GATE_SEAL_MORE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES +
                                         crypto_aead_xchacha20poly1305_ietf_ABYTES,
                   "nonce and tag");
    key_of(key, purpose, derived);
    randombytes_buf(sealed, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        sealed + crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, NULL, plain.data, plain.size, NULL,
        0, NULL, sealed, derived);
    sodium_memzero(derived, sizeof derived);
}

bool gate_key_unseal(const struct gate_key *key, const char *purpose, struct bytes sealed,
                     uint8_t *plain)
{
    const size_t nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
    uint8_t derived[GATE_HASH_SIZE];
    bool is_ours;

    if (sealed.size < GATE_SEAL_MORE)
        return false;
    key_of(key, purpose, derived);
    is_ours = crypto_aead_xchacha20poly1305_ietf_decrypt(
                  plain, NULL, NULL, sealed.data + nonce_size, sealed.size - nonce_size, NULL, 0,
                  sealed.data, derived) == 0;
    sodium_memzero(derived, sizeof derived);
    return is_ours;
}
