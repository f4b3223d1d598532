"""The trading engine: the firm's automated strategies, and the malfunctions they can simulate."""

from trading.trading_engine.component import TradingEngine

__all__ = ["TradingEngine"]
