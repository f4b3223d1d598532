"""Tests ``trading scenario run --on kubernetes`` with a kubectl that stores what is applied."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.test_crd import check, schema, unknown
from trading.api.test_coordinator.app import RunRequest
from trading.cli.uploads import with_content
from trading.cli.wrong_input import WrongInput
from trading.embedded.api import load_scenario, load_submitted
from trading.hosting.guard import max_body
from trading.scenario.faults import MAX_DATA
from trading_operator.resource import scenario

#: Stores the resource that is applied, and reports from then on that its run has ended.
KUBECTL = """\
#!/bin/sh
for word; do case "$word" in
  apply) verb=apply;;
  --filename=*) cp "${word#--filename=}" "$KEPT";;
esac; done
if [ "$verb" != apply ] && [ -e "$KEPT" ]; then
  echo '{"status": {"verdict": "Fail", "phase": "Completed", "message": "because"}}'
fi
"""
CHANGES = {"faults.crash.marketShock.change": "-6%", "expect.0.within": "9m"}


def applied(directory: Path, *words: str) -> tuple[dict[str, Any], str]:
    """Run the command; return the resource that reached the cluster, and the output."""
    kubectl = directory / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    stored = directory / "kept.json"
    result = subprocess.run(
        [sys.executable, "-m", "trading.cli", "scenario", "run", *words, "--on", "kubernetes"],
        env={**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "KEPT": str(stored)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == (0 if "--detach" in words else 1), result.stdout + result.stderr
    resource: dict[str, Any] = json.loads(stored.read_text())
    return resource, result.stdout


@pytest.mark.parametrize("more", [(), ("--detach",)])
def test_a_resource_says_what_was_changed_for_its_run(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    sets = [word for key, value in CHANGES.items() for word in ("--set", f"{key}={value}")]
    resource, output = applied(tmp_path, "market-crash", "--seed", "8", *sets, *more)
    check(resource)
    assert unknown(schema(), resource) == []
    spec = resource["spec"]
    assert spec["seed"] == 8 and spec["faults"][0]["marketShock"]["change"] == "-6%"
    expected = {**CHANGES, "seed": "8"}
    assert spec["overrides"] == [f"{key}={value}" for key, value in expected.items()]
    assert f", changed: {', '.join(spec['overrides'])}\n" in output
    # The run that the operator starts has the same overrides.
    meta = {"name": "market-crash", "namespace": "trading-dev", "uid": "0a1b2c3d"}
    assert load_submitted(scenario({**resource, "metadata": meta}).text).plan.overrides == expected


def test_one_that_was_not_changed_does_not(tmp_path: Path) -> None:
    resource, output = applied(tmp_path, "market-crash")
    assert "overrides" not in resource["spec"]
    assert "changed" not in output and "chaosscenario market-crash in trading-dev\n" in output


RECORDED = """\
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata: {name: recorded}
spec:
  market: {source: replay, replay: {file: data/prices.csv, asset: BTC, gaps: hold}}
  faults: [{name: reset, duration: 5m, exchangeOutage: {mode: reset}}]
  expect: [{noAlert: settlement-overdue}]
"""
PRICES = "time,price\n1767571200,65000\n1767571260,64000\n"


def test_a_resource_has_the_content_of_the_file_that_its_scenario_names(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "prices.csv").write_text(PRICES, "utf-8")
    file = tmp_path / "recorded.yaml"
    file.write_text(RECORDED, "utf-8")
    resource, _ = applied(tmp_path, str(file))
    check(resource)
    assert unknown(schema(), resource) == []
    replay = {"asset": "BTC", "gaps": "hold", "data": PRICES}
    assert resource["spec"]["market"]["replay"] == replay
    # The run that the operator starts has the prices.
    meta = {"name": "recorded", "namespace": "trading-dev", "uid": "0a1b2c3d"}
    plan = load_submitted(scenario({**resource, "metadata": meta}).text).plan
    assert plan.replay == load_scenario(file).plan.replay


def test_a_file_that_does_not_fit_into_a_resource_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "recorded.yaml"
    file.write_text(RECORDED, "utf-8")
    prices = tmp_path / "data" / "prices.csv"
    prices.write_text(PRICES.ljust(MAX_DATA), "utf-8")
    resource = load_scenario(file).resource
    assert with_content(resource, file)["spec"]["market"]["replay"]["data"] == prices.read_text()
    prices.write_text(PRICES.ljust(MAX_DATA + 1), "utf-8")
    with pytest.raises(WrongInput, match="upload it with PUT /recordings/NAME"):
        with_content(resource, file)
    prices.write_text(PRICES, "utf-8")
    changed = load_scenario(file, overrides={"market.replay.file": "data/prices.csv"}).resource
    with pytest.raises(WrongInput, match="name the file in the scenario, not with --set"):
        with_content(changed, file)


@pytest.mark.parametrize("name", ["binance-rest.json", "binance-2020.csv", "prices.csv"])
def test_the_largest_resource_passes_every_limit_on_its_way(name: str) -> None:
    """kubectl stores it in an annotation, and the operator sends it to the coordinator as text in
    JSON, in which every line feed and quotation mark becomes longer.
    """
    example = (Path("tests/scenario/recordings") / name).read_text("utf-8")
    data = (example * (MAX_DATA // len(example) + 1))[:MAX_DATA]
    whole = yaml.safe_load(RECORDED)
    whole["spec"]["market"]["replay"] = {"asset": "BTC", "data": data}
    meta = {"name": "recorded", "namespace": "trading-dev", "uid": "0a1b2c3d"}
    resource = {**whole, "metadata": meta}
    assert len(json.dumps(resource)) < 256 * 1024 * 0.9
    text = scenario(resource).text
    request = RunRequest(text=text, id="recorded-0a1b2c3d", network="platform")
    assert len(request.model_dump_json()) < max_body("/runs") * 0.9
