"""Virtual time across processes: equality with the embedded run, decisions, streams."""
