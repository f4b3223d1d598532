"""Fault leases: a fault ends, whatever happens to the coordinator."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from trading.messages import Message, Wake
from trading.messages.chaos import (
    Depeg,
    FaultApplied,
    FaultEnded,
    InjectFault,
    MarketShock,
    RecoverFault,
    RenewFault,
)
from trading.runtime.faults import LEASE_TOPIC, FaultBoard

SHOCK = MarketShock(("BTC",), ())


class Service:
    """Applies faults by listing them; with ``refuse`` it refuses them for that reason."""

    def __init__(self, refuse: str = "") -> None:
        self.live: list[str] = []
        self._refuse = refuse
        self.board = FaultBoard("market-data", (MarketShock,), self._start, self._end)

    def _start(self, fault_id: str, fault: MarketShock, now: int) -> Sequence[Message]:
        if self._refuse:
            raise ValueError(self._refuse)
        self.live.append(fault_id)
        return []

    def _end(self, fault_id: str, fault: MarketShock, now: int) -> Sequence[Message]:
        self.live.remove(fault_id)
        return []


def test_a_lease_that_nobody_renews_ends() -> None:
    service = Service()
    answers = service.board.on(InjectFault("market-data", "f", SHOCK, 100), 10)
    assert answers == [FaultApplied("market-data", "f", 10), Wake(100, LEASE_TOPIC + "f")]
    ended = service.board.on(Wake(100, LEASE_TOPIC + "f"), 100)
    assert ended == [FaultEnded("market-data", "f", "LEASE_EXPIRED", 100)]
    assert service.live == []


def test_a_renewed_lease_goes_on_and_sets_its_next_timer() -> None:
    service = Service()
    service.board.on(InjectFault("market-data", "f", SHOCK, 100), 10)
    service.board.on(RenewFault("market-data", "f", 200), 50)
    assert service.board.on(Wake(100, LEASE_TOPIC + "f"), 100) == [Wake(200, LEASE_TOPIC + "f")]
    assert service.live == ["f"]


def test_refusals_say_why() -> None:
    wrong_kind = Service().board.on(InjectFault("market-data", "f", Depeg("USDT", ()), 100), 10)
    assert wrong_kind == [FaultEnded("market-data", "f", "REFUSED_NOT_MINE", 10)]
    refused = Service("NO_SUCH_ASSET").board.on(InjectFault("market-data", "f", SHOCK, 100), 10)
    assert refused == [FaultEnded("market-data", "f", "REFUSED_NO_SUCH_ASSET", 10)]
    too_late = Service().board.on(InjectFault("market-data", "f", SHOCK, 10), 10)
    assert too_late == [FaultEnded("market-data", "f", "REFUSED_LEASE_OVER", 10)]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["inject", "renew", "recover"]), st.sampled_from("abc"), st.integers(1, 50)
    ),
    max_size=40,
)


@given(ACTIONS)
def test_no_fault_outlives_its_lease(actions: list[tuple[str, str, int]]) -> None:
    """All faults end after the last lease, whatever the coordinator requests and then forgets."""
    service = Service()
    timers: list[Wake] = []
    now, last = 0, 0

    def handle(message: Message) -> None:
        timers.extend(m for m in service.board.on(message, now) if isinstance(m, Wake))

    for action, fault_id, lease in actions:
        now += 7
        for timer in [t for t in timers if t.at <= now]:
            timers.remove(timer)
            handle(timer)
        last = max(last, now + lease)
        if action == "inject":
            handle(InjectFault("market-data", fault_id, SHOCK, now + lease))
        elif action == "renew":
            handle(RenewFault("market-data", fault_id, now + lease))
        else:
            handle(RecoverFault("market-data", fault_id))
        assert sorted(service.live) == sorted(service.board.active)
    while timers:
        timers.sort(key=lambda t: t.at)
        timer = timers.pop(0)
        now = max(now, timer.at)
        handle(timer)
    assert service.live == []
    assert now <= max(last, 0) + 7
