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
    bool has_allowed_name, is_plain;
    bool is_private, is_in_clear, is_too_large; /* refused, because */
};

static bool is_allowed(const struct fetching *fetching, const struct sockaddr *address)
{
    const struct allow_list *allowed = fetching->settings->allowed;

    return fetching->has_allowed_name || (allowed && allow_list_has_address(allowed, address));
}

/* The last moment at which the address is known and nothing was sent. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetching *fetching = context;

    (void)purpose;
    if (!is_allowed(fetching, &address->addr)) {
        fetching->is_private =
            !fetching->settings->allow_private && !address_is_public(&address->addr);
        fetching->is_in_clear = fetching->is_plain;
        if (fetching->is_private || fetching->is_in_clear)
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

/* What the URL says that its address does not. */
static void read_url(const char *url, struct fetching *fetching)
{
    const struct allow_list *allowed = fetching->settings->allowed;
    CURLU *parts = curl_url();
    char *host = NULL, *scheme = NULL;

    if (parts && allowed && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK) {
        fetching->has_allowed_name = allow_list_has_name(allowed, host);
        fetching->is_plain = strcmp(scheme, "http") == 0;
    }
    curl_free(host);
    curl_free(scheme);
    curl_url_cleanup(parts);
}

static void set_body(CURL *curl, const struct fetch_settings *settings, struct curl_slist *headers)
{
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)settings->json_size);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, settings->json);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, settings->within_s);
}

static void set_options(CURL *curl, const char *url, struct fetching *fetching)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR,
                     fetching->settings->allowed ? "https,http" : "https");
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
    else if (fetching->is_in_clear)
        snprintf(problem, FETCH_PROBLEM_SIZE, "without TLS only what call_allow names is called");
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
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;
    long status = 0;

    if (curl) {
        read_url(url, &fetching);
        set_options(curl, url, &fetching);
        if (settings->json)
            set_body(curl, settings, headers);
        code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_cleanup(curl);
    }
    curl_slist_free_all(headers);
    if (explain(&fetching, code, status, problem)) {
        free(fetching.body);
        return NULL;
    }
    *size = fetching.size;
    return fetching.body;
}
