"""Prevents a halt of the circuit breaker from being lifted by opening a new session.

Every session begins with an ACTIVE breaker. A halt that a scenario caused is part of its run and
ends with it. A halt that an operator ordered, or that happened between runs, stays until the holder
of RISK_TOKEN resets it, and no session is opened until then: otherwise the holder of CHAOS_TOKEN
could undo what the holder of RISK_TOKEN did.
"""

from trading.api.risk_monitor.view import RiskView
from trading.hosting.host import Host
from trading.hosting.session_control import run_ended_at
from trading.messages.risk import BreakerState
from trading.risk_monitor import RiskMonitor


def standing_halt(host: Host) -> str:
    """Return why no session may be opened on the risk monitor's `host`; an empty string
    if one may.
    """
    if host.ready:
        return ""
    breaker = host.component(RiskMonitor).state()["breaker"]
    if breaker["state"] != BreakerState.HALTED:
        return ""
    changes = host.projection(RiskView).changes
    halt = next((c for c in reversed(changes) if c.state is BreakerState.HALTED), None)
    if host.session.run_id and not breaker["by_hand"] and halt is not None:
        over = run_ended_at(host)
        if over is None or halt.event_time <= over:
            return ""
    reason = f" ({halt.reason})" if halt is not None else ""
    return (
        f"the circuit breaker is halted{reason}, and a run would end that; whoever holds RISK_TOKEN"
        " must reset it first: on the dashboard, or with POST /api/breaker/reset"
    )
