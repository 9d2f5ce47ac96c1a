/* limits: every cap of the core, on one page. Each has a unit in its name or beside it, and a test
 * at the limit. */
#ifndef DUCK_CORE_LIMITS_H
#define DUCK_CORE_LIMITS_H

#define KIB 1024u
#define MIB (1024u * 1024u)
#define SECOND_MS 1000ull
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

/* Sizes on the wire, bytes. */
#define NETWORK_ID_MAX 32
#define NAME_MAX_BYTES 64              /* display names, capabilities, contexts */
#define PECK_PAYLOAD_MAX (256u * KIB)
#define PECK_ACTION_MAX 128
#define PECK_MESSAGE_MAX 1024
#define PECK_THREAD_MAX 64
#define PECK_IDEMPOTENCY_KEY_MAX 64
#define PECK_TRACE_SIZE 55             /* W3C traceparent */
#define RECEIPT_PROBLEM_MAX 1024
#define RECORD_SIZE_MAX (4u * KIB)     /* the packed envelope */
#define RECORD_ENVELOPE_OVERHEAD 128u     /* signer, type, signature and their tags, signed alone */
#define RECORD_KEY_MAX 64
#define BIO_MAX 1024
#define ADDRESS_MAX 255                /* "host:port" */
#define CERTIFICATE_SIZE_MAX (4u * KIB) /* the packed envelope */
#define CHAIN_SIZE_MAX (64u * KIB)     /* packed; some 200 rotations */
#define ACCUSATION_SIZE_MAX 512u       /* the packed envelope */
#define ENVELOPE_OVERHEAD_MAX (2u * KIB) /* of an envelope over its body */
#define PECK_BODY_MAX (PECK_PAYLOAD_MAX + 8u * KIB)
#define RECEIPT_BODY_MAX (PECK_PAYLOAD_MAX + 8u * KIB)

/* Counts on the wire. */
#define CERTIFICATE_SCOPES_MAX 16
#define PECK_SCOPES_MAX 16
#define NODE_ADDRESSES_MAX 8
#define NODE_PERCHES_MAX 8
#define DUCKLING_CAPABILITIES_MAX 32
#define RECORDS_PER_FRAME_MAX 64
#define DIGEST_HASHES_PER_FRAME_MAX 4096

/* Parsing: an arena of this many bytes for a frame of `size` (amplification of protobuf-c). */
#define PARSE_BUDGET(size) (16u * KIB + 16u * (size_t)(size))

/* Times. */
#define CERTIFICATE_LIFE_MS (3650 * DAY_MS)
#define PECK_LIFE_MS (24 * HOUR_MS)          /* default for delivery */
#define PECK_APPROVAL_MS (10 * MINUTE_MS)    /* default for an owner's decision */
#define PECK_LIFE_MAX_MS (7 * DAY_MS)
#define RECORD_LIFE_MS (2 * DAY_MS)
#define RECORD_LIFE_MAX_MS (7 * DAY_MS)
#define RECORD_REFRESH_MS (12 * HOUR_MS)     /* by the owner, with jitter */
#define METRICS_REFRESH_MS (5 * SECOND_MS)   /* at most so often, and only when they changed */
#define ACCUSATION_LIFE_MS MINUTE_MS
#define CLOCK_SKEW_MAX_MS (5 * MINUTE_MS)    /* of pecks and records made by others */
#define BOND_LIFE_MS (365 * DAY_MS)
#define LEASE_MS (60 * SECOND_MS)
#define LEASE_MIN_MS SECOND_MS
#define LEASE_MAX_MS HOUR_MS
#define RESEND_FIRST_MS (2 * SECOND_MS)      /* a peck without a receipt, link up */
#define RESENDS_PER_TURN_MAX 256             /* what is due beyond it goes out in the next turn */
#define RESEND_MAX_MS (60 * SECOND_MS)
#define OUTBOX_GRACE_MS (10 * SECOND_MS)     /* after its end a peck waits so long for the receipt that says it */
#define DIAL_FIRST_MS 500ull                 /* back-off, doubling, full jitter */
#define DIAL_MAX_MS (5 * MINUTE_MS)
#define DIAL_EAGER_MAX_MS (5 * SECOND_MS)    /* while pecks wait for that node */
#define SESSION_KEY_LIFE_MS (7 * DAY_MS)
#define SESSION_LIFE_MS (15 * MINUTE_MS)     /* then a fresh handshake replaces it */
#define SESSION_FRAMES_MAX (1ull << 32)
#define ALIVE_WITHIN_MS (10 * MINUTE_MS)     /* a duckling that pulsed so recently is alive */

/* Tables. */
#define OUTBOX_MAX 100000u        /* pecks that await a receipt; then "busy" */
#define TRAY_MAX 100000u          /* pecks that await an agent or an owner; then refused, not final */
#define TRAY_PER_SENDER_MAX 10000u /* of one sender, in the tray */
#define PENDING_PER_SENDER_MAX 64u /* of one sender, waiting for owners */
#define BONDS_MAX 100000u
#define DIRECTORY_MAX 50000u      /* records of others, first form */
#define NODES_MAX 10000u          /* nodes that we remember */
#define HOSTED_MAX 10000u         /* ducklings on one node */
#define ACTIVE_LINKS_MAX 64u      /* lasting links; of more the least useful close */
#define FULL_MESH_NODES_MAX 20u   /* so many other live nodes are all linked */
#define LINKS_CHOSEN 4u           /* beyond that: dialled here, to members chosen by chance */
#define KEYRING_MAX 65536u        /* verified chains held */
#define BATCH_ROOTS_MAX 4096u     /* verified roots remembered, per worker */
#define RECORDS_PER_OWNER_MAX 17u /* 1 directory entry and 16 others */
#define IDEMPOTENCY_KEYS_MAX 65536u

/* Waiting. */
#define WAIT_MAX_MS (30 * SECOND_MS)

#endif
