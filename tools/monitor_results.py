"""Generate docs/reference/monitor-results.md: what the example monitors notice, and what not.

    python -m tools.generate --monitor-results

All monitors take part in one run of each scenario. That takes a minute or two, and needs packages
in a virtual environment of their own, so it is no part of a plain `make generate`.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.environments import interpreter, with_project
from tools.reference.markdown import FOLDER, code, plain, table
from trading.scenario.result import Outcome
from trading.units import format_duration

ROOT = Path(__file__).resolve().parent.parent
PAGE = FOLDER / "monitor-results.md"

_BUILT_IN = "risk-monitor"


class Example(NamedTuple):
    """A monitor of the table: what is run, and whether it names its alerts as the rule table does,
    so that the expectations of a scenario can be about it.
    """

    name: str
    program: str
    rule_names: bool


_FOLDER = "examples/monitors"
EXAMPLES = (
    Example("thresholds", f"exec:python3 {_FOLDER}/01_thresholds.py", True),
    Example("javascript", f"exec:node {_FOLDER}/02_thresholds.mjs", True),
    Example("zscore", "examples.monitors.03_zscore:ZScore", False),
    Example("anomaly", "examples.monitors.04_anomaly:Anomaly", False),
)
#: By scenario and monitor, why it fails. There is an entry for each failure, and no other.
REASONS: dict[str, dict[str, str]] = {
    "market-crash": {},
    "usdc-depeg-2023": {
        "zscore": "USDC loses its first percent within six hours. No 20 ticks of that are unusual;"
        " those of the fall to 0.877 are.",
        "anomaly": "The slide moves the mean of the returns by a tenth of their deviation or less,"
        " which takes hours to tell from chance. Who watches a peg must look at the price itself.",
    },
    "knight-2012": {
        "zscore": "It sees prices only, and the orders of one account do not move them.",
    },
}

_HEAD = """# Results of the example monitors

This page is generated from one run of each scenario, in which the built-in monitor and the four in
`examples/monitors` take part. [Bring your own monitor](../guides/own-monitor.md) is the guide.

| monitor | what it is |
|---|---|
| `risk-monitor` | the built-in one |
| `thresholds` | `01_thresholds.py`: six fixed limits, in Python |
| `javascript` | `02_thresholds.mjs`: the same in JavaScript |
| `zscore` | `03_zscore.py`: returns of twenty ticks, compared with the volatility so far |
| `anomaly` | `04_anomaly.py`: ADWIN on returns, spreads and rates of requests, with river |

- "Detected by" is a monitor's first alert after the fault that does not also fire without it.
- "After" is the time from the verified injection to that alert. An alert between the start of a
  fault and its first evidence counts as 0.
- "Alerts" counts all of them. A limit without hysteresis fires whenever a price crosses it.
- "Unexpected" counts the alerts before the fault, and those that also fire without it.
- `risk-monitor`, `thresholds` and `javascript` are judged by the scenario's own expectations. The
  other two have names of their own for what they notice: for them any alert counts, within the
  limit of the scenario's first expectation.
"""


def texts() -> dict[Path, str]:
    """Return the text of the page by its path within the project. Raises ValueError if REASONS does
    not explain exactly the failures.
    """
    return {PAGE: _HEAD + "".join(_section(scenario) for scenario in REASONS)}


def expectations(scenario: str) -> list[dict[str, Any]]:
    """Return the expectations of a shipped scenario, about each monitor that uses the names of its
    rules; from the others any alert is expected, within the limit of the first.
    """
    text = (ROOT / "scenarios" / f"{scenario}.yaml").read_text(encoding="utf-8")
    shipped = yaml.safe_load(text)["spec"]["expect"]
    alerts = [e for e in shipped if "alert" in e]
    named = [_BUILT_IN, *(example.name for example in EXAMPLES if example.rule_names)]
    others = [example.name for example in EXAMPLES if not example.rule_names]
    first = {"alert": "*", "of": alerts[0]["of"], "within": alerts[0]["within"]}
    return [
        *({**e, "monitor": name} for name in named for e in alerts),
        *({**first, "monitor": name} for name in others),
        *(e for e in shipped if "alert" not in e),
    ]


def run(scenario: str) -> dict[str, Any]:
    """Run a scenario with all monitors, and return its verdict. Raises RuntimeError."""
    names = [_BUILT_IN, *(example.name for example in EXAMPLES)]
    words = ["run", scenario, "--json", "--set", f"monitors={json.dumps(names)}"]
    words += ["--set", f"expect={json.dumps(expectations(scenario))}"]
    for example in EXAMPLES:
        program = example.program.replace("python3", shlex.quote(sys.executable))
        words += ["--monitor", f"{example.name}={program}"]
    python = interpreter("river", ROOT / "tests" / "examples" / "requirements-river.txt")
    done = subprocess.run(
        [python, "-m", "trading.cli", *words],
        cwd=ROOT,
        env=with_project(),
        capture_output=True,
        text=True,
    )
    if not done.stdout:
        raise RuntimeError(done.stderr)
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


def _section(scenario: str) -> str:
    verdict = run(scenario)
    head = ("monitor", "detected by", "after", "alerts", "unexpected", "verdict")
    failed = {}
    rows = []
    for monitor in verdict["monitors"]:
        missed = _missed(verdict, monitor["name"])
        if missed:
            failed[monitor["name"]] = missed
        rows.append(_row(monitor, missed))
    if set(failed) != set(REASONS[scenario]):
        raise ValueError(f"{scenario}: REASONS must explain these, and no other: {failed}")
    text = f"\n## {scenario}\n\n{plain(verdict['description'])}.\n\n" + table(head, rows)
    for name, reason in REASONS[scenario].items():
        text += f"\n- {code(name)}: {plain(reason)}"
    return text + ("\n" if failed else "")


def _missed(verdict: dict[str, Any], name: str) -> list[str]:
    """Return why expectations of a monitor were not met. The label of an expectation has the name
    of its monitor, unless it is the built-in one.
    """
    missed = []
    for expectation in verdict["expectations"]:
        label, _, monitor = expectation["label"].partition(" by ")
        if not expectation["met"] and (monitor or _BUILT_IN) == name:
            missed.append(f"{label}: {expectation['reason']}")
    return missed


def _row(monitor: dict[str, Any], missed: list[str]) -> tuple[str, ...]:
    (detection,) = monitor["detections"]
    alert = f"{detection['alert']} on {detection['subject']}" if detection["alert"] else ""
    rounded = round(detection["latency"], -3)
    return (
        code(monitor["name"]),
        code(alert) or "nothing",
        format_duration(rounded) if alert else "",
        str(monitor["alerts"]),
        str(monitor["unexpected"]),
        f"{Outcome.FAIL}: {code('; '.join(missed))}" if missed else str(Outcome.PASS),
    )
