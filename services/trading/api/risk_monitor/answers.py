"""The view as JSON: money as decimal strings in USD, times as ISO 8601 of simulated time."""

from datetime import UTC, datetime
from typing import Any

from trading.api.risk_monitor.view import RESOLVED, RiskView, SeenAlert
from trading.messages.risk import PortfolioReported
from trading.risk_monitor.component import RiskMonitor
from trading.risk_monitor.rules import RULES
from trading.units import PPM, SCALE, format_duration, format_ppm, format_units
from trading.universe import Universe

JSON = dict[str, Any]


def instant(us: int) -> str | None:
    if not us:
        return None
    text = datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def usd(units: int) -> str:
    return format_units(units, decimals=2)


def portfolio(view: RiskView) -> JSON:
    report = view.portfolio
    if report is None:
        return {"known": False, "time": None, "breaker": view.breaker}
    return {
        "known": True,
        "time": instant(report.event_time),
        "equity": usd(report.equity),
        "pnl": usd(report.pnl),
        "drawdown": format_ppm(report.drawdown_ppm),
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
    }


def exposures(view: RiskView, monitor: RiskMonitor, universe: Universe) -> list[JSON]:
    """Each figure that a limit holds, with the share of the limit that is used, in percent."""
    report = view.portfolio
    if report is None:
        return []
    found = [
        _used("gross-exposure", "portfolio", report.gross, report, monitor),
        _used("var-limit", "portfolio", report.var, report, monitor),
        _share("drawdown", "portfolio", abs(report.drawdown_ppm), monitor),
    ]
    prices = {m.asset: m.price for m in report.marks}
    for asset in universe.assets:
        if not asset.stable and report.equity > 0:
            held = sum(p.qty for p in report.positions if p.asset == asset.name)
            value = held * prices[asset.name] // SCALE
            found.append(
                _share("concentration", asset.name, abs(value) * PPM // report.equity, monitor)
            )
    return [row for row in found if row]


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
        "observed": seen.observed,
        "limit": seen.limit,
        "event_time": instant(seen.event_time),
        "detected_time": instant(seen.detected_time),
        "latency": format_duration(max(0, seen.detected_time - seen.event_time)),
        "acknowledged_by": seen.acknowledged_by or None,
        "acknowledged_time": instant(seen.acknowledged_time),
        "resolved_time": instant(seen.resolved_time),
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
                "ok": age >= 0 and (limit is None or age <= limit),
            }
            for name, age in ages[kind].items()
        ]
    return rows


def curves(view: RiskView) -> JSON:
    """``[seconds, value]``; P&L in USD, prices in USD."""
    return {
        "pnl": [[at / 1e6, value / SCALE] for at, value in view.pnl.points],
        "prices": {
            name: [[at / 1e6, value / SCALE] for at, value in curve.points]
            for name, curve in view.prices.items()
        },
    }


def _used(
    rule: str, subject: str, value: int, report: PortfolioReported, monitor: RiskMonitor
) -> JSON:
    limit = monitor.controls.limit(rule)
    if limit is None:
        return {}
    allowed = limit.capital(report.equity)
    return _row(rule, subject, usd(value), usd(allowed), value, allowed)


def _share(rule: str, subject: str, ppm: int, monitor: RiskMonitor) -> JSON:
    limit = monitor.controls.limit(rule)
    if limit is None:
        return {}
    return _row(rule, subject, format_ppm(ppm), limit.text, ppm, limit.value)


def _row(rule: str, subject: str, value: str, limit: str, used: int, allowed: int) -> JSON:
    return {
        "rule": rule,
        "subject": subject,
        "value": value,
        "limit": limit,
        "used_percent": round(used * 100 / allowed, 1) if allowed > 0 else None,
    }
