"""The trading engine: four kinds of strategies, and six ways in which they go wrong."""

from trading.trading_engine.component import TradingEngine

__all__ = ["TradingEngine"]
