"""Incremental runs: how far the sources were processed, what changed since, which window that affects, what to read."""
