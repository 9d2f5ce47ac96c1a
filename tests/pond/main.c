/* pond: makes a pond, lets it live, and says what happened. See usage(). */
#include "swarm.h"

#include <getopt.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define AGREE_MS (600 * SECOND_MS) /* for ponds of any size to form, or to heal */

struct named_bit {
    const char *name;
    unsigned bit;
};

static const struct named_bit faults[] = {{"loss", FAULT_LOSS},
                                          {"delay", FAULT_DELAY},
                                          {"duplicate", FAULT_DUPLICATE},
                                          {"partition", FAULT_PARTITION},
                                          {"clog", FAULT_CLOG},
                                          {"pause", FAULT_PAUSE},
                                          {"crash", FAULT_CRASH},
                                          {"power", FAULT_POWER},
                                          {"clock", FAULT_CLOCK},
                                          {"disk", FAULT_DISK},
                                          {"slow", FAULT_SLOW},
                                          {"all", FAULT_ALL},
                                          {NULL, 0}};

static const struct named_bit habits[] = {{"forge", HABIT_FORGE},
                                          {"replay", HABIT_REPLAY},
                                          {"equivocate", HABIT_EQUIVOCATE},
                                          {"flood", HABIT_FLOOD},
                                          {"eclipse", HABIT_ECLIPSE},
                                          {"lie", HABIT_LIE},
                                          {"accuse", HABIT_ACCUSE},
                                          {"fly", HABIT_FLY},
                                          {"peck", HABIT_PECK},
                                          {"revoke", HABIT_REVOKE},
                                          {"contradict", HABIT_CONTRADICT},
                                          {"all", HABIT_ALL},
                                          {NULL, 0}};

struct options {
    struct pond_wish wish;
    double minutes;
    uint64_t seeds;
    bool twice, disagree;
};

static void usage(FILE *out)
{
    fputs("pond: whole agents on a made-up clock and network\n\n"
          "  pond --nodes N --minutes M     N nodes form, then live for M simulated minutes\n"
          "  pond --seeds COUNT             COUNT ponds of 3 to 32 nodes, faults drawn by each "
          "seed;\n"
          "                                 stops at the first broken law\n\n"
          "  --seed S           the first seed (1)\n"
          "  --faults LIST      all, none, or of: loss delay duplicate partition clog pause crash\n"
          "                     power clock disk slow; with a minus in front: without it\n"
          "  --habits LIST      of hostile nodes: all, none, or of: forge replay equivocate flood\n"
          "                     eclipse lie accuse fly peck; beside them revoke, which is honest:\n"
          "                     the way of its revocations is followed\n"
          "  --hostile K        so many hostile nodes\n"
          "  --siege            all of them around the first node\n"
          "  --ducklings K      so many ducklings hatch, and peck each other\n"
          "  --changes R        so many changed records a minute, whose way is followed\n"
          "  --loss P           percent of frames that are lost, always\n"
          "  --latency MS       one way, of the middle link (10)\n"
          "  --known K          how many others each node is told of at birth (2)\n"
          "  --twice            each seed two times; their traces must be the same, to the byte\n"
          "  --disagree         that all agree in the end is no law\n"
          "  --trace            every line\n",
          out);
}

static bool read_bits(const struct named_bit *names, char *list, unsigned *bits)
{
    char *rest = NULL;

    *bits = 0;
    for (char *word = strtok_r(list, ", ", &rest); word; word = strtok_r(NULL, ", ", &rest)) {
        bool without = *word == '-';
        const struct named_bit *at = names;

        if (strcmp(word, "none") == 0)
            continue;
        while (at->name && strcmp(at->name, word + without) != 0)
            at++;
        if (!at->name) {
            fprintf(stderr, "pond: nobody knows what '%s' is\n", word);
            return false;
        }
        *bits = without ? *bits & ~at->bit : *bits | at->bit;
    }
    return true;
}

static bool read_options(int count, char **words, struct options *options)
{
    static const struct option known[] = {
        {"nodes", required_argument, NULL, 'n'},   {"seed", required_argument, NULL, 's'},
        {"minutes", required_argument, NULL, 'm'}, {"loss", required_argument, NULL, 'l'},
        {"faults", required_argument, NULL, 'f'},  {"hostile", required_argument, NULL, 'k'},
        {"habits", required_argument, NULL, 'b'},  {"ducklings", required_argument, NULL, 'd'},
        {"changes", required_argument, NULL, 'c'}, {"seeds", required_argument, NULL, 'x'},
        {"latency", required_argument, NULL, 'y'}, {"known", required_argument, NULL, 'w'},
        {"siege", no_argument, NULL, 'g'},         {"twice", no_argument, NULL, '2'},
        {"trace", no_argument, NULL, 't'},         {"disagree", no_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    struct pond_wish *wish = &options->wish;
    bool is_fine = true;
    int word;

    while ((word = getopt_long(count, words, "", known, NULL)) != -1)
        switch (word) {
        case 'n':
            wish->nodes = strtoul(optarg, NULL, 10);
            break;
        case 's':
            wish->seed = strtoull(optarg, NULL, 10);
            break;
        case 'm':
            options->minutes = strtod(optarg, NULL);
            break;
        case 'l':
            wish->loss_ppm = (uint32_t)(strtod(optarg, NULL) * 10000);
            break;
        case 'f':
            is_fine &= read_bits(faults, optarg, &wish->faults);
            break;
        case 'b':
            is_fine &= read_bits(habits, optarg, &wish->habits);
            break;
        case 'k':
            wish->hostile = strtoul(optarg, NULL, 10);
            break;
        case 'd':
            wish->ducklings = strtoul(optarg, NULL, 10);
            break;
        case 'c':
            wish->changes_per_minute = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'x':
            options->seeds = strtoull(optarg, NULL, 10);
            break;
        case 'y':
            wish->latency_us = (uint32_t)(strtod(optarg, NULL) * 1000);
            break;
        case 'w':
            wish->seeds_known = strtoul(optarg, NULL, 10);
            break;
        case 'g':
            wish->siege = true;
            break;
        case '2':
            options->twice = true;
            break;
        case 'a':
            options->disagree = true;
            break;
        case 't':
            wish->trace = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            is_fine = false;
            break;
        }
    return is_fine && optind == count;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double peak_mib(void)
{
    struct rusage usage_now;

    getrusage(RUSAGE_SELF, &usage_now);
    return (double)usage_now.ru_maxrss / 1024;
}

/* ---- one pond ---- */

static void say_spread(const struct pond_figures *figures)
{
    if (figures->changes == 0)
        return;
    printf("changes: %zu, of which all nodes hold %zu; %.2f copies of one at a node; %u hops at "
           "most\n",
           figures->changes, figures->changes_whole, figures->copies_mean, figures->hops_max);
    printf("  held by 50 %% after %.0f ms (worst %llu), by 99.9 %% after %.0f (%llu), by all after "
           "%.0f (%llu)\n",
           figures->half_ms_mean, (unsigned long long)figures->half_ms, figures->most_ms_mean,
           (unsigned long long)figures->most_ms, figures->all_ms_mean,
           (unsigned long long)figures->all_ms);
}

static void say_faults(const struct pond_figures *figures)
{
    printf("faults: %llu frames lost, %llu twice, %llu crashes, %llu power cuts, %llu pauses, %llu "
           "partitions, %llu clogs, %llu clocks wrong, %llu disks full\n",
           (unsigned long long)figures->lost, (unsigned long long)figures->duplicates,
           (unsigned long long)figures->crashes, (unsigned long long)figures->power_cuts,
           (unsigned long long)figures->pauses, (unsigned long long)figures->partitions,
           (unsigned long long)figures->clogs, (unsigned long long)figures->jumps,
           (unsigned long long)figures->disks_full);
    printf("refused: %llu frames, %llu of them offences; dials: %llu, %llu failed\n",
           (unsigned long long)figures->refused_frames, (unsigned long long)figures->offences,
           (unsigned long long)figures->dials, (unsigned long long)figures->dials_failed);
    printf("pecks: %llu ordered, %llu handed out, %llu answered; of foxes %llu kept, %llu of them "
           "under a bond, %llu handed out\n",
           (unsigned long long)figures->pecks, (unsigned long long)figures->handed_out,
           (unsigned long long)figures->answered, (unsigned long long)figures->fox_pecks,
           (unsigned long long)figures->fox_pecks_covered,
           (unsigned long long)figures->fox_pecks_handed_out);
    printf("grants: %llu made or narrowed, %llu revoked by pecks; %llu pecks taken under one\n",
           (unsigned long long)figures->grants, (unsigned long long)figures->grants_revoked,
           (unsigned long long)figures->pecks_granted);
    printf("lobster binds: %llu times one was live\n", (unsigned long long)figures->lobsters_live);
    printf("contexts: %llu issued, %llu revoked; %llu pecks kept under one, %llu of them under a "
           "stolen one\n",
           (unsigned long long)figures->contexts, (unsigned long long)figures->contexts_revoked,
           (unsigned long long)figures->pecks_under,
           (unsigned long long)figures->pecks_under_stolen);
    printf("vouchers: %llu held in the end, %llu of them taken back\n",
           (unsigned long long)figures->vouchers, (unsigned long long)figures->vouchers_void);
    printf("contradictions: %llu identities in quarantine in the end\n",
           (unsigned long long)figures->contradicted);
    printf("answers in parts: %llu, of all parts %llu came; %llu taken back from their targets\n",
           (unsigned long long)figures->answers_in_parts, (unsigned long long)figures->partials,
           (unsigned long long)figures->cancelled);
    printf("perches: %llu pecks brought to some, %llu came from there; %llu times a duckling was "
           "to be "
           "revoked\n",
           (unsigned long long)figures->brought, (unsigned long long)figures->collected,
           (unsigned long long)figures->revoked);
}

static void say_verdicts(const struct pond_figures *figures)
{
    printf(
        "false verdicts: %llu suspected, %llu dead, for %llu ms in all; held dead for %llu ms at "
        "most\n",
        (unsigned long long)figures->suspected, (unsigned long long)figures->false_deaths,
        (unsigned long long)figures->false_ms, (unsigned long long)figures->held_dead_ms);
    if (figures->heard_ms > 0)
        printf("with foxes about, all heard all healthy nodes within %llu ms after faults\n",
               (unsigned long long)figures->heard_ms);
}

static void say_figures(struct pond *pond, double since)
{
    struct pond_figures figures;
    double took = seconds() - since;

    pond_figures(pond, &figures);
    printf("nodes up: %zu; records: %zu to %zu; links: %zu to %zu, %.1f on the average\n",
           figures.healthy, figures.records_min, figures.records_max, figures.degree_min,
           figures.degree_max, figures.degree_mean);
    if (figures.agreed_at_ms != MOMENT_NEVER)
        printf("all agreed first at %llu ms\n", (unsigned long long)figures.agreed_at_ms);
    else
        printf("all have never agreed\n");
    say_spread(&figures);
    printf("wire: %llu frames, %.1f MB; since it formed %.0f bytes/s a node (most: %.0f), headers "
           "included\n",
           (unsigned long long)figures.frames, (double)figures.bytes / 1e6,
           figures.bytes_per_node_s_mean, figures.bytes_per_node_s_max);
    say_faults(&figures);
    say_verdicts(&figures);
    printf("trace %016llx; %llu happenings, %llu turns, %llu frames opened, %llu again, in %.2f s "
           "(%.1f us a turn); %.0f MiB at most\n",
           (unsigned long long)pond_trace_hash(pond), (unsigned long long)figures.happenings,
           (unsigned long long)figures.turns, (unsigned long long)figures.opened,
           (unsigned long long)figures.opened_again, took, took * 1e6 / (double)figures.turns,
           peak_mib());
}

static int say_broken(const struct pond *pond, const char *replay)
{
    printf("%s  see it again: ./duck pond %s --trace\n", pond_broken(pond), replay);
    return 1;
}

static void write_replay(int count, char **words, char *replay, size_t size)
{
    size_t used = 0;

    replay[0] = 0;
    for (int i = 1; i < count && used < size; i++)
        used += (size_t)snprintf(replay + used, size - used, "%s%s", i > 1 ? " " : "", words[i]);
}

static bool live(struct pond *pond, const struct options *options)
{
    char why[256];
    uint64_t ms = (uint64_t)(options->minutes * 60000);

    while (!pond_agrees(pond, why) || pond_now_ms(pond) < 3 * SECOND_MS)
        if (!pond_run(pond, SECOND_MS) || pond_now_ms(pond) > AGREE_MS)
            break;
    printf("formed: %s after %llu ms%s%s\n", why[0] ? "not" : "all agree",
           (unsigned long long)pond_now_ms(pond), why[0] ? ": " : "", why);
    pond_figures_begin(pond);
    pond_begin_changes(pond);
    if (options->wish.faults)
        pond_begin_faults(pond);
    if (!pond_run(pond, ms))
        return false;
    pond_end_faults(pond);
    return options->disagree ? pond_run(pond, SWARM_AGREE_MS)
                             : pond_run_until_agreed(pond, SWARM_AGREE_MS);
}

static int run_one(const struct options *options, const char *replay)
{
    double since = seconds();
    struct pond *pond = pond_new(&options->wish);
    bool is_fine = live(pond, options);

    say_figures(pond, since);
    if (!is_fine)
        say_broken(pond, replay);
    pond_free(pond);
    return is_fine ? 0 : 1;
}

/* ---- many ponds ---- */

static void add_figures(struct pond_figures *sum, struct pond *pond)
{
    struct pond_figures one;

    pond_figures(pond, &one);
    sum->lost += one.lost;
    sum->duplicates += one.duplicates;
    sum->crashes += one.crashes;
    sum->power_cuts += one.power_cuts;
    sum->pauses += one.pauses;
    sum->partitions += one.partitions;
    sum->clogs += one.clogs;
    sum->jumps += one.jumps;
    sum->disks_full += one.disks_full;
    sum->refused_frames += one.refused_frames;
    sum->offences += one.offences;
    sum->dials += one.dials;
    sum->dials_failed += one.dials_failed;
    sum->pecks += one.pecks;
    sum->handed_out += one.handed_out;
    sum->answered += one.answered;
    sum->partials += one.partials;
    sum->answers_in_parts += one.answers_in_parts;
    sum->cancelled += one.cancelled;
    sum->revoked += one.revoked;
    sum->brought += one.brought;
    sum->collected += one.collected;
    sum->grants += one.grants;
    sum->grants_revoked += one.grants_revoked;
    sum->lobsters_live += one.lobsters_live;
    sum->pecks_granted += one.pecks_granted;
    sum->contexts += one.contexts;
    sum->contexts_revoked += one.contexts_revoked;
    sum->pecks_under += one.pecks_under;
    sum->pecks_under_stolen += one.pecks_under_stolen;
    sum->fox_pecks += one.fox_pecks;
    sum->fox_pecks_covered += one.fox_pecks_covered;
    sum->fox_pecks_handed_out += one.fox_pecks_handed_out;
    sum->contradicted += one.contradicted;
    sum->vouchers += one.vouchers;
    sum->vouchers_void += one.vouchers_void;
    sum->turns += one.turns;
    sum->suspected += one.suspected;
    sum->false_deaths += one.false_deaths;
    sum->false_ms += one.false_ms;
    if (one.heard_ms > sum->heard_ms)
        sum->heard_ms = one.heard_ms;
    if (one.held_dead_ms > sum->held_dead_ms)
        sum->held_dead_ms = one.held_dead_ms;
}

static size_t write_list(const struct named_bit *names, unsigned bits, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "none");

    for (; names->bit != FAULT_ALL && names->bit != HABIT_ALL && names->name; names++)
        if (bits & names->bit)
            used += (size_t)snprintf(text + used, size - used, ",%s", names->name);
    return used;
}

static void write_bits(const struct options *options, char text[256])
{
    size_t used = (size_t)snprintf(text, 256, " --faults ");

    used += write_list(faults, options->wish.faults, text + used, 256 - used);
    used += (size_t)snprintf(text + used, 256 - used, " --habits ");
    write_list(habits, options->wish.habits, text + used, 256 - used);
}

static bool run_seed(const struct options *options, uint64_t seed, uint64_t *hash,
                     struct pond_figures *sum)
{
    struct pond_wish wish = swarm_wish(seed, options->wish.faults, options->wish.habits);
    struct pond *pond;
    bool is_fine;

    wish.trace = options->wish.trace;
    pond = pond_new(&wish);
    is_fine = swarm_run(pond, seed, !options->disagree);
    *hash = pond_trace_hash(pond);
    add_figures(sum, pond);
    if (!is_fine) {
        char replay[320], bits[256];

        write_bits(options, bits);
        snprintf(replay, sizeof replay, "--seeds 1 --seed %llu%s", (unsigned long long)seed, bits);
        say_broken(pond, replay);
    }
    pond_free(pond);
    return is_fine;
}

static int run_seeds(const struct options *options)
{
    struct pond_figures sum = {0};
    double since = seconds();
    uint64_t hash, again;

    for (uint64_t i = 0; i < options->seeds; i++) {
        uint64_t seed = options->wish.seed + i;

        if (!run_seed(options, seed, &hash, &sum))
            return 1;
        if (!options->twice)
            continue;
        if (!run_seed(options, seed, &again, &sum) || again != hash) {
            printf("seed %llu went two ways: %016llx, then %016llx\n", (unsigned long long)seed,
                   (unsigned long long)hash, (unsigned long long)again);
            return 1;
        }
    }
    printf("%llu seeds from %llu: no law broken; %llu turns in %.1f s, %.0f MiB at most\n",
           (unsigned long long)options->seeds, (unsigned long long)options->wish.seed,
           (unsigned long long)sum.turns, seconds() - since, peak_mib());
    say_faults(&sum);
    say_verdicts(&sum);
    return 0;
}

int main(int count, char **words)
{
    struct options options = {.wish = {.seed = 1, .habits = HABIT_ALL}, .minutes = 1};
    char replay[1024];

    options.wish.faults = 0;
    if (!read_options(count, words, &options) || (options.wish.nodes == 0 && options.seeds == 0)) {
        usage(stderr);
        return 2;
    }
    if (!identity_self_test())
        return 3;
    setvbuf(stdout, NULL, _IOLBF, 0);
    options.wish.pecks = options.wish.ducklings > 1;
    write_replay(count, words, replay, sizeof replay);
    return options.seeds ? run_seeds(&options) : run_one(&options, replay);
}
