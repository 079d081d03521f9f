"""The fault campaign: many seeded days of the production daemon, with faults, crashes and invariants."""
