"""Runs a scenario through the Kubernetes API, for ``trading scenario run --on kubernetes``."""

from collections.abc import Mapping
from pathlib import Path

from trading.cli.output import say
from trading.cli.run import EXIT_CODES
from trading.cli.wrong_input import WrongInput, wrong_input
from trading.scenario.result import Outcome


def run_resource(
    scenario: str, seed: int | None, overrides: Mapping[str, str], env: str, *, detach: bool
) -> int:
    """Apply a ChaosScenario, follow it to its verdict, and return the exit code.

    With ``detach`` return 0 once it is applied. The scenario is checked before anything is applied;
    raises WrongInput for problems of the scenario or of the cluster.
    """
    from trading.cli.uploads import with_content
    from trading.deploy.environments import ENVIRONMENTS, DeploymentError
    from trading.deploy.scenario_resource import ScenarioResource, Story, summary
    from trading.embedded.api import load_scenario
    from trading.report.origin import changes

    with wrong_input():
        loaded = load_scenario(scenario, seed=seed, overrides=overrides)
    document, effective_overrides = (
        with_content(loaded.resource, loaded.path),
        loaded.plan.overrides,
    )
    name = document["metadata"]["name"]
    resource = ScenarioResource(ENVIRONMENTS[env], Path.cwd(), name)
    story = Story(say)
    try:
        resource.apply(document)
        changed = f", changed: {changes(effective_overrides)}" if effective_overrides else ""
        say(f"chaosscenario {name} in {resource.namespace}{changed}")
        if detach:
            return 0
        for status in resource.follow():
            story.see(status)
    except DeploymentError as error:
        raise WrongInput(str(error)) from error
    say()
    for line in summary(status):
        say(line)
    return EXIT_CODES[Outcome(status["verdict"])]
