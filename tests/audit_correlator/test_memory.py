"""The memory of the auditor is bounded: it keeps only what can still be claimed."""

import pytest

from trading.audit_correlator import correlation, published, trades
from trading.audit_correlator.correlation import Correlator
from trading.audit_correlator.published import LATEST, PublishedPrices
from trading.audit_correlator.trades import Trades
from trading.messages.chaos import FaultApplied, FaultEnded
from trading.messages.orders import Trade
from trading.messages.risk import AlertFired, Severity
from trading.units import DAY, HOUR, MINUTE, SCALE, SECOND
from trading.universe import default_universe


def test_a_price_is_known_for_as_long_as_a_tick_can_be_late() -> None:
    prices = PublishedPrices(["BTC"])
    for hour in range(30):
        prices.add("BTC", 1000 + hour, hour * HOUR + MINUTE)
    now = 30 * HOUR
    oldest = (now - LATEST) // HOUR
    assert prices.claim("BTC", 1000 + oldest, now)
    assert all(prices.claim("BTC", 1000 + hour, now) for hour in range(oldest, 30))
    assert not any(prices.claim("BTC", 1000 + hour, now) for hour in range(oldest - 1))
    assert not prices.claim("BTC", 999, now)
    assert not prices.claim("ETH", 1029, now)


def test_a_price_that_is_claimed_all_the_time_stays_known() -> None:
    prices = PublishedPrices(["BTC"])
    prices.add("BTC", 7, 0)
    for hour in range(1, 100):
        prices.add("BTC", 1000, hour * HOUR)
        assert prices.claim("BTC", 7, hour * HOUR)
    assert not prices.claim("BTC", 8, 100 * HOUR)
    assert prices.claim("BTC", 1000, 100 * HOUR)


@pytest.mark.parametrize("claiming", [True, False])
def test_prices_of_many_days_are_not_remembered(claiming: bool) -> None:
    prices = PublishedPrices(["BTC"])
    sizes = []
    for day in range(21):
        for at in range(day * DAY, (day + 1) * DAY, 10 * MINUTE):
            prices.add("BTC", at, at)
            if claiming:
                prices.claim("BTC", at, at)
        sizes.append(sum(len(hour.prices) for hour in prices._older["BTC"]))
    assert sizes[-1] == sizes[8] <= (published.MAX_HOURS + 1) * 6 * 8
    if claiming:
        assert sizes[-1] == sizes[3]


def trade(number: int) -> Trade:
    """Return a trade in which the firm's market maker buys one BTC for one USDT."""
    return Trade(number, "BTCUSDT", SCALE, SCALE, SCALE, "firm-mm", "market", 1, 2, False, number)


def test_balances_are_known_as_of_every_trade_that_can_still_be_claimed() -> None:
    balances = Trades(default_universe())
    opening = balances.accounts["firm-mm"]["BTC"].now
    for number in range(1, 5 * trades.FORGET_EVERY + 1):
        balances.add(trade(number))
        balances.forget(max(number - 50, 0))
        history = balances.accounts["firm-mm"]["BTC"]
        for as_of in (max(number - 50, 0), number):
            assert history.at(as_of) == opening + as_of * SCALE
        assert len(history._amounts) <= trades.FORGET_EVERY + 52
        assert balances.kept_from <= max(number - 50, 0)
    assert (
        balances.accounts["firm-mm"]["SOL"].at(balances.kept_from)
        == balances.accounts["firm-mm"]["SOL"].now
    )


def test_balances_are_bounded_where_nobody_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trades, "MAX_TRADES", 500)
    balances = Trades(default_universe())
    for number in range(1, 5 * trades.FORGET_EVERY + 1):
        balances.add(trade(number))
        balances.forget(0)
    assert len(balances.accounts["firm-mm"]["BTC"]._amounts) == 500
    assert balances.kept_from == 5 * trades.FORGET_EVERY - 499


def alert(at: int) -> AlertFired:
    """Return an alert that was detected at this time."""
    return AlertFired(f"a{at}", "price-move", "BTC", Severity.CRITICAL, "", "", at, at)


def test_alerts_that_are_settled_count_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def results(correlator: Correlator) -> tuple[object, int]:
        correlator.on_applied(FaultApplied("exchange", "f", 100 * SECOND))
        for second in range(0, 3000, 7):
            correlator.on_alert(alert(second * SECOND))
            if second == 700:
                correlator.on_ended(FaultEnded("exchange", "f", "expired", second * SECOND))
        return correlator.correlations(), correlator.false_alarms()

    expected = results(Correlator())
    monkeypatch.setattr(correlation, "MAX_ALERTS", 5)
    bounded = Correlator()
    assert results(bounded) == expected
    assert len(bounded._alerts) == 5
