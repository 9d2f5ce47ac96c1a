/* What every turn looks at (when to dial whom) is a row of small plans beside the members, whose
 * addresses make them large: ten thousand plans are looked through in some microseconds. */
#include "gossip.h"

#include <assert.h>
#include <sodium.h>

_Static_assert(DICE_SEED_SIZE >= crypto_shorthash_KEYBYTES, "a key for the index");

struct plan {
    uint64_t due_ms;     /* the next dial; while dialling: then the try counts as lost */
    uint64_t dialled_ms; /* the last try */
    uint64_t up_ms;      /* of the link, if linked */
    uint64_t wanted_until_ms;
    bool linked, dialling, wanted, nameless;
    uint8_t seed_addresses; /* the operator's; they stand first */
    uint8_t tried;          /* which address the try is for */
};

struct gossip {
    struct id self;
    size_t count, max;
    struct gossip_member *members;
    struct plan *plans; /* of the member with the same index */
    uint32_t *slots;    /* open addressing by id: index + 1; nameless seeds are not in it */
    size_t slot_mask;
    uint8_t slot_key[crypto_shorthash_KEYBYTES]; /* ids can be chosen; where they fall cannot */
    size_t links, dials;
    uint64_t wake_ms; /* nothing is due before */
    uint64_t down_ms; /* when a link went down last */
    struct dice dice;
};

struct gossip *gossip_new(const struct id *self, size_t nodes_max, const uint8_t dice_seed[32])
{
    struct gossip *gossip = memory_take(sizeof *gossip);
    size_t slots = 2;

    assert(nodes_max > 0 && nodes_max < UINT32_MAX);
    while (slots < 2 * nodes_max)
        slots *= 2;
    gossip->self = *self;
    gossip->max = nodes_max;
    gossip->members = memory_take(nodes_max * sizeof *gossip->members);
    gossip->plans = memory_take(nodes_max * sizeof *gossip->plans);
    gossip->slots = memory_take(slots * sizeof *gossip->slots);
    gossip->slot_mask = slots - 1;
    gossip->wake_ms = MOMENT_NEVER;
    dice_init(&gossip->dice, dice_seed);
    dice_fill(&gossip->dice, gossip->slot_key, sizeof gossip->slot_key);
    return gossip;
}

void gossip_free(struct gossip *gossip)
{
    if (!gossip)
        return;
    memory_give_back(gossip->members);
    memory_give_back(gossip->plans);
    memory_give_back(gossip->slots);
    memory_give_back(gossip);
}

/* ---- the index ---- */

static size_t home_slot(const struct gossip *gossip, const struct id *node)
{
    uint64_t hash;

    crypto_shorthash((uint8_t *)&hash, node->bytes, ID_SIZE, gossip->slot_key);
    return hash & gossip->slot_mask;
}

/* The slot where `node` is, or where it would go. */
static size_t slot_of(const struct gossip *gossip, const struct id *node)
{
    size_t slot = home_slot(gossip, node);

    while (gossip->slots[slot] != 0 &&
           !id_equal(&gossip->members[gossip->slots[slot] - 1].node, node))
        slot = (slot + 1) & gossip->slot_mask;
    return slot;
}

/* Moves back what stood behind the gap, so that no search ends too early. */
static void clear_slot(struct gossip *gossip, size_t gap)
{
    size_t slot = gap;

    for (;;) {
        size_t home;

        slot = (slot + 1) & gossip->slot_mask;
        if (gossip->slots[slot] == 0)
            break;
        home = home_slot(gossip, &gossip->members[gossip->slots[slot] - 1].node);
        if (((slot - home) & gossip->slot_mask) < ((slot - gap) & gossip->slot_mask))
            continue;
        gossip->slots[gap] = gossip->slots[slot];
        gap = slot;
    }
    gossip->slots[gap] = 0;
}

#define NOBODY SIZE_MAX

static size_t find(const struct gossip *gossip, const struct id *node)
{
    uint32_t index = gossip->slots[slot_of(gossip, node)];

    return index ? index - 1 : NOBODY;
}

/* ---- members ---- */

static bool has_address(const struct gossip_member *member, struct bytes address)
{
    for (size_t i = 0; i < member->address_count; i++)
        if (bytes_equal(bytes_of_text(member->addresses[i]), address))
            return true;
    return false;
}

static size_t find_nameless(const struct gossip *gossip, struct bytes address)
{
    for (size_t i = 0; i < gossip->count; i++)
        if (gossip->plans[i].nameless && has_address(&gossip->members[i], address))
            return i;
    return NOBODY;
}

static void plan_dial(struct gossip *gossip, size_t i, uint64_t at_ms)
{
    gossip->plans[i].due_ms = gossip->members[i].next_dial_ms = at_ms;
    if (at_ms < gossip->wake_ms)
        gossip->wake_ms = at_ms;
}

static void look_again(struct gossip *gossip)
{
    gossip->wake_ms = 0; /* there is room: who waited for it may be due */
}

static void end_dial(struct gossip *gossip, size_t i)
{
    if (!gossip->plans[i].dialling)
        return;
    gossip->plans[i].dialling = gossip->members[i].dialling = false;
    gossip->dials--;
    look_again(gossip);
}

static void name(struct gossip *gossip, size_t i, const struct id *node)
{
    gossip->plans[i].nameless = false;
    gossip->slots[slot_of(gossip, node)] = (uint32_t)i + 1;
    gossip->members[i].node = *node;
}

static void drop(struct gossip *gossip, size_t i)
{
    size_t last = gossip->count - 1;

    end_dial(gossip, i);
    if (gossip->plans[i].linked) {
        gossip->links--;
        look_again(gossip);
    }
    if (!gossip->plans[i].nameless)
        clear_slot(gossip, slot_of(gossip, &gossip->members[i].node));
    if (i != last) {
        if (!gossip->plans[last].nameless)
            gossip->slots[slot_of(gossip, &gossip->members[last].node)] = (uint32_t)i + 1;
        gossip->members[i] = gossip->members[last];
        gossip->plans[i] = gossip->plans[last];
    }
    gossip->count--;
}

/* `node` NULL: a seed without an id. NOBODY: the table is full. */
static size_t add(struct gossip *gossip, const struct id *node)
{
    size_t i = gossip->count;

    if (gossip->count == gossip->max)
        return NOBODY;
    memset(&gossip->members[i], 0, sizeof gossip->members[i]);
    gossip->plans[i] = (struct plan){.due_ms = MOMENT_NEVER, .nameless = true};
    if (node)
        name(gossip, i, node);
    gossip->count++;
    return i;
}

/* Whom the operator names and who is linked has a place before a stranger that was only heard of. */
static size_t add_before_strangers(struct gossip *gossip, const struct id *node)
{
    size_t start = dice_below(&gossip->dice, gossip->max);

    for (size_t step = 0; gossip->count == gossip->max && step < gossip->max; step++) {
        size_t i = (start + step) % gossip->max;
        const struct plan *plan = &gossip->plans[i];

        if (!plan->linked && !plan->dialling && !plan->wanted && !gossip->members[i].seed)
            drop(gossip, i);
    }
    return add(gossip, node);
}

static void set_address(struct gossip_member *member, size_t i, struct bytes address)
{
    memset(member->addresses[i], 0, sizeof member->addresses[i]);
    memcpy(member->addresses[i], address.data, address.size);
}

static bool is_address(struct bytes address)
{
    return address.size > 0 && address.size <= ADDRESS_MAX &&
           !memchr(address.data, 0, address.size);
}

/* Puts the operator's address behind those that he named before, and before a record's. */
static bool add_seed_address(struct gossip_member *member, struct plan *plan, struct bytes address)
{
    char others[NODE_ADDRESSES_MAX][ADDRESS_MAX + 1];
    size_t kept = plan->seed_addresses, count = member->address_count;

    for (size_t i = 0; i < kept; i++)
        if (bytes_equal(bytes_of_text(member->addresses[i]), address))
            return true;
    if (kept == NODE_ADDRESSES_MAX)
        return false;
    memcpy(others, member->addresses, sizeof others);
    set_address(member, kept, address);
    plan->seed_addresses++;
    member->address_count = kept + 1;
    for (size_t i = kept; i < count && member->address_count < NODE_ADDRESSES_MAX; i++)
        if (!bytes_equal(bytes_of_text(others[i]), address))
            memcpy(member->addresses[member->address_count++], others[i], sizeof others[i]);
    member->next_address = kept;
    return true;
}

bool gossip_add_seed(struct gossip *gossip, struct bytes address, const struct id *node)
{
    size_t nameless = find_nameless(gossip, address);
    size_t i = node ? find(gossip, node) : nameless;

    if (!is_address(address))
        return false;
    if (node && id_equal(node, &gossip->self))
        return true;
    if (node && nameless != NOBODY) {
        drop(gossip, nameless); /* it has a name now */
        i = find(gossip, node);
    }
    if (i == NOBODY)
        i = add_before_strangers(gossip, node);
    if (i == NOBODY || !add_seed_address(&gossip->members[i], &gossip->plans[i], address))
        return false;
    gossip->members[i].seed = true;
    if (!gossip->plans[i].linked && !gossip->plans[i].dialling)
        plan_dial(gossip, i, 0);
    return true;
}

/* Takes over what the record says. Returns whether it is something new. */
static bool update(struct gossip_member *member, const struct plan *plan,
                   const struct node_content *content)
{
    struct gossip_member before = *member;

    memcpy(member->session_key, content->session_key, sizeof member->session_key);
    member->session_key_known = true;
    memset(member->addresses[plan->seed_addresses], 0,
           (NODE_ADDRESSES_MAX - plan->seed_addresses) * sizeof *member->addresses);
    member->address_count = plan->seed_addresses;
    for (size_t i = 0; i < content->address_count && member->address_count < NODE_ADDRESSES_MAX;
         i++)
        if (is_address(content->addresses[i]) && !has_address(member, content->addresses[i]))
            set_address(member, member->address_count++, content->addresses[i]);
    return !before.session_key_known || member->address_count != before.address_count ||
           memcmp(member->session_key, before.session_key, sizeof before.session_key) != 0 ||
           memcmp(member->addresses, before.addresses, sizeof before.addresses) != 0;
}

bool gossip_learn(struct gossip *gossip, const struct id *node, const struct node_content *content)
{
    size_t i = find(gossip, node);
    struct plan *plan;

    if (id_equal(node, &gossip->self))
        return true;
    if (i == NOBODY)
        i = add(gossip, node);
    if (i == NOBODY)
        return false;
    plan = &gossip->plans[i];
    if (!update(&gossip->members[i], plan, content) || plan->linked || plan->dialling)
        return true;
    /* It may be reached where it was not; but no record makes us dial oftener than this. */
    if (gossip->members[i].address_count == 0)
        plan_dial(gossip, i, MOMENT_NEVER);
    else if (gossip->members[i].attempts == 0 && plan->dialled_ms == 0)
        plan_dial(gossip, i, 0);
    else if (plan->due_ms > plan->dialled_ms + GOSSIP_REDIAL_MS)
        plan_dial(gossip, i, plan->dialled_ms + GOSSIP_REDIAL_MS);
    return true;
}

void gossip_forget(struct gossip *gossip, const struct id *node)
{
    size_t i = find(gossip, node);
    struct gossip_member *member;

    if (i == NOBODY)
        return;
    member = &gossip->members[i];
    if (!member->seed && !member->linked) {
        drop(gossip, i);
        return;
    }
    member->session_key_known = false;
    member->address_count = gossip->plans[i].seed_addresses;
}

/* ---- links ---- */

/* The wait before the next try: doubles with every round through the addresses. */
static uint64_t back_off_ms(struct gossip *gossip, const struct gossip_member *member)
{
    uint64_t most_ms = member->wanted ? DIAL_EAGER_MAX_MS : DIAL_MAX_MS;
    uint64_t rounds = member->attempts > 0 ? (member->attempts - 1) / member->address_count : 0;
    uint64_t wait_ms = DIAL_FIRST_MS;

    for (uint64_t i = 0; i < rounds && wait_ms < most_ms; i++)
        wait_ms *= 2;
    return dice_jitter_ms(&gossip->dice, wait_ms < most_ms ? wait_ms : most_ms);
}

void gossip_link_up(struct gossip *gossip, const struct id *node, uint64_t now_ms)
{
    size_t i = find(gossip, node);
    struct plan *plan;

    if (id_equal(node, &gossip->self))
        return;
    if (i == NOBODY)
        i = add_before_strangers(gossip, node);
    if (i == NOBODY)
        return;
    end_dial(gossip, i);
    plan = &gossip->plans[i];
    if (plan->linked)
        return;
    plan->linked = gossip->members[i].linked = true;
    plan->wanted = gossip->members[i].wanted = false;
    plan->up_ms = now_ms;
    plan_dial(gossip, i, MOMENT_NEVER);
    gossip->links++;
}

/* A link went down, perhaps the one that a seed without an id had led to. */
static void try_nameless_again(struct gossip *gossip, uint64_t now_ms)
{
    for (size_t i = 0; i < gossip->count; i++) {
        struct plan *plan = &gossip->plans[i];
        uint64_t at_ms = now_ms + dice_jitter_ms(&gossip->dice, DIAL_FIRST_MS);

        if (!plan->nameless || plan->dialling || plan->due_ms != MOMENT_NEVER)
            continue;
        if (gossip->links > 0 && at_ms < plan->dialled_ms + GOSSIP_REDIAL_MS)
            at_ms = plan->dialled_ms + GOSSIP_REDIAL_MS;
        plan_dial(gossip, i, at_ms);
    }
}

void gossip_link_down(struct gossip *gossip, const struct id *node, uint64_t now_ms)
{
    size_t i = find(gossip, node);
    struct gossip_member *member;
    struct plan *plan;

    if (i == NOBODY || !gossip->plans[i].linked)
        return;
    member = &gossip->members[i];
    plan = &gossip->plans[i];
    plan->linked = member->linked = false;
    gossip->links--;
    gossip->down_ms = now_ms;
    look_again(gossip);
    /* Who takes a link only to close it is dialled ever more seldom, like who does not answer. */
    if (now_ms - plan->up_ms >= GOSSIP_SETTLED_MS)
        member->attempts = 0;
    else if (member->attempts < UINT32_MAX)
        member->attempts++;
    if (member->address_count > 0)
        plan_dial(gossip, i, now_ms + back_off_ms(gossip, member));
    else if (!member->session_key_known)
        drop(gossip, i); /* forgotten, or never known: it was here as long as its link */
    try_nameless_again(gossip, now_ms);
}

static void fail(struct gossip *gossip, size_t i, uint64_t now_ms)
{
    struct gossip_member *member = &gossip->members[i];
    struct plan *plan = &gossip->plans[i];

    end_dial(gossip, i);
    if (member->attempts < UINT32_MAX)
        member->attempts++;
    member->next_address = plan->tried + 1u;
    if (plan->wanted && plan->wanted_until_ms <= now_ms)
        plan->wanted = member->wanted = false;
    if (member->address_count > 0)
        plan_dial(gossip, i, now_ms + back_off_ms(gossip, member));
    else
        plan_dial(gossip, i, MOMENT_NEVER);
}

void gossip_dial_failed(struct gossip *gossip, struct bytes address, uint64_t now_ms)
{
    for (size_t i = 0; i < gossip->count; i++) {
        const struct plan *plan = &gossip->plans[i];

        if (plan->dialling &&
            bytes_equal(bytes_of_text(gossip->members[i].addresses[plan->tried]), address)) {
            fail(gossip, i, now_ms);
            return;
        }
    }
}

/* Nothing more was heard of a try: the news of its failure was lost; or it was of a seed without
 * an id, and one of the links that came up is its. */
static void lose(struct gossip *gossip, size_t i, uint64_t now_ms)
{
    const struct plan *plan = &gossip->plans[i];

    if (!plan->nameless || gossip->links == 0 || gossip->down_ms >= plan->dialled_ms) {
        fail(gossip, i, now_ms);
        return;
    }
    end_dial(gossip, i);
    gossip->members[i].attempts = 0;
    plan_dial(gossip, i, MOMENT_NEVER);
}

void gossip_want(struct gossip *gossip, const struct id *node, uint64_t now_ms)
{
    size_t i = find(gossip, node);
    struct plan *plan;

    if (i == NOBODY || gossip->plans[i].linked)
        return;
    plan = &gossip->plans[i];
    plan->wanted_until_ms = now_ms + GOSSIP_WANTED_MS;
    if (plan->wanted)
        return;
    plan->wanted = gossip->members[i].wanted = true;
    look_again(gossip);
    if (!plan->dialling && gossip->members[i].address_count > 0 && plan->due_ms > now_ms)
        plan_dial(gossip, i, now_ms);
}

/* ---- questions ---- */

bool gossip_is_linked(const struct gossip *gossip, const struct id *node)
{
    size_t i = find(gossip, node);

    return i != NOBODY && gossip->plans[i].linked;
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
    size_t most = max < gossip->links ? max : gossip->links, count = 0;

    for (size_t i = 0; count < most; i++)
        if (gossip->plans[i].linked)
            nodes[count++] = gossip->members[i].node;
    return count;
}

const struct gossip_member *gossip_find(const struct gossip *gossip, const struct id *node)
{
    size_t i = find(gossip, node);

    return i == NOBODY ? NULL : &gossip->members[i];
}

const struct gossip_member *gossip_at(const struct gossip *gossip, size_t index)
{
    assert(index < gossip->count);
    return &gossip->members[index];
}

/* ---- dialling ---- */

/* Few nodes are all linked; beyond the active view only those that pecks wait for. */
static bool may_dial(const struct gossip *gossip, const struct plan *plan)
{
    return !plan->linked && !plan->dialling && gossip->dials < GOSSIP_DIALS_MAX &&
           (plan->wanted || gossip->links + gossip->dials < ACTIVE_LINKS_MAX);
}

/* Is a node linked that says it is reached at the seed's address? Then the seed is served. */
static bool is_served(const struct gossip *gossip, size_t seed)
{
    struct bytes address = bytes_of_text(gossip->members[seed].addresses[0]);

    for (size_t i = 0; i < gossip->count; i++)
        if (gossip->plans[i].linked && has_address(&gossip->members[i], address))
            return true;
    return false;
}

/* One of those that are due, by chance: who all know the same nodes shall not all link the same
 * few. Who is wanted goes first. */
static size_t choose(struct gossip *gossip, uint64_t now_ms)
{
    size_t counts[2] = {0}; /* strangers, wanted */
    size_t skip;
    bool wanted;

    for (size_t i = 0; i < gossip->count; i++)
        if (gossip->plans[i].due_ms <= now_ms && may_dial(gossip, &gossip->plans[i]))
            counts[gossip->plans[i].wanted]++;
    wanted = counts[1] > 0;
    if (counts[wanted] == 0)
        return NOBODY;
    skip = dice_below(&gossip->dice, counts[wanted]);
    for (size_t i = 0; i < gossip->count; i++)
        if (gossip->plans[i].due_ms <= now_ms && may_dial(gossip, &gossip->plans[i]) &&
            gossip->plans[i].wanted == wanted && skip-- == 0)
            return i;
    return NOBODY;
}

static void plan_wake(struct gossip *gossip)
{
    gossip->wake_ms = MOMENT_NEVER;
    for (size_t i = 0; i < gossip->count; i++) {
        const struct plan *plan = &gossip->plans[i];

        if (plan->due_ms < gossip->wake_ms && (plan->dialling || may_dial(gossip, plan)))
            gossip->wake_ms = plan->due_ms;
    }
}

bool gossip_poll_dial(struct gossip *gossip, uint64_t now_ms, struct gossip_member *member,
                      size_t *address)
{
    struct plan *plan;
    size_t i;

    if (now_ms < gossip->wake_ms)
        return false;
    for (i = 0; i < gossip->count && gossip->dials > 0; i++)
        if (gossip->plans[i].dialling && gossip->plans[i].due_ms <= now_ms)
            lose(gossip, i, now_ms);
    while ((i = choose(gossip, now_ms)) != NOBODY && gossip->plans[i].nameless &&
           is_served(gossip, i))
        plan_dial(gossip, i, MOMENT_NEVER);
    if (i == NOBODY) {
        plan_wake(gossip);
        return false;
    }
    plan = &gossip->plans[i];
    plan->tried = (uint8_t)(gossip->members[i].next_address % gossip->members[i].address_count);
    plan->dialled_ms = now_ms;
    plan->due_ms = now_ms + GOSSIP_ANSWER_WITHIN_MS;
    plan->dialling = gossip->members[i].dialling = true;
    gossip->dials++;
    *address = plan->tried;
    *member = gossip->members[i];
    return true;
}

uint64_t gossip_wake_at_ms(const struct gossip *gossip)
{
    return gossip->wake_ms;
}
