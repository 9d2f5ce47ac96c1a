/* The directory, as this node can prove it to itself. A tier is computed here, from signed
 * evidence, each time that somebody asks: nobody's record asserts one.
 *
 * Signatures are checked before anything is kept, and not again for each page: directory.db is
 * this node's memory, written by its loop alone. What a disk did to it since is found by the hashes
 * that everything signed is named by. Whoever trusts no node checks the record and the chain, which
 * come with each entry. */
#include "clock.h"
#include "core/binary_data.h"
#include "core/revocation.h"
#include "core/tier.h"
#include "local_parts.h"
#include "store.h"
#include "wire/local.pb-c.h"

#define CONTRADICTED_LISTED_MAX 50u
#define TRUST_IN_ANSWER_MAX 1024u
#define STORE_PAGES_MAX 4u /* looked through for one page */
#define SEARCH_TEXT_MAX 1024u

/* ---- tiers ---- */

static void compose_tier(struct local_view *view, const struct tier_evidence *evidence,
                         Duck__DirectoryEntry *entry)
{
    bool has = tier_has_piece(evidence, 0);
    int tier = tier_of(evidence);

    entry->tier = tier < 0 ? 0 : (uint32_t)tier;
    entry->tier_evidence = local_new(view, TIER_PIECES * sizeof *entry->tier_evidence);
    entry->tier_missing = local_new(view, TIER_PIECES * sizeof *entry->tier_missing);
    /* A certificate goes without saying; without one nothing else counts. */
    for (size_t i = 1; i < TIER_PIECES; i++) {
        has = has && tier_has_piece(evidence, i);
        if (has)
            entry->tier_evidence[entry->n_tier_evidence++] = (char *)tier_piece_name(i);
        else
            entry->tier_missing[entry->n_tier_missing++] = (char *)tier_piece_name(i);
    }
}

/* Not why it is not vouched for at all: of others nothing is known. */
static void compose_taken_back(struct local_view *view, const struct id *duckling,
                               Duck__DirectoryEntry *entry)
{
    struct withdrawn withdrawn[RECORDS_PER_OWNER_MAX];
    size_t count = store_view_withdrawn(view->reader, duckling, clock_wall_ms(), withdrawn,
                                        RECORDS_PER_OWNER_MAX);

    entry->taken_back = local_new(view, (count + 1) * sizeof *entry->taken_back);
    for (size_t i = 0; i < count; i++) {
        Duck__TakenBack *taken_back = local_new(view, sizeof *taken_back);

        duck__taken_back__init(taken_back);
        taken_back->operator_ = local_id(view, ID_OPERATOR, &withdrawn[i].operator_id);
        taken_back->at_ms = withdrawn[i].until_ms;
        entry->taken_back[entry->n_taken_back++] = taken_back;
    }
}

/* ---- entries ---- */

static struct tier_evidence weigh(struct local_view *view, const struct stored_duckling *stored,
                                  struct id *certificate)
{
    struct public_key key;
    struct chain chain;
    struct tier_evidence evidence = {
        .is_hosted = !id_is_zero(&stored->content.host),
        .is_bonded = stored->bonded,
    };

    if (chain_read(stored->chain, &stored->record.owner, &view->scratch, &chain) !=
        CERTIFICATE_TAKEN)
        return evidence;
    *certificate = id_of(&chain.certificates[chain.count - 1].hash);
    evidence.certificate_holds =
        (chain.count == 1 ||
         store_view_has_certificate(view->reader, &stored->record.owner, certificate)) &&
        chain_key_at(&chain, clock_wall_ms(), &key) == CERTIFICATE_TAKEN;
    if (evidence.certificate_holds && evidence.is_hosted && evidence.is_bonded)
        evidence.is_vouched =
            store_view_vouched(view->reader, &stored->record.owner, clock_wall_ms());
    if (evidence.is_vouched)
        evidence.is_bound = store_view_bound(view->reader, &stored->record.owner, clock_wall_ms());
    return evidence;
}

static bool is_linked(const struct local_view *view, const struct id *host)
{
    const struct local_api_settings *settings = &view->api->settings;

    return id_equal(host, &settings->node) ||
           (settings->transport && transport_has_link(settings->transport, host));
}

static Duck__DirectoryEntry *compose_entry(struct local_view *view,
                                           const struct stored_duckling *stored)
{
    const struct duckling_content *content = &stored->content;
    Duck__DirectoryEntry *entry = local_new(view, sizeof *entry);
    struct id certificate = {0};
    struct tier_evidence evidence = weigh(view, stored, &certificate);

    duck__directory_entry__init(entry);
    entry->duckling = local_id(view, ID_DUCKLING, &stored->record.owner);
    entry->display_name = lent(content->display_name);
    entry->bio = lent(content->bio);
    entry->capabilities =
        local_new(view, (content->capability_count + 1) * sizeof *entry->capabilities);
    for (size_t i = 0; i < content->capability_count; i++)
        entry->capabilities[i] = lent(content->capabilities[i]);
    entry->n_capabilities = content->capability_count;
    entry->accepts_pecks = content->accepts_pecks;
    entry->host = local_id(view, ID_NODE, &content->host);
    entry->host_linked = is_linked(view, &content->host);
    entry->seen_ms = stored->record.version.ms;
    entry->record = lent(stored->wire);
    entry->chain = lent(stored->chain);
    entry->certificate_id = local_id(view, ID_CERTIFICATE, &certificate);
    entry->least_tier = content->least_tier;
    entry->open_actions =
        local_new(view, (content->open_action_count + 1) * sizeof *entry->open_actions);
    for (size_t i = 0; i < content->open_action_count; i++)
        entry->open_actions[i] = lent(content->open_actions[i]);
    entry->n_open_actions = content->open_action_count;
    compose_tier(view, &evidence, entry);
    if (!evidence.is_vouched)
        compose_taken_back(view, &stored->record.owner, entry);
    return entry;
}

/* ---- pages ---- */

static bool judge_search(struct local_view *view, const Duck__DirectoryQuery *query, void *reply)
{
    struct bytes capability = bytes_of_text(query->capability);
    struct bytes text = bytes_of_text(query->text);

    if (capability.size > 0 && capability.data[capability.size - 1] == '*')
        capability.size--;
    if (capability.size > NAME_MAX_BYTES || !bytes_are_name(capability)) {
        local_problem(view, reply, REFUSAL_MALFORMED,
                      "a capability is 1 to 64 of a-z, 0-9, '_', '.', '-', or a beginning and *",
                      "capability");
        return false;
    }
    if (text.size > SEARCH_TEXT_MAX || !bytes_are_text(text, true)) {
        local_problem(view, reply, REFUSAL_MALFORMED, "a text is at most 1024 bytes of UTF-8",
                      "text");
        return false;
    }
    if (query->limit > LOCAL_PAGE_MAX) {
        local_problem(view, reply, REFUSAL_MALFORMED, "a list is of at most 200", "limit");
        return false;
    }
    if (query->tier_min > 3) {
        local_problem(view, reply, REFUSAL_MALFORMED, "tiers are 0 to 3", "tier_min");
        return false;
    }
    return true;
}

static bool read_search(struct local_view *view, const Duck__DirectoryQuery *query,
                        struct directory_filter *filter, void *reply)
{
    filter->wall_ms = clock_wall_ms();
    filter->capability = bytes_of_text(query->capability);
    filter->text = bytes_of_text(query->text);
    if (query->alive_within_ms > 0 && query->alive_within_ms < filter->wall_ms)
        filter->seen_since_ms = filter->wall_ms - query->alive_within_ms;
    filter->limit = query->limit ? query->limit : LOCAL_PAGE;
    return judge_search(view, query, reply) &&
           local_read_id(view, ID_DUCKLING, query->duckling, "duckling", &filter->duckling,
                         reply) &&
           local_read_id(view, ID_NODE, query->host, "host", &filter->host, reply) &&
           local_read_cursor(view, query->cursor, &filter->after, reply);
}

/* Those on nodes that are dead or have left. The roster is in order of their ids. */
static void leave_out_dead(struct local_view *view, const Duck__DirectoryQuery *query,
                           struct directory_filter *filter)
{
    struct roster *roster = view->api->settings.roster;
    struct id *nodes;

    if (!query->live_host || !roster)
        return;
    nodes = local_new(view, NODES_MAX * sizeof *nodes);
    filter->dead_hosts = nodes;
    filter->dead_host_count = roster_gone(roster, nodes, NODES_MAX);
}

/* Nothing else of them is in the directory. */
static void list_contradicted(struct local_view *view, const struct directory_filter *filter,
                              Duck__DirectoryList *list)
{
    struct id identities[CONTRADICTED_LISTED_MAX];
    size_t count;

    if (id_is_zero(&filter->duckling)) {
        count = store_view_contradicted(view->reader, identities, CONTRADICTED_LISTED_MAX);
    } else {
        identities[0] = filter->duckling;
        count = store_view_is_contradicted(view->reader, &filter->duckling);
    }
    list->contradicted = local_new(view, (count + 1) * sizeof *list->contradicted);
    for (; list->n_contradicted < count; list->n_contradicted++)
        list->contradicted[list->n_contradicted] =
            local_id(view, ID_DUCKLING, &identities[list->n_contradicted]);
}

void local_view_directory(struct local_view *view, const void *asked, void *reply)
{
    const Duck__DirectoryQuery *query = asked;
    struct directory_filter filter = {0};
    Duck__DirectoryList *list = local_new(view, sizeof *list);
    struct stored_duckling *stored;
    Duck__Reply *answer = reply;
    size_t bytes = 0;
    uint64_t next = 0;

    if (!read_search(view, query, &filter, reply))
        return;
    leave_out_dead(view, query, &filter);
    filter.bonded = query->tier_min >= 1;
    stored = local_new(view, filter.limit * sizeof *stored);
    duck__directory_list__init(list);
    list->entries = local_new(view, (filter.limit + 1) * sizeof *list->entries);
    if (filter.after == 0)
        list_contradicted(view, &filter, list);
    for (size_t page = 0; page < STORE_PAGES_MAX; page++) {
        size_t count = store_view_directory(view->reader, &filter, &view->scratch, stored, &next);

        for (size_t i = 0; i < count; i++) {
            Duck__DirectoryEntry *entry = compose_entry(view, &stored[i]);

            if (list->n_entries == filter.limit || bytes >= LOCAL_PAGE_BYTES) {
                next = filter.after;
                break;
            }
            filter.after = stored[i].place;
            if (entry->tier < query->tier_min)
                continue;
            list->entries[list->n_entries++] = entry;
            bytes += duck__directory_entry__get_packed_size(entry);
        }
        if (next == 0 || list->n_entries == filter.limit || bytes >= LOCAL_PAGE_BYTES ||
            view->scratch.taken > VIEW_SCRATCH_MAX / 2)
            break;
        filter.after = next;
    }
    if (next > 0)
        list->next_cursor = local_cursor(view, next);
    answer->answer_case = DUCK__REPLY__ANSWER_DIRECTORY;
    answer->directory = list;
}

/* ---- certificates ---- */

static Duck__CertificateView *compose_certificate(struct local_view *view,
                                                  const struct certificate *certificate)
{
    Duck__CertificateView *composed = local_new(view, sizeof *composed);
    struct id id = id_of(&certificate->hash);

    duck__certificate_view__init(composed);
    composed->certificate_id = local_id(view, ID_CERTIFICATE, &id);
    composed->sequence = certificate->sequence;
    composed->display_name = lent(certificate->display_name);
    composed->public_key =
        lent(bytes_of(certificate->public_key.bytes, sizeof certificate->public_key.bytes));
    composed->next_key_hash =
        lent(bytes_of(certificate->next_key_hash.bytes, sizeof certificate->next_key_hash.bytes));
    composed->issued_ms = certificate->issued_ms;
    composed->not_after_ms = certificate->not_after_ms;
    composed->envelope = lent(certificate->wire);
    composed->kind = certificate->kind == IDENTITY_NODE       ? "node"
                     : certificate->kind == IDENTITY_OPERATOR ? "operator"
                                                              : "duckling";
    return composed;
}

/* The node's own was longer, or as long, when the node started. */
static struct bytes find_chain_of(struct local_view *view, const struct id *identity)
{
    struct bytes chain = store_view_chain(view->reader, identity, &view->scratch);

    return id_equal(identity, &view->api->settings.node) && chain.size < view->api->node_chain.size
               ? view->api->node_chain
               : chain;
}

static struct bytes find_chain(struct local_view *view, const Duck__CertificateQuery *query,
                               void *reply)
{
    struct bytes none = {0}, chain;
    struct id id = {0};

    if (!*query->identity == !*query->certificate_id) {
        local_problem(view, reply, REFUSAL_MALFORMED, "name an identity, or a certificate",
                      "identity");
        return none;
    }
    if (*query->certificate_id) {
        if (!local_read_id(view, ID_CERTIFICATE, query->certificate_id, "certificate_id", &id,
                           reply))
            return none;
        chain = id_equal(&id, &view->api->settings.node)
                    ? find_chain_of(view, &id)
                    : store_view_chain_of_certificate(view->reader, &id, &view->scratch);
    } else {
        bool is_node = strncmp(query->identity, "nod_", 4) == 0;

        if (!local_read_id(view, is_node ? ID_NODE : ID_DUCKLING, query->identity, "identity", &id,
                           reply))
            return none;
        chain = find_chain_of(view, &id);
    }
    if (!chain.data)
        local_problem(view, reply, REFUSAL_NOT_FOUND, "this node has no such certificate",
                      *query->identity ? "identity" : "certificate_id");
    return chain;
}

static void compose_contradiction(struct local_view *view, const struct chain *chain,
                                  Duck__CertificateAnswer *composed)
{
    if (!store_view_is_contradicted(view->reader, &chain->identity))
        return;
    composed->valid = false;
    composed->reason = (char *)"it has two certificates of one number, and is in quarantine";
}

static void compose_revocation(struct local_view *view, const struct chain *chain,
                               Duck__CertificateAnswer *composed)
{
    struct bytes wire = store_view_revocation(view->reader, &chain->identity, &view->scratch);
    struct revocation_content content;

    if (!wire.data || revocation_open(wire, chain, &view->scratch, &content) != REVOCATION_HOLDS)
        return;
    composed->valid = false;
    composed->reason = (char *)"it is revoked";
    composed->revocation = lent(wire);
    composed->revoked_at_ms = content.revoked_at_ms;
    composed->revocation_reason = lent(content.reason);
}

void local_view_certificate(struct local_view *view, const void *asked, void *reply)
{
    Duck__CertificateAnswer *composed = local_new(view, sizeof *composed);
    struct bytes wire = find_chain(view, asked, reply);
    enum certificate_verdict verdict;
    Duck__Reply *answer = reply;
    struct public_key key;
    struct chain chain;

    if (!wire.data)
        return;
    duck__certificate_answer__init(composed);
    composed->chain = lent(wire);
    verdict = chain_open(wire, &view->scratch, &chain);
    if (verdict == CERTIFICATE_TAKEN) {
        composed->identity =
            local_id(view, chain.kind == IDENTITY_NODE ? ID_NODE : ID_DUCKLING, &chain.identity);
        composed->certificates = local_new(view, chain.count * sizeof *composed->certificates);
        for (size_t i = 0; i < chain.count; i++)
            composed->certificates[composed->n_certificates++] =
                compose_certificate(view, &chain.certificates[i]);
        composed->contexts = local_contexts_of(view, &chain.identity, &composed->n_contexts);
        verdict = chain_key_at(&chain, clock_wall_ms(), &key);
    }
    composed->valid = verdict == CERTIFICATE_TAKEN;
    if (composed->valid) {
        compose_revocation(view, &chain, composed);
        compose_contradiction(view, &chain, composed);
    } else {
        composed->reason = (char *)certificate_verdict_text(verdict);
    }
    answer->answer_case = DUCK__REPLY__ANSWER_CERTIFICATE;
    answer->certificate = composed;
}

void local_view_next_key(struct local_view *view, const void *asked, void *reply)
{
    const Duck__NextKeyQuery *query = asked;
    Duck__NextKeyAnswer *composed = local_new(view, sizeof *composed);
    Duck__Reply *answer = reply;
    struct bytes sealed;
    struct id id;

    if (!local_read_id(view, ID_DUCKLING, query->duckling, "duckling", &id, reply))
        return;
    sealed = store_view_next_key(view->reader, &id, &view->scratch);
    if (!sealed.data) {
        local_problem(view, reply, REFUSAL_NOT_HOSTED, "this duckling does not live on this node",
                      "duckling");
        return;
    }
    duck__next_key_answer__init(composed);
    composed->sealed = lent(sealed);
    answer->answer_case = DUCK__REPLY__ANSWER_NEXT_KEY;
    answer->next_key = composed;
}

/* ---- trust ---- */

void local_view_trust(struct local_view *view, void *reply)
{
    struct kept_trust *trusted = local_new(view, TRUST_IN_ANSWER_MAX * sizeof *trusted);
    size_t count = store_view_trust(view->reader, &view->scratch, trusted, TRUST_IN_ANSWER_MAX);
    Duck__TrustList *list = local_new(view, sizeof *list);
    Duck__Reply *answer = reply;

    duck__trust_list__init(list);
    list->operators = local_new(view, (count + 1) * sizeof *list->operators);
    for (size_t i = 0; i < count; i++) {
        Duck__TrustView *composed = local_new(view, sizeof *composed);

        duck__trust_view__init(composed);
        composed->operator_ = local_id(view, ID_OPERATOR, &trusted[i].operator_id);
        composed->domain = local_text(view, trusted[i].domain);
        composed->until_ms = trusted[i].until_ms == MOMENT_NEVER ? 0 : trusted[i].until_ms;
        list->operators[list->n_operators++] = composed;
    }
    answer->answer_case = DUCK__REPLY__ANSWER_TRUSTED;
    answer->trusted = list;
}
