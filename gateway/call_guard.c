#include "call_guard.h"

#include "public_address.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_allowed(const struct call_guard *guard, const struct sockaddr *address)
{
    return guard->has_allowed_name ||
           (guard->allowed && allow_list_has_address(guard->allowed, address));
}

static unsigned port_of(const struct sockaddr *address)
{
    return ntohs(address->sa_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
                     : ((const struct sockaddr_in *)(const void *)address)->sin_port);
}

static bool is_listed(const struct call_ports *ports, unsigned port)
{
    if (!ports || ports->count == 0)
        return true;
    for (size_t i = 0; i < ports->count; i++)
        if (ports->list[i] == port)
            return true;
    return false;
}

static void judge_address(struct call_guard *guard, const struct sockaddr *address)
{
    guard->is_private = !guard->allow_private && !address_is_public(address);
    guard->is_in_clear = guard->is_plain;
    guard->is_at_other_port = !is_listed(guard->ports, port_of(address));
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct call_guard *guard = context;

    (void)purpose;
    if (call_guard_problem(guard))
        return CURL_SOCKET_BAD; /* a host with one address that is refused has none that is not */
    if (!is_allowed(guard, &address->addr)) {
        judge_address(guard, &address->addr);
        if (call_guard_problem(guard))
            return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void read_url(struct call_guard *guard, const char *url)
{
    CURLU *parts = curl_url();
    char *host = NULL, *scheme = NULL;

    if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK) {
        guard->has_allowed_name = guard->allowed && allow_list_has_name(guard->allowed, host);
        guard->is_plain = strcmp(scheme, "http") == 0;
    }
    curl_free(host);
    curl_free(scheme);
    curl_url_cleanup(parts);
}

void call_guard_set(struct call_guard *guard, void *curl, const char *url)
{
    read_url(guard, url);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, guard->allowed ? "https,http" : "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    /* A name that is not resolved in time is left to its thread: who ends the transfer does not wait for it. */
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "duckgate/" DUCK_VERSION);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, guard);
}

const char *call_guard_problem(const struct call_guard *guard)
{
    if (guard->is_private)
        return "its address is not a public one";
    if (guard->is_in_clear)
        return "without TLS only what the configuration allows by name is called";
    if (guard->is_at_other_port)
        return "its port is none that may be called";
    return NULL;
}

static bool read_address(const char *host, unsigned port, struct sockaddr_storage *address)
{
    struct sockaddr_in *four = (void *)address;
    struct sockaddr_in6 *six = (void *)address;
    char text[INET6_ADDRSTRLEN + 2];
    size_t size = strlen(host);

    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        return true;
    }
    if (size < 2 || size >= sizeof text || host[0] != '[' || host[size - 1] != ']')
        return false;
    memcpy(text, host + 1, size - 2);
    text[size - 2] = 0;
    if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1)
        return false;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons((uint16_t)port);
    return true;
}

/* Then a name may turn out to be one of them. */
static bool allows_addresses(const struct call_guard *guard)
{
    for (size_t i = 0; guard->allowed && i < guard->allowed->count; i++)
        if (!guard->allowed->list[i].name[0])
            return true;
    return false;
}

static void judge_host(struct call_guard *guard, const char *host, const char *port)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    unsigned number = (unsigned)strtoul(port, NULL, 10);

    if (read_address(host, number, &address)) {
        if (!is_allowed(guard, (const struct sockaddr *)&address))
            judge_address(guard, (const struct sockaddr *)&address);
    } else if (!guard->has_allowed_name && !allows_addresses(guard)) {
        guard->is_in_clear = guard->is_plain;
        guard->is_at_other_port = !is_listed(guard->ports, number);
    }
}

const char *call_guard_forbids(const struct call_guard *guard, const char *url)
{
    struct call_guard judged = *guard;
    CURLU *parts = curl_url();
    char *host = NULL, *port = NULL;

    read_url(&judged, url);
    if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
        judge_host(&judged, host, port);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return call_guard_problem(&judged);
}
