#include "bond_terms.h"

#include <assert.h>

static_assert(BOND_STOP_WORD_MAX <= 64, "a word is one bit a byte");

struct bond_terms bond_terms_default(void)
{
    return (struct bond_terms){.rounds = BOND_ROUNDS_DEFAULT};
}

struct bond_terms bond_terms_change(const struct bond_terms *terms, const struct bond_terms *wish,
                                    unsigned set)
{
    struct bond_terms changed = *terms;

    if (set & BOND_TERM_PER_MINUTE)
        changed.per_minute = wish->per_minute;
    if (set & BOND_TERM_PER_DAY)
        changed.per_day = wish->per_day;
    if (set & BOND_TERM_BUDGET)
        changed.budget = wish->budget;
    if (set & BOND_TERM_ROUNDS)
        changed.rounds = wish->rounds;
    if (set & BOND_TERM_COOL_DOWN)
        changed.cool_down_ms = wish->cool_down_ms;
    if (set & BOND_TERM_MUTED_UNTIL)
        changed.muted_until_ms = wish->muted_until_ms;
    if (set & BOND_TERM_STOP_WORDS) {
        memcpy(changed.stop_words, wish->stop_words, sizeof changed.stop_words);
        changed.stop_word_count = wish->stop_word_count;
    }
    return changed;
}

static const char *judge_stop_words(const struct bond_terms *terms, const char **field)
{
    *field = "stop_words";
    if (terms->stop_word_count > BOND_STOP_WORDS_MAX)
        return "a bond has at most 8 stop words";
    for (size_t i = 0; i < terms->stop_word_count; i++)
        if (terms->stop_words[i].size == 0 || terms->stop_words[i].size > BOND_STOP_WORD_MAX ||
            !bytes_are_text(terms->stop_words[i], false))
            return "a stop word is 1 to 64 bytes of UTF-8, in one line";
    return NULL;
}

const char *bond_terms_judge(const struct bond_terms *terms, const char **field)
{
    *field = "per_minute";
    if (terms->per_minute > BOND_PER_MINUTE_MAX)
        return "a bond allows at most 60000 actions a minute, or any number (0)";
    *field = "per_day";
    if (terms->per_day > BOND_PER_DAY_MAX)
        return "a bond allows at most 100000000 actions a day, or any number (0)";
    *field = "budget";
    if (terms->budget > BOND_BUDGET_MAX)
        return "a budget is at most 1000000000000 units, or endless (0)";
    *field = "rounds";
    if (terms->rounds > BOND_ROUNDS_MAX)
        return "a thread has at most 1000000 rounds, or any number (0)";
    *field = "cool_down_ms";
    if (terms->cool_down_ms > BOND_COOL_DOWN_MAX_MS)
        return "a thread rests for at most 30 days";
    *field = "muted_until_ms";
    if (terms->muted_until_ms > MUTE_LATEST_MS)
        return "that is no date";
    return judge_stop_words(terms, field);
}

bool bond_terms_are_none(const struct bond_terms *terms)
{
    return !terms->per_minute && !terms->per_day && !terms->budget && !terms->rounds &&
           !terms->cool_down_ms && !terms->muted_until_ms && !terms->stop_word_count;
}

static bool is_letter(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* Bit i of `at[b]`: byte i of the word may be b. Bit i of `begun`: the payload so far ends with the
 * first i + 1 bytes of the word. */
bool bond_stop_word_occurs(struct bytes word, struct bytes payload)
{
    uint64_t at[256] = {0}, begun = 0, whole;

    if (word.size == 0 || word.size > BOND_STOP_WORD_MAX)
        return false;
    for (size_t i = 0; i < word.size; i++) {
        at[word.data[i]] |= 1ull << i;
        if (is_letter(word.data[i]))
            at[word.data[i] ^ 0x20] |= 1ull << i;
    }
    whole = 1ull << (word.size - 1);
    for (size_t i = 0; i < payload.size; i++) {
        begun = (begun << 1 | 1) & at[payload.data[i]];
        if (begun & whole)
            return true;
    }
    return false;
}
