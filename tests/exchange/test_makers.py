"""Quotes of synthetic makers are orders like any other, only without reports."""

import pytest

from trading.exchange.engine import Engine
from trading.messages import Message
from trading.messages.orders import PlaceOrder
from trading.units import SCALE
from trading.universe import MAKER_ACCOUNT, default_universe

PRICE = 65_000 * SCALE


def market() -> Engine:
    engine = Engine(default_universe())
    engine.reference["BTCUSDT"] = PRICE
    return engine


@pytest.mark.parametrize("buy", [True, False])
def test_a_quote_is_the_same_as_an_order(buy: bool) -> None:
    quoted, placed = market(), market()
    out: list[Message] = []
    price = PRICE - SCALE if buy else PRICE + SCALE
    assert quoted.quote(MAKER_ACCOUNT, "q", "BTCUSDT", buy, SCALE, price) is not None
    side = "BUY" if buy else "SELL"
    placed.place(PlaceOrder(MAKER_ACCOUNT, "q", "BTCUSDT", side, "LIMIT", SCALE, price), 1, out)
    assert quoted.state() == placed.state()
    assert out == []


def test_a_quote_that_would_cross_rests_nowhere_and_locks_nothing() -> None:
    engine = market()
    out: list[Message] = []
    order = PlaceOrder("firm-mm", "c", "BTCUSDT", "SELL", "LIMIT", SCALE // 10, PRICE)
    assert engine.place(order, 1, out) is not None
    before = engine.state() | {"order_id": 0}
    assert engine.quote(MAKER_ACCOUNT, "q", "BTCUSDT", True, SCALE, PRICE) is None
    assert engine.state() | {"order_id": 0} == before


def test_a_quote_without_cover_is_none() -> None:
    engine = market()
    assert engine.quote("firm-mm", "q", "BTCUSDT", False, 9 * SCALE, PRICE) is None
    assert engine.open["firm-mm"] == {}
