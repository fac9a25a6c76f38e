"""Totals of the sources, computed independently of the rollups, to reconcile the staged rows with."""
