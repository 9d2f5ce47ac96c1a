/* The format, all of it checked before a byte is believed:
 *
 *     magic      8  "DUCKKEY1"
 *     flags      1  bit 0: sealed; bit 1: of the next key
 *     ops        8  argon2id, little-endian; 0 when not sealed
 *     memory     8  argon2id, bytes, little-endian; 0 when not sealed
 *     salt      16
 *     nonce     24
 *     secrets       in clear; or tag (16) and secretbox
 *     checksum  32  BLAKE2b-256 of all before: tells a torn file from a wrong passphrase */
#include "keyfile.h"

#include "file_io.h"
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "DUCKKEY1"
#define MAGIC_SIZE 8
#define FLAG_SEALED 1
#define FLAG_NEXT 2
#define FLAGS_AT MAGIC_SIZE
#define OPS_AT (FLAGS_AT + 1)
#define MEMORY_AT (OPS_AT + 8)
#define SALT_AT (MEMORY_AT + 8)
#define NONCE_AT (SALT_AT + crypto_pwhash_SALTBYTES)
#define SECRETS_AT (NONCE_AT + crypto_secretbox_NONCEBYTES)
#define CHECKSUM_SIZE 32
#define SECRETS_MAX sizeof(struct keyfile)
#define FILE_MAX (SECRETS_AT + crypto_secretbox_MACBYTES + SECRETS_MAX + CHECKSUM_SIZE)

/* What a file may ask of argon2id: a changed one must not take all memory, or an hour. */
#define OPS_MAX 16
#define MEMORY_MAX (1024ull * 1024 * 1024)

/* Of each the key, the next one, the chain. */
enum part { PART_KEY, PART_NEXT, PART_CHAIN, PARTS };
static const char *const names[][PARTS] = {
    [KEYFILE_NODE] = {"node.key", "node.next.key", "node.chain"},
    [KEYFILE_OPERATOR] = {"operator.key", "operator.next.key", "operator.chain"},
    [KEYFILE_DUCKLINGS] = {"", "ducklings.next.key", "ducklings.next.pub"},
};
/* An operator's chain is for everybody. */
static const mode_t modes[][PARTS] = {
    [KEYFILE_NODE] = {0600, 0600, 0600},
    [KEYFILE_OPERATOR] = {0600, 0600, 0644},
    [KEYFILE_DUCKLINGS] = {0600, 0600, 0600},
};

struct keyfile *keyfile_new(void)
{
    struct keyfile *keyfile = sodium_malloc(sizeof *keyfile);

    assert(keyfile);
    memset(keyfile, 0, sizeof *keyfile);
    return keyfile;
}

void keyfile_free(struct keyfile *keyfile)
{
    sodium_free(keyfile);
}

/* ---- bytes ---- */

static void put_number(uint8_t *bytes, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t get_number(const uint8_t *bytes)
{
    uint64_t number = 0;

    for (int i = 7; i >= 0; i--)
        number = number << 8 | bytes[i];
    return number;
}

static size_t secrets_size(bool is_next)
{
    return is_next ? SEED_SIZE : sizeof(struct keyfile);
}

static int stretch(struct bytes passphrase, const uint8_t *header, uint8_t *key)
{
    int result =
        crypto_pwhash(key, crypto_secretbox_KEYBYTES, (const char *)passphrase.data,
                      passphrase.size, header + SALT_AT, get_number(header + OPS_AT),
                      (size_t)get_number(header + MEMORY_AT), crypto_pwhash_ALG_ARGON2ID13);

    if (result == 0)
        return 0;
    log_write(LOG_ERROR, "keys", "no memory to stretch the passphrase (%llu MiB are needed)",
              (unsigned long long)(get_number(header + MEMORY_AT) >> 20));
    return FAULT_CRYPTO;
}

/* `file` has FILE_MAX bytes and is in guarded memory. */
static int encode(uint8_t *file, size_t *size, const uint8_t *secrets, bool is_next,
                  struct bytes passphrase)
{
    bool is_sealed = passphrase.size > 0;
    size_t secret_size = secrets_size(is_next);
    uint8_t *key;
    int fault;

    memcpy(file, MAGIC, MAGIC_SIZE);
    file[FLAGS_AT] = (uint8_t)((is_sealed ? FLAG_SEALED : 0) | (is_next ? FLAG_NEXT : 0));
    put_number(file + OPS_AT, is_sealed ? crypto_pwhash_OPSLIMIT_MODERATE : 0);
    put_number(file + MEMORY_AT, is_sealed ? crypto_pwhash_MEMLIMIT_MODERATE : 0);
    randombytes_buf(file + SALT_AT, SECRETS_AT - SALT_AT);
    *size = SECRETS_AT + secret_size + (is_sealed ? crypto_secretbox_MACBYTES : 0);
    if (!is_sealed) {
        memcpy(file + SECRETS_AT, secrets, secret_size);
    } else {
        key = sodium_malloc(crypto_secretbox_KEYBYTES);
        assert(key);
        fault = stretch(passphrase, file, key);
        if (!fault)
            crypto_secretbox_easy(file + SECRETS_AT, secrets, secret_size, file + NONCE_AT, key);
        sodium_free(key);
        if (fault)
            return fault;
    }
    crypto_generichash(file + *size, CHECKSUM_SIZE, file, *size, NULL, 0);
    *size += CHECKSUM_SIZE;
    return 0;
}

static bool is_well_formed(const uint8_t *file, size_t size, bool is_next)
{
    uint8_t checksum[CHECKSUM_SIZE];
    bool is_sealed;
    uint64_t ops, memory;

    if (size < SECRETS_AT || memcmp(file, MAGIC, MAGIC_SIZE) != 0 ||
        (file[FLAGS_AT] & ~FLAG_SEALED) != (is_next ? FLAG_NEXT : 0))
        return false;
    is_sealed = file[FLAGS_AT] & FLAG_SEALED;
    if (size != SECRETS_AT + secrets_size(is_next) + (is_sealed ? crypto_secretbox_MACBYTES : 0) +
                    CHECKSUM_SIZE)
        return false;
    crypto_generichash(checksum, sizeof checksum, file, size - CHECKSUM_SIZE, NULL, 0);
    if (sodium_memcmp(checksum, file + size - CHECKSUM_SIZE, CHECKSUM_SIZE) != 0)
        return false;
    ops = get_number(file + OPS_AT);
    memory = get_number(file + MEMORY_AT);
    return !is_sealed || (ops >= crypto_pwhash_OPSLIMIT_MIN && ops <= OPS_MAX &&
                          memory >= crypto_pwhash_MEMLIMIT_MIN && memory <= MEMORY_MAX);
}

static int decode(const uint8_t *file, size_t size, bool is_next, struct bytes passphrase,
                  uint8_t *secrets)
{
    size_t secret_size = secrets_size(is_next);
    uint8_t *key;
    int fault;

    if (!is_well_formed(file, size, is_next))
        return FAULT_CORRUPT;
    if (!(file[FLAGS_AT] & FLAG_SEALED)) {
        memcpy(secrets, file + SECRETS_AT, secret_size);
        return 0;
    }
    if (passphrase.size == 0)
        return FAULT_PASSPHRASE;
    key = sodium_malloc(crypto_secretbox_KEYBYTES);
    assert(key);
    fault = stretch(passphrase, file, key);
    if (!fault && crypto_secretbox_open_easy(secrets, file + SECRETS_AT,
                                             secret_size + crypto_secretbox_MACBYTES,
                                             file + NONCE_AT, key) != 0)
        fault = FAULT_PASSPHRASE;
    sodium_free(key);
    return fault;
}

/* ---- files ---- */

static int fault_of_errno(void)
{
    switch (errno) {
    case ENOSPC:
    case EDQUOT:
        return FAULT_DISK_FULL;
    case EACCES:
    case EPERM:
    case ELOOP: /* a link, where there must be none */
        return FAULT_PERMISSIONS;
    case EEXIST:
        return FAULT_BUSY;
    default:
        return FAULT_FILE;
    }
}

/* Whoever can write to the directory can put another file in the place of ours. */
static int open_directory(const char *path, int *directory)
{
    struct stat status;

    *directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*directory < 0)
        return fault_of_errno();
    if (fstat(*directory, &status) == 0 && (status.st_uid == geteuid() || status.st_uid == 0) &&
        !(status.st_mode & 022))
        return 0;
    log_write(LOG_ERROR, "keys", "%s: others can write to it", path);
    close(*directory);
    *directory = -1;
    return FAULT_PERMISSIONS;
}

static int open_checked(int directory, const char *name, int *file)
{
    struct stat status;

    /* O_NONBLOCK: a pipe in its place would make us wait. */
    *file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*file < 0) {
        int fault = fault_of_errno();

        if (fault == FAULT_PERMISSIONS)
            log_write(LOG_ERROR, "keys", "%s: a link, or not ours to read", name);
        return fault;
    }
    if (fstat(*file, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
        !(status.st_mode & 077))
        return 0;
    log_write(LOG_ERROR, "keys", "%s: must be a file of ours with mode 0600", name);
    close(*file);
    *file = -1;
    return FAULT_PERMISSIONS;
}

static void temporary_name(enum keyfile_owner owner, enum part part, char name[32])
{
    snprintf(name, 32, "%s.new", names[owner][part]);
}

/* Whole and on the disk under a name that nobody reads. */
static int write_temporary(enum keyfile_owner owner, int directory, enum part part,
                           struct bytes bytes)
{
    char name[32];
    int file, fault;

    temporary_name(owner, part, name);
    unlinkat(directory, name, 0); /* of a creation that was cut off */
    file = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  modes[owner][part]);
    if (file < 0)
        return fault_of_errno();
    fault = file_write_all(file, bytes.data, bytes.size);
    if (!fault && fsync(file) != 0)
        fault = fault_of_errno();
    close(file);
    return fault;
}

static int write_secrets(enum keyfile_owner owner, int directory, enum part part,
                         const uint8_t *secrets, struct bytes passphrase)
{
    uint8_t *bytes = sodium_malloc(FILE_MAX);
    size_t size = 0;
    int fault;

    assert(bytes);
    fault = encode(bytes, &size, secrets, part == PART_NEXT, passphrase);
    if (!fault)
        fault = write_temporary(owner, directory, part, bytes_of(bytes, size));
    sodium_free(bytes);
    return fault;
}

static bool is_there(int directory, const char *name)
{
    struct stat status;

    return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Where the key waits under its other name, the power was cut before it was anybody's: what stands there
 * of the rest belongs to it. */
static void clear_what_was_cut_off(enum keyfile_owner owner, int directory)
{
    char name[32];

    temporary_name(owner, PART_KEY, name);
    if (is_there(directory, names[owner][PART_KEY]) || !is_there(directory, name))
        return;
    for (int part = PART_NEXT; part < PARTS; part++)
        unlinkat(directory, names[owner][part], 0);
}

static int sync_directory(int directory)
{
    return fsync(directory) == 0 ? 0 : fault_of_errno();
}

/* Never over a file that is there: it may hold the only copy of a key. */
static int put_in_place(enum keyfile_owner owner, int directory, enum part part)
{
    char name[32];

    temporary_name(owner, part, name);
    if (renameat2(directory, name, directory, names[owner][part], RENAME_NOREPLACE) == 0)
        return 0;
    return fault_of_errno();
}

/* The key last: where it stands, the others do too, whatever order the disk has for names. `*placed`: so many
 * of them are in place, counted from the last. */
static int put_all_in_place(enum keyfile_owner owner, int directory, int *placed)
{
    int fault = sync_directory(directory);

    for (int part = PARTS - 1; part >= PART_KEY && !fault; part--) {
        if (part == PART_KEY)
            fault = sync_directory(directory);
        if (!fault)
            fault = put_in_place(owner, directory, (enum part)part);
        *placed += !fault;
    }
    return fault ? fault : sync_directory(directory);
}

/* Nothing stays of a creation that failed. */
static void take_away(enum keyfile_owner owner, int directory, int placed)
{
    char name[32];

    for (int part = PART_KEY; part < PARTS; part++) {
        if (part >= PARTS - placed)
            unlinkat(directory, names[owner][part], 0);
        temporary_name(owner, (enum part)part, name);
        unlinkat(directory, name, 0);
    }
}

int keyfile_create(enum keyfile_owner owner, const char *folder, const struct keyfile *keyfile,
                   const uint8_t next_seed[SEED_SIZE], struct bytes passphrase, struct bytes chain)
{
    int directory, placed = 0, fault = open_directory(folder, &directory);

    if (fault)
        return fault;
    clear_what_was_cut_off(owner, directory);
    for (int part = PART_KEY; part < PARTS && !fault; part++)
        if (is_there(directory, names[owner][part]))
            fault = FAULT_BUSY;
    if (!fault)
        fault = write_temporary(owner, directory, PART_CHAIN, chain);
    if (!fault)
        fault = write_secrets(owner, directory, PART_NEXT, next_seed, passphrase);
    if (!fault)
        fault = write_secrets(owner, directory, PART_KEY, (const uint8_t *)keyfile, passphrase);
    if (!fault)
        fault = put_all_in_place(owner, directory, &placed);
    if (fault)
        take_away(owner, directory, placed);
    close(directory);
    return fault;
}

static int read_file(const char *folder, const char *name, uint8_t *bytes, size_t *size)
{
    int directory, file = -1, fault = open_directory(folder, &directory);

    if (fault)
        return fault;
    fault = open_checked(directory, name, &file);
    if (!fault) {
        fault = file_read_all(file, bytes, FILE_MAX + 1, size);
        close(file);
    }
    close(directory);
    return fault;
}

static int open_secrets(const char *folder, const char *name, bool is_next, struct bytes passphrase,
                        uint8_t *secrets)
{
    uint8_t *bytes = sodium_malloc(FILE_MAX + 1); /* and one: a longer file is seen to be longer */
    size_t size = 0;
    int fault;

    assert(bytes);
    fault = read_file(folder, name, bytes, &size);
    if (fault && fault != FAULT_PERMISSIONS)
        log_write(LOG_ERROR, "keys", "%s/%s cannot be read: %s", folder, name, strerror(errno));
    if (!fault)
        fault = decode(bytes, size, is_next, passphrase, secrets);
    sodium_free(bytes);
    return fault;
}

int keyfile_open(enum keyfile_owner owner, const char *folder, struct bytes passphrase,
                 struct keyfile *keyfile)
{
    return open_secrets(folder, names[owner][PART_KEY], false, passphrase, (uint8_t *)keyfile);
}

int keyfile_open_next(enum keyfile_owner owner, const char *folder, struct bytes passphrase,
                      uint8_t next_seed[SEED_SIZE])
{
    return open_secrets(folder, names[owner][PART_NEXT], true, passphrase, next_seed);
}

int keyfile_check_next(enum keyfile_owner owner, const char *folder)
{
    int directory, file = -1, fault = open_directory(folder, &directory);

    if (fault)
        return fault;
    fault = open_checked(directory, names[owner][PART_NEXT], &file);
    if (fault == FAULT_FILE && errno == ENOENT)
        fault = 0; /* it may be kept elsewhere */
    if (file >= 0)
        close(file);
    close(directory);
    return fault;
}

bool keyfile_is_sealed(enum keyfile_owner owner, const char *folder)
{
    uint8_t *bytes = sodium_malloc(FILE_MAX + 1);
    size_t size = 0;
    bool is_sealed;

    assert(bytes);
    is_sealed = read_file(folder, names[owner][PART_KEY], bytes, &size) == 0 &&
                is_well_formed(bytes, size, false) && (bytes[FLAGS_AT] & FLAG_SEALED);
    sodium_free(bytes);
    return is_sealed;
}

/* ---- rotation ---- */

static int prepare(enum keyfile_owner owner, const char *folder, enum part part,
                   const uint8_t *secrets, struct bytes passphrase)
{
    int directory, fault = open_directory(folder, &directory);

    if (fault)
        return fault;
    fault = write_secrets(owner, directory, part, secrets, passphrase);
    if (!fault)
        fault = sync_directory(directory);
    close(directory);
    return fault;
}

int keyfile_prepare(enum keyfile_owner owner, const char *folder, const struct keyfile *keyfile,
                    struct bytes passphrase)
{
    return prepare(owner, folder, PART_KEY, (const uint8_t *)keyfile, passphrase);
}

int keyfile_prepare_next(enum keyfile_owner owner, const char *folder,
                         const uint8_t next_seed[SEED_SIZE], struct bytes passphrase)
{
    return prepare(owner, folder, PART_NEXT, next_seed, passphrase);
}

/* Over the one that is there, which nobody needs any more. */
static int replace(enum keyfile_owner owner, int directory, enum part part)
{
    char name[32];

    temporary_name(owner, part, name);
    if (renameat(directory, name, directory, names[owner][part]) != 0)
        return fault_of_errno();
    return sync_directory(directory);
}

int keyfile_commit(enum keyfile_owner owner, const char *folder, struct bytes chain)
{
    char name[32];
    int directory, fault = open_directory(folder, &directory);

    if (fault)
        return fault;
    temporary_name(owner, PART_KEY, name);
    if (!is_there(directory, name))
        fault = FAULT_FILE;
    if (!fault)
        fault = write_temporary(owner, directory, PART_CHAIN, chain);
    if (!fault)
        fault = replace(owner, directory, PART_CHAIN);
    if (!fault && replace(owner, directory, PART_KEY) != 0)
        log_write(LOG_ERROR, "keys", "%s: it is the key from now on, but keeps this name", name);
    close(directory);
    return fault;
}

int keyfile_take_new(enum keyfile_owner owner, const char *folder, bool is_next)
{
    int directory, fault = open_directory(folder, &directory);

    if (fault)
        return fault;
    fault = replace(owner, directory, is_next ? PART_NEXT : PART_KEY);
    close(directory);
    return fault;
}

int keyfile_open_new(enum keyfile_owner owner, const char *folder, struct bytes passphrase,
                     struct keyfile *keyfile)
{
    char name[32];

    temporary_name(owner, PART_KEY, name);
    return open_secrets(folder, name, false, passphrase, (uint8_t *)keyfile);
}

int keyfile_open_next_new(enum keyfile_owner owner, const char *folder, struct bytes passphrase,
                          uint8_t next_seed[SEED_SIZE])
{
    char name[32];

    temporary_name(owner, PART_NEXT, name);
    return open_secrets(folder, name, true, passphrase, next_seed);
}

/* ---- the next keys of ducklings ---- */

/* A secret without its public half was never used: its creation was cut off. */
static int create_seal(int directory, struct bytes passphrase, const uint8_t *seed,
                       const uint8_t public_key[SEAL_KEY_SIZE])
{
    const char *const *name = names[KEYFILE_DUCKLINGS];
    int fault;

    if (is_there(directory, name[PART_CHAIN]))
        return FAULT_BUSY;
    unlinkat(directory, name[PART_NEXT], 0);
    fault = write_secrets(KEYFILE_DUCKLINGS, directory, PART_NEXT, seed, passphrase);
    if (!fault)
        fault = write_temporary(KEYFILE_DUCKLINGS, directory, PART_CHAIN,
                                bytes_of(public_key, SEAL_KEY_SIZE));
    for (int part = PART_NEXT; part <= PART_CHAIN && !fault; part++) {
        fault = put_in_place(KEYFILE_DUCKLINGS, directory, (enum part)part);
        if (!fault)
            fault = sync_directory(directory);
    }
    return fault;
}

int keyfile_create_seal(const char *folder, struct bytes passphrase)
{
    uint8_t *secrets = sodium_malloc(SEED_SIZE + SEAL_KEY_SIZE), public_key[SEAL_KEY_SIZE];
    int directory, fault = open_directory(folder, &directory);

    assert(secrets);
    if (!fault) {
        randombytes_buf(secrets, SEED_SIZE);
        crypto_box_seed_keypair(public_key, secrets + SEED_SIZE, secrets);
        fault = create_seal(directory, passphrase, secrets, public_key);
        close(directory);
    }
    sodium_free(secrets);
    return fault;
}

int keyfile_read_seal(const char *folder, uint8_t public_key[SEAL_KEY_SIZE])
{
    uint8_t bytes[FILE_MAX + 1];
    size_t size = 0;
    int fault = read_file(folder, names[KEYFILE_DUCKLINGS][PART_CHAIN], bytes, &size);

    if (!fault && size != SEAL_KEY_SIZE)
        fault = FAULT_CORRUPT;
    if (!fault)
        memcpy(public_key, bytes, SEAL_KEY_SIZE);
    return fault;
}

int keyfile_open_seal(const char *folder, struct bytes passphrase,
                      uint8_t public_key[SEAL_KEY_SIZE], uint8_t secret_key[SEAL_KEY_SIZE])
{
    uint8_t *seed = sodium_malloc(SEED_SIZE);
    int fault;

    assert(seed);
    fault = keyfile_open_next(KEYFILE_DUCKLINGS, folder, passphrase, seed);
    if (!fault)
        crypto_box_seed_keypair(public_key, secret_key, seed);
    sodium_free(seed);
    return fault;
}
