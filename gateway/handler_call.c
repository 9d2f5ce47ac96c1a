#include "handler_call.h"

#include "fetch.h"

#include <stdio.h>
#include <stdlib.h>

static int refuse(const char *why)
{
    printf("the handler's URL: %s\n", why);
    return EXIT_FAILURE;
}

int handler_call(const struct gate_options *options)
{
    struct fetch_settings settings = {
        .ca_file = options->fetch_ca_file[0] ? options->fetch_ca_file : NULL,
        .allowed = &options->call_allow,
    };
    char problem[FETCH_PROBLEM_SIZE], *peck = malloc(HANDLER_CALL_INPUT_MAX), *answer;
    size_t size;

    if (!peck)
        return refuse("no memory");
    settings.json = peck;
    settings.json_size = fread(peck, 1, HANDLER_CALL_INPUT_MAX, stdin);
    answer = fetch(options->call_handler, &settings, &size, problem);
    free(peck);
    if (!answer)
        return refuse(problem);
    fwrite(answer, 1, size, stdout);
    free(answer);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
