"""A value that cannot work is refused, with a message that names it and the reason."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import ALL, CHART, ENVIRONMENTS, of_kind, rendered, run

PROD = ENVIRONMENTS["prod"]


@pytest.mark.parametrize(
    ("values", "setting", "message"),
    [
        ((), "grafna.enabled=true", "additional properties 'grafna' not allowed"),
        ((), "services.exchange.replica=1", "additional properties 'replica' not allowed"),
        ((), "services.exchnge.replicas=1", "additional properties 'exchnge' not allowed"),
        ((), "grafana.enabled=perhaps", "/grafana/enabled"),
        ((), "environment=staging", "/environment"),
        ((), "logLevel=loud", "/logLevel"),
        ((), "image.tag=latest", "/image/tag"),
        ((), "image.digest=sha256:1", "/image/digest"),
        ((), "redis.image=redis:latest", "/redis/image"),
        ((), "postgres.image=postgres", "/postgres/image"),
        ((), "simulation.speed=0", "/simulation/speed"),
        ((), "simulation.speedLimit=20", "additional properties 'speedLimit' not allowed"),
        ((), "postgres.resources.limits.memory=much", "/postgres/resources/limits/memory"),
        ((), "services.trading-engine.replicas=0", "/services/trading-engine/replicas"),
        ((), "services.exchange.env.lower=1", "/services/exchange/env"),
        ((), "services.exchange.replicas=2", "services.exchange.replicas: must be 1"),
        ((), "prometheus.enabled=false", "grafana.enabled: needs prometheus.enabled"),
        ((), "jaeger.enabled=false", "otelCollector.enabled: needs jaeger.enabled"),
        ((), "tls.required=true", "tls.existingSecret: must name a Secret"),
        ((), "signing.key=abc", "additional properties 'key' not allowed"),
        ((), "signing.existingSecret=Ours", "/signing/existingSecret"),
        ((), "compliance.enabled=true", "secrets.create: must be false"),
        ((), "environment=production", "chaos.enabled: must be false"),
        (PROD, "audit.enabled=false", "audit.enabled: the audit cannot be switched off"),
        (PROD, "chaos.enabled=true", "chaos.enabled: must be false"),
        (PROD, "secrets.create=true", "secrets.create: must be false"),
        (PROD, "tls.existingSecret=", "tls.existingSecret: must name a Secret"),
        (PROD, "ingress.tlsSecret=", "ingress.tlsSecret: must be set"),
        (PROD, "tls.required=false", "tls.required: must be true"),
        (PROD, "compliance.enabled=false", "compliance.enabled: must be true"),
    ],
)
def test_impossible_values_are_refused(values: tuple[str, ...], setting: str, message: str) -> None:
    code, _, errors = run("template", "--set", setting, values=values)
    assert code != 0
    assert message in errors


def test_the_services_own_environment_goes_before_the_charts() -> None:
    """Each setting appears once: of two, Kubernetes would use the last one silently."""
    rendered_manifests = rendered("--set", "services.exchange.env.LOG_LEVEL=debug")
    exchange = of_kind(rendered_manifests, "Deployment")["trading-exchange"]
    env = exchange["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [variable["value"] for variable in env if variable["name"] == "LOG_LEVEL"] == ["debug"]


def test_every_value_is_described_and_none_is_unknown() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def check(path: str, part: dict[str, Any], value: Any) -> None:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rsplit("/", 1)[1]]
        assert part.get("description") or not path, f"{path}: has no description"
        if "properties" not in part:
            return
        assert part["additionalProperties"] is False, f"{path}: is open"
        assert set(value) - set(part["properties"]) == set(), path
        # Only the value that Helm itself adds has no default.
        assert set(part["properties"]) - set(value) <= {"global"}, path
        for key, inner in part["properties"].items():
            if key in value:
                check(f"{path}/{key}", inner, value[key])

    check("", schema, values)


def test_the_schema_is_in_the_package(tmp_path: Path) -> None:
    """.helmignore must not exclude a file that a packaged chart needs."""
    copy = tmp_path / "trading"
    shutil.copytree(CHART, copy)
    (copy / "values.schema.json").unlink()
    assert run("template", "--set", "unknown=1", chart=copy)[0] == 0
    assert run("template", "--set", "unknown=1")[0] != 0


@pytest.mark.parametrize("name", ALL)
def test_values_files_say_nothing_that_is_the_default_anyway(name: str) -> None:
    """A file that repeats defaults hides what it changes. Resources are set as a whole."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def repeated(path: str, base: Any, overrides: Any) -> list[str]:
        if isinstance(overrides, dict) and isinstance(base, dict):
            return [
                repetition
                for key, value in overrides.items()
                if key != "resources"
                for repetition in repeated(f"{path}.{key}", base.get(key), value)
            ]
        return [path] if base == overrides else []

    for file in ALL[name]:
        overrides = yaml.safe_load((CHART / file).read_text(encoding="utf-8"))
        assert repeated("", defaults, overrides) == []
