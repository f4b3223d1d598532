"""Balances, unsettled amounts, overdue settlements."""

from typing import Any

from fastapi import FastAPI

from trading.custodian import Custodian
from trading.hosting.app import create_app
from trading.hosting.host import Host
from trading.topology import CUSTODIAN
from trading.units import format_units

_BALANCE = {"account": "firm-api", "asset": "USDT", "settled": "100000", "pending": "-650"}
_OVERDUE = {
    "instruction_id": "S000012",
    "account": "firm-api",
    "asset": "USDT",
    "remaining": "-650",
    "settlement_date": 1767657600000000,
}


def custodian_app(host: Host) -> FastAPI:
    app = create_app(
        CUSTODIAN,
        host,
        title="Custodian",
        description="A double-entry ledger that settles every trade in cycles.",
    )

    def current() -> Custodian:
        found: Custodian = host.component(CUSTODIAN)
        return found

    @app.get(
        "/api/v1/balances",
        tags=["custody"],
        summary="Settled, and still to settle",
        responses=_example([_BALANCE]),
    )
    async def balances() -> list[dict[str, Any]]:
        snapshot = current().snapshot("", "", host.kernel.now)
        return [
            {
                "account": b.account,
                "asset": b.asset,
                "settled": format_units(b.settled),
                "pending": format_units(b.pending),
            }
            for b in snapshot.balances
        ]

    @app.get(
        "/api/v1/settlements/overdue",
        tags=["custody"],
        summary="Past their date",
        responses=_example([_OVERDUE]),
    )
    async def overdue() -> list[dict[str, Any]]:
        snapshot = current().snapshot("", "", host.kernel.now)
        return [
            {
                "instruction_id": o.instruction_id,
                "account": o.account,
                "asset": o.asset,
                "remaining": format_units(o.remaining),
                "settlement_date": o.settlement_date,
            }
            for o in snapshot.overdue
        ]

    return app


def _example(answer: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": answer}}}}
