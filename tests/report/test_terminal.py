"""On a terminal, nothing that somebody has written into a text is obeyed."""

import io
import re

import pytest
from msgspec.structs import replace
from rich.console import Console

from tests.trading_operator.making import verdict
from trading.messages.audit import Discrepancy
from trading.report.terminal import LiveProgress, print_heading, print_verdict
from trading.scenario.result import Verdict
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
    found = verdict("Fail")
    wrong = Discrepancy(kind=text, where=text, expected=1, actual=2, detail=text)
    return replace(
        found,
        scenario=text,
        description=text,
        reasons=(text,),
        expectations=tuple(
            replace(e, label=text, reason=text, subject=text, observed=text, limit=text)
            for e in found.expectations
        ),
        recovery=replace(found.recovery, recovered=False, reason=text),
        audit=replace(found.audit, discrepancies=(wrong,)),
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
    said = file.getvalue()
    # What the console itself has written: colours, the cursor and the status line.
    own = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
    plain = own.sub("", said) if terminal else said
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]", plain) is None
    assert "\x1b[2J" not in said and "link=" not in said.replace(text, "")
    shown = on_one_line(text).rstrip()
    assert plain.count(shown) >= 10
    assert not any(line.startswith("Pass") for line in plain.splitlines() if text[0] != "P")


def test_ordinary_text_stays_as_it_is() -> None:
    for text in ("a risk limit of 5 %, 18.06 µs — ✅ 日本\n\tmore", ""):
        assert printable(text) == text
