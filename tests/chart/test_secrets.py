"""Secrets: each component's own, made once, and shown nowhere."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.chart.rendering import ALL, COMPONENT, Manifest, manifests, of_kind, pods, rendered
from trading.deploy.secrets import files, make
from trading.topology import SERVICES, may_connect

Texts = dict[str, dict[str, str]]


def texts(name: str) -> Texts:
    """Component -> file -> what is in it."""
    return texts_of(manifests(name))


def texts_of(found: list[Manifest]) -> Texts:
    return {
        one["metadata"]["labels"][COMPONENT]: {
            file: base64.b64decode(data).decode() for file, data in one["data"].items()
        }
        for one in of_kind(found, "Secret").values()
    }


def test_they_are_the_files_that_the_command_makes() -> None:
    assert {name: frozenset(found) for name, found in texts("dev").items()} == files(chaos=True)


def test_by_tls_they_have_the_addresses_that_the_command_makes(tmp_path: Path) -> None:
    make(tmp_path, tls=True)
    found = texts_of(rendered("--set", "tls.required=true", "--set", "tls.existingSecret=mine"))
    for name in SERVICES:
        for file in {"database-url", "redis-url"} & found[name].keys():
            mine, chart = (
                urlsplit(t) for t in ((tmp_path / name / file).read_text(), found[name][file])
            )
            assert (mine.scheme, mine.query, mine.hostname) == (
                chart.scheme,
                chart.query,
                chart.hostname,
            )


def test_a_service_knows_the_digests_of_those_who_may_call_it() -> None:
    found = texts("dev")
    tokens = {name: found[name]["link-token"] for name in SERVICES}
    assert len(set(tokens.values())) == len(SERVICES)
    for name in SERVICES:
        assert json.loads(found[name]["link-peers"]) == {
            other: hashlib.sha256(token.encode()).hexdigest()
            for other, token in tokens.items()
            if may_connect(other, name)
        }


def test_passwords_agree_with_the_addresses_they_are_in() -> None:
    for prefix in ("trading", "range"):
        found = texts_of(rendered("--set", f"fullnameOverride={prefix}"))
        for service in SERVICES:
            url = urlsplit(found[service]["database-url"])
            assert (url.username, url.password) == (
                service.replace("-", "_"),
                found["database"][service],
            )
            assert (url.hostname, url.port, url.path) == (f"{prefix}-postgres", 5432, "/trading")
        admin = urlsplit(found["database"]["admin-url"])
        assert (admin.username, admin.password) == ("postgres", found["postgres"]["password"])
        password = found["redis"]["password"]
        assert found["redis"]["redis.conf"] == f"requirepass {password}\n"
        for service in ("market-data", "trading-engine"):
            assert found[service]["redis-url"] == f"redis://:{password}@{prefix}-redis:6379/0"


def test_with_tls_the_addresses_ask_for_it() -> None:
    made = rendered("--set", "tls.required=true", "--set", "tls.existingSecret=ours")
    for name, found in texts_of(made).items():
        for file in ("database-url", "admin-url"):
            assert "sslmode=verify-full" in found.get(file, "sslmode=verify-full"), name
        assert found.get("redis-url", "rediss://").startswith("rediss://"), name


def test_with_tls_the_stores_refuse_to_do_without() -> None:
    found = {pod.component: pod for pod in pods(manifests("prod"))}
    redis = found["redis"].container["args"]
    assert redis[redis.index("--port") + 1] == "0"
    assert "hba_file=/etc/postgresql/pg_hba.conf" in found["postgres"].container["args"]
    rules = of_kind(manifests("prod"), "ConfigMap")["trading-postgres"]["data"]["pg_hba.conf"]
    ways = {line.split()[0] for line in rules.splitlines() if line and line[0] != "#"}
    assert ways == {"local", "hostssl"}


def test_only_who_shows_a_token_has_it() -> None:
    found = texts("dev")
    for token, holders in (
        ("chaos-token", {"test-coordinator", "operator"}),
        ("read-token", {"risk-monitor"}),
    ):
        assert {name for name in found if token in found[name]} == holders
        (text,) = {found[name][token] for name in holders}
        digest = hashlib.sha256(text.encode()).hexdigest()
        assert {found[name][f"{token}-sha256"] for name in SERVICES} == {digest}


def test_no_two_are_alike_but_the_chaos_token() -> None:
    found = texts("dev")
    chaos = {found["test-coordinator"]["chaos-token"], found["operator"]["chaos-token"]}
    assert len(chaos) == 1
    tokens = [found[name]["link-token"] for name in SERVICES]
    passwords = [found["database"][name] for name in SERVICES]
    others = [found["postgres"]["password"], found["redis"]["password"], *chaos]
    own = [found["risk-monitor"]["risk-token"], found["risk-monitor"]["read-token"]]
    made = [*tokens, *passwords, *others, *own, found["exchange"]["api-secret"]]
    assert len(set(made)) == len(made)
    assert min(len(one) for one in made) >= 32


@pytest.mark.parametrize("name", ALL)
def test_no_secret_stands_anywhere_else(name: str) -> None:
    shown = yaml.safe_dump_all(one for one in manifests(name) if one["kind"] != "Secret")
    for component, found in texts(name).items():
        for file, text in found.items():
            for form in (text, base64.b64encode(text.encode()).decode()):
                assert form not in shown, f"{component}/{file}"
    for pod in pods(manifests(name)):
        for one in pod.container.get("env", []):
            assert set(one) == {"name", "value"}
            words = ("TOKEN", "SECRET", "PASSWORD", "API_KEY", "SIGNING_KEY")
            secret = any(word in one["name"] for word in words)
            assert not secret or one["name"].endswith("_FILE") or "AUTH" in one["name"], one


@pytest.mark.parametrize("name", ["dev", "test", "prod"])
def test_each_is_mounted_by_its_component_alone(name: str) -> None:
    for pod in pods(manifests(name)):
        for secret, volume in _mounted(pod.spec).items():
            if secret == "trading-tls":  # noqa: S105 - the name of a Secret
                keys = {one["key"] for one in volume["secret"].get("items", [])}
                assert keys == {"ca.crt"} or pod.component in ("postgres", "redis")
            else:
                assert secret == f"trading-{pod.component}"
            assert volume["secret"]["defaultMode"] == 0o440


@pytest.mark.parametrize("name", ALL)
def test_every_file_that_is_named_is_there(name: str) -> None:
    wanted = files(chaos=name != "prod")
    for pod in pods(manifests(name)):
        for one in pod.container.get("env", []):
            if str(one["value"]).startswith("/run/secrets/trading/"):
                assert one["value"].rsplit("/", 1)[1] in wanted[pod.component], one


def test_existing_ones_are_mounted_instead() -> None:
    found = {pod.component: _mounted(pod.spec) for pod in pods(manifests("everything"))}
    assert set(found["exchange"]) == {"our-exchange"}
    assert set(found["database"]) == {"our-database"}
    assert set(found["market-data"]) == {"range-market-data", "our-price-keys"}
    assert set(found["test-coordinator"]) == {"range-test-coordinator", "our-verdict-key"}
    assert set(found["custodian"]) == {"range-custodian"}
    assert set(texts("everything")) == set(texts("dev")) - {"exchange", "database"}


def _signing(*args: str, name: str = "dev") -> dict[str, tuple[dict[str, Any], str]]:
    """Who mounts a Secret "ours", or is told of a key: the Secret, and where the key shall be."""
    found = {}
    for pod in pods(rendered(*args, values=ALL[name])):
        variables = {one["name"]: one["value"] for one in pod.container.get("env", [])}
        mounted = _mounted(pod.spec).get("ours", {})
        if mounted or any("SIGNING_KEY" in variable for variable in variables):
            found[pod.component] = mounted, variables.get("SIGNING_KEY_FILE", "")
    return found


def test_the_key_for_verdicts_reaches_the_coordinator_alone() -> None:
    ((component, (volume, file)),) = _signing("--set", "signing.existingSecret=ours").items()
    assert component == "test-coordinator"
    assert volume["secret"] == {
        "secretName": "ours",
        "defaultMode": 0o440,
        "items": [{"key": "signing-key", "path": "signing-key"}],
    }
    (pod,) = (p for p in pods(manifests("everything")) if p.component == component)
    (path,) = (
        mount["mountPath"]
        for mount in pod.container["volumeMounts"]
        if mount["name"] == volume["name"]
    )
    assert file == f"{path}/signing-key"


def test_no_key_for_verdicts_is_asked_for_that_is_not_there_or_has_nothing_to_sign() -> None:
    assert _signing() == {}
    without = ("--set", "chaos.enabled=false", "--set", "signing.existingSecret=ours")
    assert _signing(*without) == {}
    assert _signing("--set", "signing.existingSecret=ours", name="prod") == {}


def test_they_are_kept_and_production_makes_none() -> None:
    for one in of_kind(manifests("dev"), "Secret").values():
        assert one["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert of_kind(manifests("prod"), "Secret") == {}


def test_pods_start_anew_with_other_secrets() -> None:
    """Made up anew in each render here, where there is no cluster that has some."""
    first, second = (
        {
            pod.component: pod.annotations.get("checksum/secret")
            for pod in pods(rendered())
            if pod.kind != "Pod"
        }
        for _ in range(2)
    )
    changed = {name for name in first if first[name] != second[name]}
    assert changed == set(texts("dev"))


def _mounted(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        volume["secret"]["secretName"]: volume
        for volume in spec.get("volumes", [])
        if "secret" in volume
    }
