-- Power in W, energy in Wh, time in s. `wall` is seconds, `wall_ms` milliseconds since 1970 UTC; unknown is NULL, never 0.

-- The moment of the last flush. `at` is monotonic and means something in the boot `boot_id` only.
CREATE TABLE house (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at REAL NOT NULL,
    wall REAL NOT NULL,
    day INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    trusted INTEGER NOT NULL,
    zone TEXT NOT NULL,
    state TEXT NOT NULL,
    wishes TEXT NOT NULL
);

-- A load that left the rules keeps its row, and so its own moment.
CREATE TABLE standings (
    load TEXT PRIMARY KEY,
    identity TEXT,
    at REAL NOT NULL,
    wall REAL NOT NULL,
    day INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    trusted INTEGER NOT NULL,
    standing TEXT NOT NULL
) WITHOUT ROWID;

-- By the site's day. `seconds`: how much of the day was measured (of a load: how long it ran); the rest is a gap.
CREATE TABLE energy (
    day TEXT NOT NULL,
    kind TEXT NOT NULL,
    load TEXT NOT NULL,
    wh REAL NOT NULL,
    seconds REAL NOT NULL,
    starts INTEGER NOT NULL,
    PRIMARY KEY (day, kind, load)
) WITHOUT ROWID;

CREATE TABLE samples (
    wall_ms INTEGER PRIMARY KEY,
    pv_w REAL,
    load_w REAL,
    grid_w REAL,
    battery_w REAL,
    soc_pct REAL,
    surplus_w REAL,
    grid_up INTEGER,
    draws TEXT
);

-- `minute`: minutes since 1970 UTC; `seconds`: how much of it was measured.
CREATE TABLE minutes (
    minute INTEGER PRIMARY KEY,
    seconds REAL NOT NULL,
    pv_w REAL,
    load_w REAL,
    grid_w REAL,
    battery_w REAL,
    soc_pct REAL,
    surplus_w REAL
);

-- Only of loads that drew or ran.
CREATE TABLE load_minutes (
    minute INTEGER NOT NULL,
    load TEXT NOT NULL,
    wh REAL NOT NULL,
    on_s REAL NOT NULL,
    PRIMARY KEY (minute, load)
) WITHOUT ROWID;

CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    wall_ms INTEGER NOT NULL,
    load TEXT NOT NULL,
    verdict TEXT NOT NULL,
    phase TEXT NOT NULL,
    command_w REAL,
    grid_w REAL,
    pv_w REAL,
    surplus_w REAL,
    spare_w REAL,
    sentence TEXT NOT NULL
);
CREATE INDEX decisions_by_time ON decisions (wall_ms);
