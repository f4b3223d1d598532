"""Tests that an untrusted scenario is read within limits and cannot reveal the content of files."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.scenario.test_mistakes import GOOD, mistakes, read
from trading.embedded.api import load_scenario, load_submitted
from trading.scenario.document import MAX_DEPTH, MAX_NODES
from trading.scenario.errors import ScenarioError
from trading.scenario.load import load
from trading.scenario.model import MAX_VALUE
from trading.scenario.recordings import FileAccess

LEAK = "leaked:$6$salt$hash:20000:0:99999:7:::"


def refused(overrides: Mapping[str, str]) -> str:
    with pytest.raises(ScenarioError) as caught:
        load_submitted(GOOD, overrides=overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("{" * 100_000, "a key has to be a name"),
        ("- " * 100_000, "nested too deeply"),
        ("[a," * 60_000, "nested too deeply"),
        ("? " * 100_000, "a key has to be a name"),
        (f"[{'a,' * (MAX_NODES + 1)}]", f"more than {MAX_NODES} values"),
        ("a: &x [1]\nb: [*x, *x]", "anchors (&x) are not supported"),
        ("a: *x", "aliases (*x) are not supported"),
        ("a: !!int ''", "tags (tag:yaml.org,2002:int) are not supported"),
        ("a: !!binary aGk=", "are not supported"),
        (f"a: {'1' * 5000}", "at most 64 characters"),
        ("a: 1" + ":59" * 30_000, "at most 64 characters"),
        (f"{'k' * 1000}: 1", "300 characters is no name"),
        ("\n".join(f"k{n}: v" for n in range(20_000)), "unknown field 'k0'"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_what_is_too_much_ends_the_reading(text: str, says: str) -> None:
    """Reading takes a bounded time.

    This measures processor time, so that a busy machine does not matter. Without limits, 100 kB of
    brackets took 39 s.
    """
    started = time.process_time()
    messages = mistakes(text)
    assert time.process_time() - started < 5
    assert any(says in message for message in messages), messages[:3]
    assert len(messages) <= 110 and all(len(message) < 1000 for message in messages)


def test_as_deep_as_it_may_be_it_is_read() -> None:
    deep = f"note: {'[' * (MAX_DEPTH - 2)}{']' * (MAX_DEPTH - 2)}"
    assert read(GOOD.replace("metadata:\n", f"metadata:\n  {deep}\n"))
    deeper = deep.replace("[]", "[[]]")
    assert (
        "nested too deeply" in mistakes(GOOD.replace("metadata:\n", f"metadata:\n  {deeper}\n"))[0]
    )


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("seed", "[" * 3000, "nested too deeply"),
        ("expect", "[&x [a, a], *x, *x]", "not supported"),
        ("description", "a" * (MAX_VALUE + 1), f"at most {MAX_VALUE} characters"),
        ("seed", "9" * 5000, "at most 64 characters"),
        ("seed", "a: b: c", "not a YAML value"),
        ("metadata" + ".a" * 100, "1", "levels deep"),
        ("x" * 1000, "1", "at most 300 characters"),
    ],
)
def test_an_override_has_the_same_limits(key: str, value: str, says: str) -> None:
    message = refused({key: value})
    assert says in message and len(message) < 1000


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("duration: 10m", "duration: 366d", "at most 7d"),
        ("duration: 10m", "duration: 6d23h30m", "limit 7d"),
        ("at: 1m", "at: 6d23h30m", "limit 7d"),
        ("within: 10m", "within: 6d23h59m", "limit 7d"),
        ("seed: 1", "seed: 1\n  clock: {speed: 0.00001}", "wall clock"),
        ("change: -12%", "change: 99999999999999999999999%", "-10000% to 10000%"),
        ("seed: 1", "seed: 1\n  market: {initialPrices: {BTC: '1e999999999'}}", "a price above 0"),
        ("seed: 1", "seed: 1\n  market: {initialPrices: {BTC: 1.0e+300}}", "a price above 0"),
        ("seed: 1", "seed: 1\n  clock: {start: '9999-12-31T00:00:00Z'}", "from 1970 to 2099"),
        ("seed: 1", "seed: 1\n  controls: {limits: {drawdown: 1e999999 USD}}", "drawdown"),
    ],
)
def test_quantities_have_bounds(right: str, wrong: str, says: str) -> None:
    assert right in GOOD
    messages = mistakes(GOOD.replace(right, wrong, 1))
    assert any(says in message for message in messages), messages


def recording(directory: Path) -> Path:
    """Write a scenario that names a recorded file, with a secret beside it; return its path."""
    (directory / "prices.csv").write_text("time,price\n2024-01-01T00:00:00Z,100\n", "utf-8")
    (directory / "secret").write_text(f"{LEAK}\n", "utf-8")
    path = directory / "recorded.yaml"
    market = "market: {source: replay, replay: {file: prices.csv, asset: BTC}}"
    path.write_text(GOOD.replace("seed: 1", f"seed: 1\n  {market}"), "utf-8")
    return path


def test_a_shipped_scenario_reads_its_own_file_and_no_override_adds_one(tmp_path: Path) -> None:
    path = recording(tmp_path)
    assert load(path, files=FileAccess.TEXT, overrides={"seed": "2"}).plan.replay.keys() == {"BTC"}
    depeg = "{asset: USDT, series: {file: %s}}"
    for key, value in (
        ("market.replay.file", "secret"),
        ("market.replay.file", str(tmp_path / "prices.csv")),
        ("market.replay", "{file: secret, asset: BTC}"),
        ("market", "{source: replay, replay: {file: ./secret, asset: BTC}}"),
        ("faults.0", "{name: drop, duration: 10m, depeg: %s}" % (depeg % "secret")),
        (
            "spec",
            GOOD.split("spec:\n")[1].replace(
                "seed: 1", "seed: 1\n  market: {source: replay, replay: {file: secret, asset: BTC}}"
            ),
        ),
    ):
        with pytest.raises(ScenarioError, match="cannot read files") as caught:
            load(path, files=FileAccess.TEXT, overrides={key: value})
        assert "leaked" not in str(caught.value)


def test_a_scenario_that_was_sent_reads_none() -> None:
    message = refused({"market": "{source: replay, replay: {file: /etc/shadow, asset: BTC}}"})
    assert "cannot read files" in message


@pytest.mark.parametrize(
    "text",
    [
        LEAK,
        f"time,price\n{LEAK},1\n",
        f"time,price\n2024-01-01T00:00:00Z,{LEAK}\n",
        f"time,price\n2024-01-01T00:00:00Z,1\n2024-01-01T00:00:00Z,{LEAK}\n",
        f"time,symbol,price\n{LEAK},{LEAK},{LEAK}\n",
        f'time,price\n"{LEAK}',
        f"time,price\n{LEAK}\x00,1",
    ],
)
def test_no_message_quotes_a_recording(tmp_path: Path, text: str) -> None:
    path = recording(tmp_path)
    (tmp_path / "prices.csv").write_text(text, "utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert "prices.csv" in str(caught.value) and "leaked" not in str(caught.value)
