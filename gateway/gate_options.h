/* gate_options: what the operator wants of the gateway, from a file and from flags; flags win.
 *
 * The file may be the node's own: of its sections only [gateway] and [log] are read. What is not
 * known there is refused by its name. */
#ifndef DUCK_GATE_OPTIONS_H
#define DUCK_GATE_OPTIONS_H

#include "call_guard.h"
#include "captcha.h"
#include "core/rate_table.h"
#include "forwarded.h"
#include "gate_log.h"
#include "guard.h"
#include "passkey.h"

#include <stdio.h>

#define GATE_PATH_SIZE 4096u /* with NUL */
#define GATE_WORD_SIZE 1024u
#define GATE_HOST_SIZE 256u

struct gate_options {
    char config[GATE_PATH_SIZE];
    char listen[GATE_HOST_SIZE + 16]; /* default "127.0.0.1:7118" */
    char socket[GATE_PATH_SIZE];      /* of the node; empty: the default of this user */
    char state_dir[GATE_PATH_SIZE];
    char url_file[GATE_PATH_SIZE]; /* empty: none */
    char public_url[GATE_WORD_SIZE];
    char smtp_url[GATE_WORD_SIZE], mail_from[GATE_WORD_SIZE];
    char smtp_credentials_file[GATE_PATH_SIZE];
    char smtp_ca_file[GATE_PATH_SIZE]; /* empty: the system's certificates */
    bool smtp_in_clear;
    char mail_templates[GATE_PATH_SIZE]; /* a folder of letters; empty: the ones that are built in */
    enum captcha_kind captcha;           /* default "none" */
    unsigned captcha_bits;
    char captcha_secret_file[GATE_PATH_SIZE], captcha_ca_file[GATE_PATH_SIZE];
    char captcha_site_key[GATE_HOST_SIZE], captcha_hostname[GATE_HOST_SIZE];
    char captcha_verify_url[GATE_WORD_SIZE];
    struct allow_list captcha_allow; /* addresses of the verifier beside public ones */
    char passkey_rp_id[GATE_HOST_SIZE]; /* empty: the host of public_url, or "localhost" */
    char passkey_origins[PASSKEY_ORIGINS_MAX][GATE_HOST_SIZE];
    size_t passkey_origin_count; /* 0: that of public_url, or any of localhost */
    char hosts[GUARD_HOSTS_MAX][GATE_HOST_SIZE];
    size_t host_count;
    char origins[GUARD_ORIGINS_MAX][GATE_HOST_SIZE];
    size_t origin_count;
    unsigned threads;                                   /* default 1 */
    unsigned connections_per_address, connections_per_loopback;
    struct rate_table limits;    /* calls a minute, see rate_table.h */
    struct forwarded_trust trust; /* which proxies are believed, and in which header */
    struct allow_list metrics_allow;     /* who may read /metrics, beside loopback */
    char tls_certificate_file[GATE_PATH_SIZE], tls_key_file[GATE_PATH_SIZE]; /* empty: no TLS */
    enum gate_log_format log_format;
    enum gate_log_level log_level;
    char fetch_operator[GATE_HOST_SIZE]; /* a domain: print what it says of its operator, and end */
    char fetch_ca_file[GATE_PATH_SIZE];  /* empty: the system's certificates */
    bool fetch_private;                  /* from addresses that are not public, too */
    char call_handler[GATE_WORD_SIZE];   /* a URL: POST standard input there, print the answer, and end */
    struct allow_list call_allow;        /* that handlers' URLs may be beside public addresses */
    bool only_newsletter; /* print who has it, and end */
    struct allow_list webhook_allow;     /* that webhooks may be beside public addresses */
    struct call_ports webhook_ports;     /* default 443 */
    bool has_webhook_ports;              /* the default has been replaced */
    char call_ca_file[GATE_PATH_SIZE];   /* of webhooks; empty: the system's certificates */
    bool only_check, wants_help, wants_version;
};

struct gate_options_problem {
    char text[GATE_PATH_SIZE + 512]; /* one line for people */
};

/* False: `problem` says why. */
bool gate_options_read(struct gate_options *options, int count, char *const *arguments,
                       struct gate_options_problem *problem);
bool gate_options_set(struct gate_options *options, const char *section, const char *key,
                      const char *value, struct gate_options_problem *problem);
void gate_options_default(struct gate_options *options);

/* What they mean for the guard; borrows from `options`. */
void gate_options_hosts(struct gate_options *options, struct guard_hosts *hosts);

/* Where passkeys are made; borrows from `options`. */
void gate_options_passkeys(struct gate_options *options, struct passkey_place *place);

void gate_options_help(FILE *file);

#endif
