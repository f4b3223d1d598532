"""From manifests to a Compose file: every field has its place, or stops the generator."""

from pathlib import PurePosixPath
from typing import Any

import pytest

from tests.compose.manifests import manifests
from trading.compose.document import Document, document
from trading.compose.manifests import NotUnderstood, read
from trading.compose.translate import cpus, memory


def made(found: list[dict[str, Any]], **files: PurePosixPath) -> Document:
    return document(read(found), project="trading-dev", environment="dev", chart_files=files)


def test_a_deployment_becomes_a_service() -> None:
    service = made(manifests()).compose["services"]["exchange"]
    assert service["image"] == "${TRADING_IMAGE:-trading-ecosystem:0.1.0}"
    assert service["command"] == ["serve", "exchange"]
    assert service["environment"] == {
        "SIM_SPEED": "${SIM_SPEED:-1}",
        "MARKET_DATA_URL": "http://trading-market-data:8082",
        "PRICE": "5$$",
        "BIND_HOST": "127.0.0.1,trading-exchange",
    }
    assert (service["user"], service["read_only"]) == ("10001:10001", True)
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp:uid=10001,gid=10001,mode=1777"]  # noqa: S108
    assert service["deploy"]["resources"]["limits"] == {"cpus": "0.5", "memory": "512m"}
    assert service["stop_grace_period"] == "20s"
    check = service["healthcheck"]
    assert check["test"][-1] == "http://127.0.0.1:8080/health"
    assert (check["interval"], check["start_period"]) == ("5s", "90s")


def test_only_the_callee_has_its_name_in_its_network() -> None:
    found = manifests()
    other, service = manifests()[:2]
    for manifest in (other, service):
        manifest["metadata"] = {
            "name": "trading-risk-monitor",
            "labels": {"app.kubernetes.io/component": "risk-monitor"},
        }
    other["spec"]["template"]["spec"]["volumes"][0] = {"name": "secrets", "emptyDir": {}}
    compose = made([*found, other, service]).compose
    assert compose["services"]["exchange"]["networks"] == {
        "exchange": {"aliases": ["trading-exchange"]}
    }
    assert compose["services"]["risk-monitor"]["networks"] == {
        "risk-monitor": {"aliases": ["trading-risk-monitor"]},
        "exchange": {},
    }
    assert compose["networks"]["exchange"] == {"internal": True}


def test_no_secret_of_the_render_is_in_the_file() -> None:
    compose = made(manifests()).compose
    assert "secret-of-a-render" not in str(compose) and "c2VjcmV0" not in str(compose)
    mounts = compose["services"]["exchange"]["volumes"]
    assert {"exchange-secrets"} == {m["source"] for m in mounts}
    assert all(m["read_only"] for m in mounts)
    maker = compose["services"]["secrets"]
    assert maker["network_mode"] == "none" and maker["command"][:2] == ["secrets", "/made"]
    depends = compose["services"]["exchange"]["depends_on"]
    assert depends["secrets"] == {"condition": "service_completed_successfully"}


def test_without_chaos_no_token_for_it_is_made() -> None:
    found = manifests()
    del found[2]["data"]["chaos-token"]
    assert made(found).compose["services"]["secrets"]["command"][-1] == "--no-chaos"


def test_an_existing_secret_is_a_folder_that_must_be_named() -> None:
    found = [m for m in manifests() if m["kind"] != "Secret"]
    compose = made(found).compose
    assert "secrets" not in compose["services"]
    (mount,) = compose["services"]["exchange"]["volumes"]
    assert mount["source"].startswith("${TRADING_SECRETS_DIR:?")
    assert mount["source"].endswith("}/exchange")
    assert mount["bind"] == {"create_host_path": False}


def test_a_secret_that_may_be_left_out_is_one_file_that_a_variable_names() -> None:
    found = manifests()
    item = {"key": "signing-key", "path": "key"}
    pod(found)["volumes"][0]["secret"] = {"secretName": "signing-key", "items": [item]}
    pod(found)["containers"][0]["env"].append({"name": "SIGNING_KEY_FILE", "value": "/run/x/key"})
    service = made(found).compose["services"]["exchange"]
    (mount,) = service["volumes"]
    assert mount["source"] == "${SIGNING_KEY_FILE:-/dev/null}"
    assert mount["target"] == "/run/secrets/trading/key"
    assert service["environment"]["SIGNING_KEY_FILE"] == "${SIGNING_KEY_FILE:+/run/x/key}"
    pod(found)["volumes"][0]["secret"]["items"] = []
    with pytest.raises(NotUnderstood, match="Secret signing-key must be one file"):
        made(found)


def test_configuration_is_mounted_from_the_chart_where_it_is_there_word_for_word() -> None:
    written = made(manifests())
    assert written.files == {PurePosixPath("compose/dev/exchange/fees.yaml"): "maker: 0\n"}
    where = PurePosixPath("charts/trading/files/fees.yaml")
    used = document(
        read(manifests()), project="x", environment="dev", chart_files={"maker: 0\n": where}
    )
    assert used.files == {}
    assert used.compose["configs"] == {
        "exchange-fees-yaml": {"file": "./charts/trading/files/fees.yaml"}
    }
    (mounted,) = used.compose["services"]["exchange"]["configs"]
    assert mounted == {"source": "exchange-fees-yaml", "target": "/etc/exchange/fees.yaml"}


def test_the_edge_alone_publishes_on_loopback() -> None:
    services = made(manifests()).compose["services"]
    assert {name for name, s in services.items() if "ports" in s} == {"edge"}
    assert services["edge"]["ports"] == [
        {"target": 8080, "published": "8080", "host_ip": "127.0.0.1", "protocol": "tcp"}
    ]
    assert services["edge"]["command"] == ["8080=trading-exchange:8080"]


def ingress(service: str) -> dict[str, Any]:
    backend = {"service": {"name": service, "port": {"number": 8080}}}
    rule = {"host": "x.example", "http": {"paths": [{"path": "/", "pathType": "Prefix"}]}}
    rule["http"]["paths"][0]["backend"] = backend  # type: ignore[index]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "trading"},
        "spec": {"rules": [rule], "tls": [{"hosts": ["x.example"], "secretName": "x"}]},
    }


def test_what_an_ingress_opens_is_published_for_the_proxy_of_the_host() -> None:
    found = manifests()
    service = next(m for m in found if m["kind"] == "Service")
    service["spec"]["type"] = "ClusterIP"
    assert "edge" not in made(found).compose["services"]
    found.append(ingress(service["metadata"]["name"]))
    assert made(found).compose["services"]["edge"]["command"] == ["8080=trading-exchange:8080"]
    with pytest.raises(NotUnderstood, match="Ingress trading: no Service other"):
        made([*found, ingress("other")])


def pod(found: list[dict[str, Any]]) -> Any:
    return found[0]["spec"]["template"]["spec"]


def change_host_network(found: list[dict[str, Any]]) -> None:
    pod(found)["hostNetwork"] = True


def change_value_from(found: list[dict[str, Any]]) -> None:
    pod(found)["containers"][0]["env"][0] = {"name": "X", "valueFrom": {"secretKeyRef": {}}}


def change_root(found: list[dict[str, Any]]) -> None:
    pod(found)["securityContext"]["runAsUser"] = 0


def change_port(found: list[dict[str, Any]]) -> None:
    found[1]["spec"]["ports"][0]["targetPort"] = 9999


def change_kind(found: list[dict[str, Any]]) -> None:
    found.append({"kind": "DaemonSet", "metadata": {"name": "x"}})


def change_sidecar(found: list[dict[str, Any]]) -> None:
    pod(found)["containers"].append({"name": "b", "image": "b:1"})


def change_argument(found: list[dict[str, Any]]) -> None:
    pod(found)["containers"][0]["args"] = ["serve", "$(SERVICE)"]


def change_mount(found: list[dict[str, Any]]) -> None:
    del pod(found)["volumes"][1]


def change_config(found: list[dict[str, Any]]) -> None:
    pod(found)["volumes"][2]["configMap"]["name"] = "elsewhere"


def change_volume(found: list[dict[str, Any]]) -> None:
    pod(found)["volumes"][1] = {"name": "tmp", "hostPath": {"path": "/"}}


def change_policy(found: list[dict[str, Any]]) -> None:
    found[4]["spec"]["podSelector"] = {"matchLabels": {"tier": "front"}}


def change_expression(found: list[dict[str, Any]]) -> None:
    found[4]["spec"]["podSelector"] = {"matchExpressions": []}


def change_everybody(found: list[dict[str, Any]]) -> None:
    found[4]["spec"]["podSelector"] = {}


def change_nameless(found: list[dict[str, Any]]) -> None:
    del found[1]


def change_capability(found: list[dict[str, Any]]) -> None:
    pod(found)["containers"][0]["securityContext"]["capabilities"]["add"] = ["NET_ADMIN"]


@pytest.mark.parametrize(
    "change,said",
    [
        (change_host_network, "Deployment trading-exchange: .*hostNetwork"),
        (change_value_from, "valueFrom"),
        (change_root, "not root"),
        (change_port, "trading-exchange: port 8080 leads to 9999"),
        (change_kind, "DaemonSet x: this kind is not known"),
        (change_sidecar, "more than one container"),
        (change_argument, r"\$\(SERVICE\)"),
        (change_mount, "mounts tmp, which is no volume"),
        (change_config, "no ConfigMap elsewhere"),
        (change_volume, "hostPath"),
        (change_policy, "not chosen by app.kubernetes.io/component"),
        (change_expression, "matchExpressions"),
        (change_everybody, "rules for every pod"),
        (change_capability, "privileges"),
        (change_nameless, "exchange: no Service"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_understood_stops_the_generator(change: Any, said: str) -> None:
    found = manifests()
    change(found)
    with pytest.raises(NotUnderstood, match=said):
        made(found)


@pytest.mark.parametrize(
    "given,wanted", [("128Mi", "128m"), ("1Gi", "1g"), ("512Ki", "512k"), ("1000", "1000b")]
)
def test_memory(given: str, wanted: str) -> None:
    assert memory(given) == wanted


def test_memory_in_another_unit_stops_the_generator() -> None:
    with pytest.raises(NotUnderstood, match="memory 1M"):
        memory("1M")


@pytest.mark.parametrize("given,wanted", [("500m", "0.5"), ("2", "2"), ("1500m", "1.5")])
def test_cpus(given: str, wanted: str) -> None:
    assert cpus(given) == wanted
