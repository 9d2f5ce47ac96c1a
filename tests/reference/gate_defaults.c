/* What the gateway does unless it is told otherwise, a key and its value a line, for the test that holds
 * DEPLOYMENT.md against it. */
#include "gate_options.h"

#include <stdio.h>
#include <string.h>

static const char *const formats[] = {[GATE_LOG_TEXT] = "text", [GATE_LOG_JSON] = "json"};
static const char *const levels[] = {[GATE_LOG_ERROR] = "error",
                                     [GATE_LOG_WARNING] = "warning",
                                     [GATE_LOG_INFO] = "info",
                                     [GATE_LOG_DEBUG] = "debug"};
static const char *const captchas[] = {
    [CAPTCHA_NONE] = "none", [CAPTCHA_POW] = "pow", [CAPTCHA_TURNSTILE] = "turnstile"};

static void print_limits(const struct rate_table *limits)
{
    printf("limits\t");
    for (enum rate_class class = 0; class < RATE_CLASSES; class ++) {
        char word[RATE_WORD_SIZE];

        printf("%s%s", class ? " " : "", rate_table_word(limits, class, word));
    }
    printf("\n");
}

int main(void)
{
    struct gate_options options;

    gate_options_default(&options);
    printf("listen\t%s\n", options.listen);
    printf("threads\t%u\n", options.threads);
    printf("connections_per_address\t%u\n", options.connections_per_address);
    printf("connections_per_loopback\t%u\n", options.connections_per_loopback);
    printf("captcha\t%s\n", captchas[options.captcha]);
    printf("captcha_bits\t%u\n", options.captcha_bits);
    printf("proxy_header\t%s\n",
           options.trust.header == FORWARDED_FORWARDED ? "Forwarded" : "X-Forwarded-For");
    printf("webhook_ports\t%u\n", (unsigned)options.webhook_ports.list[0]);
    print_limits(&options.limits);
    printf("[log] format\t%s\n", formats[options.log_format]);
    printf("[log] level\t%s\n", levels[options.log_level]);
    return 0;
}
