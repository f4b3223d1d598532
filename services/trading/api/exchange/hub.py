"""Distributes events to WebSocket clients. The hub keeps who is subscribed to which stream. Trades
and execution reports are sent as soon as they are durable; books and tickers in rounds of a tenth
of a second. Each event is encoded once, however many clients get it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from trading.api.exchange import events, formats
from trading.api.exchange.depth import DepthAccumulator, DepthUpdate
from trading.api.exchange.formats import JSON, microseconds, stamp
from trading.api.exchange.gateway import Gateway
from trading.api.exchange.market import Market
from trading.api.exchange.tickers import Tickers
from trading.api.exchange.timed import TimedStreams
from trading.exchange.outage import FULL_OUTAGE_MODES
from trading.hosting.host import Host
from trading.hosting.live_session import PublishedMessage
from trading.messages.orders import ExecutionReport, ExecutionType, Trade

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode

#: Messages that may be queued for a connection before it is dropped as too slow.
BACKLOG = 4096
#: Wall seconds between two rounds, and rounds in a second.
ROUND_SECONDS = 0.1
_ROUNDS_PER_SECOND = round(1 / ROUND_SECONDS)
#: Depth streams that are sent in every round, and once in a second.
_FAST_DEPTH, _SLOW_DEPTH = ("depth@100ms",), ("depth", "depth@1000ms")
#: Streams that are sent when something changes; all others are sent by time.
_EVENT_STREAMS = ("trade", "aggTrade", "bookTicker", *_FAST_DEPTH, *_SLOW_DEPTH)


class Connection:
    """A WebSocket client and what it is subscribed to.

    With `combined` each market event is wrapped together with its stream's name, with `micro` times
    are in microseconds, and with `api` the connection speaks the WebSocket API. `queue` holds
    encoded messages that have yet to be sent; None in it closes the connection with `close_code`.
    `accounts` holds the account of each subscription to user data, by its number.
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

    def enqueue(self, message: bytes | None) -> None:
        """Queue a message, or None to close the connection. If the queue is full the connection is
        marked as dropped instead.
        """
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.dropped = True

    def drop(self, code: int) -> None:
        """Discard what is queued and close the connection with the WebSocket close code `code`."""
        self.close_code = code
        while not self.queue.empty():
            self.queue.get_nowait()
        self.enqueue(None)


class Hub:
    """Keeps all connections and their subscriptions, and sends them events. The task that does the
    rounds runs while there is any connection.
    """

    def __init__(self, host: Host, gateway: Gateway, market: Market, tickers: Tickers) -> None:
        self._host = host
        self._gateway = gateway
        self._market = market
        self._tickers = tickers
        self._timed = TimedStreams(tickers)
        self._connections: dict[Connection, None] = {}
        self._subscribers: dict[str, dict[Connection, None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._depth_accumulators: dict[str, DepthAccumulator] = {}
        self._last_quotes: dict[str, JSON] = {}
        #: Messages held back while a fault adds latency: event loop time at which they are due,
        #: connection, message.
        self._delayed: deque[tuple[float, Connection, bytes]] = deque()
        market.listen(self._on_depth)
        host.listen(self._on_published)
        host.on_session(self._timed.reset)

    def exists(self, stream: str) -> bool:
        """Return whether there is a market stream with this name: `<symbol>@<kind>`, or one of all
        symbols such as `!ticker@arr`.
        """
        symbol, _, kind = stream.partition("@")
        if symbol.startswith("!"):
            return self._timed.exists_for_all(stream)
        if not symbol.islower() or symbol.upper() not in self._gateway.exchange.engine.instruments:
            return False
        return kind in _EVENT_STREAMS or self._timed.exists(symbol, kind)

    def subscribe(self, connection: Connection, stream: str) -> None:
        """Send the events of `stream`, which must exist, to `connection` from now on."""
        connection.streams[stream] = None
        self._subscribers.setdefault(stream, {})[connection] = None

    def unsubscribe(self, connection: Connection, stream: str) -> None:
        """End a subscription; do nothing if there is none."""
        connection.streams.pop(stream, None)
        subscribers = self._subscribers.get(stream, {})
        subscribers.pop(connection, None)
        if not subscribers:
            self._subscribers.pop(stream, None)

    def connect(self, connection: Connection) -> None:
        """Add a connection and start the rounds if they are not running."""
        self._connections[connection] = None
        if self._task is None or self._task.done():
            self._task = self._host.tasks.start("the streams", self._run(), vital=True)

    def disconnect(self, connection: Connection) -> None:
        """Remove a connection with its subscriptions; without any connection the rounds end."""
        del self._connections[connection]
        for stream in list(connection.streams):
            self.unsubscribe(connection, stream)
        if not self._connections and self._task is not None:
            self._task.cancel()

    def end_subscription(self, connection: Connection, subscription: int) -> None:
        """End a subscription to user data and send the client an event that says so."""
        if connection.accounts.pop(subscription, None) is not None:
            at = self._host.processed_until
            self._send_user_event(
                connection, subscription, lambda: {"e": "eventStreamTerminated", "E": stamp(at)}
            )

    def close(self) -> None:
        """Announce to all clients that the service shuts down, and close their connections."""
        at = self._host.processed_until
        for connection in self._connections:
            event = {"e": "serverShutdown", "E": _in_time_unit(connection, lambda: stamp(at))}
            connection.enqueue(_encode({"event": event} if connection.api else event))
            connection.enqueue(None)

    async def _run(self) -> None:
        rounds = 0
        loop = asyncio.get_running_loop()
        while True:
            modes = self._gateway.exchange.outage_modes
            if "reset" in modes:
                for connection in list(self._connections):
                    connection.drop(1012)
            if FULL_OUTAGE_MODES.isdisjoint(modes):
                try:
                    self._round(rounds % _ROUNDS_PER_SECOND == 0)
                except Exception:
                    log.exception("a round of stream events failed")
            while self._delayed and self._delayed[0][0] <= loop.time():
                _, connection, message = self._delayed.popleft()
                connection.enqueue(message)
            for connection in [c for c in self._connections if c.dropped]:
                connection.drop(1008)
            rounds += 1
            await asyncio.sleep(ROUND_SECONDS)

    def _round(self, is_full_second: bool) -> None:
        """Send what this round is due. `is_full_second`: streams that are sent once in a second are
        due, too.
        """
        streams = list(self._subscribers)
        for symbol in {s.partition("@")[0].upper() for s in streams if s[0] != "!"}:
            self._market.refresh(symbol)
            self._publish_book_ticker(symbol)
        if is_full_second:
            for symbol, accumulator in self._depth_accumulators.items():
                if (update := accumulator.flush(symbol)) is not None:
                    self._publish_depth(update, _SLOW_DEPTH)
        for stream in streams:
            if stream.partition("@")[2] not in _EVENT_STREAMS:
                for make_event in self._timed.due(stream, is_full_second):
                    self._publish(stream, make_event)

    def _publish(
        self, stream: str, make_event: Callable[[], Any], *, already_delayed: bool = False
    ) -> None:
        """Send the event that `make_event` returns to all subscribers of `stream`. While a fault
        adds latency the event is held back, unless `already_delayed` says that the venue did that
        itself.
        """
        subscribers = self._subscribers.get(stream)
        if not subscribers:
            return
        delay = 0.0 if already_delayed else self._gateway.delay
        due = asyncio.get_running_loop().time() + delay
        encoded: dict[bool, bytes] = {}
        for connection in subscribers:
            message = encoded.get(connection.micro)
            if message is None:
                message = _in_time_unit(connection, lambda: _encode(make_event()))
                encoded[connection.micro] = message
            if connection.combined:
                message = b'{"stream":%s,"data":%s}' % (_encode(stream), message)
            if already_delayed or not (delay or self._delayed):
                connection.enqueue(message)
            else:
                self._delayed.append((due, connection, message))

    def _on_depth(self, update: DepthUpdate) -> None:
        self._publish_depth(update, _FAST_DEPTH)
        self._depth_accumulators.setdefault(update.symbol, DepthAccumulator()).add(update)

    def _publish_depth(self, update: DepthUpdate, names: Sequence[str]) -> None:
        at = self._host.processed_until
        for name in names:
            self._publish(f"{update.symbol.lower()}@{name}", lambda: events.depth(update, at))

    def _publish_book_ticker(self, symbol: str) -> None:
        quote = self._tickers.quote(symbol)
        if self._last_quotes.get(symbol) != quote:
            self._last_quotes[symbol] = quote
            update_id = self._market.books[symbol].update_id
            stream = f"{symbol.lower()}@bookTicker"
            self._publish(stream, lambda: events.book_ticker(quote, update_id))

    def _on_published(self, published: Sequence[PublishedMessage]) -> None:
        if not self._connections:
            return
        for message, _ in published:
            if isinstance(message, Trade):
                self._on_trade(message)
            elif isinstance(message, ExecutionReport):
                self._on_report(message)

    def _on_trade(self, trade: Trade) -> None:
        symbol = trade.symbol.lower()
        self._publish(f"{symbol}@trade", lambda: events.trade(trade), already_delayed=True)
        aggregate = f"{symbol}@aggTrade"
        self._publish(aggregate, lambda: events.aggregate_trade(trade), already_delayed=True)

    def _on_report(self, report: ExecutionReport) -> None:
        # A rejected order is reported only in the answer to the request, as on Binance.
        if report.execution_type is ExecutionType.REJECTED:
            return
        for connection in self._connections:
            for subscription, account in connection.accounts.items():
                if account == report.account:
                    self._send_user_event(
                        connection, subscription, lambda: self._execution_event(report)
                    )
                    self._send_user_event(
                        connection, subscription, lambda: self._position_event(report)
                    )

    def _send_user_event(
        self, connection: Connection, subscription: int, make_event: Callable[[], JSON]
    ) -> None:
        event = _in_time_unit(connection, make_event)
        connection.enqueue(_encode({"subscriptionId": subscription, "event": event}))

    def _execution_event(self, report: ExecutionReport) -> JSON:
        order = self._gateway.history.order(report.account, report.order_id, "")
        return formats.execution_report(report, order.since if order else report.event_time)

    def _position_event(self, report: ExecutionReport) -> JSON:
        engine = self._gateway.exchange.engine
        balances = engine.balances[report.account]
        instrument = engine.instruments[report.symbol]
        assets = (instrument.base, instrument.quote)
        return events.account_position(
            report, [(a, balances.free.get(a, 0), balances.locked.get(a, 0)) for a in assets]
        )


def _in_time_unit(connection: Connection, make_event: Callable[[], Any]) -> Any:
    """Call `make_event` with times formatted in the unit that the client of
    `connection` asked for.
    """
    if not connection.micro:
        return make_event()
    token = microseconds.set(True)
    try:
        return make_event()
    finally:
        microseconds.reset(token)
