"""The auditor reads without end, and remembers only what somebody can still claim."""

import pytest

from trading.audit_correlator import correlation, published, trades
from trading.audit_correlator.correlation import Correlator
from trading.audit_correlator.published import LATEST, Published
from trading.audit_correlator.trades import Trades
from trading.messages.chaos import FaultApplied, FaultEnded
from trading.messages.orders import Trade
from trading.messages.risk import AlertFired
from trading.units import DAY, HOUR, MINUTE, SCALE, SECOND
from trading.universe import default_universe


def test_a_price_is_known_for_as_long_as_a_tick_can_be_late() -> None:
    known = Published(["BTC"])
    for hour in range(30):
        known.add("BTC", 1000 + hour, hour * HOUR + MINUTE)
    now = 30 * HOUR
    oldest = (now - LATEST) // HOUR
    assert known.claim("BTC", 1000 + oldest, now)
    assert all(known.claim("BTC", 1000 + hour, now) for hour in range(oldest, 30))
    assert not any(known.claim("BTC", 1000 + hour, now) for hour in range(oldest - 1))
    assert not known.claim("BTC", 999, now)
    assert not known.claim("ETH", 1029, now)


def test_a_price_that_is_claimed_all_the_time_stays_known() -> None:
    known = Published(["BTC"])
    known.add("BTC", 7, 0)
    for hour in range(1, 100):
        known.add("BTC", 1000, hour * HOUR)
        assert known.claim("BTC", 7, hour * HOUR)
    assert not known.claim("BTC", 8, 100 * HOUR)
    assert known.claim("BTC", 1000, 100 * HOUR)


@pytest.mark.parametrize("claiming", [True, False])
def test_prices_of_many_days_are_not_remembered(claiming: bool) -> None:
    known = Published(["BTC"])
    sizes = []
    for day in range(21):
        for at in range(day * DAY, (day + 1) * DAY, 10 * MINUTE):
            known.add("BTC", at, at)
            if claiming:
                known.claim("BTC", at, at)
        sizes.append(sum(len(hour.prices) for hour in known._older["BTC"]))
    assert sizes[-1] == sizes[8] <= (published.MAX_HOURS + 1) * 6 * 8
    if claiming:
        assert sizes[-1] == sizes[3]


def trade(number: int) -> Trade:
    return Trade(number, "BTCUSDT", SCALE, SCALE, SCALE, "firm-mm", "market", 1, 2, False, number)


def test_balances_are_known_as_of_every_trade_that_can_still_be_claimed() -> None:
    known = Trades(default_universe())
    opening = known.accounts["firm-mm"]["BTC"].now
    for number in range(1, 5 * trades.FORGET_EVERY + 1):
        known.add(trade(number))
        known.forget(max(number - 50, 0))
        history = known.accounts["firm-mm"]["BTC"]
        for as_of in (max(number - 50, 0), number):
            assert history.at(as_of) == opening + as_of * SCALE
        assert len(history._amounts) <= trades.FORGET_EVERY + 52
        assert known.kept_from <= max(number - 50, 0)
    assert (
        known.accounts["firm-mm"]["SOL"].at(known.kept_from) == known.accounts["firm-mm"]["SOL"].now
    )


def test_balances_are_bounded_where_nobody_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trades, "MAX_TRADES", 500)
    known = Trades(default_universe())
    for number in range(1, 5 * trades.FORGET_EVERY + 1):
        known.add(trade(number))
        known.forget(0)
    assert len(known.accounts["firm-mm"]["BTC"]._amounts) == 500
    assert known.kept_from == 5 * trades.FORGET_EVERY - 499


def alert(at: int) -> AlertFired:
    return AlertFired(f"a{at}", "price-move", "BTC", "critical", "", "", at, at)


def test_alerts_that_are_settled_count_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(correlator: Correlator) -> tuple[object, int]:
        correlator.on_applied(FaultApplied("exchange", "f", 100 * SECOND))
        for second in range(0, 3000, 7):
            correlator.on_alert(alert(second * SECOND))
            if second == 700:
                correlator.on_ended(FaultEnded("exchange", "f", "expired", second * SECOND))
        return correlator.correlations(), correlator.false_alarms()

    expected = told(Correlator())
    monkeypatch.setattr(correlation, "MAX_ALERTS", 5)
    bounded = Correlator()
    assert told(bounded) == expected
    assert len(bounded._alerts) == 5
