"""Tests the messages for invalid scenarios.

All mistakes of a file are reported at once, each with file, line, path and a hint. No file can
cause any other exception than ScenarioError.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.embedded.api import load_scenario
from trading.risk_monitor import RULES
from trading.scenario.errors import ScenarioError
from trading.scenario.load import LoadedScenario, load_text

GOOD = """\
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata:
  name: drop
spec:
  description: Bitcoin falls
  seed: 1
  steadyState: {for: 5m, within: 30m}
  faults:
    - name: drop
      at: 1m
      duration: 10m
      marketShock: {symbols: [BTC], change: -12%, over: 2m}
  expect:
    - {alert: price-move, of: drop, within: 2m}
    - {noAlert: settlement-overdue}
  recovery: {within: 10m}
"""


def read(text: str) -> LoadedScenario:
    rules = {name: rule.parse for name, rule in RULES.items()}
    return load_text(text, Path("drop.yaml"), known_rules=rules)


def mistakes(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        read(text)
    return str(caught.value).split("\n")


def test_the_good_one_is_good() -> None:
    assert read(GOOD).plan.name == "drop"


@pytest.mark.parametrize(
    ("right", "wrong", "line", "says"),
    [
        ("marketShock:", "marketShok:", 13, "did you mean 'marketShock'?"),
        ("alert: price-move", "alert: price-mov", 15, "did you mean 'price-move'?"),
        ("of: drop", "of: dorp", 15, "did you mean 'drop'?"),
        ("symbols: [BTC]", "symbols: [BTX]", 13, "BTX"),
        ("over: 2m", "over: 2 moons", 13, "2 moons"),
        ("change: -12%", "change: -120%", 13, "-120%"),
        ("change: -12%", "change: low", 13, "low"),
        ("duration: 10m", "durration: 10m", 12, "did you mean 'duration'?"),
        ("      duration: 10m\n", "", 10, "duration"),
        ("duration: 10m", "duration: -10m", 12, "-10m"),
        ("steadyState:", "steadystate:", 8, "did you mean 'steadyState'?"),
        ("for: 5m, within: 30m", "for: 30m, within: 5m", 8, "within"),
        ("kind: ChaosScenario", "kind: ChaosScenaro", 2, "ChaosScenario"),
        ("chaos.trading/v1alpha1", "chaos.trading/v2", 1, "chaos.trading/v1alpha1"),
        ("name: drop\nspec", "name: Drop It\nspec", 4, "Drop It"),
        ("seed: 1", "seed: one", 7, "one"),
        (
            "noAlert: settlement-overdue",
            "noAlrt: settlement-overdue",
            16,
            "did you mean 'noAlert'?",
        ),
        ("seed: 1", "seed: 1\n  clock: {mode: wal}", 8, "did you mean 'wall'?"),
        ("seed: 1", "seed: 1\n  clock: {mode: warp}", 8, "one of virtual, wall"),
        ("seed: 1", "seed: 1\n  clock: {mod: wall}", 8, "did you mean 'mode'?"),
        (
            "seed: 1",
            "seed: 1\n  clock:\n    mode: wall\n    speed: 0.5",
            10,
            "1 or faster, got 0.5",
        ),
        ("seed: 1", "seed: 1\n  clock: {speed: 0}", 8, "greater than 0"),
        ("seed: 1", "seed: 1\n  clock: {speed: 3601}", 8, "3600"),
        ("seed: 1", "seed: 1\n  clock: {speed: .nan}", 8, "nan"),
        ("seed: 1", "seed: 1\n  clock: {speed: fast}", 8, "a number, got 'fast'"),
        ("seed: 1", "seed: 1\n  seed: 2", 8, "seed"),
        ("seed: 1", "seed: [1", 8, "YAML"),
        ("seed: 1", "seed: 1\n  sede: 2", 8, "did you mean 'seed'?"),
    ],
)
def test_each_mistake_has_its_line_and_a_hint(right: str, wrong: str, line: int, says: str) -> None:
    assert right in GOOD
    messages = mistakes(GOOD.replace(right, wrong, 1))
    assert any(s.startswith(f"drop.yaml:{line}:") and says in s for s in messages), messages


def test_all_mistakes_come_at_once() -> None:
    text = (
        GOOD.replace("marketShock:", "marketShok:")
        .replace("price-move", "price-mov")
        .replace("for: 5m", "for: five")
        .replace("seed: 1", "sead: 1")
        .replace("recovery: {within: 10m}", "recovery: {within: 10 parsecs}")
    )
    messages = mistakes(text)
    assert [int(s.split(":")[1]) for s in messages] == [7, 8, 13, 15, 17]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a list",
        "just text",
        "a: b\n---\nc: d",
        "\x00",
        "&a [*a]",
        "{" * 5000,
        "!!python/object:os.system {}",
    ],
)
def test_what_is_no_scenario_is_said_to_be_none(text: str) -> None:
    assert mistakes(text)[0].startswith("drop.yaml")


def test_a_file_that_cannot_be_read_is_said_to_be_one(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * 1_000_001)
    for path, says in ((binary, "UTF-8"), (huge, "larger"), (tmp_path, "directory")):
        with pytest.raises(ScenarioError, match=says):
            load_scenario(path)


LINES = GOOD.splitlines(keepends=True)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(LINES) - 1),
            st.sampled_from(["drop", "twice", "indent", "text"]),
            st.text(max_size=12),
        ),
        max_size=4,
    )
)
def test_no_file_brings_anything_but_a_plan_or_its_mistakes(
    edits: list[tuple[int, str, str]],
) -> None:
    lines = list(LINES)
    for number, how, text in edits:
        line = lines[number]
        lines[number] = {
            "drop": "",
            "twice": line * 2,
            "indent": f"  {line}",
            "text": line.rstrip("\n") + text + "\n",
        }[how]
    try:
        read("".join(lines))
    except ScenarioError as error:
        assert error.problems
        assert all(p.message for p in error.problems)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("faults.dorp.marketShock.change", "-20%", "did you mean 'drop'?"),
        ("faults.drop.marketShock.chnge", "-20%", "did you mean 'change'?"),
        ("controls.disable", "[drawdwn]", "did you mean 'drawdown'?"),
        ("controls.limits.drawdwn", "3%", "did you mean 'drawdown'?"),
        ("controls.limits.drawdown", "three", "three"),
        ("seed", "-1", "-1"),
        ("clock.mode", "wal", "did you mean 'wall'?"),
        ("clock.sped", "2", "did you mean 'speed'?"),
    ],
)
def test_an_override_that_is_wrong_is_named(
    tmp_path: Path, key: str, value: str, says: str
) -> None:
    file = tmp_path / "drop.yaml"
    file.write_text(GOOD, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(file, overrides={key: value})
    assert f"--set {key}={value}" in str(caught.value) and says in str(caught.value)


def test_an_override_changes_what_it_names(tmp_path: Path) -> None:
    file = tmp_path / "drop.yaml"
    file.write_text(GOOD, encoding="utf-8")
    loaded = load_scenario(
        file, seed=5, overrides={"faults.drop.at": "90s", "controls.limits.drawdown": "3%"}
    )
    assert loaded.plan.seed == 5
    assert loaded.plan.faults[0].at == 90_000_000
    assert "drawdown" in loaded.plan.limits
