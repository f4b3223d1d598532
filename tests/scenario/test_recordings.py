"""Tests where a scenario may have its recorded prices from: its text, a file, or an upload."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.scenario.test_mistakes import GOOD
from trading.embedded.api import load_scenario, load_submitted
from trading.market_data.replay import RecordedSeries
from trading.messages.chaos import Depeg
from trading.scenario import recordings
from trading.scenario.errors import ScenarioError
from trading.scenario.faults import MAX_DATA
from trading.scenario.load import load
from trading.scenario.recordings import FileAccess, Uploads
from trading.units import HOUR, MINUTE, SCALE, SECOND

PRICES = "time,price\n1767571200,0.99\n1767571260,0.95\n1767571320,0.97\n"


def with_replay(**replay: Any) -> str:
    scenario = yaml.safe_load(GOOD)
    scenario["spec"]["market"] = {"source": "replay", "replay": {"asset": "BTC", **replay}}
    return json.dumps(scenario)


def with_series(**series: Any) -> str:
    scenario = yaml.safe_load(GOOD)
    depeg = {"asset": "USDC", "series": series}
    scenario["spec"]["faults"] = [{"name": "drop", "duration": "10m", "depeg": depeg}]
    return json.dumps(scenario)


def refused(text: str, uploads: Uploads | None = None, **overrides: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        load_submitted(text, uploads=uploads, overrides=overrides)
    return str(caught.value)


def test_prices_in_the_text_need_no_file() -> None:
    plan = load_submitted(with_replay(data=PRICES)).plan
    assert plan.start == 1767571200 * SECOND
    assert plan.replay["BTC"] == tuple(
        (offset * MINUTE, price * SCALE // 100) for offset, price in enumerate((99, 95, 97))
    )
    fault = load_submitted(with_series(data=PRICES)).plan.faults[0].fault
    assert isinstance(fault, Depeg)
    assert [(point.offset, point.value) for point in fault.path] == list(plan.replay["BTC"])


def test_a_block_of_the_yaml_is_read_as_it_stands() -> None:
    block = "".join(f"        {line}\n" for line in PRICES.splitlines())
    market = f"  market:\n    source: replay\n    replay:\n      asset: BTC\n      data: |\n{block}"
    text = GOOD.replace("  seed: 1\n", f"  seed: 1\n{market}")
    assert load_submitted(text).plan.replay == load_submitted(with_replay(data=PRICES)).plan.replay


@pytest.mark.parametrize("text", [with_replay, with_series])
def test_a_mistake_in_the_text_is_named_with_its_line(text: Any) -> None:
    message = refused(text(data="time,price\n1767571200,0.99\nyesterday,1\n"))
    assert "line 3 of data: expected a time such as" in message
    assert ".data: " in message


@pytest.mark.parametrize("text", [with_replay, with_series])
def test_recorded_prices_are_in_one_place(text: Any) -> None:
    assert "'file' or 'data' or 'recording' is missing" in refused(text())
    assert "not both file and data" in refused(text(file="prices.csv", data=PRICES))
    assert "not both data and recording" in refused(text(data=PRICES, recording="usdc"))


def test_the_text_has_a_largest_size() -> None:
    header = "time,price\n"
    largest = header + "1767571200,1\n" + "\n" * (MAX_DATA - len(header) - 13)
    assert len(largest) == MAX_DATA
    assert load_submitted(with_replay(data=largest)).plan.replay
    assert f"at most {MAX_DATA} characters" in refused(with_replay(data=largest + "\n"))


def test_the_format_and_the_holes_are_a_closed_set() -> None:
    assert "expected one of prices, candles" in refused(with_replay(data=PRICES, format="csv"))
    assert "expected one of hold, interpolate" in refused(with_replay(data=PRICES, gaps="skip"))


def test_a_hole_in_the_market_is_as_the_scenario_says() -> None:
    rows = "time,price\n0,100\n60,100\n120,100\n7320,200\n7380,200\n"
    assert "line 5 of data: 2h without a price" in refused(with_replay(data=rows))
    assert load_submitted(with_replay(data=rows, maxGap="2h")).plan.replay
    middle = 62 * MINUTE
    for gaps, price in (("hold", 100), ("interpolate", 150)):
        points = load_submitted(with_replay(data=rows, gaps=gaps)).plan.replay["BTC"]
        series = RecordedSeries("BTC", points)
        assert series.at(middle) == price * SCALE
        assert series.at(122 * MINUTE) == 200 * SCALE


def test_the_market_has_a_close_once_its_candle_has_ended() -> None:
    """The run begins at the end of the first candle, and the second close is an hour later."""
    rows = "time,open,high,low,close\n0,1,1,1,1\n3600,1,3,1,3\n"
    plan = load_submitted(with_replay(data=rows)).plan
    assert (plan.start, plan.replay["BTC"]) == (HOUR, ((0, SCALE), (HOUR, 3 * SCALE)))


def test_an_upload_is_read_by_its_name_or_in_place_of_a_file() -> None:
    uploads = Uploads({"usdc-2023": PRICES}.get, {"prices.csv": "usdc-2023"})
    expected = load_submitted(with_replay(data=PRICES)).plan.replay
    for replay in ({"recording": "usdc-2023"}, {"file": "prices.csv"}):
        assert load_submitted(with_replay(**replay), uploads=uploads).plan.replay == expected
        assert load_submitted(with_series(**replay), uploads=uploads).plan.faults
    assert "no recording 'usdc' was uploaded" in refused(with_replay(recording="usdc"), uploads)


def test_a_mistake_in_an_upload_is_named_and_not_quoted() -> None:
    uploads = Uploads({"wrong": f"{PRICES}secret,1\n"}.get, {"dir/prices.csv": "wrong"})
    message = refused(with_replay(recording="wrong"), uploads)
    assert "line 5 of recording wrong: expected a time" in message and "secret" not in message
    assert "dir/prices.csv:5: expected" in refused(with_replay(file="dir/prices.csv"), uploads)


def test_an_upload_opens_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text(PRICES, "utf-8")
    uploads = Uploads({"usdc": PRICES}.get, {"prices.csv": "usdc", str(secret): "gone"})
    for name in ("other.csv", "./prices.csv", "/etc/passwd"):
        assert "cannot read files" in refused(with_replay(file=name), uploads)
    assert "no recording 'gone'" in refused(with_replay(file=str(secret)), uploads)
    assert "cannot read files" in refused(with_replay(file=str(secret)))


def test_without_a_coordinator_there_are_no_uploads(tmp_path: Path) -> None:
    file = tmp_path / "recorded.yaml"
    file.write_text(with_replay(recording="usdc-2023"), "utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(file)
    assert "recording 'usdc-2023' is kept by a test coordinator, which is not asked here" in str(
        caught.value
    )


@pytest.mark.parametrize("name", ["../secret", "a/b", "A", "", "x" * 64, ".hidden"])
def test_the_name_of_an_upload_is_no_path(name: str) -> None:
    message = refused(with_replay(recording=name), Uploads(lambda name: PRICES))
    assert "lower-case letters, digits and '-', at most 63" in message


def test_the_points_of_a_scenario_from_the_network_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All recordings of a scenario count together, and files of a user with a shell do not."""
    monkeypatch.setattr(recordings, "MAX_POINTS", 5)
    scenario = json.loads(with_series(data=PRICES))
    assert load_submitted(json.dumps(scenario)).plan.faults
    replay = {"asset": "BTC", "data": PRICES}
    scenario["spec"]["market"] = {"source": "replay", "replay": replay}
    message = refused(json.dumps(scenario))
    assert "6 recorded prices; a scenario that came over the network has at most 5" in message
    file = tmp_path / "recorded.yaml"
    file.write_text(json.dumps(scenario), "utf-8")
    assert load(file, files=FileAccess.ANYBODY).plan.faults
    monkeypatch.setattr(recordings, "MAX_PATH_POINTS", 3)
    assert load_submitted(with_series(data=PRICES)).plan.faults
    stepped = json.loads(with_series(data=PRICES))
    stepped["spec"]["faults"][0]["depeg"]["step"] = True
    message = refused(json.dumps(stepped))
    assert "5 recorded prices; a fault of a scenario that came over the network has" in message
