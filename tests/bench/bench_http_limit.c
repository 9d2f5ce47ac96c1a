/* A bare libmicrohttpd that answers every request with the bytes of a file: the limit for the
 * gateway's probe. Prints its port and serves until its standard input ends. */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct MHD_Response *response;

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request)
{
    static int seen;

    (void)context, (void)url, (void)method, (void)version, (void)upload, (void)upload_size;
    if (!*request) { /* on the first call it would close the connection */
        *request = &seen;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

int main(int argc, char **argv)
{
    static char body[1 << 20];
    struct MHD_Daemon *daemon;
    size_t size;
    FILE *file;
    char byte;

    if (argc != 2 || !(file = fopen(argv[1], "r")))
        return 2;
    size = fread(body, 1, sizeof body, file);
    fclose(file);
    response = MHD_create_response_from_buffer(size, body, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "application/json");
    daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL,
                              answer, NULL, MHD_OPTION_END);
    if (!daemon)
        return 1;
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        continue;
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
    return 0;
}
