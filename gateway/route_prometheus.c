/* /metrics: what the node counts, and what this gateway does, in the text format of Prometheus (version
 * 0.0.4): help and type once for each name, then its samples. `promtool check metrics` finds nothing. */
#include "client/duck_client.h"
#include "courier.h"
#include "exchange.h"
#include "listeners.h"
#include "wire/local.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

#define PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static void print_counter(FILE *text, const Duck__NamedCounter *counter, bool is_first)
{
    if (is_first)
        fprintf(text, "# HELP %s %s\n# TYPE %s %s\n", counter->name, counter->help, counter->name,
                counter->kind);
    fprintf(text, "%s%s%s%s %.15g\n", counter->name, counter->label[0] ? "{" : "", counter->label,
            counter->label[0] ? "}" : "", counter->value);
}

static void print_node(FILE *text, const Duck__MetricsAnswer *metrics)
{
    const char *before = "";

    for (size_t i = 0; i < metrics->n_counters; i++) {
        print_counter(text, metrics->counters[i], strcmp(metrics->counters[i]->name, before) != 0);
        before = metrics->counters[i]->name;
    }
}

static void print_own(FILE *text, const char *name, const char *kind, const char *help,
                      uint64_t value)
{
    Duck__NamedCounter counter = DUCK__NAMED_COUNTER__INIT;

    counter.name = (char *)(uintptr_t)name;
    counter.kind = (char *)(uintptr_t)kind;
    counter.help = (char *)(uintptr_t)help;
    counter.value = (double)value;
    print_counter(text, &counter, true);
}

static void print_gateway(FILE *text, const struct gateway *gateway)
{
    struct courier_figures figures;

    courier_figures(gateway->courier, &figures);
    print_own(text, "ducknode_gateway_listeners", "gauge", "Streams of events that are open.",
              listeners_count(gateway->listeners));
    print_own(text, "ducknode_webhook_deliveries_waiting", "gauge",
              "Deliveries that wait for their next attempt, or are under way.", figures.waiting);
    print_own(text, "ducknode_webhook_deliveries_under_way", "gauge", "Attempts under way.",
              figures.under_way);
    print_own(text, "ducknode_webhook_delivered_total", "counter", "Deliveries that were taken.",
              figures.delivered);
    print_own(text, "ducknode_webhook_failures_total", "counter", "Attempts that failed.",
              figures.failed);
    print_own(text, "ducknode_webhook_given_up_total", "counter",
              "Deliveries that were given up after their last attempt.", figures.given_up);
}

static void exported(struct exchange *exchange)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    if (!file)
        return; /* no memory: the library ends a connection that gets no answer */
    print_node(file, exchange->reply->metrics);
    print_gateway(file, exchange->gateway);
    fclose(file);
    exchange_answer_text(exchange, 200, PROMETHEUS_TYPE, bytes_of(text, size));
    free(text);
}

void route_prometheus(struct exchange *exchange)
{
    Duck__MetricsQuery query = DUCK__METRICS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (!forwarded_is_loopback(exchange->address) &&
        !forwarded_is_listed(&exchange->gateway->metrics_allow, exchange->address)) {
        exchange_say_no(exchange, 403, "not_allowed", NULL,
                        "counters are shown on loopback, and to those whom metrics_allow names");
        return;
    }
    request.order_case = DUCK__REQUEST__ORDER_METRICS;
    request.metrics = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_METRICS, 0, exported);
}
