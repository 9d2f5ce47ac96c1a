/* A receiver of webhooks on loopback: what comes is given to a function, which says the status. */
#ifndef DUCK_TEST_HOOK_RECEIVER_H
#define DUCK_TEST_HOOK_RECEIVER_H

#include <microhttpd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hook_call {
    const char *path, *id, *timestamp, *signatures, *event, *hex;
    const char *body;
};

struct hook_receiver {
    struct MHD_Daemon *daemon;
    unsigned port;
    unsigned (*answer)(void *context, const struct hook_call *call); /* on the receiver's thread */
    void *context;
    const char *retry_after; /* of each failure; NULL: none */
    const char *text;        /* of each answer; NULL: none */
};

struct hook_body {
    char text[20000];
    size_t size;
};

static inline const char *hook_header(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);

    return value ? value : "";
}

static inline enum MHD_Result hook_serve(void *context, struct MHD_Connection *connection,
                                         const char *url, const char *method, const char *version,
                                         const char *upload, size_t *size, void **kept)
{
    struct hook_receiver *receiver = context;
    struct hook_body *body = *kept;
    struct hook_call call = {.path = url};
    const char *text = receiver->text ? receiver->text : "";
    struct MHD_Response *response;
    enum MHD_Result result;
    unsigned status;

    (void)method;
    (void)version;
    if (!body) {
        *kept = calloc(1, sizeof *body);
        return MHD_YES;
    }
    if (*size > 0) {
        if (body->size + *size < sizeof body->text)
            memcpy(body->text + body->size, upload, *size);
        body->size += *size;
        *size = 0;
        return MHD_YES;
    }
    call.id = hook_header(connection, "webhook-id");
    call.timestamp = hook_header(connection, "webhook-timestamp");
    call.signatures = hook_header(connection, "webhook-signature");
    call.event = hook_header(connection, "X-Space-Duck-Event");
    call.hex = hook_header(connection, "X-Space-Duck-Signature");
    call.body = body->text;
    status = receiver->answer(receiver->context, &call);
    response = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                               MHD_RESPMEM_PERSISTENT);
    if (status >= 300 && receiver->retry_after)
        MHD_add_response_header(response, "Retry-After", receiver->retry_after);
    if (status >= 300 && status < 400)
        MHD_add_response_header(response, "Location", "/elsewhere");
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static inline void hook_done(void *context, struct MHD_Connection *connection, void **kept,
                             enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)connection;
    (void)code;
    free(*kept);
}

/* False: no port, or no thread. */
static inline bool hook_receiver_open(struct hook_receiver *receiver)
{
    const union MHD_DaemonInfo *info;

    receiver->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, hook_serve, receiver,
        MHD_OPTION_NOTIFY_COMPLETED, hook_done, NULL, MHD_OPTION_CONNECTION_LIMIT, 256,
        MHD_OPTION_END);
    if (!receiver->daemon)
        return false;
    info = MHD_get_daemon_info(receiver->daemon, MHD_DAEMON_INFO_BIND_PORT);
    receiver->port = info->port;
    return true;
}

static inline void hook_receiver_close(struct hook_receiver *receiver)
{
    MHD_stop_daemon(receiver->daemon);
}

#endif
