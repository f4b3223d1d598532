"""Several engines share the accounts: each trades for its own and follows the others' positions."""

from typing import Any

import pytest

from tests.trading_engine.market import ACCOUNTS, START, UNIVERSE, Market
from trading.messages.chaos import (
    FaultApplied,
    FaultEnded,
    InjectFault,
    RecoverFault,
    StrategyMalfunction,
)
from trading.messages.orders import (
    CancelAllOrders,
    PlaceOrder,
    RequestFailed,
    RequestFailure,
    SetKillSwitch,
)
from trading.messages.strategy import StrategiesAssigned
from trading.topology import TRADING_ENGINE
from trading.units import SCALE, SECOND

MM = "firm-mm"


def assigned(**accounts: int) -> StrategiesAssigned:
    return StrategiesAssigned({f"firm-{name}": fence for name, fence in accounts.items()})


def shared(*, first: dict[str, int], second: dict[str, int]) -> Market:
    market = Market(engines=2)
    market.to_engine(0, assigned(**first))
    market.to_engine(1, assigned(**second))
    return market


def malfunction(mode: str, strategy: str = MM, **more: int) -> InjectFault:
    fault = StrategyMalfunction(strategy, mode, **more)
    return InjectFault(TRADING_ENGINE, "f", fault, START + 3600 * SECOND)


def nonzero_balances(market: Market, number: int, account: str) -> dict[str, int]:
    desk = next(d for _, _, d in market.engines[number].strategies() if d.account == account)
    return {asset: amount for asset, amount in desk.held.items() if amount}


def own_state(market: Market, number: int, account: str) -> Any:
    return market.engines[number].state()["strategies"][account]["own"]


def test_an_engine_that_was_told_nothing_trades_for_all() -> None:
    market = Market()
    market.advance(5)
    assert market.states() == dict.fromkeys(ACCOUNTS, "RUNNING")
    assert market.engines[0].fences == dict.fromkeys(ACCOUNTS, 0)
    assert market.changes() == []
    assert "mm-000001" in {m.client_order_id for m in market.orders(0, MM) if type(m) is PlaceOrder}


def test_what_is_not_assigned_stands_by_and_leaves_its_orders_to_the_next_owner() -> None:
    market = Market()
    market.advance(5)
    resting = market.open(MM)
    assert resting
    sent = len(market.orders(0, MM))
    market.to_engine(0, assigned(momentum=8))
    assert market.open(MM) == resting
    assert not any(desk.open for _, _, desk in market.engines[0].strategies())
    market.advance(30)
    assert market.states() == dict.fromkeys(ACCOUNTS, "STANDBY") | {"firm-momentum": "RUNNING"}
    assert market.orders(0, MM)[sent:] == []
    assert (MM, "STANDBY", "UNASSIGNED") in market.changes()
    assert market.orders(0, "firm-momentum") == [CancelAllOrders("firm-momentum")]


def test_a_takeover_cancels_what_is_left_and_goes_on_with_the_same_position() -> None:
    market = shared(first={"mm": 5, "index": 5}, second={"momentum": 6, "meanrev": 6})
    market.advance(10)
    for step in range(40):
        market.prices["BTC"] += (-1) ** step * market.prices["BTC"] // 300
        market.advance()
    market.dead.add(0)
    left = set(market.open(MM))
    assert left and all(i.startswith("mm-5-") for i in left)
    opening = next(dict(a.balances) for a in UNIVERSE.accounts if a.name == MM)
    assert market.total(MM) != opening
    market.to_engine(1, assigned(momentum=6, meanrev=6, mm=9))
    assert market.states(1)[MM] == "RUNNING"
    assert market.open(MM) == []
    market.advance(5)
    assert market.orders(1, MM)[0] == CancelAllOrders(MM)
    now = market.open(MM)
    assert now and all(i.startswith("mm-9-") for i in now)
    assert nonzero_balances(market, 1, MM) == market.total(MM)
    # The accounts it had before were not disturbed.
    assert market.orders(1, "firm-momentum").count(CancelAllOrders("firm-momentum")) == 1


def test_a_new_number_for_the_same_account_starts_from_nothing() -> None:
    market = Market()
    market.to_engine(0, assigned(mm=5))
    market.advance(5)
    sent = len(market.orders(0, MM))
    market.to_engine(0, assigned(mm=5))
    assert market.orders(0, MM)[sent:] == []
    market.to_engine(0, assigned(mm=6))
    assert market.orders(0, MM)[sent:] == [CancelAllOrders(MM)]
    assert market.engines[0].fences == {MM: 6}


@pytest.mark.parametrize(
    ("account", "percent"), [("firm-momentum", 101), ("firm-meanrev", 98)], ids=["up", "down"]
)
def test_a_directional_strategy_counts_on_where_its_former_owner_was(
    account: str, percent: int
) -> None:
    name = account.removeprefix("firm-")
    market = shared(first={name: 5}, second={})
    market.advance(10)
    for _ in range(12):
        market.prices["BTC"] = market.prices["BTC"] * percent // 100
        market.advance(100)
    steps = own_state(market, 0, account)["steps"]["BTCUSDT"]
    assert steps > 1
    learned = {k: v for k, v in own_state(market, 1, account).items() if k in ("averages", "means")}
    assert learned == {k: own_state(market, 0, account)[k] for k in learned}
    market.dead.add(0)
    market.to_engine(1, assigned(**{name: 9}))
    market.advance()
    before = len(market.orders(1, account))
    assert before == 1
    market.advance(310)
    placed = len(market.orders(1, account)) - before
    after = own_state(market, 1, account)["steps"]["BTCUSDT"]
    # Steps are computed from the value of the position, and the price has moved since the first.
    assert abs(after - placed - steps) <= 1


def test_index_weights_are_learned_before_the_takeover() -> None:
    market = shared(first={"index": 5}, second={})
    market.advance(5)
    market.to_engine(1, assigned(index=9))
    assert own_state(market, 1, "firm-index") == own_state(market, 0, "firm-index")
    assert own_state(market, 1, "firm-index")["targets"]


def test_the_kill_switch_counts_for_who_takes_over() -> None:
    market = shared(first={"mm": 5}, second={"index": 5})
    market.advance(5)
    market.to_exchange(SetKillSwitch(MM, True, "LIMIT"))
    assert market.states(0)[MM] == "STOPPED"
    assert market.states(1)[MM] == "STANDBY"
    market.to_engine(1, assigned(mm=9, index=5))
    assert market.states(1)[MM] == "STOPPED"
    market.advance(5)
    assert market.orders(1, MM) == [CancelAllOrders(MM)]
    market.to_exchange(SetKillSwitch(MM, False, "LIMIT"))
    market.advance(5)
    assert market.states(1)[MM] == "RUNNING"
    assert len(market.orders(1, MM)) > 1


def test_what_is_taken_over_while_the_venue_is_away_begins_when_it_is_back() -> None:
    market = Market()
    market.to_engine(0, assigned(index=5))
    market.advance(5)
    exchange_timers = [t for t in market._timers if t[0] < 0]
    market._timers = [t for t in market._timers if t[0] >= 0]
    market.advance(10)
    assert market.states()["firm-index"] == "DISCONNECTED"
    assert market.states()[MM] == "STANDBY"
    market.to_engine(0, assigned(index=5, mm=6))
    assert market.states()[MM] == "DISCONNECTED"
    market.advance(2)
    assert market.orders(0, MM) == []
    market._timers += exchange_timers
    market.advance(3)
    assert market.orders(0, MM)[0] == CancelAllOrders(MM)
    assert market.states() == dict.fromkeys(ACCOUNTS, "STANDBY") | {
        "firm-index": "RUNNING",
        MM: "RUNNING",
    }


def test_cancelling_a_former_owners_orders_is_tried_until_it_is_done() -> None:
    market = Market()
    market.to_engine(0, assigned(mm=5))
    market.advance(3)
    failed = RequestFailed(
        TRADING_ENGINE, "exchange", MM, "cancel-all", RequestFailure.SERVICE_UNAVAILABLE, 0
    )
    market.to_engine(0, failed)
    market.to_engine(0, failed)
    sent = len(market.orders(0, MM))
    market.advance(2)
    retries = [m for m in market.orders(0, MM)[sent:] if isinstance(m, CancelAllOrders)]
    assert retries == [CancelAllOrders(MM)]
    market.to_engine(0, failed)
    market.to_engine(0, assigned())
    sent = len(market.orders(0, MM))
    market.advance(2)
    assert market.orders(0, MM)[sent:] == []


MODES: list[dict[str, Any]] = [
    {"mode": "runaway-repeat", "rate": 30},
    {"mode": "position-growth"},
    {"mode": "self-trading"},
    {"mode": "wrong-side"},
    {"mode": "stale-quotes"},
    {"mode": "fat-finger", "factor": 5},
]


@pytest.mark.parametrize("fault", MODES, ids=[m["mode"] for m in MODES])
def test_a_malfunction_sends_nothing_in_standby_and_goes_on_after_a_takeover(
    fault: dict[str, Any],
) -> None:
    market = shared(first={"mm": 5}, second={"index": 5, "momentum": 5})
    market.advance(3)
    for number in (0, 1):
        market.to_engine(number, malfunction(**fault))
    assert [m for _, m in market.sent if isinstance(m, FaultApplied)] == 2 * [
        FaultApplied(TRADING_ENGINE, "f", market.now)
    ]
    market.advance(5)
    assert market.orders(1, MM) == []
    assert market.orders(0, "firm-index") == [] == market.orders(0, "firm-momentum")
    market.to_engine(0, assigned())
    market.to_engine(1, assigned(index=5, momentum=5, mm=9))
    before = [len(market.orders(n, MM)) for n in (0, 1)]
    market.prices["BTC"] = market.prices["BTC"] * 101 // 100
    market.advance(5)
    assert len(market.orders(0, MM)) == before[0]
    new = [m for m in market.orders(1, MM)[before[1] :] if isinstance(m, PlaceOrder)]
    if fault["mode"] == "runaway-repeat":
        assert len([m for m in new if m.type == "MARKET"]) >= 4 * 30
    elif fault["mode"] == "stale-quotes":
        frozen = own_state(market, 1, MM)["frozen"]["BTCUSDT"]
        assert frozen < 65_500 * SCALE
    assert new
    for number in (0, 1):
        market.to_engine(number, RecoverFault(TRADING_ENGINE, "f"))
    ended = [(n, m.reason) for n, m in market.sent if isinstance(m, FaultEnded)]
    assert ended == [(0, "RECOVERED"), (1, "RECOVERED")]
    assert len(market.orders(0, MM)) == before[0]
    assert market.orders(1, MM)[-1] == CancelAllOrders(MM)
