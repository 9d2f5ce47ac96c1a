/* handler_table: what the operator wants to be answered by whom, as the configuration says it.
 *
 *     [handler weather]
 *     duckling = dkl_…                  whose pecks; it lives on this node
 *     action = weather.*                which actions: data.read, data.*, or * (default)
 *     argv = /opt/weather --units "si"  the program and its words; "…" keeps blanks. Or
 *     url = https://…                   to POST to, by the gateway's program: duckgate --call-handler
 *     timeout_ms = 30000                100 to 3,000,000; then it is ended
 *     output_max_bytes = 262144         of standard output; at most what a result may have
 *     at_once = 4                       1 to 64; further pecks wait in the inbox
 *     memory_max_mib = 0                address space of each process; 0: no limit, as below
 *     cpu_max_s = 0                     processor time of each process
 *     processes_max = 0                 of the node's user in all (RLIMIT_NPROC), root excepted
 *
 * Where two handlers of one duckling could answer, the one that covers fewer actions does. What none
 * covers stays in the inbox for agents. */
#ifndef DUCK_NODE_HANDLER_TABLE_H
#define DUCK_NODE_HANDLER_TABLE_H

#include "core/bytes.h"
#include "core/id.h"
#include "core/limits.h"

#include <stdio.h>

#define HANDLERS_MAX 32u
#define HANDLER_NAME_MAX 32u        /* bytes of [a-z0-9_.-] */
#define HANDLER_WORDS_MAX 32u       /* program and arguments */
#define HANDLER_CALL_WORDS_MAX (HANDLER_WORDS_MAX - 1)
#define HANDLER_TEXT_SIZE 1024u     /* of all words, each with its NUL; of a URL with its NUL */
#define HANDLER_TIMEOUT_MS 30000u   /* default */
#define HANDLER_TIMEOUT_MIN_MS 100u
#define HANDLER_TIMEOUT_MAX_MS 3000000u
#define HANDLER_AT_ONCE 4u          /* default */
#define HANDLER_AT_ONCE_MAX 64u
#define HANDLER_MEMORY_MAX_MIB (1u << 20)
#define HANDLER_PROBLEM_SIZE 400u   /* bytes of a sentence, with NUL */

struct handler {
    char name[HANDLER_NAME_MAX + 1];
    char duckling[ID_TEXT_SIZE];
    char action[PECK_ACTION_MAX + 1];
    char words[HANDLER_TEXT_SIZE];  /* one after the other, each with its NUL */
    size_t word_count;              /* 0: no program */
    char url[HANDLER_TEXT_SIZE];    /* empty: none */
    const char *const *call;        /* words before the URL, NULL at the end, of who calls it; NULL: nobody */
    uint32_t timeout_ms, output_max_bytes, at_once;
    uint32_t memory_max_mib, cpu_max_s, processes_max; /* 0: no limit */
};

struct handler_table {
    struct handler list[HANDLERS_MAX]; /* in order of appearance */
    size_t count;
};

/* One `key = value` of [handler name]. NULL: taken; else what is wrong, a constant. */
const char *handler_set(struct handler_table *table, const char *name, const char *key, const char *value);

/* All of it was read. False, with a sentence in `problem`: something is missing, or two handlers
 * would answer the same. */
bool handler_table_judge(const struct handler_table *table, char problem[HANDLER_PROBLEM_SIZE]);

/* Is its program there, if it has one, and can nobody but its owner change it? Looks at files. */
bool handler_judge_program(const struct handler *handler, char problem[HANDLER_PROBLEM_SIZE]);

/* The same of all: are the programs there, and can nobody but their owner change them? Looks at files. */
bool handler_table_judge_programs(const struct handler_table *table, char problem[HANDLER_PROBLEM_SIZE]);

/* The actions of other handlers of the same duckling that cover less than this one's. */
size_t handler_but_not(const struct handler_table *table, size_t index, const char *actions[HANDLERS_MAX]);

/* Fills `argv`, NULL at the end, with pointers into the handler; empty if nobody calls its URL. */
void handler_argv(const struct handler *handler, char *argv[HANDLER_WORDS_MAX + 1]);

void handler_table_print(const struct handler_table *table, FILE *file); /* as it would be read again */

#endif
