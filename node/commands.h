/* commands: what `ducknode …` can be told, one function for each.
 *
 * Most talk to the running node through libduckclient. Those that need none: init, run, run-handlers, backup, restore,
 * id, receipt, certificate, grant, key new, mail, limits, version. Human text goes to standard output, or with --json
 * one JSON document; what is wrong goes to standard error. Exit status: 0 done, 1 not done (the message says why), 2
 * misused: the words make no sense. */
#ifndef DUCK_NODE_COMMANDS_H
#define DUCK_NODE_COMMANDS_H

#include "options.h"
#include "show.h"

#include <jansson.h>

#define FLAGS_MAX 48u     /* given on one command line */
#define ARGUMENTS_MAX 16u

struct command_flag {
    const char *name;   /* without "--"; NULL ends the list */
    const char *value;  /* what it takes, for the help; NULL: nothing */
    const char *what;
};

struct call;

struct command {
    const char *name;
    const char *arguments; /* for the help: "PECK [RESULT]" */
    size_t arguments_min, arguments_max;
    const char *what;      /* one sentence */
    const struct command_flag *flags;
    const char *example;
    int (*run)(struct call *call);
};

/* A command line, read. */
struct call {
    const struct command *command;
    struct options options;
    bool json;
    const char *arguments[ARGUMENTS_MAX];
    size_t argument_count;
    const char *flag_names[FLAGS_MAX], *flag_values[FLAGS_MAX];
    size_t flag_count;
};

int commands_main(int argc, char **argv);

/* ---- for the commands ---- */
const char *call_flag(const struct call *call, const char *name); /* the last one's value; NULL: not given */
size_t call_flags(const struct call *call, const char *name, const char **values, size_t max);
bool call_has(const struct call *call, const char *name);
bool call_number(const struct call *call, const char *name, uint64_t *number); /* false: said why */
bool call_seconds(const struct call *call, const char *name, uint64_t *ms);    /* likewise; given in seconds */
bool call_json(const struct call *call, size_t argument, const char **json);   /* "{}" if not given; false: said why */

/* Says why it was not done, with --json as a document too; 1. */
int fail(const struct call *call, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Says what is wrong with the command line, and where to read on; 2. */
int misused(const struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
int misused_word(const struct call *call); /* its first argument is none of those that its help names; 2 */

void print_json(json_t *document); /* and frees it */
void print_json_line(json_t *document);
const char *time_text(uint64_t wall_ms, char text[32]); /* RFC 3339, UTC; "-" for 0 */

/* RFC 3339 as time_text writes it, or "+SECONDS" from now. Leaves *wall_ms when it is not given; false: said
 * why. */
bool call_time(const struct call *call, const char *name, uint64_t *wall_ms);

/* The key that --key-file names; duck_holder_free. NULL: *status, said why. */
struct duck_holder *call_holder(struct call *call, int *status);
/* The grant in a file ("-": standard input), verified; duck_grant_free. NULL: *status, said why. */
struct duck_grant *call_grant(struct call *call, const char *path, int *status);
/* Makes the state folder, and those above it, for its owner alone; or looks whether it is. 0 or a FAULT_…. */
int make_state_folder(const char *path);
const char *state_folder_text(int fault); /* why not, for people */

/* One request to the node; NULL after a failure was said, with *status set. */
struct Duck__Request;
struct Duck__Reply;
struct Duck__Reply *ask(struct call *call, struct Duck__Request *request, int *status);

/* The terms of a bond that the command line names by TERM_FLAGS, and which these are (enum duck_term).
 * There is one command line, so there is one of it. NULL: said why. */
struct Duck__BondTerms;
struct Duck__BondTerms *call_terms(const struct call *call, uint32_t *named);
#define TERM_FLAGS                                                                                 \
    {"rate", "N", "actions a minute: so many at once, then evenly (0: any number)"},               \
        {"daily", "N", "actions in a day of UTC (0: any number)"},                                 \
        {"budget", "N", "units in all: an action costs 1, and what its answer charges"},           \
        {"rounds", "N", "pecks of either to the other in one thread (default: 64; 0: any number)"}, \
        {"cool-down", "SECONDS", "after its rounds a thread begins anew (default: never)"},        \
    {"stop-word", "TEXT", "what no payload may hold, in capitals or not (repeatable)"}

/* The answer within a reply, as JSON: bytes that are text as text, others as base64, payloads and
 * results as the JSON they are. */
struct ProtobufCMessage;
json_t *json_of_message(const void *message);

/* `name`, or `name{label}`. Returns `text`. */
#define COUNTER_NAME_SIZE 128
struct Duck__NamedCounter;
const char *counter_name(const struct Duck__NamedCounter *counter, char text[COUNTER_NAME_SIZE]);

/* The next key of a duckling, by `--next-key-dir` and the passphrases. `*size` 0: the node opens it. Not 0: said
 * why; the exit status. */
int next_key_open(struct call *call, const char *duckling, uint8_t seed[SEED_SIZE], size_t *size);

/* Each ends with a NULL name. */
extern const struct command node_commands[], network_commands[], peck_commands[], directory_commands[], bond_commands[],
    receipt_commands[], audit_commands[], doctor_commands[], top_commands[], operator_commands[], handler_commands[],
    limits_commands[], event_commands[], rotate_commands[], certificate_commands[], revoke_commands[], grant_commands[],
    key_commands[], lobster_commands[], backup_commands[];

#endif
