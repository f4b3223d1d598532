"""What a run leaves for people and for CI: made from a verdict and a record, whatever ran it."""
