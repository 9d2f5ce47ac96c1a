-- node.db, version 15: wires that are kept together share a row, see store_wires.c.
--
-- Of a peck: the row of the greatest `seq` that is not above its own. What was kept before stays as it is.
ALTER TABLE peck_wire ADD COLUMN count INTEGER NOT NULL DEFAULT 0; -- of pecks seq, seq + 1, …; 0: one, as it came

CREATE TABLE receipt_wires (
    number INTEGER PRIMARY KEY,
    wires BLOB NOT NULL
) STRICT;

-- `wires`: number of its row there, with an empty `wire` here; 0: it stands here. `place`: there, from 1.
ALTER TABLE taken_receipt ADD COLUMN wires INTEGER NOT NULL DEFAULT 0;
ALTER TABLE taken_receipt ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE done_receipt ADD COLUMN wires INTEGER NOT NULL DEFAULT 0;
ALTER TABLE done_receipt ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
