"""Tests recorded prices, as the market of a run and as the path of a depeg."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.embedded.test_every_fault import scenario
from trading.embedded.api import load_scenario
from trading.embedded.run import run_plan, run_without_faults
from trading.scenario.errors import ScenarioError
from trading.units import DAY, HOUR, SCALE

USDC = Path(__file__).resolve().parents[3] / "shared" / "data" / "usdc-2023-03.csv"


def recorded_market() -> Path:
    if not USDC.exists():
        pytest.skip(f"the recorded market is not here: {USDC}")
    return USDC


def write(tmp_path: Path, changes: dict[str, object], fault: dict[str, Any]) -> Path:
    content = scenario(fault)
    content["spec"] |= changes
    file = tmp_path / "recorded.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def test_real_depeg_replays_and_is_noticed(tmp_path: Path) -> None:
    """The fault has no effect on prices: the recorded market itself loses the peg."""
    market = {
        "source": "replay",
        "tick": "60s",
        "replay": {"file": str(recorded_market()), "asset": "USDC"},
    }
    fault = {"exchangeOutage": {"mode": "reset"}}
    plan = load_scenario(write(tmp_path, {"market": market}, fault)).plan
    points = dict(plan.replay)["USDC"]
    assert len(points) == 808
    assert min(price for _, price in points) < 91 * SCALE // 100
    alerts, _ = run_without_faults(plan, plan.start + 3 * DAY)
    first = next(a for a in alerts if (a.rule, a.subject) == ("peg-deviation", "USDC"))
    off = [at for at, price in points if abs(price - SCALE) > SCALE // 200]
    assert any(0 <= first.detected_time - plan.start - at < HOUR for at in off)


def test_real_depeg_as_a_fault(tmp_path: Path) -> None:
    fault = {"depeg": {"asset": "USDC", "series": {"file": str(recorded_market())}}}
    verdict = run_plan(
        load_scenario(
            write(tmp_path, {"market": {"tick": "60s"}}, fault),
            overrides={
                "faults.f.duration": "60h",
                "expect": "[{alert: peg-deviation, subject: USDC, of: f, within: 60h}]",
                "settlement.cycle": "1h",
            },
        ).plan
    ).verdict
    assert (verdict.outcome, verdict.reasons) == ("Pass", ())


def test_symbols_in_a_column(tmp_path: Path) -> None:
    csv = tmp_path / "two.csv"
    csv.write_text(
        "time,symbol,price\n2024-01-01T00:00:00Z,BTCUSDT,100\n2024-01-01T00:00:00Z,ETH,10\n"
        "2024-01-01T00:10:00Z,BTCUSDT,102\n2024-01-01T00:10:00Z,ETH,10.5\n",
        encoding="utf-8",
    )
    market = {"source": "replay", "replay": {"file": "two.csv"}}
    plan = load_scenario(
        write(tmp_path, {"market": market}, {"exchangeOutage": {"mode": "reset"}})
    ).plan
    assert {asset: points[0][1] for asset, points in dict(plan.replay).items()} == {
        "BTC": 100 * SCALE,
        "ETH": 10 * SCALE,
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time,price\n2024-01-01T00:00:00Z,1\n2024-01-01T00:01:00Z,1\n", "symbol"),
        ("time,symbol\n2024-01-01T00:00:00Z,BTC\n", "price"),
        ("time,symbol,price\nyesterday,BTC,1\n", "csv:2"),
        ("time,symbol,price\n2024-01-01T00:00:00Z,BTC,nan\n", "csv:2"),
        ("time,symbol,price\n2024-01-01T00:00:00Z,BTC,-1\n", "csv:2"),
        ("", "column"),
    ],
)
def test_wrong_series_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "wrong.csv").write_text(text, encoding="utf-8")
    market = {"source": "replay", "replay": {"file": "wrong.csv"}}
    file = write(tmp_path, {"market": market}, {"exchangeOutage": {"mode": "reset"}})
    with pytest.raises(ScenarioError, match=says):
        load_scenario(file)
