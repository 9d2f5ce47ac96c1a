/* pond_parts: what the pond's own files share. Nobody else includes it. */
#ifndef DUCK_TESTS_POND_PARTS_H
#define DUCK_TESTS_POND_PARTS_H

#include "pond.h"

#include "core/idtable.h"
#include "core/intake.h"

#include <assert.h>

#define POND_NETWORK "pond"
#define POND_SCOPE "query"            /* of all bonds that owners approve in here */
#define POND_BORN_MS 1790000000000ull /* wall, when a pond begins */
#define MS_US 1000ull
#define LINES_KEPT 48                 /* of the trace, for who reads of a broken law */
#define LINE_SIZE 240
#define NOBODY UINT32_MAX
#define SEEDS_MAX 4u

struct pond_node;

/* ---- frames: one body, shared by all who send, carry and open it ---- */

struct pooled;

struct opened {                  /* what intake made of a frame: the same for all at one time */
    uint32_t refs;
    enum intake_verdict verdict;
    uint64_t wall_ms;            /* it was judged by this date */
    size_t refused;
    struct id peck;
    char reason[160];
    struct event event;
    struct arena arena;
    struct opened **parts;       /* of a list of records: each as it was opened alone */
    size_t part_count;
    struct bytes one, other;     /* two chains that contradict each other, if it met such */
};

struct listing {                 /* a frame of records that all nodes hold once: no bytes are made of it */
    struct fetch_answer answer;
    size_t count;
    struct pooled *records[];
};

struct frame {
    struct frame *next;          /* in its bucket */
    uint64_t name;               /* of kind and bytes, for the bucket */
    uint32_t refs;
    uint8_t kind;
    bool shared;                 /* in the table: others with these bytes are this one */
    size_t size;
    struct opened *opened;       /* NULL: not yet */
    struct listing *listing;     /* NULL: `body` */
    uint8_t body[];
};

struct frames;
struct frames *frames_new(struct pond *pond);
void frames_free(struct frames *frames);
struct frame *frame_hold(struct frames *frames, uint8_t kind, struct bytes body);
struct frame *frame_list(uint8_t kind, const struct fetch_answer *answer,
                         struct pooled *const *records, size_t count);
void frame_drop(struct frame *frame);
struct opened *frame_open(struct frames *frames, struct frame *frame, uint64_t wall_ms); /* held */
void opened_drop(struct opened *opened);
struct intake *frames_intake(struct frames *frames);

/* ---- records: one copy of each, however many nodes hold it ---- */

struct pooled {
    struct idtable_node by_hash;
    struct hash hash;
    struct id owner;
    uint32_t kind, number;
    uint32_t name;               /* number of (owner, kind, key) */
    struct version version;
    uint64_t not_after_ms;
    struct bytes wire, chain;
    const struct record *parsed; /* NULL: not yet */
    struct opened *opened;       /* as a frame of its own; NULL: not yet */
    struct withdrawn withdrawn;  /* as intake gave it */
    bool genuine;                /* signed by an honest agent of this pond, or by who lies anyway */
    bool fleeting;               /* see struct owner */
    uint32_t change;             /* tracked: its number + 1 */
};

struct owner {
    struct idtable_node by_id;
    struct bytes chain;
    bool hostile;
    bool fleeting;               /* its records end soon, and older ones later: nobody need agree on those */
    uint32_t node;               /* where it lives */
    struct version published;    /* the newest that may have been seen by others */
    struct version node_version; /* of the last node record that it made */
};

struct records;
struct records *records_new(void);
void records_free(struct records *records);
struct owner *records_owner(struct records *records, const struct id *id); /* NULL: nobody here */
struct owner *records_add_owner(struct records *records, const struct id *id, uint32_t node, bool hostile);
struct pooled *records_pool(struct records *records, const struct offered_record *item);
struct pooled *records_find(const struct records *records, const struct hash *hash);
struct pooled *records_at(const struct records *records, uint32_t number);
const struct record *records_parse(struct records *records, struct pooled *record); /* once */
size_t records_count(const struct records *records);
size_t records_names(const struct records *records);

/* A node's set of them: numbers, open addressing. */
struct held_set {
    uint32_t *slots;             /* number + 1 */
    size_t count, slot_count;
    size_t lasting;              /* of the count: those that are not fleeting */
    uint64_t sums[2];            /* of the hashes of those: equal sums, equal sets */
};
void held_set_free(struct held_set *set);
bool held_set_has(const struct held_set *set, const struct pooled *record);
void held_set_add(struct held_set *set, const struct records *records, const struct pooled *record);
void held_set_remove(struct held_set *set, const struct records *records, const struct pooled *record);

/* ---- a disk of sorts ---- */

struct kept_partial {
    const struct kept_partial *before;
    struct partials partials;            /* with it */
    struct bytes wire, chain;
};

struct kept_peck {
    struct idtable_node by_id;
    enum box box;
    struct hash hash;
    struct id from, to;
    enum peck_kind kind;
    enum peck_state state;
    enum tray_place place;
    uint32_t attempt;
    uint64_t expires_ms, lease_until_ms; /* wall */
    struct bytes context;                /* that it was signed under, packed; empty: none */
    struct id carrier;                   /* …and of whom its revocation is */
    struct bytes action, thread, wire, chain, receipts[2], receipt_chains[2];
    const struct kept_partial *partials; /* the last; NULL: none */
    bool cancelling;
    struct id held_by[PERCHES_PER_PECK];
    size_t held_count;
};

struct kept_perched {
    struct perch_entry entry;
    struct bytes sealed;                 /* owned */
};

/* A record whose end came, and how long the agent wants to remember that. */
struct ended {
    const struct pooled *record;
    uint64_t mark_until_ms;      /* wall; 0: not at all */
};

struct undo;
struct pond_store {
    struct arena memory;         /* of all that pecks, ducklings and bonds point to */
    struct held_set records;
    struct hosted *ducklings;
    size_t duckling_count, duckling_capacity;
    struct kept_context *contexts;
    size_t context_count, context_capacity;
    struct bond *bonds;
    size_t bond_count, bond_capacity;
    struct grant_row *grants;
    size_t grant_count, grant_capacity;
    struct lobster *lobsters;
    size_t lobster_count, lobster_capacity;
    struct bond_count *threads;
    size_t thread_count, thread_capacity;
    struct idtable pecks[2];     /* by box - 1 */
    struct ended *ended;
    size_t ended_count, ended_capacity;
    struct kept_peck **in_order;
    size_t peck_count, peck_capacity;
    struct pond_pin {
        char address[32];
        struct id node;
    } *pins;                     /* not lost with the power: they may come early, never late */
    size_t pin_count, pin_capacity;
    struct kept_pre_key {
        uint8_t secret[NOISE_KEY_SIZE], public[NOISE_KEY_SIZE];
        uint64_t made_ms;
    } pre_keys[PRE_KEYS_MAX];
    size_t pre_key_count;
    struct kept_perched *perched;
    size_t perched_count, perched_capacity;
    struct metrics_content counters;
    struct version floor;
    struct undo *undo;           /* what was committed since the last sync, to take it back */
    size_t undo_count, undo_capacity;
    bool is_open, may_lose;      /* may_lose: the power may go */
};

bool disk_keeps(enum effect_kind kind);
bool disk_can_be_said_again(const struct effect *effect);
void disk_open(struct pond_store *store, bool may_lose);
void disk_close(struct pond_store *store);
void disk_keep(struct pond *pond, struct pond_node *node, const struct effect *effect);
void disk_end_turn(struct pond_store *store, bool sync);
void disk_lose_power(struct pond *pond, struct pond_node *node);
struct partials disk_partials(const struct kept_peck *peck);
const struct kept_partial *disk_partial(const struct kept_peck *peck, uint32_t number); /* or NULL */
struct kept_peck *disk_peck(const struct pond_store *store, enum box box, const struct id *id);
void disk_keep_perches(struct pond_store *store, const struct effect *effect);
void disk_free_perches(struct pond_store *store);
void disk_restore_perches(struct pond_node *node, const struct moment *at, struct effects *unheard);
void disk_restore(struct pond *pond, struct pond_node *node, const struct moment *at,
                  struct effects *unheard);

/* ---- links ---- */

struct stalled {
    struct stalled *next;
    struct frame *frame;
};

struct link {                    /* of a pair: the lower node is end 0 */
    struct idtable_node by_pair;
    uint32_t nodes[2];
    uint32_t epoch;              /* of the session: what belongs to an earlier one is void */
    bool told_up[2], coming_up[2], dialled[2], misses_pings[2];
    bool asked[2];               /* this end dialled whoever answers */
    bool goodbye;                /* it is ended on purpose */
    uint32_t offences[2];        /* of frames that came to this end */
    uint64_t silence[2];         /* counts when the way to this end opens or closes */
    uint64_t arrives_us[2];      /* of the last frame to this end: those after it come after it */
    uint32_t latency_us;
    struct stalled *stalled[2], **stalled_end[2]; /* to this end, while the way is closed */
};

struct dial {
    uint32_t from, life;
    uint32_t to;                 /* NOBODY: no such address */
    struct id wanted;
    bool fails;
    char address[32];
};

void network_dial(struct pond *pond, struct pond_node *node, const struct effect *effect);
void network_dial_to(struct pond *pond, struct pond_node *node, uint32_t to);
void network_dialled(struct pond *pond, struct dial *dial);
void network_send(struct pond *pond, struct pond_node *node, const struct id *to, uint8_t kind,
                  struct bytes body);
void network_send_listed(struct pond *pond, struct pond_node *node, const struct id *to, uint8_t kind,
                         const struct fetch_answer *answer, struct pooled *const *records,
                         size_t count);
void network_arrive(struct pond *pond, struct link *link, unsigned end, uint32_t epoch,
                    struct frame *frame);
void network_link_up(struct pond *pond, struct link *link, unsigned end, uint32_t epoch);
void network_link_down(struct pond *pond, struct link *link, unsigned end, uint32_t epoch);
void network_silent(struct pond *pond, struct link *link, unsigned end, uint32_t epoch, uint64_t silence);
void network_hang_up(struct pond *pond, struct pond_node *node, const struct id *other);
void network_forget(struct pond *pond, struct pond_node *node, bool power_cut); /* its process ended */
void network_greet(struct pond *pond, struct pond_node *node);   /* it is back: old links are reset */
bool network_blocked(const struct pond *pond, uint32_t from, uint32_t to);
struct link *network_link(struct pond *pond, uint32_t one, uint32_t other, bool make);
void network_free(struct pond *pond);

/* What cuts paths; a copy of the old one says what has changed. */
struct cuts {
    bool split, one_way;         /* one way: side 0 hears nothing of side 1 */
    uint8_t *side;               /* of each node: enum cut */
};
enum cut { CUT_SIDE = 1, CUT_IN = 2, CUT_OUT = 4, CUT_ONE = 8, CUT_SOME = 16 }; /* no way between the last two */

/* ---- nodes ---- */

struct message {
    struct message *next;
    struct event event;
    bool tracked;                /* an order whose record is followed through the pond */
    struct opened *opened;       /* what the event borrows from; NULL: `arena` */
    struct arena arena;
};

struct hostile;
struct life;
struct operators;

struct opinion {                 /* what an agent said last of another node */
    uint64_t since_us : 56;      /* of so many nodes about so many: 8 bytes */
    uint64_t state : 7;          /* enum gossip_state */
    uint64_t is_false : 1;       /* it says dead of a node that is well */
};

struct pond_node {
    uint32_t index, life;        /* life: which process; what was planned for another is void */
    char name[12], address[20];
    struct id id;
    struct identity_key *key;
    struct bytes chain, introduction; /* owned */
    uint8_t session_key[32];
    struct agent *agent;         /* NULL: down, or hostile */
    struct hostile *hostile;
    struct pond_store store;
    struct message *inbox, **inbox_end;
    struct message *held, **held_end; /* until the agent has heard the others */
    size_t held_count;
    bool up, turn_planned, once_up, perch_lies;
    uint64_t wake_us, armed_us;  /* the agent's wish; the earliest that is in the queue */
    uint64_t origin_ms;          /* of its steady clock */
    int64_t skew_ms;             /* of its wall clock */
    uint64_t paused_until_us, clogged_until_us, disk_full_until_us;
    uint64_t well_since_us;      /* or in the future: see pond_membership.c */
    bool cut_off;                /* from the majority */
    struct opinion *opinions;    /* of each node */
    struct link **links;         /* that this end was told of */
    size_t link_count, link_capacity, dials;
    uint64_t frames_out, bytes_out, bytes_mark, refused, turns;
    uint64_t idle_at_ms, idle_turns; /* turns without a message, within one millisecond */
    uint32_t seeds[SEEDS_MAX];
    size_t seed_count;
};

void node_born(struct pond *pond, uint32_t index, bool hostile);
void node_start(struct pond *pond, struct pond_node *node);
void node_end(struct pond *pond, struct pond_node *node, bool power_cut);
void node_free(struct pond_node *node);
void node_pause(struct pond *pond, struct pond_node *node, uint64_t us);
struct order *node_order(struct message *message, enum order_kind kind, const struct id *duckling);
struct moment node_moment(const struct pond *pond, const struct pond_node *node);
struct pond_node *node_find(const struct pond *pond, const struct id *id);
void node_take(struct pond *pond, struct pond_node *node, struct message *message); /* owns it */
struct message *message_make(void);
void message_unmake(struct message *message);
void perform_deposit(struct pond *pond, struct pond_node *node, const struct effect *effect);
void perform_perched(struct pond *pond, struct pond_node *node, const struct effect *effect);
void node_turn(struct pond *pond, struct pond_node *node); /* with all that is in the inbox */
void node_arm(struct pond *pond, struct pond_node *node);

/* ---- what happens when ---- */

enum happening_kind {
    HAPPENING_FRAME,
    HAPPENING_LINK_UP,
    HAPPENING_LINK_DOWN,
    HAPPENING_SILENT,
    HAPPENING_DIALLED,
    HAPPENING_WAKE,
    HAPPENING_TURN,
    HAPPENING_START,
    HAPPENING_FAULTS,
    HAPPENING_LIFE,
    HAPPENING_CHANGE,
    HAPPENING_HOSTILE,
    HAPPENING_LOOK,
};

struct happening {
    uint64_t at_us, order;       /* two at one time: in the order in which they were planned */
    uint8_t kind, end;
    uint32_t node, epoch;
    union {
        struct link *link;
        struct dial *dial;
        uint64_t life;
    };
    union {
        struct frame *frame;
        uint64_t silence;
    };
};

struct queue {
    struct happening *heap;
    size_t count, capacity;
    uint64_t order;
};
void queue_add(struct queue *queue, struct happening happening);
bool queue_take(struct queue *queue, uint64_t until_us, struct happening *happening);

/* ---- pecks, as the laws see them ---- */

struct watched {
    struct idtable_node by_id;
    uint32_t from, to;           /* nodes */
    enum peck_kind kind;
    struct id requester, approver; /* its two ends */
    bool cancelled;              /* its sender asked for it */
    uint32_t partials_said;      /* of its answer; their orders were answered */
    bool ordered, taken_said, approved, covered, acknowledged, answered;
    uint64_t bond_until_ms;      /* wall: of the bond that its approval made; 0: as long as bonds last */
    bool bond_ended;             /* by its approver */
    uint64_t grant;              /* that it was taken under; 0: none */
};

/* ---- tracked changes ---- */

struct change {
    uint64_t at_ms, half_ms, most_ms, all_ms; /* after at_ms; MOMENT_NEVER: not yet */
    uint32_t origin;
    size_t holders;
    uint64_t copies;
    uint8_t *hops;               /* of each node; 0: does not hold it */
};

struct rates {                   /* drawn for a pond; 0: never */
    uint32_t loss_ppm, duplicate_ppm, slow_us, turn_us;
    uint32_t partition_ms, clog_ms, pause_ms, crash_ms, power_ms, jump_ms, disk_ms; /* one in so long, of the pond */
    uint32_t skew_ms;
};

struct pond {
    struct pond_wish wish;
    uint64_t now_us;
    struct queue queue;
    struct pond_node *nodes;
    size_t count;                /* healthy and hostile */
    struct idtable by_id, pairs; /* nodes; links */
    struct frames *frames;
    struct records *records;
    struct record_pool *record_pool; /* of all agents */
    struct effects effects;      /* of the turn at hand */
    struct dice network_dice, fault_dice, life_dice, hostile_dice;
    struct rates rates;
    struct cuts cuts;
    struct agent_member *members; /* to be asked for; NODES_MAX of them, once they were */
    bool faults_on, life_rest, hostile_rest;
    uint32_t torn_node;          /* its process ends in its next turn; NOBODY */
    uint64_t split_until_us;
    struct idtable watched;
    struct life *life;
    struct pond_grants *grants;
    struct pond_lobsters *lobsters;
    struct pond_contexts *contexts;
    struct operators *operators;
    uint64_t ticket, looked_at_ms;
    struct change *changes;
    size_t change_count, change_capacity;
    struct pond_figures sums;
    uint64_t figures_from_us;
    uint64_t trace[2];
    char (*lines)[LINE_SIZE];
    uint64_t line_count;
    char *story;
    size_t story_size, story_capacity;
    char *broken;

};

/* ---- tracing ---- */
void trace_mix(struct pond *pond, uint64_t what, uint64_t more);
void trace_bytes(struct pond *pond, struct bytes bytes);
void trace_line(struct pond *pond, const struct pond_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void trace_free(struct pond *pond);

/* ---- laws ---- */
void law_broken(struct pond *pond, const char *law, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void laws_before_keep(struct pond *pond, struct pond_node *node, const struct effect *effect,
                      bool is_kept); /* not: the turn will never have happened */
void laws_at_let_out(struct pond *pond, struct pond_node *node, const struct effects *effects);
void laws_at_restore(struct pond *pond, struct pond_node *node);
void laws_look(struct pond *pond); /* each simulated second */
void membership_unwell(struct pond *pond, struct pond_node *node, uint64_t until_us);
void membership_paths_changed(struct pond *pond);
void membership_said(struct pond *pond, struct pond_node *node, const struct effect *effect);
void membership_forget(struct pond *pond, struct pond_node *node);
void membership_look(struct pond *pond);
bool laws_healthy_are_heard(struct pond *pond); /* runs until they are, while foxes go on */
struct watched *laws_watch(struct pond *pond, const struct id *peck);
void laws_judge_peck(struct pond *pond, struct pond_node *node, const struct effect *effect,
                     bool is_kept);
void laws_judge_partial(struct pond *pond, struct pond_node *node, const struct effect *effect,
                        bool is_kept);
void laws_judge_receipt(struct pond *pond, struct pond_node *node, const struct effect *effect);
void laws_judge_bond(struct pond *pond, struct pond_node *node, const struct bond *bond);
void laws_judge_hand_out(struct pond *pond, struct pond_node *node, const struct effect *effect);

void laws_judge_tiers(struct pond *pond); /* when all hold the same */
void laws_judge_withdrawn(struct pond *pond, const struct pond_node *node,
                          const struct offered_record *item);

/* ---- what goes on ---- */
void faults_draw(struct pond *pond);
void faults_step(struct pond *pond);
void network_set_cuts(struct pond *pond, const struct cuts *cuts); /* owns its sides */
bool faults_tear(struct pond *pond, struct pond_node *node); /* does its process end in this turn? */
void life_step(struct pond *pond);
void life_change(struct pond *pond);
bool life_any_duck(struct pond *pond, struct dice *dice, struct id *duck, uint32_t *node);
void life_hear(struct pond *pond, struct pond_node *node, const struct effect *reply);
void life_hatch(struct pond *pond, struct pond_node *node, const char *name, bool tracked);
void life_revoke(struct pond *pond, struct pond_node *node, const struct id *duckling);
void life_rotate(struct pond *pond, struct pond_node *node, const struct id *duckling,
                 const uint8_t takes_over[SEED_SIZE]);
void life_rename(struct pond *pond, struct pond_node *node, const struct id *duckling,
                 const char *name, bool tracked);
struct operators *operators_new(uint64_t seed);
void operators_free(struct operators *operators);
void operators_vouch(struct pond *pond, struct pond_node *node, size_t number, const struct id *duckling);
void operators_withdraw(struct pond *pond, struct pond_node *node, size_t number,
                        const struct id *duckling);
void operators_step(struct pond *pond, struct pond_node *any, const struct id *duckling,
                    struct pond_node *home); /* any: that is up; or NULL */
/* ---- grants ---- */
struct pond_grants *grants_of_pond_new(void);
void grants_of_pond_free(struct pond_grants *grants);
void grants_step(struct pond *pond);
struct bytes grants_any_wire(struct pond *pond, struct dice *dice); /* empty: there is none */
void grants_hear_revoked(struct pond *pond, uint64_t number);
bool laws_judge_granted(struct pond *pond, struct pond_node *node, const struct effect *effect);
void laws_hear_revoked(struct pond *pond, const struct kept_peck *sent);
/* ---- lobster binds ---- */
struct pond_lobsters *lobsters_of_pond_new(void);
void lobsters_of_pond_free(struct pond_lobsters *lobsters);
void lobsters_step(struct pond *pond);
void disk_keep_lobster(struct pond_store *store, const struct lobster *lobster);
void disk_drop_lobster(struct pond_store *store, const struct lobster *lobster);
void laws_judge_lobster(struct pond *pond, struct pond_node *node, const struct lobster *lobster);
void laws_judge_lobster_ends(struct pond *pond); /* when all hold the same */

struct order *life_ask(struct pond *pond, struct message *message, enum order_kind kind,
                       const struct id *duckling);
void life_about_grant(struct pond *pond, uint64_t number);

/* ---- contexts ---- */
struct stolen_context {
    struct id duck;
    uint32_t node;               /* where it lives */
    struct bytes wire;
    uint8_t seed[SEED_SIZE];
    uint64_t issued_ms;          /* wall */
};
struct pond_contexts *contexts_of_pond_new(void);
void contexts_of_pond_free(struct pond_contexts *contexts);
void contexts_step(struct pond *pond);
bool contexts_any_stolen(struct pond *pond, struct dice *dice, struct stolen_context *stolen);
struct bytes contexts_make(struct pond *pond, struct bytes chain, const struct id *duck,
                           const struct identity_key *key, bool is_own, uint8_t seed[SEED_SIZE],
                           struct arena *arena);
void contexts_hear_kept(struct pond *pond, const struct kept_context *kept);
bool laws_judge_under(struct pond *pond, struct pond_node *node, const struct effect *effect);

/* ---- pond_own.c: ducklings that keep their own keys ---- */
bool own_is(const struct pond_node *node, const struct id *duckling);
void own_hatch(const struct pond *pond, const struct pond_node *node, struct message *message,
               struct order *order);
bool own_rotate(const struct pond *pond, const struct pond_node *node, struct message *message,
                struct order *order, const uint8_t next[SEED_SIZE]);
void own_keep(struct pond_node *node, const struct id *duckling, const uint8_t seeds[2][SEED_SIZE]);
void own_make(const struct pond *pond, const struct pond_node *node, struct message *message,
              struct order *order);
void own_wanted(struct pond *pond, struct pond_node *node, const struct effect *effect);
void own_sign(struct pond *pond, struct pond_node *node, const struct effect *reply);

struct life *life_new(void);
void life_free(struct life *life);
void spread_begin(struct pond *pond, struct pond_node *node, struct pooled *record);
void spread_arrived(struct pond *pond, struct pond_node *node, const struct event *event);
void spread_held(struct pond *pond, struct pond_node *node, struct pooled *record, const struct id *from);
void hostile_born(struct pond *pond, struct pond_node *node);
void hostile_free(struct hostile *hostile);
void hostile_hear(struct pond *pond, struct pond_node *node, const struct event *event,
                  const struct frame *frame);
bool hostile_any_duck(struct pond *pond, struct dice *dice, struct id *duck);
void hostile_step(struct pond *pond, struct pond_node *node);

static inline bool is_healthy(const struct pond_node *node)
{
    return !node->hostile;
}
static inline void plan(struct pond *pond, uint64_t in_us, struct happening happening)
{
    happening.at_us = pond->now_us + in_us;
    queue_add(&pond->queue, happening);
}
static inline bool one_in(struct dice *dice, uint32_t ppm)
{
    return ppm > 0 && dice_below(dice, 1000000) < ppm;
}
static inline uint64_t between(struct dice *dice, uint64_t low, uint64_t high)
{
    return low + dice_below(dice, high - low + 1);
}

#endif
