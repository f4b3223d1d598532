"""The exchange's public API: the Binance Spot API as of July 2026, over HTTP and WebSocket. The
reference is the repository binance-spot-api-docs.
"""
