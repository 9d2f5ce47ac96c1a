-- node.db, version 10: what was revoked here.
--
-- It stands in directory.db too; but that may be lost, or its last turns by a power cut, and is fetched
-- again then. Of a revocation others may not have heard.
CREATE TABLE revocation (
    owner BLOB PRIMARY KEY CHECK (length(owner) = 20),
    wire BLOB NOT NULL,
    chain BLOB NOT NULL
) STRICT, WITHOUT ROWID;
