"""How much of each limit is used, for all figures that have a limit, soft or hard."""

from trading.api.risk_monitor.answers import JSON, net_by_account, percent, usd
from trading.api.risk_monitor.view import RiskView
from trading.messages.risk import PortfolioReported
from trading.risk_monitor.actions import BreakerAction
from trading.risk_monitor.component import RiskMonitor
from trading.risk_monitor.limits import CAPITAL
from trading.risk_monitor.portfolio import HARD_LIMIT_FACTOR
from trading.risk_monitor.rules import RULES
from trading.units import PPM, SCALE
from trading.universe import Universe

PORTFOLIO = "portfolio"

#: Percentage of a limit above which a figure is `near` it. Beyond the hard limit trading halts.
NEAR_PERCENT = 90
WITHIN, NEAR, OVER, OVER_HARD = "within", "near", "over", "over-hard"


def exposures(view: RiskView, monitor: RiskMonitor, universe: Universe) -> list[JSON]:
    """Return one row for each figure that has a limit. There is none before the first valuation,
    and none for a disabled rule.
    """
    report = view.portfolio
    if report is None:
        return []
    day_open, equity = monitor.day_open, report.equity
    figures = [
        ("loss-limit", PORTFOLIO, max(0, day_open - equity), day_open),
        ("drawdown", PORTFOLIO, report.drawdown_ppm, 0),
        ("gross-exposure", PORTFOLIO, report.gross, equity),
        ("var-limit", PORTFOLIO, report.var, equity),
        *_concentrations(report, universe),
    ]
    for name, net in net_by_account(view, report, universe).items():
        figures.append(("net-exposure", name, abs(net), equity))
    return [row for figure in figures if (row := _row(monitor, *figure))]


def _concentrations(
    report: PortfolioReported, universe: Universe
) -> list[tuple[str, str, int, int]]:
    if report.equity <= 0:
        return []
    prices = {m.asset: m.price for m in report.marks}
    rows = []
    for asset in universe.assets:
        if not asset.stable:
            qty = sum(p.qty for p in report.positions if p.asset == asset.name)
            value = abs(qty * prices[asset.name] // SCALE)
            rows.append(("concentration", asset.name, value * PPM // report.equity, 0))
    return rows


def _row(monitor: RiskMonitor, rule: str, subject: str, used: int, capital: int) -> JSON:
    """Return a row, empty if the rule is disabled. `used` is in the limit's unit; `capital` is what
    a relative limit is a share of, in units of 1e-8 USD.
    """
    limit = monitor.controls.limit(rule)
    if limit is None:
        return {}
    money = limit.unit == CAPITAL
    allowed = limit.capital(capital) if money else limit.value
    format_value = usd if money else percent
    hard = (
        HARD_LIMIT_FACTOR * allowed
        if RULES[rule].breaker is BreakerAction.REDUCE_AND_HALT
        else None
    )
    return {
        "rule": rule,
        "subject": subject,
        "unit": "USD" if money else "%",
        "value": format_value(used),
        "limit": format_value(allowed),
        "hard_limit": format_value(hard) if hard is not None else None,
        "used_percent": round(used * 100 / allowed, 1) if allowed > 0 else None,
        "status": _status(used, allowed, hard),
    }


def _status(used: int, allowed: int, hard: int | None) -> str:
    if used > allowed:
        return OVER_HARD if hard is not None and used > hard else OVER
    return NEAR if used * 100 > allowed * NEAR_PERCENT else WITHIN
