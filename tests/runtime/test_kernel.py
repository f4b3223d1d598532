"""The kernel: order, simulated time, routes, partitions and journals."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from trading.messages import Delayed, Message, Start, Wake
from trading.messages.audit import AuditQuery, JournalBatch
from trading.messages.chaos import InjectFault, NetworkPartition, Probe, ProbeResult, RecoverFault
from trading.messages.market import Ping, Pong, PriceTick
from trading.runtime.component import answer_ping
from trading.runtime.journal import kind_of, time_of, verify
from trading.runtime.kernel import Kernel
from trading.runtime.replay import decode_received
from trading.topology import AUDIT_CORRELATOR, EXCHANGE, MARKET_DATA, TEST_COORDINATOR
from trading.units import MILLISECOND, SECOND

Script = Callable[[Message, int], Sequence[Message]]


class Scripted:
    """A component that lists what it has received, and answers with what ``script`` returns."""

    def __init__(self, name: str, script: Script | None = None) -> None:
        self.name = name
        self.received: list[tuple[int, Message]] = []
        self._script = script

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """List a message, and answer with a pong or with what the script returns."""
        self.received.append((now, message))
        if isinstance(message, Ping):
            return [answer_ping(self.name, message, now)]
        return self._script(message, now) if self._script else ()

    def state(self) -> Any:
        """Return how many messages have been received."""
        return len(self.received)


def ticker(message: Message, now: int) -> Sequence[Message]:
    """Send a tick each second, and every third one two seconds late."""
    if isinstance(message, Start):
        return [Wake(now + SECOND, "tick")]
    if isinstance(message, Wake):
        number = message.at // SECOND
        tick = PriceTick("BTC", 100, number, now)
        late: Message = Delayed(tick, 2 * SECOND) if number % 3 == 0 else tick
        return [Wake(now + SECOND, "tick"), late]
    return ()


def kernel_of(*components: Any, **options: Any) -> Kernel:
    """Return a kernel that starts at 0."""
    return Kernel(components, start=0, run_id="test", **options)


def test_messages_take_the_latency_and_delayed_ones_longer() -> None:
    exchange = Scripted(EXCHANGE)
    kernel = kernel_of(Scripted(MARKET_DATA, ticker), exchange)
    kernel.run(6 * SECOND)
    arrivals = [(now, m.seq) for now, m in exchange.received if isinstance(m, PriceTick)]
    ms = MILLISECOND
    assert arrivals == [
        (1 * SECOND + ms, 1),
        (2 * SECOND + ms, 2),
        (4 * SECOND + ms, 4),
        (5 * SECOND + ms, 3),
        (5 * SECOND + ms, 5),
    ]


def test_a_timer_in_the_past_comes_next_not_never() -> None:
    late = Scripted(EXCHANGE, lambda m, now: [Wake(now - 5, "x")] if isinstance(m, Start) else ())
    kernel_of(late).run(10)
    assert [(now, type(m)) for now, m in late.received] == [(0, Start), (1, Wake)]


def test_partition_cuts_both_directions_and_ends_with_its_lease() -> None:
    def control(message: Message, now: int) -> Sequence[Message]:
        if isinstance(message, Start):
            return [
                Wake(2 * SECOND + 1, "inject"),
                *(Wake(i * SECOND + SECOND // 2, "probe") for i in range(8)),
            ]
        if isinstance(message, Wake) and message.topic == "inject":
            fault = NetworkPartition(((MARKET_DATA, EXCHANGE),))
            return [InjectFault("network", "cut", fault, now + 3 * SECOND)]
        if isinstance(message, Wake):
            return [Probe(MARKET_DATA, EXCHANGE, now)]
        return ()

    exchange = Scripted(EXCHANGE)
    coordinator = Scripted(TEST_COORDINATOR, control)
    kernel = kernel_of(Scripted(MARKET_DATA, ticker), exchange, coordinator)
    kernel.run(8 * SECOND)
    sequence = [m.seq for _, m in exchange.received if isinstance(m, PriceTick)]
    # 3 was lost when it was sent at 3 s, and so were 4 and 5; the lease ends before 6 is sent.
    assert sequence == [1, 2, 7]
    assert kernel.lost == 3
    reachable = [m.fresh_ok for _, m in coordinator.received if isinstance(m, ProbeResult)]
    assert reachable == [True, True, False, False, False, True, True, True]


def test_recovering_a_partition_heals_at_once() -> None:
    exchange = Scripted(EXCHANGE)
    kernel = kernel_of(Scripted(MARKET_DATA, ticker), exchange)
    cut = NetworkPartition(((EXCHANGE, MARKET_DATA),))
    kernel.send("network", InjectFault("network", "cut", cut, 100 * SECOND), SECOND // 2)
    kernel.send("network", RecoverFault("network", "cut"), SECOND + SECOND // 2)
    kernel.run(2 * SECOND + MILLISECOND)
    assert [m.seq for _, m in exchange.received if isinstance(m, PriceTick)] == [2]


def test_direct_messages_reach_whom_they_name_and_nobody_else() -> None:
    sender = Scripted(
        EXCHANGE,
        lambda m, now: [Ping(MARKET_DATA, EXCHANGE, 7)] if isinstance(m, Start) else (),
    )
    other = Scripted(TEST_COORDINATOR)
    kernel_of(sender, Scripted(MARKET_DATA), other).run(SECOND)
    assert [m for _, m in sender.received if isinstance(m, Pong)] == [
        Pong(EXCHANGE, MARKET_DATA, 7, MILLISECOND)
    ]
    assert [type(m) for _, m in other.received] == [Start]


@pytest.mark.parametrize("options", [{}, {"sorted_inboxes": True}])
def test_what_a_component_ignores_reaches_the_others_alone(options: dict[str, Any]) -> None:
    """This holds for messages by the table, delayed, by name, and from outside."""

    def script(message: Message, now: int) -> Sequence[Message]:
        pings: list[Message] = [Ping(TEST_COORDINATOR, MARKET_DATA, 7)]
        return [*ticker(message, now), *(pings if isinstance(message, Start) else ())]

    ignoring, exchange = Scripted(TEST_COORDINATOR), Scripted(EXCHANGE)
    ignoring.ignores = frozenset({PriceTick, Ping})  # type: ignore[attr-defined]
    kernel = kernel_of(Scripted(MARKET_DATA, script), exchange, ignoring, **options)
    kernel.send(TEST_COORDINATOR, PriceTick("BTC", 1, 1, 1), 5)
    kernel.run(6 * SECOND)
    assert len([m for _, m in exchange.received if isinstance(m, PriceTick)]) == 5
    assert [type(m) for _, m in ignoring.received] == [Start]
    assert kernel.journals[TEST_COORDINATOR].length == 1


def test_journal_holds_what_was_received_and_decided() -> None:
    kernel = kernel_of(Scripted(MARKET_DATA, ticker), Scripted(EXCHANGE))
    kernel.run(2 * SECOND)
    entries = list(kernel.journals[MARKET_DATA].after(0))
    assert [kind_of(e.body) for e in entries] == [
        "Received",
        "Received",
        "PriceTick",
        "Received",
        "PriceTick",
    ]
    assert decode_received(entries[1]) == (SECOND, [Wake(SECOND, "tick")])
    assert verify(entries) == (5, kernel.journals[MARKET_DATA].head)


def test_the_auditor_gets_every_entry_once_and_the_heads() -> None:
    def control(message: Message, now: int) -> Sequence[Message]:
        if isinstance(message, Start):
            return [Wake(50 * SECOND, "ask")]
        return [AuditQuery(TEST_COORDINATOR, "test", {})] if isinstance(message, Wake) else ()

    auditor = Scripted(AUDIT_CORRELATOR)
    kernel = kernel_of(
        Scripted(MARKET_DATA, ticker),
        Scripted(EXCHANGE),
        Scripted(TEST_COORDINATOR, control),
        auditor,
        auditor=AUDIT_CORRELATOR,
    )
    kernel.run(51 * SECOND)
    read: dict[str, list[bytes]] = {}
    for _, message in auditor.received:
        if isinstance(message, JournalBatch):
            bodies = read.setdefault(message.source, [])
            assert message.after == len(bodies)
            bodies += [e.body for e in message.entries]
        elif isinstance(message, AuditQuery):
            queried_at = 50 * SECOND + MILLISECOND
            everything = [e for j in kernel.journals.values() for e in j.after(0)]
            assert message.heads == {name: len(bodies) for name, bodies in read.items()}
            assert all(time_of(body) < queried_at for bodies in read.values() for body in bodies)
            earlier = sum(time_of(e.body) < queried_at for e in everything)
            assert earlier == sum(message.heads.values()) + 1
    assert set(read) == {MARKET_DATA, EXCHANGE, TEST_COORDINATOR, "network"}
    own = [decode_received(e)[1] for e in kernel.journals[AUDIT_CORRELATOR].after(0)]
    assert not any(isinstance(m, JournalBatch) for step in own for m in step)


def test_sending_to_a_stranger_is_refused() -> None:
    with pytest.raises(KeyError):
        kernel_of(Scripted(EXCHANGE)).send("nobody", Start("x"))
