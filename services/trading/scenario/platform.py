"""What the platform owed a run and did not do: that proves nothing about the system under test.

Where the platform's network plays partitions, it also has to end them. While a fresh connection
still fails after a fault has ended, nothing can recover, whatever the services do; where a fresh
one is possible and the held one is not made again, that is the services' own.
"""

from trading.scenario.observation import Observation
from trading.scenario.plan import ClockMode, RunPlan
from trading.scenario.result import ExpectationOutcome, RecoveryOutcome
from trading.units import SECOND, format_duration

#: Wall time that a platform has to connect again what it has separated. In virtual time it has
#: more, since time stands still meanwhile.
GRACE = 5 * SECOND


def platform_doubts(
    plan: RunPlan,
    seen: Observation,
    recovery: RecoveryOutcome,
    expectations: tuple[ExpectationOutcome, ...],
) -> list[str]:
    """Return why the recovery, or silence after a fault's end, cannot be judged; [] if it can."""
    if not seen.platform_cuts or not seen.steady_at:
        return []
    grace = GRACE
    if plan.clock_mode is ClockMode.WALL:
        grace = round(GRACE * max(1.0, plan.speed or 1.0))
    doubts = []
    for fault in seen.faults:
        late = fault.cut_until - fault.ended_at if fault.ended_at else 0
        if late <= grace:
            continue
        noise = any(e.kind == "noAlert" and e.detected_at >= fault.ended_at for e in expectations)
        if not recovery.recovered or noise:
            doubts.append(
                f"the platform did not connect again what {fault.name} had separated:"
                f" {format_duration(late)} after its end no connection could be made"
            )
    return doubts
