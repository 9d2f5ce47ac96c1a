/* Lobster binds in the pond: operators begin them, read the strings to each other, now and then mishear, and break them.
 * Laws: nobody is bound but by its operator's word, a bind is live only where both read the same string, and when all
 * is quiet both ends say the same of it. */
#include "pond_parts.h"

/* Longer than any two clocks of the pond differ: what ends sooner is over for one while it is not yet said for another. */
#define LEASE_LOW_MS (5 * MINUTE_MS)
#define LEASE_HIGH_MS (30 * MINUTE_MS)
#define MISHEARD_ONE_IN 8u

/* What an operator confirmed: the string of a try, as it heard it. */
struct read_out {
    struct id here, there;
    char string[LOBSTER_STRING_SIZE];
};

struct pond_lobsters {
    struct read_out *list;
    size_t count, capacity;
};

struct pond_lobsters *lobsters_of_pond_new(void)
{
    return memory_take(sizeof(struct pond_lobsters));
}

void lobsters_of_pond_free(struct pond_lobsters *lobsters)
{
    memory_give_back(lobsters->list);
    memory_give_back(lobsters);
}

/* ---- the disk ---- */

static size_t place_of(const struct pond_store *store, const struct lobster *lobster)
{
    size_t i = 0;

    while (i < store->lobster_count && !(id_equal(&store->lobsters[i].here, &lobster->here) &&
                                         id_equal(&store->lobsters[i].there, &lobster->there)))
        i++;
    return i;
}

void disk_keep_lobster(struct pond_store *store, const struct lobster *lobster)
{
    size_t place = place_of(store, lobster);

    if (place == store->lobster_count) {
        if (store->lobster_count == store->lobster_capacity) {
            store->lobster_capacity = store->lobster_capacity ? 2 * store->lobster_capacity : 4;
            store->lobsters =
                memory_resize(store->lobsters, store->lobster_capacity * sizeof *store->lobsters);
        }
        store->lobster_count++;
    }
    store->lobsters[place] = *lobster;
}

void disk_drop_lobster(struct pond_store *store, const struct lobster *lobster)
{
    size_t place = place_of(store, lobster);

    if (place < store->lobster_count)
        store->lobsters[place] = store->lobsters[--store->lobster_count];
}

/* ---- operators ---- */

static bool find_node(const struct pond *pond, const struct id *duckling, uint32_t *index)
{
    for (uint32_t i = 0; i < pond->wish.nodes; i++)
        for (size_t j = 0; j < pond->nodes[i].store.duckling_count; j++)
            if (id_equal(&pond->nodes[i].store.ducklings[j].id, duckling)) {
                *index = i;
                return pond->nodes[i].up;
            }
    return false;
}

static const struct lobster *other_end(const struct pond *pond, const struct lobster *lobster)
{
    const struct lobster wanted = {.here = lobster->there, .there = lobster->here};
    const struct pond_store *store;
    uint32_t index;
    size_t place;

    if (!find_node(pond, &lobster->there, &index))
        return NULL;
    store = &pond->nodes[index].store;
    place = place_of(store, &wanted);
    return place < store->lobster_count ? &store->lobsters[place] : NULL;
}

/* Operators' vouchers come and go as they like; whether both ends are T2 is decided elsewhere. */
static struct order *wish_for(struct pond *pond, struct message *message, enum lobster_wish wish,
                              const struct id *here, const struct id *there)
{
    struct order *order = life_ask(pond, message, ORDER_LOBSTER, here);

    order->lobster = wish;
    order->with = *there;
    order->own_rank = order->rank = (struct sender_rank){.tier = 2, .missing = ""};
    return order;
}

static void begin(struct pond *pond, struct pond_node *node)
{
    const struct bond *bond;
    const struct id *here, *there;
    struct message *message;
    uint32_t at, other;

    if (node->store.bond_count == 0)
        return;
    bond = &node->store.bonds[dice_below(&pond->life_dice, node->store.bond_count)];
    here = &bond->requester;
    there = &bond->approver;
    if (!find_node(pond, here, &at) || !find_node(pond, there, &other))
        return;
    if (own_is(&pond->nodes[at], here) || own_is(&pond->nodes[other], there))
        return; /* what their owners leave unsigned, the other end cannot know */
    if (at != node->index) {
        here = &bond->approver;
        there = &bond->requester;
    }
    message = message_make();
    wish_for(pond, message, LOBSTER_BEGIN, here, there)->lease_ms =
        between(&pond->life_dice, LEASE_LOW_MS, LEASE_HIGH_MS);
    node_take(pond, node, message);
}

static void confirm(struct pond *pond, struct pond_node *node, const struct lobster *lobster)
{
    const struct lobster *other = other_end(pond, lobster);
    struct pond_lobsters *lobsters = pond->lobsters;
    struct read_out heard = {.here = lobster->here, .there = lobster->there, .string = "0000-0000"};
    struct message *message;

    if (lobster->state != LOBSTER_SHOWN || !other || other->state < LOBSTER_SHOWN)
        return;
    if (dice_below(&pond->life_dice, MISHEARD_ONE_IN) > 0)
        lobster_string(other, bytes_of_text(POND_NETWORK), heard.string);
    if (lobsters->count == lobsters->capacity) {
        lobsters->capacity = lobsters->capacity ? 2 * lobsters->capacity : 16;
        lobsters->list = memory_resize(lobsters->list, lobsters->capacity * sizeof heard);
    }
    lobsters->list[lobsters->count++] = heard;
    message = message_make();
    wish_for(pond, message, LOBSTER_CONFIRM, &lobster->here, &lobster->there)->string =
        arena_copy(&message->arena, bytes_of_text(heard.string));
    node_take(pond, node, message);
}

static void give_up(struct pond *pond, struct pond_node *node, const struct lobster *lobster)
{
    struct message *message = message_make();

    wish_for(pond, message, LOBSTER_BREAK, &lobster->here, &lobster->there);
    node_take(pond, node, message);
}

void lobsters_step(struct pond *pond)
{
    struct pond_node *node = &pond->nodes[dice_below(&pond->life_dice, pond->wish.nodes)];
    const struct pond_store *store = &node->store;
    struct lobster lobster;

    if (!node->up)
        return;
    if (store->lobster_count == 0 || dice_below(&pond->life_dice, 4) == 0) {
        begin(pond, node);
        return;
    }
    lobster = store->lobsters[dice_below(&pond->life_dice, store->lobster_count)];
    for (size_t i = 0; i < store->lobster_count && lobster.state != LOBSTER_SHOWN; i++)
        if (store->lobsters[i].state == LOBSTER_SHOWN)
            lobster = store->lobsters[i]; /* people wait for that one */
    if (dice_below(&pond->life_dice, 12) == 0)
        give_up(pond, node, &lobster);
    else
        confirm(pond, node, &lobster);
}

/* ---- laws ---- */

static bool was_read(const struct pond *pond, const struct id *here, const struct id *there,
                     const char *string)
{
    for (size_t i = 0; i < pond->lobsters->count; i++) {
        const struct read_out *heard = &pond->lobsters->list[i];

        if (id_equal(&heard->here, here) && id_equal(&heard->there, there) &&
            strcmp(heard->string, string) == 0)
            return true;
    }
    return false;
}

void laws_judge_lobster(struct pond *pond, struct pond_node *node, const struct lobster *lobster)
{
    char string[LOBSTER_STRING_SIZE];

    trace_line(pond, node, "holds a lobster bind that %s %s",
               lobster->began_here ? "began here and is" : "is",
               lobster_state_name(lobster->state));
    if (lobster->state < LOBSTER_CONFIRMED)
        return;
    lobster_string(lobster, bytes_of_text(POND_NETWORK), string);
    if (!was_read(pond, &lobster->here, &lobster->there, string))
        law_broken(pond, "nobody is bound but by its operator's word",
                   "%s holds a lobster bind that nobody confirmed there", node->name);
    if (lobster->state == LOBSTER_LIVE && !was_read(pond, &lobster->there, &lobster->here, string))
        law_broken(pond, "a lobster bind is live only where both operators read the same string",
                   "%s holds one live that the other end did not confirm", node->name);
    pond->sums.lobsters_live += lobster->state == LOBSTER_LIVE && lobster->began_here;
}

/* When all hold the same, and have turned since. */
void laws_judge_lobster_ends(struct pond *pond)
{
    for (size_t n = 0; n < pond->wish.nodes; n++) {
        const struct pond_store *store = &pond->nodes[n].store;

        for (size_t i = 0; i < store->lobster_count; i++) {
            const struct lobster *lobster = &store->lobsters[i];
            const struct lobster *other = other_end(pond, lobster);

            if (lobster->state != LOBSTER_LIVE)
                continue;
            if (!other || other->state != LOBSTER_LIVE || !id_equal(&other->id, &lobster->id))
                law_broken(pond, "both ends of a lobster bind say the same when all is quiet",
                           "%s holds one live, the other end does not", pond->nodes[n].name);
        }
    }
}
