/* reconcile.h for a peer in another language: the line protocol of hoytech/negentropy's test/
 * folder. `item,SECONDS,HASH` lines, `seal`, then `initiate` makes this the initiator; each
 * `msg,HEX` is answered by `have,HASH` and `need,HASH` lines and `msg,HEX` or `done`. Anything else
 * ends it with an error. $FRAMESIZELIMIT: bytes of a message, 0 for no limit.
 *
 * With --reference it splits as upstream does (16 pieces, lists below 32) and cuts as upstream
 * does, so that transcripts can be compared byte by byte. */
#include "core/reconcile.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define UNLIMITED ((size_t)1 << 62)

static struct recordset *set;
static struct reconcile *side;
static bool initiates;

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "negentropy_lines: %s\n", why);
    exit(EXIT_FAILURE);
}

static void put_hex(const char *word, struct bytes bytes)
{
    char *hex = memory_take(2 * bytes.size + 1);

    printf("%s,%s\n", word, sodium_bin2hex(hex, 2 * bytes.size + 1, bytes.data, bytes.size));
    memory_give_back(hex);
}

static struct bytes get_hex(const char *hex)
{
    size_t room = strlen(hex) / 2 + 1, size;
    uint8_t *data = memory_take(room);

    if (strlen(hex) % 2 || sodium_hex2bin(data, room, hex, strlen(hex), NULL, &size, NULL) != 0 ||
        size != strlen(hex) / 2)
        give_up("not hex");
    return bytes_of(data, size);
}

static void add_item(const char *rest)
{
    char *end;
    unsigned long long at_s = strtoull(rest, &end, 10);
    struct stamp stamp = {.at_s = (uint32_t)at_s};
    struct bytes hash;

    if (end == rest || *end != ',' || at_s >= STAMP_TIME_END || side)
        give_up("a bad item");
    hash = get_hex(end + 1);
    if (hash.size != HASH_SIZE)
        give_up("a bad hash");
    memcpy(stamp.hash.bytes, hash.data, HASH_SIZE);
    memory_give_back((void *)hash.data);
    if (!recordset_insert(set, &stamp))
        give_up("an item twice");
}

static void seal(const struct reconcile_settings *settings)
{
    if (side)
        give_up("sealed twice");
    side = reconcile_new(settings);
}

static void put_found(const char *word, const struct hash *hashes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_hex(word, bytes_of(hashes[i].bytes, HASH_SIZE));
}

/* All is told at the end, each once: before `done` any line is as good. */
static void learn(struct bytes message)
{
    struct bytes next;
    enum reconcile_verdict verdict = reconcile_take(side, set, message, &next);
    const struct hash *found;
    size_t count;

    if (verdict == RECONCILE_TAKEN) {
        put_hex("msg", next);
        return;
    }
    if (verdict != RECONCILE_DONE)
        give_up("the answer is refused");
    found = reconcile_haves(side, &count);
    put_found("have", found, count);
    found = reconcile_needs(side, &count);
    put_found("need", found, count);
    printf("done\n");
}

static void take_message(const char *hex)
{
    struct bytes message, answer;

    if (!side)
        give_up("a message before seal");
    message = get_hex(hex);
    if (initiates)
        learn(message);
    else if (reconcile_answer(side, set, message, &answer) == RECONCILE_TAKEN)
        put_hex("msg", answer);
    else
        give_up("the message is refused");
    memory_give_back((void *)message.data);
}

static void initiate(void)
{
    struct bytes message;

    if (!side || initiates)
        give_up("initiate before seal, or twice");
    initiates = true;
    reconcile_begin(side, set, &message);
    put_hex("msg", message);
}

static struct reconcile_settings read_settings(int count, char **arguments)
{
    struct reconcile_settings settings = reconcile_defaults;
    const char *limit = getenv("FRAMESIZELIMIT");

    settings.take_max = settings.needs_max = settings.haves_max = UNLIMITED;
    settings.rounds_max = settings.bytes_max = settings.looks_max = UNLIMITED;
    settings.frame_max = limit ? (size_t)strtoull(limit, NULL, 10) : 0;
    if (settings.frame_max > 0 && settings.frame_max < RECONCILE_FRAME_MIN)
        give_up("FRAMESIZELIMIT is too small");
    if (count == 2 && strcmp(arguments[1], "--reference") == 0) {
        settings.list_below = 32;
        settings.cuts_like_reference = true;
    } else if (count != 1) {
        give_up("usage: negentropy_lines [--reference]");
    }
    return settings;
}

int main(int count, char **arguments)
{
    const struct reconcile_settings settings = read_settings(count, arguments);
    char *line = NULL;
    size_t room = 0;
    ssize_t size;

    set = recordset_new();
    while ((size = getline(&line, &room, stdin)) > 0) {
        if (line[size - 1] == '\n')
            line[size - 1] = '\0';
        if (strncmp(line, "item,", 5) == 0)
            add_item(line + 5);
        else if (strcmp(line, "seal") == 0)
            seal(&settings);
        else if (strcmp(line, "initiate") == 0)
            initiate();
        else if (strncmp(line, "msg,", 4) == 0)
            take_message(line + 4);
        else
            give_up("an unknown line");
        fflush(stdout);
    }
    free(line);
    reconcile_free(side);
    recordset_free(set);
    return EXIT_SUCCESS;
}
