"""What the firm is worth and what it risks: exposure, concentration, P&L, drawdown, VaR."""

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

#: Hard limit by this multiple of the soft one: the breaker goes from REDUCING to HALTED.
HARD = 2

#: Standard deviations of a loss that 99 % of all days stay below.
NINETY_NINE = 2.326


class Portfolio:
    """Values the firm's balances at the good index prices. ``opening``, ``peak`` and ``day_open``
    are equity: at the first valuation, at its highest, at the last midnight UTC.
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
        """Losses count from the next valuation: an operator has reset the breaker."""
        self._peak = 0
        self._day = -1

    def evaluate(self, now: int) -> PortfolioReported | None:
        """Judge the portfolio and describe it; None before everything is known."""
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
        drawdown = self._losses(equity, now)
        self._exposures(equity, values, gross, value_at_risk, prices, now)
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
        return {
            "opening_qty": {name: dict(qty) for name, qty in self._opening_qty.items()},
            "opening": self._opening,
            "peak": self._peak,
            "day": self._day,
            "day_open": self.day_open,
        }

    def _losses(self, equity: int, now: int) -> int:
        """Judge loss and drawdown; returns the latter in ppm, rounded up."""
        day = now // DAY
        if day != self._day:
            self._day, self.day_open = day, equity
        self._peak = peak = max(self._peak, equity)
        drawdown = -(-(peak - equity) * PPM // peak) if peak > 0 else 0
        when = self._feeds.newest
        limit = self._controls.value("drawdown")
        if limit is not None:
            self._alerts.check("drawdown", PORTFOLIO, drawdown, limit, when, now)
            if drawdown > HARD * limit:
                self._breaker.halt(f"drawdown above {HARD} times its limit", now)
        loss_limit = self._controls.limit("loss-limit")
        if loss_limit is not None:
            loss, allowed = self.day_open - equity, loss_limit.capital(self.day_open)
            self._alerts.check("loss-limit", PORTFOLIO, loss, allowed, when, now)
            if loss > HARD * allowed:
                self._breaker.halt(f"loss above {HARD} times its limit", now)
        return drawdown

    def _exposures(
        self,
        equity: int,
        values: dict[str, int],
        gross: int,
        value_at_risk: int,
        prices: dict[str, int],
        now: int,
    ) -> None:
        check, when = self._alerts.check, self._feeds.newest
        limits = self._controls
        if (limit := limits.limit("gross-exposure")) is not None:
            check("gross-exposure", PORTFOLIO, gross, limit.capital(equity), when, now)
        if (limit := limits.limit("var-limit")) is not None:
            check("var-limit", PORTFOLIO, value_at_risk, limit.capital(equity), when, now)
        if (limit := limits.limit("concentration")) is not None and equity > 0:
            for coin, value in values.items():
                share = -(-abs(value) * PPM // equity)
                check("concentration", coin, share, limit.value, when, now)
        if (limit := limits.limit("net-exposure")) is not None:
            allowed = limit.capital(equity)
            for name, account in self._positions.accounts.items():
                opening = self._opening_qty[name]
                net = sum(
                    (account.qty.get(coin, 0) - qty) * prices[coin] // SCALE
                    for coin, qty in opening.items()
                )
                check("net-exposure", name, abs(net), allowed, when, now)

    def _value_at_risk(self, values: dict[str, int]) -> int:
        """In 1e-8 USD; the volatilities are estimates, the whole numbers are for comparison."""
        total = 0
        for coin, value in values.items():
            daily_ppm = round(sqrt(self._feeds.by_asset[coin].variance * DAY) * PPM * NINETY_NINE)
            total += abs(value) * daily_ppm // PPM
        return total
