"""The library interface: load a scenario, run it, and get its verdict."""

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path

import msgspec

from trading.embedded.library import resolve, shipped
from trading.embedded.run import run_plan
from trading.risk_monitor import RULES
from trading.scenario.load import LoadedScenario, load, load_text
from trading.scenario.plan import RunPlan
from trading.scenario.recordings import FileAccess, Uploads
from trading.scenario.result import Verdict

_RULES = {name: rule.parse for name, rule in RULES.items()}


def load_scenario(
    scenario: str | PathLike[str],
    *,
    seed: int | None = None,
    overrides: Mapping[str, str] | None = None,
) -> LoadedScenario:
    """Load and compile a scenario file, or a shipped scenario by its name.

    ``seed`` replaces the seed of the file. ``overrides`` maps dotted paths in ``spec`` to values as
    YAML. Raises ScenarioError, which lists every mistake.
    """
    loaded = load(
        resolve(scenario),
        known_rules=_RULES,
        overrides=overrides or {},
        seed=seed,
    )
    plan = msgspec.structs.replace(loaded.plan, source=fspath(scenario))
    return loaded._replace(plan=plan)


def load_shipped(
    name: str, *, seed: int | None = None, overrides: Mapping[str, str] | None = None
) -> LoadedScenario:
    """Load a shipped scenario for a client on the network.

    Overrides may not name files, and a file of that name in the working directory is ignored.
    Raises KeyError if no scenario of this name is shipped, and ScenarioError, which lists every
    mistake.
    """
    loaded = load(
        shipped()[name],
        known_rules=_RULES,
        overrides=overrides or {},
        seed=seed,
        files=FileAccess.TEXT,
    )
    return loaded._replace(plan=msgspec.structs.replace(loaded.plan, source=name))


def load_submitted(
    text: str,
    *,
    seed: int | None = None,
    overrides: Mapping[str, str] | None = None,
    uploads: Uploads | None = None,
) -> LoadedScenario:
    """Compile a scenario that a client has sent over the network; it may not open any file.

    ``uploads`` are the recordings that it may read instead. Raises ScenarioError, which lists every
    mistake.
    """
    return load_text(
        text,
        Path("scenario.yaml"),
        known_rules=_RULES,
        overrides=overrides or {},
        seed=seed,
        files=FileAccess.NOBODY,
        uploads=uploads,
    )


def run(
    scenario: str | PathLike[str] | RunPlan,
    *,
    seed: int | None = None,
    overrides: Mapping[str, str] | None = None,
    control: bool = True,
) -> Verdict:
    """Run a scenario in virtual time and return its verdict. It uses no global state, no wall
    clock, and no files but the scenario's.

    ``scenario`` is a file, the name of a shipped scenario, or a compiled plan. ``seed`` replaces
    the seed of the file. ``overrides`` maps dotted paths in ``spec`` to values as YAML, for example
    ``{"faults.crash.marketShock.change": "-20%"}``. For ``control`` see
    :func:`trading.embedded.run.run_plan`. Raises ScenarioError for an invalid scenario, and
    TypeError for a plan together with a seed or overrides.
    """
    if isinstance(scenario, RunPlan):
        if seed is not None or overrides:
            raise TypeError("a compiled plan takes neither seed nor overrides")
        return run_plan(scenario, control=control).verdict
    loaded = load_scenario(Path(scenario), seed=seed, overrides=overrides)
    return run_plan(loaded.plan, control=control).verdict
