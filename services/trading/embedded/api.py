"""The library call: one scenario, one verdict."""

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path

import msgspec

from trading.embedded.library import resolve, shipped
from trading.embedded.run import run_plan
from trading.risk_monitor import RULES
from trading.scenario.load import Loaded, load, load_text
from trading.scenario.plan import RunPlan
from trading.scenario.recordings import FilesOf
from trading.scenario.result import Verdict

_RULES = {name: rule.parse for name, rule in RULES.items()}


def load_scenario(
    scenario: str | PathLike[str],
    *,
    seed: int | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Loaded:
    """A scenario file, or a shipped scenario by name. Raises ScenarioError with every mistake."""
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
) -> Loaded:
    """A shipped scenario for somebody on the network: overrides may name no file, and a file of
    that name in the working directory is none. Raises KeyError for a name that is not shipped,
    ScenarioError with every mistake.
    """
    loaded = load(
        shipped()[name],
        known_rules=_RULES,
        overrides=overrides or {},
        seed=seed,
        files=FilesOf.TEXT,
    )
    return loaded._replace(plan=msgspec.structs.replace(loaded.plan, source=name))


def load_sent(
    text: str, *, seed: int | None = None, overrides: Mapping[str, str] | None = None
) -> Loaded:
    """A scenario that came over the network: it may open no file. Raises ScenarioError with every
    mistake.
    """
    return load_text(
        text,
        Path("scenario.yaml"),
        known_rules=_RULES,
        overrides=overrides or {},
        seed=seed,
        files=FilesOf.NOBODY,
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
