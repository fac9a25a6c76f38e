"""What tables are (contracts), what their rows must hold (suites), and the gate before each write."""

import os

# Great Expectations reads this when it is imported: a school's data platform must not call home.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
