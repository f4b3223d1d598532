"""The exchange: accounts, orders, matching, synthetic liquidity, and its ways to fail."""

from trading.exchange.component import Exchange

__all__ = ["Exchange"]
