"""Virtual time across processes: equality with the embedded run, the time keeper, and streams."""
