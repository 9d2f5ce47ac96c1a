#include "handler_orders.h"

#include "core/binary_data.h"
#include "wire/local.pb-c.h"

void handler_order_take(struct handler_link *link, uint64_t id, const struct handler_table *table,
                        size_t index, uint32_t limit, uint32_t lease_ms)
{
    const struct handler *handler = &table->list[index];
    ProtobufCBinaryData wanted = lent(bytes_of_text(handler->action));
    ProtobufCBinaryData unwanted[HANDLERS_MAX];
    const char *but_not[HANDLERS_MAX];
    Duck__TakeOrder take = DUCK__TAKE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    take.duckling = lent_text(handler->duckling);
    take.limit = limit;
    take.wait_ms = HANDLER_TAKE_WAIT_MS;
    take.lease_ms = lease_ms;
    take.actions = &wanted;
    take.n_actions = 1;
    take.but_not = unwanted;
    take.n_but_not = handler_but_not(table, index, but_not);
    for (size_t i = 0; i < take.n_but_not; i++)
        unwanted[i] = lent(bytes_of_text(but_not[i]));
    request.id = id;
    request.order_case = DUCK__REQUEST__ORDER_TAKE;
    request.take = &take;
    handler_link_send(link, &request);
}

void handler_order_answer(struct handler_link *link, uint64_t id, const char *duckling,
                          const char *peck_id, struct bytes result, const char *problem)
{
    Duck__AnswerOrder answer = DUCK__ANSWER_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    answer.duckling = lent_text(duckling);
    answer.peck_id = lent_text(peck_id);
    answer.failed = problem != NULL;
    if (problem)
        answer.problem = lent(bytes_of_text(problem));
    else
        answer.result = lent(result);
    request.id = id;
    request.order_case = DUCK__REQUEST__ORDER_ANSWER;
    request.answer = &answer;
    handler_link_send(link, &request);
}

void handler_order_renew(struct handler_link *link, uint64_t id, const char *duckling,
                         const char *peck_id, uint32_t lease_ms)
{
    Duck__RenewOrder renew = DUCK__RENEW_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char *peck = lent_text(peck_id);

    renew.duckling = lent_text(duckling);
    renew.peck_ids = &peck;
    renew.n_peck_ids = 1;
    renew.lease_ms = lease_ms;
    request.id = id;
    request.order_case = DUCK__REQUEST__ORDER_RENEW;
    request.renew = &renew;
    handler_link_send(link, &request);
}

void handler_order_give_back(struct handler_link *link, uint64_t id, const char *duckling,
                             const char *const *peck_ids, size_t count)
{
    Duck__GiveBackOrder back = DUCK__GIVE_BACK_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    back.duckling = lent_text(duckling);
    back.peck_ids = (char **)(uintptr_t)peck_ids;
    back.n_peck_ids = count;
    request.id = id;
    request.order_case = DUCK__REQUEST__ORDER_GIVE_BACK;
    request.give_back = &back;
    handler_link_send(link, &request);
}

/* ---- the report ---- */

/* The words with blanks between them. */
static void join_words(const struct handler *handler, char text[HANDLER_TEXT_SIZE])
{
    char *argv[HANDLER_WORDS_MAX + 1];
    size_t size = 0;

    handler_argv(handler, argv);
    for (size_t i = 0; argv[i]; i++) { /* as long as the words with their NULs */
        if (i > 0)
            text[size++] = ' ';
        memcpy(text + size, argv[i], strlen(argv[i]));
        size += strlen(argv[i]);
    }
    text[size] = 0;
}

struct view {
    Duck__HandlerView wire;
    const char *but_not[HANDLERS_MAX];
    char target[HANDLER_TEXT_SIZE];
};

static void compose(const struct handler_table *table, size_t index,
                    const struct handler_figures *figures, struct view *view)
{
    const struct handler *handler = &table->list[index];

    duck__handler_view__init(&view->wire);
    view->wire.name = lent_text(handler->name);
    view->wire.kind = lent_text(handler->word_count ? "program" : "url");
    view->wire.duckling = lent_text(handler->duckling);
    view->wire.action = lent_text(handler->action);
    view->wire.n_but_not = handler_but_not(table, index, view->but_not);
    view->wire.but_not = (char **)(uintptr_t)view->but_not;
    join_words(handler, view->target);
    view->wire.target = handler->word_count ? view->target : lent_text(handler->url);
    view->wire.timeout_ms = handler->timeout_ms;
    view->wire.at_once = handler->at_once;
    view->wire.running = figures->running;
    view->wire.taken = figures->taken;
    view->wire.answered = figures->answered;
    view->wire.failed = figures->failed;
    view->wire.timed_out = figures->timed_out;
    view->wire.lost = figures->lost;
}

void handler_order_report(struct handler_link *link, uint64_t id, const struct handler_table *table,
                          const struct handler_figures *figures)
{
    Duck__HandlersReport report = DUCK__HANDLERS_REPORT__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__HandlerView *list[HANDLERS_MAX];
    struct view *views = memory_take(HANDLERS_MAX * sizeof *views);

    for (size_t i = 0; i < table->count; i++) {
        compose(table, i, &figures[i], &views[i]);
        list[i] = &views[i].wire;
    }
    report.handlers = list;
    report.n_handlers = table->count;
    report.running = true;
    request.id = id;
    request.order_case = DUCK__REQUEST__ORDER_HANDLERS_REPORT;
    request.handlers_report = &report;
    handler_link_send(link, &request);
    memory_give_back(views);
}
