-- gateway.db, version 3: letters that wait for the mail server, passkeys, the newsletter; and who asks for
-- codes has a share of his own. A table that holds what belongs to an operator references operators ON DELETE
-- CASCADE: erasure then needs not know it.

CREATE TABLE letters (
  number  INTEGER PRIMARY KEY AUTOINCREMENT,
  lookup  TEXT NOT NULL,                           -- whom it is for, in lower case
  sealed  BLOB NOT NULL,                           -- address, subject and text: there may be a code in it
  tries   INTEGER NOT NULL DEFAULT 0,
  next_ms INTEGER NOT NULL,
  ends_ms INTEGER NOT NULL                         -- then it is of no use
) STRICT;
CREATE INDEX letters_by_time ON letters (next_ms);
CREATE INDEX letters_by_lookup ON letters (lookup);

CREATE TABLE passkeys (
  lookup      INTEGER PRIMARY KEY,                 -- the first 8 bytes of the credential id's keyed hash
  credential  BLOB NOT NULL UNIQUE,
  operator_id INTEGER NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
  algorithm   INTEGER NOT NULL,                    -- of COSE: -7, -8, -257
  public_key  BLOB NOT NULL,
  counter     INTEGER NOT NULL,
  name        TEXT NOT NULL,
  created_ms  INTEGER NOT NULL,
  used_ms     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX passkeys_by_operator ON passkeys (operator_id, created_ms);

CREATE TABLE newsletter (
  lookup       TEXT PRIMARY KEY,
  email        TEXT NOT NULL,
  asked_ms     INTEGER NOT NULL,
  confirmed_ms INTEGER NOT NULL DEFAULT 0          -- 0: not yet
) STRICT, WITHOUT ROWID;
CREATE INDEX newsletter_by_time ON newsletter (confirmed_ms, asked_ms);

-- codes.purpose: 3 is the newsletter's.
ALTER TABLE mailed ADD COLUMN purpose INTEGER NOT NULL DEFAULT 1;
ALTER TABLE mailed ADD COLUMN source BLOB NOT NULL DEFAULT x''; -- keyed hash of the asker's network
ALTER TABLE bearers ADD COLUMN way INTEGER NOT NULL DEFAULT 0;  -- to a session: 0 password, 1 passkey
