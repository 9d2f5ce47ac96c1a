/* The audit log: for people, entry by entry; for whoever checks it, as it stands. */
#include "core/binary_data.h"
#include "local_parts.h"
#include "store.h"
#include "wire/local.pb-c.h"

#include <string.h>

#define AUDIT_PAGES_IN_ANSWER 16u /* of AUDIT_PAGE_SIZE_MAX: within LOCAL_PAGE_BYTES */
#define AUDIT_CHECKPOINTS_IN_ANSWER 1024u

static bool is_of_bond(enum audit_kind kind)
{
    return kind == AUDIT_BOND_MADE || kind == AUDIT_BOND_ENDED || kind == AUDIT_LOBSTER_CONFIRMED ||
           kind == AUDIT_LOBSTER_LIVE || kind == AUDIT_LOBSTER_ENDED;
}

static bool is_of_context(enum audit_kind kind)
{
    return kind == AUDIT_CONTEXT_ISSUED || kind == AUDIT_CONTEXT_REVOKED;
}

static Duck__AuditView *compose(struct local_view *view, const struct stored_audit_entry *stored)
{
    static const struct hash no_hash;
    const struct audit_entry *entry = &stored->entry;
    Duck__AuditView *composed = local_new(view, sizeof *composed);
    bool is_of_duckling = entry->kind == AUDIT_HATCHED || entry->kind == AUDIT_REVOKED;
    enum id_kind subject = is_of_duckling                       ? ID_DUCKLING
                           : entry->kind == AUDIT_GRANT_REVOKED ? ID_GRANT
                           : is_of_context(entry->kind)         ? ID_CERTIFICATE
                           : is_of_bond(entry->kind)            ? ID_BOND
                                                                : ID_PECK;

    duck__audit_view__init(composed);
    composed->number = stored->number;
    composed->kind = (char *)audit_kind_name(entry->kind);
    composed->at_ms = entry->at_ms;
    composed->duckling = local_id(view, ID_DUCKLING, &entry->duckling);
    composed->with = local_id(view, ID_DUCKLING, &entry->with);
    composed->subject = local_id(view, subject, &entry->subject);
    composed->state = (char *)(entry->state ? peck_state_name(entry->state) : "");
    composed->detail = lent(entry->detail);
    composed->attempt = entry->attempt;
    if (!hash_equal(&entry->signed_hash, &no_hash))
        composed->signed_hash = lent(bytes_of(entry->signed_hash.bytes, HASH_SIZE));
    return composed;
}

/* A peck's id, or a bond's: which is which, its prefix says. */
static bool read_subject(struct local_view *view, const char *text, struct id *subject, void *reply)
{
    if (!*text || id_parse(ID_PECK, bytes_of_text(text), subject) ||
        id_parse(ID_BOND, bytes_of_text(text), subject) ||
        id_parse(ID_GRANT, bytes_of_text(text), subject) ||
        id_parse(ID_CERTIFICATE, bytes_of_text(text), subject))
        return true;
    local_problem(view, reply, REFUSAL_MALFORMED,
                  "this is no id of a peck, a bond, a block of a grant or a context", "subject");
    return false;
}

void local_view_audit(struct local_view *view, const void *asked, void *reply)
{
    const Duck__AuditQuery *query = asked;
    struct audit_filter filter = {.limit = query->limit ? query->limit : LOCAL_PAGE};
    Duck__AuditList *list = local_new(view, sizeof *list);
    Duck__Reply *answer = reply;
    struct stored_audit_entry *entries;
    uint64_t next;
    size_t count;

    if (query->limit > LOCAL_PAGE_MAX) {
        local_problem(view, reply, REFUSAL_MALFORMED, "a list is of at most 200", "limit");
        return;
    }
    if (!local_read_id(view, ID_DUCKLING, query->duckling, "duckling", &filter.duckling, reply) ||
        !read_subject(view, query->subject, &filter.subject, reply) ||
        !local_read_cursor(view, query->cursor, &filter.before, reply))
        return;
    entries = local_new(view, filter.limit * sizeof *entries);
    count = store_view_audit(view->reader, &filter, &view->scratch, entries, &next);
    duck__audit_list__init(list);
    list->entries = local_new(view, (count + 1) * sizeof *list->entries);
    for (size_t i = 0; i < count; i++)
        list->entries[list->n_entries++] = compose(view, &entries[i]);
    if (next > 0)
        list->next_cursor = local_cursor(view, next);
    answer->answer_case = DUCK__REPLY__ANSWER_AUDIT;
    answer->audit = list;
}

bool local_view_audit_news(struct local_view *view, const struct question *question, void *reply,
                           bool *is_news)
{
    struct stored_audit_entry *entries =
        local_new(view, question->limit * sizeof *entries); /* LOCAL_PAGE_MAX at most */
    Duck__AuditList *list = local_new(view, sizeof *list);
    Duck__Reply *answer = reply;
    size_t count = store_view_audit_news(view->reader, question->after_entry, question->limit,
                                         &view->scratch, entries, &list->last);
    uint64_t last = list->last;

    duck__audit_list__init(list);
    list->last = last;
    list->entries = local_new(view, (count + 1) * sizeof *list->entries);
    for (size_t i = 0; i < count; i++)
        list->entries[list->n_entries++] = compose(view, &entries[i]);
    answer->answer_case = DUCK__REPLY__ANSWER_AUDIT;
    answer->audit = list;
    *is_news = count > 0 || last < question->after_entry; /* a log that was begun anew is news */
    return true;
}

void local_view_audit_log(struct local_view *view, const void *asked, void *reply)
{
    const Duck__AuditLogQuery *query = asked;
    Duck__AuditLogPart *part = local_new(view, sizeof *part);
    struct bytes *wires =
        local_new(view, AUDIT_CHECKPOINTS_IN_ANSWER * sizeof *wires); /* pages are fewer */
    Duck__Reply *answer = reply;
    size_t count;

    duck__audit_log_part__init(part);
    part->last_entry = query->after_entry;
    part->last_page = query->after_page;
    count = store_view_audit_pages(view->reader, query->after_entry, AUDIT_PAGES_IN_ANSWER,
                                   &view->scratch, wires, &part->last_entry);
    part->pages = local_new(view, (count + 1) * sizeof *part->pages);
    for (size_t i = 0; i < count; i++)
        part->pages[part->n_pages++] = lent(wires[i]);
    count =
        store_view_audit_checkpoints(view->reader, query->after_page, AUDIT_CHECKPOINTS_IN_ANSWER,
                                     &view->scratch, wires, &part->last_page);
    part->checkpoints = local_new(view, (count + 1) * sizeof *part->checkpoints);
    for (size_t i = 0; i < count; i++)
        part->checkpoints[part->n_checkpoints++] = lent(wires[i]);
    part->chain = lent(store_view_audit_signer(view->reader, &view->scratch));
    answer->answer_case = DUCK__REPLY__ANSWER_AUDIT_LOG;
    answer->audit_log = part;
}
