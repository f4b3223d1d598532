"""``trading scenario run --on kubernetes``: through the Kubernetes API."""

from collections.abc import Mapping
from pathlib import Path

from trading.cli.run import EXIT_CODES
from trading.cli.said import say
from trading.cli.wrong_input import WrongInput, wrong_input


def run_resource(
    scenario: str, seed: int | None, overrides: Mapping[str, str], env: str, *, detach: bool
) -> int:
    """Apply it, follow it to its verdict; the exit code. What is wrong with the scenario is said
    before anything is applied.
    """
    from trading.deploy.environments import ENVIRONMENTS, DeploymentError
    from trading.deploy.scenario_resource import ScenarioResource, Story, summary
    from trading.embedded.api import load_scenario
    from trading.report.origin import changes

    with wrong_input():
        loaded = load_scenario(scenario, seed=seed, overrides=overrides)
    document, made_with = loaded.resource, loaded.plan.overrides
    name = document["metadata"]["name"]
    resource = ScenarioResource(ENVIRONMENTS[env], Path.cwd(), name)
    story = Story(say)
    try:
        resource.apply(document)
        changed = f", changed: {changes(made_with)}" if made_with else ""
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
    return EXIT_CODES[status["verdict"]]
