"""What tables are (contracts), what their rows must hold (suites), and the gate before each write."""

import os

# Great Expectations reads this when it is imported: no call home from a school's data platform.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
