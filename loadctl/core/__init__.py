"""The decisions, pure: no I/O, no clock, no log, no globals. One door in (`Tick`), one door out (`Outcome`).

To read it: `rules` is what owners ask for, `values` what comes in, is remembered and goes out. `step` is the door. It
takes in what was reported (`absorb`, by the moves of `lifecycle`), learns from it (`learn`), looks after the `needs`,
makes a `plan`, takes stock of the power (`surplus`) and lets `walk` go down the loads: each has its `terms`, is judged
(`judge`), is set if it can `follow` the sun, and takes its share from the `ledger`. `appliance`, `asked`, `calendar`
and `conditions` answer questions on the way.
"""
