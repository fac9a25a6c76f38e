"""Tests of the pure transforms."""
