/* The audit log: shown, carried off, and checked, the last by anybody, without node and keys.
 *
 * An export is JSON, one document a line: first {"ducknode_audit": 1, "node", "chain"}, then
 * {"checkpoint"} and {"page"} lines, all bytes in base64. A copy of node.db can be checked as well. */
#include "client/duck_client.h"
#include "commands.h"
#include "core/audit_log.h"
#include "core/binary_data.h"
#include "store.h"
#include "wire/local.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT_VERSION 1
#define AT_ONCE 256u /* pages or checkpoints that are read at once of a node.db */

/* ---- list ---- */

static const struct command_flag audit_flags[] = {
    {"duckling", "DUCKLING", "list: only what one duckling did or met"},
    {"subject", "ID", "list: only the steps of one peck or bond"},
    {"limit", "N", "list: at most so many entries, the newest; default 50"},
    {NULL, NULL, NULL},
};

/* Scopes are parted by line ends, and an entry is one line. */
static void print_detail(struct bytes detail)
{
    printf("  \"");
    show_line(stdout, detail);
    printf("\"");
}

static void print_entry(const Duck__AuditView *entry)
{
    char at[32];

    printf("%8" PRIu64 "  %s  %-13s %-9s %s", entry->number, time_text(entry->at_ms, at),
           entry->kind, entry->state, entry->subject);
    if (*entry->with)
        printf("  %s with %s", entry->duckling, entry->with);
    if (entry->detail.len > 0)
        print_detail(borrowed(entry->detail));
    printf("\n");
}

static int list(struct call *call)
{
    Duck__AuditQuery query = DUCK__AUDIT_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    json_t *entries = call->json ? json_array() : NULL;
    uint64_t left = 50;
    char cursor[24] = "";
    int status = 0;

    if (!call_number(call, "limit", &left))
        return 2;
    query.duckling = lent_text(call_flag(call, "duckling"));
    query.subject = lent_text(call_flag(call, "subject"));
    request.order_case = DUCK__REQUEST__ORDER_AUDIT;
    request.audit = &query;
    do {
        Duck__Reply *reply;

        query.limit = (uint32_t)(left < 200 ? left : 200);
        query.cursor = cursor;
        reply = left > 0 ? ask(call, &request, &status) : NULL;
        if (!reply)
            break;
        for (size_t i = 0; i < reply->audit->n_entries; i++)
            if (call->json)
                json_array_append_new(entries, json_of_message(reply->audit->entries[i]));
            else
                print_entry(reply->audit->entries[i]);
        left -= reply->audit->n_entries;
        snprintf(cursor, sizeof cursor, "%s", reply->audit->next_cursor);
        duck_reply_free(reply);
    } while (*cursor);
    if (call->json && status == 0)
        print_json(entries);
    else
        json_decref(entries);
    return status;
}

/* ---- export ---- */

static void put_line(FILE *file, const char *member, ProtobufCBinaryData bytes)
{
    size_t size = sodium_base64_ENCODED_LEN(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(size);

    if (!text)
        memory_ran_out();
    sodium_bin2base64(text, size, bytes.data, bytes.len, sodium_base64_VARIANT_ORIGINAL);
    fprintf(file, "{\"%s\": \"%s\"}\n", member, text);
    free(text);
}

static void put_head(FILE *file, ProtobufCBinaryData chain)
{
    size_t size = sodium_base64_ENCODED_LEN(chain.len, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(size);

    if (!text)
        memory_ran_out();
    sodium_bin2base64(text, size, chain.data, chain.len, sodium_base64_VARIANT_ORIGINAL);
    fprintf(file, "{\"ducknode_audit\": %d, \"chain\": \"%s\"}\n", EXPORT_VERSION, text);
    free(text);
}

static int export_to(struct call *call, FILE *file)
{
    Duck__AuditLogQuery query = DUCK__AUDIT_LOG_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    bool is_first = true, is_more = true;
    int status = 0;

    request.order_case = DUCK__REQUEST__ORDER_AUDIT_LOG;
    request.audit_log = &query;
    while (is_more) {
        Duck__Reply *reply = ask(call, &request, &status);
        const Duck__AuditLogPart *part;

        if (!reply)
            return status;
        part = reply->audit_log;
        if (is_first)
            put_head(file, part->chain);
        is_first = false;
        for (size_t i = 0; i < part->n_checkpoints; i++)
            put_line(file, "checkpoint", part->checkpoints[i]);
        for (size_t i = 0; i < part->n_pages; i++)
            put_line(file, "page", part->pages[i]);
        is_more = part->n_pages > 0 || part->n_checkpoints > 0;
        query.after_entry = part->last_entry;
        query.after_page = part->last_page;
        duck_reply_free(reply);
    }
    return 0;
}

static int finish(FILE *file)
{
    return file == stdout ? fflush(file) : fclose(file);
}

static int export_log(struct call *call)
{
    const char *path = call->argument_count > 1 ? call->arguments[1] : NULL;
    FILE *file = path ? fopen(path, "wxe") : stdout;
    int status;

    if (!file)
        return fail(call, "file", "%s: %s", path, strerror(errno));
    status = export_to(call, file);
    if (finish(file) != 0 && status == 0)
        return fail(call, "file", "%s: %s", path ? path : "standard output", strerror(errno));
    return status;
}

/* ---- verify ---- */

/* What is checked: chain, checkpoints and pages come from an export or from a node.db. */
struct check {
    struct call *call;
    struct arena arena; /* of chain and checkpoints */
    struct chain chain;
    struct audit_checkpoint *checkpoints;
    size_t count, capacity;
    struct audit_reader reader;
    bool reads; /* pages; before that, checkpoints */
    uint64_t checked;
    enum audit_verdict verdict;
    char problem[160]; /* empty: none but the verdict */
};

static void take_chain(struct check *check, struct bytes wire)
{
    enum certificate_verdict verdict = chain_open(wire, &check->arena, &check->chain);

    if (verdict == CERTIFICATE_TAKEN && check->chain.kind == IDENTITY_NODE)
        return;
    snprintf(check->problem, sizeof check->problem, "its certificates do not hold: %s",
             verdict == CERTIFICATE_TAKEN ? "they are no node's"
                                          : certificate_verdict_text(verdict));
}

static void take_checkpoint(struct check *check, struct bytes wire)
{
    struct audit_checkpoint checkpoint;

    check->verdict = audit_checkpoint_open(wire, &check->chain, &check->arena, &checkpoint);
    if (check->verdict != AUDIT_OK) {
        snprintf(check->problem, sizeof check->problem, "checkpoint %zu: %s", check->count + 1,
                 audit_verdict_text(check->verdict));
        return;
    }
    if (check->count == check->capacity) {
        check->capacity = check->capacity ? check->capacity * 2 : 64;
        check->checkpoints =
            memory_resize(check->checkpoints, check->capacity * sizeof *check->checkpoints);
    }
    check->checkpoints[check->count++] = checkpoint;
}

static void take_page(struct check *check, struct bytes body)
{
    struct audit_page page;
    struct arena arena;

    arena_init(&arena, PARSE_BUDGET(AUDIT_PAGE_SIZE_MAX));
    check->verdict = audit_reader_take(&check->reader, body, &arena, &page);
    if (check->verdict != AUDIT_OK)
        snprintf(check->problem, sizeof check->problem, "after entry %" PRIu64 ": %s",
                 check->reader.entries, audit_verdict_text(check->verdict));
    else
        check->checked += page.count;
    arena_free(&arena);
}

static void begin_pages(struct check *check)
{
    audit_reader_init(&check->reader, &check->chain, check->checkpoints, check->count);
    check->reads = true;
}

static void take_line(struct check *check, const json_t *document, bool is_head)
{
    static const char *const members[] = {"chain", "checkpoint", "page"};
    struct arena arena;

    arena_init(&arena, 4 * AUDIT_PAGE_SIZE_MAX);
    for (size_t i = 0; i < 3 && !check->problem[0]; i++) {
        const char *text = json_string_value(json_object_get(document, members[i]));
        size_t size = text ? strlen(text) : 0, decoded = 0;
        uint8_t *data;

        if (!text || (i == 0) != is_head || (i > 0 && (i == 2) != check->reads) ||
            (i == 0 && check->reads))
            continue;
        data = arena_take(&arena, size + 1);
        if (!data || sodium_base642bin(data, size + 1, text, size, NULL, &decoded, NULL,
                                       sodium_base64_VARIANT_ORIGINAL) != 0)
            snprintf(check->problem, sizeof check->problem, "%s is not base64", members[i]);
        else if (i == 0)
            take_chain(check, bytes_of(data, decoded));
        else if (i == 1)
            take_checkpoint(check, bytes_of(data, decoded));
        else
            take_page(check, bytes_of(data, decoded));
    }
    arena_free(&arena);
}

static void read_lines(struct check *check, FILE *file)
{
    char *line = NULL;
    size_t capacity = 0, number = 0;

    while (!check->problem[0] && getline(&line, &capacity, file) > 0) {
        json_t *document = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        bool is_head = ++number == 1;

        if (!json_is_object(document) ||
            (is_head &&
             json_integer_value(json_object_get(document, "ducknode_audit")) != EXPORT_VERSION))
            snprintf(check->problem, sizeof check->problem, "line %zu is not of an audit log",
                     number);
        else
            take_line(check, document, is_head);
        json_decref(document);
    }
    if (number == 0)
        snprintf(check->problem, sizeof check->problem, "it is empty");
    free(line);
}

static int check_export(struct check *check, const char *path)
{
    FILE *file = fopen(path, "re");

    if (!file)
        return fail(check->call, "file", "%s: %s", path, strerror(errno));
    read_lines(check, file);
    if (!check->problem[0]) {
        begin_pages(check);
        rewind(file);
        read_lines(check, file);
    }
    fclose(file);
    return 0;
}

static void read_store(struct check *check, struct store_reader *reader)
{
    struct bytes *wires = memory_take(AT_ONCE * sizeof *wires);
    struct bytes chain = store_view_audit_signer(reader, &check->arena);
    uint64_t last = 0;
    size_t count;

    if (!chain.data)
        snprintf(check->problem, sizeof check->problem, "it holds no audit log");
    else
        take_chain(check, chain);
    do {
        count = store_view_audit_checkpoints(reader, last, AT_ONCE, &check->arena, wires, &last);
        for (size_t i = 0; i < count && !check->problem[0]; i++)
            take_checkpoint(check, wires[i]);
    } while (count > 0 && !check->problem[0]);
    begin_pages(check);
    last = 0;
    do {
        struct arena arena;

        arena_init(&arena, AT_ONCE * AUDIT_PAGE_SIZE_MAX);
        count = store_view_audit_pages(reader, last, AT_ONCE, &arena, wires, &last);
        for (size_t i = 0; i < count && !check->problem[0]; i++)
            take_page(check, wires[i]);
        arena_free(&arena);
    } while (count > 0 && !check->problem[0]);
    memory_give_back(wires);
}

static int check_store(struct check *check, const char *path)
{
    struct store_reader *reader;
    int fault = store_reader_open(&reader, path);

    if (fault)
        return fail(check->call, "file", "%s: %s", path, fault_text(fault));
    read_store(check, reader);
    store_reader_close(reader);
    return 0;
}

static bool is_database(const char *path)
{
    static const char magic[] = "SQLite format 3";
    char begin[sizeof magic] = "";
    FILE *file = fopen(path, "re");
    bool is_one = file && fread(begin, 1, sizeof magic, file) == sizeof magic &&
                  memcmp(begin, magic, sizeof magic) == 0;

    if (file)
        fclose(file);
    return is_one;
}

static int say(const struct check *check)
{
    const struct audit_reader *reader = &check->reader;
    uint64_t unsigned_entries = reader->entries - reader->vouched_entries;
    char node[ID_TEXT_SIZE], at[32];

    id_text(ID_NODE, &check->chain.identity, node);
    time_text(reader->vouched_ms, at);
    if (check->call->json) {
        print_json(json_pack("{s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:s}", "valid", 1, "node", node,
                             "entries", (json_int_t)check->checked, "first_entry",
                             (json_int_t)reader->first_entry, "last_entry",
                             (json_int_t)reader->entries, "entries_after_last_checkpoint",
                             (json_int_t)unsigned_entries, "restored", (json_int_t)reader->restored,
                             "signed_at", at));
        return 0;
    }
    printf("valid: %" PRIu64 " entries of %s, %" PRIu64 " to %" PRIu64 "\n", check->checked, node,
           reader->first_entry, reader->entries);
    if (reader->first_entry > 1)
        printf("  what was before entry %" PRIu64 " was cut off; the node signed what it was\n",
               reader->first_entry);
    if (reader->restored > 0)
        printf("  the node was restored from a backup %" PRIu64
               " time%s: what it did between backup "
               "and loss is not here\n",
               reader->restored, reader->restored == 1 ? "" : "s");
    printf("  signed by the node up to entry %" PRIu64 ", %s\n", reader->vouched_entries, at);
    if (unsigned_entries > 0)
        printf("  the last %" PRIu64 " are chained, but not signed yet\n", unsigned_entries);
    return 0;
}

static int verify(struct call *call)
{
    struct check check = {.call = call};
    const char *path = call->argument_count > 1 ? call->arguments[1] : NULL;
    char own[OPTIONS_PATH_SIZE + 16];
    int status;

    if (!identity_self_test())
        return fail(call, "crypto", "this libsodium judges signatures otherwise than the network");
    snprintf(own, sizeof own, "%s/node.db", call->options.state_dir);
    if (!path)
        path = own;
    arena_init(&check.arena, SIZE_MAX);
    status = is_database(path) ? check_store(&check, path) : check_export(&check, path);
    if (status == 0 && !check.problem[0]) {
        check.verdict = audit_reader_end(&check.reader);
        if (check.verdict != AUDIT_OK)
            snprintf(check.problem, sizeof check.problem, "after entry %" PRIu64 ": %s",
                     check.reader.entries, audit_verdict_text(check.verdict));
    }
    if (status == 0)
        status =
            check.problem[0] ? fail(call, "invalid", "not valid: %s", check.problem) : say(&check);
    memory_give_back(check.checkpoints);
    arena_free(&check.arena);
    return status;
}

static int audit(struct call *call)
{
    const char *what = call->arguments[0];

    if (strcmp(what, "list") == 0)
        return list(call);
    if (strcmp(what, "export") == 0)
        return export_log(call);
    if (strcmp(what, "verify") == 0)
        return verify(call);
    return misused_word(call);
}

const struct command audit_commands[] = {
    {"audit", "list | export [FILE] | verify [EXPORT|node.db]", 1, 2,
     "What this node did with pecks and bonds: listed, carried off as JSON lines, or verified "
     "offline, by anybody.",
     audit_flags, "ducknode audit verify audit.jsonl", audit},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
