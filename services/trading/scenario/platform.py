"""Finds failures of the platform, which prove nothing about the system under test.

Where partitions are injected by the platform's network (Compose or Kubernetes), the platform also
has to end them. As long as new connections fail after the end of a fault, no service can recover,
so the run cannot be judged. Once a new connection is possible, a service that does not reconnect
has failed itself.
"""

from trading.scenario.observation import Observation
from trading.scenario.plan import ClockMode, RunPlan
from trading.scenario.result import ExpectationOutcome, RecoveryOutcome
from trading.units import SECOND, format_duration

#: Wall-clock microseconds within which a platform has to end a partition. In virtual time the
#: platform has longer in effect, since simulated time stands still in the meantime.
GRACE = 5 * SECOND


def platform_failures(
    plan: RunPlan,
    observation: Observation,
    recovery: RecoveryOutcome,
    expectations: tuple[ExpectationOutcome, ...],
) -> list[str]:
    """Return why recovery and ``noAlert`` expectations cannot be judged; an empty list if they can.

    A partition counts if new connections still failed later than GRACE after its end, and if this
    can have changed the verdict: the system did not recover, or an alert fired that must not.
    """
    if not observation.platform_cuts or not observation.steady_at:
        return []
    grace = GRACE
    if plan.clock_mode is ClockMode.WALL:
        grace = round(GRACE * max(1.0, plan.speed or 1.0))
    reasons = []
    for fault in observation.faults:
        overrun = fault.cut_until - fault.ended_at if fault.ended_at else 0
        if overrun <= grace:
            continue
        alert_after_end = any(
            e.kind == "noAlert" and e.detected_at >= fault.ended_at for e in expectations
        )
        if not recovery.recovered or alert_after_end:
            reasons.append(
                f"the platform did not connect again what {fault.name} had separated:"
                f" {format_duration(overrun)} after its end no connection could be made"
            )
    return reasons
