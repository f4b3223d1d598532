"""The value and the risk of the firm: exposure, concentration, P&L, drawdown and value at risk."""

from math import sqrt
from typing import Any

from trading.messages.risk import Mark, PortfolioReported
from trading.risk_monitor.alerts import AlertBook
from trading.risk_monitor.breaker import Breaker
from trading.risk_monitor.feeds import Feeds
from trading.risk_monitor.positions import Positions
from trading.risk_monitor.rules import Controls
from trading.units import DAY, PPM, SCALE
from trading.universe import Universe

PORTFOLIO = "portfolio"

#: The hard limit is this multiple of the soft one; beyond it the breaker goes to HALTED.
HARD_LIMIT_FACTOR = 2

#: Quantile of the normal distribution: 99 % of all losses are below this many standard deviations.
VAR_QUANTILE = 2.326


class Portfolio:
    """Values the firm's balances at the good index prices, and evaluates the rules on the result.

    ``feeds`` has the prices and ``positions`` the balances; a breach of a hard limit halts the
    ``breaker``. The profit counts from the equity at the first valuation, the drawdown from its
    peak, and the daily loss from ``day_open``, the equity at the first valuation after midnight
    UTC. All amounts are in 1e-8 USD.
    """

    def __init__(
        self,
        universe: Universe,
        controls: Controls,
        alerts: AlertBook,
        feeds: Feeds,
        positions: Positions,
        breaker: Breaker,
    ) -> None:
        self._controls = controls
        self._alerts = alerts
        self._feeds = feeds
        self._positions = positions
        self._breaker = breaker
        self._assets = tuple(a.name for a in universe.assets)
        self._coins = tuple(a.name for a in universe.assets if not a.stable)
        self._opening_qty: dict[str, dict[str, int]] = {}
        self._opening = 0
        self._peak = 0
        self._day = -1
        self.day_open = 0

    def rebase(self) -> None:
        """Measure losses from the next valuation on, since an operator has reset the breaker."""
        self._peak = 0
        self._day = -1

    def evaluate(self, now: int) -> PortfolioReported | None:
        """Evaluate the rules and return a report; None until all prices and balances are known."""
        feeds, positions = self._feeds, self._positions
        if not (feeds.complete and positions.complete):
            return None
        prices = {asset: feeds.by_asset[asset].good for asset in self._assets}
        totals = positions.totals
        equity = sum(totals[asset] * prices[asset] // SCALE for asset in self._assets)
        if not self._opening_qty:
            self._opening = equity
            self._opening_qty = {
                name: {coin: account.qty.get(coin, 0) for coin in self._coins}
                for name, account in positions.accounts.items()
            }
        values = {coin: totals[coin] * prices[coin] // SCALE for coin in self._coins}
        gross = sum(abs(value) for value in values.values())
        value_at_risk = self._value_at_risk(values)
        drawdown = self._judge_losses(equity, now)
        self._judge_exposures(equity, values, gross, value_at_risk, prices, now)
        return PortfolioReported(
            equity,
            equity - self._opening,
            drawdown,
            gross,
            sum(values.values()),
            value_at_risk,
            self._breaker.state_name,
            positions.reported(),
            tuple(Mark(asset, price) for asset, price in prices.items()),
            positions.last_trade_id,
            now,
        )

    def state(self) -> dict[str, Any]:
        """Return everything that decides later alerts, as plain values."""
        return {
            "opening_qty": {name: dict(qty) for name, qty in self._opening_qty.items()},
            "opening": self._opening,
            "peak": self._peak,
            "day": self._day,
            "day_open": self.day_open,
        }

    def _judge_losses(self, equity: int, now: int) -> int:
        """Evaluate loss and drawdown; return the drawdown in ppm, rounded up."""
        day = now // DAY
        if day != self._day:
            self._day, self.day_open = day, equity
        self._peak = peak = max(self._peak, equity)
        drawdown = -(-(peak - equity) * PPM // peak) if peak > 0 else 0
        event_time = self._feeds.newest
        limit = self._controls.value("drawdown")
        if limit is not None:
            self._alerts.check("drawdown", PORTFOLIO, drawdown, limit, event_time, now)
            if drawdown > HARD_LIMIT_FACTOR * limit:
                self._breaker.halt(f"drawdown above {HARD_LIMIT_FACTOR} times its limit", now)
        loss_limit = self._controls.limit("loss-limit")
        if loss_limit is not None:
            loss, allowed = self.day_open - equity, loss_limit.capital(self.day_open)
            self._alerts.check("loss-limit", PORTFOLIO, loss, allowed, event_time, now)
            if loss > HARD_LIMIT_FACTOR * allowed:
                self._breaker.halt(f"loss above {HARD_LIMIT_FACTOR} times its limit", now)
        return drawdown

    def _judge_exposures(
        self,
        equity: int,
        values: dict[str, int],
        gross: int,
        value_at_risk: int,
        prices: dict[str, int],
        now: int,
    ) -> None:
        check, event_time = self._alerts.check, self._feeds.newest
        limits = self._controls
        if (limit := limits.limit("gross-exposure")) is not None:
            check("gross-exposure", PORTFOLIO, gross, limit.capital(equity), event_time, now)
        if (limit := limits.limit("var-limit")) is not None:
            check("var-limit", PORTFOLIO, value_at_risk, limit.capital(equity), event_time, now)
        if (limit := limits.limit("concentration")) is not None and equity > 0:
            for coin, value in values.items():
                share = -(-abs(value) * PPM // equity)
                check("concentration", coin, share, limit.value, event_time, now)
        if (limit := limits.limit("net-exposure")) is not None:
            allowed = limit.capital(equity)
            for name, account in self._positions.accounts.items():
                opening = self._opening_qty[name]
                net = sum(
                    (account.qty.get(coin, 0) - qty) * prices[coin] // SCALE
                    for coin, qty in opening.items()
                )
                check("net-exposure", name, abs(net), allowed, event_time, now)

    def _value_at_risk(self, values: dict[str, int]) -> int:
        """Return the one-day value at risk in 1e-8 USD. The volatility is a floating-point
        estimate; it is rounded to whole ppm so that equal runs give equal numbers.
        """
        total = 0
        for coin, value in values.items():
            daily_ppm = round(sqrt(self._feeds.by_asset[coin].variance * DAY) * PPM * VAR_QUANTILE)
            total += abs(value) * daily_ppm // PPM
        return total
