/* What was given with an order: each member judged by the rule it must keep. */
#include "accounts_parts.h"

#include "core/bytes.h"

#define LOCAL_PART_MAX 64 /* bytes; RFC 5321, section 4.5.3.1.1 */

static bool is_atext(char c) /* RFC 5322, section 3.2.3, ASCII only */
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_host_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* Words of `allowed` characters with single dots between them. */
static bool is_dotted(const char *text, size_t size, bool (*allowed)(char c))
{
    bool after_dot = true;

    for (size_t i = 0; i < size; i++) {
        if (text[i] == '.' ? after_dot : !allowed(text[i]))
            return false;
        after_dot = text[i] == '.';
    }
    return !after_dot;
}

bool accounts_email_is_valid(const char *email)
{
    size_t size = strnlen(email, EMAIL_MAX + 1);
    const char *at = strchr(email, '@');
    size_t local_size;

    if (size > EMAIL_MAX || !at)
        return false;
    local_size = (size_t)(at - email);
    return local_size <= LOCAL_PART_MAX && is_dotted(email, local_size, is_atext) &&
           is_dotted(at + 1, size - local_size - 1, is_host_character);
}

bool given_email(struct order *order)
{
    for (const char *at = order->email.text; *at; at++)
        if (*at & 0x80) {
            order_verdict(order, ACCOUNTS_EMAIL_NOT_ASCII); /* RFC 6531 is not spoken everywhere */
            return false;
        }
    if (!accounts_email_is_valid(order->email.text)) {
        order_verdict(order, ACCOUNTS_BAD_EMAIL);
        return false;
    }
    for (size_t i = 0; order->email.text[i]; i++) {
        char c = order->email.text[i];
        order->lookup[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return true;
}

bool given_name(struct order *order)
{
    struct bytes name = bytes_of_text(order->display_name.text);

    if (name.size > 0 && name.size <= DISPLAY_NAME_MAX && bytes_are_display_name(name))
        return true;
    order_verdict(order, ACCOUNTS_BAD_NAME);
    return false;
}

bool given_public_key(struct order *order)
{
    const char *key = order->public_key.text;
    size_t size = strlen(key);

    for (size_t i = 0; i < size; i++)
        if (key[i] <= 0x20 || key[i] > 0x7e)
            size = HATCH_KEY_MAX + 1;
    if (size <= HATCH_KEY_MAX)
        return true;
    order_verdict(order, ACCOUNTS_BAD_KEY);
    return false;
}

bool given_password(struct order *order)
{
    if (!order->password)
        return true;
    switch (password_check(order->password)) {
    case PASSWORD_TAKEN:
        return true;
    case PASSWORD_TOO_SHORT:
        order_verdict(order, ACCOUNTS_PASSWORD_TOO_SHORT);
        return false;
    case PASSWORD_TOO_LONG:
        order_verdict(order, ACCOUNTS_PASSWORD_TOO_LONG);
        return false;
    }
    return false;
}
