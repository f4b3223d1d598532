"""A monitor that learns online what is normal, with river: ADWIN for each stream of numbers.

    trading run market-crash --monitor anomaly=examples.monitors.04_anomaly:Anomaly

Three kinds of streams: the returns of each asset and the spread of each symbol in basis points, and
the requests of each account. ADWIN keeps a window as long as its mean does not change; an alert is
a change of the mean that chance explains less often than `DELTA`. It needs `pip install river`.
"""

from collections.abc import Iterable, Iterator, Sequence

from river.drift import ADWIN

from trading.monitors import Alert, Answer, Book, Event, Execution, Price, Resolve, Start

#: Probability of a false change in one stream, and the ticks before the first alert.
DELTA = 1e-9
WARM_UP = 240
#: Ticks after which an alert ends, if there was no other change.
CALM = 120

Stream = tuple[str, str]


class Anomaly:
    """Raises `unusual-return`, `unusual-spread` and `unusual-requests`."""

    def __init__(self) -> None:
        self._detectors: dict[Stream, ADWIN] = {}
        self._prices: dict[str, float] = {}
        self._latest: dict[str, float] = {}
        self._spreads: dict[str, float] = {}
        self._requests: dict[str, int] = {}
        self._firing: dict[Stream, int] = {}
        self._ticks = self._due = self._tick = 0

    def on(self, events: Sequence[Event], now: int) -> Iterable[Answer]:
        """Take what has arrived, and judge once a tick."""
        for event in events:
            if isinstance(event, Start):
                self._due, self._tick = event.time + event.tick, max(event.tick, 1_000_000)
                self._requests = dict.fromkeys(event.accounts, 0)
            elif isinstance(event, Price) and event.price is not None:
                self._latest[event.asset] = float(event.price)
            elif isinstance(event, Book) and event.bid and event.ask:
                self._spreads[event.symbol] = float(event.ask / event.bid - 1) * 10_000
            elif isinstance(event, Execution) and event.execution_type != "TRADE":
                self._requests[event.account] += 1
        if now >= self._due:
            self._due += self._tick
            self._ticks += 1
            for stream, value in self._values():
                yield from self._judge(stream, value)

    def _values(self) -> Iterator[tuple[Stream, float]]:
        """Yield the last number of each stream, and begin to count anew."""
        for asset, price in self._latest.items():
            if asset in self._prices:
                yield ("unusual-return", asset), (price / self._prices[asset] - 1) * 10_000
        for symbol, spread in self._spreads.items():
            yield ("unusual-spread", symbol), spread
        for account, count in self._requests.items():
            yield ("unusual-requests", account), float(count)
        self._prices.update(self._latest)
        self._requests = dict.fromkeys(self._requests, 0)

    def _judge(self, stream: Stream, value: float) -> Iterator[Answer]:
        detector = self._detectors.setdefault(stream, ADWIN(delta=DELTA, clock=1))
        before = detector.estimation
        detector.update(value)
        name, labels = stream[0], {"subject": stream[1]}
        if detector.drift_detected and self._ticks > WARM_UP:
            if stream not in self._firing:
                observed = f"{value:.2f}, mean so far {before:.2f}"
                yield Alert(name=name, labels=labels, observed=observed)
            self._firing[stream] = self._ticks
        elif self._firing.get(stream, self._ticks) < self._ticks - CALM:
            del self._firing[stream]
            yield Resolve(name=name, labels=labels)
