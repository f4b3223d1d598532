"""Puts hosts and APIs together: ``trading up``."""
