/* Followers: who is told of changes as they happen. Who is too slow is told less, and how much
 * less. Everything in this file but
 * what any thread may call is done under the lock. */
#include "clock.h"
#include "core/binary_data.h"
#include "core/tier.h"
#include "local_parts.h"
#include "wire/local.pb-c.h"

static void tell_follower(struct request *follower, Duck__EventView *view)
{
    Duck__Reply reply = DUCK__REPLY__INIT;

    if (local_queued(follower->client) > LOCAL_SEND_QUEUE_MAX) {
        follower->dropped++;
        return;
    }
    view->dropped = follower->dropped;
    reply.answer_case = DUCK__REPLY__ANSWER_EVENT;
    reply.event = view;
    local_answer(follower, &reply);
}

static void tell_followers_of(struct local_api *api, const struct id *duckling,
                              Duck__EventView *view)
{
    struct ring *slot = &api->follows[local_shelf(duckling)];

    for (struct ring *ring = slot->next; ring != slot; ring = ring->next) {
        struct request *follower = RING_OWNER(ring, struct request, shelf);

        if (id_equal(&follower->awaited, duckling))
            tell_follower(follower, view);
    }
}

/* Of the whole node, from any thread. */
static void tell_of_node(struct local_api *api, const struct id *node, const char *kind,
                         const char *state)
{
    Duck__EventView view = DUCK__EVENT_VIEW__INIT;
    static const struct id everything;
    char with[ID_TEXT_SIZE];

    if (!api)
        return; /* links may come before there is anybody to tell */
    view.kind = (char *)kind;
    view.with = (char *)id_text(ID_NODE, node, with);
    view.state = (char *)state;
    view.at_ms = clock_wall_ms();
    pthread_mutex_lock(&api->lock);
    tell_followers_of(api, &everything, &view);
    pthread_mutex_unlock(&api->lock);
    local_api_flush(api);
}

static void tell_followers(struct local_api *api, const struct id *duckling, Duck__EventView *view)
{
    static const struct id everything;

    tell_followers_of(api, &everything, view);
    if (!id_is_zero(duckling))
        tell_followers_of(api, duckling, view);
}

static bool has_follower(const struct local_api *api, const struct id *duckling)
{
    const struct ring *slot = &api->follows[local_shelf(duckling)];

    for (const struct ring *ring = slot->next; ring != slot; ring = ring->next)
        if (id_equal(&RING_OWNER(ring, struct request, shelf)->awaited, duckling))
            return true;
    return false;
}

/* By nobody, mostly: then nothing is written for them. */
static bool is_followed(const struct local_api *api, const struct id *duckling)
{
    static const struct id everything;

    return has_follower(api, &everything) || has_follower(api, duckling);
}

void local_follows_tell_peck(struct local_api *api, const struct effect *effect)
{
    Duck__EventView view = DUCK__EVENT_VIEW__INIT;
    char duckling[ID_TEXT_SIZE], with[ID_TEXT_SIZE], peck[ID_TEXT_SIZE];

    if (!is_followed(api, &effect->changed.duckling))
        return;
    view.kind = "peck";
    view.duckling = (char *)id_text(ID_DUCKLING, &effect->changed.duckling, duckling);
    view.with = (char *)id_text(ID_DUCKLING, &effect->changed.with, with);
    view.peck_id = (char *)id_text(ID_PECK, &effect->changed.peck, peck);
    view.box = effect->changed.box;
    view.state = (char *)peck_state_name(effect->changed.state);
    view.at_ms = effect->changed.at_ms;
    tell_followers(api, &effect->changed.duckling, &view);
}

void local_follows_tell_partial(struct local_api *api, const struct effect *effect)
{
    Duck__EventView view = DUCK__EVENT_VIEW__INIT;
    char duckling[ID_TEXT_SIZE], with[ID_TEXT_SIZE], peck[ID_TEXT_SIZE];

    if (!is_followed(api, &effect->partial.duckling))
        return;
    view.kind = "partial";
    view.duckling = (char *)id_text(ID_DUCKLING, &effect->partial.duckling, duckling);
    view.with = (char *)id_text(ID_DUCKLING, &effect->partial.with, with);
    view.peck_id = (char *)id_text(ID_PECK, &effect->partial.peck, peck);
    view.box = effect->partial.box;
    view.number = effect->partial.partials.count;
    view.at_ms = effect->partial.at_ms;
    tell_followers(api, &effect->partial.duckling, &view);
}

static const char *bond_state(const struct effect *effect)
{
    switch (effect->bond_changed.change) {
    case BOND_ENDED:
        return "ended";
    case BOND_MADE:
        return "made";
    case BOND_TERMS_CHANGED:
        return "changed";
    case BOND_LIMITED:
        return bond_verdict_code(effect->bond_changed.limit);
    }
    return "";
}

void local_follows_tell_bond(struct local_api *api, const struct effect *effect)
{
    Duck__EventView view = DUCK__EVENT_VIEW__INIT;
    char duckling[ID_TEXT_SIZE], with[ID_TEXT_SIZE], bond[ID_TEXT_SIZE], peck[ID_TEXT_SIZE];

    view.kind = "bond";
    view.duckling = (char *)id_text(ID_DUCKLING, &effect->bond_changed.duckling, duckling);
    view.with = (char *)id_text(ID_DUCKLING, &effect->bond_changed.with, with);
    view.bond_id = (char *)id_text(ID_BOND, &effect->bond_changed.bond, bond);
    view.state = (char *)bond_state(effect);
    view.thread = lent(effect->bond_changed.thread);
    if (!id_is_zero(&effect->bond_changed.peck))
        view.peck_id = (char *)id_text(ID_PECK, &effect->bond_changed.peck, peck);
    view.at_ms = clock_wall_ms();
    tell_followers(api, &effect->bond_changed.duckling, &view);
}

void local_follows_tell_record(struct local_api *api, const struct effect *effect)
{
    Duck__EventView view = DUCK__EVENT_VIEW__INIT;
    bool is_node =
        effect->record_changed.kind == RECORD_NODE || effect->record_changed.kind == RECORD_METRICS;
    char owner[ID_TEXT_SIZE];

    if (ring_is_alone(&api->directory_follows))
        return;
    view.kind = "record";
    view.duckling =
        (char *)id_text(is_node ? ID_NODE : ID_DUCKLING, &effect->record_changed.owner, owner);
    view.state = (char *)record_kind_name(effect->record_changed.kind);
    view.at_ms = clock_wall_ms();
    for (struct ring *ring = api->directory_follows.next; ring != &api->directory_follows;
         ring = ring->next)
        tell_follower(RING_OWNER(ring, struct request, directory), &view);
}

void local_follows_tell_member(struct local_api *api, const struct effect *effect)
{
    Duck__EventView view = DUCK__EVENT_VIEW__INIT;
    static const struct id nobody;
    char with[ID_TEXT_SIZE];

    view.kind = "member";
    view.with = (char *)id_text(ID_NODE, &effect->member_changed.node, with);
    view.state = (char *)gossip_state_name(effect->member_changed.state);
    view.at_ms = clock_wall_ms();
    tell_followers(api, &nobody, &view);
}

void local_follows_tell_tier(struct local_api *api, const struct effect *effect)
{
    Duck__EventView view = DUCK__EVENT_VIEW__INIT;
    char duckling[ID_TEXT_SIZE];

    view.kind = "tier_change";
    view.duckling = (char *)id_text(ID_DUCKLING, &effect->tier.duckling, duckling);
    view.before = (char *)tier_name(effect->tier.before);
    view.state = (char *)tier_name(effect->tier.tier);
    view.reason = (char *)effect->tier.reason;
    view.at_ms = effect->tier.at_ms;
    tell_followers(api, &effect->tier.duckling, &view);
}

void local_follows_tell_wanted(struct local_api *api, const struct effect *effect)
{
    Duck__EventView view = DUCK__EVENT_VIEW__INIT;
    char duckling[ID_TEXT_SIZE], peck[ID_TEXT_SIZE], wanted[ID_TEXT_SIZE];

    if (!is_followed(api, &effect->wanted.duckling))
        return;
    view.kind = "wanted";
    view.duckling = (char *)id_text(ID_DUCKLING, &effect->wanted.duckling, duckling);
    view.wanted_id = (char *)id_text(ID_WANTED, &effect->wanted.id, wanted);
    if (!id_is_zero(&effect->wanted.peck))
        view.peck_id = (char *)id_text(ID_PECK, &effect->wanted.peck, peck);
    view.at_ms = effect->wanted.asked_ms;
    tell_followers(api, &effect->wanted.duckling, &view);
}

bool local_api_is_followed(struct local_api *api, const struct id *duckling)
{
    bool is;

    pthread_mutex_lock(&api->lock);
    is = is_followed(api, duckling);
    pthread_mutex_unlock(&api->lock);
    return is;
}

uint64_t local_api_follows_begun(const struct local_api *api)
{
    return api->follows_begun;
}

void local_api_link_changed(struct local_api *api, const struct id *node, bool up)
{
    tell_of_node(api, node, "link", up ? "up" : "down");
}
