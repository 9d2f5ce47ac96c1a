-- gateway.db, version 4: what happened to ducklings, and to whom it is told. Times: Unix ms.

-- How far the node's audit log was read. `name` is part of each event's id: two lives of this file
-- never give one id to two events.
CREATE TABLE feed (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  name  BLOB NOT NULL,
  node  TEXT NOT NULL,                             -- whose log; '': none yet
  entry INTEGER NOT NULL                           -- the last one that was read
) STRICT;
INSERT INTO feed (one, name, node, entry) VALUES (1, randomblob(8), '', 0);

CREATE TABLE events (
  number      INTEGER PRIMARY KEY AUTOINCREMENT,
  operator_id INTEGER NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
  duckling    BLOB NOT NULL,
  kind        INTEGER NOT NULL,                    -- enum happening
  at_ms       INTEGER NOT NULL,
  data        TEXT NOT NULL                        -- a JSON object
) STRICT;
CREATE INDEX events_by_operator ON events (operator_id, number);
CREATE INDEX events_by_time ON events (at_ms);

-- Up to where an operator's events were dropped.
CREATE TABLE event_cuts (
  operator_id INTEGER PRIMARY KEY REFERENCES operators (operator_id) ON DELETE CASCADE,
  number      INTEGER NOT NULL
) STRICT;

-- The tier that was told last.
CREATE TABLE tiers (
  duckling BLOB PRIMARY KEY REFERENCES ducklings (duckling) ON DELETE CASCADE,
  tier     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE webhooks (
  webhook      INTEGER PRIMARY KEY AUTOINCREMENT,
  name         TEXT NOT NULL UNIQUE,               -- "whk_…"
  operator_id  INTEGER NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
  url          TEXT NOT NULL,
  kinds        INTEGER NOT NULL,                   -- bits of enum happening
  duckling     BLOB NOT NULL,                      -- only of this one; empty: of all
  action       TEXT NOT NULL,                      -- only of actions that it covers; '': all
  least_tier   INTEGER NOT NULL,                   -- of the other end
  secret       BLOB NOT NULL,                      -- sealed under gateway.key
  old_secret   BLOB NOT NULL,                      -- sealed; signs too, until:
  old_until_ms INTEGER NOT NULL,
  state        INTEGER NOT NULL,                   -- enum webhook_state
  waiting      INTEGER NOT NULL DEFAULT 0,         -- deliveries
  dropped      INTEGER NOT NULL DEFAULT 0,         -- events for which there was no room
  created_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX webhooks_by_operator ON webhooks (operator_id, webhook);
CREATE INDEX webhooks_waited_for ON webhooks (waiting) WHERE waiting > 0;

CREATE TABLE deliveries (
  delivery   INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook    INTEGER NOT NULL REFERENCES webhooks (webhook) ON DELETE CASCADE,
  event      TEXT NOT NULL,                        -- its id, the same at each attempt
  kind       INTEGER NOT NULL,
  body       TEXT NOT NULL,
  state      INTEGER NOT NULL,                     -- enum delivery_state
  attempt    INTEGER NOT NULL,                     -- how many were made
  round      INTEGER NOT NULL,                     -- the attempts before it was sent again by hand
  due_ms     INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  ended_ms   INTEGER NOT NULL                      -- 0: it is waiting
) STRICT;
CREATE INDEX deliveries_by_webhook ON deliveries (webhook, delivery);
CREATE INDEX deliveries_by_state ON deliveries (webhook, state, delivery);
CREATE INDEX deliveries_by_end ON deliveries (ended_ms) WHERE state <> 0;

CREATE TABLE attempts (
  delivery INTEGER NOT NULL REFERENCES deliveries (delivery) ON DELETE CASCADE,
  attempt  INTEGER NOT NULL,
  at_ms    INTEGER NOT NULL,
  took_ms  INTEGER NOT NULL,
  status   INTEGER NOT NULL,                       -- of the answer; 0: there was none
  problem  TEXT NOT NULL,                          -- why there was none
  PRIMARY KEY (delivery, attempt)
) STRICT, WITHOUT ROWID;
