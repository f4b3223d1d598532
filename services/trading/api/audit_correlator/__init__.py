"""The audit correlator's API: chains, findings, correlation."""
