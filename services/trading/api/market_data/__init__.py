"""The market data service's API: CoinGecko's simple price, and a feed with sequence numbers."""
