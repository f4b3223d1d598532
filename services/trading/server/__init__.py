"""Runs the services as processes: hosts, HTTP APIs and servers for ``trading up`` and ``serve``."""
