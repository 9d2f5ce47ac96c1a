-- directory.db, version 5: what gossip brought. All of it can be fetched again, so a file that is
-- lost or damaged is made anew.
--
-- Made to be appended to. Records are numbered: 32 numbers for each identity, its records among
-- them; so an owner's records lie side by side and need no index by owner, kind and key. What is
-- random is kept away from large trees, where each new row dirties a page of its own (10 us):
--
-- - the ids of identities are entered in a small tree, and filed into the large one some thousand
--   at a time, side by side;
-- - capabilities, hosts and words are in FTS5, which merges sorted runs. A capability as an index of
--   its own cost 20 us a record, as a word of `tag` 4. FTS5 gives numbers in their order, so a page
--   of a search is cut off where it is full;
-- - hashes are in the writer's memory, 16 bytes a record.
--
-- Both FTS5 tables are contentless: the words stand in the records' own bytes, once. What is to be
-- taken out of them is read from there.
CREATE TABLE origin (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    node BLOB NOT NULL CHECK (length(node) = 20),
    made_ms INTEGER NOT NULL                          -- what is not here may have been before
) STRICT;

CREATE TABLE identity (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL CHECK (length(id) = 20),
    chain BLOB NOT NULL                               -- the longest seen
) STRICT;

-- name: first 8 bytes of the id, big-endian.
CREATE TABLE identity_fresh (
    name INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (name, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE identity_filed (
    name INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (name, number)
) STRICT, WITHOUT ROWID;

-- Certificates after the first: that one has the identity's own id.
CREATE TABLE certificate (
    id BLOB PRIMARY KEY,
    identity INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX certificate_identity ON certificate (identity);

-- What a restart needs, without the bytes: those are in record_wire, at the same number.
CREATE TABLE record (
    number INTEGER PRIMARY KEY,                       -- 32 * identity + 0 to 31
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    owner BLOB NOT NULL CHECK (length(owner) = 20),
    kind INTEGER NOT NULL,
    key BLOB NOT NULL,
    version_ms INTEGER NOT NULL,
    version_count INTEGER NOT NULL,
    not_after_ms INTEGER NOT NULL,
    flags INTEGER NOT NULL,                           -- 1: deleted, 2: a duckling that accepts pecks
    host BLOB                                         -- of ducklings that are not deleted
) STRICT;
CREATE TABLE record_wire (
    number INTEGER PRIMARY KEY,
    wire BLOB NOT NULL
) STRICT;

-- Of ducklings. rowid is record.number. A capability is one word; a host is "@" and its id in
-- hexadecimal digits.
CREATE VIRTUAL TABLE tag USING fts5 (
    tags, content = '', columnsize = 0, detail = none, tokenize = "ascii tokenchars '_.-@'"
);
CREATE VIRTUAL TABLE word USING fts5 (
    words, content = '', columnsize = 0, detail = none, tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO tag (tag, rank) VALUES ('automerge', 4);
INSERT INTO word (word, rank) VALUES ('automerge', 4);
INSERT INTO tag (tag, rank) VALUES ('crisismerge', 64);
INSERT INTO word (word, rank) VALUES ('crisismerge', 64);
CREATE VIRTUAL TABLE tag_term USING fts5vocab (tag, instance);
CREATE VIRTUAL TABLE word_term USING fts5vocab (word, instance);

-- Attestations of the claims "bonded" and "operator-verified" (subject: the operator).
CREATE TABLE bonded (
    owner BLOB NOT NULL,
    subject BLOB NOT NULL,
    record INTEGER NOT NULL,
    not_after_ms INTEGER NOT NULL,
    issued_ms INTEGER,                                -- of "operator-verified": the voucher's date
    PRIMARY KEY (owner, subject, record)
) STRICT, WITHOUT ROWID;

-- Attestations of the claim "lobster-bind". proof: the bind, that both ends name.
CREATE TABLE bound (
    owner BLOB NOT NULL,
    subject BLOB NOT NULL,
    record INTEGER NOT NULL,
    not_after_ms INTEGER NOT NULL,
    proof BLOB NOT NULL CHECK (length(proof) = 20),
    PRIMARY KEY (owner, subject, record)
) STRICT, WITHOUT ROWID;

-- Which vouchers operators took back: those for `subject` that were issued at until_ms or before.
CREATE TABLE withdrawn (
    record INTEGER PRIMARY KEY,
    operator BLOB NOT NULL,
    subject BLOB NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX withdrawn_voucher ON withdrawn (operator, subject, until_ms);

-- Whom a revocation proves to have two certificates of one number: nothing else of it is here.
CREATE TABLE contradicted (
    record INTEGER PRIMARY KEY,
    identity BLOB NOT NULL
) STRICT;
CREATE INDEX contradicted_identity ON contradicted (identity);

-- How high a record that has ended had come: nothing at or below it is taken until then.
CREATE TABLE mark (
    owner BLOB NOT NULL,
    kind INTEGER NOT NULL,
    key BLOB NOT NULL,
    version_ms INTEGER NOT NULL,
    version_count INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (owner, kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX mark_until ON mark (until_ms);

-- Two records of one version, both signed by their owner.
CREATE TABLE proof (
    number INTEGER PRIMARY KEY,                       -- the oldest go first
    owner BLOB NOT NULL UNIQUE,
    first BLOB NOT NULL,
    second BLOB NOT NULL
) STRICT;

-- Whose ducklings are not shown.
CREATE TABLE quarantine (
    owner BLOB PRIMARY KEY,
    until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
