"""The execution of a run, from the versions that it pins to the rows that it publishes and what it records."""
