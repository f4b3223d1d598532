"""Developers' tools: what ``make generate`` runs."""
