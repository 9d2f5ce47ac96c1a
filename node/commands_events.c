/* events: what happens at the node, a line each, as it happens. */
#include "client/duck_client.h"
#include "commands.h"
#include "wire/local.pb-c.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Between the client's thread, which hears and prints, and this one, which waits for the end. */
struct listener {
    bool json, is_over;
    uint64_t left; /* events to print; 0: all there are */
    pthread_mutex_t lock;
    pthread_cond_t over;
};

static void print_value(const char *name, const char *value)
{
    printf("  %s ", name);
    show_line(stdout, bytes_of_text(value));
}

static void print_named(const char *name, const char *value)
{
    if (*value)
        print_value(name, value);
}

static void print_event(const Duck__EventView *view)
{
    char at[32];

    printf("%s  %s", time_text(view->at_ms, at), view->kind);
    print_named("of", view->duckling);
    print_named("with", view->with);
    print_named("peck", view->peck_id);
    print_named("bond", view->bond_id);
    print_named("from", view->before);
    print_named("is", view->state);
    print_named("because", view->reason);
    printf("\n");
}

static void print_line(const Duck__EventView *view)
{
    json_t *line = json_of_message(view);

    print_json_line(line);
}

static bool hear(void *context, const Duck__Reply *event)
{
    struct listener *listener = context;
    bool goes_on = true;

    pthread_mutex_lock(&listener->lock);
    if (!listener->is_over) {
        if (listener->json)
            print_line(event->event);
        else
            print_event(event->event);
        listener->is_over = fflush(stdout) != 0 || (listener->left > 0 && --listener->left == 0);
    }
    goes_on = !listener->is_over;
    pthread_cond_signal(&listener->over);
    pthread_mutex_unlock(&listener->lock);
    return goes_on;
}

/* Until the terminal says stop, or as many came as were asked for. A node that goes and comes back
 * is followed on. */
static int events(struct call *call)
{
    struct listener listener = {
        .json = call->json, .lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};
    const char *duckling = call->argument_count > 0 ? call->arguments[0] : NULL, *problem = "";
    struct duck *duck = NULL;
    struct id id;

    if (!call_number(call, "count", &listener.left))
        return 2;
    if (duckling && !id_parse(ID_DUCKLING, bytes_of_text(duckling), &id))
        return fail(call, "malformed", "'%s' is no duckling's id", duckling);
    if (duck_connect(&duck, call->options.socket, &problem) != 0)
        return fail(call, "unreachable", "%s (%s)", problem, call->options.socket);
    duck_call_follow(duck, duckling, call_has(call, "directory"), hear, &listener);
    pthread_mutex_lock(&listener.lock);
    while (!listener.is_over)
        pthread_cond_wait(&listener.over, &listener.lock);
    pthread_mutex_unlock(&listener.lock);
    duck_close(duck);
    return 0;
}

static const struct command_flag flags[] = {
    {"count", "N", "end after so many"},
    {"directory", NULL, "also what changes in the directory"},
    {NULL, NULL, NULL},
};

const struct command event_commands[] = {
    {"events", "[DUCKLING]", 0, 1,
     "Show what happens, as it happens: pecks, bonds, links, members, tiers.", flags,
     "ducknode events dkl_… --json", events},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
