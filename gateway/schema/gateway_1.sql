-- gateway.db, version 1: who may speak for which duckling.
-- Codes and bearers are kept as keyed hashes (gateway.key); passwords as argon2id. Times: Unix ms.

CREATE TABLE operators (
  operator_id   INTEGER PRIMARY KEY AUTOINCREMENT,
  lookup        TEXT NOT NULL UNIQUE,              -- the address in lower case
  email         TEXT NOT NULL,                     -- as it was given
  password_hash TEXT NOT NULL DEFAULT '',          -- '': none yet
  failures      INTEGER NOT NULL DEFAULT 0,        -- in a row
  created_ms    INTEGER NOT NULL
) STRICT;

-- Failures with addresses that are nobody's: counted, so that they cost the same write.
CREATE TABLE strangers (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  failures INTEGER NOT NULL
) STRICT;
INSERT INTO strangers (one, failures) VALUES (1, 0);

CREATE TABLE eggs (
  egg              INTEGER PRIMARY KEY AUTOINCREMENT,
  operator_id      INTEGER NOT NULL DEFAULT 0,     -- 0: its code decides
  lookup           TEXT NOT NULL,
  email            TEXT NOT NULL,
  display_name     TEXT NOT NULL,
  password_hash    TEXT NOT NULL DEFAULT '',
  public_key       TEXT NOT NULL DEFAULT '',
  claimed_until_ms INTEGER NOT NULL DEFAULT 0,     -- while the node hatches it
  expires_ms       INTEGER NOT NULL
) STRICT;
CREATE INDEX eggs_by_lookup ON eggs (lookup);
CREATE INDEX eggs_by_end ON eggs (expires_ms);

CREATE TABLE codes (
  lookup     TEXT NOT NULL,
  purpose    INTEGER NOT NULL,                     -- 1 hatch, 2 reset
  egg        INTEGER NOT NULL,
  hash       BLOB NOT NULL,
  tries_left INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  PRIMARY KEY (lookup, purpose)
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_by_end ON codes (expires_ms);

-- When codes went to an address, for a day: its share is bounded.
CREATE TABLE mailed (
  lookup TEXT NOT NULL,
  at_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX mailed_by_lookup ON mailed (lookup, at_ms);
CREATE INDEX mailed_by_time ON mailed (at_ms);

CREATE TABLE ducklings (
  number       INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of hatching
  duckling     BLOB NOT NULL UNIQUE,
  operator_id  INTEGER NOT NULL REFERENCES operators (operator_id),
  certificate  BLOB NOT NULL,
  display_name TEXT NOT NULL,
  created_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX ducklings_by_operator ON ducklings (operator_id, number);

CREATE TABLE bearers (
  lookup      INTEGER NOT NULL,                    -- the first 8 bytes of `hash`
  hash        BLOB NOT NULL,
  kind        INTEGER NOT NULL,                    -- 0 session, 1 beak key
  operator_id INTEGER NOT NULL REFERENCES operators (operator_id),
  duckling    BLOB NOT NULL,                       -- of a beak key; a session: empty
  masked      TEXT NOT NULL,
  created_ms  INTEGER NOT NULL,
  used_ms     INTEGER NOT NULL,                    -- to the minute; 0: never
  ends_ms     INTEGER NOT NULL                     -- of a session, at the latest
) STRICT;
CREATE INDEX bearers_by_lookup ON bearers (lookup);
CREATE INDEX bearers_by_duckling ON bearers (duckling) WHERE kind = 1;
CREATE INDEX bearers_by_operator ON bearers (operator_id, kind, used_ms);
