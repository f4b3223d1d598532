"""The test coordinator's public API: scenarios, and their runs."""
