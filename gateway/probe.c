#include "probe.h"

#include "gateway.h"
#include "reply.h"
#include "strict_json.h"

#include <microhttpd.h>
#include <pthread.h>

struct probe {
    pthread_mutex_t lock;
    struct MHD_Response *response; /* counted by the library: one use each request under way */
};

static struct MHD_Response *make(const struct node_status *status)
{
    json_t *object = json_object();
    struct MHD_Response *response;
    char *text;

    reply_word(object, "service", "duckgate");
    reply_word(object, "version", DUCK_VERSION);
    reply_word(object, "node_id", status->node_id);
    reply_word(object, "status", node_status_word(status));
    reply_date(object, "time", status->asked_ms);
    text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    response =
        MHD_create_response_from_buffer_with_free_callback(strlen(text), text, strict_json_forget);
    if (response) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    }
    return response;
}

struct probe *probe_new(void)
{
    struct probe *probe = memory_take(sizeof *probe);
    struct node_status nothing = {.asked_ms = gateway_wall_ms()};

    pthread_mutex_init(&probe->lock, NULL);
    probe_refresh(probe, &nothing);
    return probe;
}

void probe_free(struct probe *probe)
{
    if (!probe)
        return;
    if (probe->response)
        MHD_destroy_response(probe->response);
    pthread_mutex_destroy(&probe->lock);
    memory_give_back(probe);
}

void probe_refresh(struct probe *probe, const struct node_status *status)
{
    struct MHD_Response *fresh = make(status), *stale;

    if (!fresh)
        return;
    pthread_mutex_lock(&probe->lock);
    stale = probe->response;
    probe->response = fresh;
    pthread_mutex_unlock(&probe->lock);
    if (stale)
        MHD_destroy_response(stale);
}

bool probe_answer(struct probe *probe, struct MHD_Connection *connection)
{
    bool is_queued;

    pthread_mutex_lock(&probe->lock);
    is_queued =
        probe->response && MHD_queue_response(connection, MHD_HTTP_OK, probe->response) == MHD_YES;
    pthread_mutex_unlock(&probe->lock);
    return is_queued;
}
