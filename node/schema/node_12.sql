-- node.db, version 12: lobster binds of ducklings that live here, see lib/core/lobster.h.
CREATE TABLE lobster (
    here INTEGER NOT NULL REFERENCES identity (number),
    there INTEGER NOT NULL REFERENCES identity (number),
    began_here INTEGER NOT NULL,
    state INTEGER NOT NULL,
    session BLOB NOT NULL CHECK (length(session) = 16),
    nonce BLOB NOT NULL CHECK (length(nonce) = 32),
    other_nonce BLOB NOT NULL CHECK (length(other_nonce) = 32),
    commitment BLOB NOT NULL CHECK (length(commitment) = 32),
    certificate_here BLOB NOT NULL CHECK (length(certificate_here) = 20),
    certificate_there BLOB NOT NULL CHECK (length(certificate_there) = 20),
    lease_ms INTEGER NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 20),         -- zero: not known yet
    until_ms INTEGER NOT NULL,                        -- given up then, where not both confirmed
    here_until_ms INTEGER NOT NULL,                   -- what each end said last ends then
    there_until_ms INTEGER NOT NULL,
    PRIMARY KEY (here, there)
) STRICT, WITHOUT ROWID;
