"""Totals of the sources, computed another way than the rollups compute them, to hold the staged rows against."""
