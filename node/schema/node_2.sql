-- node.db, version 2: the directory has a file of its own, directory.db, and is fetched anew.
--
-- What stays is what nobody else has, and the chains that it needs; the version below which nothing
-- is published stands in `node`.
DROP TABLE duckling_text;
DROP TABLE bonded;
DROP TABLE capability;
DROP TABLE record;
DELETE FROM identity WHERE pinned = 0;
ALTER TABLE identity DROP COLUMN pinned;
