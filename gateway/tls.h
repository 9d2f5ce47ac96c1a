/* tls: the certificate that the HTTP server shows, and its key; both can be changed under way.
 *
 * The library asks for them at each handshake, so connections that stand are not touched when they
 * change. TLS 1.2 and 1.3 (RFC 9325). The library's question has no context, so a process has one. */
#ifndef DUCK_GATE_TLS_H
#define DUCK_GATE_TLS_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_PROBLEM_SIZE 512
#define TLS_CHAIN_MAX 8            /* certificates of a chain */
#define TLS_RETIRED_MS (60 * 1000) /* an old key is kept for the handshakes that began with it */
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"

/* Reads both, in PEM, and puts them in force if they are good and belong together. False: why not is
 * in `problem`, and what was in force stays so. The key may not be readable for all. */
bool tls_load(const char *certificate_path, const char *key_path, char problem[TLS_PROBLEM_SIZE]);
void tls_forget(void); /* after the server has stopped */

/* gnutls_certificate_retrieve_function2, for the server. */
void *tls_retrieve_function(void);

#endif
