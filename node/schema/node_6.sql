-- node.db, version 6: what operators say about the ducklings that live here, whom this node trusts,
-- and on what conditions a duckling takes pecks.
CREATE TABLE voucher (
    duckling INTEGER NOT NULL REFERENCES identity (number),
    operator BLOB NOT NULL CHECK (length(operator) = 20),
    not_after_ms INTEGER NOT NULL,
    wire BLOB NOT NULL,
    chain BLOB NOT NULL,                              -- of the operator
    PRIMARY KEY (duckling, operator)
) STRICT, WITHOUT ROWID;

CREATE TABLE trust (
    operator BLOB PRIMARY KEY CHECK (length(operator) = 20),
    domain TEXT NOT NULL,                             -- that it has shown to be its own; empty: by the owner's word
    until_ms INTEGER                                  -- NULL: until it is taken back
) STRICT, WITHOUT ROWID;

ALTER TABLE hosted ADD COLUMN least_tier INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosted ADD COLUMN open_actions BLOB NOT NULL DEFAULT x''; -- one a line

-- Of a peck that names another thread than that of what it replies to: which it is. Its rounds are
-- counted there, whatever it says.
ALTER TABLE peck ADD COLUMN conversation BLOB;
