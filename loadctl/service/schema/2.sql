-- What can be learned again but need not be, such as what is usual of the sun: JSON, by who learned it.
CREATE TABLE learned (
    what TEXT PRIMARY KEY,
    kept TEXT NOT NULL
) WITHOUT ROWID;
