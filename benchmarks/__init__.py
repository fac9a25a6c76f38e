"""How long the jobs take, beside what else could compute the same: see docs/performance.md."""
