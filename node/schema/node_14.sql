-- node.db, version 14: contexts, further certificates of ducklings, see lib/core/context.h.
--
-- Of ducklings that live here, with their keys. One that is issued anew, after its duckling's key was rotated, keeps
-- its row: the identity that its revocation would be of stays the same.
CREATE TABLE context (
    number INTEGER PRIMARY KEY,
    carrier BLOB NOT NULL UNIQUE CHECK (length(carrier) = 20),
    duckling INTEGER NOT NULL REFERENCES identity (number),
    wire BLOB NOT NULL,                               -- packed Envelope
    seed BLOB,                                        -- sealed as those of ducklings are; NULL: it is revoked
    revoked_ms INTEGER NOT NULL                       -- wall; 0: it is not
) STRICT;
CREATE INDEX context_of ON context (duckling);

-- What pecks were signed under, ours and others', once each.
CREATE TABLE peck_context (
    seq INTEGER PRIMARY KEY REFERENCES peck (seq),
    shown INTEGER NOT NULL REFERENCES shown_context (number)
) STRICT;
CREATE TABLE shown_context (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 20),  -- crt_
    carrier BLOB NOT NULL CHECK (length(carrier) = 20),
    not_after_ms INTEGER NOT NULL,
    wire BLOB NOT NULL
) STRICT;
