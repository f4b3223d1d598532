"""Loads a scenario together with the monitors of the user's that it shall judge."""

from collections.abc import Mapping, Sequence
from os import PathLike

import msgspec
import yaml

from trading.embedded.api import load_scenario
from trading.monitors.sources import MonitorSource, WrongMonitors
from trading.scenario.load import LoadedScenario


def load_with_monitors(
    scenario: str | PathLike[str],
    sources: Sequence[MonitorSource],
    *,
    seed: int | None = None,
    overrides: Mapping[str, str] | None = None,
) -> LoadedScenario:
    """Load a scenario, and let it judge the monitors ``sources``: those that it names, or, if it
    names none, these instead of the built-in one.

    Raises ScenarioError, which lists every mistake, and WrongMonitors if the scenario names other
    monitors.
    """
    overrides = dict(overrides or {})
    loaded = load_scenario(scenario, seed=seed, overrides=overrides)
    names = [source.name for source in sources]
    if names and not loaded.plan.monitors:
        overrides["monitors"] = yaml.safe_dump(names, default_flow_style=True).strip()
        loaded = load_scenario(scenario, seed=seed, overrides=overrides)
    judged = loaded.plan.own_monitors
    for name in judged:
        if name not in names:
            raise WrongMonitors(
                f"the scenario judges the monitor '{name}':"
                f" say what it is with --monitor {name}=exec:COMMAND or {name}=module:Class"
            )
    for name in names:
        if name not in judged:
            raise WrongMonitors(
                f"the scenario judges {', '.join(loaded.plan.monitors)}, and no monitor '{name}'"
            )
    programs = {source.name: source.program for source in sources}
    return loaded._replace(plan=msgspec.structs.replace(loaded.plan, monitor_programs=programs))
