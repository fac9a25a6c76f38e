"""Incremental runs: how far the sources were followed, what changed since, which window that affects, what to read."""
