-- node.db, version 7: answers that come in parts. The last row of a peck tells how far it has come, so
-- a restart reads one row for each open peck. The signer is the peck's target.
CREATE TABLE partial (
    seq INTEGER NOT NULL,                             -- of the peck
    number INTEGER NOT NULL,                          -- from 1
    at_ms INTEGER NOT NULL,
    total INTEGER NOT NULL,                           -- bytes of all payloads up to this
    running BLOB NOT NULL CHECK (length(running) = 32), -- hash over them, see lib/core/partials.h
    wire BLOB NOT NULL,
    PRIMARY KEY (seq, number)
) STRICT, WITHOUT ROWID;

-- Of a sent peck: 1 when its sender took it back and its target's node has not said its end yet.
ALTER TABLE peck ADD COLUMN cancelling INTEGER NOT NULL DEFAULT 0;
