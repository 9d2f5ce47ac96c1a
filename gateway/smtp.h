/* smtp: one letter to a mail server (RFC 5321), by libcurl. Blocks: for a thread of its own. */
#ifndef DUCK_GATE_SMTP_H
#define DUCK_GATE_SMTP_H

#include "core/bytes.h"

#define SMTP_WITHIN_S 30L /* one try, from the connection to the server's last word */
#define SMTP_REASON_SIZE 160

enum smtp_verdict {
    SMTP_TAKEN,
    SMTP_LATER,       /* a 4xx (greylisting, a full disk), or the line broke: this letter may go later */
    SMTP_UNREACHABLE, /* no connection, no TLS, not our password: no letter would go now */
    SMTP_NEVER,       /* a 5xx about this letter: section 4.2.1, permanent */
};

struct smtp {
    const char *url;  /* "smtp://host:port", or "smtps://…" */
    const char *from; /* an address */
    const char *user, *password; /* NULL: none. Only ever in memory */
    const char *ca_file;         /* certificates to trust instead of the system's; NULL: those */
    bool in_clear_is_fine;       /* of smtp://: without STARTTLS if the server has none */
    bool (*is_ending)(void *context); /* asked about once a second: true ends the try. NULL: never */
    void *context;
};

/* `to` is one address without blanks, controls, '<' or '>': libcurl would hand a line break on to the
 * server as a second command. `message` has CR LF. `reason` says why not, for the log: it has the
 * server's number, and nobody's name. */
enum smtp_verdict smtp_send(const struct smtp *smtp, const char *to, struct bytes message,
                            char reason[SMTP_REASON_SIZE]);

#endif
