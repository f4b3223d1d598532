"""Text from scenarios and services can neither control the terminal nor forge its output."""

import io
import re

import pytest
from msgspec.structs import replace
from rich.console import Console

from tests.trading_operator.making import verdict
from trading.messages.audit import Discrepancy, DiscrepancyKind
from trading.report.terminal import LiveProgress, print_heading, print_verdict
from trading.scenario.result import Outcome, Verdict
from trading.units import on_one_line, printable

TITLE = "\x1b]0;owned\x07"
HOSTILE = [
    "[/foo]",
    "[bold red]Pass[/]",
    "[link=file:///etc/passwd]here[/link]",
    f"{TITLE}text",
    "\x1b[2J\x1b[HPass",
    "\x9b31mPass",
    "text\nPass  market-crash",
    "text\rPass  market-crash",
    "\u202egnihton",
    "back\\",
    "\ud800",
    ":smile:",
]


def hostile(text: str) -> Verdict:
    """Return a failed verdict with ``text`` in all of its texts."""
    failed = verdict(Outcome.FAIL)
    wrong = Discrepancy(kind=DiscrepancyKind.CASH, where=text, expected=1, actual=2, detail=text)
    return replace(
        failed,
        scenario=text,
        description=text,
        reasons=(text,),
        expectations=tuple(
            replace(e, label=text, reason=text, subject=text, observed=text, limit=text)
            for e in failed.expectations
        ),
        recovery=replace(failed.recovery, recovered=False, reason=text),
        audit=replace(failed.audit, discrepancies=(wrong,)),
    )


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_in_a_text_is_obeyed(text: str, terminal: bool) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=500, highlight=False)
    print_heading(text, 7, text, console)
    with LiveProgress(console, start=0) as progress:
        progress.phase(text, 1)
        progress.event(2, text, text)
    print_verdict(hostile(text), console)
    output = file.getvalue()
    # Sequences of the console itself: colours, the cursor and the status line.
    console_sequences = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
    plain = console_sequences.sub("", output) if terminal else output
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]", plain) is None
    assert "\x1b[2J" not in output and "link=" not in output.replace(text, "")
    expected = on_one_line(text).rstrip()
    assert plain.count(expected) >= 10
    assert not any(line.startswith("Pass") for line in plain.splitlines() if text[0] != "P")


def test_ordinary_text_stays_as_it_is() -> None:
    for text in ("a risk limit of 5 %, 18.06 µs — ✅ 日本\n\tmore", ""):
        assert printable(text) == text
