-- node.db, version 8: of a duckling that lives here, the tier that followers of its events were told
-- last (-1: none), and the evidence that it rested on, a bit for each piece (see lib/core/tier.h).
-- NULL: it was not weighed yet.
ALTER TABLE hosted ADD COLUMN told_tier INTEGER;
ALTER TABLE hosted ADD COLUMN told_pieces INTEGER;
