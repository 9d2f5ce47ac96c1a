#include "fetch.h"

#include "call_guard.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fetching {
    const struct fetch_settings *settings;
    struct call_guard guard;
    char *body;
    size_t size;
    bool is_too_large; /* refused */
};

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

static void set_body(CURL *curl, const struct fetch_settings *settings, struct curl_slist *headers)
{
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)settings->json_size);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, settings->json);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, settings->within_s);
}

static void set_options(CURL *curl, const char *url, struct fetching *fetching)
{
    call_guard_set(&fetching->guard, curl, url);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, FETCH_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetching);
    if (fetching->settings->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, fetching->settings->ca_file);
}

static bool explain(const struct fetching *fetching, CURLcode code, long status,
                    char problem[FETCH_PROBLEM_SIZE])
{
    if (call_guard_problem(&fetching->guard))
        snprintf(problem, FETCH_PROBLEM_SIZE, "%s", call_guard_problem(&fetching->guard));
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
    struct fetching fetching = {
        .settings = settings,
        .guard = {.allowed = settings->allowed, .allow_private = settings->allow_private}};
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;
    long status = 0;

    if (curl) {
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
