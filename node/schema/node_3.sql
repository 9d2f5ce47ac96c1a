-- node.db, version 3: the audit log, see proto/audit.proto and lib/core/audit_log.h.
CREATE TABLE audit_page (
    first INTEGER PRIMARY KEY,                        -- number of its first entry
    body BLOB NOT NULL
) STRICT;

CREATE TABLE audit_checkpoint (
    page INTEGER PRIMARY KEY,                         -- the last that it vouches for
    wire BLOB NOT NULL
) STRICT;

-- The node's certificates: with them a copy of this file can be checked by anybody.
CREATE TABLE audit_signer (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    chain BLOB NOT NULL
) STRICT;
