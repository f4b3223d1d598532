"""The view as JSON: money as decimal strings in USD, times as ISO 8601 of simulated time."""

from datetime import UTC, datetime
from typing import Any

from trading.api.risk_monitor.view import RESOLVED, RiskView, SeenAlert
from trading.messages.risk import PortfolioReported
from trading.risk_monitor.alerts import Silence
from trading.risk_monitor.component import RiskMonitor
from trading.risk_monitor.rules import RULES
from trading.units import SCALE, format_duration, format_units
from trading.universe import Universe

JSON = dict[str, Any]


def instant(us: int) -> str | None:
    if not us:
        return None
    text = datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def usd(units: int) -> str:
    return format_units(units, decimals=2)


def percent(ppm: int) -> str:
    return f"{ppm / 1e4:.2f} %"


def portfolio(view: RiskView, monitor: RiskMonitor, universe: Universe) -> JSON:
    report = view.portfolio
    if report is None:
        return {"known": False, "time": None, "breaker": view.breaker}
    return {
        "known": True,
        "time": instant(report.event_time),
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
    """What each account's bought and sold coins are worth, net, since the session opened."""
    coins = {a.name for a in universe.assets if not a.stable}
    prices = {m.asset: m.price for m in report.marks}
    found = dict.fromkeys(universe.firm_accounts, 0)
    opening = (view.first or report).positions
    for sign, positions in ((1, report.positions), (-1, opening)):
        for p in positions:
            if p.asset in coins:
                found[p.account] += sign * (p.qty * prices[p.asset] // SCALE)
    return found


def alerts(view: RiskView, state: str = "") -> list[JSON]:
    """Newest first; those that are not resolved before the others."""
    wanted = [a for a in reversed(view.alerts.values()) if state in ("", a.state)]
    wanted.sort(key=lambda a: a.state == RESOLVED)
    return [alert(a) for a in wanted]


def alert(seen: SeenAlert) -> JSON:
    return {
        "alert_id": seen.alert_id,
        "rule": seen.rule,
        "subject": seen.subject,
        "severity": seen.severity,
        "state": seen.state,
        "description": RULES[seen.rule].description,
        "observed": seen.observed,
        "limit": seen.limit,
        "event_time": instant(seen.event_time),
        "detected_time": instant(seen.detected_time),
        "latency": format_duration(max(0, seen.detected_time - seen.event_time)),
        "acknowledged_by": seen.acknowledged_by or None,
        "acknowledged_time": instant(seen.acknowledged_time),
        "resolved_time": instant(seen.resolved_time),
    }


def silences(monitor: RiskMonitor, now: int) -> list[JSON]:
    return [silence(found) for found in monitor.silences(now)]


def silence(found: Silence) -> JSON:
    return {
        "rule": found.rule,
        "subject": found.subject,
        "until": instant(found.until),
        "by": found.by,
    }


def breaker(view: RiskView) -> JSON:
    return {
        "state": view.breaker,
        "changes": [
            {
                "time": instant(c.event_time),
                "state": c.state,
                "previous": c.previous,
                "reason": c.reason,
            }
            for c in reversed(view.changes)
        ],
    }


def rules(monitor: RiskMonitor) -> list[JSON]:
    found = []
    for rule in RULES.values():
        limit = monitor.controls.limit(rule.name)
        found.append(
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
    return found


def health(monitor: RiskMonitor, now: int) -> JSON:
    """``ok``: heard of recently enough for its rule; ages as people read them."""
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
    """``[seconds, value]``; P&L in USD, prices in USD."""
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
    worth, opening = _worth(report, universe), _worth(first, universe)
    net = net_by_account(view, report, universe)
    rows = []
    for account in universe.accounts:
        name = account.name
        switch = view.switches.get(name)
        rows.append(
            {
                "account": name,
                "strategy": account.strategy,
                "equity": usd(worth[name]),
                "pnl": usd(worth[name] - opening[name]),
                "net": usd(net[name]),
                "killed": switch is not None and switch.engaged,
                "confirmed": switch is None or switch.confirmed,
                "reason": switch.reason if switch is not None and switch.engaged else None,
            }
        )
    return rows


def _worth(report: PortfolioReported, universe: Universe) -> dict[str, int]:
    prices = {m.asset: m.price for m in report.marks}
    found = dict.fromkeys(universe.firm_accounts, 0)
    for p in report.positions:
        found[p.account] += p.qty * prices[p.asset] // SCALE
    return found
