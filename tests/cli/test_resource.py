"""Tests ``trading scenario run --on kubernetes`` with a kubectl that stores what is applied."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chart.test_crd import check, schema, unknown
from trading.embedded.api import load_submitted
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
