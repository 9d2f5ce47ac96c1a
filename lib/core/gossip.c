#include "gossip.h"

#include <assert.h>

struct gossip {
    struct id self;
    size_t max, count, capacity;
    struct gossip_member *members; /* a few thousand at most: looked through */
    size_t links;
    struct dice dice;
};

struct gossip *gossip_new(const struct id *self, size_t nodes_max, const uint8_t dice_seed[32])
{
    struct gossip *gossip = memory_take(sizeof *gossip);

    gossip->self = *self;
    gossip->max = nodes_max;
    dice_init(&gossip->dice, dice_seed);
    return gossip;
}

void gossip_free(struct gossip *gossip)
{
    if (!gossip)
        return;
    memory_give_back(gossip->members);
    memory_give_back(gossip);
}

/* ---- members ---- */

static struct gossip_member *find(const struct gossip *gossip, const struct id *node)
{
    for (size_t i = 0; i < gossip->count; i++)
        if (id_equal(&gossip->members[i].node, node))
            return &gossip->members[i];
    return NULL;
}

static bool has_address(const struct gossip_member *member, struct bytes address)
{
    for (size_t i = 0; i < member->address_count; i++)
        if (bytes_equal(bytes_of_text(member->addresses[i]), address))
            return true;
    return false;
}

static struct gossip_member *find_address(const struct gossip *gossip, struct bytes address)
{
    for (size_t i = 0; i < gossip->count; i++)
        if (has_address(&gossip->members[i], address))
            return &gossip->members[i];
    return NULL;
}

static struct gossip_member *add(struct gossip *gossip)
{
    struct gossip_member *member;

    if (gossip->count >= gossip->max)
        return NULL;
    if (gossip->count == gossip->capacity) {
        gossip->capacity = gossip->capacity ? gossip->capacity * 2 : 8;
        gossip->members =
            memory_resize(gossip->members, gossip->capacity * sizeof *gossip->members);
    }
    member = &gossip->members[gossip->count++];
    memset(member, 0, sizeof *member);
    return member;
}

static void drop(struct gossip *gossip, struct gossip_member *member)
{
    if (member->linked)
        gossip->links--;
    *member = gossip->members[--gossip->count];
}

static void set_address(struct gossip_member *member, size_t i, struct bytes address)
{
    assert(address.size <= ADDRESS_MAX);
    memcpy(member->addresses[i], address.data, address.size);
    member->addresses[i][address.size] = 0;
}

bool gossip_add_seed(struct gossip *gossip, struct bytes address, const struct id *node)
{
    struct gossip_member *member = node ? find(gossip, node) : find_address(gossip, address);

    if (!member)
        member = add(gossip);
    if (!member)
        return false;
    member->seed = true;
    if (node)
        member->node = *node;
    if (!has_address(member, address)) {
        if (member->address_count < NODE_ADDRESSES_MAX)
            member->address_count++;
        set_address(member, member->address_count - 1, address);
    }
    member->next_dial_ms = 0;
    return true;
}

bool gossip_learn(struct gossip *gossip, const struct id *node, const struct node_content *content)
{
    struct gossip_member *member = find(gossip, node);

    if (id_equal(node, &gossip->self))
        return true;
    if (!member)
        member = add(gossip);
    if (!member)
        return false;
    if (memcmp(member->session_key, content->session_key, sizeof member->session_key) != 0)
        member->next_dial_ms = 0; /* it was born again: it may be reached now */
    member->node = *node;
    memcpy(member->session_key, content->session_key, sizeof member->session_key);
    member->session_key_known = true;
    if (content->address_count > 0 || !member->seed) {
        member->address_count = content->address_count;
        for (size_t i = 0; i < content->address_count; i++)
            set_address(member, i, content->addresses[i]);
        member->next_address = 0;
    }
    return true;
}

void gossip_forget(struct gossip *gossip, const struct id *node)
{
    struct gossip_member *member = find(gossip, node);

    if (member && !member->seed && !member->linked)
        drop(gossip, member);
}

/* ---- links ---- */

void gossip_link_up(struct gossip *gossip, const struct id *node, uint64_t now_ms)
{
    struct gossip_member *member = find(gossip, node);

    (void)now_ms;
    if (!member)
        member = add(gossip);
    if (!member)
        return;
    member->node = *node;
    if (!member->linked)
        gossip->links++;
    member->linked = true;
    member->dialling = false;
    member->wanted = false;
    member->attempts = 0;
    /* Seeds that were nameless and led here are this member now. */
    for (size_t i = gossip->count; i-- > 0;) {
        struct gossip_member *seed = &gossip->members[i];

        if (!id_is_zero(&seed->node) || seed->address_count == 0)
            continue;
        member = find(gossip, node);
        if (!has_address(member, bytes_of_text(seed->addresses[0])))
            continue;
        member->seed = true;
        drop(gossip, seed);
    }
}

/* The wait before the next try: full jitter below a bound that doubles. */
static uint64_t back_off_ms(struct gossip *gossip, const struct gossip_member *member)
{
    uint64_t most_ms = member->wanted ? DIAL_EAGER_MAX_MS : DIAL_MAX_MS;
    uint64_t wait_ms = DIAL_FIRST_MS;

    for (uint32_t i = 1; i < member->attempts && wait_ms < most_ms; i++)
        wait_ms *= 2;
    return dice_jitter_ms(&gossip->dice, wait_ms < most_ms ? wait_ms : most_ms);
}

void gossip_link_down(struct gossip *gossip, const struct id *node, uint64_t now_ms)
{
    struct gossip_member *member = find(gossip, node);

    if (!member || !member->linked)
        return;
    member->linked = false;
    gossip->links--;
    member->attempts = 1;
    member->next_dial_ms = now_ms + back_off_ms(gossip, member);
}

void gossip_dial_failed(struct gossip *gossip, struct bytes address, uint64_t now_ms)
{
    for (size_t i = 0; i < gossip->count; i++) {
        struct gossip_member *member = &gossip->members[i];

        if (!member->dialling || !has_address(member, address))
            continue;
        member->dialling = false;
        if (member->attempts < UINT32_MAX)
            member->attempts++;
        member->next_dial_ms = now_ms + back_off_ms(gossip, member);
    }
}

void gossip_want(struct gossip *gossip, const struct id *node, uint64_t now_ms)
{
    struct gossip_member *member = find(gossip, node);

    if (!member || member->linked || member->wanted)
        return;
    member->wanted = true;
    if (!member->dialling && member->next_dial_ms > now_ms + DIAL_EAGER_MAX_MS)
        member->next_dial_ms = now_ms;
}

/* ---- questions ---- */

bool gossip_is_linked(const struct gossip *gossip, const struct id *node)
{
    const struct gossip_member *member = find(gossip, node);

    return member && member->linked;
}

size_t gossip_links(const struct gossip *gossip)
{
    return gossip->links;
}

size_t gossip_count(const struct gossip *gossip)
{
    return gossip->count;
}

size_t gossip_linked(const struct gossip *gossip, struct id *nodes, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < gossip->count && count < max; i++)
        if (gossip->members[i].linked)
            nodes[count++] = gossip->members[i].node;
    return count;
}

const struct gossip_member *gossip_find(const struct gossip *gossip, const struct id *node)
{
    return find(gossip, node);
}

const struct gossip_member *gossip_at(const struct gossip *gossip, size_t index)
{
    assert(index < gossip->count);
    return &gossip->members[index];
}

/* ---- dialling ---- */

/* Few nodes are all linked; beyond the active view only seeds and those that pecks wait for. */
static bool may_dial(const struct gossip *gossip, const struct gossip_member *member)
{
    return !member->linked && !member->dialling && member->address_count > 0 &&
           !id_equal(&member->node, &gossip->self) &&
           (member->wanted || member->seed || gossip->links < ACTIVE_LINKS_MAX);
}

bool gossip_poll_dial(struct gossip *gossip, uint64_t now_ms, struct gossip_member *member,
                      size_t *address)
{
    for (size_t i = 0; i < gossip->count; i++) {
        struct gossip_member *candidate = &gossip->members[i];

        if (!may_dial(gossip, candidate) || candidate->next_dial_ms > now_ms)
            continue;
        candidate->dialling = true;
        *address = candidate->next_address++ % candidate->address_count;
        *member = *candidate;
        return true;
    }
    return false;
}

uint64_t gossip_wake_at_ms(const struct gossip *gossip)
{
    uint64_t wake_ms = MOMENT_NEVER;

    for (size_t i = 0; i < gossip->count; i++)
        if (may_dial(gossip, &gossip->members[i]) && gossip->members[i].next_dial_ms < wake_ms)
            wake_ms = gossip->members[i].next_dial_ms;
    return wake_ms;
}
