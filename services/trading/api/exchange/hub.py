"""Who follows which stream, and what each of them is told."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from trading.api.exchange import events, formats
from trading.api.exchange.depth import DepthUpdate, Gathered
from trading.api.exchange.formats import JSON, microseconds, stamp
from trading.api.exchange.gateway import Gateway
from trading.api.exchange.market import Market
from trading.api.exchange.tickers import Tickers
from trading.api.exchange.timed import Timed
from trading.exchange.outage import DARK
from trading.hosting.host import Host
from trading.hosting.live import Published
from trading.messages.orders import ExecutionReport, Trade

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode

#: Messages that one connection may be behind before it is dropped.
BACKLOG = 4096
#: Wall seconds between two rounds, and rounds in a second.
EVERY = 0.1
_PER_SECOND = round(1 / EVERY)
_FAST, _SLOW = ("depth@100ms",), ("depth", "depth@1000ms")
_AT_ONCE = ("trade", "aggTrade", "bookTicker", *_FAST, *_SLOW)


class Connection:
    """One WebSocket: ``queue`` holds what it has yet to be sent, None to close it. ``micro``: its
    times are in microseconds. ``api``: it speaks the WebSocket API. ``accounts``: by subscription.
    """

    def __init__(self, *, combined: bool = False, micro: bool = False, api: bool = False) -> None:
        self.combined = combined
        self.micro = micro
        self.api = api
        self.rate_limits = True
        self.streams: dict[str, None] = {}
        self.accounts: dict[int, str] = {}
        self.subscriptions = 0
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(BACKLOG)
        self.close_code = 1001
        self.dropped = False

    def put(self, message: bytes | None) -> None:
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.dropped = True

    def drop(self, code: int) -> None:
        """Close it now, whatever it has yet to be sent."""
        self.close_code = code
        while not self.queue.empty():
            self.queue.get_nowait()
        self.put(None)


class Hub:
    """Runs while somebody follows something."""

    def __init__(self, host: Host, gateway: Gateway, market: Market, tickers: Tickers) -> None:
        self._host = host
        self._gateway = gateway
        self._market = market
        self._tickers = tickers
        self._timed = Timed(tickers)
        self._connections: dict[Connection, None] = {}
        self._followers: dict[str, dict[Connection, None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._gathered: dict[str, Gathered] = {}
        self._tops: dict[str, JSON] = {}
        #: While the venue is slow: when it is due, for whom, what.
        self._late: deque[tuple[float, Connection, bytes]] = deque()
        market.on_update = self._on_depth
        host.listen(self._hear)
        host.on_session(self._timed.forget)

    def known(self, stream: str) -> bool:
        """Is there such a stream? ``<symbol>@<kind>``, or ``!ticker@arr`` and its like."""
        symbol, _, kind = stream.partition("@")
        if symbol.startswith("!"):
            return self._timed.known_for_all(stream)
        if not symbol.islower() or symbol.upper() not in self._gateway.exchange.engine.instruments:
            return False
        return kind in _AT_ONCE or self._timed.known(symbol, kind)

    def follow(self, connection: Connection, stream: str) -> None:
        connection.streams[stream] = None
        self._followers.setdefault(stream, {})[connection] = None

    def unfollow(self, connection: Connection, stream: str) -> None:
        connection.streams.pop(stream, None)
        followers = self._followers.get(stream, {})
        followers.pop(connection, None)
        if not followers:
            self._followers.pop(stream, None)

    def join(self, connection: Connection) -> None:
        self._connections[connection] = None
        if self._task is None or self._task.done():
            self._task = self._host.tasks.start("the streams", self._run(), vital=True)

    def leave(self, connection: Connection) -> None:
        del self._connections[connection]
        for stream in list(connection.streams):
            self.unfollow(connection, stream)
        if not self._connections and self._task is not None:
            self._task.cancel()

    def terminate(self, connection: Connection, subscription: int) -> None:
        """End a subscription to user data, and say so on it."""
        if connection.accounts.pop(subscription, None) is not None:
            at = self._host.kernel.now
            self._tell_user(
                connection, subscription, lambda: {"e": "eventStreamTerminated", "E": stamp(at)}
            )

    def close(self) -> None:
        """The service ends: everybody is told."""
        at = self._host.kernel.now
        for connection in self._connections:
            event = {"e": "serverShutdown", "E": _in(connection, lambda: stamp(at))}
            connection.put(_encode({"event": event} if connection.api else event))
            connection.put(None)

    async def _run(self) -> None:
        rounds = 0
        loop = asyncio.get_running_loop()
        while True:
            modes = self._gateway.exchange.outage_modes
            if "reset" in modes:
                for connection in list(self._connections):
                    connection.drop(1012)
            if DARK.isdisjoint(modes):
                try:
                    self._round(rounds % _PER_SECOND == 0)
                except Exception:
                    log.exception("the streams could not be told")
            while self._late and self._late[0][0] <= loop.time():
                _, connection, message = self._late.popleft()
                connection.put(message)
            for connection in [c for c in self._connections if c.dropped]:
                connection.drop(1008)
            rounds += 1
            await asyncio.sleep(EVERY)

    def _round(self, second: bool) -> None:
        streams = list(self._followers)
        for symbol in {s.partition("@")[0].upper() for s in streams if s[0] != "!"}:
            self._market.refresh(symbol)
            self._tell_top(symbol)
        if second:
            for symbol, gathered in self._gathered.items():
                if (update := gathered.take(symbol)) is not None:
                    self._tell_depth(update, _SLOW)
        for stream in streams:
            if stream.partition("@")[2] not in _AT_ONCE:
                for make in self._timed.due(stream, second):
                    self._tell(stream, make)

    def _tell(self, stream: str, make: Callable[[], Any], *, at_once: bool = False) -> None:
        """``at_once``: what the venue itself has delayed already, while it is slow."""
        followers = self._followers.get(stream)
        if not followers:
            return
        delay = 0.0 if at_once else self._gateway.delay
        due = asyncio.get_running_loop().time() + delay
        plain: dict[bool, bytes] = {}
        for connection in followers:
            message = plain.get(connection.micro)
            if message is None:
                message = plain[connection.micro] = _in(connection, lambda: _encode(make()))
            if connection.combined:
                message = b'{"stream":%s,"data":%s}' % (_encode(stream), message)
            if at_once or not (delay or self._late):
                connection.put(message)
            else:
                self._late.append((due, connection, message))

    def _on_depth(self, update: DepthUpdate) -> None:
        self._tell_depth(update, _FAST)
        self._gathered.setdefault(update.symbol, Gathered()).add(update)

    def _tell_depth(self, update: DepthUpdate, names: Sequence[str]) -> None:
        at = self._host.kernel.now
        for name in names:
            self._tell(f"{update.symbol.lower()}@{name}", lambda: events.depth(update, at))

    def _tell_top(self, symbol: str) -> None:
        quote = self._tickers.quote(symbol)
        if self._tops.get(symbol) != quote:
            self._tops[symbol] = quote
            update_id = self._market.books[symbol].update_id
            stream = f"{symbol.lower()}@bookTicker"
            self._tell(stream, lambda: events.book_ticker(quote, update_id))

    def _hear(self, published: Sequence[Published]) -> None:
        if not self._connections:
            return
        for message, _ in published:
            if isinstance(message, Trade):
                self._on_trade(message)
            elif isinstance(message, ExecutionReport):
                self._on_report(message)

    def _on_trade(self, trade: Trade) -> None:
        symbol = trade.symbol.lower()
        self._tell(f"{symbol}@trade", lambda: events.trade(trade), at_once=True)
        self._tell(f"{symbol}@aggTrade", lambda: events.aggregate_trade(trade), at_once=True)

    def _on_report(self, report: ExecutionReport) -> None:
        # An order that was refused was never an order: only who sent it is told.
        if report.execution_type == "REJECTED":
            return
        for connection in self._connections:
            for subscription, account in connection.accounts.items():
                if account == report.account:
                    self._tell_user(connection, subscription, lambda: self._execution(report))
                    self._tell_user(connection, subscription, lambda: self._position(report))

    def _tell_user(
        self, connection: Connection, subscription: int, make: Callable[[], JSON]
    ) -> None:
        event = _in(connection, make)
        connection.put(_encode({"subscriptionId": subscription, "event": event}))

    def _execution(self, report: ExecutionReport) -> JSON:
        known = self._gateway.history.order(report.account, report.order_id, "")
        return formats.execution_report(report, known.since if known else report.event_time)

    def _position(self, report: ExecutionReport) -> JSON:
        engine = self._gateway.exchange.engine
        held = engine.balances[report.account]
        instrument = engine.instruments[report.symbol]
        assets = (instrument.base, instrument.quote)
        return events.account_position(
            report, [(a, held.free.get(a, 0), held.locked.get(a, 0)) for a in assets]
        )


def _in(connection: Connection, make: Callable[[], Any]) -> Any:
    """What ``make`` makes, in the connection's unit of time."""
    if not connection.micro:
        return make()
    token = microseconds.set(True)
    try:
        return make()
    finally:
        microseconds.reset(token)
