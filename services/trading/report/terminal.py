"""Display a run on the terminal: a live status line, or plain lines in a file or a pipe.

Texts of scenarios, services and journals are not trusted. They are printed literally, on one line,
and can contain neither markup for Rich nor control sequences for the terminal.
"""

from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trading.report.figures import (
    audit_summary,
    clock,
    explanation,
    latency,
    limit,
    money,
    recovery_summary,
    tone,
)
from trading.report.origin import (
    alert_groups,
    changes,
    clock_summary,
    control_summary,
    monitor_rows,
    program_summary,
)
from trading.scenario.observation import Severity
from trading.scenario.result import Phase, Verdict
from trading.units import on_one_line

_STYLES: dict[str, str] = {
    Severity.CRITICAL: "bold red",
    Severity.WARNING: "yellow",
    "fault": "bold magenta",
    "info": "cyan",
}
#: Width of tables in a file or a CI log.
_PLAIN_WIDTH = 160
_TONES = {"good": "bold green", "bad": "bold red", "unsure": "bold yellow"}


class LiveProgress:
    """Displays the progress of a run (see :class:`trading.embedded.recorder.Progress`).

    On a terminal a status line remains below the events; otherwise each event and each phase is a
    plain line. ``start`` is the simulated start of the run in microseconds.
    """

    def __init__(self, console: Console, *, start: int) -> None:
        self._console = console
        self._start = start
        self._phase: str = Phase.PENDING
        self._at = start
        self._pnl = 0
        self._alerts = 0
        self._live: Live | None = None

    def __enter__(self) -> "LiveProgress":
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._status,
                refresh_per_second=8,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def phase(self, name: str, at: int) -> None:
        """Print the name of a new phase."""
        self._phase = name
        self._print_line(at, f"phase {name}", "bold")

    def tick(self, at: int, pnl: int, alerts_firing: int) -> None:
        """Update the status line."""
        self._at = at
        self._pnl = pnl
        self._alerts = alerts_firing

    def event(self, at: int, text: str, severity: str) -> None:
        """Print an event in the colour of its severity."""
        self._print_line(at, text, _STYLES.get(severity.lower(), ""))

    def _print_line(self, at: int, text: str, style: str) -> None:
        self._at = at
        line = Text(f"{clock(at - self._start):>9}  ", style="dim")
        self._console.print(line.append(on_one_line(text), style=style or None), soft_wrap=True)

    def _status(self) -> Text:
        noun = "alert" if self._alerts == 1 else "alerts"
        alerts = f"{self._alerts} {noun} firing" if self._alerts else "no alert"
        return Text.assemble(
            (f"{clock(self._at - self._start):>9}  ", "dim"),
            (on_one_line(self._phase), "bold"),
            f"  P&L {money(self._pnl)} USD  ",
            (alerts, "bold red" if self._alerts else "green"),
        )


def make_console() -> Console:
    """Return a console for stdout: with colours on a terminal, otherwise plain and wide."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


def print_heading(name: str, seed: int, description: str, console: Console) -> None:
    """Print which scenario is about to run."""
    rest = on_one_line(f" · seed {seed} · {description}")
    console.print(Text.assemble((on_one_line(name), "bold"), rest), soft_wrap=True)


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Print the outcome and its reasons, the expectations, the recovery, the discrepancies of the
    audit, how the run was made and can be repeated, and every alert.
    """
    style = _TONES[tone(verdict.outcome)]
    outcome = on_one_line(verdict.outcome)
    name = on_one_line(verdict.scenario) + (" (changed)" if verdict.setup.overrides else "")
    console.print(Text.assemble("\n", (outcome, style), f"  {name}"), soft_wrap=True)
    for reason in verdict.reasons:
        console.print(Text(f"  {on_one_line(reason)}", style=style), soft_wrap=True)
    console.print()
    console.print(_expectations(verdict))
    if verdict.monitors:
        console.print()
        console.print(_monitors(verdict))
    console.print()
    console.print(Text(f"recovery  {on_one_line(recovery_summary(verdict))}"), soft_wrap=True)
    console.print(Text(f"audit     {on_one_line(audit_summary(verdict))}"), soft_wrap=True)
    for discrepancy in verdict.audit.discrepancies:
        detail = f"{discrepancy.kind} at {discrepancy.where}: {discrepancy.detail}"
        console.print(Text(f"          {on_one_line(detail)}"))
    for name, text in (
        ("root", verdict.audit.root),
        ("control", control_summary(verdict)),
        ("clock", clock_summary(verdict)),
        ("made by", program_summary(verdict)),
        ("changed", changes(verdict.setup.overrides)),
        ("off", ", ".join(verdict.setup.disabled_rules)),
        ("again", verdict.command),
    ):
        if text:
            console.print(Text(f"{name:<9} {on_one_line(text)}"), soft_wrap=True)
    console.print()
    console.print(_alerts(verdict) if verdict.alerts else "no alert fired")


def _monitors(verdict: Verdict) -> Table:
    table = _table()
    for column in ("monitor", "fault", "detected by", "after", "alerts beside"):
        table.add_column(column, overflow="fold")
    for row in monitor_rows(verdict):
        table.add_row(*(Text(on_one_line(text)) for text in row))
    return table


def _alerts(verdict: Verdict) -> Table:
    table = _table()
    table.add_column("")
    table.add_column("alert", overflow="fold")
    table.add_column("first at", justify="right", no_wrap=True)
    table.add_column("times", justify="right", no_wrap=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("seen first", overflow="fold")
    for alert in alert_groups(verdict):
        table.add_row(
            Text("expected") if alert.expected else Text("beside", style="yellow"),
            Text(on_one_line(alert.name)),
            clock(alert.first),
            str(alert.times),
            Text(on_one_line(alert.severity)),
            Text(on_one_line(alert.observed)),
        )
    return table


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), header_style="dim")


def _expectations(verdict: Verdict) -> Table:
    table = _table()
    table.add_column("")
    table.add_column("expected", overflow="fold")
    table.add_column("after", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("seen", overflow="fold")
    for expected in verdict.expectations:
        mark = Text("met", style="green") if expected.met else Text("MISSED", style="bold red")
        table.add_row(
            mark,
            Text(on_one_line(expected.label)),
            Text(latency(expected)),
            Text(limit(expected)),
            Text(on_one_line(explanation(expected))),
        )
    return table
