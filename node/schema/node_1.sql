-- node.db, version 1.
--
-- Identities are numbered, so that a peck names them with three bytes instead of twenty, and each
-- chain stands here once. Signed things are kept as they came.
--
-- Pecks are made to be appended. `peck` holds what changes, `peck_wire` what never does, so a
-- change of state dirties a page of forty states and not one of six envelopes.
--
-- A peck's names (its hash, its idempotency key, its thread) are random: in one large index each
-- new row dirties a page of its own. So a peck is indexed only when it is filed, some thousand at
-- a time, as one generation; every index begins with the generation's number, and so is appended
-- to as well. Who looks for something asks the generations one by one, from the newest, which is
-- the order of every list. What is not filed lies above node.filed_through, at the end of the
-- table: the writer has it in memory, readers look through it.
CREATE TABLE node (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    node BLOB NOT NULL CHECK (length(node) = 20),
    closed INTEGER NOT NULL CHECK (closed IN (0, 1)), -- 0: open, or the last stop was not in order
    filed_through INTEGER NOT NULL,
    generation INTEGER NOT NULL,                      -- the newest; 0: nothing is filed
    floor_ms INTEGER NOT NULL,                        -- the newest version of what we published
    floor_count INTEGER NOT NULL,
    ducklings INTEGER NOT NULL,
    birth_certificates INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    eggs INTEGER NOT NULL,
    space_ducks INTEGER NOT NULL,
    pecks INTEGER NOT NULL,
    pageviews INTEGER NOT NULL
) STRICT;

CREATE TABLE identity (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 20),
    chain BLOB,                                       -- the longest seen; NULL: none yet
    pinned INTEGER NOT NULL                           -- 1: a peck, receipt, bond or egg here needs it
) STRICT;

-- Certificates after the first: that one has the identity's own id.
CREATE TABLE certificate (
    id BLOB PRIMARY KEY,
    identity INTEGER NOT NULL REFERENCES identity (number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX certificate_identity ON certificate (identity);

CREATE TABLE hosted (
    identity INTEGER PRIMARY KEY REFERENCES identity (number),
    seed BLOB NOT NULL,                               -- both sealed: nonce, box
    next_seed BLOB NOT NULL,
    display_name BLOB NOT NULL,
    bio BLOB NOT NULL,
    capabilities BLOB NOT NULL,                       -- one a line
    accepts_pecks INTEGER NOT NULL,
    pulse_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE bond (
    id BLOB PRIMARY KEY CHECK (length(id) = 20),
    requester INTEGER NOT NULL REFERENCES identity (number),
    approver INTEGER NOT NULL REFERENCES identity (number),
    scopes BLOB NOT NULL,                             -- one a line
    made_ms INTEGER NOT NULL,
    not_after_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX bond_requester ON bond (requester);
CREATE INDEX bond_approver ON bond (approver);

-- duckling, other: numbers of identities, the end that lives here and the other one. They are not
-- declared as references: the check costs as much as the row.
CREATE TABLE peck (
    seq INTEGER PRIMARY KEY,
    name INTEGER NOT NULL,                            -- first 8 bytes of hash, big-endian
    hash BLOB NOT NULL,
    box INTEGER NOT NULL,                             -- 1 in, 2 out
    duckling INTEGER NOT NULL,
    other INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,                           -- enum peck_state
    place INTEGER NOT NULL,                           -- enum tray_place; of box 1
    attempt INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    lease_until_ms INTEGER NOT NULL,                  -- wall
    filed INTEGER,                                    -- its generation; NULL: not filed
    thread BLOB,                                      -- NULL: none
    idempotency_key BLOB,                             -- NULL: none; of box 2
    key_name INTEGER                                  -- first 8 bytes of a hash of sender and key
) STRICT;
CREATE INDEX peck_by_name ON peck (filed, name) WHERE filed IS NOT NULL;
CREATE INDEX peck_by_duckling ON peck (filed, duckling, seq, other, box) WHERE filed IS NOT NULL;
CREATE INDEX peck_open ON peck (filed, duckling, seq) WHERE filed IS NOT NULL AND state < 6;
CREATE INDEX peck_failed ON peck (filed, duckling, seq)
    WHERE filed IS NOT NULL AND state > 5 AND state <> 7;
CREATE INDEX peck_by_thread ON peck (filed, thread, seq)
    WHERE filed IS NOT NULL AND thread IS NOT NULL;
CREATE INDEX peck_by_key ON peck (filed, key_name) WHERE filed IS NOT NULL AND key_name IS NOT NULL;

CREATE TABLE peck_wire (
    seq INTEGER PRIMARY KEY,
    wire BLOB NOT NULL
) STRICT;

-- Two tables, so that each is appended to: a `done` receipt comes long after its `taken` one.
CREATE TABLE taken_receipt (
    seq INTEGER PRIMARY KEY,                          -- of the peck
    state INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    signer INTEGER NOT NULL,
    wire BLOB NOT NULL
) STRICT;
CREATE TABLE done_receipt (
    seq INTEGER PRIMARY KEY,
    state INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    signer INTEGER NOT NULL,
    wire BLOB NOT NULL
) STRICT;

-- The directory. `host` is of ducklings that are not deleted.
CREATE TABLE record (
    number INTEGER PRIMARY KEY,
    name INTEGER NOT NULL,                            -- first 8 bytes of hash, big-endian
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    owner BLOB NOT NULL CHECK (length(owner) = 20),
    kind INTEGER NOT NULL,
    key BLOB NOT NULL,
    version_ms INTEGER NOT NULL,
    version_count INTEGER NOT NULL,
    not_after_ms INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    host BLOB,
    wire BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX record_by_owner ON record (owner, kind, key);
CREATE INDEX record_by_name ON record (name);
CREATE INDEX record_by_host ON record (host) WHERE host IS NOT NULL;

CREATE TABLE capability (
    name TEXT NOT NULL,
    owner BLOB NOT NULL,
    record INTEGER NOT NULL REFERENCES record (number) ON DELETE CASCADE,
    PRIMARY KEY (name, owner)
) STRICT, WITHOUT ROWID;
CREATE INDEX capability_record ON capability (record);

-- Attestations of the claim "bonded".
CREATE TABLE bonded (
    owner BLOB NOT NULL,
    subject BLOB NOT NULL,
    not_after_ms INTEGER NOT NULL,
    record INTEGER NOT NULL UNIQUE REFERENCES record (number) ON DELETE CASCADE,
    PRIMARY KEY (owner, subject)
) STRICT, WITHOUT ROWID;

-- rowid is record.number.
CREATE VIRTUAL TABLE duckling_text USING fts5 (
    display_name, bio, capabilities, tokenize = 'unicode61 remove_diacritics 2'
);
