"""Generate docs/reference/monitor-protocol.md from the events and answers of monitors, from a short
run, and from programs that break the protocol.
"""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from tools.reference.markdown import FOLDER, block, code, plain, table
from trading.embedded import tape
from trading.embedded.api import load_submitted
from trading.embedded.run import run_plan
from trading.monitors import Alert, Answer, Event, Kill, MonitorError, Resolve, answers, events
from trading.monitors.answers import MAX_LABELS, MAX_NAME, MAX_TEXT
from trading.monitors.lines import EVENTS, encode_step
from trading.monitors.monitor import Monitor
from trading.monitors.program import MAX_ANSWERS, MAX_LINE, ProgramMonitor
from trading.monitors.sources import STEP_TIMEOUT

#: What an event may have in a list.
PARTS: tuple[type[msgspec.Struct], ...] = (
    events.Symbol,
    events.Holding,
    events.CustodyHolding,
    events.Overdue,
)
ANSWERS: dict[type[msgspec.Struct], str] = {Alert: "alert", Resolve: "resolve", Kill: "kill"}
_WORDS = {
    str: "text",
    int: "whole number",
    bool: "true or false",
    Decimal: "decimal number",
}

#: A run in which every event occurs: a symbol is halted, and an account is stopped.
_SCENARIO = """
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata: {name: every-event}
spec:
  monitors: [desk]
  steadyState: {for: 10s, within: 5m}
  faults:
    - {name: halt, at: 10s, duration: 10s, exchangeOutage: {mode: halt, symbols: [BTCUSDT]}}
    - name: router
      at: 10s
      duration: 10s
      strategyMalfunction: {strategy: index-rebalancing, mode: runaway-repeat, rate: 60}
    - {name: unsettled, at: 10s, duration: 3m, settlementFailure: {mode: stuck}}
  settlement: {cycle: 1m}
  expect: [{alert: '*', of: halt, within: 1m}]
  recovery: {within: 5m}
"""
#: Items to which the lists of an example are cut.
_ITEMS = 2


class Breach(NamedTuple):
    """A way to break the protocol, and the shell script that does it."""

    what: str
    script: str


BREACHES = (
    Breach("It ends.", "exit 3"),
    Breach("It ends with an error.", "echo 'no such model' >&2; exit 1"),
    Breach("It does not answer (here with `--monitor-timeout 0.2`).", "cat >/dev/null"),
    Breach("It prints something else.", "echo hello; cat >/dev/null"),
    Breach("It misspells a field.", """echo '{"alrt": "drawdown"}'; cat >/dev/null"""),
    Breach("It answers another step.", """echo '{"done": 1}'; cat >/dev/null"""),
    Breach("It asks for an unknown event.", """echo '{"events": ["prices"]}'; cat >/dev/null"""),
    Breach("Its line has no end.", "head -c 99999 /dev/zero | tr '\\0' x; cat >/dev/null"),
)

_HEAD = f"""# Monitor protocol

This page is generated from `trading.monitors`. It is version {events.PROTOCOL} of the protocol; the
version changes when an event or an answer changes its meaning. The guide
[Bring your own monitor](../guides/own-monitor.md) shows how to use it.

A monitor is given with `trading run SCENARIO --monitor [NAME=]WHAT`:

| `WHAT` | what it is |
|---|---|
| `exec:COMMAND` | a program in any language: lines of JSON on its standard input and output |
| `module:Class` | a class in Python, in the same process; the working directory is searched, too |

## Time

A monitor runs in lockstep with virtual time: time stands still until it has answered. It gets
everything that has arrived at one instant in one step. A step without anything comes once a second
(or once a tick of the market, if that is longer), so that silence can be noticed. All times are
whole numbers, in microseconds since 1970. Use the time of the step as the clock; a wall clock would
make the answers depend on the machine.

## A step

Each event is one line, with its type in `event`. A line with `now`, the time of the step, ends the
step. Then the program answers: any number of answers, and `done` with the same time. It must flush
its output. At the end of the run its standard input is closed; it then has two seconds to end.
"""

_ANSWERS = f"""
## Answers

An alert with a name and labels fires once, until it is resolved: repeating it changes nothing. The
label `subject` says what is concerned, such as an asset or an account; a scenario can ask for it. A
label `severity` is shown in reports.

| limit | |
|---|---|
| length of a name, or of the name of a label | {MAX_NAME} characters |
| length of any other text | {MAX_TEXT} characters |
| labels of an alert | {MAX_LABELS} |
| answers to a step | {MAX_ANSWERS} |
| bytes of a line | {MAX_LINE} |
| wall seconds for a step (`--monitor-timeout`) | {STEP_TIMEOUT:g} |
"""

_FILTER = """
## Only some events

Before its first `done` a program may say which events it wants. An instant without any of them is
then no step, except once a second. `start` comes in any case. This makes a run much faster: most
lines are books, trades and executions.
"""

_BREACHES = """
## When a program breaks

A program that breaks the protocol is stopped, and the run goes on without it. The verdict is
Inconclusive, with `monitor NAME:` and one of these messages in `reasons`; a monitor that broke has
not shown that it misses anything. The same holds for the control run. Its standard error is
not part of the protocol; the last line of it is in the message.
"""

_PYTHON = """
## In Python

A class has one method. It is created once for each run (and once for the control run), without
arguments. The events and answers are the classes of `trading.monitors`, with the fields of this
page; decimal numbers are `decimal.Decimal`. An error that it raises makes the run Inconclusive.

"""

_IMPORTS = """
from collections.abc import Iterable, Sequence
from typing import Protocol

from trading.monitors import Answer, Event


"""

_TAPE = f"""
## Tape and score

`trading tape SCENARIO --out DIR` writes what a monitor would have seen, for monitors that cannot
run in lockstep:

| file | what is in it |
|---|---|
| `{tape.EVENTS}` | the steps of the run, as a program reads them |
| `{tape.QUIET}` | the steps of the same market without the faults, for the control run |
| `{tape.CONTENTS}` | scenario, versions, and the SHA-256 of all other files |
| `{tape.FAULTS}` | what was injected, and when; not for the monitor |
| `{tape.PLAN}` | the plan, for `trading score` |

`trading score DIR ALERTS` judges a file of answers in the same lines. An answer arrives at the time
of the next `done`; without one, at the alert's own `time`. Times must not go back. With
`--quiet-alerts FILE`, what the monitor says about `{tape.QUIET}` is no detection. The score is
*open loop*: `kill` has no effect, since the tape was written before.
"""


def texts() -> dict[Path, str]:
    """Return the text of each page, by its path within the project."""
    return {FOLDER / "monitor-protocol.md": "".join(_page())}


def _page() -> Iterator[str]:
    seen = record()
    first = {kind: next(e for e in seen if type(e) is kind) for kind in EVENTS.values()}
    pong = first[events.Pong]
    yield _HEAD
    time = getattr(pong, "time", 0) + 1000
    alert = '{"alert": "venue-slow", "labels": {"subject": "exchange"}, "observed": "2.5 s"}'
    yield "\nIt reads:\n\n" + block(encode_step([pong], time).decode())
    yield "\nIt answers, for example:\n\n" + block(f'{alert}\n{{"done": {time}}}')
    yield _ANSWERS
    for kind, name in ANSWERS.items():
        yield f"\n### {code(name)}\n\n{_meaning(kind)}\n\n" + _fields(kind, renamed=name)
    yield _FILTER + "\n" + block('{"events": ["price", "account", "pong"]}')
    yield "\n## Events\n\n" + _meaning(events) + " Lists in the examples are cut to"
    yield f" {_ITEMS} items. Zero is written `0`.\n"
    for name, event in EVENTS.items():
        yield f"\n### {code(name)}\n\n{_meaning(event)}\n\n" + _fields(event)
        yield "\n" + block(_line(first[event]), "json")
    yield "\n## Parts of events\n"
    for part in PARTS:
        yield f"\n### {code(part.__name__)}\n\n{_meaning(part)}\n\n" + _fields(part)
    yield _BREACHES + "\n"
    yield table(
        ("what happens", "message"), ((plain(b.what), _quoted(message(b))) for b in BREACHES)
    )
    source = inspect.getsource(Monitor)
    yield _PYTHON + block(_IMPORTS + source, "python")
    yield _TAPE


def record() -> list[Event]:
    """Run a scenario in which every event occurs; return what a monitor sees in it."""
    seen: list[Event] = []

    class Recording:
        def on(self, arrived: Sequence[Event], now: int) -> Iterable[Answer]:
            seen.extend(arrived)
            return ()

    run_plan(load_submitted(_SCENARIO).plan, control=False, monitors={"desk": Recording})
    return seen


def message(breach: Breach) -> str:
    """Return what the verdict says of a program that does this. Raises ValueError if it says
    nothing.
    """
    monitor = ProgramMonitor(["sh", "-c", breach.script], 0.2 if "0.2" in breach.what else 60)
    try:
        monitor.on([], 1_000_000)
    except MonitorError as error:
        return str(error)
    finally:
        monitor.close()
    raise ValueError(f"the protocol allows this: {breach.what}")


def _quoted(text: str) -> str:
    """Return a text as code, also if it has backticks in it."""
    return f"`` {text} ``" if "`" in text else code(text)


def _meaning(described: Any) -> str:
    """Return the docstring of a class or module as a paragraph."""
    return plain((inspect.getdoc(described) or "").replace("``", "`"))


def _fields(struct: type[msgspec.Struct], renamed: str = "") -> str:
    """Return the table of the fields; in a line, the first field of an answer has the name
    `renamed`.
    """
    rows = []
    for field, (name, hint) in zip(
        msgspec.structs.fields(struct), get_type_hints(struct).items(), strict=True
    ):
        in_line = renamed if renamed and field.required else name
        rows.append((code(in_line), type_of(hint), "yes" if field.required else "no"))
    if not renamed:
        return table(("field", "type"), (row[:2] for row in rows))
    return table(("field", "type", "required"), rows)


def type_of(hint: Any) -> str:
    """Describe in words the type of a field. Raises KeyError for an unknown type."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return f"{type_of(next(m for m in inner if m is not NoneType))}, or null"
    if origin is tuple:
        return f"list of {type_of(inner[0])}"
    if origin is dict:
        return f"map to {type_of(inner[1])}"
    if hint in PARTS:
        return code(hint.__name__)
    return _WORDS[hint]


def _line(event: Event) -> str:
    """Return an event as its line of JSON, with its lists cut."""
    fields = {
        name: value[:_ITEMS] if isinstance(value, list | tuple) else value
        for name, value in msgspec.to_builtins(event).items()
    }
    return msgspec.json.encode(fields).decode()


#: What the page is about; the tests compare it with the code.
DOCUMENTED = {*EVENTS.values(), *PARTS, *ANSWERS}
MODULES = (events, answers)
