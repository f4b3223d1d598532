"""Index prices: synthetic or replayed, and the faults of markets and of feeds."""

from trading.market_data.component import MarketData

__all__ = ["MarketData"]
