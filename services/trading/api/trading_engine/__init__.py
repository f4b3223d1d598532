"""The trading engine's API: what the strategies do."""
