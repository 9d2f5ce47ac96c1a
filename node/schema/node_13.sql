-- node.db, version 13: restored from a backup.
ALTER TABLE node ADD COLUMN restored_ms INTEGER NOT NULL DEFAULT 0; -- wall: when it was, last; 0: never
ALTER TABLE node ADD COLUMN catching_up INTEGER NOT NULL DEFAULT 0; -- 1: no other node was heard since

-- 1: the network showed a longer chain than this node has, so the key that is here speaks for nobody.
ALTER TABLE hosted ADD COLUMN outgrown INTEGER NOT NULL DEFAULT 0;
