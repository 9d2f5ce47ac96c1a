-- node.db, version 5: bonds have terms, and what is used of them is counted.
--
-- A bond made before has none, as it was agreed. A peck that names no thread has that of the peck it
-- replies to.
ALTER TABLE bond ADD COLUMN per_minute INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bond ADD COLUMN per_day INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bond ADD COLUMN budget INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bond ADD COLUMN rounds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bond ADD COLUMN cool_down_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bond ADD COLUMN muted_until_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bond ADD COLUMN stop_words BLOB NOT NULL DEFAULT x''; -- one a line
ALTER TABLE bond ADD COLUMN terms_ms INTEGER NOT NULL DEFAULT 0;  -- when the approver said them
ALTER TABLE bond ADD COLUMN day INTEGER NOT NULL DEFAULT 0;       -- of UTC since 1970, of…
ALTER TABLE bond ADD COLUMN used_today INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bond ADD COLUMN spent INTEGER NOT NULL DEFAULT 0;     -- units, of the budget
UPDATE bond SET terms_ms = made_ms;

-- Rounds of the threads that were used lately; a place is taken over by another.
CREATE TABLE bond_thread (
    bond BLOB NOT NULL,
    place INTEGER NOT NULL,
    name BLOB NOT NULL CHECK (length(name) = 16),     -- begin of the hash of what pecks call it
    rounds INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    PRIMARY KEY (bond, place)
) STRICT, WITHOUT ROWID;

-- Why a sent peck ended, where no receipt says it.
CREATE TABLE ending (
    seq INTEGER PRIMARY KEY,                          -- of the peck
    problem BLOB NOT NULL,
    refusal BLOB NOT NULL,                            -- the code of whoever refused it; or empty
    retry_after_ms INTEGER NOT NULL                   -- 0: not said
) STRICT;
