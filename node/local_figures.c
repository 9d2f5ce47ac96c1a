/* What this node counts. One table names every counter: the metrics question, the gossip question
 * (the names that begin with ducknode_gossip_), the command line and Prometheus read what comes of
 * it, so a new counter is a line here. */
#include "core/intake.h"
#include "local_parts.h"
#include "store.h"
#include "wire/local.pb-c.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define COUNTERS_MAX 256u
#define GOSSIP_PREFIX "ducknode_gossip_"

struct sources {
    struct agent_figures agent;
    struct transport_figures links;
    struct local_figures node;
    uint64_t questions, waits;
    uint64_t members[GOSSIP_STATES];
    struct local_handler_sums handlers;
};

/* ---- the table ---- */

#define AT(member) offsetof(struct sources, member), sizeof(((struct sources *)0)->member)

static const struct counter {
    const char *name, *label, *kind;
    size_t offset, size;
    const char *help;
} counters[] = {
    {"ducknode_links", "", "gauge", AT(agent.links), "Live links to other nodes."},
    {"ducknode_known_nodes", "", "gauge", AT(agent.nodes), "Nodes with a record in the directory."},
    {"ducknode_records", "", "gauge", AT(agent.records), "Records in the directory."},
    {"ducknode_hosted_ducklings", "", "gauge", AT(agent.hosted),
     "Ducklings that live on this node."},
    {"ducknode_bonds", "", "gauge", AT(agent.bonds), "Bonds that end on this node."},
    {"ducknode_outbox_pecks", "", "gauge", AT(agent.outbox),
     "Pecks that await their last receipt."},
    {"ducknode_tray_pecks", "", "gauge", AT(agent.tray), "Pecks that await an agent or an owner."},
    {"ducknode_perched_pecks", "", "gauge", AT(agent.perched),
     "Sealed pecks that are held here for nodes that are away."},
    {"ducknode_perched_bytes", "", "gauge", AT(agent.perched_bytes), "Bytes of these."},
    {"ducknode_perched_owners", "", "gauge", AT(agent.perched_owners), "Nodes that they are for."},
    {"ducknode_deposited_pecks", "", "gauge", AT(agent.deposited),
     "Pecks of the outbox that were brought to perches of their targets."},
    {"ducknode_collected_pecks_total", "result=\"opened\"", "counter", AT(agent.perched_opened),
     "What perches held for this node, and whether it could be opened."},
    {"ducknode_collected_pecks_total", "result=\"junk\"", "counter", AT(agent.perched_junk), ""},
    {"ducknode_inbox_messages", "", "gauge", AT(node.inbox_messages),
     "Messages that await the loop."},
    {"ducknode_held_back_frames", "", "gauge", AT(agent.held_back),
     "What others sent, and that waits until this node, which was away, has heard another one."},
    {"ducknode_local_questions", "", "gauge", AT(questions), "Questions that await a reader."},
    {"ducknode_local_waits", "", "gauge", AT(waits),
     "Requests that wait for something to happen, or for their time to be over."},
    {"ducknode_turns_undone_total", "", "counter", AT(agent.turns_undone),
     "Turns that could not be kept, as on a full disk."},
    {"ducknode_signature_checks_total", "", "counter", AT(agent.signature_checks),
     "Signatures of pecks, receipts and records checked."},
    {"ducknode_pecks_refused_total", "", "counter", AT(agent.pecks_refused),
     "Pecks of other nodes that were refused."},
    {"ducknode_receipts_refused_total", "", "counter", AT(agent.receipts_refused),
     "Receipts that were refused."},
    {"ducknode_records_refused_total", "", "counter", AT(agent.records_refused),
     "Records that the directory has no room for."},
    {"ducknode_connections_accepted_total", "", "counter", AT(links.accepted),
     "Connections of other nodes."},
    {"ducknode_connections_refused_total", "", "counter", AT(links.accepts_refused),
     "Connections closed at once, by a limit."},
    {"ducknode_handshakes_failed_total", "", "counter", AT(links.handshakes_failed),
     "Handshakes that did not end in a link."},
    {"ducknode_handshakes_pending", "", "gauge", AT(links.handshakes_pending),
     "Handshakes under way."},
    {"ducknode_frames_in_total", "", "counter", AT(links.frames_in), "Frames from other nodes."},
    {"ducknode_frames_out_total", "", "counter", AT(links.frames_out), "Frames to other nodes."},
    {"ducknode_frames_refused_total", "", "counter", AT(links.frames_refused),
     "Frames of a bad form or signature."},
    {"ducknode_bytes_in_total", "", "counter", AT(links.bytes_in), "Bytes from other nodes."},
    {"ducknode_bytes_out_total", "", "counter", AT(links.bytes_out), "Bytes to other nodes."},
    {"ducknode_links_closed_total", "", "counter", AT(links.links_closed), "Links that ended."},
    {"ducknode_dials_total", "", "counter", AT(links.dials), "Connections begun from here."},
    {"ducknode_dials_failed_total", "", "counter", AT(links.dials_failed),
     "Connections begun from here that failed."},
    {"ducknode_sends_refused_total", "", "counter", AT(links.sends_refused),
     "Frames that a full link did not take."},
    {"ducknode_gossip_members", "state=\"alive\"", "gauge", AT(members[GOSSIP_ALIVE]),
     "Other nodes, by what this one thinks of them."},
    {"ducknode_gossip_members", "state=\"suspect\"", "gauge", AT(members[GOSSIP_SUSPECT]), ""},
    {"ducknode_gossip_members", "state=\"dead\"", "gauge", AT(members[GOSSIP_DEAD]), ""},
    {"ducknode_gossip_members", "state=\"left\"", "gauge", AT(members[GOSSIP_LEFT]), ""},
    {"ducknode_gossip_health", "", "gauge", AT(agent.membership.health),
     "How unwell this node finds itself: 0 (well) to 8; it probes that much slower."},
    {"ducknode_gossip_probes_total", "result=\"sent\"", "counter", AT(agent.membership.probes_sent),
     "Probes of other nodes, and how they ended."},
    {"ducknode_gossip_probes_total", "result=\"acked\"", "counter",
     AT(agent.membership.probes_acked), ""},
    {"ducknode_gossip_probes_total", "result=\"failed\"", "counter",
     AT(agent.membership.probes_failed), ""},
    {"ducknode_gossip_accusations_total", "what=\"made\"", "counter",
     AT(agent.membership.accusations_made), "Accusations of not answering."},
    {"ducknode_gossip_accusations_total", "what=\"heard\"", "counter",
     AT(agent.membership.accusations_heard), ""},
    {"ducknode_gossip_accusations_total", "what=\"refused\"", "counter",
     AT(agent.membership.accusations_refused), ""},
    {"ducknode_gossip_accusations_total", "what=\"refuted\"", "counter",
     AT(agent.membership.refutations), ""},
    {"ducknode_gossip_accusations_total", "what=\"false\"", "counter",
     AT(agent.membership.false_alarms), ""},
    {"ducknode_gossip_pauses_total", "", "counter", AT(agent.membership.pauses),
     "Times this node was stopped or starved, and so accused nobody."},
    {"ducknode_gossip_dropped_total", "what=\"answers\"", "counter",
     AT(agent.membership.answers_dropped), "What a full queue dropped."},
    {"ducknode_handlers", "", "gauge", AT(handlers.configured), "Handlers that are configured."},
    {"ducknode_handlers_running", "", "gauge", AT(handlers.running),
     "Programs of handlers that run now."},
    {"ducknode_handler_pecks_total", "result=\"answered\"", "counter", AT(handlers.answered),
     "Pecks that handlers took, by how it ended."},
    {"ducknode_handler_pecks_total", "result=\"failed\"", "counter", AT(handlers.failed), ""},
    {"ducknode_handler_pecks_total", "result=\"timed_out\"", "counter", AT(handlers.timed_out), ""},
    {"ducknode_handler_pecks_total", "result=\"lost\"", "counter", AT(handlers.lost), ""},
    {"ducknode_gossip_equivocators", "", "gauge", AT(agent.proofs),
     "Owners that gave one version to two records, and so are left out."},
    {"ducknode_gossip_contradicted", "", "gauge", AT(agent.contradicted),
     "Identities with two certificates of one number, of whom nothing is held."},
};

/* Counted by kind of frame; what is not named here is counted as "other". */
static const char *const frame_kinds[TRANSPORT_KINDS] = {
    [0] = "other",
    [FRAME_PECK] = "peck",
    [FRAME_RECEIPT] = "receipt",
    [FRAME_REFUSAL] = "refusal",
    [FRAME_RECORDS] = "records",
    [FRAME_PING] = "ping",
    [FRAME_PONG] = "pong",
    [FRAME_PROBE] = "probe",
    [FRAME_PROBE_ACK] = "probe_ack",
    [FRAME_PROBE_REQUEST] = "probe_request",
    [FRAME_PROBE_NACK] = "probe_nack",
    [FRAME_ACCUSATION] = "accusation",
    [FRAME_RECONCILE] = "reconcile",
    [FRAME_FETCH] = "fetch",
    [FRAME_FETCHED] = "fetched",
    [FRAME_PARTIAL] = "partial",
    [FRAME_DEPOSIT] = "deposit",
    [FRAME_DEPOSITED] = "deposited",
    [FRAME_COLLECT] = "collect",
    [FRAME_HELD] = "held",
    [FRAME_SETTLED] = "settled",
    [FRAME_LOBSTER] = "lobster",
    [FRAME_GOODBYE] = "goodbye",
};

/* ---- composing ---- */

struct list {
    struct local_view *view;
    const char *prefix; /* only names that begin so */
    Duck__NamedCounter **counters;
    size_t count;
};

static void add(struct list *list, const char *name, const char *label, const char *kind,
                const char *help, double value)
{
    Duck__NamedCounter *counter;

    if (strncmp(name, list->prefix, strlen(list->prefix)) != 0 || list->count == COUNTERS_MAX)
        return;
    counter = local_new(list->view, sizeof *counter);
    duck__named_counter__init(counter);
    counter->name = (char *)name;
    counter->label = (char *)label;
    counter->kind = (char *)kind;
    counter->help = (char *)help;
    counter->value = value;
    list->counters[list->count++] = counter;
}

static uint64_t read_source(const struct sources *sources, const struct counter *counter)
{
    const uint8_t *at = (const uint8_t *)sources + counter->offset;
    uint64_t large;
    uint32_t small;

    if (counter->size == sizeof small) {
        memcpy(&small, at, sizeof small);
        return small;
    }
    memcpy(&large, at, sizeof large);
    return large;
}

static const char *label_of(struct local_view *view, const char *name, const char *value)
{
    char *label = local_new(view, strlen(name) + strlen(value) + 4);

    sprintf(label, "%s=\"%s\"", name, value);
    return label;
}

static void add_kinds(struct list *list, const char *name, const char *help,
                      const uint64_t values[TRANSPORT_KINDS])
{
    for (size_t i = 0; i < TRANSPORT_KINDS; i++)
        if (frame_kinds[i])
            add(list, name, label_of(list->view, "kind", frame_kinds[i]), "counter", help,
                (double)values[i]);
}

/* Several verdicts have one code. */
static void add_refusals(struct list *list, const uint64_t refused[INTAKE_VERDICTS])
{
    for (size_t i = INTAKE_TAKEN + 1; i < INTAKE_VERDICTS; i++) {
        const char *code = intake_verdict_code((enum intake_verdict)i);
        uint64_t sum = 0;
        bool told = false;

        for (size_t j = INTAKE_TAKEN + 1; j < INTAKE_VERDICTS; j++)
            if (strcmp(intake_verdict_code((enum intake_verdict)j), code) == 0) {
                told = told || j < i;
                sum += refused[j];
            }
        if (!told)
            add(list, "ducknode_gossip_refused_total", label_of(list->view, "reason", code),
                "counter", "Records and frames that do not hold, by reason.", (double)sum);
    }
}

/* What the directory said to records that hold. */
static void add_offers(struct list *list, const uint64_t offers[DIRECTORY_VERDICTS])
{
    for (size_t i = 0; i < DIRECTORY_VERDICTS; i++)
        add(list, "ducknode_gossip_records_total",
            label_of(list->view, "verdict", directory_verdict_name((enum directory_verdict)i)),
            "counter", "Records of others that hold, by what the directory said to them.",
            (double)offers[i]);
}

/* Under the names that Prometheus gives them everywhere. */
static void add_process(struct list *list)
{
    struct rusage used;
    unsigned long pages = 0;
    FILE *memory = fopen("/proc/self/statm", "re");

    if (memory && fscanf(memory, "%*u %lu", &pages) != 1)
        pages = 0;
    if (memory)
        fclose(memory);
    if (getrusage(RUSAGE_SELF, &used) == 0)
        add(list, "process_cpu_seconds_total", "", "counter", "User and system CPU time.",
            (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    add(list, "process_resident_memory_bytes", "", "gauge", "Resident memory.",
        (double)pages * (double)sysconf(_SC_PAGESIZE));
}

static void read_sources(struct local_view *view, struct sources *sources)
{
    struct local_api *api = view->api;
    size_t states[GOSSIP_STATES] = {0};

    memset(sources, 0, sizeof *sources);
    if (api->settings.figures)
        api->settings.figures(api->settings.context, &sources->agent, &sources->node);
    if (api->settings.transport)
        transport_figures(api->settings.transport, &sources->links);
    if (api->settings.roster)
        roster_counts(api->settings.roster, states);
    for (size_t i = 0; i < GOSSIP_STATES; i++)
        sources->members[i] = states[i];
    local_sum_handlers(api, &sources->handlers);
    pthread_mutex_lock(&api->lock);
    sources->questions = api->question_count;
    sources->waits = api->armed;
    pthread_mutex_unlock(&api->lock);
}

static void name_counters(struct list *list, const struct sources *sources)
{
    list->counters = local_new(list->view, COUNTERS_MAX * sizeof *list->counters);
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        add(list, counters[i].name, counters[i].label, counters[i].kind, counters[i].help,
            (double)read_source(sources, &counters[i]));
    add(list, "ducknode_turns_undoing_seconds_total", "", "counter", "What it took to undo them.",
        (double)sources->agent.undoing_ms / 1e3);
    add_process(list);
    add_refusals(list, sources->node.refused);
    add_offers(list, sources->agent.records_by_verdict);
    add_kinds(list, "ducknode_gossip_frames_in_total", "Frames from other nodes, by kind.",
              sources->links.kind_frames_in);
    add_kinds(list, "ducknode_gossip_frames_out_total", "Frames to other nodes, by kind.",
              sources->links.kind_frames_out);
    add_kinds(list, "ducknode_gossip_bytes_in_total",
              "Bytes of frames from other nodes before sealing, by kind.",
              sources->links.kind_bytes_in);
    add_kinds(list, "ducknode_gossip_bytes_out_total",
              "Bytes of frames to other nodes before sealing, by kind.",
              sources->links.kind_bytes_out);
}

static Duck__MetricsCounters *compose_counters(struct local_view *view,
                                               const struct metrics_content *content)
{
    Duck__MetricsCounters *composed = local_new(view, sizeof *composed);

    duck__metrics_counters__init(composed);
    composed->ducklings = content->ducklings;
    composed->birth_certificates = content->birth_certificates;
    composed->connections = content->connections;
    composed->eggs = content->eggs;
    composed->space_ducks = content->space_ducks;
    composed->pecks = content->pecks;
    composed->pageviews = content->pageviews;
    return composed;
}

void local_view_metrics(struct local_view *view, bool totals_only, void *reply)
{
    Duck__MetricsAnswer *metrics = local_new(view, sizeof *metrics);
    struct list list = {.view = view, .prefix = ""};
    Duck__Reply *answer = reply;
    struct sources sources;

    read_sources(view, &sources);
    duck__metrics_answer__init(metrics);
    metrics->total = compose_counters(view, &sources.agent.total);
    metrics->nodes = (uint32_t)sources.agent.nodes;
    metrics->this_node = compose_counters(view, &sources.agent.counters);
    if (!totals_only)
        name_counters(&list, &sources);
    metrics->counters = list.counters;
    metrics->n_counters = list.count;
    answer->answer_case = DUCK__REPLY__ANSWER_METRICS;
    answer->metrics = metrics;
}

static Duck__RecordSet *compose_set(struct local_view *view, const struct agent_set *set)
{
    Duck__RecordSet *composed = local_new(view, sizeof *composed);

    duck__record_set__init(composed);
    composed->records = set->records;
    composed->fingerprint.len = sizeof set->fingerprint;
    composed->fingerprint.data = local_new(view, sizeof set->fingerprint);
    memcpy(composed->fingerprint.data, set->fingerprint, sizeof set->fingerprint);
    return composed;
}

void local_view_gossip(struct local_view *view, void *reply)
{
    Duck__GossipAnswer *gossip = local_new(view, sizeof *gossip);
    struct list list = {.view = view, .prefix = GOSSIP_PREFIX};
    Duck__Reply *answer = reply;
    struct sources sources;

    read_sources(view, &sources);
    duck__gossip_answer__init(gossip);
    gossip->directory = compose_set(view, &sources.agent.sets[RECORD_SET_DIRECTORY - 1]);
    gossip->metrics = compose_set(view, &sources.agent.sets[RECORD_SET_METRICS - 1]);
    name_counters(&list, &sources);
    gossip->counters = list.counters;
    gossip->n_counters = list.count;
    answer->answer_case = DUCK__REPLY__ANSWER_GOSSIP;
    answer->gossip = gossip;
}
