/* server: the HTTP server, libmicrohttpd with what it lacks.
 *
 * One thread serves all connections by epoll, another ends those that are late. On few cores one
 * is as fast as a pool, whose threads do not share the connections evenly. */
#ifndef DUCK_GATE_SERVER_H
#define DUCK_GATE_SERVER_H

#include "connections.h"

#define SERVER_CONNECTION_MEMORY (32u * 1024u) /* of one connection: its headers must fit in */
#define SERVER_IDLE_S 30                       /* of silence */
#define SERVER_THREADS_MAX 16
#define SERVER_URL_SIZE 320

struct gateway;
struct server;

struct server_settings {
    struct gateway *gateway;
    const char *listen; /* "host:port", "[address]:port"; port 0: any */
    unsigned threads;   /* 1: one; more: a pool */
    unsigned per_address_max, per_loopback_max;
    void (*beat)(void *context, uint64_t now_ms); /* some times a second, on a thread of the server's; NULL: none */
    void *context;
    bool has_tls; /* see tls.h: loaded before */
};

int server_open(struct server **opened, const struct server_settings *settings);
const char *server_url(const struct server *server); /* "http://host:port", without a slash */

/* Takes no new connections, and tells new requests so; waits up to `within_ms` until those under
 * way are answered. */
void server_quiesce(struct server *server, unsigned within_ms);

/* NULL is fine. Whoever parked an exchange must have woken it, or be about to. */
void server_close(struct server *server);

#endif
