"""The risk monitor's public API, its event stream, and the dashboard that uses them."""
