"""Divides the strategies among several trading engines.

Each strategy is leased in Redis by one engine, and the exchange refuses orders from an engine whose
lease has passed to another (fencing). The leases here are in wall-clock time: they hold between
runs, and in runs by the wall clock. A run in virtual time has leases of its own; see
:mod:`trading.server.shared_run`.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from trading.hosting.host import Host
from trading.hosting.leases import StrategyLeases
from trading.hosting.live_session import OutboundMessage
from trading.hosting.settings import Settings
from trading.links.handler import LinkHandler
from trading.links.service_links import ServiceLinks
from trading.messages import Message
from trading.messages.orders import (
    CancelAllOrders,
    CancelOrder,
    PlaceOrder,
    ReplaceOrder,
    RequestFailed,
    RequestFailure,
)
from trading.messages.strategy import StrategiesAssigned
from trading.server.shared_run import SharedRun
from trading.topology import EXCHANGE, TRADING_ENGINE
from trading.trading_engine import TradingEngine
from trading.universe import MANUAL

_ORDER_REQUESTS = PlaceOrder | CancelOrder | ReplaceOrder | CancelAllOrders


class EngineSharing(LinkHandler):
    """Keeps this engine's share of the strategies up to date, and reports failed orders to it.

    If ``settings`` name no Redis, this engine trades for all accounts. ``instance`` is that of the
    process, empty for the first. It handles the events of ``links``.
    """

    def __init__(self, links: ServiceLinks, settings: Settings, instance: str) -> None:
        self._links = links
        self._url = settings.redis_url
        self._name = f"{socket.gethostname()[:40]}-{os.getpid()}-{instance or '1'}"
        self._leases: StrategyLeases | None = None
        self._task: asyncio.Task[None] | None = None
        #: This engine's leases in a virtual run with several engines, None in all other sessions.
        self._shared: SharedRun | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def problems(self) -> dict[str, str]:
        """Return what is wrong with Redis; an empty mapping if no Redis is used."""
        if self._leases is None:
            return {}
        run_problem = self._shared.problem if self._shared is not None else ""
        return {"redis": self._leases.problem or run_problem}

    def send(self, items: Sequence[OutboundMessage]) -> None:
        """Send ``items`` over the links, except for orders whose lease is no longer held.

        The engine decided such an order while it held the lease, and has lost it since.
        """
        if self._leases is not None:
            held = self._leases.held
            fences = self._links.host.component(TradingEngine).fences

            def has_stale_lease(message: Any) -> bool:
                is_order = isinstance(message, _ORDER_REQUESTS)
                return is_order and held.get(message.account) != fences.get(message.account)

            items = [item for item in items if not has_stale_lease(item.message)]
        self._links.send(items)

    async def start(self, host: Host) -> None:
        """Join the current session and begin to renew the leases. Raises ValueError."""
        host.on_session(self._on_session)
        self._on_session()
        if self._url is not None:
            accounts = [a for a in host.session.plan.universe.accounts if a.strategy != MANUAL]
            self._leases = StrategyLeases(
                self._url.get_secret_value(),
                self._name,
                [a.name for a in accounts],
                self._on_leases_changed,
            )
            # The engine must not trade before it has leases.
            self._assign_held()
            self._task = host.tasks.start("the strategy leases", self._leases.run(), vital=True)

    async def stop(self) -> None:
        """Release the leases, so that other engines can take over at once."""
        if self._leases is not None:
            await self._leases.release()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._close_shared_run()
        await asyncio.gather(*self._closing)

    def _on_session(self) -> None:
        """Set up the leases of a session that has begun or was resumed."""
        self._close_shared_run()
        host, virtual = self._links.host, self._links.virtual
        if virtual is not None and self._links.name in virtual.participants:
            engines = [s for s in virtual.participants.values() if s == TRADING_ENGINE]
            if len(engines) > 1 and self._url is not None:
                url = self._url.get_secret_value()
                self._shared = SharedRun(host, self._links.name, url)
            elif len(engines) > 1:
                virtual.follower.problem = "several trading engines share a run by REDIS_URL"
        self._assign_held()

    def _close_shared_run(self) -> None:
        shared, self._shared = self._shared, None
        if shared is not None:
            task = self._links.host.tasks.start("the end of a shared run", shared.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def prepare(self, due: int) -> Awaitable[Sequence[Message]] | None:
        """Return what changes this engine's strategies at the instant ``due`` of a shared run."""
        return self._shared.prepare(due) if self._shared is not None else None

    def next_appointment(self) -> int | None:
        """Return when this engine next compares its leases in a shared run."""
        return self._shared.next_comparison() if self._shared is not None else None

    def _on_leases_changed(self, held: Mapping[str, int]) -> None:
        """Announce the leases to the exchange, then to the engine.

        This order ensures that the exchange knows the leases before it receives the first order.
        """
        self._links.claim(held)
        if self._links.host.virtual:
            # A run in virtual time has leases of its own, or none.
            return
        self._links.host.send(TRADING_ENGINE, StrategiesAssigned(dict(held)))

    def _assign_held(self) -> None:
        """Assign the leases to a new component, which would trade for every account otherwise."""
        if self._leases is not None and not self._links.host.virtual:
            self._on_leases_changed(self._leases.held)

    def on_connected(self, peer: str) -> None:
        """Restart the strategies after a reconnection to the exchange.

        The state of orders that were in flight is unknown, so all strategies are withdrawn, which
        resets them, and assigned again.
        """
        if peer != EXCHANGE:
            return
        self._links.host.send(TRADING_ENGINE, StrategiesAssigned({}))
        if self._leases is not None:
            held = dict(self._leases.held)
        else:
            accounts = self._links.host.session.plan.universe.accounts
            held = {a.name: 0 for a in accounts if a.strategy != MANUAL}
        self._links.host.send(TRADING_ENGINE, StrategiesAssigned(held))

    def on_fenced(self, fences: Mapping[str, int]) -> None:
        """Give up the leases of accounts that another engine owns now."""
        if self._leases is not None:
            for account, fence in fences.items():
                self._leases.refuse(account, fence - 1, fence)

    def on_undelivered(self, peer: str, items: Sequence[OutboundMessage]) -> None:
        """Fail order requests at once if there is no connection to the exchange."""
        if peer != EXCHANGE:
            return
        for item in items:
            message: Any = item.message
            if isinstance(message, PlaceOrder | CancelOrder | ReplaceOrder):
                failed = RequestFailed(
                    TRADING_ENGINE,
                    EXCHANGE,
                    message.account,
                    message.client_order_id,
                    RequestFailure.CONNECTION_RESET,
                    self._links.host.processed_until,
                )
                self._links.host.send(TRADING_ENGINE, failed)
