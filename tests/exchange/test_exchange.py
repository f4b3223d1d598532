"""The exchange as its clients see it."""

from typing import Any

import pytest

from trading.exchange import Exchange
from trading.messages import Delayed, Message, Start, Wake
from trading.messages.chaos import (
    Depeg,
    ExchangeOutage,
    FaultEnded,
    InjectFault,
    PathPoint,
    RecoverFault,
)
from trading.messages.market import (
    BookTop,
    Ping,
    Pong,
    PriceTick,
    SymbolStatus,
    SymbolStatusChanged,
)
from trading.messages.orders import (
    AccountQuery,
    AccountSnapshot,
    CancelAllOrders,
    CancelOrder,
    ExecutionReport,
    HaltMarket,
    KillSwitchChanged,
    PlaceOrder,
    ReplaceOrder,
    RequestFailed,
    SetKillSwitch,
    Trade,
)
from trading.units import MINUTE, SECOND, parse_units
from trading.universe import default_universe

START = 1_767_571_200 * SECOND
PRICES = {"BTC": "65000", "ETH": "3500", "SOL": "150", "USDT": "1", "USDC": "1", "USDE": "1"}


class Venue:
    """Drives an exchange that has index prices, and keeps the time."""

    def __init__(self) -> None:
        self.exchange = Exchange(default_universe(), 7, tick=SECOND)
        self.now = START
        self.ids = 0
        (self.wake,) = (m for m in self.send(Start("x")) if isinstance(m, Wake))
        self.prices(PRICES)
        self.tick()

    def send(self, message: Message) -> list[Any]:
        return list(self.exchange.on(message, self.now))

    def prices(self, prices: dict[str, str]) -> None:
        for asset, price in prices.items():
            self.send(PriceTick(asset, parse_units(price), 1, self.now))

    def tick(self) -> list[Any]:
        """Advance to the venue's next tick, at which makers quote and book tops are published."""
        self.now = self.wake.at
        out = self.send(self.wake)
        self.wake = next(m for m in out if isinstance(m, Wake) and m.topic == "tick")
        return out

    def top(self, symbol: str = "BTCUSDT") -> BookTop:
        return next(m for m in self.tick() if isinstance(m, BookTop) and m.symbol == symbol)

    def order(self, **fields: Any) -> PlaceOrder:
        self.ids += 1
        defaults = {
            "account": "firm-mm",
            "client_order_id": f"t-{self.ids}",
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "qty": parse_units("0.1"),
            "price": parse_units("64000"),
        }
        return PlaceOrder(**{**defaults, **fields})

    def reports(self, message: Message) -> list[tuple[str, str]]:
        """Return execution type and reason of each report that the message causes."""
        reports = [m for m in self.send(message) if isinstance(m, ExecutionReport)]
        return [(m.execution_type, m.reason) for m in reports]

    def account(self, name: str = "firm-mm") -> AccountSnapshot:
        (snapshot,) = self.send(AccountQuery("risk-monitor", name, "q"))
        assert isinstance(snapshot, AccountSnapshot)
        return snapshot

    def inject(self, fault: Any) -> list[Any]:
        return self.send(InjectFault("exchange", "f", fault, self.now + 60 * MINUTE))

    def recover(self) -> list[Any]:
        return self.send(RecoverFault("exchange", "f"))


@pytest.fixture
def venue() -> Venue:
    return Venue()


def test_books_have_two_sides_around_the_reference(venue: Venue) -> None:
    top = venue.top()
    assert top.bid < parse_units("65000") < top.ask
    assert top.bid_depth > parse_units("1000000")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"symbol": "DOGEUSDT"}, "UNKNOWN_SYMBOL"),
        ({"side": "HOLD"}, "INVALID_SIDE"),
        ({"type": "STOP"}, "INVALID_TYPE"),
        ({"time_in_force": "DAY"}, "INVALID_TIME_IN_FORCE"),
        ({"price": parse_units("64000.001")}, "PRICE_FILTER"),
        ({"price": -1}, "PRICE_FILTER"),
        ({"qty": 1}, "LOT_SIZE"),
        ({"qty": 0}, "LOT_SIZE"),
        ({"qty": parse_units("0.00001")}, "MIN_NOTIONAL"),
        ({"price": parse_units("50000")}, "PERCENT_PRICE"),
        ({"qty": parse_units("100")}, "MAX_NOTIONAL"),
        ({"qty": parse_units("30")}, "INSUFFICIENT_BALANCE USDT"),
        ({"side": "SELL", "price": parse_units("66000"), "qty": parse_units("9")}, "INSUFFICIENT"),
        ({"type": "MARKET"}, ""),
        ({"type": "MARKET", "quote_qty": 5}, "INVALID_QUANTITY"),
        ({"type": "LIMIT_MAKER", "price": parse_units("66000")}, "WOULD_TAKE_LIQUIDITY"),
        ({"time_in_force": "FOK"}, "FOK_NOT_FILLABLE"),
        ({"account": "stranger"}, "UNKNOWN_ACCOUNT"),
        ({"stp": "MAYBE"}, "INVALID_STP"),
    ],
)
def test_refusals_name_their_reason(venue: Venue, fields: dict[str, Any], reason: str) -> None:
    before = venue.exchange.engine.state()["balances"]
    kind, actual_reason = venue.reports(venue.order(**fields))[0]
    if reason:
        assert kind == "REJECTED"
        assert actual_reason.startswith(reason)
        assert venue.exchange.engine.state()["balances"] == before
    else:
        assert kind == "NEW"


def test_duplicate_client_order_id_is_refused_while_open(venue: Venue) -> None:
    order = venue.order()
    assert venue.reports(order) == [("NEW", "")]
    assert venue.reports(order)[0][1].startswith("DUPLICATE_CLIENT_ORDER_ID")
    assert venue.reports(CancelOrder("firm-mm", "BTCUSDT", order.client_order_id)) == [
        ("CANCELED", "")
    ]
    assert venue.reports(order) == [("NEW", "")]


def test_replace_places_nothing_when_the_cancel_fails(venue: Venue) -> None:
    first, second = venue.order(), venue.order(price=parse_units("64100"))
    venue.send(first)
    replace = ReplaceOrder("firm-mm", "BTCUSDT", first.client_order_id, second)
    assert venue.reports(replace) == [("CANCELED", "REPLACED"), ("NEW", "")]
    rejected = venue.reports(
        ReplaceOrder("firm-mm", "BTCUSDT", first.client_order_id, venue.order())
    )
    assert [(k, r.split()[0]) for k, r in rejected] == [("REJECTED", "UNKNOWN_ORDER")]
    assert venue.account().open_orders == 1


def test_a_better_fill_price_gives_the_excess_lock_back(venue: Venue) -> None:
    before = {b.asset: b for b in venue.account().balances}
    out = venue.send(venue.order(price=parse_units("66000")))
    (trade,) = (m for m in out if isinstance(m, Trade))
    after = {b.asset: b for b in venue.account().balances}
    assert trade.price < parse_units("66000")
    assert after["USDT"].free == before["USDT"].free - trade.quote_qty
    assert after["USDT"].locked == 0
    assert after["BTC"].free == before["BTC"].free + trade.qty


def test_ioc_and_market_remainders_expire_and_lock_nothing(venue: Venue) -> None:
    kinds = venue.reports(venue.order(price=parse_units("64000"), time_in_force="IOC"))
    assert [k for k, _ in kinds] == ["NEW", "EXPIRED"]
    spend = venue.order(type="MARKET", qty=0, price=0, quote_qty=parse_units("1000"))
    trades = [m for m in venue.send(spend) if isinstance(m, Trade)]
    spent = sum(t.quote_qty for t in trades)
    assert parse_units("999") < spent <= parse_units("1000")
    assert all(b.locked == 0 for b in venue.account().balances)


@pytest.mark.parametrize(
    ("stp", "expected"),
    [
        ("EXPIRE_MAKER", ["NEW", "TRADE_PREVENTION"]),
        ("EXPIRE_TAKER", ["NEW", "TRADE_PREVENTION"]),
        ("EXPIRE_BOTH", ["NEW", "TRADE_PREVENTION", "TRADE_PREVENTION"]),
        ("NONE", ["NEW", "TRADE", "TRADE"]),
    ],
)
def test_self_trade_prevention(venue: Venue, stp: str, expected: list[str]) -> None:
    inside = venue.top().bid + parse_units("0.01")
    maker = venue.order(price=inside)
    venue.send(maker)
    taker = venue.order(side="SELL", price=inside, stp=stp)
    assert [k for k, _ in venue.reports(taker)] == expected
    left = [i for i in (maker, taker) if i.client_order_id in venue.exchange.engine.open["firm-mm"]]
    survivors = {"EXPIRE_MAKER": [taker], "EXPIRE_TAKER": [maker]}.get(stp, [])
    assert left == survivors


def test_the_kill_switch_cancels_and_refuses_until_released(venue: Venue) -> None:
    venue.send(venue.order())
    venue.send(venue.order(price=parse_units("64500")))
    out = venue.send(SetKillSwitch("firm-mm", True, "drawdown"))
    assert [m.execution_type for m in out if isinstance(m, ExecutionReport)] == ["CANCELED"] * 2
    (changed,) = (m for m in out if isinstance(m, KillSwitchChanged))
    assert (changed.engaged, changed.cancelled_orders) == (True, 2)
    assert venue.account().killed
    assert venue.account().open_orders == 0
    assert venue.reports(venue.order()) == [("REJECTED", "ACCOUNT_KILLED drawdown")]
    assert venue.reports(venue.order(account="firm-index")) == [("NEW", "")]
    venue.send(SetKillSwitch("firm-mm", False, "reviewed"))
    assert venue.reports(venue.order()) == [("NEW", "")]


def test_halts_refuse_orders_but_let_cancels_through(venue: Venue) -> None:
    order = venue.order()
    venue.send(order)
    out = venue.send(HaltMarket(("BTCUSDT",), SymbolStatus.CANCEL_ONLY, "volatility"))
    assert [(m.symbol, m.status) for m in out if isinstance(m, SymbolStatusChanged)] == [
        ("BTCUSDT", "CANCEL_ONLY")
    ]
    assert venue.reports(venue.order())[0][1] == "MARKET_CANCEL_ONLY BTCUSDT"
    assert venue.reports(CancelAllOrders("firm-mm")) == [("CANCELED", "")]
    assert venue.reports(venue.order(symbol="ETHUSDT", price=parse_units("3400")))[0][0] == "NEW"


def test_partition_lets_nothing_through_and_loses_nothing(venue: Venue) -> None:
    resting = venue.order(price=venue.top().bid + parse_units("0.01"), qty=parse_units("0.001"))
    venue.send(resting)
    venue.inject(ExchangeOutage("partition"))
    assert venue.send(Ping("exchange", "risk-monitor", 1)) == []
    assert venue.send(venue.order()) == []
    silent: list[Any] = []
    for _ in range(400):
        silent += [m for m in venue.tick() if not isinstance(m, Wake)]
    assert silent == []
    out = venue.recover()
    assert isinstance(out[-1], FaultEnded)
    traded = [m.trade_id for m in out if isinstance(m, Trade)]
    assert traded == list(range(traded[0], traded[-1] + 1))
    assert any(
        isinstance(m, ExecutionReport) and m.client_order_id == resting.client_order_id for m in out
    )
    assert [type(m) for m in venue.send(Ping("exchange", "risk-monitor", 2))] == [Pong]
    assert venue.account().last_trade_id == traded[-1]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("reset", "CONNECTION_RESET"), ("unavailable", "SERVICE_UNAVAILABLE")],
)
def test_failing_requests_are_answered_with_the_failure(
    venue: Venue, mode: str, reason: str
) -> None:
    venue.inject(ExchangeOutage(mode))
    (failed,) = venue.send(venue.order())
    assert isinstance(failed, RequestFailed)
    assert (failed.to, failed.reason) == ("trading-engine", reason)
    (failed,) = venue.send(AccountQuery("risk-monitor", "firm-mm", "q"))
    assert (failed.to, failed.reason) == ("risk-monitor", reason)
    assert venue.send(Ping("exchange", "risk-monitor", 1)) == []
    streams = [m for m in venue.tick() if isinstance(m, BookTop)]
    assert bool(streams) == (mode == "unavailable")
    venue.recover()
    assert venue.reports(venue.order()) == [("NEW", "")]


def test_unknown_status_executes_and_tells_later(venue: Venue) -> None:
    venue.inject(ExchangeOutage("unknown"))
    order = venue.order(price=parse_units("66000"))
    out = venue.send(order)
    assert [m.reason for m in out if isinstance(m, RequestFailed)] == ["EXECUTION_STATUS_UNKNOWN"]
    assert [m for m in out if isinstance(m, Trade)]
    assert not [m for m in out if isinstance(m, ExecutionReport)]
    delivered = [m.execution_type for m in venue.recover() if isinstance(m, ExecutionReport)]
    assert delivered == ["NEW", "TRADE"]


def test_slow_and_partial_acknowledgement(venue: Venue) -> None:
    venue.inject(ExchangeOutage("slow", delay=3 * SECOND))
    out = venue.send(venue.order())
    assert [type(m) for m in out] == [Delayed]
    assert out[0].delay == 3 * SECOND
    venue.recover()
    venue.inject(ExchangeOutage("partial-ack", probability_ppm=500_000))
    acknowledged = sum(
        len(venue.reports(venue.order(qty=parse_units("0.001")))) for _ in range(100)
    )
    assert 20 < acknowledged < 80
    delivered = sum(isinstance(m, ExecutionReport) for m in venue.recover())
    assert acknowledged + delivered == 100


def test_liquidity_withdrawal_thins_the_book_and_comes_back(venue: Venue) -> None:
    before = venue.top().bid_depth
    venue.inject(ExchangeOutage("liquidity", ("BTCUSDT",), factor=45))
    thin = venue.top().bid_depth
    assert before // 60 < thin < before // 30
    assert venue.top("ETHUSDT").bid_depth > parse_units("500000")
    venue.recover()
    assert venue.top().bid_depth > before // 2


def test_symbol_halt_fault(venue: Venue) -> None:
    out = venue.inject(ExchangeOutage("halt", ("ETHUSDT",)))
    assert [m.status for m in out if isinstance(m, SymbolStatusChanged)] == ["HALT"]
    assert [m.status for m in venue.recover() if isinstance(m, SymbolStatusChanged)] == ["TRADING"]


def test_venue_local_depeg_moves_this_book_alone(venue: Venue) -> None:
    path = (PathPoint(0, parse_units("1")), PathPoint(10 * SECOND, parse_units("0.65")))
    venue.inject(Depeg("USDE", path, "venue", rebound=5 * SECOND))
    for _ in range(12):
        top = venue.top("USDEUSDT")
    assert parse_units("0.64") < (top.bid + top.ask) // 2 < parse_units("0.66")
    assert venue.top("USDCUSDT").bid > parse_units("0.99")
    venue.recover()
    for _ in range(7):
        top = venue.top("USDEUSDT")
    assert parse_units("0.99") < (top.bid + top.ask) // 2


def test_a_fault_that_nobody_ends_runs_out(venue: Venue) -> None:
    out = venue.send(
        InjectFault("exchange", "f", ExchangeOutage("partition"), venue.now + 60 * SECOND)
    )
    (lease,) = (m for m in out if isinstance(m, Wake))
    venue.now = lease.at
    ended = [m for m in venue.send(lease) if isinstance(m, FaultEnded)]
    assert [m.reason for m in ended] == ["LEASE_EXPIRED"]
    assert venue.reports(venue.order()) == [("NEW", "")]


@pytest.mark.parametrize("price", [None, 0, -5])
def test_prices_that_cannot_be_do_not_move_the_reference(venue: Venue, price: int | None) -> None:
    before = venue.top()
    venue.send(PriceTick("BTC", price, 2, venue.now))
    after = venue.top()
    assert abs(after.bid - before.bid) * 1000 < before.bid
