-- gateway.db, version 2: each egg has a code of its own, so that a second hatch of an address does
-- not take the place of the first.

CREATE TABLE codes_2 (
  lookup     TEXT NOT NULL,
  purpose    INTEGER NOT NULL,                     -- 1 hatch, 2 reset
  egg        INTEGER NOT NULL,                     -- 0: of a reset
  hash       BLOB NOT NULL,
  tries_left INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  PRIMARY KEY (lookup, purpose, egg)
) STRICT, WITHOUT ROWID;
INSERT INTO codes_2 SELECT lookup, purpose, egg, hash, tries_left, expires_ms FROM codes;
DROP TABLE codes;
ALTER TABLE codes_2 RENAME TO codes;
CREATE INDEX codes_by_end ON codes (expires_ms);
