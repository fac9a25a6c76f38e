"""The sample lakehouse: realistic source tables of any size, the same for the same seed."""
