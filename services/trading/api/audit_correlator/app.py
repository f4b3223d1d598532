"""How far every journal has been read, what is wrong in it, and what led to what."""

from typing import Any

import msgspec
from fastapi import FastAPI

from trading.audit_correlator import AuditCorrelator
from trading.hosting.app import create_app
from trading.hosting.host import Host
from trading.topology import AUDIT_CORRELATOR


def audit_app(host: Host) -> FastAPI:
    app = create_app(
        AUDIT_CORRELATOR,
        host,
        title="Audit correlator",
        description="Reads every journal, believes none of them, compares all.",
    )

    def current() -> AuditCorrelator:
        found: AuditCorrelator = host.component(AUDIT_CORRELATOR)
        return found

    @app.get("/api/v1/chains", tags=["audit"], summary="Every journal as far as it was read")
    async def chains() -> dict[str, Any]:
        state = current().state()["chains"]["chains"]
        return {
            "session": host.live.number,
            "journals": {
                name: {"read": length, "head": head, "broken_at": broken or None, "why": why}
                for name, (length, head, broken, why) in state.items()
            },
        }

    @app.get("/api/v1/findings", tags=["audit"], summary="Discrepancies found so far")
    async def findings() -> list[dict[str, Any]]:
        return [msgspec.to_builtins(d) for d in current().discrepancies()]

    @app.get(
        "/api/v1/correlations",
        tags=["audit"],
        summary="Injection, effect, alert, recovery: by fault",
    )
    async def correlations() -> list[dict[str, Any]]:
        return [msgspec.to_builtins(c) for c in current().correlations()]

    return app
