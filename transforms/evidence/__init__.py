"""Row-level lineage: which source rows each value of a published row was computed from."""
