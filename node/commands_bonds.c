/* Bonds, from the command line: what they allow, changed by who approved them. */
#include "client/duck_client.h"
#include "clock.h"
#include "commands.h"
#include "core/binary_data.h"
#include "core/limits.h"
#include "core/peck.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

/* ---- terms on a command line ---- */

/* "+90" is in ninety seconds. */
bool call_time(const struct call *call, const char *name, uint64_t *wall_ms)
{
    const char *text = call_flag(call, name), *rest;
    struct tm date = {0};
    uint64_t part_ms = 0;
    char *end;

    if (!text)
        return true;
    if (text[0] == '+' && text[1] >= '0' && text[1] <= '9') {
        uint64_t seconds = strtoull(text + 1, &end, 10);

        *wall_ms = clock_wall_ms() + seconds * 1000;
        if (!*end && seconds < MUTE_LATEST_MS / 1000)
            return true;
    }
    rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &date);
    if (rest && rest[0] == '.' && strspn(rest + 1, "0123456789") == 3) {
        part_ms = strtoull(rest + 1, NULL, 10);
        rest += 4;
    }
    if (rest && !strcmp(rest, "Z") && timegm(&date) > 0) {
        *wall_ms = (uint64_t)timegm(&date) * 1000 + part_ms;
        return true;
    }
    misused(call, "--%s takes a time as 2026-03-21T10:00:00Z, or +SECONDS, not '%s'", name, text);
    return false;
}

static bool read_count(const struct call *call, const char *flag, uint64_t max, uint32_t bit,
                       uint64_t *number, uint32_t *named)
{
    if (!call_has(call, flag))
        return true;
    if (!call_number(call, flag, number))
        return false;
    if (*number > max) {
        misused(call, "--%s is at most %" PRIu64 ", or 0 for no limit", flag, max);
        return false;
    }
    *named |= bit;
    return true;
}

static bool read_counts(const struct call *call, Duck__BondTerms *terms, uint32_t *named)
{
    uint64_t per_minute = 0, per_day = 0, rounds = 0, cool_down_s = 0;

    if (!read_count(call, "rate", BOND_PER_MINUTE_MAX, DUCK_TERM_PER_MINUTE, &per_minute, named) ||
        !read_count(call, "daily", BOND_PER_DAY_MAX, DUCK_TERM_PER_DAY, &per_day, named) ||
        !read_count(call, "budget", BOND_BUDGET_MAX, DUCK_TERM_BUDGET, &terms->budget, named) ||
        !read_count(call, "rounds", BOND_ROUNDS_MAX, DUCK_TERM_ROUNDS, &rounds, named) ||
        !read_count(call, "cool-down", BOND_COOL_DOWN_MAX_MS / 1000, DUCK_TERM_COOL_DOWN,
                    &cool_down_s, named))
        return false;
    terms->per_minute = (uint32_t)per_minute;
    terms->per_day = (uint32_t)per_day;
    terms->rounds = (uint32_t)rounds;
    terms->cool_down_ms = cool_down_s * 1000;
    return true;
}

Duck__BondTerms *call_terms(const struct call *call, uint32_t *named)
{
    static ProtobufCBinaryData stop_words[BOND_STOP_WORDS_MAX + 1];
    static Duck__BondTerms terms;
    const char *words[BOND_STOP_WORDS_MAX + 1]; /* one too many: the node says so */

    duck__bond_terms__init(&terms);
    *named = 0;
    if (!read_counts(call, &terms, named) || !call_time(call, "mute-until", &terms.muted_until_ms))
        return NULL;
    if (call_has(call, "mute-until"))
        *named |= DUCK_TERM_MUTED_UNTIL;
    terms.n_stop_words = call_flags(call, "stop-word", words, BOND_STOP_WORDS_MAX + 1);
    for (size_t i = 0; i < terms.n_stop_words; i++)
        stop_words[i] = lent(bytes_of_text(words[i]));
    terms.stop_words = stop_words;
    if (terms.n_stop_words > 0 || call_has(call, "no-stop-words"))
        *named |= DUCK_TERM_STOP_WORDS;
    return &terms;
}

/* ---- printing ---- */

static void print_limit(const char *name, uint64_t limit, const char *unit)
{
    if (limit)
        printf("  %-10s %" PRIu64 "%s\n", name, limit, unit);
}

static void print_used(const char *name, uint64_t used, uint64_t limit, const char *unit)
{
    if (limit)
        printf("  %-10s %" PRIu64 " of %" PRIu64 "%s\n", name, used, limit, unit);
}

/* What was used is known to the approver's node alone. */
static void print_terms(const Duck__BondView *bond)
{
    const Duck__BondTerms *terms = bond->terms;
    char until[32];

    if (!terms)
        return;
    print_limit("rate", terms->per_minute, " a minute");
    if (bond->requested_here) {
        print_limit("daily", terms->per_day, " a day");
        print_limit("budget", terms->budget, " units");
    } else {
        print_used("daily", bond->used_today, terms->per_day, " used today");
        print_used("budget", bond->spent, terms->budget, " units spent");
    }
    print_limit("rounds", terms->rounds, " in a thread");
    print_limit("cool-down", terms->cool_down_ms / 1000, " s after them");
    if (terms->muted_until_ms > clock_wall_ms())
        printf("  %-10s until %s\n", "muted", time_text(terms->muted_until_ms, until));
    for (size_t i = 0; i < terms->n_stop_words; i++) {
        printf("  %-10s ", "stop word");
        show_line(stdout, borrowed(terms->stop_words[i]));
        putchar('\n');
    }
}

static void print_bond(const Duck__BondView *bond)
{
    char ends[32];

    printf("%s  %-13s %s %s %s until %s:", bond->bond_id, bond->health, bond->duckling,
           bond->requested_here ? "may ask" : "is asked by", bond->with,
           time_text(bond->not_after_ms, ends));
    for (size_t i = 0; i < bond->n_scopes; i++)
        printf(" %.*s", (int)bond->scopes[i].len, (const char *)bond->scopes[i].data);
    printf("\n");
    print_terms(bond);
}

/* ---- commands ---- */

static int bonds(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__BondsQuery query = DUCK__BONDS_QUERY__INIT;
    Duck__Reply *reply;
    int result;

    query.duckling = lent_text(call->argument_count > 0 ? call->arguments[0] : "");
    request.order_case = DUCK__REQUEST__ORDER_BONDS;
    request.bonds = &query;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_of_message(reply->bonds));
    for (size_t i = 0; !call->json && i < reply->bonds->n_bonds; i++)
        print_bond(reply->bonds->bonds[i]);
    if (!call->json && reply->bonds->n_bonds == 0)
        printf("no bonds\n");
    duck_reply_free(reply);
    return 0;
}

static int change(struct call *call, Duck__BondOrder *order)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    int result;

    order->bond_id = lent_text(call->arguments[1]);
    request.order_case = DUCK__REQUEST__ORDER_BOND;
    request.bond = order;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_of_message(reply->bond));
    else
        print_bond(reply->bond);
    duck_reply_free(reply);
    return 0;
}

static int mute(struct call *call, bool muted)
{
    Duck__BondOrder order = DUCK__BOND_ORDER__INIT;
    Duck__BondTerms terms = DUCK__BOND_TERMS__INIT;

    if (muted)
        terms.muted_until_ms = MUTE_LATEST_MS;
    if (muted && !call_time(call, "until", &terms.muted_until_ms))
        return 2;
    order.terms = &terms;
    order.terms_named = DUCK_TERM_MUTED_UNTIL;
    return change(call, &order);
}

static int set(struct call *call)
{
    Duck__BondOrder order = DUCK__BOND_ORDER__INIT;
    ProtobufCBinaryData scopes[PECK_SCOPES_MAX];
    const char *names[PECK_SCOPES_MAX];

    order.terms = call_terms(call, &order.terms_named);
    if (!order.terms || !call_time(call, "until", &order.not_after_ms))
        return 2;
    order.n_scopes = call_flags(call, "scope", names, PECK_SCOPES_MAX);
    for (size_t i = 0; i < order.n_scopes; i++)
        scopes[i] = lent(bytes_of_text(names[i]));
    order.scopes = scopes;
    if (order.n_scopes == 0 && !order.not_after_ms && !order.terms_named) {
        return misused(call, "name what is to change");
    }
    return change(call, &order);
}

static int bond(struct call *call)
{
    const char *what = call->arguments[0];

    if (strcmp(what, "set") == 0)
        return set(call);
    if (strcmp(what, "mute") == 0)
        return mute(call, true);
    if (strcmp(what, "unmute") == 0)
        return mute(call, false);
    return misused_word(call);
}

static int unpeck(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__UnpeckOrder order = DUCK__UNPECK_ORDER__INIT;
    const char *other = call->arguments[1];
    Duck__Reply *reply;
    int result;

    order.duckling = lent_text(call->arguments[0]);
    order.bond_id = lent_text(strncmp(other, "bnd_", 4) == 0 ? other : "");
    order.with = lent_text(strncmp(other, "bnd_", 4) == 0 ? "" : other);
    request.order_case = DUCK__REQUEST__ORDER_UNPECK;
    request.unpeck = &order;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_of_message(reply->bond));
    else
        printf("ended %s\n", reply->bond->bond_id);
    duck_reply_free(reply);
    return 0;
}

static const struct command_flag bond_flags[] = {
    {"scope", "SCOPE", "set: of the bond, instead of those it has (repeatable)"},
    TERM_FLAGS,
    {"no-stop-words", NULL, "set: take all stop words away"},
    {"mute-until", "TIME", "set: let nothing through before"},
    {"until", "TIME", "set: when the bond ends; mute: until when (default: for good)"},
    {NULL, NULL, NULL},
};

const struct command bond_commands[] = {
    {"bonds", "[DUCKLING]", 0, 1,
     "The bonds of the ducklings that live here, and what is used of them.", NULL, "ducknode bonds",
     bonds},
    {"bond", "set|mute|unmute BOND", 2, 2, "Change what a bond allows that was approved here.",
     bond_flags, "ducknode bond set bnd_… --rate 60 --daily 1000 --budget 5000", bond},
    {"unpeck", "DUCKLING BOND|OTHER", 2, 2, "End a bond, at once and from this side.", NULL,
     "ducknode unpeck dkl_… bnd_…", unpeck},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
