/* Says the words of duck_client.h and duck_key.h to a real node, and looks whether they did what the headers say.
 * client_words FOLDER: for key files. The node is that of $DUCKNODE_SOCKET. */
#include "client/duck_client.h"
#include "client/duck_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 20000u

static struct duck *duck;

#define MUST(what) must((what), #what, __LINE__)

static void must(bool is_so, const char *what, int line)
{
    if (is_so)
        return;
    fprintf(stderr, "line %d: not so: %s\n", line, what);
    exit(1);
}

/* What went well, for one more look. */
static struct duck_answer *well(struct duck_answer *answer)
{
    if (!duck_ok(answer)) {
        fprintf(stderr, "%s: %s (%s)\n", duck_code(answer), duck_message(answer),
                duck_field(answer));
        exit(1);
    }
    return answer;
}

static void done(struct duck_answer *answer)
{
    duck_answer_free(well(answer));
}

static void hatch(const char *name, char id[64])
{
    struct duck_profile profile = {.display_name = name};
    struct duck_answer *answer = well(duck_hatch(duck, &profile));

    snprintf(id, 64, "%s", duck_hatched_id(answer));
    duck_answer_free(answer);
}

static void send(const struct duck_peck *peck, const char *state, char id[64])
{
    struct duck_answer *answer = well(duck_send(duck, peck, DUCK_WAIT_TAKEN, WAIT_MS));

    if (strcmp(duck_peck_state(answer), state) != 0)
        fprintf(stderr, "it is %s\n", duck_peck_state(answer));
    MUST(strcmp(duck_peck_state(answer), state) == 0);
    snprintf(id, 64, "%s", duck_peck_id(answer));
    duck_answer_free(answer);
}

/* Its agent takes the one that waits. */
static void take(const char *duckling, const char *peck_id)
{
    struct duck_answer *answer = well(duck_take(duck, duckling, 5, WAIT_MS, 60000));
    struct duck_item item;

    MUST(duck_count(answer) == 1 && duck_item(answer, 0, &item));
    MUST(strcmp(item.peck_id, peck_id) == 0 && item.incoming && !item.bond_request);
    duck_answer_free(answer);
}

static void look_at_bond(const char *duckling, bool requested_here, const char *health,
                         uint64_t spent, char id[64])
{
    struct duck_answer *answer = well(duck_bonds(duck, duckling));
    struct duck_bond bond;

    MUST(duck_bond_count(answer) == 1 && duck_bond(answer, 0, &bond));
    MUST(bond.requested_here == requested_here && strcmp(bond.health, health) == 0);
    MUST(bond.scope_count == 1 && strcmp(bond.scopes[0], "count.*") == 0);
    MUST(bond.terms.budget == 10 && bond.terms.per_minute == 600 && bond.terms.rounds == 64);
    MUST(bond.spent == spent);
    snprintf(id, 64, "%s", bond.bond_id);
    duck_answer_free(answer);
}

static void a_profile_is_found(const char *ben)
{
    static const char *const capabilities[] = {"count"};
    struct duck_profile profile = {
        .bio = "Knows numbers.", .capabilities = capabilities, .capability_count = 1};
    struct duck_search search = {.capability = "count"};
    struct duck_answer *answer;
    struct duck_entry entry;

    done(duck_set_profile(duck, ben, &profile));
    done(duck_pulse(duck, ben));
    answer = well(duck_search(duck, &search));
    MUST(duck_entry(answer, 0, &entry) && strcmp(entry.duckling, ben) == 0);
    MUST(strcmp(entry.display_name, "Ben") == 0 && strcmp(entry.bio, "Knows numbers.") == 0);
    MUST(!duck_entry(answer, 1, &entry) && !*duck_next_cursor(answer));
    duck_answer_free(answer);
}

static void a_bond_is_made_with_terms(const char *ann, const char *ben, char bond[64])
{
    static const char *const scopes[] = {"count.*"};
    struct duck_peck request = {
        .from = ann, .to = ben, .scopes = scopes, .scope_count = 1, .message = "May I?"};
    struct duck_terms terms = {.per_minute = 600, .budget = 10};
    char peck[64];

    send(&request, "pending", peck);
    done(duck_approve_with(duck, ben, peck, NULL, 0, 0, &terms,
                           DUCK_TERM_PER_MINUTE | DUCK_TERM_BUDGET));
    look_at_bond(ann, true, "active", 0, bond);
    look_at_bond(ben, false, "active", 0, bond);
}

static void an_answer_comes_in_parts_and_costs(const struct duck_peck *peck)
{
    struct duck_answer *answer;
    struct duck_partial partial;
    char id[64], bond[64];

    send(peck, "taken", id);
    take(peck->to, id);
    answer = well(duck_answer_partial(duck, peck->to, id, "1", 0));
    MUST(duck_partial_number(answer) == 1);
    duck_answer_free(answer);
    answer = well(duck_partials(duck, id, 0, 0, WAIT_MS));
    MUST(duck_partial_count(answer) == 1 && duck_partial(answer, 0, &partial));
    MUST(partial.number == 1 && strcmp(partial.result, "1") == 0);
    MUST(!duck_partials_end(answer, 1));
    duck_answer_free(answer);
    done(duck_answer_charged(duck, peck->to, id, "2", 3));
    answer = well(duck_peck_get(duck, id, DUCK_WAIT_DONE, WAIT_MS));
    MUST(strcmp(duck_peck_state(answer), "answered") == 0);
    MUST(strcmp(duck_peck_result(answer), "2") == 0);
    duck_answer_free(answer);
    answer = well(duck_partials(duck, id, 1, 0, WAIT_MS));
    MUST(duck_partial_count(answer) == 0 && duck_partials_end(answer, 1));
    duck_answer_free(answer);
    look_at_bond(peck->to, false, "active", 4, bond); /* the action and its charge */
}

static void a_mute_refuses_and_says_when_again(const struct duck_peck *peck, const char *bond)
{
    struct duck_terms terms = {.muted_until_ms = UINT64_C(4000000000000)};
    struct duck_answer *answer;
    char id[64];

    done(duck_bond_set(duck, peck->to, bond, NULL, 0, 0, &terms, DUCK_TERM_MUTED_UNTIL));
    answer = well(duck_send(duck, peck, DUCK_WAIT_DONE, WAIT_MS));
    MUST(strcmp(duck_peck_state(answer), "failed") == 0);
    MUST(strcmp(duck_peck_refusal(answer), "bond_muted") == 0);
    MUST(duck_retry_after_ms(answer) > 0);
    duck_answer_free(answer);
    terms.muted_until_ms = 0;
    done(duck_bond_set(duck, peck->to, bond, NULL, 0, 0, &terms, DUCK_TERM_MUTED_UNTIL));
    send(peck, "taken", id);
    take(peck->to, id);
    done(duck_fail_peck(duck, peck->to, id, "no numbers today"));
    answer = well(duck_peck_get(duck, id, DUCK_WAIT_DONE, WAIT_MS));
    MUST(strcmp(duck_peck_state(answer), "failed") == 0);
    duck_answer_free(answer);
}

static void what_is_acknowledged_is_taken_back(const struct duck_peck *peck)
{
    struct duck_answer *answer;
    const char *ids[1];
    char id[64];

    send(peck, "taken", id);
    take(peck->to, id);
    ids[0] = id;
    done(duck_acknowledge(duck, peck->to, ids, 1));
    done(duck_cancel(duck, peck->from, id));
    answer = well(duck_peck_get(duck, id, DUCK_WAIT_DONE, WAIT_MS));
    MUST(strcmp(duck_peck_state(answer), "cancelled") == 0);
    duck_answer_free(answer);
}

static void without_the_bond_the_owner_is_asked(const struct duck_peck *peck, const char *bond)
{
    struct duck_answer *answer;
    char id[64];

    done(duck_unpeck(duck, peck->to, bond));
    send(peck, "pending", id);
    done(duck_deny(duck, peck->to, id, "not you"));
    answer = well(duck_peck_get(duck, id, DUCK_WAIT_DONE, WAIT_MS));
    MUST(strcmp(duck_peck_state(answer), "denied") == 0);
    duck_answer_free(answer);
    send(peck, "pending", id);
    done(duck_approve(duck, peck->to, id, NULL, 0, 0)); /* once */
    take(peck->to, id);
    done(duck_answer_peck(duck, peck->to, id, "3"));
}

static void one_with_its_own_key_sends(const char *folder, const char *ben)
{
    struct duck_peck peck = {.to = ben, .action = "count.up"};
    char path[512], next[512];
    const char *problem = "";
    struct duck_holder *vault;
    struct duck_answer *answer;

    snprintf(path, sizeof path, "%s/words.key", folder);
    snprintf(next, sizeof next, "%s/words.next", folder);
    MUST(duck_key_make("Vault", path, next, &problem) == 0);
    vault = duck_holder_open(path, &problem);
    MUST(vault);
    MUST(!duck_hatch_hindrance(duck, vault));
    done(duck_hatch_own(duck, vault, NULL));
    answer =
        well(duck_send_own(duck, vault, getenv("WORDS_NETWORK"), &peck, DUCK_WAIT_TAKEN, WAIT_MS));
    MUST(strcmp(duck_peck_state(answer), "pending") == 0);
    duck_answer_free(answer);
    duck_holder_free(vault);
}

int main(int argc, char **argv)
{
    const char *problem = "";
    char ann[64], ben[64], bond[64];
    struct duck_peck peck = {.from = ann, .to = ben, .action = "count.up", .payload = "{\"n\":1}"};

    if (argc != 2 || duck_connect(&duck, NULL, &problem) != 0)
        return fprintf(stderr, "client_words FOLDER: %s\n", problem), 2;
    hatch("Ann", ann);
    hatch("Ben", ben);
    a_profile_is_found(ben);
    a_bond_is_made_with_terms(ann, ben, bond);
    an_answer_comes_in_parts_and_costs(&peck);
    a_mute_refuses_and_says_when_again(&peck, bond);
    what_is_acknowledged_is_taken_back(&peck);
    without_the_bond_the_owner_is_asked(&peck, bond);
    one_with_its_own_key_sends(argv[1], ben);
    duck_close(duck);
    printf("all words\n");
    return 0;
}
