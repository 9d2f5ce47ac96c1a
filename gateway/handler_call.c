#include "handler_call.h"

#include "fetch.h"
#include "public_address.h"

#include <curl/curl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- without calling ---- */

static const char *judge_address(const struct allow_list *allowed, bool is_plain,
                                 const struct sockaddr *address)
{
    if (allow_list_has_address(allowed, address))
        return NULL;
    if (!address_is_public(address))
        return "its address is not a public one, and call_allow does not name it";
    return is_plain ? "without TLS only what call_allow names is called" : NULL;
}

/* Every address must do: which one a call takes nobody knows. */
static const char *judge_host(const struct allow_list *allowed, const char *host, bool is_plain)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char name[NI_MAXHOST];
    const char *wrong = NULL;
    size_t size;
    int error;

    snprintf(name, sizeof name, "%s", host[0] == '[' ? host + 1 : host);
    size = strlen(name);
    if (host[0] == '[' && size > 0)
        name[size - 1] = 0;
    error = getaddrinfo(name, NULL, &hints, &found);
    if (error)
        return gai_strerror(error);
    for (struct addrinfo *at = found; at && !wrong; at = at->ai_next)
        wrong = judge_address(allowed, is_plain, at->ai_addr);
    freeaddrinfo(found);
    return wrong && allow_list_has_name(allowed, host) ? NULL : wrong;
}

int handler_check(const struct gate_options *options)
{
    const char *wrong = "it is no URL", *url = options->call_handler;
    char *host = NULL, *scheme = NULL;
    CURLU *parts = curl_url();

    if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK) {
        bool is_plain = strcmp(scheme, "http") == 0;

        wrong = !is_plain && strcmp(scheme, "https") != 0
                    ? "it is neither https:// nor http://"
                    : judge_host(&options->call_allow, host, is_plain);
    }
    curl_free(host);
    curl_free(scheme);
    curl_url_cleanup(parts);
    if (!wrong)
        return EXIT_SUCCESS;
    printf("%.200s: %s\n", url, wrong);
    return EXIT_FAILURE;
}
