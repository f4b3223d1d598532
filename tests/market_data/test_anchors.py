"""Anchors tie synthetic prices to real ones, and change nothing where there are none."""

import pickle
from itertools import pairwise
from typing import Any

from trading.market_data import MarketData
from trading.market_data.synthetic import SyntheticPrices
from trading.messages import Start, Wake
from trading.messages.market import AnchorObserved, PriceTick
from trading.units import MINUTE, SECOND, parse_units
from trading.universe import default_universe

START = 1_700_000_000 * SECOND


class Market:
    """Drives the component as a kernel would, and records its prices by asset."""

    def __init__(self, seed: int = 1) -> None:
        self.component = MarketData(default_universe(), seed, tick=SECOND)
        self.now = START
        self.prices: dict[str, list[int]] = {}
        self._record(self.component.on(Start("r"), self.now))

    def observe(self, asset: str, price: str, *, stale: bool = False) -> None:
        message = AnchorObserved(asset, parse_units(price), "coingecko", self.now, stale)
        assert list(self.component.on(message, self.now)) == []

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.now = self.wake.at
            self._record(self.component.on(self.wake, self.now))

    def _record(self, answers: Any) -> None:
        for answer in answers:
            if isinstance(answer, Wake):
                self.wake = answer
            elif isinstance(answer, PriceTick) and answer.price is not None:
                self.prices.setdefault(answer.asset, []).append(answer.price)


def test_the_price_goes_to_the_anchor_and_lives_around_it() -> None:
    """In small steps, since the risk monitor takes a jump of 5 % for a broken feed."""
    market = Market()
    for asset, price in (("BTC", "650000"), ("ETH", "350"), ("USDT", "0.97")):
        market.observe(asset, price)
        market.run(15 * 60)
        path = market.prices[asset]
        anchor = parse_units(price)
        assert all(abs(b - a) <= 0.02 * a for a, b in pairwise(path))
        around = path[-300:]
        assert all(abs(p - anchor) < 0.01 * anchor for p in around)
        assert len(set(around)) > 250


def test_a_real_move_is_followed_within_minutes() -> None:
    market = Market()
    market.observe("BTC", "65000")
    market.run(60)
    market.observe("BTC", "66300")
    market.run(3 * 60)
    assert abs(market.prices["BTC"][-1] - parse_units("66300")) < 0.004 * parse_units("66300")


def test_a_stale_anchor_holds() -> None:
    market = Market()
    market.observe("SOL", "193.17")
    market.run(300)
    market.observe("SOL", "193.17", stale=True)
    market.run(20 * 60)
    assert abs(market.prices["SOL"][-1] - parse_units("193.17")) < 0.01 * parse_units("193.17")
    assert market.component.state()["anchors"]["SOL"]["stale"] is True


def test_what_cannot_be_an_anchor_is_none() -> None:
    market = Market()
    before = market.component.state()
    for asset, price in (("DOGE", "0.2"), ("BTC", "0"), ("BTC", "-1")):
        market.observe(asset, price)
    assert market.component.state() == before


def test_anchors_draw_nothing_and_touch_no_other_asset() -> None:
    """The same noise underneath, so that a seed means the same market with and without them."""
    tied, free = Market(), Market()
    tied.observe("BTC", "70000")
    for market in (tied, free):
        market.run(500)
    assert tied.prices["BTC"] != free.prices["BTC"]
    assert {a: p for a, p in tied.prices.items() if a != "BTC"} == {
        a: p for a, p in free.prices.items() if a != "BTC"
    }
    tied_state, free_state = (m.component.state()["synthetic"] for m in (tied, free))
    assert tied_state["rng"] == free_state["rng"]


def test_a_snapshot_goes_on_as_the_original() -> None:
    market = Market()
    market.observe("BTC", "70000")
    market.run(50)
    copy = Market()
    copy.component = pickle.loads(pickle.dumps(market.component))  # noqa: S301
    copy.now, copy.wake = market.now, market.wake
    for each in (market, copy):
        each.prices.clear()
        each.run(50)
    assert copy.prices == market.prices
    assert copy.component.state() == market.component.state()


def test_unknown_assets_are_refused() -> None:
    prices = SyntheticPrices(default_universe().assets, 1, SECOND)
    try:
        prices.anchor("DOGE", 1.0)
    except KeyError:
        return
    raise AssertionError("accepted an unknown asset")


def test_a_late_timer_is_not_made_up_for() -> None:
    """After a pause the next tick comes one interval later; missed ticks are not repeated."""
    market = Market()
    late = market.wake.at + 5 * MINUTE
    answers = market.component.on(market.wake, late)
    wakes = [a for a in answers if isinstance(a, Wake)]
    assert [w.at for w in wakes] == [late + SECOND]
