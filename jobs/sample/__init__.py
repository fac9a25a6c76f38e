"""The sample lakehouse: believable source tables of any size, the same for the same seed."""
