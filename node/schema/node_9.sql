-- node.db, version 9: perches.
--
-- Our pre-keys: what perches hold for this node is sealed to them. A secret is sealed as seeds are, and
-- overwritten before its row goes.
CREATE TABLE pre_key (
    public BLOB PRIMARY KEY CHECK (length(public) = 32),
    secret BLOB NOT NULL,
    made_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What this node holds for others that are away, and cannot read.
CREATE TABLE perched (
    number INTEGER PRIMARY KEY,                       -- in order of arrival
    name BLOB NOT NULL CHECK (length(name) = 20),     -- by who brought it
    owner BLOB NOT NULL CHECK (length(owner) = 20),
    bringer BLOB NOT NULL CHECK (length(bringer) = 20),
    not_after_ms INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

-- Where our pecks are held.
CREATE TABLE deposit (
    seq INTEGER NOT NULL,                             -- of the peck
    perch BLOB NOT NULL CHECK (length(perch) = 20),
    at_ms INTEGER NOT NULL,                           -- since when
    PRIMARY KEY (seq, perch)
) STRICT, WITHOUT ROWID;
