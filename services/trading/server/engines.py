"""A trading engine among others: its share of the strategies, and what the venue refuses it.

Leases go by the wall clock between runs, and in runs by the wall clock. A virtual run has its own:
see :mod:`trading.server.shared_run`.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from trading.hosting.host import Host
from trading.hosting.leases import StrategyLeases
from trading.hosting.live import Outward
from trading.hosting.settings import Settings
from trading.links.board import Links
from trading.messages import Message
from trading.messages.orders import (
    CancelAllOrders,
    CancelOrder,
    PlaceOrder,
    ReplaceOrder,
    RequestFailed,
)
from trading.messages.strategy import StrategiesAssigned
from trading.server.shared_run import SharedRun
from trading.topology import EXCHANGE, TRADING_ENGINE
from trading.trading_engine import TradingEngine
from trading.universe import MANUAL

_ORDERS = PlaceOrder | CancelOrder | ReplaceOrder | CancelAllOrders


class Engines:
    """With Redis the strategies are shared by leases; without it this engine is alone."""

    def __init__(self, links: Links, settings: Settings, instance: str) -> None:
        self._links = links
        self._url = settings.redis_url
        self._name = f"{socket.gethostname()[:40]}-{os.getpid()}-{instance or '1'}"
        self._leases: StrategyLeases | None = None
        self._task: asyncio.Task[None] | None = None
        #: In a virtual run with several engines, this one among them.
        self._shared: SharedRun | None = None
        self._closing: set[asyncio.Task[None]] = set()
        links.prepare = self._prepare
        links.appointment = self._appointment
        links.undelivered = self._undelivered
        links.connected = self._connected
        links.fenced = self._fenced

    def problems(self) -> dict[str, str]:
        """What is wrong with Redis; nothing where there is none."""
        if self._leases is None:
            return {}
        waits = self._shared.problem if self._shared is not None else ""
        return {"redis": self._leases.problem or waits}

    def send(self, items: Sequence[Outward]) -> None:
        """To the links, without orders that were decided under a lease that is another by now."""
        if self._leases is not None:
            held = self._leases.held
            engine: TradingEngine = self._links.host.component(TRADING_ENGINE)
            fences = engine.fences

            def stale(message: Any) -> bool:
                ordered = isinstance(message, _ORDERS)
                return ordered and held.get(message.account) != fences.get(message.account)

            items = [item for item in items if not stale(item.message)]
        self._links.send(items)

    async def start(self, host: Host) -> None:
        host.on_session(self._begun)
        self._begun()
        if self._url is not None:
            accounts = [a for a in host.session.plan.universe.accounts if a.strategy != MANUAL]
            self._leases = StrategyLeases(
                self._url.get_secret_value(),
                self._name,
                [a.name for a in accounts],
                self._changed,
            )
            # Nothing is traded before it is leased.
            self._assign()
            self._task = host.tasks.start("the strategy leases", self._leases.run(), vital=True)

    async def stop(self) -> None:
        if self._leases is not None:
            await self._leases.release()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._end_shared()
        await asyncio.gather(*self._closing)

    def _begun(self) -> None:
        """A session has begun, or is gone on with."""
        self._end_shared()
        host, virtual = self._links.host, self._links.virtual
        if virtual is not None and self._links.name in virtual.participants:
            engines = [s for s in virtual.participants.values() if s == TRADING_ENGINE]
            if len(engines) > 1 and self._url is not None:
                url = self._url.get_secret_value()
                self._shared = SharedRun(host, self._links.name, url)
            elif len(engines) > 1:
                virtual.follower.problem = "several trading engines share a run by REDIS_URL"
        self._assign()

    def _end_shared(self) -> None:
        shared, self._shared = self._shared, None
        if shared is not None:
            task = self._links.host.tasks.start("the end of a shared run", shared.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _prepare(self, due: int) -> Awaitable[Sequence[Message]] | None:
        return self._shared.prepare(due) if self._shared is not None else None

    def _appointment(self) -> int | None:
        return self._shared.appointment() if self._shared is not None else None

    def _changed(self, held: Mapping[str, int]) -> None:
        """The exchange hears of it before the first order."""
        self._links.claim(held)
        if self._links.host.virtual:
            # Its leases are others, or none.
            return
        self._links.host.send(TRADING_ENGINE, StrategiesAssigned(dict(held)))

    def _assign(self) -> None:
        """A fresh component trades for every account until it is told."""
        if self._leases is not None and not self._links.host.virtual:
            self._changed(self._leases.held)

    def _connected(self, peer: str) -> None:
        """What became of the orders that were under way is not known: start from nothing."""
        if peer != EXCHANGE:
            return
        self._links.host.send(TRADING_ENGINE, StrategiesAssigned({}))
        if self._leases is not None:
            held = dict(self._leases.held)
        else:
            accounts = self._links.host.session.plan.universe.accounts
            held = {a.name: 0 for a in accounts if a.strategy != MANUAL}
        self._links.host.send(TRADING_ENGINE, StrategiesAssigned(held))

    def _fenced(self, refused: Mapping[str, int]) -> None:
        if self._leases is not None:
            for account, fence in refused.items():
                self._leases.refuse(account, fence - 1, fence)

    def _undelivered(self, peer: str, items: Sequence[Outward]) -> None:
        """No connection to the venue: an order fails at once, as on any client."""
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
                    "CONNECTION_RESET",
                    self._links.host.kernel.now,
                )
                self._links.host.send(TRADING_ENGINE, failed)
