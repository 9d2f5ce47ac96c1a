/* top: what the node does, live. Everything shown is a difference of two looks at its counters. */
#include "client/duck_client.h"
#include "clock.h"
#include "commands.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INTERVAL_S 1u
#define INTERVAL_MAX_S 3600u
#define LINE_SIZE 160

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* One look. */
struct look {
    uint64_t at_ms; /* steady */
    Duck__Reply *status, *metrics;
};

static Duck__Reply *ask_kind(struct call *call, int order, int *result)
{
    Duck__StatusQuery status = DUCK__STATUS_QUERY__INIT;
    Duck__MetricsQuery metrics = DUCK__METRICS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    request.order_case = (Duck__Request__OrderCase)order;
    if (order == DUCK__REQUEST__ORDER_STATUS)
        request.status = &status;
    else
        request.metrics = &metrics;
    return ask(call, &request, result);
}

static void look_free(struct look *look)
{
    if (look->status)
        duck_reply_free(look->status);
    if (look->metrics)
        duck_reply_free(look->metrics);
    *look = (struct look){0};
}

/* 0: both are there. */
static int take_look(struct call *call, struct look *look)
{
    int result = 0;

    *look = (struct look){.at_ms = clock_read().now_ms};
    look->status = ask_kind(call, DUCK__REQUEST__ORDER_STATUS, &result);
    if (look->status)
        look->metrics = ask_kind(call, DUCK__REQUEST__ORDER_METRICS, &result);
    return look->metrics ? 0 : result != 0 ? result : 1;
}

/* All of one name, whatever their labels; of one with `label`, only that. */
static double value_of(const struct look *look, const char *name, const char *label)
{
    const Duck__MetricsAnswer *metrics = look->metrics->metrics;
    double sum = 0;

    for (size_t i = 0; i < metrics->n_counters; i++)
        if (strcmp(metrics->counters[i]->name, name) == 0 &&
            (!label || strcmp(metrics->counters[i]->label, label) == 0))
            sum += metrics->counters[i]->value;
    return sum;
}

static double rate(const struct look *before, const struct look *now, const char *name,
                   const char *label)
{
    double elapsed_s = (double)(now->at_ms - before->at_ms) / 1000;

    return elapsed_s > 0 ? (value_of(now, name, label) - value_of(before, name, label)) / elapsed_s
                         : 0;
}

static double pecks_rate(const struct look *before, const struct look *now)
{
    double elapsed_s = (double)(now->at_ms - before->at_ms) / 1000;
    double more = (double)(now->metrics->metrics->this_node->pecks -
                           before->metrics->metrics->this_node->pecks);

    return elapsed_s > 0 ? more / elapsed_s : 0;
}

static const char *bytes_text(double bytes, char text[24])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    size_t unit = 0;

    for (; bytes >= 1024 && unit < 3; unit++)
        bytes /= 1024;
    snprintf(text, 24, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

/* ---- for people ---- */

static void print_look(const struct look *before, const struct look *now)
{
    const Duck__StatusAnswer *status = now->status->status;
    char in[24], out[24], memory[24], at[32];

    printf("%s  %s  version %s  up %" PRIu64 " s  %s\n\n", status->node_id, status->display_name,
           status->version, (status->now_ms - status->started_ms) / 1000,
           time_text(status->now_ms, at));
    printf("pecks     %8.1f /s     outbox %6" PRIu64 "     inbox %6" PRIu64 "     hosted %u\n",
           pecks_rate(before, now), status->outbox, status->inbox, status->hosted);
    printf("links     %8u        frames in %7.1f /s  %s/s     out %7.1f /s  %s/s\n", status->links,
           rate(before, now, "ducknode_frames_in_total", NULL),
           bytes_text(rate(before, now, "ducknode_bytes_in_total", NULL), in),
           rate(before, now, "ducknode_frames_out_total", NULL),
           bytes_text(rate(before, now, "ducknode_bytes_out_total", NULL), out));
    printf("members   %8.0f alive  %.0f suspect  %.0f dead     own health %.0f (0 is well)\n",
           value_of(now, "ducknode_gossip_members", "state=\"alive\""),
           value_of(now, "ducknode_gossip_members", "state=\"suspect\""),
           value_of(now, "ducknode_gossip_members", "state=\"dead\""),
           value_of(now, "ducknode_gossip_health", NULL));
    printf("records   %8" PRIu64 "        offered %.1f /s\n", status->records,
           rate(before, now, "ducknode_gossip_records_total", NULL));
    printf("signatures%8.1f /s     refused: pecks %.1f /s  frames %.1f /s\n",
           rate(before, now, "ducknode_signature_checks_total", NULL),
           rate(before, now, "ducknode_pecks_refused_total", NULL),
           rate(before, now, "ducknode_frames_refused_total", NULL));
    printf("process   %8.1f %% CPU  %s     waiting: messages %.0f  questions %.0f\n",
           100 * rate(before, now, "process_cpu_seconds_total", NULL),
           bytes_text(value_of(now, "process_resident_memory_bytes", NULL), memory),
           value_of(now, "ducknode_inbox_messages", NULL),
           value_of(now, "ducknode_local_questions", NULL));
    for (size_t i = 0; i < status->n_parts; i++)
        if (strcmp(status->parts[i]->status, "operational") != 0)
            printf("%s is %s: %s\n", status->parts[i]->name, status->parts[i]->status,
                   status->parts[i]->reason);
}

/* ---- for programs: a line for each look ---- */

static void print_line(const struct look *before, const struct look *now)
{
    const Duck__StatusAnswer *status = now->status->status;
    json_t *line =
        json_pack("{s:I, s:f, s:I, s:I, s:i, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "at_ms",
                  (json_int_t)status->now_ms, "pecks_per_s", pecks_rate(before, now), "outbox",
                  (json_int_t)status->outbox, "inbox", (json_int_t)status->inbox, "links",
                  (int)status->links, "records", (json_int_t)status->records, "frames_in_per_s",
                  rate(before, now, "ducknode_frames_in_total", NULL), "frames_out_per_s",
                  rate(before, now, "ducknode_frames_out_total", NULL), "bytes_in_per_s",
                  rate(before, now, "ducknode_bytes_in_total", NULL), "bytes_out_per_s",
                  rate(before, now, "ducknode_bytes_out_total", NULL), "signature_checks_per_s",
                  rate(before, now, "ducknode_signature_checks_total", NULL), "cpu_share",
                  rate(before, now, "process_cpu_seconds_total", NULL), "resident_bytes",
                  value_of(now, "process_resident_memory_bytes", NULL));

    print_json_line(line);
}

/* ---- */

static void show(const struct call *call, const struct look *before, const struct look *now,
                 bool is_terminal)
{
    if (call->json)
        print_line(before, now);
    else {
        if (is_terminal)
            printf("\033[H\033[2J");
        print_look(before, now);
        if (!is_terminal)
            printf("\n");
    }
    fflush(stdout);
}

static int top(struct call *call)
{
    struct sigaction on_interrupt = {.sa_handler = interrupt};
    bool is_terminal = !call->json && isatty(STDOUT_FILENO);
    uint64_t interval_s = INTERVAL_S, count = 0;
    struct look before, now;
    int result;

    if (!call_number(call, "interval", &interval_s) || !call_number(call, "count", &count))
        return 2;
    if (interval_s == 0 || interval_s > INTERVAL_MAX_S)
        return fail(call, "malformed", "--interval is 1 to %u seconds", INTERVAL_MAX_S);
    sigaction(SIGINT, &on_interrupt, NULL);
    result = take_look(call, &before);
    for (uint64_t shown = 0; result == 0 && !interrupted && (count == 0 || shown < count);
         shown++) {
        poll(NULL, 0, (int)(interval_s * 1000)); /* a signal ends it early */
        if (interrupted)
            break;
        result = take_look(call, &now);
        if (result == 0)
            show(call, &before, &now, is_terminal);
        look_free(&before);
        before = now;
    }
    look_free(&before);
    return result;
}

static const struct command_flag top_flags[] = {
    {"interval", "SECONDS", "between two looks; default 1"},
    {"count", "N", "end after so many; default: go on until interrupted"},
    {NULL, NULL, NULL},
};

const struct command top_commands[] = {
    {"top", "", 0, 0, "What the node does, live: pecks, links, members, records, CPU.", top_flags,
     "ducknode top --count 1", top},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
