"""The explanation of a published row: the source rows, the run and the commit that it comes from."""
