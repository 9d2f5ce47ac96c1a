/* How the gateway, the node and the network are: for people, for probes, for balancers. */
#include "client/duck_client.h"
#include "exchange.h"
#include "form.h"
#include "pages.h"
#include "wire/local.pb-c.h"

void route_probe(struct exchange *exchange)
{
    exchange_answer_probe(exchange);
}

void route_healthz(struct exchange *exchange)
{
    json_t *object = json_object();

    reply_word(object, "status", "ok");
    exchange_answer(exchange, 200, object);
}

/* NULL: it can serve. A part that is degraded is no reason to send callers elsewhere. */
static const char *what_is_out(const struct node_status *status, const char **code)
{
    *code = "unreachable";
    if (!status->is_up)
        return "the node does not answer";
    for (size_t i = 0; i < status->part_count; i++)
        if (!strcmp(status->parts[i].status, "outage")) {
            if (!strcmp(status->parts[i].name, NODE_OWN_PART))
                *code = "store_failed";
            return status->parts[i].reason;
        }
    return NULL;
}

void route_readyz(struct exchange *exchange)
{
    struct node_status status;
    struct problem problem;
    const char *out, *code;
    json_t *object;

    node_link_status(exchange->gateway->node, &status);
    status.is_up = node_link_is_up(exchange->gateway->node);
    out = what_is_out(&status, &code);
    if (out) {
        problem = problem_of_node(code, out, NULL);
        exchange_refuse(exchange, &problem);
        return;
    }
    object = json_object();
    reply_word(object, "status", "ready");
    exchange_answer(exchange, 200, object);
}

void route_page(struct exchange *exchange)
{
    exchange_answer_page(exchange, pages_find(exchange->match.route->path));
}

/* Totals of the network are as old as the gossip that brings them: some hundred milliseconds. */
#define METRICS_AGE_MAX_MS 50u

static void put_part(json_t *parts, const char *name, const char *status, const char *reason)
{
    json_t *part = json_object();

    reply_word(part, "name", name);
    reply_word(part, "status", status);
    reply_word(part, "reason", reason);
    json_array_append_new(parts, part);
}

void route_system_status(struct exchange *exchange)
{
    struct node_status status;
    json_t *object = json_object(), *parts = json_array();

    node_link_status(exchange->gateway->node, &status);
    reply_word(object, "status", node_status_word(&status));
    reply_word(object, "version", DUCK_VERSION);
    reply_word(object, "node_id", status.node_id);
    reply_word(object, "node_version", status.version);
    reply_word(object, "network", status.network);
    reply_word(object, "display_name", status.display_name);
    reply_date(object, "time", gateway_wall_ms());
    reply_date(object, "asked_at", status.asked_ms);
    reply_date(object, "gateway_started_at", exchange->gateway->started_ms);
    reply_date(object, "node_started_at", status.started_ms);
    if (status.is_up) {
        reply_number(object, "links", status.links);
        reply_number(object, "known_nodes", status.known_nodes);
        reply_number(object, "records", status.records);
        reply_number(object, "hosted", status.hosted);
    }
    put_part(parts, "node", status.is_up ? "operational" : "outage",
             status.is_up ? "" : "the node does not answer");
    for (size_t i = 0; i < status.part_count; i++)
        put_part(parts, status.parts[i].name, status.parts[i].status, status.parts[i].reason);
    json_object_set_new(object, "parts", parts);
    exchange_answer(exchange, 200, object);
}

static void put_counters(json_t *object, const Duck__MetricsCounters *counters)
{
    Duck__MetricsCounters none = DUCK__METRICS_COUNTERS__INIT;

    counters = counters ? counters : &none; /* all zero: protobuf leaves it out */
    reply_number(object, "ducklings", counters->ducklings);
    reply_number(object, "birth_certificates", counters->birth_certificates);
    reply_number(object, "connections", counters->connections);
    reply_number(object, "eggs", counters->eggs);
    reply_number(object, "space_ducks", counters->space_ducks);
    reply_number(object, "pecks", counters->pecks);
}

static char *write_metrics(const Duck__Reply *reply)
{
    const Duck__MetricsAnswer *metrics = reply->metrics;
    json_t *object = json_object(), *this_node = json_object();

    put_counters(object, metrics->total);
    reply_number(object, "nodes", metrics->nodes);
    /* The names that the first clients read. */
    reply_number(object, "total_ducklings", metrics->total ? metrics->total->ducklings : 0);
    reply_number(object, "certs_issued", metrics->total ? metrics->total->birth_certificates : 0);
    put_counters(this_node, metrics->this_node);
    reply_number(this_node, "pageviews", metrics->this_node ? metrics->this_node->pageviews : 0);
    json_object_set_new(object, "this_node", this_node);
    return exchange_dump(object);
}

void route_metrics(struct exchange *exchange)
{
    Duck__MetricsQuery query = DUCK__METRICS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.totals_only = true;
    request.order_case = DUCK__REQUEST__ORDER_METRICS;
    request.metrics = &query;
    exchange_call_shared(exchange, &request, DUCK__REPLY__ANSWER_METRICS, METRICS_AGE_MAX_MS,
                         write_metrics);
}

/* Counted, and forgotten: which page and from where is asked for, as the first clients send it,
 * but nothing about a person is kept. */
void route_pageview(struct exchange *exchange)
{
    const char *page, *referrer;

    if (!form_text(exchange, "page", FORM_OPTIONAL, 2048, &page) ||
        !form_text(exchange, "referrer", FORM_OPTIONAL, 2048, &referrer))
        return;
    node_link_count_pageview(exchange->gateway->node);
    exchange_answer_empty(exchange, 204);
}
