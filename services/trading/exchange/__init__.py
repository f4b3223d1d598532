"""The exchange: accounts, orders, matching, synthetic liquidity, and the failures it can simulate.

:class:`Exchange` is the component that the runtime drives; :class:`.engine.Engine` below it knows
nothing of messages from other services, of time or of faults.
"""

from trading.exchange.component import Exchange

__all__ = ["Exchange"]
