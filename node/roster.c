#include "roster.h"

#include <pthread.h>
#include <stdlib.h>

struct roster {
    pthread_mutex_t lock;
    struct roster_entry *entries; /* by id */
    size_t count;
    bool begun; /* what the first turn finds is no change */
};

struct roster *roster_new(void)
{
    struct roster *roster = memory_take(sizeof *roster);

    pthread_mutex_init(&roster->lock, NULL);
    return roster;
}

void roster_free(struct roster *roster)
{
    if (!roster)
        return;
    pthread_mutex_destroy(&roster->lock);
    memory_give_back(roster->entries);
    memory_give_back(roster);
}

static int compare_members(const void *left, const void *right)
{
    const struct agent_member *one = left, *other = right;

    return memcmp(one->node.bytes, other->node.bytes, sizeof one->node.bytes);
}

static const struct roster_entry *find(const struct roster_entry *entries, size_t count,
                                       const struct id *node)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(entries[middle].member.node.bytes, node->bytes, sizeof node->bytes);

        if (order == 0)
            return &entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void roster_update(struct roster *roster, struct agent_member *members, size_t count,
                   uint64_t wall_ms)
{
    struct roster_entry *entries = memory_take((count + 1) * sizeof *entries), *old;
    bool begun = roster->begun; /* the loop alone writes it */

    if (count > 0)
        qsort(members, count, sizeof *members, compare_members);
    for (size_t i = 0; i < count; i++) {
        const struct roster_entry *before = find(roster->entries, roster->count, &members[i].node);
        bool same = before && before->member.state == members[i].state;

        entries[i].member = members[i];
        entries[i].changed_ms = same ? before->changed_ms : begun ? wall_ms : 0;
    }
    pthread_mutex_lock(&roster->lock);
    old = roster->entries;
    roster->entries = entries;
    roster->count = count;
    roster->begun = true;
    pthread_mutex_unlock(&roster->lock);
    memory_give_back(old);
}

bool roster_find(struct roster *roster, const struct id *node, struct roster_entry *entry)
{
    const struct roster_entry *found;

    pthread_mutex_lock(&roster->lock);
    found = find(roster->entries, roster->count, node);
    if (found)
        *entry = *found;
    pthread_mutex_unlock(&roster->lock);
    return found != NULL;
}

size_t roster_copy(struct roster *roster, struct roster_entry *entries, size_t max)
{
    size_t count;

    pthread_mutex_lock(&roster->lock);
    count = roster->count < max ? roster->count : max;
    if (count > 0)
        memcpy(entries, roster->entries, count * sizeof *entries);
    pthread_mutex_unlock(&roster->lock);
    return count;
}

size_t roster_count(struct roster *roster)
{
    size_t count;

    pthread_mutex_lock(&roster->lock);
    count = roster->count;
    pthread_mutex_unlock(&roster->lock);
    return count;
}

size_t roster_gone(struct roster *roster, struct id *nodes, size_t max)
{
    size_t count = 0;

    pthread_mutex_lock(&roster->lock);
    for (size_t i = 0; i < roster->count && count < max; i++) {
        const struct agent_member *member = &roster->entries[i].member;

        if (member->state == GOSSIP_DEAD || member->state == GOSSIP_LEFT)
            nodes[count++] = member->node;
    }
    pthread_mutex_unlock(&roster->lock);
    return count;
}

void roster_counts(struct roster *roster, size_t counts[GOSSIP_STATES])
{
    memset(counts, 0, GOSSIP_STATES * sizeof *counts);
    pthread_mutex_lock(&roster->lock);
    for (size_t i = 0; i < roster->count; i++)
        counts[roster->entries[i].member.state]++;
    pthread_mutex_unlock(&roster->lock);
}
