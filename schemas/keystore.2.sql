-- Step 2 of the schema of the embedded key store (SQLite). If the input topic was deleted and created again, a
-- committed offset of the earlier topic says nothing about the new one. So a started partition also has the id
-- of its topic.

-- 16 bytes: the topic's id (KIP-516) at that time. NULL = not stored, by a program of version 1.
ALTER TABLE started ADD COLUMN topic BLOB;
-- The committed offset of the last gap that an operator accepted, -1 = there was none. NULL = no gap was accepted.
ALTER TABLE started ADD COLUMN accepted INTEGER;

-- The number of partitions of an output topic over which every worker places its records. Without a row, the first
-- worker to start stores the topic's number, and `topics adopt` changes it.
CREATE TABLE placement (
  topic      TEXT    PRIMARY KEY,
  partitions INTEGER NOT NULL                 -- 1 or more
) WITHOUT ROWID, STRICT;
