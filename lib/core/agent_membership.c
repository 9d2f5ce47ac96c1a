/* Membership: carries out what gossip decides (who is probed, accused, hung up on), signs
 * accusations, refutes those of this node, and hands it what other nodes say. */
#include "agent_parts.h"

#define PASS_ON_MAX (ACTIVE_LINKS_MAX * 4u)

bool agent_find_node(const struct agent *agent, const struct id *node, struct node_content *content)
{
    struct arena *memory = (struct arena *)(uintptr_t)&agent->contact_memory;
    struct bytes packed = directory_node_content(agent->directory, node);

    arena_reset(memory);
    return packed.data && node_content_parse(packed, memory, content) == RECORD_OK;
}

/* Of a record that was held before the fleet was closed. One that came since was judged when it came, no voucher ends
 * before its record, and whose is taken back has none. */
static bool is_member(const struct agent *agent, const struct id *node,
                      const struct node_content *content)
{
    const struct directory_entry *entry = directory_find(agent->directory, node, RECORD_NODE);
    struct record record = {.network = agent->settings.network, .owner = *node};

    return !agent->settings.fleet || (entry && fleet_judge(agent->settings.fleet, &record, content,
                                                           entry->version.ms) == FLEET_MEMBER);
}

bool agent_is_member(const struct agent *agent, const struct id *node)
{
    struct node_content content;

    return !fleet_doubts(agent->settings.fleet, node) ||
           (agent_find_node(agent, node, &content) && is_member(agent, node, &content));
}

void agent_part_with(struct agent *agent, const struct id *node, const struct moment *at,
                     struct effects *effects)
{
    char text[ID_TEXT_SIZE];

    if (agent_is_member(agent, node))
        return;
    if (id_equal(node, &agent->node)) {
        agent_log(
            effects, LOG_ERROR,
            "an operator took back that this node belongs to its fleet: nobody links with it");
        return;
    }
    if (agent_drop_record(agent, node, RECORD_NODE, at, effects))
        agent_log(effects, LOG_WARNING, "%s is no member any more: %s",
                  id_text(ID_NODE, node, text), fleet_verdict_text(FLEET_TAKEN_BACK));
    agent_forget_expired(agent);
    if (gossip_is_linked(agent->gossip, node))
        agent_cut_off(node, fleet_verdict_text(FLEET_TAKEN_BACK), effects);
}

void agent_heed_withdrawal(struct agent *agent, const struct withdrawn *withdrawn,
                           const struct moment *at, struct effects *effects)
{
    if (withdrawn->until_ms == 0)
        return;
    fleet_take_back(agent->settings.fleet, withdrawn, at->wall_ms);
    agent_part_with(agent, &withdrawn->subject, at, effects);
}

bool agent_find_contact(void *context, const struct id *node, struct gossip_contact *contact)
{
    struct agent *agent = context;
    struct node_content content;

    if (!agent_find_node(agent, node, &content) || !is_member(agent, node, &content))
        return false;
    contact->address_count = content.address_count;
    memcpy(contact->addresses, content.addresses, sizeof contact->addresses);
    memcpy(contact->session_key, content.session_key, sizeof contact->session_key);
    return true;
}

static struct version version_of(const struct agent *agent, const struct id *node)
{
    const struct directory_entry *entry = directory_find(agent->directory, node, RECORD_NODE);

    return entry ? entry->version : (struct version){0};
}

/* ---- what others say ---- */

void agent_take_probe(struct agent *agent, const struct event *event)
{
    struct gossip *gossip = agent->gossip;
    uint64_t now_ms = event->at.now_ms;
    uint32_t nonce = event->probe.nonce;

    if (event->kind == EVENT_PROBE)
        gossip_take_probe(gossip, &event->node, nonce, now_ms);
    else if (event->kind == EVENT_PROBE_ACK)
        gossip_take_ack(gossip, &event->node, nonce, now_ms);
    else if (event->kind == EVENT_PROBE_REQUEST)
        gossip_take_request(gossip, &event->node, nonce, &event->probe.target, now_ms);
    else
        gossip_take_nack(gossip, &event->node, nonce);
    if (event->kind == EVENT_PROBE || event->kind == EVENT_PROBE_ACK)
        agent_compare_sums(agent, &event->node, event->probe.sums, &event->at);
}

static void pass_on(struct agent *agent, const struct gossip_accusation *accusation,
                    const struct id *from, struct effects *effects)
{
    struct id nodes[PASS_ON_MAX];
    size_t count = gossip_pass_on(agent->gossip, accusation, from,
                                  news_budget(gossip_live(agent->gossip) + 1), nodes, PASS_ON_MAX);
    struct bytes frame =
        frame_pack_accusation(accusation->chain, accusation->wire, &effects->arena);

    for (size_t i = 0; i < count; i++)
        agent_send(&nodes[i], FRAME_ACCUSATION, frame, effects);
}

void agent_take_accusation(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct accusation *said = &event->accusation.accusation;
    struct gossip_accusation accusation = {.accuser = said->accuser,
                                           .accused = said->accused,
                                           .version = said->version,
                                           .hash = event->accusation.hash,
                                           .wire = event->accusation.wire,
                                           .chain = event->accusation.chain};
    char accuser[ID_TEXT_SIZE], accused[ID_TEXT_SIZE];
    enum gossip_verdict verdict;

    /* An old one is good for one thing: whoever was taken for dead meanwhile refutes it. */
    if (event->accusation.expired && !id_equal(&said->accused, &agent->node))
        return;
    verdict = gossip_take_accusation(agent->gossip, &accusation, version_of(agent, &said->accused),
                                     event->at.now_ms);
    agent_log(effects, LOG_DEBUG, "%s accuses %s: %s", id_text(ID_NODE, &said->accuser, accuser),
              id_text(ID_NODE, &said->accused, accused), gossip_verdict_text(verdict));
    if (verdict == GOSSIP_COUNTED)
        pass_on(agent, &accusation, &event->node, effects);
}

/* ---- what gossip decides ---- */

/* `again`: it is dead here, and nothing changes by it; but it may hear of it, and refute. */
static void accuse(struct agent *agent, const struct id *accused, bool again,
                   const struct moment *at, struct effects *effects)
{
    struct accusation said = {.network = agent->settings.network,
                              .accuser = agent->node,
                              .accused = *accused,
                              .version = version_of(agent, accused),
                              .made_ms = at->wall_ms,
                              .not_after_ms = at->wall_ms + ACCUSATION_LIFE_MS};
    struct gossip_accusation accusation = {.accuser = agent->node,
                                           .accused = *accused,
                                           .version = said.version,
                                           .chain = agent->settings.node_chain};
    char text[ID_TEXT_SIZE];
    struct bytes body;

    if (accusation_pack(&said, &effects->arena, &body) != ACCUSATION_OK)
        return; /* its record has ended meanwhile */
    accusation.wire = envelope_seal(ENVELOPE_ACCUSATION, &agent->node, agent->settings.node_key,
                                    body, &effects->arena, &accusation.hash);
    if (again) {
        pass_on(agent, &accusation, &agent->node, effects);
        return;
    }
    if (gossip_take_accusation(agent->gossip, &accusation, said.version, at->now_ms) !=
        GOSSIP_COUNTED)
        return;
    agent_log(effects, LOG_INFO, "%s does not answer: accused", id_text(ID_NODE, accused, text));
    pass_on(agent, &accusation, &agent->node, effects);
}

static void refute(struct agent *agent, struct version version, const struct moment *at,
                   struct effects *effects)
{
    if (agent->leaving || agent->stopping)
        return;
    if (version_compare(version, agent->last_version) > 0)
        agent->last_version = version;
    agent_log(effects, LOG_INFO, "this node was accused of not answering: refuted");
    agent_publish_node(agent, at, effects);
}

static void say_anew(struct agent *agent, const struct moment *at, struct effects *effects)
{
    if (agent->leaving || agent->stopping)
        return;
    agent_log(effects, LOG_INFO, "many who were dead are alive: this node says its record anew");
    agent_publish_node(agent, at, effects);
}

static void tell_changed(const struct gossip_output *output, struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_MEMBER_CHANGED);
    char text[ID_TEXT_SIZE];

    effect->member_changed.node = output->node;
    effect->member_changed.state = output->state;
    agent_log(effects, LOG_INFO, "%s is %s", id_text(ID_NODE, &output->node, text),
              gossip_state_name(output->state));
}

static void send_probe(const struct agent *agent, const struct gossip_output *output,
                       enum frame_kind kind, struct effects *effects)
{
    uint64_t sums[RECORD_SETS];

    for (int i = 0; i < RECORD_SETS; i++)
        sums[i] = agent_set_sum(agent, (enum record_set)(i + 1));
    agent_send(&output->node, kind, frame_pack_probe(output->nonce, sums, &effects->arena),
               effects);
}

static void heed(struct agent *agent, const struct gossip_output *output, const struct moment *at,
                 struct effects *effects)
{
    struct arena *arena = &effects->arena;

    switch (output->kind) {
    case GOSSIP_SEND_PROBE:
        send_probe(agent, output, FRAME_PROBE, effects);
        break;
    case GOSSIP_SEND_ACK:
        send_probe(agent, output, FRAME_PROBE_ACK, effects);
        break;
    case GOSSIP_SEND_NACK:
        agent_send(&output->node, FRAME_PROBE_NACK, frame_pack_probe_nack(output->nonce, arena),
                   effects);
        break;
    case GOSSIP_SEND_REQUEST:
        agent_send(&output->node, FRAME_PROBE_REQUEST,
                   frame_pack_probe_request(output->nonce, &output->target, arena), effects);
        break;
    case GOSSIP_SEND_ACCUSED:
        agent_send(&output->node, FRAME_ACCUSATION,
                   frame_pack_accusation(output->chain, output->wire, arena), effects);
        break;
    case GOSSIP_HANG_UP:
        agent_hang_up(&output->node, output->reason, effects);
        break;
    case GOSSIP_ACCUSE:
        accuse(agent, &output->node, false, at, effects);
        break;
    case GOSSIP_ACCUSE_AGAIN:
        accuse(agent, &output->node, true, at, effects);
        break;
    case GOSSIP_REFUTE:
        refute(agent, output->version, at, effects);
        break;
    case GOSSIP_HEALED:
        say_anew(agent, at, effects);
        break;
    case GOSSIP_CHANGED:
        tell_changed(output, effects);
        break;
    }
}

void agent_heed_gossip(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct gossip_output output;

    while (gossip_poll(agent->gossip, at->now_ms, &output))
        heed(agent, &output, at, effects);
}

/* ---- members ---- */

void agent_leave(struct agent *agent, const struct moment *at, struct effects *effects)
{
    agent->leaving = true;
    agent_publish_node(agent, at, effects);
    agent_log(effects, LOG_INFO, "this node leaves the network");
}

/* A farewell that is taken back: until a newer record comes nobody probes or accuses this node. */
void agent_stop(struct agent *agent, const struct moment *at, struct effects *effects)
{
    if (!agent->leaving && !agent->stopping) {
        agent->stopping = true;
        agent_publish_node(agent, at, effects);
    }
    effects_add(effects, EFFECT_STOP);
}

void agent_forget_expired(struct agent *agent)
{
    for (size_t i = gossip_count(agent->gossip); i-- > 0;) {
        struct gossip_member member;

        gossip_at(agent->gossip, i, &member);
        if (member.recorded && !directory_find(agent->directory, &member.node, RECORD_NODE))
            gossip_forget(agent->gossip, &member.node);
    }
}

static uint64_t to_wall_ms(const struct moment *at, uint64_t steady_ms)
{
    return steady_ms > at->now_ms ? at->wall_ms + (steady_ms - at->now_ms) : at->wall_ms;
}

size_t agent_member_count(const struct agent *agent)
{
    return gossip_count(agent->gossip);
}

size_t agent_members(const struct agent *agent, const struct moment *at,
                     struct agent_member *members, size_t max)
{
    size_t count = gossip_count(agent->gossip);

    if (count > max)
        count = max;
    for (size_t i = 0; i < count; i++) {
        struct gossip_member member;

        gossip_at(agent->gossip, i, &member);
        members[i] = (struct agent_member){.node = member.node,
                                           .state = member.state,
                                           .version = version_of(agent, &member.node),
                                           .linked = member.linked,
                                           .dialled_here = member.dialled_here,
                                           .seed = member.seed,
                                           .accusers = member.accusers,
                                           .attempts = member.attempts};
        if (member.suspicion_ends_ms)
            members[i].suspicion_ends_ms = to_wall_ms(at, member.suspicion_ends_ms);
        if (member.next_dial_ms != MOMENT_NEVER)
            members[i].next_dial_ms = to_wall_ms(at, member.next_dial_ms);
    }
    return count;
}
