"""The custodian's API: who owns what, and what has yet to settle."""
