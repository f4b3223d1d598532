"""Converts the risk view to JSON: money as decimal strings in USD, times as ISO 8601 of simulated
time in UTC.
"""

from typing import Any

from trading.api.risk_monitor.view import RESOLVED, RiskView, TrackedAlert
from trading.messages.risk import PortfolioReported
from trading.risk_monitor.alerts import Silence
from trading.risk_monitor.component import RiskMonitor
from trading.risk_monitor.rules import RULES
from trading.units import SCALE, format_duration, format_instant, format_units
from trading.universe import Universe

JSON = dict[str, Any]


def usd(units: int) -> str:
    """Return an amount in units of 1e-8 USD with two decimals."""
    return format_units(units, decimals=2)


def percent(ppm: int) -> str:
    """Return a ratio in ppm as percent with two decimals."""
    return f"{ppm / 1e4:.2f} %"


def portfolio(view: RiskView, monitor: RiskMonitor, universe: Universe) -> JSON:
    """Return the newest portfolio; before the first valuation only that there is none."""
    report = view.portfolio
    if report is None:
        return {"known": False, "time": None, "breaker": view.breaker}
    return {
        "known": True,
        "time": format_instant(report.event_time),
        "equity": usd(report.equity),
        "pnl": usd(report.pnl),
        "day_pnl": usd(report.equity - monitor.day_open),
        "drawdown": percent(report.drawdown_ppm),
        "gross": usd(report.gross),
        "net": usd(report.net),
        "var": usd(report.var),
        "breaker": report.breaker,
        "last_trade_id": report.last_trade_id,
        "positions": [
            {"account": p.account, "asset": p.asset, "qty": format_units(p.qty)}
            for p in report.positions
            if p.qty
        ],
        "marks": {m.asset: format_units(m.price) for m in report.marks},
        "accounts": _accounts(view, report, universe),
    }


def net_by_account(view: RiskView, report: PortfolioReported, universe: Universe) -> dict[str, int]:
    """Return by account the net value, in units of 1e-8 USD at present prices, of the coins that it
    has bought less those that it has sold since the session opened.
    """
    coins = {a.name for a in universe.assets if not a.stable}
    prices = {m.asset: m.price for m in report.marks}
    net = dict.fromkeys(universe.firm_accounts, 0)
    opening = (view.first or report).positions
    for sign, positions in ((1, report.positions), (-1, opening)):
        for p in positions:
            if p.asset in coins:
                net[p.account] += sign * (p.qty * prices[p.asset] // SCALE)
    return net


def alerts(view: RiskView, state: str = "") -> list[JSON]:
    """Return the alerts in `state`, or all if it is empty: those that are not resolved before the
    others, newest first.
    """
    selected = [a for a in reversed(view.alerts.values()) if state in ("", a.state)]
    selected.sort(key=lambda a: a.state == RESOLVED)
    return [alert(a) for a in selected]


def alert(alert: TrackedAlert) -> JSON:
    """Return one alert with its life cycle."""
    fired = alert.fired
    return {
        "alert_id": fired.alert_id,
        "rule": fired.rule,
        "subject": fired.subject,
        "severity": fired.severity,
        "state": alert.state,
        "description": RULES[fired.rule].description,
        "observed": fired.observed,
        "limit": fired.limit,
        "event_time": format_instant(fired.event_time),
        "detected_time": format_instant(fired.detected_time),
        "latency": format_duration(max(0, fired.detected_time - fired.event_time)),
        "acknowledged_by": alert.acknowledged_by or None,
        "acknowledged_time": format_instant(alert.acknowledged_time),
        "resolved_time": format_instant(alert.resolved_time),
    }


def silences(monitor: RiskMonitor, now: int) -> list[JSON]:
    """Return the silences in force at the simulated time `now`, microseconds."""
    return [silence(entry) for entry in monitor.silences(now)]


def silence(silence: Silence) -> JSON:
    """Return one silence."""
    return {
        "rule": silence.rule,
        "subject": silence.subject,
        "until": format_instant(silence.until),
        "by": silence.by,
    }


def breaker(view: RiskView) -> JSON:
    """Return the breaker's state and its changes, newest first."""
    return {
        "state": view.breaker,
        "changes": [
            {
                "time": format_instant(c.event_time),
                "state": c.state,
                "previous": c.previous,
                "reason": c.reason,
            }
            for c in reversed(view.changes)
        ],
    }


def rules(monitor: RiskMonitor) -> list[JSON]:
    """Return the rule table, with the limits that are configured."""
    table = []
    for rule in RULES.values():
        limit = monitor.controls.limit(rule.name)
        table.append(
            {
                "name": rule.name,
                "stage": rule.stage,
                "subject": rule.subject,
                "signal": rule.signal,
                "limit": limit.text if limit is not None else None,
                "enabled": limit is not None,
                "severity": rule.severity,
                "breaker": rule.breaker,
                "term": rule.term,
                "description": rule.description,
            }
        )
    return table


def health(monitor: RiskMonitor, now: int) -> JSON:
    """Return for venues and feeds how long ago the monitor last received something. `ok` tells that
    this is within the limit of the rule that watches it.
    """
    ages = monitor.health(now)
    rows: JSON = {}
    for kind, rule in (("venues", "venue-down"), ("feeds", "stale-feed")):
        limit = monitor.controls.value(rule)
        rows[kind] = [
            {
                "name": name,
                "age": format_duration(age - age % 1000) if age >= 0 else "never",
                "age_seconds": age / 1e6 if age >= 0 else None,
                "ok": age >= 0 and (limit is None or age <= limit),
            }
            for name, age in ages[kind].items()
        ]
    return rows


def curves(view: RiskView, session: int) -> JSON:
    """Return the curves as lists of `[Unix seconds, USD]`, oldest first. `session` is the number of
    the session that they belong to.
    """
    return {
        "session": session,
        "pnl": [[at / 1e6, value / SCALE] for at, value in view.pnl.points],
        "prices": {
            name: [[at / 1e6, value / SCALE] for at, value in curve.points]
            for name, curve in view.prices.items()
        },
    }


def _accounts(view: RiskView, report: PortfolioReported, universe: Universe) -> list[JSON]:
    first = view.first or report
    equity, opening = _equity(report, universe), _equity(first, universe)
    net = net_by_account(view, report, universe)
    rows = []
    for account in universe.accounts:
        name = account.name
        switch = view.switches.get(name)
        rows.append(
            {
                "account": name,
                "strategy": account.strategy,
                "equity": usd(equity[name]),
                "pnl": usd(equity[name] - opening[name]),
                "net": usd(net[name]),
                "killed": switch is not None and switch.engaged,
                "confirmed": switch is None or switch.confirmed,
                "reason": switch.reason if switch is not None and switch.engaged else None,
            }
        )
    return rows


def _equity(report: PortfolioReported, universe: Universe) -> dict[str, int]:
    """Return by account the value of its positions, in units of 1e-8 USD."""
    prices = {m.asset: m.price for m in report.marks}
    equity = dict.fromkeys(universe.firm_accounts, 0)
    for p in report.positions:
        equity[p.account] += p.qty * prices[p.asset] // SCALE
    return equity
