/* options: what the operator wants, from a file and from flags.
 *
 * A file is INI (sections, `key = value`, `#` or `;` comments); a flag of `ducknode run` wins over
 * it. What is not known is refused by its name, never ignored. Secrets are named by the file that
 * holds them: neither an argument nor an environment variable's value is ever one.
 *
 * The keys of [node], [audit], [log], [key] and [handler NAME] stand in docker/ducknode.conf.example, each with its default; those
 * of [gateway] in gateway/DEPLOYMENT.md. Keys of [gateway] that the node need not understand are handed on to it.
 *
 * listen, advertise and join are lists: separated by commas or blanks, or one key for each. */
#ifndef DUCK_NODE_OPTIONS_H
#define DUCK_NODE_OPTIONS_H

#include "core/id.h"
#include "core/limits.h"
#include "handler_table.h"
#include "log.h"

#include <stdio.h>

#define OPTIONS_PATH_SIZE 4096u    /* with NUL */
#define OPTIONS_ADDRESS_SIZE 320u  /* "nod_…@host:port" and NUL */
#define OPTIONS_URL_SIZE 1024u
#define OPTIONS_JOIN_MAX 64u
#define OPTIONS_ALLOW_MAX 8u
#define OPTIONS_LIMITS_MAX 20u       /* words of core/rate_table.h */
#define OPTIONS_PASSED_SIZE 1100u    /* "--flag=value" and NUL */
#define OPTIONS_PASSED_MAX 32u
#define OPTIONS_PERCH_MIB_MAX 4096u
#define OPTIONS_LINE_MAX 4000u     /* bytes of one line of the file */
#define SOCKET_PATH_MAX 107u       /* bytes: sun_path of unix(7) without its NUL */

struct options {
    char config_path[OPTIONS_PATH_SIZE]; /* empty: no file */
    char name[NAME_MAX_BYTES + 1];       /* of the node, for people; default: the host's name */
    bool name_is_default;                /* then a node that was born keeps the name of its certificate */
    char network[NETWORK_ID_MAX + 1];    /* default: that of the state folder (network_file.h), or else "duck" */
    bool network_is_default;
    char state_dir[OPTIONS_PATH_SIZE];
    char socket[OPTIONS_PATH_SIZE];      /* default `<state_dir>/ducknode.sock` */
    bool socket_is_default;              /* neither it nor state_dir was set */
    char listen[NODE_ADDRESSES_MAX][OPTIONS_ADDRESS_SIZE];    /* "host:port"; default "0.0.0.0:7117" */
    size_t listen_count;
    char advertise[NODE_ADDRESSES_MAX][OPTIONS_ADDRESS_SIZE]; /* "host:port", for others to dial */
    size_t advertise_count;
    char join[OPTIONS_JOIN_MAX][OPTIONS_ADDRESS_SIZE];        /* "host:port" or "nod_…@host:port" */
    size_t join_count;
    bool bond_own;                       /* ducklings of this node may peck one another unasked */
    bool sign_alone;                     /* a signature for each peck and receipt, none for a turn: to measure */
    uint32_t handlers_at_once;           /* programs of all handlers; 1 to 256, default 32 */
    char perches[NODE_PERCHES_MAX][ID_TEXT_SIZE]; /* nodes that hold pecks for this one while it is away; or "auto", as without a word: some living neighbours; or "none" */
    size_t perch_count;
    char members_of[FLEET_OPERATORS_MAX][ID_TEXT_SIZE]; /* a closed fleet: operators, one of whom vouches for each of its nodes */
    size_t members_of_count;             /* 0, the default: the network is open to all */
    char membership_file[OPTIONS_PATH_SIZE]; /* what an operator signed for this node; empty: nothing */
    bool perch;                          /* this node holds pecks for others; default: yes… */
    uint32_t perch_mib;                  /* …so many MiB of them, a quarter for one node; 1 to 4096, default 64 */
    struct handler_table handlers;
    uint32_t audit_days;                 /* that the audit log is kept; 0, the default: for ever */
    enum log_format log_format;
    enum log_level log_level;
    bool gateway_enabled;                /* default: yes */
    char gateway_listen[OPTIONS_ADDRESS_SIZE];  /* default "127.0.0.1:7118" */
    char gateway_program[OPTIONS_PATH_SIZE];    /* default: duckgate beside this program */
    char gateway_hosts[OPTIONS_ALLOW_MAX][OPTIONS_ADDRESS_SIZE];   /* that it serves, beside addresses */
    size_t gateway_host_count;
    char gateway_origins[OPTIONS_ALLOW_MAX][OPTIONS_ADDRESS_SIZE]; /* whose pages may call it */
    size_t gateway_origin_count;
    char gateway_calls[OPTIONS_ALLOW_MAX][OPTIONS_ADDRESS_SIZE];   /* hosts and prefixes that handlers' URLs may be, beside public ones */
    size_t gateway_call_count;
    char gateway_call_ca_file[OPTIONS_PATH_SIZE];                  /* certificates for them; empty: the system's */
    char gateway_public_url[OPTIONS_URL_SIZE];  /* where clients reach it; empty: from listen */
    char gateway_limits[OPTIONS_LIMITS_MAX][OPTIONS_ADDRESS_SIZE]; /* calls a minute: core/rate_table.h */
    size_t gateway_limit_count;
    char gateway_proxies[OPTIONS_ALLOW_MAX][OPTIONS_ADDRESS_SIZE]; /* whose word on callers' addresses is taken */
    size_t gateway_proxy_count;
    char gateway_proxy_header[32];              /* empty: the gateway's default */
    char gateway_metrics[OPTIONS_ALLOW_MAX][OPTIONS_ADDRESS_SIZE]; /* who may read /metrics, beside loopback */
    size_t gateway_metrics_count;
    char tls_certificate_file[OPTIONS_PATH_SIZE], tls_key_file[OPTIONS_PATH_SIZE]; /* of the gateway; empty: no TLS */
    char smtp_url[OPTIONS_URL_SIZE];            /* empty: letters are files in the state folder */
    char mail_from[OPTIONS_URL_SIZE];
    char smtp_credentials_file[OPTIONS_PATH_SIZE];
    char gateway_passed[OPTIONS_PASSED_MAX][OPTIONS_PASSED_SIZE]; /* what the gateway alone understands */
    size_t gateway_passed_count;
    char passphrase_file[OPTIONS_PATH_SIZE];    /* empty: see passphrase_read */
};

/* What is wrong with a file or a flag: one line for people, with file and line where there is one. */
struct options_problem {
    char text[OPTIONS_PATH_SIZE + 512];
};

void options_default(struct options *options);

/* All return false with `problem` filled in. A refused file or value leaves `*options` half set:
 * do not use it. */
bool options_read_file(struct options *options, const char *path, struct options_problem *problem);
bool options_set(struct options *options, const char *section, const char *key, const char *value,
                 struct options_problem *problem);
void options_clear_list(struct options *options, const char *key); /* before a flag's first value */

/* Fills in what follows from the rest (socket, gateway program), and judges the whole. */
bool options_settle(struct options *options, struct options_problem *problem);

/* The file that is read when none is named: /etc/ducknode/ducknode.conf for root, else
 * $XDG_CONFIG_HOME/ducknode/ducknode.conf or ~/.config/… False: there is none. */
bool options_default_file(char path[OPTIONS_PATH_SIZE]);

/* What is in force, as a file that reads back to the same. Holds no secret. */
void options_print(const struct options *options, FILE *file);

#endif
