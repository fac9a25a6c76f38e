"""An independent implementation of the metric definitions, in plain Python over lists of dicts.

It shares no code with the project: the tests compare what the jobs write with what the oracle makes of the same rows.
"""
