"""The decisions, pure: no I/O, no clock, no log, no globals. One door in (`Tick`), one door out (`Outcome`)."""
