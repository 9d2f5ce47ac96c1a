#include "fetch.h"

#include "public_address.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fetching {
    const struct fetch_settings *settings;
    char *body;
    size_t size;
    bool is_private, is_too_large;
};

/* The last moment at which the address is known and nothing was sent. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetching *fetching = context;

    (void)purpose;
    if (!fetching->settings->allow_private && !address_is_public(&address->addr)) {
        fetching->is_private = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take(char *data, size_t one, size_t count, void *context)
{
    struct fetching *fetching = context;
    size_t size = one * count;
    char *body;

    if (size > FETCH_SIZE_MAX - fetching->size) {
        fetching->is_too_large = true;
        return 0;
    }
    body = realloc(fetching->body, fetching->size + size + 1);
    if (!body)
        return 0;
    memcpy(body + fetching->size, data, size);
    fetching->body = body;
    fetching->size += size;
    body[fetching->size] = 0;
    return size;
}

static void set_options(CURL *curl, const char *url, struct fetching *fetching)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, FETCH_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "duckgate/" DUCK_VERSION);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, fetching);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetching);
    if (fetching->settings->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, fetching->settings->ca_file);
}

static bool explain(const struct fetching *fetching, CURLcode code, long status,
                    char problem[FETCH_PROBLEM_SIZE])
{
    if (fetching->is_private)
        snprintf(problem, FETCH_PROBLEM_SIZE, "its address is not a public one");
    else if (fetching->is_too_large)
        snprintf(problem, FETCH_PROBLEM_SIZE, "it is larger than %u bytes", FETCH_SIZE_MAX);
    else if (code != CURLE_OK)
        snprintf(problem, FETCH_PROBLEM_SIZE, "%s", curl_easy_strerror(code));
    else if (status != 200)
        snprintf(problem, FETCH_PROBLEM_SIZE, "the answer is %ld, not 200", status);
    else if (!fetching->body)
        snprintf(problem, FETCH_PROBLEM_SIZE, "it is empty");
    else
        return false;
    return true;
}

char *fetch(const char *url, const struct fetch_settings *settings, size_t *size,
            char problem[FETCH_PROBLEM_SIZE])
{
    struct fetching fetching = {.settings = settings};
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;
    long status = 0;

    if (curl) {
        set_options(curl, url, &fetching);
        code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_cleanup(curl);
    }
    if (explain(&fetching, code, status, problem)) {
        free(fetching.body);
        return NULL;
    }
    *size = fetching.size;
    return fetching.body;
}
