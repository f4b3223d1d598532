"""Builds the custodian's app: balances, amounts that are still to settle, and overdue
settlements.
"""

from collections.abc import Callable
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from trading.custodian import Custodian
from trading.hosting.access import NOT_READ
from trading.hosting.app import create_app
from trading.hosting.host import Host
from trading.hosting.service_app import AppContext, ServiceApp
from trading.telemetry.families import gauge
from trading.units import format_units

_BALANCE_EXAMPLE = {"account": "firm-api", "asset": "USDT", "settled": "100000", "pending": "-650"}
_OVERDUE_EXAMPLE = {
    "instruction_id": "S000012",
    "account": "firm-api",
    "asset": "USDT",
    "remaining": "-650",
    "settlement_date": 1767657600000000,
}


def custodian_app(context: AppContext) -> ServiceApp:
    """Return the custodian's app."""
    host, reads = context.host, context.access.reads
    app = create_app(
        context,
        title="Custodian",
        description="A double-entry ledger that settles every trade in cycles.",
    )

    def current() -> Custodian:
        return host.component(Custodian)

    context.registry.register(_OverdueMetrics(host, current))

    @app.get(
        "/api/v1/balances",
        tags=["custody"],
        summary="Settled, and still to settle",
        responses={**_example([_BALANCE_EXAMPLE]), **NOT_READ},
        dependencies=[reads],
    )
    async def balances() -> list[dict[str, Any]]:
        snapshot = current().snapshot("", "", host.processed_until)
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
        responses={**_example([_OVERDUE_EXAMPLE]), **NOT_READ},
        dependencies=[reads],
    )
    async def overdue() -> list[dict[str, Any]]:
        snapshot = current().snapshot("", "", host.processed_until)
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


class _OverdueMetrics(Collector):
    """Counts overdue settlements when Prometheus collects metrics."""

    def __init__(self, host: Host, custodian: Callable[[], Custodian]) -> None:
        self._host = host
        self._custodian = custodian

    def collect(self) -> list[Metric]:
        """Return the metrics; none before the host is ready."""
        if self._host.ready:
            return []
        overdue = self._custodian().snapshot("", "", self._host.processed_until).overdue
        return [gauge("custodian_settlements_overdue", len(overdue))]


def _example(answer: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": answer}}}}
