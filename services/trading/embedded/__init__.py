"""The embedded runtime runs the whole ecosystem in one process, in virtual time."""
