"""The custodian's public API: balances and settlements."""
