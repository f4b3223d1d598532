"""The test coordinator's API: scenarios and their runs."""
