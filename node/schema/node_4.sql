-- node.db, version 4: which node answered first at an address that was joined without an id.
CREATE TABLE pin (
    number INTEGER PRIMARY KEY AUTOINCREMENT,         -- the oldest go first
    address BLOB NOT NULL UNIQUE,                     -- "host:port"
    node BLOB NOT NULL CHECK (length(node) = 20)
) STRICT;
