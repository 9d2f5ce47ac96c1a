/* guard: is this one request, and is it meant for us?
 *
 * The library's parser takes requests that two parsers read as different ones (RFC 9112, section
 * 11.2, request smuggling): both lengths, two lengths, names with blanks, control characters. They
 * are refused here, before anything is done with them, and the connection ends.
 *
 * A page of a foreign site may also reach a service on loopback, by a name that it lets resolve
 * to 127.0.0.1 (DNS rebinding). Such a request names a foreign Host or a foreign Origin. */
#ifndef DUCK_GATE_GUARD_H
#define DUCK_GATE_GUARD_H

#include "core/bytes.h"

#define GUARD_HOSTS_MAX 16
#define GUARD_ORIGINS_MAX 16

enum guard_verdict {
    GUARD_TAKEN,
    GUARD_BAD_NAME,         /* a header's name is not a token */
    GUARD_BAD_VALUE,        /* a control character in a value */
    GUARD_TWICE,            /* a header that counts stands there twice */
    GUARD_TWO_LENGTHS,      /* Content-Length and Transfer-Encoding */
    GUARD_BAD_LENGTH,       /* Content-Length is not a number */
    GUARD_BAD_CODING,       /* a Transfer-Encoding other than chunked */
    GUARD_BAD_TARGET,       /* the target is not a path of printable ASCII, or holds %00 */
    GUARD_FOREIGN_HOST,
    GUARD_FOREIGN_ORIGIN,
};
const char *guard_verdict_text(enum guard_verdict verdict); /* a sentence for people */

/* The headers that count, borrowed. `.data` NULL: absent. */
struct guard_headers {
    struct bytes host, origin, authorization, content_type, content_length, transfer_encoding,
        idempotency_key, traceparent;
    enum guard_verdict verdict; /* the first no */
};

/* Looks at one header and remembers it. False: refused, see `verdict`. */
bool guard_see(struct guard_headers *headers, struct bytes name, struct bytes value);

/* Judges all of them together, and the request's target. */
enum guard_verdict guard_judge(struct guard_headers *headers, const char *target);

/* What Content-Length says: UINT64_MAX when it is over that, 0 when absent. */
uint64_t guard_content_length(const struct guard_headers *headers);

/* Whom we answer. Names without port; an address, `localhost` and names under it always pass: a page can
 * only be rebound to us by a name of its own. */
struct guard_hosts {
    const char *hosts[GUARD_HOSTS_MAX];
    size_t host_count;
    const char *origins[GUARD_ORIGINS_MAX]; /* "https://app.example:8443" */
    size_t origin_count;
};
enum guard_verdict guard_place(const struct guard_hosts *hosts,
                               const struct guard_headers *headers);

/* True when the request's Origin is one of `origins`: then the answer names it (CORS). */
bool guard_origin_is_listed(const struct guard_hosts *hosts, const struct guard_headers *headers);

#endif
