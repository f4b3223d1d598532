"""The trading engine's public API: its strategies."""
