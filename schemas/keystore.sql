-- The embedded key store (SQLite): step 1 of its schema. The binary executes it on a new store; it is also
-- the reference for outside readers. Later steps are separate files: keystore.2.sql, and so on. A released
-- step never changes. Each step is one transaction, which also writes the setting schema_version: the number
-- of the last step. A program uses one version and refuses every other version, also while it runs. Hours
-- are hours since 1970-01-01T00:00Z; times are milliseconds since the epoch; ids are raw bytes.
-- Wrapped keys and KEKs: envelope.md and kek-file.md.

-- One row per setting of the store: store_id (16 bytes), vault_id (16), schema_version, token_key (32),
-- max_lease_ms, default_retention_hours, last_receipt (offset of the last applied receipt, -1 = none).
-- Integers are stored as decimal text.
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID, STRICT;

-- token = HMAC-SHA256(token_key, "hourseal/1 token" ‖ customer)[0..16]. All other tables name the customer by it.
CREATE TABLE customer (
  token     BLOB PRIMARY KEY,
  name      BLOB NOT NULL,                 -- empty while only its token is known, from a receipt
  retention INTEGER,                       -- hours; NULL = the store's default
  floor     INTEGER,                       -- every hour below it is forgotten for good
  status    INTEGER NOT NULL DEFAULT 0     -- 0 = active, 1 = being forgotten: nothing is minted
) WITHOUT ROWID, STRICT;

-- One row per (customer, hour). Every mint, hold and fence goes through it. The first mint writes due and kek;
-- later generations adopt them.
CREATE TABLE gate (
  token   BLOB    NOT NULL,
  hour    INTEGER NOT NULL,
  due     INTEGER NOT NULL,                -- hour number from which the hour is due = hour + 1 + retention
  kek     TEXT    NOT NULL,                -- see kek-file.md: that of due's day or a later one, or a hold's; '' for an hour fenced before it had a key
  state   INTEGER NOT NULL,                -- 1 = open, 2 = fenced: no generation is minted any more
  hold    BLOB,                            -- id of the legal hold that forbids the fence; NULL = none
  command BLOB,                            -- digest of the command that fenced it
  PRIMARY KEY (token, hour)
) WITHOUT ROWID, STRICT;
CREATE INDEX gate_due ON gate (due) WHERE state = 1;

-- One DEK per (customer, hour, generation). Erasing overwrites `wrapped` with an empty value. The row stays as
-- a marker until 97 days after due; after that the floor blocks minting.
CREATE TABLE key (
  token      BLOB    NOT NULL,
  hour       INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  state      INTEGER NOT NULL,             -- 1 = live, 2 = erased by command, 3 = erased by TTL
  key_id     BLOB    NOT NULL,             -- 16 bytes
  commitment BLOB    NOT NULL,             -- 32 bytes; key_id is its beginning
  kek        TEXT    NOT NULL,
  wrapped    BLOB    NOT NULL,             -- 74 bytes, or empty once erased
  minted_at  INTEGER NOT NULL,
  erased_at  INTEGER,
  command    BLOB,                         -- digest of the command that erased it
  PRIMARY KEY (token, hour, generation)
) WITHOUT ROWID, STRICT;

-- Legal holds. The gates of the held hours carry the hold's id.
CREATE TABLE hold (
  id        BLOB PRIMARY KEY,
  token     BLOB    NOT NULL,
  from_hour INTEGER NOT NULL,
  to_hour   INTEGER NOT NULL               -- inclusive
) WITHOUT ROWID, STRICT;

-- KEKs that ever existed. An id is never used twice.
CREATE TABLE kek (
  id    TEXT PRIMARY KEY,
  check_value BLOB NOT NULL,               -- 16 bytes
  state INTEGER NOT NULL                   -- 1 = live, 2 = closing, 3 = destroyed
) WITHOUT ROWID, STRICT;

-- The decision on a command, stored before anything is done. digest = SHA-256 of the command's bytes.
CREATE TABLE verdict (
  digest  BLOB PRIMARY KEY,
  id      TEXT NOT NULL UNIQUE,            -- the command's own id
  body    BLOB NOT NULL                    -- JSON
) WITHOUT ROWID, STRICT;

-- Partitions of an input that a group has once started to read. If such a partition has no committed offset,
-- that is a gap, not a first run.
CREATE TABLE started (
  input     TEXT    NOT NULL,              -- '<group>/<topic>'
  partition INTEGER NOT NULL,
  PRIMARY KEY (input, partition)
) WITHOUT ROWID, STRICT;
