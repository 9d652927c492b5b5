-- The profile store's index. Times and durations are nanoseconds, times since 1970.

CREATE TABLE service (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    -- Sound profiles that were no use: of other things than CPU time, or empty.
    passed_over INTEGER NOT NULL DEFAULT 0,
    -- Whether something came or went since the last look at whether there is a new version.
    changed INTEGER NOT NULL DEFAULT 0
);

-- What was pushed.
CREATE TABLE profile (
    id INTEGER PRIMARY KEY,
    service INTEGER NOT NULL REFERENCES service ON DELETE CASCADE,
    -- BLAKE3 of the bytes without gzip; the body's name.
    hash BLOB NOT NULL,
    received INTEGER NOT NULL,
    -- When it was recorded; when it was received where its clock can't be right (`skewed`).
    time INTEGER NOT NULL,
    skewed INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    cpu INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    -- Bytes without gzip.
    size INTEGER NOT NULL,
    -- A JSON object.
    labels TEXT NOT NULL,
    -- 1: it looks like another program's, and is in no merge until somebody says that it is not.
    apart INTEGER NOT NULL,
    -- The hour's merge that it is part of.
    hour INTEGER REFERENCES hour ON DELETE SET NULL,
    -- 0: the whole profile is gone.
    whole INTEGER NOT NULL DEFAULT 1,
    UNIQUE (service, hash)
);
CREATE INDEX profile_time ON profile (service, time);
CREATE INDEX profile_hash ON profile (hash);
CREATE INDEX profile_hour ON profile (hour);

-- The profiles of an hour, merged.
CREATE TABLE hour (
    id INTEGER PRIMARY KEY,
    service INTEGER NOT NULL REFERENCES service ON DELETE CASCADE,
    -- When it began.
    time INTEGER NOT NULL,
    hash BLOB NOT NULL
);
CREATE INDEX hour_time ON hour (service, time);
CREATE INDEX hour_hash ON hour (hash);

-- What was published, and stays as it was.
CREATE TABLE version (
    service INTEGER NOT NULL REFERENCES service ON DELETE CASCADE,
    number INTEGER NOT NULL,
    created INTEGER NOT NULL,
    hash BLOB NOT NULL,
    profiles INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    cpu INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    -- Of the recordings that are in it.
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    -- BLAKE3 of their hashes.
    inputs BLOB NOT NULL,
    -- Why it was published, in words.
    reason TEXT NOT NULL,
    PRIMARY KEY (service, number)
);
CREATE INDEX version_hash ON version (hash);

-- The functions of the program that was last built of a service.
CREATE TABLE program (
    service INTEGER PRIMARY KEY REFERENCES service ON DELETE CASCADE,
    received INTEGER NOT NULL,
    -- The first eight bytes of each name's BLAKE3, sorted.
    names BLOB NOT NULL
);

CREATE TABLE token (
    name TEXT PRIMARY KEY,
    -- BLAKE3 of the token.
    hash BLOB NOT NULL UNIQUE,
    -- push, pull, admin, with blanks between.
    scopes TEXT NOT NULL,
    created INTEGER NOT NULL
);
