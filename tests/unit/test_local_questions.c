/* What the local API tells when it is asked: the node, its pecks, the directory. */
#include "local_rig.h"

/* ---- questions ---- */

START_TEST(the_status_tells_what_the_loop_knows)
{
    Duck__StatusQuery query = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char node[ID_TEXT_SIZE];
    Duck__Reply *reply;

    start(NULL);
    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &query;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_STATUS);
    ck_assert_str_eq(reply->status->node_id, id_text(ID_NODE, &rig.bed.node.id, node));
    ck_assert_str_eq(reply->status->network, THINGS_NETWORK);
    ck_assert_str_eq(reply->status->display_name, "rig");
    ck_assert_uint_eq(reply->status->links, 3);
    ck_assert_uint_eq(reply->status->records, 77);
    ck_assert_str_eq(reply->status->listening[0], "tcp://127.0.0.1:1");
    duck_reply_free(reply);
}
END_TEST

START_TEST(the_status_says_that_the_store_is_still_being_read)
{
    Duck__StatusQuery query = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;

    start(NULL);
    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &query;
    for (int restoring = 1; restoring >= 0; restoring--) {
        rig.is_restoring = restoring;
        reply = duck_call_wait(rig.duck, &request, 0);
        ck_assert_str_eq(reply->status->parts[0]->name, "store");
        ck_assert_str_eq(reply->status->parts[0]->status, restoring ? "degraded" : "operational");
        duck_reply_free(reply);
    }
}
END_TEST

START_TEST(metrics_are_this_nodes_and_all_nodes)
{
    Duck__MetricsQuery query = DUCK__METRICS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    bool found = false;

    start(NULL);
    request.order_case = DUCK__REQUEST__ORDER_METRICS;
    request.metrics = &query;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_uint_eq(reply->metrics->this_node->pecks, 5);
    ck_assert_uint_eq(reply->metrics->total->pecks, 50);
    ck_assert_uint_eq(reply->metrics->nodes, 9);
    for (size_t i = 0; i < reply->metrics->n_counters; i++)
        found = found || (strcmp(reply->metrics->counters[i]->name, "ducknode_records") == 0 &&
                          reply->metrics->counters[i]->value == 77);
    ck_assert(found);
    duck_reply_free(reply);
}
END_TEST

static struct agent_member dead_member(const struct id *node)
{
    return (struct agent_member){
        .node = *node, .state = GOSSIP_DEAD, .version = {.ms = 99, .count = 3}, .accusers = 2};
}

static Duck__Reply *ask_peers(const char *node)
{
    Duck__PeersQuery query = DUCK__PEERS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.node = (char *)(uintptr_t)node;
    request.order_case = DUCK__REQUEST__ORDER_PEERS;
    request.peers = &query;
    return duck_call_wait(rig.duck, &request, 0);
}

START_TEST(peers_are_all_nodes_that_are_known_linked_or_not)
{
    struct id far = {{7}}, farther = {{8}};
    struct agent_member members[] = {dead_member(&farther), dead_member(&far)};
    Duck__Reply *reply;
    char text[ID_TEXT_SIZE];

    start(NULL);
    reply = ask_peers("");
    ck_assert_uint_eq(reply->peers->n_peers, 0);
    duck_reply_free(reply);
    roster_update(rig.roster, members, 2, 1);
    reply = ask_peers("");
    ck_assert_uint_eq(reply->peers->n_peers, 2);
    ck_assert_str_eq(reply->peers->peers[0]->node_id, id_text(ID_NODE, &far, text));
    ck_assert_str_eq(reply->peers->peers[0]->state, "dead");
    ck_assert_str_eq(reply->peers->peers[0]->link, "none");
    ck_assert_uint_eq(reply->peers->peers[0]->incarnation_ms, 99);
    ck_assert_uint_eq(reply->peers->peers[0]->incarnation_count, 3);
    ck_assert_uint_eq(reply->peers->peers[0]->accusers, 2);
    duck_reply_free(reply);
    reply = ask_peers(id_text(ID_NODE, &farther, text));
    ck_assert_uint_eq(reply->peers->n_peers, 1);
    ck_assert_str_eq(reply->peers->peers[0]->node_id, text);
    duck_reply_free(reply);
    reply = ask_peers(id_text(ID_NODE, &rig.bed.alice.id, text)); /* no such node */
    ck_assert_uint_eq(reply->peers->n_peers, 0);
    duck_reply_free(reply);
    reply = ask_peers("nod_x");
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PROBLEM);
    ck_assert_str_eq(reply->problem->field, "node");
    duck_reply_free(reply);
}
END_TEST

static double counter_of(const Duck__GossipAnswer *gossip, const char *name, const char *label)
{
    for (size_t i = 0; i < gossip->n_counters; i++)
        if (strcmp(gossip->counters[i]->name, name) == 0 &&
            strcmp(gossip->counters[i]->label, label) == 0)
            return gossip->counters[i]->value;
    return -1;
}

static Duck__Reply *ask_gossip(void)
{
    Duck__GossipQuery query = DUCK__GOSSIP_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    request.order_case = DUCK__REQUEST__ORDER_GOSSIP;
    request.gossip = &query;
    return duck_call_wait(rig.duck, &request, 0);
}

START_TEST(the_gossip_is_told_by_counters_of_one_table)
{
    struct id far = {{7}};
    struct agent_member member = dead_member(&far);
    Duck__Reply *reply;

    roster_update(rig.roster, &member, 1, 1);
    start(NULL);
    reply = ask_gossip();
    for (size_t i = 0; i < reply->gossip->n_counters; i++)
        ck_assert_int_eq(strncmp(reply->gossip->counters[i]->name, "ducknode_gossip_", 16), 0);
    ck_assert(counter_of(reply->gossip, "ducknode_gossip_members", "state=\"dead\"") == 1);
    ck_assert(counter_of(reply->gossip, "ducknode_gossip_members", "state=\"alive\"") == 0);
    ck_assert(counter_of(reply->gossip, "ducknode_gossip_refused_total", "reason=\"expired\"") ==
              4);
    ck_assert(counter_of(reply->gossip, "ducknode_gossip_refused_total", "reason=\"malformed\"") ==
              3);
    ck_assert(counter_of(reply->gossip, "ducknode_gossip_frames_in_total", "kind=\"records\"") ==
              0);
    duck_reply_free(reply);
}
END_TEST

START_TEST(each_set_of_records_is_told_with_its_fingerprint)
{
    struct agent_set *sets = rig.sets;
    Duck__Reply *reply;

    sets[RECORD_SET_DIRECTORY - 1] = (struct agent_set){70, {1, 2, 3}};
    sets[RECORD_SET_METRICS - 1] = (struct agent_set){7, {4, 5, 6}};
    start(NULL);
    reply = ask_gossip();
    ck_assert_uint_eq(reply->gossip->directory->records, 70);
    ck_assert_uint_eq(reply->gossip->directory->fingerprint.len, RECORDSET_PRINT_SIZE);
    ck_assert_mem_eq(reply->gossip->directory->fingerprint.data, sets[0].fingerprint,
                     RECORDSET_PRINT_SIZE);
    ck_assert_uint_eq(reply->gossip->metrics->records, 7);
    ck_assert_mem_eq(reply->gossip->metrics->fingerprint.data, sets[1].fingerprint,
                     RECORDSET_PRINT_SIZE);
    duck_reply_free(reply);
}
END_TEST

START_TEST(a_peck_is_shown_with_everything_that_was_signed)
{
    struct peck_wish wish = {.action = "data.read", .thread = "t1"};
    struct effect kept = bed_receive(&rig.bed, PECK_ANSWERED, &wish);
    struct effect done =
        make_receipt(&rig.bed.bob, &kept, RECEIPT_DONE, PECK_ANSWERED, &rig.bed.arena);
    struct asked asked = ASKED_INIT;
    const Duck__PeckView *view;

    bed_keep(&rig.bed, &done, 1);
    start(NULL);
    call_peck(&asked, &kept.peck.id, DUCK__WAIT_FOR__WAIT_DONE, 20000);
    view = await_reply(&asked, 1)->peck;
    ck_assert_int_eq(asked.reply->answer_case, DUCK__REPLY__ANSWER_PECK);
    ck_assert_str_eq(view->peck_id, peck_text(&kept.peck.id));
    ck_assert_str_eq(view->from, alice);
    ck_assert_str_eq(view->to, bob);
    ck_assert_str_eq(view->state, "answered");
    ck_assert_uint_eq(view->box, 1);
    ck_assert_uint_eq(view->envelope.len, kept.peck.wire.size);
    ck_assert_uint_eq(view->chain.len, rig.bed.alice.chain.size);
    ck_assert_uint_eq(view->n_receipts, 1);
    ck_assert_str_eq(view->receipts[0]->kind, "done");
    ck_assert_str_eq(view->receipts[0]->signer, bob);
    ck_assert_uint_gt(view->receipts[0]->envelope.len, 64);
    ck_assert_mem_eq(view->result.data, "{\"ok\":true}", view->result.len);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(a_peck_that_is_not_held_is_not_found)
{
    struct id peck = {.bytes = {1, 2, 3}};

    start(NULL);
    expect_code(duck_peck_get(rig.duck, peck_text(&peck), DUCK_WAIT_DONE, 20000), "not_found",
                "peck_id");
}
END_TEST

START_TEST(lists_come_in_pages)
{
    Duck__PecksQuery query = DUCK__PECKS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct peck_wish wish = {0};
    char cursor[32] = "";
    size_t seen = 0;
    Duck__Reply *reply;

    for (int i = 0; i < 5; i++)
        bed_receive(&rig.bed, PECK_TAKEN, &wish);
    bed_send(&rig.bed, PECK_QUEUED, &wish);
    start(NULL);
    query.duckling = bob;
    query.box = BOX_IN;
    query.limit = 2;
    request.order_case = DUCK__REQUEST__ORDER_PECKS;
    request.pecks = &query;
    do {
        query.cursor = cursor;
        reply = duck_call_wait(rig.duck, &request, 0);
        ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PECKS);
        ck_assert_uint_le(reply->pecks->n_pecks, 2);
        seen += reply->pecks->n_pecks;
        strcpy(cursor, reply->pecks->next_cursor);
        duck_reply_free(reply);
    } while (cursor[0]);
    ck_assert_uint_eq(seen, 5);
}
END_TEST

static void expect_list_refused(Duck__PecksQuery *query, const char *field)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;

    request.order_case = DUCK__REQUEST__ORDER_PECKS;
    request.pecks = query;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PROBLEM);
    ck_assert_str_eq(reply->problem->field, field);
    duck_reply_free(reply);
    duck__pecks_query__init(query);
}

START_TEST(a_list_that_is_asked_for_wrongly_is_refused_by_member)
{
    Duck__PecksQuery query = DUCK__PECKS_QUERY__INIT;
    char *state = "flying";

    start(NULL);
    query.limit = LOCAL_PAGE_MAX + 1;
    expect_list_refused(&query, "limit");
    query.box = 3;
    expect_list_refused(&query, "box");
    query.cursor = "x";
    expect_list_refused(&query, "cursor");
    query.cursor = "-1";
    expect_list_refused(&query, "cursor");
    query.duckling = "x";
    expect_list_refused(&query, "duckling");
    query.with = "x";
    expect_list_refused(&query, "with");
    query.states = &state;
    query.n_states = 1;
    expect_list_refused(&query, "states");
}
END_TEST

static void keep_duckling(const struct author *owner, const char *name, const char *capability)
{
    const char *capabilities[] = {capability, NULL};
    struct effect kept = make_duckling_record(owner, &rig.bed.node.id, name, "a bio", capabilities,
                                              clock_wall_ms() - MINUTE_MS, &rig.bed.arena);

    bed_keep(&rig.bed, &kept, 1);
}

START_TEST(the_directory_tells_tiers_with_their_evidence)
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    const Duck__DirectoryEntry *entry;
    Duck__Reply *reply;

    keep_duckling(&rig.bed.alice, "Alice", "weather.forecast");
    keep_duckling(&rig.bed.bob, "Bob", "data.read");
    start(NULL);
    query.capability = "weather.*";
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DIRECTORY);
    ck_assert_uint_eq(reply->directory->n_entries, 1);
    entry = reply->directory->entries[0];
    ck_assert_str_eq(entry->duckling, alice);
    ck_assert(entry->host_linked); /* it is this node */
    ck_assert_uint_eq(entry->tier, 0);
    ck_assert_uint_eq(entry->n_tier_evidence, 1);
    ck_assert_str_eq(entry->tier_evidence[0], "hosted-by");
    ck_assert_uint_eq(entry->n_tier_missing, 3);
    ck_assert_str_eq(entry->tier_missing[0], "bonded");
    ck_assert_uint_gt(entry->record.len, 64);
    duck_reply_free(reply);
    query.tier_min = 1;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_uint_eq(reply->directory->n_entries, 0);
    duck_reply_free(reply);
}
END_TEST

static void keep_bonded(const struct author *owner, const struct author *subject)
{
    struct attestation_content content = {.subject = subject->id,
                                          .claim = bytes_of_text("bonded"),
                                          .proof = bytes_of(subject->id.bytes, ID_SIZE)};
    char key[128] = "bonded:", text[ID_TEXT_SIZE];
    struct effect kept;

    strcat(key, id_text(ID_DUCKLING, &subject->id, text));
    kept = make_record(owner, RECORD_ATTESTATION, key, clock_wall_ms() - MINUTE_MS,
                       attestation_content_pack(&content, &rig.bed.arena), false, &rig.bed.arena);
    bed_keep(&rig.bed, &kept, 1);
}

START_TEST(a_bond_that_both_ends_attest_makes_tier_1)
{
    struct duck_search search = {0};
    struct duck_answer *answer;
    struct duck_entry entry;

    keep_duckling(&rig.bed.alice, "Alice", "weather.forecast");
    keep_bonded(&rig.bed.alice, &rig.bed.bob);
    start(NULL);
    search.duckling = alice;
    answer = duck_search(rig.duck, &search);
    ck_assert(duck_entry(answer, 0, &entry));
    ck_assert_uint_eq(entry.tier, 0);
    duck_answer_free(answer);
    keep_bonded(&rig.bed.bob, &rig.bed.alice);
    answer = duck_search(rig.duck, &search);
    ck_assert(duck_entry(answer, 0, &entry));
    ck_assert_uint_eq(entry.tier, 1);
    duck_answer_free(answer);
}
END_TEST

static void put_chain(struct bytes chain)
{
    char path[128];
    sqlite3_stmt *statement;
    sqlite3 *database;

    snprintf(path, sizeof path, "%s/directory.db", rig.bed.directory);
    ck_assert_int_eq(sqlite3_open(path, &database), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_prepare_v2(database, "UPDATE identity SET chain = ?1", -1, &statement, NULL),
        SQLITE_OK);
    sqlite3_bind_blob(statement, 1, chain.data, (int)chain.size, SQLITE_STATIC);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(database);
}

static void expect_hosted(bool hosted)
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;

    query.duckling = alice;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DIRECTORY);
    ck_assert_uint_eq(reply->directory->n_entries, 1);
    ck_assert_uint_eq(reply->directory->entries[0]->n_tier_evidence, hosted);
    duck_reply_free(reply);
}

/* Signatures are not checked for each page; what the disk did to a chain is found all the same. */
START_TEST(a_chain_that_is_not_what_was_kept_is_no_evidence)
{
    const char *none[] = {NULL};
    struct id certificate;
    struct bytes rotated = author_rotated_chain(&rig.bed.alice, &rig.bed.arena, &certificate);
    struct effect kept = make_duckling_record(&rig.bed.alice, &rig.bed.node.id, "Alice", "a bio",
                                              none, clock_wall_ms() - MINUTE_MS, &rig.bed.arena);
    uint8_t *turned = memory_copy(rotated.data, rotated.size);

    kept.record.item.chain = rotated;
    bed_keep(&rig.bed, &kept, 1);
    start(NULL);
    expect_hosted(true);
    put_chain(bytes_of(rotated.data, rotated.size - 1));
    expect_hosted(false);
    put_chain(rig.bed.bob.chain);
    expect_hosted(false);
    put_chain(rig.bed.alice.chain); /* shorter, and still hers */
    expect_hosted(true);
    turned[rotated.size - 64 - 80] ^= 1; /* in what the last certificate says */
    put_chain(bytes_of(turned, rotated.size));
    expect_hosted(false);
    turned[rotated.size - 64 - 80] ^= 1;
    put_chain(bytes_of(turned, rotated.size));
    expect_hosted(true);
    memory_give_back(turned);
}
END_TEST

START_TEST(ducklings_of_dead_nodes_are_left_out_where_it_is_asked_for)
{
    struct agent_member members[3] = {{.node = {{0xff}}, .state = GOSSIP_LEFT},
                                      {.node = {{1}}, .state = GOSSIP_DEAD}},
                        sorted[3];
    struct duck_search search = {.live_host = true};
    struct duck_answer *answer;
    struct duck_entry entry;

    keep_duckling(&rig.bed.alice, "Alice", "a");
    start(NULL);
    for (int state = 0; state < (int)GOSSIP_STATES; state++) {
        bool is_gone = state == GOSSIP_DEAD || state == GOSSIP_LEFT;

        memcpy(sorted, members, sizeof members);
        sorted[2] = (struct agent_member){.node = rig.bed.node.id, .state = state};
        roster_update(rig.roster, sorted, 3, 1);
        answer = duck_search(rig.duck, &search);
        ck_assert_int_eq(duck_entry(answer, 0, &entry), !is_gone);
        duck_answer_free(answer);
    }
    search.live_host = false;
    answer = duck_search(rig.duck, &search);
    ck_assert(duck_entry(answer, 0, &entry));
    duck_answer_free(answer);
}
END_TEST

START_TEST(the_directory_comes_in_pages)
{
    struct duck_search search = {.limit = 1};
    struct duck_answer *answer;
    char cursor[64];
    size_t seen = 0;

    keep_duckling(&rig.bed.alice, "Alice", "a");
    keep_duckling(&rig.bed.bob, "Bob", "b");
    start(NULL);
    do {
        answer = duck_search(rig.duck, &search);
        ck_assert(duck_ok(answer));
        seen += duck_count(answer);
        strcpy(cursor, duck_next_cursor(answer));
        search.cursor = cursor;
        duck_answer_free(answer);
    } while (cursor[0]);
    ck_assert_uint_eq(seen, 2);
}
END_TEST

static void expect_search_refused(struct duck_search search, const char *field)
{
    expect_code(duck_search(rig.duck, &search), "malformed", field);
}

START_TEST(a_search_that_makes_no_sense_is_refused_by_member)
{
    static char text[2000];

    start(NULL);
    expect_search_refused((struct duck_search){.capability = "Data"}, "capability");
    expect_search_refused((struct duck_search){.duckling = "x"}, "duckling");
    expect_search_refused((struct duck_search){.host = "x"}, "host");
    expect_search_refused((struct duck_search){.cursor = "x"}, "cursor");
    expect_search_refused((struct duck_search){.limit = LOCAL_PAGE_MAX + 1}, "limit");
    memset(text, 'a', 1025);
    expect_search_refused((struct duck_search){.text = text}, "text");
}
END_TEST

START_TEST(certificates_are_shown_with_their_chain)
{
    Duck__CertificateQuery query = DUCK__CERTIFICATE_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char node[ID_TEXT_SIZE];
    Duck__Reply *reply;

    keep_duckling(&rig.bed.alice, "Alice", "a");
    start(NULL);
    request.order_case = DUCK__REQUEST__ORDER_CERTIFICATE;
    request.certificate = &query;
    query.identity = alice;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_CERTIFICATE);
    ck_assert(reply->certificate->valid);
    ck_assert_uint_eq(reply->certificate->n_certificates, 1);
    ck_assert_uint_eq(reply->certificate->certificates[0]->public_key.len, 32);
    duck_reply_free(reply);
    query.identity = (char *)id_text(ID_NODE, &rig.bed.node.id, node); /* not in the store */
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_str_eq(reply->certificate->certificates[0]->kind, "node");
    duck_reply_free(reply);
    query.identity = "";
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_str_eq(reply->problem->code, "malformed");
    duck_reply_free(reply);
    query.certificate_id = "crt_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_str_eq(reply->problem->code, "not_found");
    duck_reply_free(reply);
}
END_TEST

/* ---- the audit log ---- */

static void call_audit_news(struct asked *asked, uint64_t after, uint32_t limit, uint64_t wait_ms)
{
    Duck__AuditNewsQuery query = DUCK__AUDIT_NEWS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.after = after;
    query.limit = limit;
    query.wait_ms = wait_ms;
    request.order_case = DUCK__REQUEST__ORDER_AUDIT_NEWS;
    request.audit_news = &query;
    duck_call(rig.duck, &request, 60000, keep_reply, asked);
}

START_TEST(whoever_waits_for_the_log_to_grow_hears_of_it)
{
    struct asked first = ASKED_INIT, second = ASKED_INIT, none = ASKED_INIT, anew = ASKED_INIT,
                 wrong = ASKED_INIT;
    struct effect effect, stored;
    uint64_t last;

    start(NULL);
    call_audit_news(&none, 0, 0, 60);
    ck_assert_uint_eq(await_reply(&none, 1)->audit->n_entries, 0);
    call_audit_news(&first, none.reply->audit->last, 0, 20000);
    stored = bed_send(&rig.bed, PECK_SENT, &(struct peck_wish){0});
    effect = change_of(BOX_OUT, &stored.peck.id, PECK_SENT);
    tell_now(&effect);
    ck_assert_uint_eq(await_reply(&first, 1)->audit->n_entries, 1);
    ck_assert_str_eq(first.reply->audit->entries[0]->kind, "peck_sent");
    last = first.reply->audit->entries[0]->number;
    ck_assert_uint_eq(first.reply->audit->last, last);
    call_audit_news(&second, last, 0, 60);
    ck_assert_uint_eq(await_reply(&second, 1)->audit->n_entries, 0);
    ck_assert_uint_eq(second.reply->audit->last, last);
    call_audit_news(&anew, last + 100, 0, 20000); /* the log has begun anew: told at once */
    ck_assert_uint_eq(await_reply(&anew, 1)->audit->last, last);
    call_audit_news(&wrong, 0, LOCAL_PAGE_MAX + 1, 0);
    ck_assert_str_eq(await_reply(&wrong, 1)->problem->field, "limit");
    duck_reply_free(first.reply);
    duck_reply_free(second.reply);
    duck_reply_free(none.reply);
    duck_reply_free(anew.reply);
    duck_reply_free(wrong.reply);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, the_status_tells_what_the_loop_knows);
    tcase_add_test(tests, the_status_says_that_the_store_is_still_being_read);
    tcase_add_test(tests, a_chain_that_is_not_what_was_kept_is_no_evidence);
    tcase_add_test(tests, ducklings_of_dead_nodes_are_left_out_where_it_is_asked_for);
    tcase_add_test(tests, metrics_are_this_nodes_and_all_nodes);
    tcase_add_test(tests, peers_are_all_nodes_that_are_known_linked_or_not);
    tcase_add_test(tests, the_gossip_is_told_by_counters_of_one_table);
    tcase_add_test(tests, each_set_of_records_is_told_with_its_fingerprint);
    tcase_add_test(tests, a_peck_is_shown_with_everything_that_was_signed);
    tcase_add_test(tests, a_peck_that_is_not_held_is_not_found);
    tcase_add_test(tests, lists_come_in_pages);
    tcase_add_test(tests, a_list_that_is_asked_for_wrongly_is_refused_by_member);
    tcase_add_test(tests, the_directory_tells_tiers_with_their_evidence);
    tcase_add_test(tests, a_bond_that_both_ends_attest_makes_tier_1);
    tcase_add_test(tests, the_directory_comes_in_pages);
    tcase_add_test(tests, a_search_that_makes_no_sense_is_refused_by_member);
    tcase_add_test(tests, certificates_are_shown_with_their_chain);
    tcase_add_test(tests, whoever_waits_for_the_log_to_grow_hears_of_it);
}

int main(void)
{
    return run_with_rig("local_questions", add_tests);
}
