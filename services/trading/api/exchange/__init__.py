"""The exchange's API: Binance Spot, as of July 2026 (spec: binance-spot-api-docs)."""
