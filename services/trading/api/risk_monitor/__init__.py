"""The risk monitor's API, and the dashboard that stands on it."""
