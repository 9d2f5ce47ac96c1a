#include "connections.h"

#include "core/bytes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

#define PREFIX_SIZE 8 /* bytes of an IPv6 /64; of an IPv4 address, 4 and four zeros */

struct connection_slot {
    int socket; /* -1: free */
    _Atomic uint64_t deadline_ms;
    void *kept;
    bool is_loopback;
    uint8_t prefix[PREFIX_SIZE];
    char address[CONNECTION_ADDRESS_SIZE];
};

struct connections {
    /* Held over the sweep and over the end of a connection, so that a descriptor which was closed
     * and given to another socket is never shut down in the first one's place. */
    pthread_mutex_t lock;
    size_t count, end; /* behind `end` all slots are free */
    unsigned per_address_max, per_loopback_max;
    struct connection_slot slots[CONNECTIONS_MAX];
};

struct connections *connections_new(unsigned per_address_max, unsigned per_loopback_max)
{
    struct connections *connections = memory_take(sizeof *connections);

    pthread_mutex_init(&connections->lock, NULL);
    connections->per_address_max = per_address_max;
    connections->per_loopback_max = per_loopback_max;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        connections->slots[i].socket = -1;
    return connections;
}

void connections_free(struct connections *connections)
{
    if (!connections)
        return;
    pthread_mutex_destroy(&connections->lock);
    memory_give_back(connections);
}

static void read_address(struct connection_slot *slot, const struct sockaddr *address)
{
    const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
    const struct in_addr *four = &((const struct sockaddr_in *)address)->sin_addr;
    struct in_addr mapped;

    memset(slot->prefix, 0, PREFIX_SIZE);
    snprintf(slot->address, sizeof slot->address, "unknown");
    slot->is_loopback = false;
    if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six)) {
        memcpy(&mapped, six->s6_addr + 12, sizeof mapped);
        four = &mapped;
    } else if (address->sa_family == AF_INET6) {
        memcpy(slot->prefix, six->s6_addr, PREFIX_SIZE);
        slot->is_loopback = IN6_IS_ADDR_LOOPBACK(six);
        inet_ntop(AF_INET6, six, slot->address, sizeof slot->address);
        return;
    } else if (address->sa_family != AF_INET) {
        return;
    }
    memcpy(slot->prefix, four, sizeof *four);
    slot->is_loopback = (ntohl(four->s_addr) >> 24) == 127;
    inet_ntop(AF_INET, four, slot->address, sizeof slot->address);
}

static bool are_neighbours(const struct connection_slot *left, const struct connection_slot *right)
{
    return left->is_loopback == right->is_loopback &&
           (left->is_loopback || !memcmp(left->prefix, right->prefix, PREFIX_SIZE));
}

bool connections_admit(struct connections *connections, const struct sockaddr *address)
{
    struct connection_slot newcomer;
    size_t max, count = 0;

    read_address(&newcomer, address);
    max = newcomer.is_loopback ? connections->per_loopback_max : connections->per_address_max;
    pthread_mutex_lock(&connections->lock);
    for (size_t i = 0; i < connections->end; i++)
        if (connections->slots[i].socket >= 0 && are_neighbours(&connections->slots[i], &newcomer))
            count++;
    pthread_mutex_unlock(&connections->lock);
    return count < max;
}

struct connection_slot *connections_begin(struct connections *connections, int socket,
                                          const struct sockaddr *address, uint64_t deadline_ms)
{
    struct connection_slot *slot = NULL;

    pthread_mutex_lock(&connections->lock);
    for (size_t i = 0; i < CONNECTIONS_MAX && !slot; i++)
        if (connections->slots[i].socket < 0)
            slot = &connections->slots[i];
    if (slot) {
        read_address(slot, address);
        slot->socket = socket;
        slot->kept = NULL;
        atomic_store(&slot->deadline_ms, deadline_ms);
        connections->count++;
        if (slot >= connections->slots + connections->end)
            connections->end = (size_t)(slot - connections->slots) + 1;
    }
    pthread_mutex_unlock(&connections->lock);
    return slot;
}

void connections_end(struct connections *connections, struct connection_slot *slot)
{
    pthread_mutex_lock(&connections->lock);
    slot->socket = -1;
    connections->count--;
    while (connections->end > 0 && connections->slots[connections->end - 1].socket < 0)
        connections->end--;
    pthread_mutex_unlock(&connections->lock);
}

void connection_deadline(struct connection_slot *slot, uint64_t at_ms)
{
    atomic_store_explicit(&slot->deadline_ms, at_ms, memory_order_relaxed);
}

const char *connection_address(const struct connection_slot *slot)
{
    return slot->address;
}

void connection_keep(struct connection_slot *slot, void *thing)
{
    slot->kept = thing;
}

void *connection_kept(const struct connection_slot *slot)
{
    return slot->kept;
}

size_t connections_sweep(struct connections *connections, uint64_t now_ms)
{
    size_t late = 0;

    pthread_mutex_lock(&connections->lock);
    for (size_t i = 0; i < connections->end; i++) {
        struct connection_slot *slot = &connections->slots[i];

        if (slot->socket < 0 || atomic_load(&slot->deadline_ms) > now_ms)
            continue;
        shutdown(slot->socket, SHUT_RDWR);
        atomic_store(&slot->deadline_ms, UINT64_MAX); /* once is enough */
        late++;
    }
    pthread_mutex_unlock(&connections->lock);
    return late;
}

size_t connections_count(struct connections *connections)
{
    size_t count;

    pthread_mutex_lock(&connections->lock);
    count = connections->count;
    pthread_mutex_unlock(&connections->lock);
    return count;
}
