/* gossip: which nodes there are, which of them are linked, and whom to dial when.
 *
 * First form: every node is dialled while there are few; news goes to every link but the one it
 * came from; a link that comes up exchanges digests. From ACTIVE_LINKS_MAX links on, only nodes
 * that pecks wait for are dialled. All memory is taken at birth. */
#ifndef DUCK_CORE_GOSSIP_H
#define DUCK_CORE_GOSSIP_H

#include "dice.h"
#include "limits.h"
#include "moment.h"
#include "record.h"

#define GOSSIP_DIALS_MAX 16u                     /* at once */
#define GOSSIP_ANSWER_WITHIN_MS (20 * SECOND_MS) /* then a dial that nobody spoke of again is over */
#define GOSSIP_SETTLED_MS (30 * SECOND_MS)       /* a link that held so long ends the back-off */
#define GOSSIP_REDIAL_MS MINUTE_MS               /* a new record makes us dial a node no oftener */
#define GOSSIP_WANTED_MS (2 * RESEND_MAX_MS)     /* after the last gossip_want */

struct gossip;

struct gossip_member {
    struct id node;                 /* zero: a seed whose id is not known yet */
    char addresses[NODE_ADDRESSES_MAX][ADDRESS_MAX + 1];
    size_t address_count;
    uint8_t session_key[32];
    bool session_key_known;
    bool seed;                      /* named by the operator: never forgotten */
    bool linked, dialling;
    bool wanted;                    /* pecks wait for it: dial eagerly */
    uint32_t attempts;
    uint64_t next_dial_ms;          /* steady */
    size_t next_address;
};

struct gossip *gossip_new(const struct id *self, size_t nodes_max, const uint8_t dice_seed[32]);
void gossip_free(struct gossip *gossip); /* NULL is fine */

/* A seed: "host:port", and perhaps the id that must answer there. Its address stands before those
 * of its record. A seed without an id is dialled until it answers, and again when links go down,
 * unless a linked node names its address. False: no address, or the table is full. */
bool gossip_add_seed(struct gossip *gossip, struct bytes address, const struct id *node);

/* What a node's record says. Expired or deleted records: gossip_forget, which keeps seeds and, as
 * long as they are linked, others. False: the table is full. */
bool gossip_learn(struct gossip *gossip, const struct id *node, const struct node_content *content);
void gossip_forget(struct gossip *gossip, const struct id *node);

void gossip_link_up(struct gossip *gossip, const struct id *node, uint64_t now_ms);
void gossip_link_down(struct gossip *gossip, const struct id *node, uint64_t now_ms);
/* `address` names the try, as gossip_poll_dial gave it. */
void gossip_dial_failed(struct gossip *gossip, struct bytes address, uint64_t now_ms);
void gossip_want(struct gossip *gossip, const struct id *node, uint64_t now_ms); /* pecks wait for it */

bool gossip_is_linked(const struct gossip *gossip, const struct id *node);
size_t gossip_links(const struct gossip *gossip);
size_t gossip_count(const struct gossip *gossip);
size_t gossip_linked(const struct gossip *gossip, struct id *nodes, size_t max);
const struct gossip_member *gossip_find(const struct gossip *gossip, const struct id *node);
const struct gossip_member *gossip_at(const struct gossip *gossip, size_t index); /* below count */

/* Whom to dial now. False: nobody. The member is marked as being dialled. */
bool gossip_poll_dial(struct gossip *gossip, uint64_t now_ms, struct gossip_member *member,
                      size_t *address);
uint64_t gossip_wake_at_ms(const struct gossip *gossip); /* MOMENT_NEVER: nothing planned */

#endif
