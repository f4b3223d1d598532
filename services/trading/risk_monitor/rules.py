"""The rule table: every risk control, its limit, and the reaction of the circuit breaker.

The table is the single source of truth: docs/reference/rules.md, the names of the Prometheus alerts
and the dashboards are generated from it. A rule fires when a reading is greater than its limit.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from trading.messages.risk import Severity
from trading.risk_monitor.actions import BreakerAction
from trading.risk_monitor.limits import (
    BASIS_POINTS,
    CAPITAL,
    COUNT,
    DURATION,
    RATE,
    RATIO,
    Limit,
    parse_limit,
)


class Stage(StrEnum):
    """Stages of the trade life cycle at which a rule is evaluated."""

    PRE = "pre"
    AT = "at"
    POST = "post"
    SURVEILLANCE = "surveillance"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One risk control.

    ``subject`` is the kind of object that its alerts are about. ``signal`` describes the reading,
    ``limit`` is the default limit as people write it, in ``unit``. A limit is never below
    ``min_ticks`` ticks of the market. ``term`` is the field's name of the control, with its legal
    source, and ``description`` says what an alert means.
    """

    name: str
    stage: Stage
    subject: str
    signal: str
    unit: str
    limit: str
    min_ticks: int = 0
    severity: Severity
    breaker: BreakerAction = BreakerAction.NONE
    term: str
    description: str

    @property
    def default(self) -> Limit:
        """Return the default limit."""
        return self.parse(self.limit)

    def parse(self, text: str) -> Limit:
        """Parse a limit of this rule. Raises ValueError, with an example, if it is invalid."""
        return parse_limit(self.unit, text)


_TABLE = (
    Rule(
        name="gross-exposure",
        stage=Stage.PRE,
        subject="portfolio",
        signal="sum of the absolute values of all coins",
        unit=CAPITAL,
        limit="70 %",
        severity=Severity.WARNING,
        breaker=BreakerAction.REDUCE,
        term="pre-set credit or capital threshold (SEC 15c3-5(c)(1)(i))",
        description="The firm holds more in coins than its capital allows.",
    ),
    Rule(
        name="net-exposure",
        stage=Stage.PRE,
        subject="account",
        signal="value of the coins that an account has bought or sold, net, since its start",
        unit=CAPITAL,
        limit="300000",
        severity=Severity.WARNING,
        breaker=BreakerAction.REDUCE,
        term="pre-set credit or capital threshold (SEC 15c3-5(c)(1)(i))",
        description="A strategy's one-way bet on the market is too large.",
    ),
    Rule(
        name="concentration",
        stage=Stage.POST,
        subject="asset",
        signal="value of one coin as a share of equity",
        unit=RATIO,
        limit="40 %",
        severity=Severity.WARNING,
        breaker=BreakerAction.REDUCE,
        term="position / concentration limit",
        description="Too much of the firm is in one coin.",
    ),
    Rule(
        name="loss-limit",
        stage=Stage.POST,
        subject="portfolio",
        signal="loss since midnight UTC (or the last reset of the breaker)",
        unit=CAPITAL,
        limit="2 %",
        severity=Severity.CRITICAL,
        breaker=BreakerAction.REDUCE_AND_HALT,
        term="loss limit, soft and hard",
        description="The day's loss is above the limit.",
    ),
    Rule(
        name="drawdown",
        stage=Stage.POST,
        subject="portfolio",
        signal="fall of equity from its peak",
        unit=RATIO,
        limit="2 %",
        severity=Severity.CRITICAL,
        breaker=BreakerAction.REDUCE_AND_HALT,
        term="maximum drawdown (peak to trough), soft and hard limit",
        description="Equity has fallen too far from its peak.",
    ),
    Rule(
        name="var-limit",
        stage=Stage.POST,
        subject="portfolio",
        signal="99 % one-day VaR: 2.326 x EWMA volatility (1 h), summed over coins as if they all "
        "fell together",
        unit=CAPITAL,
        limit="8 %",
        severity=Severity.WARNING,
        breaker=BreakerAction.REDUCE,
        term="VaR limit",
        description="A bad day could cost more than the firm wants to lose.",
    ),
    Rule(
        name="order-rate",
        stage=Stage.PRE,
        subject="account",
        signal="messages per second over 5 s, from execution reports",
        unit=RATE,
        limit="40/s",
        severity=Severity.CRITICAL,
        breaker=BreakerAction.KILL_ACCOUNT,
        term="maximum messages limit (RTS 6 art. 15(1)(d))",
        description="An algorithm sends more messages than it should.",
    ),
    Rule(
        name="price-collar",
        stage=Stage.PRE,
        subject="account",
        signal="abs(price / index - 1) of an accepted order or a fill",
        unit=RATIO,
        limit="1 %",
        severity=Severity.WARNING,
        term="price collar (RTS 6 art. 15(1)(a))",
        description="An order was accepted or filled far from the index price.",
    ),
    Rule(
        name="fat-finger",
        stage=Stage.PRE,
        subject="account",
        signal="value of one order",
        unit=CAPITAL,
        limit="50000",
        severity=Severity.CRITICAL,
        breaker=BreakerAction.KILL_ACCOUNT,
        term="maximum order volume / value (RTS 6 art. 15(1)(b),(c))",
        description="One order is larger than any order should be.",
    ),
    Rule(
        name="duplicate-orders",
        stage=Stage.PRE,
        subject="account",
        signal="equal orders (symbol, side, quantity, price) within 1 s, or a client order id "
        "that was refused as a duplicate",
        unit=COUNT,
        limit="5",
        severity=Severity.WARNING,
        term="duplicative orders (SEC 15c3-5(c)(1)(ii))",
        description="The same order comes again and again.",
    ),
    Rule(
        name="runaway-orders",
        stage=Stage.PRE,
        subject="account",
        signal="accepted orders within 10 s, less the cancelled ones",
        unit=COUNT,
        limit="45",
        severity=Severity.CRITICAL,
        breaker=BreakerAction.KILL_ACCOUNT,
        term="repeated automated execution throttle (RTS 6 art. 15(3))",
        description="An algorithm repeats itself; off until a human re-enables it.",
    ),
    Rule(
        name="stale-feed",
        stage=Stage.AT,
        subject="asset",
        signal="age of the last good price; of its last change, where the exchange's book moves",
        unit=DURATION,
        limit="4s",
        min_ticks=3,
        severity=Severity.CRITICAL,
        term="stale price, feed health",
        description="No new index price.",
    ),
    Rule(
        name="corrupt-feed",
        stage=Stage.AT,
        subject="asset",
        signal="not a number, not positive, out of order, or a jump from one tick to the next that "
        "the exchange's book has not made",
        unit=RATIO,
        limit="5 %",
        severity=Severity.CRITICAL,
        term="feed health",
        description="The index price cannot be true; the last good one stays in the valuation.",
    ),
    Rule(
        name="feed-gap",
        stage=Stage.AT,
        subject="asset",
        signal="sequence numbers missing",
        unit=COUNT,
        limit="0",
        severity=Severity.WARNING,
        term="sequence gap, feed health",
        description="Index prices were lost on the way.",
    ),
    Rule(
        name="price-divergence",
        stage=Stage.AT,
        subject="symbol",
        signal="exchange mid against index base / index quote, twice in a row",
        unit=BASIS_POINTS,
        limit="100 bp",
        severity=Severity.WARNING,
        term="basis; cross-source price divergence",
        description="The venue and the index disagree about a price.",
    ),
    Rule(
        name="peg-deviation",
        stage=Stage.AT,
        subject="asset",
        signal="abs(px - 1) of a stablecoin by the index or by the exchange's book, twice in a row",
        unit=BASIS_POINTS,
        limit="50 bp",
        severity=Severity.CRITICAL,
        breaker=BreakerAction.REDUCE,
        term="peg deviation in bp x time; venue against index",
        description="A stablecoin has left its peg.",
    ),
    Rule(
        name="price-move",
        stage=Stage.AT,
        subject="symbol",
        signal="index move within 5 minutes",
        unit=RATIO,
        limit="5 %",
        severity=Severity.WARNING,
        term="volatility halt, LULD 5 % band",
        description="A price moves fast.",
    ),
    Rule(
        name="liquidity-withdrawal",
        stage=Stage.AT,
        subject="symbol",
        signal="fall of the depth within 1 % of mid from its 10-minute average, twice in a row",
        unit=RATIO,
        limit="80 %",
        severity=Severity.WARNING,
        term="market depth, liquidity withdrawal",
        description="The order book has emptied.",
    ),
    Rule(
        name="venue-down",
        stage=Stage.AT,
        subject="service",
        signal="time since the last request that was answered",
        unit=DURATION,
        limit="4s",
        min_ticks=3,
        severity=Severity.CRITICAL,
        term="venue connectivity (RTS 6 art. 14, 16(5))",
        description="A service does not answer.",
    ),
    Rule(
        name="market-halt",
        stage=Stage.AT,
        subject="symbol",
        signal="time in a status other than TRADING",
        unit=DURATION,
        limit="0s",
        severity=Severity.WARNING,
        term="trading halt",
        description="The exchange does not trade a symbol.",
    ),
    Rule(
        name="settlement-overdue",
        stage=Stage.POST,
        subject="asset",
        signal="time since the intended settlement date",
        unit=DURATION,
        limit="5s",
        min_ticks=1,
        severity=Severity.CRITICAL,
        term="settlement fail; ageing (CSDR cash penalty)",
        description="Trades have not settled at their intended date.",
    ),
    Rule(
        name="reconciliation-break",
        stage=Stage.POST,
        subject="account",
        signal="custodian's balances (settled + pending) against own ones, from execution reports, "
        "as of the same trade",
        unit=CAPITAL,
        limit="0",
        severity=Severity.CRITICAL,
        term="reconciliation break (RTS 6 art. 17)",
        description="Two sources disagree about what the firm owns.",
    ),
    Rule(
        name="wash-trades",
        stage=Stage.SURVEILLANCE,
        subject="account",
        signal="trades within 1 minute between two equal orders of the firm, or of one account "
        "with itself",
        unit=COUNT,
        limit="2",
        severity=Severity.WARNING,
        term="wash trades (2016/522 Annex II)",
        description="The firm trades with itself.",
    ),
    Rule(
        name="layering",
        stage=Stage.SURVEILLANCE,
        subject="account",
        signal="open orders on one side when the other side filled, of which 80 % were then "
        "cancelled within 30 s",
        unit=COUNT,
        limit="4",
        severity=Severity.WARNING,
        term="layering, spoofing (2016/522 Annex II)",
        description="Orders on one side only served to fill the other.",
    ),
    Rule(
        name="execution-unknown",
        stage=Stage.POST,
        subject="account",
        signal="balances or open orders at the exchange that no execution report explains",
        unit=COUNT,
        limit="0",
        severity=Severity.CRITICAL,
        term="own events against the venue's (RTS 6 art. 17)",
        description="The firm does not know what became of an order.",
    ),
)

RULES: Mapping[str, Rule] = {rule.name: rule for rule in _TABLE}


class Controls:
    """The rules in force with their limits: all of :data:`RULES` but the disabled ones.

    ``limits`` overrides default limits by the name of the rule, ``disabled`` names the rules that
    are off, and ``tick`` is the tick of the market in simulated microseconds. Raises ValueError for
    an unknown rule or an invalid limit.
    """

    def __init__(self, limits: Mapping[str, str], disabled: frozenset[str], *, tick: int) -> None:
        for name in (*sorted(limits), *sorted(disabled)):
            if name not in RULES:
                raise ValueError(f"no rule {name!r}; there are {', '.join(RULES)}")
        self._limits: dict[str, Limit] = {}
        for name, rule in RULES.items():
            try:
                limit = rule.parse(limits[name]) if name in limits else rule.default
            except ValueError as error:
                raise ValueError(f"limit of {name}: {error}") from error
            if limit.value < rule.min_ticks * tick:
                limit = Limit(limit.unit, rule.min_ticks * tick)
            if name not in disabled:
                self._limits[name] = limit

    def limit(self, name: str) -> Limit | None:
        """Return the limit of a rule; None if the rule is disabled."""
        return self._limits.get(name)

    def value(self, name: str) -> int | None:
        """Return the numeric value of a limit; None if the rule is disabled."""
        limit = self._limits.get(name)
        return None if limit is None else limit.value


def _limit_text(rule: Rule) -> str:
    at_least = f", at least {rule.min_ticks} ticks" if rule.min_ticks else ""
    return rule.default.text + at_least


def rules_table_markdown() -> str:
    """Return the rule table as Markdown."""
    lines = [
        "| rule | stage | subject | fires on more than | severity | breaker | signal | term |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{r.name}` | {r.stage} | {r.subject} | {_limit_text(r)} | {r.severity} | {r.breaker} "
        f"| {r.signal} | {r.term} |"
        for r in _TABLE
    ]
    return "\n".join(lines) + "\n"
