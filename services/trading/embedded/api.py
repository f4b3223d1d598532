"""The library call: one scenario, one verdict."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from trading.embedded.library import resolve
from trading.embedded.run import run_plan
from trading.risk_monitor import RULES
from trading.scenario.load import Loaded, load, load_text
from trading.scenario.plan import RunPlan
from trading.scenario.result import Verdict


def load_scenario(
    scenario: str | PathLike[str],
    *,
    seed: int | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Loaded:
    """A scenario file, or a shipped scenario by name. Raises ScenarioError with every mistake."""
    return load(
        resolve(scenario),
        known_rules={name: rule.parse for name, rule in RULES.items()},
        overrides=overrides or {},
        seed=seed,
    )


def load_scenario_text(
    text: str,
    path: Path,
    *,
    seed: int | None = None,
    overrides: Mapping[str, str] | None = None,
    files: bool = True,
) -> Loaded:
    """As :func:`load_scenario`, from text; ``path`` names it in messages, and files that it
    names are relative to that, if ``files`` may be read at all.
    """
    return load_text(
        text,
        path,
        known_rules={name: rule.parse for name, rule in RULES.items()},
        overrides=overrides or {},
        seed=seed,
        files=files,
    )


def run(
    scenario: str | PathLike[str] | RunPlan,
    *,
    seed: int | None = None,
    overrides: Mapping[str, str] | None = None,
    control: bool = True,
) -> Verdict:
    """Run a scenario in virtual time: no global state, no files, no wall clock.

    ``scenario``: a file, the name of a shipped scenario, or a plan. ``seed`` replaces the file's.
    ``overrides``: dotted paths in ``spec`` and their values as YAML, e.g.
    ``{"faults.crash.marketShock.change": "-20%"}``. ``control``: see
    :func:`trading.embedded.run.run_plan`. Raises ScenarioError for a wrong scenario.
    """
    if isinstance(scenario, RunPlan):
        if seed is not None or overrides:
            raise TypeError("a compiled plan takes neither seed nor overrides")
        return run_plan(scenario, control=control).verdict
    loaded = load_scenario(Path(scenario), seed=seed, overrides=overrides)
    return run_plan(loaded.plan, control=control).verdict
