"""What a run leaves for people to look at: curves, alerts, breaker; the report draws it."""

import msgspec


class Point(msgspec.Struct, frozen=True, array_like=True):
    """``at`` in microseconds of simulated time; ``value`` in the series' unit."""

    at: int
    value: int


class Series(msgspec.Struct, frozen=True):
    """``unit``: usd (1e-8 USD), ppm. ``label``: asset or symbol, or what it is."""

    label: str
    unit: str
    points: tuple[Point, ...]


class AlertMark(msgspec.Struct, frozen=True, kw_only=True):
    """One alert; ``resolved_at`` 0 while it still fires at the end."""

    alert_id: str
    rule: str
    subject: str
    severity: str
    observed: str
    limit: str
    event_time: int
    detected_at: int
    resolved_at: int = 0


class BreakerMark(msgspec.Struct, frozen=True):
    state: str
    reason: str
    at: int


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """``prices``: index price by asset (usd). ``marks``: book mid price by symbol (usd; 0 points
    are left out). ``depth``: both sides within 1 % of the mid, by symbol (usd). ``pnl``,
    ``drawdown`` (ppm, 0 or negative), ``gross``, ``net``: the risk monitor's. At most a few
    thousand points each. ``messages``: delivered by the kernel.
    """

    prices: tuple[Series, ...] = ()
    marks: tuple[Series, ...] = ()
    depth: tuple[Series, ...] = ()
    pnl: Series
    drawdown: Series
    gross: Series
    net: Series
    alerts: tuple[AlertMark, ...] = ()
    breaker: tuple[BreakerMark, ...] = ()
    messages: int = 0
