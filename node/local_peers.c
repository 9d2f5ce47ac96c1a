/* The other nodes: what this one thinks of each, and the links to them. */
#include "core/introduction.h"
#include "local_parts.h"
#include "store.h"
#include "wire/local.pb-c.h"

#include <stdlib.h>

#define LINKS_IN_ANSWER_MAX 5000u

/* ---- what a node says of itself ---- */

static void describe(struct local_view *view, const struct id *node, Duck__PeerView *peer)
{
    struct bytes wire = store_view_node_record(view->reader, node, &view->scratch);
    struct envelope envelope;
    struct node_content content;
    struct record record;

    if (!wire.data ||
        envelope_parse(wire, ENVELOPE_RECORD, &view->scratch, &envelope) != ENVELOPE_TAKEN ||
        record_parse(envelope.body, &view->scratch, &record) != RECORD_OK ||
        node_content_parse(record.content, &view->scratch, &content) != RECORD_OK)
        return;
    peer->display_name = local_text(view, content.display_name);
    peer->software = local_text(view, content.software);
    peer->addresses = local_new(view, (content.address_count + 1) * sizeof *peer->addresses);
    for (size_t i = 0; i < content.address_count; i++)
        peer->addresses[peer->n_addresses++] = local_text(view, content.addresses[i]);
}

/* ---- links ---- */

struct links {
    struct transport_link_info *list; /* by node */
    size_t count;
};

static int compare_links(const void *left, const void *right)
{
    const struct transport_link_info *one = left, *other = right;

    return memcmp(one->node.bytes, other->node.bytes, sizeof one->node.bytes);
}

static void read_links(struct local_view *view, struct links *links)
{
    struct transport *transport = view->api->settings.transport;
    struct transport_figures figures;

    *links = (struct links){0};
    if (!transport)
        return;
    transport_figures(transport, &figures);
    links->count = figures.links_up < LINKS_IN_ANSWER_MAX ? figures.links_up : LINKS_IN_ANSWER_MAX;
    links->list = local_new(view, (links->count + 1) * sizeof *links->list);
    links->count = transport_links(transport, links->list, links->count);
    qsort(links->list, links->count, sizeof *links->list, compare_links);
}

static const struct transport_link_info *find_link(const struct links *links, const struct id *node)
{
    struct transport_link_info wanted = {.node = *node};

    return links->count > 0
               ? bsearch(&wanted, links->list, links->count, sizeof *links->list, compare_links)
               : NULL;
}

static void compose_link(struct local_view *view, const struct transport_link_info *link,
                         Duck__PeerView *peer)
{
    peer->link = link->dialled_here ? "here" : "there";
    peer->dialled_here = link->dialled_here;
    peer->since_ms = link->up_wall_ms;
    peer->frames_in = link->frames_in;
    peer->frames_out = link->frames_out;
    peer->bytes_in = link->bytes_in;
    peer->bytes_out = link->bytes_out;
    peer->round_trip_us = link->round_trip_us;
    if (peer->n_addresses > 0)
        return;
    peer->addresses = local_new(view, sizeof *peer->addresses); /* it says none: where it is seen */
    peer->addresses[peer->n_addresses++] = local_text(view, bytes_of_text(link->address));
}

/* ---- members ---- */

static Duck__PeerView *compose_peer(struct local_view *view, const struct roster_entry *entry,
                                    const struct transport_link_info *link)
{
    const struct agent_member *member = &entry->member;
    Duck__PeerView *peer = local_new(view, sizeof *peer);

    duck__peer_view__init(peer);
    peer->node_id = local_id(view, ID_NODE, &member->node);
    peer->state = (char *)gossip_state_name(member->state);
    peer->incarnation_ms = member->version.ms;
    peer->incarnation_count = member->version.count;
    peer->accusers = member->accusers;
    peer->suspicion_ends_ms = member->suspicion_ends_ms;
    peer->changed_ms = entry->changed_ms;
    peer->link = "none";
    describe(view, &member->node, peer);
    if (link)
        compose_link(view, link, peer);
    return peer;
}

/* A link that comes up is there a moment before the loop has heard of its node. */
static struct roster_entry newcomer(const struct id *node)
{
    return (struct roster_entry){.member = {.node = *node}};
}

static void add_one(struct local_view *view, const struct id *node, Duck__PeerList *list)
{
    struct links links;
    struct roster_entry entry;
    const struct transport_link_info *link;
    bool known =
        view->api->settings.roster && roster_find(view->api->settings.roster, node, &entry);

    read_links(view, &links);
    link = find_link(&links, node);
    if (!known && !link)
        return;
    if (!known)
        entry = newcomer(node);
    list->peers[list->n_peers++] = compose_peer(view, &entry, link);
}

static void add_all(struct local_view *view, Duck__PeerList *list)
{
    struct roster *roster = view->api->settings.roster;
    size_t count = roster ? roster_count(roster) : 0;
    struct roster_entry *entries = local_new(view, (count + 1) * sizeof *entries);
    struct links links;

    read_links(view, &links);
    count = roster ? roster_copy(roster, entries, count) : 0;
    list->peers = local_new(view, (count + links.count + 1) * sizeof *list->peers);
    for (size_t i = 0; i < count; i++) {
        const struct transport_link_info *link = find_link(&links, &entries[i].member.node);

        list->peers[list->n_peers++] = compose_peer(view, &entries[i], link);
        arena_reset(&view->scratch); /* a bounded budget for each, and they are many */
    }
    for (size_t i = 0; i < links.count; i++) {
        struct roster_entry entry = newcomer(&links.list[i].node);

        if (!roster || !roster_find(roster, &entry.member.node, &entry))
            list->peers[list->n_peers++] = compose_peer(view, &entry, &links.list[i]);
    }
}

void local_view_peers(struct local_view *view, const void *asked, void *reply)
{
    const Duck__PeersQuery *query = asked;
    Duck__PeerList *list = local_new(view, sizeof *list);
    Duck__Reply *answer = reply;
    struct id node = {0};

    duck__peer_list__init(list);
    if (!local_read_id(view, ID_NODE, query->node, "node", &node, reply))
        return;
    if (id_is_zero(&node)) {
        add_all(view, list);
    } else {
        list->peers = local_new(view, sizeof *list->peers);
        add_one(view, &node, list);
    }
    answer->answer_case = DUCK__REPLY__ANSWER_PEERS;
    answer->peers = list;
}
