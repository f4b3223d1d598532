"""The audit correlator's public API and the audit page that uses it."""
