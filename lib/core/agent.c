/* The agent is ten parts that share one state: the directory (agent_directory.c), links
 * (agent_links.c), orders from this host (agent_orders.c), pecks (agent_pecks.c, agent_arrivals.c), answers that come
 * in parts (agent_partials.c), the ends of bonds (agent_bonds.c) and their limits (agent_limits.c), pecks for who is
 * away (agent_away.c), what is held here for others (agent_perch.c), lobster binds (agent_lobster.c). A turn:
 *
 *     agent_step    one event: looks up, decides, changes memory; what is to be signed waits
 *     agent_settle  time's own business (resend, expire, refresh, dial), then all signatures of
 *                   the turn at once, then the news
 *
 * Effects borrow from the events of their turn, which live until the effects are carried out. */
#include "agent_parts.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define LOG_LINE_MAX 256

void *agent_grow(void *list, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return list;
    *capacity = *capacity ? *capacity * 2 : 16;
    return memory_resize(list, *capacity * size);
}

void agent_log(struct effects *effects, enum log_level level, const char *format, ...)
{
    char line[LOG_LINE_MAX];
    struct effect *effect;
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (size < 0)
        return;
    if ((size_t)size >= sizeof line) /* its last character may be a part of one */
        line[bytes_cut(bytes_of(line, sizeof line - 1), sizeof line - 2).size] = 0;
    effect = effects_add(effects, EFFECT_LOG);
    effect->log.level = level;
    effect->log.text =
        (const char *)arena_copy(&effects->arena, bytes_of(line, strlen(line) + 1)).data;
}

/* ---- ducklings that live here ---- */

static size_t slot_of(const struct agent *agent, const struct id *id)
{
    uint64_t key;

    memcpy(&key, id->bytes, sizeof key); /* ids are hashes: any 8 bytes spread well */
    return (size_t)key & (agent->hosted_slots - 1);
}

struct duckling *agent_hosted(const struct agent *agent, const struct id *id)
{
    if (!agent->hosted_slots)
        return NULL;
    for (size_t i = slot_of(agent, id); agent->hosted[i]; i = (i + 1) & (agent->hosted_slots - 1))
        if (id_equal(&agent->hosted[i]->id, id))
            return agent->hosted[i];
    return NULL;
}

static void place(struct agent *agent, struct duckling *duckling)
{
    size_t i = slot_of(agent, &duckling->id);

    while (agent->hosted[i])
        i = (i + 1) & (agent->hosted_slots - 1);
    agent->hosted[i] = duckling;
}

static void widen(struct agent *agent)
{
    struct duckling **old = agent->hosted;
    size_t slots = agent->hosted_slots;

    agent->hosted_slots = slots ? slots * 2 : 16;
    agent->hosted = memory_take(agent->hosted_slots * sizeof *agent->hosted);
    for (size_t i = 0; i < slots; i++)
        if (old[i])
            place(agent, old[i]);
    memory_give_back(old);
}

bool agent_keep_profile(struct duckling *duckling, const struct order_profile *profile)
{
    struct arena memory;
    struct order_profile copy = *profile;

    arena_init(&memory, 16 * KIB);
    copy.display_name = arena_copy(&memory, profile->display_name);
    copy.bio = arena_copy(&memory, profile->bio);
    for (size_t i = 0; i < profile->capability_count; i++)
        copy.capabilities[i] = arena_copy(&memory, profile->capabilities[i]);
    for (size_t i = 0; i < profile->open_action_count; i++)
        copy.open_actions[i] = arena_copy(&memory, profile->open_actions[i]);
    arena_free(&duckling->profile_memory);
    duckling->profile_memory = memory;
    duckling->profile = copy;
    return true;
}

struct duckling *agent_host(struct agent *agent, const struct hosted *hosted)
{
    struct duckling *duckling;

    if (agent->hosted_count >= HOSTED_MAX)
        return NULL;
    if (2 * (agent->hosted_count + 1) > agent->hosted_slots)
        widen(agent);
    duckling = memory_take(sizeof *duckling);
    duckling->id = hosted->id;
    if (!hosted->own_key)
        duckling->key = identity_key_new(hosted->seed);
    else if (!agent_speaks_by(duckling, hosted->chain))
        assert(!"it was opened before it was kept");
    duckling->chain =
        bytes_of(memory_copy(hosted->chain.data, hosted->chain.size), hosted->chain.size);
    duckling->pulse_ms = hosted->pulse_ms;
    duckling->outgrown = hosted->outgrown;
    duckling->refresh_at_ms = MOMENT_NEVER;
    arena_init(&duckling->profile_memory, 0);
    agent_keep_profile(duckling, &hosted->profile);
    place(agent, duckling);
    agent->hosted_count++;
    return duckling;
}

static void duckling_free(struct agent *agent, struct duckling *duckling)
{
    agent_forget_wanted(agent, duckling);
    identity_key_free(duckling->key);
    memory_give_back((void *)(uintptr_t)duckling->chain.data);
    arena_free(&duckling->profile_memory);
    agent_free_vouchers(duckling);
    agent_free_contexts(duckling);
    memory_give_back(duckling);
}

/* ---- birth ---- */

static void copy_settings(struct agent *agent, const struct agent_settings *settings)
{
    struct arena *memory = &agent->memory;
    struct bytes *addresses;

    agent->settings = *settings;
    agent->catching_up = settings->catching_up;
    arena_init(memory, 8 * KIB);
    agent->settings.network = arena_copy(memory, settings->network);
    agent->settings.node_chain =
        bytes_of(memory_copy(settings->node_chain.data, settings->node_chain.size),
                 settings->node_chain.size);
    agent->settings.display_name = arena_copy(memory, settings->display_name);
    agent->settings.software = arena_copy(memory, settings->software);
    agent->settings.voucher = arena_copy(memory, settings->voucher);
    agent->settings.voucher_chain = arena_copy(memory, settings->voucher_chain);
    addresses = arena_take(memory, NODE_ADDRESSES_MAX * sizeof *addresses);
    assert(addresses && settings->address_count <= NODE_ADDRESSES_MAX);
    for (size_t i = 0; i < settings->address_count; i++)
        addresses[i] = arena_copy(memory, settings->addresses[i]);
    agent->settings.addresses = addresses;
}

static void make_directory(struct agent *agent)
{
    struct directory_settings settings = {.records_max = agent->settings.records_max,
                                          .pool = agent->settings.record_pool};
    uint8_t seed[RECORD_POOL_SEED_SIZE];

    dice_fill(&agent->dice, seed, sizeof seed);
    dice_fill(&agent->dice, settings.seed, sizeof settings.seed);
    if (!settings.pool)
        settings.pool = agent->record_pool = record_pool_new(seed);
    agent->directory = directory_new(&settings);
}

static struct gossip *gossip_for(struct agent *agent)
{
    struct gossip_settings settings = {.self = agent->node,
                                       .nodes_max = NODES_MAX,
                                       .contact = agent_find_contact,
                                       .context = agent};

    dice_fill(&agent->dice, settings.dice_seed, sizeof settings.dice_seed);
    return gossip_new(&settings);
}

struct agent *agent_new(const struct agent_settings *settings)
{
    struct agent *agent = memory_take(sizeof *agent);
    uint8_t seed[DICE_SEED_SIZE];
    struct chain chain;
    struct arena arena;

    copy_settings(agent, settings);
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    assert(chain_open(settings->node_chain, &arena, &chain) == CERTIFICATE_TAKEN);
    agent->node = chain.identity;
    agent_date_behind(agent, &chain);
    arena_free(&arena);

    idtable_init(&agent->linked);
    dice_init(&agent->dice, settings->dice_seed);
    make_directory(agent);
    arena_init(&agent->contact_memory, PARSE_BUDGET(RECORD_SIZE_MAX));
    agent->gossip = gossip_for(agent);
    dice_fill(&agent->dice, seed, sizeof seed);
    agent->outbox = outbox_new(OUTBOX_MAX, seed);
    dice_fill(&agent->dice, seed, sizeof seed);
    agent->news = news_new(NEWS_SLOTS_MAX, seed);
    agent_make_sets(agent);
    agent->bonds = bonds_new(BONDS_MAX);
    agent->grants = grants_new(&grants_limits_default);
    agent->tray = tray_new(TRAY_MAX);
    agent_init_perches(agent);
    agent->node_refresh_at_ms = MOMENT_NEVER;
    agent->ducklings_refresh_at_ms = agent->wanted_until_ms = MOMENT_NEVER;
    return agent;
}

void agent_free(struct agent *agent)
{
    if (!agent)
        return;
    for (size_t i = 0; i < agent->hosted_slots; i++)
        if (agent->hosted[i])
            duckling_free(agent, agent->hosted[i]);
    memory_give_back(agent->hosted);
    directory_free(agent->directory);
    record_pool_free(agent->record_pool);
    gossip_free(agent->gossip);
    arena_free(&agent->contact_memory);
    outbox_free(agent->outbox);
    bonds_free(agent->bonds);
    grants_free(agent->grants);
    tray_free(agent->tray);
    memory_give_back(agent->pecks);
    memory_give_back(agent->receipts);
    memory_give_back(agent->pins);
    news_free(agent->news);
    memory_give_back(agent->fresh);
    agent_free_sets(agent);
    idtable_free(&agent->linked);
    perch_free(agent->perch);
    deposits_free(agent->deposits);
    collecting_free(agent->collecting);
    prekeys_free(agent->prekeys);
    seen_free(agent->perched_refused);
    memory_give_back(agent->lost_revocations);
    memory_give_back(agent->hearing.known);
    agent_free_lobsters(agent);
    memory_give_back((void *)(uintptr_t)agent->settings.node_chain.data);
    arena_free(&agent->memory);
    memory_give_back(agent);
}

/* ---- start ---- */

/* When the record at hand is due again; soon, with jitter, when there is none or it is old. */
static uint64_t refresh_at_ms(struct agent *agent, const struct id *owner, uint32_t kind,
                              const struct moment *at)
{
    const struct directory_entry *entry = directory_find(agent->directory, owner, kind);
    uint64_t age_ms;

    if (!entry || entry->version.ms > at->wall_ms)
        return at->now_ms;
    age_ms = at->wall_ms - entry->version.ms;
    if (age_ms >= RECORD_REFRESH_MS)
        return at->now_ms + dice_jitter_ms(&agent->dice, MINUTE_MS);
    return at->now_ms + RECORD_REFRESH_MS - age_ms;
}

static int64_t date_ahead_ms(const struct moment *at)
{
    return (int64_t)(at->wall_ms - at->now_ms);
}

/* Records end by the date, and are said anew by the steady clock, which stands still while the host sleeps: what became
 * old meanwhile is due. */
static void heed_leap(struct agent *agent, const struct moment *at)
{
    int64_t leap_ms = date_ahead_ms(at) - agent->date_ahead_ms;

    if (leap_ms >= 0 && leap_ms < (int64_t)CLOCK_LEAP_MS)
        return;
    agent->date_ahead_ms = date_ahead_ms(at);
    if (leap_ms < 0)
        return; /* what was said lives the longer */
    agent->node_refresh_at_ms = at->now_ms;
    for (size_t i = 0; i < agent->hosted_slots; i++) {
        struct duckling *duckling = agent->hosted[i];
        uint64_t due_ms =
            duckling ? refresh_at_ms(agent, &duckling->id, RECORD_DUCKLING, at) : MOMENT_NEVER;

        if (duckling && due_ms < duckling->refresh_at_ms)
            duckling->refresh_at_ms = due_ms;
        if (due_ms < agent->ducklings_refresh_at_ms)
            agent->ducklings_refresh_at_ms = due_ms;
    }
    bonds_hurry(agent->bonds);
    agent_hear_all(agent, at);
}

void agent_notice_time(struct agent *agent, const struct moment *at)
{
    if (agent->started && !agent->outgrown)
        heed_leap(agent, at);
}

/* A turn that changed the session key may have been undone: what is held then names one that this
 * node has no more, and whoever dials it by that needs a second try. */
static bool is_session_key_published(struct agent *agent)
{
    struct gossip_contact contact;

    return agent_find_contact(agent, &agent->node, &contact) &&
           memcmp(contact.session_key, agent->settings.session_key, sizeof contact.session_key) ==
               0;
}

/* Whatever the records that were restored say, and whatever was published and lost since. An
 * accusation that was refuted in a turn that is undone is told to nobody a second time: so the
 * node's record is said anew, once its turns are kept again. */
static void resume(struct agent *agent, const struct event *event)
{
    const struct moment *at = &event->at;

    agent->counters = event->start.counters;
    agent->date_ahead_ms = date_ahead_ms(at);
    if (version_compare(event->start.version_floor, agent->last_version) > 0)
        agent->last_version = event->start.version_floor;
    agent->started = agent->looks_for_revoked = true;
    agent_begin_hearing(agent);
    agent_recall_perches(agent);
    agent->metrics_changed = agent_has_metrics(agent);
    agent->metrics_at_ms = at->now_ms;
    agent->ducklings_refresh_at_ms = at->now_ms; /* looks at each, once */
    for (size_t i = 0; i < agent->hosted_slots; i++)
        if (agent->hosted[i]) /* without a key here what waited is forgotten, whatever it said */
            agent->hosted[i]->refresh_at_ms =
                agent->hosted[i]->key
                    ? refresh_at_ms(agent, &agent->hosted[i]->id, RECORD_DUCKLING, at)
                    : at->now_ms;
    agent->node_refresh_at_ms = at->now_ms;
    if (is_session_key_published(agent))
        agent->node_refresh_at_ms += NODE_SAID_ANEW_MS;
}

static void start(struct agent *agent, const struct event *event, struct effects *effects)
{
    resume(agent, event);
    agent_say_lost_revocations(agent, &event->at, effects);
    agent_publish_node(agent, &event->at, effects); /* a new life has a new session key */
    agent_log(effects, LOG_INFO, "%zu ducklings, %zu records, %zu pecks out, %zu pecks in",
              agent->hosted_count, directory_count(agent->directory), outbox_count(agent->outbox),
              tray_count(agent->tray));
}

void agent_set_session_key(struct agent *agent, const uint8_t session_key[32],
                           uint64_t not_after_ms, const struct moment *at, struct effects *effects)
{
    memcpy(agent->settings.session_key, session_key, 32);
    agent->settings.session_not_after_ms = not_after_ms;
    agent_publish_node(agent, at, effects);
}

/* ---- turns ---- */

/* An owner who was cut off by a restart has the whole time again. */
static void restore_received(struct agent *agent, const struct event *event,
                             struct effects *effects)
{
    char text[ID_TEXT_SIZE];

    struct tray_entry entry = event->received;

    if (entry.place == TRAY_WAITING && entry.expires_ms > event->at.wall_ms + PECK_APPROVAL_MS)
        entry.expires_ms = event->at.wall_ms + PECK_APPROVAL_MS;
    if (!tray_restore(agent->tray, &entry))
        agent_log(effects, LOG_WARNING,
                  "%s finds no room: it waits in the store for the next start",
                  id_text(ID_PECK, &entry.peck, text));
}

static void restore_deposit(struct agent *agent, const struct event *event)
{
    const struct outbox_entry *entry = outbox_find(agent->outbox, &event->kept_deposit.peck);

    if (entry)
        deposits_restore(agent->deposits, &entry->hash, &event->kept_deposit.perch);
}

static void take_peck(struct agent *agent, const struct event *event, struct effects *effects)
{
    if (event->peck.perched)
        agent_take_perched(agent, event, effects);
    else if (event->peck.known)
        agent_receive_again(agent, event, effects);
    else if (!agent->catching_up || event->peck.cancelled)
        agent_receive_peck(agent, event, effects);
    else
        agent->turned_away = true; /* it comes again, over another link */
}

static void take_records(struct agent *agent, const struct event *event, struct effects *effects)
{
    for (size_t i = 0; i < event->records.count; i++)
        agent_offer_record(agent, &event->records.items[i], &event->node, &event->at, effects);
}

/* A key that is nobody's signs nothing; and a node that has no key has nothing to do but end. */
static bool is_over(const struct agent *agent, const struct event *event, struct effects *effects)
{
    if (agent->outgrown && event->kind == EVENT_ORDER && event->order->kind == ORDER_STOP)
        effects_add(effects, EFFECT_STOP);
    return agent->outgrown;
}

void agent_step(struct agent *agent, const struct event *event, struct effects *effects)
{
    if (is_over(agent, event, effects))
        return;
    switch (event->kind) {
    case EVENT_RESTORED_DUCKLING:
        agent_host(agent, &event->duckling);
        break;
    case EVENT_RESTORED_CONTEXT:
        agent_restore_context(agent, &event->context);
        break;
    case EVENT_RESTORED_VOUCHER:
        agent_restore_voucher(agent, &event->voucher);
        break;
    case EVENT_RESTORED_BOND:
        bonds_add(agent->bonds, &event->bond);
        break;
    case EVENT_RESTORED_THREAD:
        bonds_restore_thread(agent->bonds, &event->thread);
        break;
    case EVENT_RESTORED_GRANT:
        grants_restore(agent->grants, &event->grant);
        break;
    case EVENT_RESTORED_RECORD:
        agent_restore_record(agent, &event->restored, &event->at);
        break;
    case EVENT_RESTORED_REVOCATION:
        agent_restore_revocation(agent, &event->restored);
        break;
    case EVENT_RESTORED_MARK:
        directory_restore_mark(agent->directory, &event->mark.owner, event->mark.kind,
                               event->mark.key, event->mark.version);
        break;
    case EVENT_RESTORED_PROOF:
        directory_restore_proof(agent->directory, &event->proof);
        break;
    case EVENT_RESTORED_SENT:
        outbox_add(agent->outbox, &event->sent);
        break;
    case EVENT_RESTORED_RECEIVED:
        restore_received(agent, event, effects);
        break;
    case EVENT_RESTORED_PIN:
        agent_restore_pin(agent, event->pin.address, &event->pin.node);
        break;
    case EVENT_RESTORED_PRE_KEY:
        prekeys_add(agent->prekeys, event->pre_key.secret, event->pre_key.made_ms);
        break;
    case EVENT_RESTORED_PERCHED:
        perch_restore(agent->perch, &event->perched);
        break;
    case EVENT_RESTORED_DEPOSIT:
        restore_deposit(agent, event);
        break;
    case EVENT_RESTORED_LOBSTER:
        agent_restore_lobster(agent, &event->lobster);
        break;
    case EVENT_START:
        start(agent, event, effects);
        break;
    case EVENT_RESUME:
        resume(agent, event);
        break;
    case EVENT_LINK_UP:
        agent_link_up(agent, event, effects);
        break;
    case EVENT_LINK_DOWN:
        agent_link_down(agent, event, effects);
        break;
    case EVENT_DIAL_FAILED:
        gossip_dial_failed(agent->gossip, &event->node, event->dial_failed.address,
                           event->at.now_ms);
        break;
    case EVENT_ANSWERED:
        agent_take_answer(agent, event, effects);
        break;
    case EVENT_PECK:
        take_peck(agent, event, effects);
        break;
    case EVENT_RECEIPT:
        agent_receive_receipt(agent, event, effects);
        break;
    case EVENT_PARTIAL:
        agent_receive_partial(agent, event, effects);
        break;
    case EVENT_REFUSAL:
        agent_receive_refusal(agent, event, effects);
        break;
    case EVENT_RECONCILE:
        agent_take_reconcile(agent, event, effects);
        break;
    case EVENT_FETCH:
        agent_take_fetch(agent, event, effects);
        break;
    case EVENT_FETCHED:
        agent_take_fetched(agent, event, effects);
        break;
    case EVENT_DEPOSIT:
        agent_take_deposit(agent, event, effects);
        break;
    case EVENT_DEPOSITED:
        agent_take_deposited(agent, event, effects);
        break;
    case EVENT_COLLECT:
        agent_take_collect(agent, event, effects);
        break;
    case EVENT_HELD:
        agent_take_held(agent, event, effects);
        break;
    case EVENT_SETTLED:
        agent_take_settled(agent, event, effects);
        break;
    case EVENT_LOBSTER:
        agent_take_lobster(agent, event, effects);
        break;
    case EVENT_RECORDS:
        take_records(agent, event, effects);
        break;
    case EVENT_PROBE:
    case EVENT_PROBE_ACK:
    case EVENT_PROBE_REQUEST:
    case EVENT_PROBE_NACK:
        agent_take_probe(agent, event);
        break;
    case EVENT_ACCUSATION:
        agent_take_accusation(agent, event, effects);
        break;
    case EVENT_CONTRADICTION:
        agent_take_contradiction(agent, event, effects);
        break;
    case EVENT_ORDER:
        agent_take_order(agent, event->order, &event->at, effects);
        break;
    case EVENT_TICK:
        break;
    }
}

/* Pecks before receipts: a peck between two ducklings of this node is received right here. */
void agent_sign(struct agent *agent, const struct moment *at, struct effects *effects)
{
    if (agent->outgrown)
        return;
    agent_sign_pecks(agent, at, effects);
    agent_sign_receipts(agent, at, effects);
}

void agent_settle(struct agent *agent, const struct moment *at, struct effects *effects)
{
    agent->turns++;
    if (!agent->started || agent->outgrown)
        return;
    agent_notice_time(agent, at);
    agent_heed_revocations(agent, at, effects);
    agent_resend_and_expire(agent, at, effects);
    agent_end_bonds_over(agent, at, effects);
    agent_forget_grants(agent, at, effects);
    agent_end_wanted(agent, at);
    agent_sign(agent, at, effects);
    agent_keep_counts(agent, effects);
    agent_settle_perches(agent, at, effects);
    agent_expire_perched(agent, at, effects);
    agent_refresh_records(agent, at, effects);
    agent_renew_bonded(agent, at, effects);
    agent_settle_lobsters(agent, at, effects);
    agent_heed_gossip(agent, at, effects);
    agent_spread_news(agent, at, effects);
    agent_repair(agent, at, effects);
    agent_settle_hearing(agent, at, effects);
    agent_dial(agent, at, effects);
    if (agent->counters_changed) {
        effects_add(effects, EFFECT_KEEP_COUNTERS)->counters = agent->counters;
        agent->counters_changed = false;
    }
    agent->key_is_new = false;
}

static uint64_t sooner(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

uint64_t agent_wake_at_ms(const struct agent *agent, const struct moment *at)
{
    uint64_t wake_ms = gossip_wake_at_ms(agent->gossip);

    if (!agent->started || agent->outgrown)
        return MOMENT_NEVER;
    wake_ms = sooner(wake_ms, outbox_wake_at_ms(agent->outbox, at));
    wake_ms = sooner(wake_ms, tray_wake_at_ms(agent->tray, at));
    wake_ms = sooner(wake_ms, news_wake_at_ms(agent->news));
    wake_ms = sooner(wake_ms, agent_repair_wake_at_ms(agent));
    wake_ms = sooner(wake_ms, agent_hearing_wake_at_ms(agent));
    wake_ms = sooner(wake_ms, agent_perches_wake_at_ms(agent, at));
    wake_ms = sooner(wake_ms, agent_bonds_wake_at_ms(agent, at));
    wake_ms = sooner(wake_ms, agent_wanted_wake_at_ms(agent, at));
    wake_ms = sooner(wake_ms, agent_lobsters_wake_at_ms(agent, at));
    return sooner(wake_ms, agent_directory_wake_at_ms(agent, at));
}

void agent_figures(const struct agent *agent, struct agent_figures *figures)
{
    *figures = (struct agent_figures){
        .links = gossip_links(agent->gossip),
        .nodes = directory_count_kind(agent->directory, RECORD_NODE),
        .records = directory_count(agent->directory),
        .hosted = agent->hosted_count,
        .outbox = outbox_count(agent->outbox),
        .tray = tray_count(agent->tray),
        .bonds = bonds_count(agent->bonds),
        .counters = agent->counters,
        .pecks_refused = agent->pecks_refused,
        .receipts_refused = agent->receipts_refused,
        .records_refused = agent->records_refused,
        .live_nodes = gossip_live(agent->gossip) + 1,
        .is_perch = agent->settings.is_perch,
        .perched = perch_count(agent->perch),
        .perched_bytes = perch_bytes(agent->perch),
        .perched_owners = perch_owners(agent->perch),
        .deposited = deposits_count(agent->deposits),
        .perched_opened = agent->perched_opened,
        .perched_junk = agent->perched_junk,
    };
    figures->perch_count = agent->perch_count;
    memcpy(figures->perches, agent->perches, sizeof figures->perches);
    memcpy(figures->records_by_verdict, agent->records_by_verdict,
           sizeof figures->records_by_verdict);
    figures->proofs = directory_proof_count(agent->directory);
    figures->contradicted = directory_contradicted_count(agent->directory);
    gossip_figures(agent->gossip, &figures->membership);
    directory_metrics(agent->directory, &figures->total, NULL);
    for (int i = 0; i < RECORD_SETS; i++) {
        figures->sets[i].records = recordset_count(agent->sets[i]);
        recordset_fingerprint(agent->sets[i], 0, SIZE_MAX, figures->sets[i].fingerprint);
    }
}
