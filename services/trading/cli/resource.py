"""``trading scenario run --on kubernetes``: through the Kubernetes API."""

from collections.abc import Mapping
from pathlib import Path

import click

from trading.cli.run import EXIT_CODES
from trading.cli.wrong_input import WrongInput, wrong_input


def run_resource(
    scenario: str, seed: int | None, overrides: Mapping[str, str], env: str, *, detach: bool
) -> int:
    """Apply it, follow it to its verdict; the exit code. What is wrong with the scenario is said
    before anything is applied.
    """
    import yaml

    from trading.deploy.environments import ENVIRONMENTS, DeploymentError
    from trading.deploy.scenario_resource import ScenarioResource, Story, summary
    from trading.embedded.api import load_scenario
    from trading.embedded.library import resolve
    from trading.scenario.overrides import apply_override

    with wrong_input():
        load_scenario(scenario, seed=seed, overrides=overrides)
        document = yaml.safe_load(resolve(scenario).read_text(encoding="utf-8"))
    for key, text in overrides.items():
        apply_override(document, key, text)
    if seed is not None:
        document["spec"]["seed"] = seed
    name = document["metadata"]["name"]
    resource = ScenarioResource(ENVIRONMENTS[env], Path.cwd(), name)
    story = Story(click.echo)
    try:
        resource.apply(document)
        click.echo(f"chaosscenario {name} in {resource.namespace}")
        if detach:
            return 0
        for status in resource.follow():
            story.see(status)
    except DeploymentError as error:
        raise WrongInput(str(error)) from error
    click.echo()
    for line in summary(status):
        click.echo(line)
    return EXIT_CODES[status["verdict"]]
