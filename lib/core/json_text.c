/* One pass with one byte of look-ahead. What is open is a bit each: 1 an object, 0 an array. */
#include "json_text.h"

#define MAGNITUDE_MAX 308 /* digits before the point of a double that is surely finite */
#define EXPONENT_MAX 99999

struct scan {
    const uint8_t *at, *end;
    uint64_t open; /* the innermost is bit 0 */
    int depth;
    enum json_text_verdict wrong;
};

const char *json_text_verdict_text(enum json_text_verdict verdict)
{
    switch (verdict) {
    case JSON_TEXT_OK:
        return "it is JSON";
    case JSON_TEXT_EMPTY:
        return "it is empty";
    case JSON_TEXT_NOT_UTF8:
        return "it is not UTF-8, or has control characters";
    case JSON_TEXT_MALFORMED:
        return "it is not JSON";
    case JSON_TEXT_TOO_DEEP:
        return "it is nested deeper than 64";
    case JSON_TEXT_BAD_ESCAPE:
        return "it escapes a NUL or half a character";
    case JSON_TEXT_BAD_NUMBER:
        return "a number in it is out of range";
    }
    return "";
}

static bool refuse(struct scan *scan, enum json_text_verdict verdict)
{
    if (!scan->wrong)
        scan->wrong = verdict;
    return false;
}

/* 0 at the end: no byte of JSON is one. */
static uint8_t peek(const struct scan *scan)
{
    return scan->at < scan->end ? *scan->at : 0;
}

static bool take(struct scan *scan, uint8_t byte)
{
    if (peek(scan) != byte)
        return false;
    scan->at++;
    return true;
}

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
        scan->at++;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* ---- strings ---- */

static bool take_hex4(struct scan *scan, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t byte = peek(scan);

        if (is_digit(byte))
            *unit = *unit << 4 | (uint32_t)(byte - '0');
        else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
            *unit = *unit << 4 | (uint32_t)((byte | 0x20) - 'a' + 10);
        else
            return refuse(scan, JSON_TEXT_MALFORMED);
        scan->at++;
    }
    return true;
}

/* After "\u". A character beyond 16 bits is written as two units, high then low (RFC 8259, 7). */
static bool take_unicode_escape(struct scan *scan)
{
    uint32_t unit, low;

    if (!take_hex4(scan, &unit))
        return false;
    if (unit == 0 || (unit >= 0xDC00 && unit <= 0xDFFF))
        return refuse(scan, JSON_TEXT_BAD_ESCAPE);
    if (unit < 0xD800 || unit > 0xDBFF)
        return true;
    if (!take(scan, '\\') || !take(scan, 'u'))
        return refuse(scan, JSON_TEXT_BAD_ESCAPE);
    if (!take_hex4(scan, &low))
        return false;
    return (low >= 0xDC00 && low <= 0xDFFF) || refuse(scan, JSON_TEXT_BAD_ESCAPE);
}

static bool take_string(struct scan *scan)
{
    if (!take(scan, '"'))
        return refuse(scan, JSON_TEXT_MALFORMED);
    while (!take(scan, '"')) {
        if (peek(scan) < 0x20) /* also: the end */
            return refuse(scan, JSON_TEXT_MALFORMED);
        if (!take(scan, '\\')) {
            scan->at++;
        } else if (take(scan, 'u')) {
            if (!take_unicode_escape(scan))
                return false;
        } else if (peek(scan) && strchr("\"\\/bfnrt", peek(scan))) {
            scan->at++;
        } else {
            return refuse(scan, JSON_TEXT_MALFORMED);
        }
    }
    return true;
}

/* ---- numbers ---- */

/* False: there is none. */
static bool take_digits(struct scan *scan)
{
    const uint8_t *first = scan->at;

    while (is_digit(peek(scan)))
        scan->at++;
    return scan->at > first;
}

static bool fits_64_bits(struct bytes digits, bool negative)
{
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, value = 0;

    for (size_t i = 0; i < digits.size; i++) {
        uint64_t digit = (uint64_t)(digits.data[i] - '0');

        if (value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    return true;
}

/* Digits that were taken, as a number no larger than EXPONENT_MAX. */
static int exponent_of(const uint8_t *at, const uint8_t *end)
{
    int exponent = 0;

    for (; at < end; at++)
        if (exponent < EXPONENT_MAX)
            exponent = exponent * 10 + (*at - '0');
    return exponent;
}

static bool take_number(struct scan *scan)
{
    bool negative = take(scan, '-'), is_integer = true, falls = false;
    const uint8_t *whole = scan->at, *whole_end, *first;
    long exponent = 0;

    if (!take_digits(scan) || (*whole == '0' && scan->at > whole + 1))
        return refuse(scan, JSON_TEXT_MALFORMED);
    whole_end = scan->at;
    if (take(scan, '.')) {
        is_integer = false;
        if (!take_digits(scan))
            return refuse(scan, JSON_TEXT_MALFORMED);
    }
    if (take(scan, 'e') || take(scan, 'E')) {
        is_integer = false;
        falls = take(scan, '-');
        if (!falls)
            take(scan, '+');
        first = scan->at;
        if (!take_digits(scan))
            return refuse(scan, JSON_TEXT_MALFORMED);
        exponent = exponent_of(first, scan->at);
    }
    if (is_integer)
        return fits_64_bits(bytes_of(whole, (size_t)(whole_end - whole)), negative) ||
               refuse(scan, JSON_TEXT_BAD_NUMBER);
    return (long)(whole_end - whole) + (falls ? -exponent : exponent) <= MAGNITUDE_MAX ||
           refuse(scan, JSON_TEXT_BAD_NUMBER);
}

/* ---- values ---- */

static bool take_word(struct scan *scan, const char *word)
{
    for (; *word; word++)
        if (!take(scan, (uint8_t)*word))
            return refuse(scan, JSON_TEXT_MALFORMED);
    return true;
}

static bool take_scalar(struct scan *scan)
{
    switch (peek(scan)) {
    case '"':
        return take_string(scan);
    case 't':
        return take_word(scan, "true");
    case 'f':
        return take_word(scan, "false");
    case 'n':
        return take_word(scan, "null");
    default:
        return take_number(scan);
    }
}

static bool take_name(struct scan *scan)
{
    skip_blanks(scan);
    if (!take_string(scan))
        return false;
    skip_blanks(scan);
    return take(scan, ':') || refuse(scan, JSON_TEXT_MALFORMED);
}

/* Opens a container. `*filled`: a value follows, in an object behind its name. */
static bool open_container(struct scan *scan, bool is_object, bool *filled)
{
    if (scan->depth == JSON_TEXT_DEPTH_MAX)
        return refuse(scan, JSON_TEXT_TOO_DEEP);
    scan->open = scan->open << 1 | is_object;
    scan->depth++;
    skip_blanks(scan);
    *filled = !take(scan, is_object ? '}' : ']');
    if (!*filled) {
        scan->open >>= 1;
        scan->depth--;
    }
    return !*filled || !is_object || take_name(scan);
}

/* After a value: closes what ends here. `*more`: a further value follows. */
static bool close_containers(struct scan *scan, bool *more)
{
    *more = false;
    while (scan->depth > 0) {
        bool is_object = scan->open & 1;

        skip_blanks(scan);
        if (take(scan, ',')) {
            *more = true;
            return !is_object || take_name(scan);
        }
        if (!take(scan, is_object ? '}' : ']'))
            return refuse(scan, JSON_TEXT_MALFORMED);
        scan->open >>= 1;
        scan->depth--;
    }
    return true;
}

static bool take_value(struct scan *scan)
{
    bool more = true;

    while (more) {
        bool filled = false;

        skip_blanks(scan);
        if (take(scan, '{')) {
            if (!open_container(scan, true, &filled))
                return false;
        } else if (take(scan, '[')) {
            if (!open_container(scan, false, &filled))
                return false;
        } else if (!take_scalar(scan)) {
            return false;
        }
        if (!filled && !close_containers(scan, &more))
            return false;
    }
    return true;
}

enum json_text_verdict json_text_check(struct bytes text, struct bytes *value)
{
    struct scan scan = {.at = text.data, .end = text.data + text.size};
    const uint8_t *first;

    if (text.size == 0)
        return JSON_TEXT_EMPTY;
    skip_blanks(&scan);
    first = scan.at;
    if (first == scan.end)
        return JSON_TEXT_EMPTY;
    if (!bytes_may_be_json(text))
        return JSON_TEXT_NOT_UTF8;
    if (!take_value(&scan))
        return scan.wrong;
    *value = bytes_of(first, (size_t)(scan.at - first));
    skip_blanks(&scan);
    return scan.at == scan.end ? JSON_TEXT_OK : JSON_TEXT_MALFORMED;
}
