"""Halts that outlive a session: a new one would end them, and that is not the coordinator's to do.

A session begins with an ACTIVE breaker. A halt that a scenario has led to is part of its run, and
ends with it. One that somebody has ordered, or that has happened between runs, stays until whoever
holds RISK_TOKEN resets it; until then no session is opened, so that the chaos token does not undo
what the risk token has done.
"""

from trading.api.risk_monitor.broadcast import VIEW
from trading.api.risk_monitor.view import RiskView
from trading.hosting.host import Host
from trading.hosting.world import run_over_at
from trading.messages.risk import HALTED
from trading.topology import RISK_MONITOR


def standing_halt(host: Host) -> str:
    """Return why no session may be opened in the risk monitor's host; empty: one may."""
    if host.ready:
        return ""
    breaker = host.component(RISK_MONITOR).state()["breaker"]
    if breaker["state"] != HALTED:
        return ""
    view: RiskView = host.projection(VIEW)
    halt = next((c for c in reversed(view.changes) if c.state == HALTED), None)
    if host.session.run_id and not breaker["by_hand"] and halt is not None:
        over = run_over_at(host)
        if over is None or halt.event_time <= over:
            return ""
    reason = f" ({halt.reason})" if halt is not None else ""
    return (
        f"the circuit breaker is halted{reason}, and a run would end that; whoever holds RISK_TOKEN"
        " must reset it first: on the dashboard, or with POST /api/breaker/reset"
    )
