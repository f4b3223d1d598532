"""The record of a run that reports are drawn from: curves, alerts and the circuit breaker."""

import msgspec

from trading.scenario.observation import SeenAlert, SeenBreaker


class Point(msgspec.Struct, frozen=True, array_like=True):
    """A value at the simulated time ``at``, in microseconds; the series names its unit."""

    at: int
    value: int


class Series(msgspec.Struct, frozen=True):
    """A curve; ``unit`` is usd (1e-8 USD) or ppm, ``label`` the asset, symbol or figure."""

    label: str
    unit: str
    points: tuple[Point, ...]


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The curves of a run, at most a few thousand points each.

    ``prices`` has the index prices by asset, ``marks`` the mid prices of the books by symbol,
    without those of one-sided books, and ``depth`` the depth of both sides within 1 % of the mid by
    symbol, all in usd. ``pnl``, ``drawdown`` (ppm, 0 or negative), ``gross`` and ``net`` are the
    figures of the risk monitor. ``messages`` is the number of messages that the kernel has
    delivered.
    """

    prices: tuple[Series, ...] = ()
    marks: tuple[Series, ...] = ()
    depth: tuple[Series, ...] = ()
    pnl: Series
    drawdown: Series
    gross: Series
    net: Series
    alerts: tuple[SeenAlert, ...] = ()
    breaker: tuple[SeenBreaker, ...] = ()
    messages: int = 0
