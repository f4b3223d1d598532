"""A short run, and monitors for it: programs in Python as texts, and classes."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from trading.embedded.api import load_submitted
from trading.embedded.run import RunResult, run_plan
from trading.monitors import Alert, Answer, Event, Kill, Monitor, Price, Resolve
from trading.monitors.program import ProgramMonitor
from trading.scenario.plan import RunPlan

#: Bitcoin falls by 15 % within ten seconds, in a run of a minute.
TEXT = """\
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata: {name: fall}
spec:
  seed: 4
  monitors: [desk]
  steadyState: {for: 10s, within: 5m}
  faults:
    - name: fall
      at: 10s
      duration: 20s
      marketShock: {symbols: [BTCUSDT], change: -15%, over: 10s}
  expect:
    - {alert: price-move, of: fall, within: 10s}
    - {noAlert: venue-down}
  recovery: {within: 5m}
"""

#: The body of a program that answers every step; ``{body}`` handles one decoded line.
PROGRAM = """\
import json, sys, time
first = {{}}
fired = False
def say(**line):
    print(json.dumps(line), flush=True)
for text in sys.stdin:
    line = json.loads(text)
{body}
    if "now" in line:
        say(done=line["now"])
"""

#: Fires when Bitcoin has fallen by 5 % from its first price.
NOTICING = """\
    if line.get("asset") == "BTC" and line["price"] is not None:
        price = float(line["price"])
        first.setdefault("BTC", price)
        if price < 0.95 * first["BTC"] and not fired:
            fired = True
            say(alert="price-move", labels={"subject": "BTC"}, observed=f"{price:.2f}")
"""


def plan(text: str = TEXT, **replacements: str) -> RunPlan:
    """Return the plan of the short run; ``replacements`` are replaced in its text."""
    for old, new in replacements.items():
        assert old in text
        text = text.replace(old, new)
    return load_submitted(text).plan


def write_program(path: Path, body: str = "    pass\n") -> list[str]:
    """Write a program to ``path``, and return the command that runs it."""
    path.write_text(PROGRAM.replace("{{}}", "{}").replace("{body}", body))
    return [sys.executable, str(path)]


def judged(command: Sequence[str], text: str = TEXT, timeout: float = 30.0) -> RunResult:
    """Run the short scenario with a program as its monitor ``desk``."""
    return run_plan(plan(text), monitors={"desk": lambda: ProgramMonitor(command, timeout)})


def judged_class(create: type[Monitor], text: str = TEXT) -> RunResult:
    """Run the short scenario with a class as its monitor ``desk``."""
    return run_plan(plan(text), monitors={"desk": create})


class Noticing:
    """Fires when Bitcoin has fallen by 5 % from its first price."""

    def __init__(self) -> None:
        self._fired = False
        self._opening = 0.0

    def on(self, events: Sequence[Event], now: int) -> Iterable[Answer]:
        """Return an alert at the first price that is too low."""
        for event in events:
            if isinstance(event, Price) and event.asset == "BTC" and event.price is not None:
                price = float(event.price)
                self._opening = self._opening or price
                if price < 0.95 * self._opening and not self._fired:
                    self._fired = True
                    yield Alert(name="price-move", labels={"subject": "BTC"}, observed=f"{price}")


class Silent:
    """Says nothing."""

    def on(self, events: Sequence[Event], now: int) -> Iterable[Answer]:
        """Return nothing."""
        return ()


class Lying:
    """Fires every alert at every step, so that one of them is always new."""

    def __init__(self) -> None:
        self._raised = False

    def on(self, events: Sequence[Event], now: int) -> Iterable[Answer]:
        """Raise and resolve the expected alert in turn."""
        self._raised = not self._raised
        labels = {"subject": "BTC"}
        if self._raised:
            return [Alert(name="price-move", labels=labels)]
        return [Resolve(name="price-move", labels=labels)]


class Killing(Noticing):
    """Stops trading when it notices the fall."""

    def on(self, events: Sequence[Event], now: int) -> Iterable[Answer]:
        """Return a request to stop after the alert."""
        for answer in super().on(events, now):
            yield answer
            yield Kill(reason="Bitcoin falls")
