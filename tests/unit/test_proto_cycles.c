/* protobuf-c follows nested messages with the stack and knows no end: a message that can contain
 * itself lets a stranger crash the process with 40 KiB. So none may. */
#include "wire/audit.pb-c.h"
#include "wire/certificate.pb-c.h"
#include "wire/envelope.pb-c.h"
#include "wire/gossip.pb-c.h"
#include "wire/grant.pb-c.h"
#include "wire/local.pb-c.h"
#include "wire/peck.pb-c.h"
#include "wire/perch.pb-c.h"
#include "wire/receipt.pb-c.h"
#include "wire/record.pb-c.h"
#include "wire/session.pb-c.h"
#include "wire/voucher.pb-c.h"

#include <check.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16

static const ProtobufCMessageDescriptor *const messages[] = {
    &duck__envelope__descriptor,
    &duck__batch_path__descriptor,
    &duck__certificate_body__descriptor,
    &duck__chain__descriptor,
    &duck__context_body__descriptor,
    &duck__issue_order__descriptor,
    &duck__contexts_query__descriptor,
    &duck__context_view__descriptor,
    &duck__context_list__descriptor,
    &duck__peck_body__descriptor,
    &duck__receipt_body__descriptor,
    &duck__record_body__descriptor,
    &duck__node_content__descriptor,
    &duck__duckling_content__descriptor,
    &duck__metrics_content__descriptor,
    &duck__revocation_content__descriptor,
    &duck__attestation_content__descriptor,
    &duck__revocation_content__descriptor,
    &duck__callee_hello__descriptor,
    &duck__caller_hello__descriptor,
    &duck__introduction__descriptor,
    &duck__peck_frame__descriptor,
    &duck__receipt_frame__descriptor,
    &duck__partial_frame__descriptor,
    &duck__refusal_frame__descriptor,
    &duck__probe_frame__descriptor,
    &duck__probe_request_frame__descriptor,
    &duck__probe_nack_frame__descriptor,
    &duck__accusation_frame__descriptor,
    &duck__accusation_body__descriptor,
    &duck__deposit_frame__descriptor,
    &duck__deposited_frame__descriptor,
    &duck__collect_frame__descriptor,
    &duck__held_frame__descriptor,
    &duck__settled_frame__descriptor,
    &duck__lobster_frame__descriptor,
    &duck__sealed_peck__descriptor,
    &duck__reconcile_frame__descriptor,
    &duck__fetch_frame__descriptor,
    &duck__fetched_frame__descriptor,
    &duck__records_frame__descriptor,
    &duck__record_item__descriptor,
    &duck__audit_page__descriptor,
    &duck__grant_body__descriptor,
    &duck__grant__descriptor,
    &duck__voucher_body__descriptor,
    &duck__withdrawal_body__descriptor,
    &duck__audit_entry__descriptor,
    &duck__audit_checkpoint__descriptor,
    &duck__request__descriptor,
    &duck__reply__descriptor,
};

/* Does anything below `message` lead back to something above it? */
static bool is_cyclic(const ProtobufCMessageDescriptor *message,
                      const ProtobufCMessageDescriptor **path, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        if (path[i] == message)
            return true;
    if (depth == DEPTH_MAX)
        return true;
    path[depth] = message;
    for (unsigned i = 0; i < message->n_fields; i++)
        if (message->fields[i].type == PROTOBUF_C_TYPE_MESSAGE &&
            is_cyclic(message->fields[i].descriptor, path, depth + 1))
            return true;
    return false;
}

START_TEST(no_message_can_contain_itself)
{
    const ProtobufCMessageDescriptor *path[DEPTH_MAX];

    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        ck_assert_msg(!is_cyclic(messages[i], path, 0), "%s can contain itself", messages[i]->name);
}
END_TEST

START_TEST(a_message_that_can_contain_itself_is_found)
{
    const ProtobufCMessageDescriptor *path[DEPTH_MAX];
    ProtobufCFieldDescriptor to_second = {.type = PROTOBUF_C_TYPE_MESSAGE};
    ProtobufCFieldDescriptor to_first = {.type = PROTOBUF_C_TYPE_MESSAGE};
    ProtobufCMessageDescriptor first = {.n_fields = 1, .fields = &to_second};
    ProtobufCMessageDescriptor second = {.n_fields = 1, .fields = &to_first};

    to_second.descriptor = &second;
    to_first.descriptor = &first;
    ck_assert(is_cyclic(&first, path, 0));
}
END_TEST

static bool is_reached(const ProtobufCMessageDescriptor *from, const char *name, int depth)
{
    if (strcmp(from->short_name, name) == 0)
        return true;
    for (unsigned i = 0; depth < DEPTH_MAX && i < from->n_fields; i++)
        if (from->fields[i].type == PROTOBUF_C_TYPE_MESSAGE &&
            is_reached(from->fields[i].descriptor, name, depth + 1))
            return true;
    return false;
}

/* Or a message that nobody listed would go unseen. */
START_TEST(every_message_of_every_proto_file_is_looked_at)
{
    char folder[1024], line[512], name[128], path[2048];
    struct dirent *entry;
    DIR *protos;
    int seen = 0;

    snprintf(folder, sizeof folder, "%s/proto", getenv("DUCK_SOURCE"));
    protos = opendir(folder);
    ck_assert_ptr_nonnull(protos);
    while ((entry = readdir(protos))) {
        FILE *file;

        if (!strstr(entry->d_name, ".proto"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        file = fopen(path, "r");
        ck_assert_ptr_nonnull(file);
        while (fgets(line, sizeof line, file)) {
            bool found = false;

            if (sscanf(line, "message %127[A-Za-z0-9]", name) != 1)
                continue;
            seen++;
            for (size_t i = 0; i < sizeof messages / sizeof *messages && !found; i++)
                found = is_reached(messages[i], name, 0);
            ck_assert_msg(found, "%s of %s is not looked at", name, entry->d_name);
        }
        fclose(file);
    }
    closedir(protos);
    ck_assert_int_gt(seen, 40);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proto_cycles");
    TCase *cycles = tcase_create("cycles");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(cycles, no_message_can_contain_itself);
    tcase_add_test(cycles, a_message_that_can_contain_itself_is_found);
    tcase_add_test(cycles, every_message_of_every_proto_file_is_looked_at);
    suite_add_tcase(suite, cycles);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
