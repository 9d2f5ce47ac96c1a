/* audit_log: what a node did with pecks and bonds, so that it cannot be changed afterwards unseen.
 * The wire: proto/audit.proto.
 *
 * Pages of entries, each naming the hash of the one before; checkpoints, signed by the node, say how
 * far the chain has come. The node may cut off pages at the beginning: then it signs an anchor, a
 * checkpoint that stands for them. (The audit of gossip, which compares sets under a key, is in audit.h.) */
#ifndef DUCK_CORE_AUDIT_LOG_H
#define DUCK_CORE_AUDIT_LOG_H

#include "certificate.h"
#include "peck.h"

/* The numbers are kept and signed: never change one. */
enum audit_kind {
    AUDIT_HATCHED = 1,       /* a duckling, here */
    AUDIT_PECK_SENT = 2,     /* kept in the outbox; detail: action, or what is asked for */
    AUDIT_PECK_RECEIVED = 3, /* kept for its target; detail: the same */
    AUDIT_RECEIPT_MADE = 4,  /* by this node or its duckling */
    AUDIT_RECEIPT_CAME = 5,  /* for a peck that was sent from here */
    AUDIT_PECK_ENDED = 6,    /* cancelled, expired or failed without a receipt; detail: why */
    AUDIT_HANDED_OUT = 7,    /* to the agent, under a lease */
    AUDIT_ACKNOWLEDGED = 8,  /* by the agent: it has taken it */
    AUDIT_GIVEN_BACK = 9,    /* by the agent, for another to take */
    AUDIT_BOND_MADE = 10,    /* or its terms changed; detail: scopes */
    AUDIT_BOND_ENDED = 11,   /* detail: why, where somebody or a revocation ended it */
    AUDIT_REVOKED = 12,      /* a duckling that lives here, or (duckling is zero) the node; detail: why */
    AUDIT_GRANT_USED = 13,   /* by the peck that came before it; detail: the id of the grant's last block */
    AUDIT_GRANT_REVOKED = 14, /* a block (the subject) of a grant by a duckling that lives here */
    AUDIT_LOBSTER_CONFIRMED = 15, /* by the operator here; subject: the bind */
    AUDIT_LOBSTER_LIVE = 16,      /* both ends are confirmed */
    AUDIT_LOBSTER_ENDED = 17,     /* detail: why */
    AUDIT_RESTORED = 18,     /* the node, from a backup; first on its page, whose numbers leave out those that
                                the life that was lost may have used */
    AUDIT_CONTEXT_ISSUED = 19,  /* to a duckling that lives here, or issued anew; subject: its crt_ id; detail: its name, scopes */
    AUDIT_CONTEXT_REVOKED = 20, /* subject: the same; detail: its name */
    AUDIT_CONTEXT_SHOWN = 21,   /* what the peck before it was signed under; subject: the peck; detail: the context's id */
};
#define AUDIT_KINDS 22

struct audit_entry {
    enum audit_kind kind;
    uint64_t at_ms;          /* Unix time */
    struct id duckling, with, subject; /* with: zero where there is no other end */
    enum peck_state state;   /* 0: none */
    struct hash signed_hash; /* what names the thing that was kept; zero: none */
    struct bytes detail;     /* at most AUDIT_DETAIL_MAX bytes */
    uint32_t attempt;
};

struct audit_page {
    struct id node;
    uint64_t number, first;  /* from 1 */
    struct hash previous;
    uint64_t at_ms;          /* Unix time */
    const struct audit_entry *entries;
    size_t count;            /* 1 to AUDIT_PAGE_ENTRIES_MAX */
};

struct audit_checkpoint {
    struct bytes network;
    struct id node;
    uint64_t page, entries, at_ms;
    struct hash page_hash;
    bool is_anchor;          /* all pages up to there were cut off, by the node itself */
};

enum audit_verdict {
    AUDIT_OK,
    AUDIT_MALFORMED,       /* a field missing, of a wrong length, or out of range */
    AUDIT_TOO_LARGE,       /* AUDIT_PAGE_SIZE_MAX */
    AUDIT_OTHER_NODE,      /* of another node than the log's */
    AUDIT_OUT_OF_ORDER,    /* a page or an entry is missing, or stands twice */
    AUDIT_BROKEN,          /* a page names another one before it: something was changed */
    AUDIT_NO_ANCHOR,       /* it begins later, and no anchor stands for what was before */
    AUDIT_BAD_CHECKPOINT,  /* not signed by the node's key of that time, or of other pages */
};

const char *audit_verdict_text(enum audit_verdict verdict);
const char *audit_kind_name(enum audit_kind kind); /* "peck_sent", …; "" for no kind */

/* Form only. Packing fits all that holds; fields of what is parsed borrow from `arena`. */
enum audit_verdict audit_page_pack(const struct audit_page *page, struct arena *arena,
                                   struct bytes *body);
enum audit_verdict audit_page_parse(struct bytes body, struct arena *arena, struct audit_page *page);
struct hash audit_page_hash(struct bytes body);

enum audit_verdict audit_checkpoint_pack(const struct audit_checkpoint *checkpoint,
                                         struct arena *arena, struct bytes *body);
enum audit_verdict audit_checkpoint_parse(struct bytes body, struct arena *arena,
                                          struct audit_checkpoint *checkpoint);

/* A log, checked from its beginning on: all checkpoints first (in any order, but each must be kept by
 * the caller until the end), then its pages in their order. */
struct audit_reader {
    const struct chain *node;      /* borrowed */
    struct audit_checkpoint *checkpoints; /* the caller's memory, in order of their pages */
    size_t checkpoint_count;
    uint64_t pages, entries;       /* the numbers of the last ones */
    uint64_t first_entry, first_page; /* of what there is; 0: nothing yet */
    struct hash hash;              /* of the last page */
    uint64_t restored;             /* times that the node was restored from a backup */
    uint64_t vouched_entries;      /* up to here the node has signed */
    uint64_t vouched_ms;           /* Unix time of that checkpoint */
    size_t next_checkpoint;
};

/* Parses a checkpoint and checks its signature by the key that was the node's at its date. */
enum audit_verdict audit_checkpoint_open(struct bytes wire, const struct chain *node,
                                         struct arena *arena, struct audit_checkpoint *checkpoint);

/* `checkpoints` are sorted by their pages here. */
void audit_reader_init(struct audit_reader *reader, const struct chain *node,
                       struct audit_checkpoint *checkpoints, size_t count);
enum audit_verdict audit_reader_take(struct audit_reader *reader, struct bytes body,
                                     struct arena *arena, struct audit_page *page);
/* After the last page: a checkpoint of pages that are not there says that the end was cut off. */
enum audit_verdict audit_reader_end(const struct audit_reader *reader);

#endif
