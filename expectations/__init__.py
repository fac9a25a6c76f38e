"""What tables are (contracts), what their rows must hold (suites), and the gate before each write."""
