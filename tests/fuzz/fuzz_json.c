/* JSON of strangers: what the node's recogniser takes the gateway's reader takes (but for members
 * that stand twice), and the other way round. What the strict reader takes, jansson takes too, and says the same again after
 * it was written; a member's bytes, as they stand, are JSON of their own. */
#include "core/json_text.h"
#include "json_write.h"
#include "people.h"
#include "strict_json.h"

static void look_at_members(struct bytes text, json_t *value)
{
    const char *name;
    json_t *member;

    json_object_foreach(value, name, member)
    {
        char problem[STRICT_JSON_PROBLEM_SIZE];
        struct bytes bytes = strict_json_member(text, name);
        json_t *alone;
        if (!bytes.data) /* written with escapes: found under its spelling only */
            continue;
        MUST(bytes.data >= text.data && bytes.data + bytes.size <= text.data + text.size);
        alone = strict_json_read(bytes, problem);
        MUST(alone && json_equal(alone, member));
        json_decref(alone);
    }
}

/* As the library writes it. */
static void look_at_text(const json_t *value)
{
    char *expected = json_dumps(value, JSON_COMPACT), *text = json_write(value);

    MUST(expected && strcmp(text, expected) == 0);
    strict_json_forget(expected);
    strict_json_forget(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool prepared;
    char problem[STRICT_JSON_PROBLEM_SIZE] = "";
    struct bytes text = bytes_of(data, size);
    enum json_text_verdict verdict;
    struct bytes bare = bytes_of(NULL, 0);
    json_t *value;

    if (!prepared)
        strict_json_prepare();
    prepared = true;
    value = strict_json_read(text, problem);
    verdict = json_text_check(text, &bare);
    if (verdict == JSON_TEXT_OK) {
        MUST(value || strncmp(problem, "a member stands twice", 21) == 0);
        MUST(bare.size > 0 && bare.data >= data && bare.data + bare.size <= data + size);
    } else if (value) {
        MUST(verdict == JSON_TEXT_BAD_NUMBER); /* of 1e308 and more */
    }
    if (!value) {
        MUST(problem[0] && memchr(problem, '\0', sizeof problem));
        return 0;
    }
    if (json_is_object(value))
        look_at_members(text, value);
    if (json_is_object(value) || json_is_array(value))
        look_at_text(value);
    json_decref(value);
    return 0;
}
