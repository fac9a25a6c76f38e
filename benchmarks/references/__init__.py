"""Other ways to compute what the jobs publish, to compare results and times with."""
