"""The life of one fault, and what is recorded of a run, without the phases of the coordinator."""

from collections.abc import Sequence
from typing import Any

from trading.messages import Message
from trading.messages.chaos import (
    AnyFault,
    FaultApplied,
    FaultEnded,
    FaultInjected,
    FaultRecovered,
    InjectFault,
    MarketShock,
    NetworkPartition,
    PathPoint,
    Probe,
    RecoverFault,
    RenewFault,
)
from trading.messages.market import Pong, PriceTick
from trading.runtime.faults import fault_handlers
from trading.scenario.observation import Observation
from trading.scenario.plan import PlannedFault
from trading.test_coordinator.fault_run import FaultRun, Prober
from trading.test_coordinator.recorder import ObservationRecorder
from trading.test_coordinator.view import TOLERATED_BEATS, DataPlaneView
from trading.topology import SERVICES
from trading.units import MINUTE, SCALE, SECOND
from trading.universe import default_universe

LEASE = MINUTE
SHOCK = MarketShock(("BTC",), (PathPoint(0, 900_000),))
START = 1_000 * SECOND


def fault_run(fault: AnyFault = SHOCK) -> tuple[FaultRun, DataPlaneView]:
    """Return a fault that lasts five minutes, and the view that it is verified with."""
    view = DataPlaneView(default_universe(), tuple(SERVICES), SECOND)
    planned = PlannedFault("f", 0, 5 * MINUTE, fault)
    return FaultRun(planned, view, LEASE, Prober()), view


def publish(run: FaultRun, view: DataPlaneView, price: int, seq: int, now: int) -> list[Message]:
    """Publish a price of BTC, as the coordinator does: to the view first, then to the fault."""
    tick = PriceTick("BTC", price * SCALE, seq, now)
    view.on_tick(tick, now)
    return run.observe(tick, now)


def test_a_fault_is_requested_verified_renewed_ended_and_recovers() -> None:
    run, view = fault_run()
    publish(run, view, 100, 1, START - SECOND)
    assert not run.requested and run.problem(START) == ""
    assert run.request(START) == InjectFault("market-data", "f", SHOCK, START + LEASE)
    assert run.requested and run.active
    assert publish(run, view, 100, 2, START + SECOND) == []
    now = START + 2 * SECOND
    (injected,) = publish(run, view, 90, 3, now)
    assert isinstance(injected, FaultInjected) and injected.event_time == now
    assert run.outcome.injected_at == now and "BTC moved" in run.outcome.evidence
    assert publish(run, view, 90, 4, now + SECOND) == [], "only the first evidence counts"
    assert run.maintain(now) == []
    renewal = START + LEASE // 3
    assert run.maintain(renewal) == [RenewFault("market-data", "f", renewal + LEASE)]
    assert run.maintain(renewal + SECOND) == []
    end = now + 5 * MINUTE
    assert run.maintain(end) == [RecoverFault("market-data", "f")]
    run.outcome.ended_at = end
    assert not run.active
    for beat in range(TOLERATED_BEATS + 1):
        at = end + beat * SECOND
        publish(run, view, 100, 5 + beat, at)
        recovered = run.verify_recovery(at)
        if beat == 0:
            assert run.problem(at) == "f: recovery not verified yet"
    assert recovered == [FaultRecovered("f", end)]
    assert run.outcome.recovered_at == end and run.problem(at) == ""


def test_without_evidence_the_duration_counts_from_the_request() -> None:
    run, _ = fault_run()
    run.request(START)
    assert RecoverFault("market-data", "f") not in run.maintain(START + 5 * MINUTE - 1)
    assert run.maintain(START + 5 * MINUTE) == [RecoverFault("market-data", "f")]
    assert run.outcome.injected_at == 0


def test_probes_are_numbered_across_faults() -> None:
    view = DataPlaneView(default_universe(), tuple(SERVICES), SECOND)
    prober = Prober()
    runs = []
    for name, pair in (("a", ("risk-monitor", "exchange")), ("b", ("exchange", "custodian"))):
        planned = PlannedFault(name, 0, MINUTE, NetworkPartition((pair,)))
        runs.append(FaultRun(planned, view, LEASE, prober))
        runs[-1].request(START)
    probes = [message for _ in range(2) for run in runs for message in run.maintain(START)]
    assert [p.nonce for p in probes if isinstance(p, Probe)] == [1, 2, 3, 4]


def test_the_first_report_about_a_fault_is_recorded() -> None:
    run, _ = fault_run()
    observation = Observation(faults=[run.outcome])
    recorder = ObservationRecorder(observation)
    recorder.on_applied(FaultApplied("market-data", "f", 5), 6)
    recorder.on_applied(FaultApplied("market-data", "f", 9), 10)
    recorder.on_ended(FaultEnded("market-data", "f", "RECOVERED", 20), 21)
    recorder.on_ended(FaultEnded("market-data", "f", "LEASE_EXPIRED", 30), 31)
    recorder.on_ended(FaultEnded("market-data", "unknown", "RECOVERED", 30), 31)
    outcome = run.outcome
    assert (outcome.applied_at, outcome.ended_at, outcome.end_reason) == (5, 20, "RECOVERED")


def test_the_silence_of_the_monitor_excludes_the_coordinator_s_own_absence() -> None:
    observation = Observation()
    recorder = ObservationRecorder(observation)
    recorder.start(START)
    recorder.on_pong(Pong("test-coordinator", "exchange", 1, START), START + 5 * SECOND)
    recorder.on_beat(START + 4 * SECOND, late=0)
    assert observation.monitor_silence == 4 * SECOND
    recorder.on_beat(START + 60 * SECOND, late=55 * SECOND)
    assert observation.monitor_silence == 5 * SECOND
    recorder.on_pong(Pong("test-coordinator", "risk-monitor", 1, START), START + 60 * SECOND)
    recorder.on_beat(START + 61 * SECOND, late=0)
    assert observation.monitor_silence == 5 * SECOND


def test_every_message_of_a_lease_has_the_same_handler() -> None:
    def handler(message: Any, now: int) -> Sequence[Message]:
        return ()

    table = fault_handlers(handler)
    assert set(table) == {InjectFault, RenewFault, RecoverFault}
    assert set(table.values()) == {handler}
