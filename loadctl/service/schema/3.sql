-- Money by the site's day, at the prices of the moment: `paid` for import less export, `used`: what all that was used would
-- have cost. `seconds`: for how much of the day it is known.
CREATE TABLE money (
    day TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount REAL NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (day, kind)
) WITHOUT ROWID;
