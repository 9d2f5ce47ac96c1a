-- node.db, version 11: grants.
--
-- What the node of a duckling that may be pecked knows of blocks of its grants, beside what their bytes say: how
-- often they were used, where they limit that, and which were revoked.
CREATE TABLE grant_block (
    id BLOB PRIMARY KEY CHECK (length(id) = 20),
    first BLOB NOT NULL CHECK (length(first) = 20),   -- of the grant's first block
    root BLOB NOT NULL CHECK (length(root) = 20),     -- the duckling that may be pecked
    issuer BLOB NOT NULL CHECK (length(issuer) = 20),
    holder BLOB NOT NULL CHECK (length(holder) = 20),
    uses INTEGER NOT NULL,                            -- 0: no limit
    used INTEGER NOT NULL,
    revoked_ms INTEGER NOT NULL,                      -- 0: it was not
    not_after_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
