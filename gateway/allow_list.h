/* allow_list: hosts and addresses that the operator lets this gateway call although they are not
 * public, see public_address.h: "127.0.0.0/8", "::1", "hooks.internal". A name allows whatever
 * address it resolves to. */
#ifndef DUCK_GATE_ALLOW_LIST_H
#define DUCK_GATE_ALLOW_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ALLOW_LIST_MAX 8u
#define ALLOW_NAME_SIZE 256u /* with NUL */

struct allow_list {
    struct allow_entry {
        char name[ALLOW_NAME_SIZE]; /* empty: an address and how many of its bits count */
        uint8_t address[16];
        int family;
        unsigned bits;
    } list[ALLOW_LIST_MAX];
    size_t count;
};

bool allow_list_add(struct allow_list *allowed, const char *word); /* false: it is neither, or too many */
bool allow_list_has_name(const struct allow_list *allowed, const char *host);
bool allow_list_has_address(const struct allow_list *allowed, const struct sockaddr *address);

#endif
