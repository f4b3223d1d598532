"""Hosts the user's monitors beside the built-in risk monitor of an embedded run, in lockstep.

They see what the risk monitor receives, at the same simulated time, and the public trades. So a
partition between the risk monitor and a venue makes them blind, too. Their answers reach the test
coordinator and the risk monitor from outside, which is how the journals have them.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from trading.messages import Message, Wake
from trading.messages.monitors import MonitorAlert, MonitorFailed
from trading.messages.orders import Trade
from trading.messages.risk import BreakerState, TripBreaker
from trading.monitors import Alert, Answer, Event, Kill, Monitor, MonitorError, Resolve
from trading.monitors.answers import problem
from trading.monitors.monitor import brief
from trading.monitors.program import ProgramMonitor
from trading.monitors.translation import Translator, start_event
from trading.runtime.delivery import InboxObserver, Tap
from trading.runtime.kernel import Kernel
from trading.runtime.routes import MessageType
from trading.scenario.plan import RunPlan
from trading.topology import EXCHANGE, RISK_MONITOR, TEST_COORDINATOR
from trading.units import MILLISECOND

_encode = msgspec.json.Encoder(order="deterministic").encode

#: Creates a monitor for one run. Raises MonitorError if it cannot be started.
MonitorFactory = Callable[[], Monitor]


class FiringAlerts:
    """Which alerts fire: one that is repeated while it fires is no new alert."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, str, str]] = set()

    def changed_by(self, monitor: str, answer: Alert | Resolve) -> bool:
        """Return whether an answer of ``monitor`` raises an alert that did not fire, or resolves
        one that did.
        """
        key = (monitor, answer.name, _encode(answer.labels).decode())
        if isinstance(answer, Alert) == (key in self._keys):
            return False
        self._keys.symmetric_difference_update((key,))
        return True


class MonitorHost:
    """Lets ``monitors``, by their names, take part in the run of ``plan`` on ``kernel``."""

    def __init__(self, plan: RunPlan, monitors: Mapping[str, Monitor]) -> None:
        self._monitors = dict(monitors)
        self._translator = Translator(plan.universe.firm_accounts)
        self._events: list[Event] = []
        self._due = False
        self._starts = {
            name: start_event(name, plan.universe, plan.tick, plan.start) for name in monitors
        }
        self._firing = FiringAlerts()
        #: Public trades on their way, with the simulated time at which they arrive.
        self._trades: list[tuple[int, Trade]] = []

    def attach(
        self, taps: Mapping[MessageType, Tap]
    ) -> tuple[dict[MessageType, Tap], dict[str, InboxObserver]]:
        """Return the taps and observers of a kernel on which the monitors take part; ``taps`` are
        those of others.
        """
        if not self._monitors:
            return dict(taps), {}
        return {**taps, Trade: self.on_trade}, {RISK_MONITOR: self.observe}

    def observe(self, messages: Iterable[Message], now: int) -> None:
        """Note what the risk monitor receives at ``now``. Its timer wakes the monitors, too: who
        watches for silence has to be asked when nothing arrives.
        """
        for message in messages:
            event = self._translator.event(message)
            if event is not None:
                self._events.append(event)
            elif isinstance(message, Wake):
                self._due = True

    def on_trade(self, trade: Trade, now: int) -> None:
        """Note a trade, which reaches the monitors a message's latency later."""
        self._trades.append((now + MILLISECOND, trade))

    def step(self, kernel: Kernel) -> None:
        """Hand the monitors what has arrived at this instant, and send what they answer."""
        now = kernel.now
        if self._trades:
            self._take_trades(kernel)
        events = self._events
        if not events and not self._due:
            return
        self._events, self._due = [], False
        for name, monitor in list(self._monitors.items()):
            start = self._starts.pop(name, None)
            seen = [start, *events] if start is not None else events
            try:
                answers = list(monitor.on(seen, now))
                wrong = next((text for answer in answers if (text := problem(answer))), "")
                if wrong:
                    raise MonitorError(f"gave a wrong answer: {wrong}")
            except MonitorError as error:
                self._give_up(kernel, name, str(error))
                continue
            except Exception as error:  # The class of a user may raise anything.
                self._give_up(kernel, name, f"raised {brief(error)}")
                continue
            for answer in answers:
                self._send(kernel, name, answer)

    def _take_trades(self, kernel: Kernel) -> None:
        """Turn the trades that have arrived into events; a partition drops them."""
        arrived = [trade for at, trade in self._trades if at <= kernel.now]
        if arrived:
            self._trades = [item for item in self._trades if item[0] > kernel.now]
            if (EXCHANGE, RISK_MONITOR) not in kernel.network.cut:
                self.observe(arrived, kernel.now)

    def _give_up(self, kernel: Kernel, name: str, why: str) -> None:
        del self._monitors[name]
        message = MonitorFailed(name, why, kernel.now)
        kernel.send(TEST_COORDINATOR, message, kernel.now + MILLISECOND)

    def _send(self, kernel: Kernel, name: str, answer: Answer) -> None:
        arrival = kernel.now + MILLISECOND
        if isinstance(answer, Kill):
            trip = TripBreaker(BreakerState.HALTED, answer.reason, f"monitor {name}")
            kernel.send(RISK_MONITOR, trip, arrival)
            return
        if self._firing.changed_by(name, answer):
            kernel.send(TEST_COORDINATOR, monitor_alert(name, answer, kernel.now), arrival)


@contextlib.contextmanager
def hosted(plan: RunPlan, factories: Mapping[str, MonitorFactory]) -> Iterator[MonitorHost]:
    """Create the monitors, and end their programs afterwards. Raises MonitorError if one cannot be
    started.
    """
    with contextlib.ExitStack() as stack:
        monitors = {}
        for name, create in factories.items():
            monitors[name] = monitor = create()
            if isinstance(monitor, ProgramMonitor):
                stack.callback(monitor.close)
        yield MonitorHost(plan, monitors)


def monitor_alert(name: str, answer: Alert | Resolve, now: int) -> MonitorAlert:
    """Return the message about an alert that the monitor ``name`` raised or resolved at ``now``."""
    fires = isinstance(answer, Alert)
    return MonitorAlert(
        monitor=name,
        name=answer.name,
        labels=dict(sorted(answer.labels.items())),
        observed=answer.observed if isinstance(answer, Alert) else "",
        claimed_time=(answer.time or now) if isinstance(answer, Alert) else now,
        resolved=not fires,
        payload=_encode(answer).decode(),
    )
