/* fetch: one document over HTTPS from a host that somebody named, see public_address.h.
 *
 * GET, or POST of JSON; no redirects, no proxy, no cookies, certificates checked, at most
 * FETCH_SIZE_MAX bytes. A GET ends within FETCH_TIMEOUT_S; a POST within `within_s`, or with the process.
 * What the allow list has may be called although it is not public, and without TLS. */
#ifndef DUCK_GATE_FETCH_H
#define DUCK_GATE_FETCH_H

#include "allow_list.h"

#include <stdbool.h>
#include <stddef.h>

#define FETCH_SIZE_MAX (256u * 1024u) /* bytes */
#define FETCH_TIMEOUT_S 15L
#define FETCH_PROBLEM_SIZE 256u

struct fetch_settings {
    const char *ca_file;  /* certificates to trust instead of the system's; NULL: those */
    bool allow_private;   /* addresses that are not public, too */
    const struct allow_list *allowed; /* NULL: none */
    const char *json;     /* to POST; NULL: GET */
    size_t json_size;
    long within_s;        /* that a POST may take; 0: no end of ours */
};

/* The body, ended by NUL, malloc'd for the caller to free; NULL: `problem` says why, for people. */
char *fetch(const char *url, const struct fetch_settings *settings, size_t *size,
            char problem[FETCH_PROBLEM_SIZE]);

#endif
