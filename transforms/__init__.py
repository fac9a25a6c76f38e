"""The metrics, as pure functions from DataFrame to DataFrame: no session, no clock, no input or output, no action."""
