/* noise_line: noise.h on a line protocol, for a peer in another language. One command a line on
 * stdin, one answer a line on stdout, bytes in hex, "-" for none:
 *
 *   begin caller PROLOGUE S E RS    secrets of our pairs, the callee's static public key
 *   begin callee PROLOGUE S E
 *   write PAYLOAD                   -> message      read MESSAGE   -> payload
 *   split                           -> handshake hash
 *   seal PLAIN                      -> sealed       open SEALED    -> plain
 *
 * A refusal is "refused VERDICT". */
#include "core/noise.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_MAX_SIZE (2 * NOISE_MESSAGE_MAX + 64)
#define WORDS_MAX 6

struct text {
    uint8_t data[NOISE_MESSAGE_MAX + 1];
    size_t size;
};

static struct noise_handshake handshake;
static struct noise_cipher sending, receiving;

static void fail(const char *what)
{
    fprintf(stderr, "noise_line: %s\n", what);
    exit(EXIT_FAILURE);
}

static void read_hex(const char *hex, struct text *text)
{
    if (!hex)
        fail("a word is missing");
    text->size = 0;
    if (strcmp(hex, "-") != 0 && sodium_hex2bin(text->data, sizeof text->data, hex, strlen(hex),
                                                NULL, &text->size, NULL) != 0)
        fail("not hex");
}

static void read_key(const char *hex, uint8_t key[NOISE_KEY_SIZE])
{
    static struct text text;

    read_hex(hex, &text);
    if (text.size != NOISE_KEY_SIZE)
        fail("a key has 32 bytes");
    memcpy(key, text.data, NOISE_KEY_SIZE);
}

static void answer(enum noise_verdict verdict, const uint8_t *data, size_t size)
{
    static char hex[2 * NOISE_MESSAGE_MAX + 1];

    if (verdict == NOISE_TAKEN)
        printf("%s\n", size > 0 ? sodium_bin2hex(hex, sizeof hex, data, size) : "-");
    else
        printf("refused %d\n", (int)verdict);
    fflush(stdout);
}

static void begin(char *words[WORDS_MAX])
{
    static struct text prologue;
    bool is_caller = words[1] && strcmp(words[1], "caller") == 0;
    uint8_t secret[NOISE_KEY_SIZE], rs[NOISE_KEY_SIZE];
    struct noise_pair s, e;

    read_hex(words[2], &prologue);
    read_key(words[3], secret);
    noise_pair_from_secret(&s, secret);
    read_key(words[4], secret);
    noise_pair_from_secret(&e, secret);
    if (is_caller)
        read_key(words[5], rs);
    noise_begin(&handshake, &noise_xk, is_caller, bytes_of(prologue.data, prologue.size), &s, &e,
                is_caller ? rs : NULL, NULL);
    answer(NOISE_TAKEN, NULL, 0);
}

static void obey(char *words[WORDS_MAX])
{
    static struct text in;
    static uint8_t out[NOISE_MESSAGE_MAX];
    enum noise_verdict verdict;
    size_t size = 0;

    if (strcmp(words[0], "begin") == 0) {
        begin(words);
    } else if (strcmp(words[0], "write") == 0) {
        read_hex(words[1], &in);
        verdict = noise_write(&handshake, bytes_of(in.data, in.size), out, sizeof out, &size);
        answer(verdict, out, size);
    } else if (strcmp(words[0], "read") == 0) {
        read_hex(words[1], &in);
        verdict = noise_read(&handshake, bytes_of(in.data, in.size), out, sizeof out, &size);
        answer(verdict, out, size);
    } else if (strcmp(words[0], "split") == 0) {
        noise_split(&handshake, &sending, &receiving);
        answer(NOISE_TAKEN, handshake.h, sizeof handshake.h);
    } else if (strcmp(words[0], "seal") == 0) {
        read_hex(words[1], &in);
        verdict = noise_seal(&sending, bytes_of(in.data, in.size), out);
        answer(verdict, out, in.size + NOISE_TAG_SIZE);
    } else if (strcmp(words[0], "open") == 0) {
        read_hex(words[1], &in);
        verdict = noise_open(&receiving, bytes_of(in.data, in.size), out);
        answer(verdict, out, in.size - NOISE_TAG_SIZE);
    } else {
        fail("no such command");
    }
}

int main(void)
{
    static char line[LINE_MAX_SIZE];

    if (sodium_init() < 0)
        fail("libsodium does not start");
    while (fgets(line, sizeof line, stdin)) {
        char *words[WORDS_MAX] = {NULL}, *rest = line;
        size_t count = 0;

        while (count < WORDS_MAX && (words[count] = strtok_r(NULL, " \n", &rest)))
            count++;
        if (count > 0)
            obey(words);
    }
    return EXIT_SUCCESS;
}
