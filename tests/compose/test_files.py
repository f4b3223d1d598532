"""The committed Compose files are valid and complete and contain no rendered secrets."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import ComposeSpecification  # type: ignore[attr-defined]

from trading.deploy.secrets import files
from trading.hosting.settings import load_settings
from trading.scenario.signing import generate_key_pair
from trading.topology import INFRASTRUCTURE, PUBLISHED, SERVICES, callers, may_connect

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("docker-compose.yml", "docker-compose.test.yml", "docker-compose.prod.yml")


def compose(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_the_specification_allows(name: str) -> None:
    ComposeSpecification.model_validate(compose(name))


def test_the_validation_would_notice() -> None:
    wrong = compose(NAMES[0])
    wrong["services"]["exchange"]["networks"] = 5
    with pytest.raises(ValueError, match="networks"):
        ComposeSpecification.model_validate(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_everybody_is_in_the_networks_of_those_that_it_calls(name: str) -> None:
    services = compose(name)["services"]
    for caller in SERVICES:
        for callee in (*SERVICES, *INFRASTRUCTURE):
            if callee in services and caller != callee:
                allowed = callee in SERVICES and may_connect(caller, callee)
                allowed |= callee in INFRASTRUCTURE and caller in callers(callee)
                assert (callee in services[caller]["networks"]) == allowed, (caller, callee)


@pytest.mark.parametrize("name", NAMES)
def test_only_a_callee_has_its_alias_and_listens_there(name: str) -> None:
    services = compose(name)["services"]
    for service in SERVICES:
        alias = f"trading-{service}"
        assert services[service]["environment"]["BIND_HOST"] == f"127.0.0.1,{alias}"
        holders = {
            (other, network)
            for other, definition in services.items()
            for network, options in (definition.get("networks") or {}).items()
            if alias in (options or {}).get("aliases", [])
        }
        assert holders == {(service, service)}


@pytest.mark.parametrize("name", NAMES)
def test_every_mounted_file_is_there(name: str) -> None:
    for config in compose(name).get("configs", {}).values():
        assert (ROOT / config["file"]).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_each_component_s_secrets_are_mounted_by_it_alone(name: str) -> None:
    services = compose(name)["services"]
    for component, definition in services.items():
        for volume in definition.get("volumes", []):
            source = volume["source"]
            if volume["target"] == "/run/secrets/trading":
                assert source in (f"{component}-secrets",) or source.endswith(f"}}/{component}")
            elif component != "secrets":
                assert not source.endswith("-secrets")
            if component in files() and volume["target"] == "/run/secrets/trading":
                required = {
                    value.rsplit("/", 1)[1]
                    for key, value in definition.get("environment", {}).items()
                    if key.endswith("_FILE") and value.startswith("/run/secrets/trading/")
                }
                assert required <= files()[component]


def test_the_key_for_verdicts_is_a_file_that_the_coordinator_alone_may_be_given() -> None:
    """Without a key, the coordinator gets an empty file and an empty variable."""
    path = "/run/secrets/signing/signing-key"
    for name in NAMES:
        mounts, variables = {}, {}
        for component, definition in compose(name)["services"].items():
            if "SIGNING_KEY" in str(definition):
                (mounts[component],) = (
                    v for v in definition["volumes"] if "SIGNING" in v["source"]
                )
                variables[component] = definition["environment"]["SIGNING_KEY_FILE"]
        if name == "docker-compose.prod.yml":
            # No chaos, no verdicts.
            assert mounts == variables == {}
            continue
        assert variables == {"test-coordinator": f"${{SIGNING_KEY_FILE:+{path}}}"}
        assert mounts == {
            "test-coordinator": {
                "type": "bind",
                "source": "${SIGNING_KEY_FILE:-/dev/null}",
                "target": path,
                "read_only": True,
                "bind": {"create_host_path": False},
            }
        }


def test_a_variable_that_names_no_file_is_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose passes an unset variable as an empty text."""
    key, _ = generate_key_pair()
    (tmp_path / "key").write_text(key)
    monkeypatch.chdir(tmp_path)
    for path, expected in (("", None), (str(tmp_path / "key"), key.strip())):
        monkeypatch.setenv("SIGNING_KEY_FILE", path)
        signing_key = load_settings().signing_key
        assert (signing_key.get_secret_value() if signing_key else None) == expected


def test_the_fixed_ports_are_published_on_loopback_by_the_edge_alone() -> None:
    services = compose(NAMES[0])["services"]
    ports = {p["target"] for p in services["edge"]["ports"]}
    expected = {s.port for s in SERVICES.values()}
    expected |= {next(iter(INFRASTRUCTURE[n].ports)) for n in PUBLISHED if n in INFRASTRUCTURE}
    assert ports == expected
    assert {p["host_ip"] for p in services["edge"]["ports"]} == {"127.0.0.1"}
    assert [name for name, s in services.items() if "ports" in s] == ["edge"]


def test_production_opens_its_pages_alone() -> None:
    edge = compose("docker-compose.prod.yml")["services"]["edge"]
    assert [p["published"] for p in edge["ports"]] == ["3000", "8084"]


def test_production_has_no_chaos_and_makes_no_secrets() -> None:
    services = compose("docker-compose.prod.yml")["services"]
    assert "secrets" not in services
    for name in SERVICES:
        environment = services[name]["environment"]
        assert "CHAOS_TOKEN_FILE" not in environment
        assert environment["ENABLE_CHAOS_SCENARIOS"].endswith(":-false}")
