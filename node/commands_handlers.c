/* Handlers: what is configured and how it goes, and the process that runs them. */
#include "client/duck_client.h"
#include "commands.h"
#include "handler_check.h"
#include "handler_runner.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct command_flag run_flags[] = {
    {"log-format", "FORMAT", "text or json"},
    {"log-level", "LEVEL", "error, warning, info or debug"},
    {NULL, NULL, NULL},
};

static void print_handlers(const Duck__HandlersReport *report)
{
    printf("%-16s %-16s %-8s %7s %8s %8s %8s %8s\n", "handler", "action", "kind", "running",
           "answered", "failed", "late", "lost");
    for (size_t i = 0; i < report->n_handlers; i++) {
        const Duck__HandlerView *view = report->handlers[i];

        printf("%-16s %-16s %-8s %7" PRIu32 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
               "\n  for %s, at most %" PRIu32 " at once, %" PRIu64 " ms each: %s\n",
               view->name, view->action, view->kind, view->running, view->answered, view->failed,
               view->timed_out, view->lost, view->duckling, view->at_once, view->timeout_ms,
               view->target);
    }
    if (!report->running)
        printf("nothing runs them at the moment: the node's log says why\n");
}

/* Whether what is configured would run; needs no node. */
static int check(struct call *call)
{
    const struct handler_table *table = &call->options.handlers;
    char problem[HANDLER_PROBLEM_SIZE];

    for (size_t i = 0; i < table->count; i++)
        if (!handler_would_run(&call->options, &table->list[i], problem))
            return fail(call, "config", "%s", problem);
    if (call->json)
        print_json(json_pack("{s:I}", "handlers", (json_int_t)table->count));
    else
        printf("fine: %zu handler%s\n", table->count, table->count == 1 ? "" : "s");
    return 0;
}

static int list(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__HandlersQuery query = DUCK__HANDLERS_QUERY__INIT;
    Duck__Reply *reply;
    int result;

    request.order_case = DUCK__REQUEST__ORDER_HANDLERS;
    request.handlers = &query;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_of_message(reply->handlers));
    else if (reply->handlers->n_handlers == 0)
        printf("no handlers\n");
    else
        print_handlers(reply->handlers);
    duck_reply_free(reply);
    return 0;
}

static int handlers(struct call *call)
{
    const char *what = call->argument_count > 0 ? call->arguments[0] : "list";

    if (strcmp(what, "list") == 0)
        return list(call);
    if (strcmp(what, "check") == 0)
        return check(call);
    return misused_word(call);
}

static int run_handlers(struct call *call)
{
    struct options *options = &call->options;
    const char *caller[HANDLER_CALL_WORDS_MAX + 1];
    char *program = realpath(options->gateway_program, NULL); /* it is started in "/" */
    struct handler_runner_settings settings = {.table = &options->handlers,
                                               .socket_path = options->socket,
                                               .at_once = options->handlers_at_once};

    log_configure(options->log_format, options->log_level);
    if (program)
        snprintf(options->gateway_program, sizeof options->gateway_program, "%s", program);
    free(program);
    handler_caller(options,
                   caller); /* a program too: so a URL has the same caps, and harms nobody */
    for (size_t i = 0; i < options->handlers.count; i++)
        if (options->handlers.list[i].url[0])
            options->handlers.list[i].call = caller;
    return handler_runner_run(&settings);
}

const struct command handler_commands[] = {
    {"handlers", "[list|check]", 0, 1,
     "The programs and URLs that answer pecks here, and how it goes; or whether they would run.",
     NULL, "ducknode handlers check --config /etc/ducknode/ducknode.conf", handlers},
    {"run-handlers", "", 0, 0,
     "Run the configured programs for a running node, which starts this by itself.", run_flags,
     "ducknode run-handlers --config /etc/ducknode/ducknode.conf", run_handlers},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
