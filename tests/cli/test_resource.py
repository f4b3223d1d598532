"""``trading scenario run --on kubernetes``, with a kubectl that keeps what it is given."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chart.test_crd import check, schema, unknown
from trading.embedded.api import load_sent
from trading_operator.resource import scenario

#: Writes down what is applied; from then on its run has ended.
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
    """What reaches the cluster, and what is said."""
    kubectl = directory / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    kept = directory / "kept.json"
    done = subprocess.run(
        [sys.executable, "-m", "trading.cli", "scenario", "run", *words, "--on", "kubernetes"],
        env={**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "KEPT": str(kept)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (0 if "--detach" in words else 1), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(kept.read_text())
    return found, done.stdout


@pytest.mark.parametrize("more", [(), ("--detach",)])
def test_a_resource_says_what_was_changed_for_its_run(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    sets = [word for key, value in CHANGES.items() for word in ("--set", f"{key}={value}")]
    found, said = applied(tmp_path, "market-crash", "--seed", "8", *sets, *more)
    check(found)
    assert unknown(schema(), found) == []
    spec = found["spec"]
    assert spec["seed"] == 8 and spec["faults"][0]["marketShock"]["change"] == "-6%"
    wanted = {**CHANGES, "seed": "8"}
    assert spec["overrides"] == [f"{key}={value}" for key, value in wanted.items()]
    assert f", changed: {', '.join(spec['overrides'])}\n" in said
    # What the operator makes of it is a run that is labelled.
    meta = {"name": "market-crash", "namespace": "trading-dev", "uid": "0a1b2c3d"}
    assert load_sent(scenario({**found, "metadata": meta}).text).plan.overrides == wanted


def test_one_that_was_not_changed_does_not(tmp_path: Path) -> None:
    found, said = applied(tmp_path, "market-crash")
    assert "overrides" not in found["spec"]
    assert "changed" not in said and "chaosscenario market-crash in trading-dev\n" in said
