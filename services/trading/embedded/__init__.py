"""The embedded runtime: the whole ecosystem in one process, in virtual time."""
