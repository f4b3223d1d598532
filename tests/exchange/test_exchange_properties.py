"""Whatever clients send, money is conserved to the unit and a replay ends in the same state."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trading.exchange import Exchange
from trading.messages import Message, Start, Wake
from trading.messages.chaos import ExchangeOutage, InjectFault, RecoverFault
from trading.messages.market import PriceTick
from trading.messages.orders import (
    CancelAllOrders,
    CancelOrder,
    PlaceOrder,
    ReplaceOrder,
    SetKillSwitch,
)
from trading.units import SECOND, notional, parse_units
from trading.universe import default_universe

START = 1_767_571_200 * SECOND
UNIVERSE = default_universe()
ACCOUNTS = st.sampled_from(["firm-mm", "firm-momentum"])
#: Few ids, so that duplicates and races between cancel and replace are the rule.
IDS = st.sampled_from(["a", "b", "c", "d", "e"])

ORDERS = st.builds(
    PlaceOrder,
    account=ACCOUNTS,
    client_order_id=IDS,
    symbol=st.sampled_from(["BTCUSDT", "ETHUSDT"]),
    side=st.sampled_from(["BUY", "SELL"]),
    type=st.sampled_from(["LIMIT", "LIMIT", "LIMIT", "MARKET", "LIMIT_MAKER"]),
    qty=st.integers(1, 30).map(lambda n: n * parse_units("0.01")),
    price=st.integers(640, 660).map(lambda n: n * parse_units("100")),
    time_in_force=st.sampled_from(["GTC", "GTC", "IOC", "FOK"]),
    stp=st.sampled_from(["NONE", "EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH"]),
)
SYMBOLS = st.sampled_from(["BTCUSDT", "ETHUSDT"])
MODES = st.sampled_from(["partition", "reset", "unavailable", "unknown", "slow", "partial-ack"])
MESSAGES = st.lists(
    st.one_of(
        ORDERS,
        ORDERS,
        st.builds(CancelOrder, ACCOUNTS, SYMBOLS, IDS),
        st.builds(ReplaceOrder, ACCOUNTS, SYMBOLS, IDS, ORDERS),
        st.builds(CancelAllOrders, ACCOUNTS),
        st.builds(SetKillSwitch, ACCOUNTS, st.booleans(), st.just("test")),
        st.builds(
            InjectFault,
            st.just("exchange"),
            st.just("f"),
            st.builds(ExchangeOutage, MODES),
            st.just(START + 1000 * SECOND),
        ),
        st.just(RecoverFault("exchange", "f")),
        st.just("tick"),
    ),
    max_size=40,
)


def begin() -> tuple[Exchange, list[tuple[Message, int]]]:
    exchange = Exchange(UNIVERSE, 7)
    history: list[tuple[Message, int]] = [(Start("x"), START)]
    for asset in UNIVERSE.assets:
        # ETH near BTC, so that one price range suits both books.
        price = parse_units("65000") if asset.name in ("BTC", "ETH") else asset.price
        history.append((PriceTick(asset.name, price, 1, START), START))
    for message, now in history:
        exchange.on(message, now)
    return exchange, history


def totals(exchange: Exchange) -> dict[str, int]:
    totals_by_asset: dict[str, int] = {}
    for balances in exchange.engine.balances.values():
        for held in (balances.free, balances.locked):
            for asset, amount in held.items():
                assert amount >= 0
                totals_by_asset[asset] = totals_by_asset.get(asset, 0) + amount
    return totals_by_asset


def required_locks(exchange: Exchange) -> dict[tuple[str, str], int]:
    """Return what the open orders must have locked, by account and asset."""
    amounts: dict[tuple[str, str], int] = {}
    for account, orders in exchange.engine.open.items():
        for order in orders.values():
            instrument = UNIVERSE.instrument(order.symbol)
            asset = instrument.quote if order.buy else instrument.base
            amount = notional(order.limit, order.leaves_qty) if order.buy else order.leaves_qty
            amounts[account, asset] = amounts.get((account, asset), 0) + amount
    return amounts


@settings(max_examples=120)
@given(MESSAGES, st.integers(0, 40))
def test_balances_and_locks_conserve_and_replay_reaches_the_same_state(
    messages: list[Any], prefix: int
) -> None:
    exchange, history = begin()
    opening = totals(exchange)
    now, at_prefix = START, None
    for number, message in enumerate(messages):
        now += SECOND
        real: Message = Wake(now, "tick") if message == "tick" else message
        history.append((real, now))
        exchange.on(real, now)
        assert totals(exchange) == opening
        locked = {
            (account, asset): amount
            for account, balances in exchange.engine.balances.items()
            for asset, amount in balances.locked.items()
            if amount
        }
        assert locked == {k: v for k, v in required_locks(exchange).items() if v}
        for book in exchange.engine.books.values():
            assert not (book.best_bid and book.best_ask) or book.best_bid < book.best_ask
            assert all(
                o.client_order_id in exchange.engine.open[o.account] for o in book.orders.values()
            )
        if number == prefix:
            at_prefix = (len(history), exchange.state())
    for length, state in filter(None, [at_prefix, (len(history), exchange.state())]):
        replayed = Exchange(UNIVERSE, 7)
        for message, at in history[:length]:
            replayed.on(message, at)
        assert replayed.state() == state
