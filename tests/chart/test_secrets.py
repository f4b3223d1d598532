"""Each component has Secrets of its own, which are generated once and appear nowhere else."""

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
    """Return the decoded files of each Secret, by component and file name."""
    return texts_of(manifests(name))


def texts_of(rendered_manifests: list[Manifest]) -> Texts:
    """Return the decoded files of each Secret in these manifests, by component and file name."""
    return {
        secret["metadata"]["labels"][COMPONENT]: {
            file: base64.b64decode(data).decode() for file, data in secret["data"].items()
        }
        for secret in of_kind(rendered_manifests, "Secret").values()
    }


def test_they_are_the_files_that_the_command_makes() -> None:
    assert {name: frozenset(secrets) for name, secrets in texts("dev").items()} == files(chaos=True)


def test_by_tls_they_have_the_addresses_that_the_command_makes(tmp_path: Path) -> None:
    make(tmp_path, tls=True)
    secrets = texts_of(rendered("--set", "tls.required=true", "--set", "tls.existingSecret=mine"))
    for name in SERVICES:
        for file in {"database-url", "redis-url"} & secrets[name].keys():
            mine, chart = (
                urlsplit(t) for t in ((tmp_path / name / file).read_text(), secrets[name][file])
            )
            assert (mine.scheme, mine.query, mine.hostname) == (
                chart.scheme,
                chart.query,
                chart.hostname,
            )


def test_a_service_knows_the_digests_of_those_who_may_call_it() -> None:
    secrets = texts("dev")
    tokens = {name: secrets[name]["link-token"] for name in SERVICES}
    assert len(set(tokens.values())) == len(SERVICES)
    for name in SERVICES:
        assert json.loads(secrets[name]["link-peers"]) == {
            other: hashlib.sha256(token.encode()).hexdigest()
            for other, token in tokens.items()
            if may_connect(other, name)
        }


def test_passwords_agree_with_the_addresses_they_are_in() -> None:
    for prefix in ("trading", "range"):
        secrets = texts_of(rendered("--set", f"fullnameOverride={prefix}"))
        for service in SERVICES:
            url = urlsplit(secrets[service]["database-url"])
            assert (url.username, url.password) == (
                service.replace("-", "_"),
                secrets["database"][service],
            )
            assert (url.hostname, url.port, url.path) == (f"{prefix}-postgres", 5432, "/trading")
        admin = urlsplit(secrets["database"]["admin-url"])
        assert (admin.username, admin.password) == ("postgres", secrets["postgres"]["password"])
        password = secrets["redis"]["password"]
        assert secrets["redis"]["redis.conf"] == f"requirepass {password}\n"
        for service in ("market-data", "trading-engine"):
            assert secrets[service]["redis-url"] == f"redis://:{password}@{prefix}-redis:6379/0"


def test_with_tls_the_addresses_ask_for_it() -> None:
    rendered_manifests = rendered("--set", "tls.required=true", "--set", "tls.existingSecret=ours")
    for name, component_files in texts_of(rendered_manifests).items():
        for file in ("database-url", "admin-url"):
            assert "sslmode=verify-full" in component_files.get(file, "sslmode=verify-full"), name
        assert component_files.get("redis-url", "rediss://").startswith("rediss://"), name


def test_with_tls_the_stores_refuse_to_do_without() -> None:
    by_component = {pod.component: pod for pod in pods(manifests("prod"))}
    redis = by_component["redis"].container["args"]
    assert redis[redis.index("--port") + 1] == "0"
    assert "hba_file=/etc/postgresql/pg_hba.conf" in by_component["postgres"].container["args"]
    rules = of_kind(manifests("prod"), "ConfigMap")["trading-postgres"]["data"]["pg_hba.conf"]
    ways = {line.split()[0] for line in rules.splitlines() if line and line[0] != "#"}
    assert ways == {"local", "hostssl"}


def test_only_who_shows_a_token_has_it() -> None:
    secrets = texts("dev")
    for token, holders in (
        ("chaos-token", {"test-coordinator", "operator"}),
        ("read-token", {"risk-monitor"}),
    ):
        assert {name for name in secrets if token in secrets[name]} == holders
        (text,) = {secrets[name][token] for name in holders}
        digest = hashlib.sha256(text.encode()).hexdigest()
        assert {secrets[name][f"{token}-sha256"] for name in SERVICES} == {digest}


def test_no_two_are_alike_but_the_chaos_token() -> None:
    secrets = texts("dev")
    chaos = {secrets["test-coordinator"]["chaos-token"], secrets["operator"]["chaos-token"]}
    assert len(chaos) == 1
    tokens = [secrets[name]["link-token"] for name in SERVICES]
    passwords = [secrets["database"][name] for name in SERVICES]
    others = [secrets["postgres"]["password"], secrets["redis"]["password"], *chaos]
    own = [secrets["risk-monitor"]["risk-token"], secrets["risk-monitor"]["read-token"]]
    secret_texts = [*tokens, *passwords, *others, *own, secrets["exchange"]["api-secret"]]
    assert len(set(secret_texts)) == len(secret_texts)
    assert min(len(secret_text) for secret_text in secret_texts) >= 32


@pytest.mark.parametrize("name", ALL)
def test_no_secret_stands_anywhere_else(name: str) -> None:
    other_manifests = yaml.safe_dump_all(m for m in manifests(name) if m["kind"] != "Secret")
    for component, component_files in texts(name).items():
        for file, text in component_files.items():
            for form in (text, base64.b64encode(text.encode()).decode()):
                assert form not in other_manifests, f"{component}/{file}"
    for pod in pods(manifests(name)):
        for variable in pod.container.get("env", []):
            assert set(variable) == {"name", "value"}
            words = ("TOKEN", "SECRET", "PASSWORD", "API_KEY", "SIGNING_KEY")
            variable_name = variable["name"]
            secret = any(word in variable_name for word in words)
            assert not secret or variable_name.endswith("_FILE") or "AUTH" in variable_name, (
                variable
            )


@pytest.mark.parametrize("name", ["dev", "test", "prod"])
def test_each_is_mounted_by_its_component_alone(name: str) -> None:
    for pod in pods(manifests(name)):
        for secret, volume in _mounted(pod.spec).items():
            if secret == "trading-tls":  # noqa: S105 - the name of a Secret
                keys = {item["key"] for item in volume["secret"].get("items", [])}
                assert keys == {"ca.crt"} or pod.component in ("postgres", "redis")
            else:
                assert secret == f"trading-{pod.component}"
            assert volume["secret"]["defaultMode"] == 0o440


@pytest.mark.parametrize("name", ALL)
def test_every_file_that_is_named_is_there(name: str) -> None:
    expected = files(chaos=name != "prod")
    for pod in pods(manifests(name)):
        for variable in pod.container.get("env", []):
            if str(variable["value"]).startswith("/run/secrets/trading/"):
                assert variable["value"].rsplit("/", 1)[1] in expected[pod.component], variable


def test_existing_ones_are_mounted_instead() -> None:
    mounted = {pod.component: _mounted(pod.spec) for pod in pods(manifests("everything"))}
    assert set(mounted["exchange"]) == {"our-exchange"}
    assert set(mounted["database"]) == {"our-database"}
    assert set(mounted["market-data"]) == {"range-market-data", "our-price-keys"}
    assert set(mounted["test-coordinator"]) == {"range-test-coordinator", "our-verdict-key"}
    assert set(mounted["custodian"]) == {"range-custodian"}
    assert set(texts("everything")) == set(texts("dev")) - {"exchange", "database"}


def _signing(*args: str, name: str = "dev") -> dict[str, tuple[dict[str, Any], str]]:
    """Return the pods that mount the Secret "ours" or have a setting for a signing key: by
    component the volume, and the path of the key.
    """
    mounted_by = {}
    for pod in pods(rendered(*args, values=ALL[name])):
        variables = {
            variable["name"]: variable["value"] for variable in pod.container.get("env", [])
        }
        mounted = _mounted(pod.spec).get("ours", {})
        if mounted or any("SIGNING_KEY" in variable for variable in variables):
            mounted_by[pod.component] = mounted, variables.get("SIGNING_KEY_FILE", "")
    return mounted_by


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
    for secret in of_kind(manifests("dev"), "Secret").values():
        assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert of_kind(manifests("prod"), "Secret") == {}


def test_pods_start_anew_with_other_secrets() -> None:
    """Each render without a cluster generates new secrets."""
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
