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
#define PARTIAL_SIZE_MAX (32u * KIB)   /* the payload of one partial answer */
#define PARTIALS_BYTES_MAX (1u * MIB)  /* of all partial answers of one peck */
#define RECORD_SIZE_MAX (4u * KIB)     /* the packed envelope */
#define RECORD_ENVELOPE_OVERHEAD 128u     /* signer, type, signature and their tags, signed alone */
#define RECORD_KEY_MAX 64
#define BIO_MAX 1024
#define REVOCATION_REASON_MAX 256
#define CONTRADICTION_CERTIFICATES_MAX 16u /* of a proof; fewer fit, if they are long: RECORD_SIZE_MAX */
#define CONTRADICTIONS_PER_MINUTE 16u      /* proofs that a node makes */
#define REVOCATION_CONTENT_KEPT_MAX 320 /* in memory: subject, reason and date; a voucher that is taken back is longer */
#define ADDRESS_MAX 255                /* "host:port" */
#define CERTIFICATE_SIZE_MAX (4u * KIB) /* the packed envelope */
#define CHAIN_SIZE_MAX (64u * KIB)     /* packed; some 200 rotations */
#define CONTEXT_SIZE_MAX (3u * KIB)    /* the packed envelope of a further certificate */
#define ACCUSATION_SIZE_MAX 512u       /* the packed envelope */
#define VOUCHER_SIZE_MAX 1024u         /* the packed envelope */
#define VOUCHER_DOMAIN_MAX 253
#define VOUCHER_RECORD_REST_MAX 512u   /* of its record: ids, key, dates, network, their tags */
#define WITHDRAWAL_SIZE_MAX 512u       /* the packed envelope */
#define GRANT_SIZE_MAX (6u * KIB)      /* with all its blocks and their certificates */
#define GRANT_BLOCK_SIZE_MAX 1536u     /* the packed envelope */
#define AUDIT_CHECKPOINT_SIZE_MAX 512u /* the packed envelope */
#define AUDIT_PAGE_SIZE_MAX (128u * KIB)
#define AUDIT_DETAIL_MAX 256
#define ENVELOPE_OVERHEAD_MAX (2u * KIB) /* of an envelope over its body */
#define PECK_BODY_MAX (PECK_PAYLOAD_MAX + 8u * KIB)
#define RECEIPT_BODY_MAX (PECK_PAYLOAD_MAX + 8u * KIB)
#define FRAME_TAGS_MAX 16u             /* of an inner frame: its kind, two fields and their lengths */
#define FRAME_SIZE_MAX (336u * KIB)    /* an inner frame: the largest peck or receipt with the longest chain */

#define BUNDLE_BODY_MAX (4u * KIB)     /* of a frame in a bundle; a larger one goes alone */
#define BUNDLE_OPENED_MAX (256u * KIB) /* all frames of a bundle, whole again: who sends little cannot ask for much work */

/* Counts on the wire. */
#define CERTIFICATE_SCOPES_MAX 16
#define PECK_SCOPES_MAX 16
#define GRANT_BLOCKS_MAX 8             /* of one grant: handed on seven times */
#define GRANT_SCOPES_MAX 8             /* of a block */
#define AUDIT_PAGE_ENTRIES_MAX 256
#define PARTIALS_MAX 4096u             /* partial answers of one peck */
#define NODE_ADDRESSES_MAX 8
#define NODE_PERCHES_MAX 8
#define DUCKLING_CAPABILITIES_MAX 32
#define DUCKLING_VOUCHERS_MAX 4       /* operators that vouch for one */
#define DUCKLING_OPEN_ACTIONS_MAX 16
#define RECORDS_PER_FRAME_MAX 64
#define FETCH_HASHES_PER_FRAME_MAX 512

/* Terms of a bond: what can be named; 0 is no limit. */
#define BOND_PER_MINUTE_MAX 60000u      /* actions */
#define BOND_PER_DAY_MAX 100000000u     /* actions */
#define BOND_BUDGET_MAX 1000000000000ull /* units */
#define BOND_ROUNDS_MAX 1000000u        /* of a thread */
#define BOND_ROUNDS_DEFAULT 64u
#define BOND_STOP_WORDS_MAX 8u
#define BOND_STOP_WORD_MAX 64u          /* bytes */
#define ANSWER_CHARGE_MAX 1000000000u   /* units, of one answer */

/* Parsing: an arena of this many bytes for a frame of `size` (amplification of protobuf-c). */
#define PARSE_BUDGET(size) (16u * KIB + 16u * (size_t)(size))

/* Times. */
#define CERTIFICATE_LIFE_MS (3650 * DAY_MS)
#define CONTEXT_LIFE_MAX_MS (364 * DAY_MS)   /* its revocation, which lives for REVOCATION_LIFE_MAX_MS at most, outlives it */
#define CONTEXT_LIFE_MS (30 * DAY_MS)        /* when no end is named */
#define PECK_LIFE_MS (24 * HOUR_MS)          /* default for delivery */
#define PECK_APPROVAL_MS (10 * MINUTE_MS)    /* default for an owner's decision */
#define PECK_LIFE_MAX_MS (7 * DAY_MS)
#define RECORD_LIFE_MS (2 * DAY_MS)
#define RECORD_LIFE_MAX_MS (7 * DAY_MS)
#define REVOCATION_LIFE_MIN_MS RECORD_LIFE_MAX_MS /* outlives whatever was said before it */
#define REVOCATION_LIFE_MAX_MS (365 * DAY_MS)
#define VOUCHER_LIFE_MS (30 * DAY_MS)
#define VOUCHER_LIFE_MAX_MS (90 * DAY_MS)
#define WITHDRAWAL_LIFE_MS (VOUCHER_LIFE_MAX_MS + DAY_MS) /* outlives whatever it takes back */
#define GRANT_LIFE_MAX_MS (365 * DAY_MS)
#define GRANT_KEPT_MS DAY_MS                 /* what is known of a block outlives it: clocks are set back */
#define QUARANTINE_MS (24 * HOUR_MS)         /* of an owner that gave one version to two records */
#define NODE_SAID_ANEW_MS SECOND_MS          /* after turns that could not be kept: the node's own record */
#define RECORD_REFRESH_MS (12 * HOUR_MS)     /* by the owner, with jitter */
#define CLOCK_LEAP_MS MINUTE_MS              /* by so much more than the steady clock the date went on: the host slept, say */
#define METRICS_REFRESH_MS (5 * SECOND_MS)   /* at most so often, and only when they changed */
#define ACCUSATION_LIFE_MS MINUTE_MS
#define CLOCK_SKEW_MAX_MS (5 * MINUTE_MS)    /* of pecks and records made by others */
#define BOND_LIFE_MS (365 * DAY_MS)
#define LOBSTER_LEASE_MS (15 * MINUTE_MS)    /* of a lobster bind, when none is named */
#define LOBSTER_LEASE_MIN_MS (5 * SECOND_MS)
#define LOBSTER_LEASE_MAX_MS HOUR_MS
#define LOBSTER_CONFIRM_MS (10 * MINUTE_MS)  /* in which both operators confirm, or it is given up */
#define LOBSTER_SAY_AGAIN_MS (2 * SECOND_MS) /* an offer or answer without an answer */
#define BOND_COOL_DOWN_MAX_MS (30 * DAY_MS)
#define BOND_TELL_EVERY_MS MINUTE_MS         /* of one limit of one bond that refuses */
#define MUTE_LATEST_MS 253402300799999ull    /* the end of the year 9999 */
#define AUDIT_CHECKPOINT_MS SECOND_MS         /* what was kept is signed for within it */
#define RESTORED_PER_MS 1024u                 /* what a node numbers goes on, after a restore, at so many for each
                                                 millisecond since 1970: no life uses as many, and 2^53 is far */
#define LEASE_MS (60 * SECOND_MS)
#define LEASE_MIN_MS SECOND_MS
#define LEASE_MAX_MS HOUR_MS
#define RESEND_FIRST_MS (2 * SECOND_MS)      /* a peck without a receipt, link up */
#define RESENDS_PER_TURN_MAX 256             /* what is due beyond it goes out in the next turn */
#define RESEND_MAX_MS (60 * SECOND_MS)
#define PARTIALS_ASK_MS (SECOND_MS / 2)      /* after a gap is seen, until what is missing is asked for */
#define PARTIALS_KEEP_MS DAY_MS              /* the parts of an answer outlive its peck's time by this; the answer stays */
#define OUTBOX_GRACE_MS (10 * SECOND_MS)     /* after its end a peck waits so long for the receipt that says it */
#define DIAL_FIRST_MS 500ull                 /* back-off, doubling, full jitter */
#define DIAL_MAX_MS (5 * MINUTE_MS)
#define DIAL_EAGER_MAX_MS (5 * SECOND_MS)    /* while pecks wait for that node */
#define SESSION_KEY_LIFE_MS (7 * DAY_MS)
#define SESSION_LIFE_MS (15 * MINUTE_MS)     /* then a fresh handshake replaces it */
#define SESSION_FRAMES_MAX (1ull << 32)
#define ALIVE_WITHIN_MS (10 * MINUTE_MS)     /* a duckling that pulsed so recently is alive */

#define PRE_KEY_LIFE_MS DAY_MS               /* then a new one is published */
#define PRE_KEY_KEPT_MS (PRE_KEY_LIFE_MS + PECK_LIFE_MAX_MS) /* what was sealed to it has ended by then */

/* Perches. */
#define PRE_KEYS_MAX 16u                     /* a day's each; more when clocks leap */
#define PERCHES_CHOSEN 3u                    /* when none are named */
#define PERCHES_PER_PECK 3u                  /* that one peck is brought to */
#define PERCH_BYTES_MAX (64u * MIB)          /* of all that is held for others */
#define PERCH_OWNER_BYTES_MAX (16u * MIB)    /* of it for one node */
#define PERCH_ENTRY_BYTES_MIN 4096u          /* that each counts for at least: 16384 of them, 4096 for one node */
#define PERCH_SEALED_MAX (FRAME_SIZE_MAX - 1u * KIB) /* bytes */
#define PERCH_EVICTED_MAX 128u               /* that make room for one */
#define PERCH_AFTER_ATTEMPTS 3u              /* to reach a node that nobody calls dead, then its perches are used */
#define DEPOSITS_PER_TURN_MAX 64u            /* to seal one takes 0.2 ms; what is due beyond it is sealed in the next turn */
#define DEPOSIT_ANSWER_MS (30 * SECOND_MS)   /* a perch that did not answer by then is asked again */
#define DEPOSIT_REFUSED_MS (5 * MINUTE_MS)   /* one that refused */
#define COLLECT_AT_ONCE 32u                  /* sealed pecks that go out for one CollectFrame… */
#define COLLECT_BYTES (1u * MIB)             /* …and bytes; one at least */
#define COLLECT_ANSWER_MS (10 * SECOND_MS)   /* without a word from the perch: it is asked again */
#define COLLECT_EVERY_MS (5 * MINUTE_MS)     /* a perch that is linked all the while is asked so often */
#define COLLECT_AGAIN_MS (2 * SECOND_MS)     /* after a pass that left some for later, doubling to a minute */
#define COLLECT_JUNK_MS SECOND_MS            /* before the next portion, when one had what nobody can open */
#define SETTLED_AT_ONCE 64u                  /* names in one frame */
#define PERCH_CHOOSE_MS MINUTE_MS            /* perches are chosen anew so often, if some are gone… */
#define PERCH_CHOOSE_FIRST_MS (5 * SECOND_MS) /* …and so soon after the start, and while there are too few */

/* Tables. */
#define OUTBOX_MAX 100000u        /* pecks that await a receipt; then "busy" */
#define TRAY_MAX 100000u          /* pecks that await an agent or an owner; then refused, not final */
#define TRAY_PER_SENDER_MAX 10000u /* of one sender, in the tray */
#define TRAY_PENDING_MAX(max) ((max) / 2) /* of it, that wait for owners: strangers leave room for who has a bond */
#define PENDING_PER_SENDER_MAX 64u /* of one sender, waiting for owners */
#define BONDS_MAX 100000u
#define LOBSTERS_MAX 256u         /* lobster binds of this node's ducklings, those that are begun among them: of these the newest
                                     of whoever has most gives way to who has less */
#define BOND_THREADS_MAX 32u      /* whose rounds one bond counts; then the least lately used is forgotten */
#define DIRECTORY_MAX 1000000u    /* records; some 180 MB */
#define DIRECTORY_RESERVE(max) ((max) / 10) /* of them, for owners that are no strangers */
#define REVOCATIONS_HELD_MAX(max) ((max) / 10) /* of them, of owners of whom nothing else was held */
#define WITHDRAWALS_PER_OPERATOR_MAX 1024u /* with more, none of its vouchers counts */
#define MARKS_MAX 500000u         /* high-water marks of records that ended */
#define PROOFS_MAX 4096u          /* owners that gave one version to two records */
#define NODES_MAX 10000u          /* nodes that we remember */
#define HOSTED_MAX 10000u         /* ducklings on one node */
#define WANTED_PER_DUCKLING_MAX 256u /* things that wait for the signature of one that keeps its own key */
#define WANTED_UNASKED_MAX(max) ((max) / 2) /* of them, receipts that no order asked for: strangers bring them about */
#define WANTED_BUT_RECORDS_MAX(max) ((max) - (max) / 8) /* of them, receipts and orders: what it says of itself has room */
#define WANTED_BYTES_MAX (64u * MIB) /* of all that waits so on this node; an order counts with what it says. Of what there
                                        is no room for the newest of whoever has most goes */
#define WANTED_LIST_MAX 64u       /* told at once… */
#define WANTED_LIST_BYTES (640u * KIB) /* …and bytes of them; one at least */
#define ACTIVE_LINKS_MAX 64u      /* lasting links; of more the least useful close */
#define FULL_MESH_NODES_MAX 20u   /* so many other live nodes are all linked */
#define LINKS_CHOSEN 4u           /* beyond that: dialled here, to members chosen by chance */
#define KEYRING_MAX 65536u        /* verified chains held */
#define BATCH_ROOTS_MAX 4096u     /* verified roots remembered, per worker */
#define RECORDS_PER_OWNER_MAX 17u /* 1 directory entry and 16 others; of RECORD_SIZE_MAX: 68 KiB */
#define CONTEXTS_MAX 4096u        /* further certificates of all ducklings of a node: each has a key in guarded memory… */
#define CONTEXTS_RESERVE(max) ((max) / 4) /* …of them, for ducklings that have none: so who has many ducklings leaves one to each other… */
#define CONTEXTS_PER_DUCKLING_MAX 16u /* …and of one */
#define CONTEXTS_REMEMBERED 256u  /* of others, verified, per worker; a power of two */

#define GRANT_ROWS_MAX 65536u     /* blocks of grants that are counted, or were revoked */
#define GRANT_ROWS_RESERVE(max) ((max) / 10) /* of them, for revocations by roots with few rows */
#define GRANT_ROWS_PER_ROOT_MAX 4096u  /* of one duckling's grants; by others than itself three quarters… */
#define GRANT_ROWS_FEW(max) ((max) / 64) /* …and so few have room in the reserve */
#define GRANT_ROWS_PER_GRANT_MAX 1024u /* of one first block… */
#define GRANT_ROWS_FOR_USES(max) ((max) - (max) / 4) /* …and of them for what was used… */
/* …and for all of it with revocations of block `number`, from 0: whatever the holders further down fill, who signed
 * an earlier block still can revoke. */
#define GRANT_ROWS_TO_REVOKE(max, number) ((max) - (number) * ((max) / 32))

/* Reconciliation. */
/* Gossip. */
#define SEEN_RECORDS 8192u               /* verified lately; a power of two */
#define NEIGHBOURS_MAX 5000u             /* whose quotas are kept: as many as links */
#define NEWS_BYTES_PER_S (64u * KIB)     /* that one neighbour may tell unasked: some 50 records a second … */
#define NEWS_BYTES_BURST (1u * MIB)      /* … and a thousand at once */
#define AGAIN_BYTES_PER_S (4u * MIB)     /* of stored receipts and parts that one neighbour may have said again … */
#define AGAIN_BYTES_BURST (16u * MIB)    /* … and so many at once; beyond it they go out later */
#define AGAIN_FRAME_BYTES 512u           /* that each counts for beside its own: looking it up is work too */
#define ASKED_BYTES_PER_S (16u * MIB)    /* comparisons, fetches and what was fetched */
#define ASKED_BYTES_BURST (64u * MIB)
#define NEWS_SLOTS_MAX 256u              /* changed records that wait for their rides; of a larger crowd the rest is left to repair */
#define NEWS_PASSED_BURST 128u           /* records of one class that came lately: more are a crowd, which is left to repair … */
#define NEWS_PASSED_PER_S 64u            /* … until it is over: so many are forgotten each second */
#define NEWS_CROWD_MS (3 * SECOND_MS)    /* after a crowd neighbours are compared with oftener */
#define NEWS_OLD_MS MINUTE_MS            /* what a first fill brings and is so old is no news */
#define NEWS_HOLDERS_MAX 24u             /* neighbours of a slot; the budget's upper end */
#define NEWS_GATHER_MS 20ull             /* between rounds */
#define NEWS_RIDE_MS 100ull              /* between rides, and up to as much again */
#define NEWS_CLIPPED_MAX 32u             /* rides that a change waits while others fill the frames */
#define NEWS_PER_FRAME_MAX 48u           /* records told to one neighbour at once */
#define SUMS_SETTLE_MS SECOND_MS         /* differing sums count when ours has stayed so long … */
#define SUMS_PATIENCE_MS (5 * SECOND_MS)  /* … or when none counted for so long … */
#define SUMS_LINK_MS (15 * SECOND_MS)   /* a neighbour that was not compared with for so long is asked … */
#define SUMS_ASK_MS (5 * SECOND_MS)     /* … one of those so often */
#define SUMS_CROWD_MS (SECOND_MS / 2)    /* … or so long, while news leave a crowd to repair */
#define REPAIR_STEP_MS (3 * SECOND_MS)   /* a neighbour that does not answer by then is left; when it does not by … */
#define REPAIR_AGAIN_MS SECOND_MS        /* … its question is put once more, and it has its time again */
#define REPAIR_STILL_MS (20 * SECOND_MS) /* a session in which nothing of use came for so long is over */
#define REPAIR_RECORD_MS 100ull /* while others wait it goes on for so much longer with each record of use */
#define REPAIR_FAILED_REST_MS (2 * SECOND_MS) /* after the second failure in a row, doubling … */
#define REPAIR_FAILURES_MAX 3u           /* … for so many: to 8 s */
#define REPAIR_FRUITLESS_MAX 3u          /* portions in a row that brought nothing of what was asked for */
#define REPAIR_REFUSED_MS (10 * MINUTE_MS) /* what is of no use is not asked for again for so long */
#define REPAIR_REST_MS (SECOND_MS / 2)   /* between two sessions with one neighbour */
#define REPAIR_FRUITLESS_REST_MIN_MS SECOND_MS    /* after one that brought nothing, doubling … */
#define REPAIR_FRUITLESS_REST_MS (10 * SECOND_MS) /* … up to this */
#define FLEET_OPERATORS_MAX 8u           /* of a closed fleet: that may vouch for a node */
#define HEARD_SECOND_MS (2 * SECOND_MS)  /* a node that was away and heard one neighbour waits so long for another one's word … */
#define HEARD_STRANGERS_MS (10 * SECOND_MS) /* … or, having heard such only as it did not know before, for one that it did … */
#define HEARD_LATE_MS (10 * SECOND_MS)   /* … (that nobody answers at all is said then) … */
#define HELD_BACK_MAX 1024u              /* … and keeps so many frames until then … */
#define HELD_BACK_BYTES (16u * MIB)      /* … and bytes of them; what exceeds that is said again by its sender … */
#define HELD_BACK_OF_ONE(max) ((max) / 2) /* … of either, of one neighbour, half: one that floods leaves room for others */
#define REPAIR_AUDIT_MS (HOUR_MS / 2)    /* and up to as much again */
#define AUDIT_EACH_S 900u                /* between two audits for one neighbour: each takes a look at the whole set */
#define AUDIT_SLICE 16384u               /* stamps of it that are taken in one turn: some 10 ms */
#define AUDIT_SERVED_MS MINUTE_MS         /* how long the responder of an audit keeps it */
#define REPAIR_FETCH_MAX 512u            /* records asked for at once */
#define REPAIR_SMALL_SET 256u            /* stamps: then all are compared at once */
#define REPAIR_FIRST_FILL_BELOW 16u      /* stamps: then a neighbour streams its set */
#define RECONCILE_PIECES 16u
#define RECONCILE_PIECES_MAX 32u
#define RECONCILE_LIST_BELOW 8u          /* stamps */
#define RECONCILE_LIST_BELOW_MAX 64u
#define RECONCILE_FRAME_MIN 4096u        /* bytes */
#define RECONCILE_FRAME_MAX (320u * KIB) /* of a message written: a thousand scattered differences in a million take three round trips */
#define RECONCILE_TAKE_MAX (512u * KIB)  /* of a message read: peers may write more */
#define RECONCILE_NEEDS_MAX 20000u       /* hashes a session */
#define RECONCILE_HAVES_MAX 1000u        /* hashes a session: advice only */
#define RECONCILE_SESSION_BYTES_MAX (8u * MIB) /* both ways */
#define RECONCILE_ROUNDS_MAX (16u + RECONCILE_SESSION_BYTES_MAX / RECONCILE_FRAME_MAX)
#define RECONCILE_LOOKS_MAX 4000000u     /* stamps of ours compared with lists, a session: 0.5 s */

/* Waiting. */
#define WAIT_MAX_MS (30 * SECOND_MS)

#endif
