#include "backup.h"

#include "file_io.h"
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "DUCKBAK1"
#define MAGIC_SIZE 8
#define OPS_AT MAGIC_SIZE
#define MEMORY_AT (OPS_AT + 8)
#define SALT_AT (MEMORY_AT + 8)
#define HEADER_AT (SALT_AT + crypto_pwhash_SALTBYTES)
#define HEAD_SIZE (HEADER_AT + crypto_secretstream_xchacha20poly1305_HEADERBYTES)
#define CHUNK_SIZE (64u * 1024)
#define SEALED_SIZE (CHUNK_SIZE + crypto_secretstream_xchacha20poly1305_ABYTES)
#define CHECKSUM_SIZE 32
#define KEY_SIZE crypto_secretstream_xchacha20poly1305_KEYBYTES
#define TAG_FINAL crypto_secretstream_xchacha20poly1305_TAG_FINAL

/* What a file may ask of argon2id: a changed one must not take all memory, or an hour. */
#define OPS_MAX 16
#define MEMORY_MAX (1024ull * 1024 * 1024)

const char *backup_verdict_text(enum backup_verdict verdict)
{
    switch (verdict) {
    case BACKUP_TAKEN:
        return "it holds";
    case BACKUP_NONE:
        return "this is no backup of a node";
    case BACKUP_NEWER:
        return "it was made by a later release";
    case BACKUP_DAMAGED:
        return "it is damaged: cut off, or changed since it was made";
    case BACKUP_PASSPHRASE:
        return "the passphrase is wrong";
    case BACKUP_GREEDY:
        return "it asks for more memory or work than any backup does";
    case BACKUP_MALFORMED:
        return "what is in it is not what a backup has";
    }
    return "";
}

static void put_number(uint8_t *bytes, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t get_number(const uint8_t *bytes, size_t size)
{
    uint64_t number = 0;

    for (size_t i = size; i-- > 0;)
        number = number << 8 | bytes[i];
    return number;
}

static int stretch(struct bytes passphrase, const uint8_t *head, uint8_t *key)
{
    if (crypto_pwhash(key, KEY_SIZE, (const char *)passphrase.data, passphrase.size, head + SALT_AT,
                      get_number(head + OPS_AT, 8), (size_t)get_number(head + MEMORY_AT, 8),
                      crypto_pwhash_ALG_ARGON2ID13) == 0)
        return 0;
    log_write(LOG_ERROR, "backup", "no memory to stretch the passphrase (%llu MiB are needed)",
              (unsigned long long)(get_number(head + MEMORY_AT, 8) >> 20));
    return FAULT_CRYPTO;
}

/* ---- making one ---- */

struct backup_writer { /* in guarded memory: keys, and what is not sealed yet */
    crypto_secretstream_xchacha20poly1305_state stream;
    crypto_generichash_state sum;
    int file;
    bool has_begun;
    uint8_t head[HEAD_SIZE], chunk[CHUNK_SIZE], sealed[SEALED_SIZE];
    size_t size; /* in the chunk */
};

static int write_summed(struct backup_writer *writer, const uint8_t *bytes, size_t size)
{
    crypto_generichash_update(&writer->sum, bytes, size);
    return file_write_all(writer->file, bytes, size);
}

int backup_writer_open(struct backup_writer **opened, int file, struct bytes passphrase)
{
    struct backup_writer *writer = sodium_malloc(sizeof *writer);
    uint8_t *key = sodium_malloc(KEY_SIZE);
    int fault;

    assert(writer && key && passphrase.size > 0);
    memset(writer, 0, sizeof *writer);
    writer->file = file;
    memcpy(writer->head, MAGIC, MAGIC_SIZE);
    put_number(writer->head + OPS_AT, crypto_pwhash_OPSLIMIT_MODERATE, 8);
    put_number(writer->head + MEMORY_AT, crypto_pwhash_MEMLIMIT_MODERATE, 8);
    randombytes_buf(writer->head + SALT_AT, crypto_pwhash_SALTBYTES);
    fault = stretch(passphrase, writer->head, key);
    if (!fault) {
        crypto_secretstream_xchacha20poly1305_init_push(&writer->stream, writer->head + HEADER_AT,
                                                        key);
        crypto_generichash_init(&writer->sum, NULL, 0, CHECKSUM_SIZE);
        fault = write_summed(writer, writer->head, HEAD_SIZE);
    }
    sodium_free(key);
    if (fault) {
        backup_writer_close(writer);
        return fault;
    }
    *opened = writer;
    return 0;
}

static int seal_chunk(struct backup_writer *writer, bool is_last)
{
    unsigned long long size;

    crypto_secretstream_xchacha20poly1305_push(
        &writer->stream, writer->sealed, &size, writer->chunk, writer->size,
        writer->has_begun ? NULL : writer->head, writer->has_begun ? 0 : HEAD_SIZE,
        is_last ? TAG_FINAL : 0);
    writer->has_begun = true;
    writer->size = 0;
    return write_summed(writer, writer->sealed, (size_t)size);
}

static int append(struct backup_writer *writer, const uint8_t *bytes, size_t size)
{
    int fault = 0;

    while (size > 0 && !fault) {
        size_t room = CHUNK_SIZE - writer->size, taken = size < room ? size : room;

        memcpy(writer->chunk + writer->size, bytes, taken);
        writer->size += taken;
        bytes += taken;
        size -= taken;
        if (writer->size == CHUNK_SIZE)
            fault = seal_chunk(writer, false);
    }
    return fault;
}

static int append_head(struct backup_writer *writer, const char *name, uint64_t size)
{
    uint8_t head[2 + BACKUP_NAME_MAX + 8];
    size_t length = strlen(name);

    assert(length > 0 && length <= BACKUP_NAME_MAX && size <= BACKUP_FILE_MAX);
    put_number(head, length, 2);
    memcpy(head + 2, name, length);
    put_number(head + 2 + length, size, 8);
    return append(writer, head, 2 + length + 8);
}

int backup_write(struct backup_writer *writer, const char *name, struct bytes bytes)
{
    int fault = append_head(writer, name, bytes.size);

    return fault ? fault : append(writer, bytes.data, bytes.size);
}

int backup_write_file(struct backup_writer *writer, const char *name, int from, uint64_t size)
{
    uint8_t *part = sodium_malloc(CHUNK_SIZE);
    int fault = append_head(writer, name, size);

    assert(part);
    while (size > 0 && !fault) {
        ssize_t got = read(from, part, size < CHUNK_SIZE ? (size_t)size : CHUNK_SIZE);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            fault = FAULT_FILE;
            break;
        }
        fault = append(writer, part, (size_t)got);
        size -= (uint64_t)got;
    }
    sodium_free(part);
    return fault;
}

int backup_finish(struct backup_writer *writer)
{
    static const uint8_t no_more[2];
    uint8_t sum[CHECKSUM_SIZE];
    int fault = append(writer, no_more, sizeof no_more);

    if (!fault)
        fault = seal_chunk(writer, true);
    if (fault)
        return fault;
    crypto_generichash_final(&writer->sum, sum, sizeof sum);
    fault = file_write_all(writer->file, sum, sizeof sum);
    if (!fault && fsync(writer->file) != 0)
        fault = errno == ENOSPC || errno == EDQUOT ? FAULT_DISK_FULL : FAULT_FILE;
    return fault;
}

void backup_writer_close(struct backup_writer *writer)
{
    sodium_free(writer);
}

/* ---- is it whole? ---- */

/* At most `size` bytes; fewer at the end. */
static enum backup_verdict judge_head(const uint8_t *head, size_t size)
{
    uint64_t ops, memory;

    if (size < MAGIC_SIZE || memcmp(head, MAGIC, MAGIC_SIZE - 1) != 0)
        return BACKUP_NONE;
    if (head[MAGIC_SIZE - 1] != MAGIC[MAGIC_SIZE - 1])
        return BACKUP_NEWER;
    if (size < HEAD_SIZE)
        return BACKUP_DAMAGED;
    ops = get_number(head + OPS_AT, 8);
    memory = get_number(head + MEMORY_AT, 8);
    if (ops < crypto_pwhash_OPSLIMIT_MIN || memory < crypto_pwhash_MEMLIMIT_MIN || ops > OPS_MAX ||
        memory > MEMORY_MAX)
        return BACKUP_GREEDY;
    return BACKUP_TAKEN;
}

/* The last CHECKSUM_SIZE bytes that were read are held back: they are the checksum if no more come. */
static enum backup_verdict judge_sum(int file, uint64_t *whole, int *fault)
{
    uint8_t *part = memory_take(CHECKSUM_SIZE + CHUNK_SIZE), sum[CHECKSUM_SIZE];
    crypto_generichash_state state;
    size_t held = 0, got;

    crypto_generichash_init(&state, NULL, 0, CHECKSUM_SIZE);
    *whole = 0;
    do {
        *fault = file_read_all(file, part + held, CHUNK_SIZE, &got);
        *whole += got;
        held += got;
        if (held > CHECKSUM_SIZE) {
            crypto_generichash_update(&state, part, held - CHECKSUM_SIZE);
            memmove(part, part + held - CHECKSUM_SIZE, CHECKSUM_SIZE);
            held = CHECKSUM_SIZE;
        }
    } while (!*fault && got > 0);
    crypto_generichash_final(&state, sum, sizeof sum);
    got = held == CHECKSUM_SIZE && sodium_memcmp(sum, part, CHECKSUM_SIZE) == 0;
    memory_give_back(part);
    return got || *fault ? BACKUP_TAKEN : BACKUP_DAMAGED;
}

/* ---- what is in it ---- */

struct reader { /* in guarded memory */
    crypto_secretstream_xchacha20poly1305_state stream;
    int file;
    uint64_t left; /* bytes of chunks */
    bool has_begun, is_last;
    uint8_t head[HEAD_SIZE], key[KEY_SIZE], sealed[SEALED_SIZE], chunk[CHUNK_SIZE];
    size_t at, size; /* in the chunk */
};

static enum backup_verdict next_chunk(struct reader *reader, int *fault)
{
    size_t size = reader->left < SEALED_SIZE ? (size_t)reader->left : SEALED_SIZE, got;
    unsigned long long opened = 0;
    unsigned char tag = 0;
    bool is_first = !reader->has_begun;

    if (reader->is_last || size < crypto_secretstream_xchacha20poly1305_ABYTES)
        return BACKUP_DAMAGED;
    *fault = file_read_all(reader->file, reader->sealed, size, &got);
    if (*fault || got < size)
        return BACKUP_DAMAGED;
    if (crypto_secretstream_xchacha20poly1305_pull(
            &reader->stream, reader->chunk, &opened, &tag, reader->sealed, size,
            is_first ? reader->head : NULL, is_first ? HEAD_SIZE : 0) != 0)
        return is_first ? BACKUP_PASSPHRASE : BACKUP_DAMAGED;
    reader->left -= size;
    reader->has_begun = true;
    reader->is_last = tag == TAG_FINAL;
    reader->at = 0;
    reader->size = (size_t)opened;
    return reader->is_last == (reader->left == 0) ? BACKUP_TAKEN : BACKUP_DAMAGED;
}

/* `*part` is borrowed until the next call, and has one byte at least. */
static enum backup_verdict read_part(struct reader *reader, uint64_t most, struct bytes *part,
                                     int *fault)
{
    size_t size;

    while (reader->at == reader->size) {
        enum backup_verdict verdict =
            reader->is_last ? BACKUP_MALFORMED : next_chunk(reader, fault);

        if (verdict != BACKUP_TAKEN)
            return verdict;
    }
    size = reader->size - reader->at;
    *part = bytes_of(reader->chunk + reader->at, most < size ? (size_t)most : size);
    reader->at += part->size;
    return BACKUP_TAKEN;
}

static enum backup_verdict read_exactly(struct reader *reader, uint8_t *bytes, size_t size,
                                        int *fault)
{
    enum backup_verdict verdict = BACKUP_TAKEN;
    struct bytes part;

    while (size > 0 && verdict == BACKUP_TAKEN) {
        verdict = read_part(reader, size, &part, fault);
        if (verdict != BACKUP_TAKEN)
            break;
        memcpy(bytes, part.data, part.size);
        bytes += part.size;
        size -= part.size;
    }
    return verdict;
}

static enum backup_verdict take_bytes(struct reader *reader, uint64_t size,
                                      const struct backup_taker *taker, int *fault)
{
    enum backup_verdict verdict = BACKUP_TAKEN;
    struct bytes part;

    while (size > 0 && verdict == BACKUP_TAKEN && !*fault) {
        verdict = read_part(reader, size, &part, fault);
        if (verdict != BACKUP_TAKEN)
            break;
        *fault = taker->put(taker->context, part);
        size -= part.size;
    }
    return verdict;
}

/* The last chunk may be an empty one. */
static enum backup_verdict judge_end(struct reader *reader, int *fault)
{
    enum backup_verdict verdict = BACKUP_TAKEN;

    if (reader->at == reader->size && !reader->is_last)
        verdict = next_chunk(reader, fault);
    if (verdict == BACKUP_TAKEN && (reader->at != reader->size || !reader->is_last))
        verdict = BACKUP_MALFORMED;
    return verdict;
}

/* `*is_end`: there is no further one. */
static enum backup_verdict take_file(struct reader *reader, const struct backup_taker *taker,
                                     bool *is_end, int *fault)
{
    uint8_t number[8];
    char name[BACKUP_NAME_MAX + 1];
    size_t length;
    uint64_t size;
    enum backup_verdict verdict = read_exactly(reader, number, 2, fault);

    if (verdict != BACKUP_TAKEN)
        return verdict;
    length = (size_t)get_number(number, 2);
    *is_end = length == 0;
    if (*is_end)
        return judge_end(reader, fault);
    if (length > BACKUP_NAME_MAX)
        return BACKUP_MALFORMED;
    verdict = read_exactly(reader, (uint8_t *)name, length, fault);
    name[length] = 0;
    if (verdict == BACKUP_TAKEN)
        verdict = read_exactly(reader, number, 8, fault);
    if (verdict != BACKUP_TAKEN)
        return verdict;
    size = get_number(number, 8);
    if (strlen(name) != length || size > BACKUP_FILE_MAX)
        return BACKUP_MALFORMED;
    *fault = taker->begin(taker->context, name, size);
    if (!*fault)
        verdict = take_bytes(reader, size, taker, fault);
    if (!*fault && verdict == BACKUP_TAKEN)
        *fault = taker->end(taker->context);
    return verdict;
}

static enum backup_verdict take_all(struct reader *reader, struct bytes passphrase,
                                    const struct backup_taker *taker, int *fault)
{
    enum backup_verdict verdict = BACKUP_TAKEN;
    bool is_end = false;

    *fault = stretch(passphrase, reader->head, reader->key);
    if (*fault)
        return BACKUP_TAKEN;
    if (crypto_secretstream_xchacha20poly1305_init_pull(&reader->stream, reader->head + HEADER_AT,
                                                        reader->key) != 0)
        return BACKUP_DAMAGED;
    for (size_t i = 0; i <= BACKUP_FILES_MAX && !is_end && verdict == BACKUP_TAKEN && !*fault; i++)
        verdict = take_file(reader, taker, &is_end, fault);
    return verdict == BACKUP_TAKEN && !*fault && !is_end ? BACKUP_MALFORMED : verdict;
}

enum backup_verdict backup_read(int file, struct bytes passphrase, const struct backup_taker *taker,
                                int *fault)
{
    struct reader *reader = sodium_malloc(sizeof *reader);
    enum backup_verdict verdict;
    uint64_t whole = 0;
    size_t got = 0;

    assert(reader);
    memset(reader, 0, sizeof *reader);
    reader->file = file;
    *fault = lseek(file, 0, SEEK_SET) == 0 ? file_read_all(file, reader->head, HEAD_SIZE, &got)
                                           : FAULT_FILE;
    verdict = *fault ? BACKUP_TAKEN : judge_head(reader->head, got);
    if (verdict == BACKUP_TAKEN && !*fault && lseek(file, 0, SEEK_SET) != 0)
        *fault = FAULT_FILE;
    if (verdict == BACKUP_TAKEN && !*fault)
        verdict = judge_sum(file, &whole, fault);
    if (verdict == BACKUP_TAKEN && !*fault && whole < HEAD_SIZE + CHECKSUM_SIZE)
        verdict = BACKUP_DAMAGED;
    if (verdict == BACKUP_TAKEN && !*fault && lseek(file, HEAD_SIZE, SEEK_SET) != HEAD_SIZE)
        *fault = FAULT_FILE;
    if (verdict == BACKUP_TAKEN && !*fault) {
        reader->left = whole - HEAD_SIZE - CHECKSUM_SIZE;
        verdict = take_all(reader, passphrase, taker, fault);
    }
    sodium_free(reader);
    return verdict;
}
