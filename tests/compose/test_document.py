"""The translation of manifests to a Compose file; unsupported fields stop the generator."""

from pathlib import PurePosixPath
from typing import Any

import pytest

from tests.compose.manifests import manifests
from trading.compose.document import Document, document
from trading.compose.manifests import UnsupportedManifest, read
from trading.compose.translate import cpus, memory


def compose_document(documents: list[dict[str, Any]], **files: PurePosixPath) -> Document:
    return document(read(documents), project="trading-dev", environment="dev", chart_files=files)


def test_a_deployment_becomes_a_service() -> None:
    service = compose_document(manifests()).compose["services"]["exchange"]
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
    documents = manifests()
    other, service = manifests()[:2]
    for manifest in (other, service):
        manifest["metadata"] = {
            "name": "trading-risk-monitor",
            "labels": {"app.kubernetes.io/component": "risk-monitor"},
        }
    other["spec"]["template"]["spec"]["volumes"][0] = {"name": "secrets", "emptyDir": {}}
    compose = compose_document([*documents, other, service]).compose
    assert compose["services"]["exchange"]["networks"] == {
        "exchange": {"aliases": ["trading-exchange"]}
    }
    assert compose["services"]["risk-monitor"]["networks"] == {
        "risk-monitor": {"aliases": ["trading-risk-monitor"]},
        "exchange": {},
    }
    assert compose["networks"]["exchange"] == {"internal": True}


def test_no_secret_of_the_render_is_in_the_file() -> None:
    compose = compose_document(manifests()).compose
    assert "secret-of-a-render" not in str(compose) and "c2VjcmV0" not in str(compose)
    mounts = compose["services"]["exchange"]["volumes"]
    assert {"exchange-secrets"} == {m["source"] for m in mounts}
    assert all(m["read_only"] for m in mounts)
    maker = compose["services"]["secrets"]
    assert maker["network_mode"] == "none" and maker["command"][:2] == ["secrets", "/made"]
    depends = compose["services"]["exchange"]["depends_on"]
    assert depends["secrets"] == {"condition": "service_completed_successfully"}


def test_without_chaos_no_token_for_it_is_made() -> None:
    documents = manifests()
    del documents[2]["data"]["chaos-token"]
    assert compose_document(documents).compose["services"]["secrets"]["command"][-1] == "--no-chaos"


def test_an_existing_secret_is_a_folder_that_must_be_named() -> None:
    documents = [m for m in manifests() if m["kind"] != "Secret"]
    compose = compose_document(documents).compose
    assert "secrets" not in compose["services"]
    (mount,) = compose["services"]["exchange"]["volumes"]
    assert mount["source"].startswith("${TRADING_SECRETS_DIR:?")
    assert mount["source"].endswith("}/exchange")
    assert mount["bind"] == {"create_host_path": False}


def test_a_secret_that_may_be_left_out_is_one_file_that_a_variable_names() -> None:
    documents = manifests()
    item = {"key": "signing-key", "path": "key"}
    pod(documents)["volumes"][0]["secret"] = {"secretName": "signing-key", "items": [item]}
    pod(documents)["containers"][0]["env"].append(
        {"name": "SIGNING_KEY_FILE", "value": "/run/x/key"}
    )
    service = compose_document(documents).compose["services"]["exchange"]
    (mount,) = service["volumes"]
    assert mount["source"] == "${SIGNING_KEY_FILE:-/dev/null}"
    assert mount["target"] == "/run/secrets/trading/key"
    assert service["environment"]["SIGNING_KEY_FILE"] == "${SIGNING_KEY_FILE:+/run/x/key}"
    pod(documents)["volumes"][0]["secret"]["items"] = []
    with pytest.raises(UnsupportedManifest, match="Secret signing-key must be one file"):
        compose_document(documents)


def test_configuration_is_mounted_from_the_chart_where_it_is_there_word_for_word() -> None:
    generated = compose_document(manifests())
    assert generated.files == {PurePosixPath("compose/dev/exchange/fees.yaml"): "maker: 0\n"}
    path = PurePosixPath("charts/trading/files/fees.yaml")
    used = document(
        read(manifests()), project="x", environment="dev", chart_files={"maker: 0\n": path}
    )
    assert used.files == {}
    assert used.compose["configs"] == {
        "exchange-fees-yaml": {"file": "./charts/trading/files/fees.yaml"}
    }
    (mounted,) = used.compose["services"]["exchange"]["configs"]
    assert mounted == {"source": "exchange-fees-yaml", "target": "/etc/exchange/fees.yaml"}


def test_the_edge_alone_publishes_on_loopback() -> None:
    services = compose_document(manifests()).compose["services"]
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
    documents = manifests()
    service = next(m for m in documents if m["kind"] == "Service")
    service["spec"]["type"] = "ClusterIP"
    assert "edge" not in compose_document(documents).compose["services"]
    documents.append(ingress(service["metadata"]["name"]))
    assert compose_document(documents).compose["services"]["edge"]["command"] == [
        "8080=trading-exchange:8080"
    ]
    with pytest.raises(UnsupportedManifest, match="Ingress trading: no Service other"):
        compose_document([*documents, ingress("other")])


def pod(documents: list[dict[str, Any]]) -> Any:
    return documents[0]["spec"]["template"]["spec"]


def change_host_network(documents: list[dict[str, Any]]) -> None:
    pod(documents)["hostNetwork"] = True


def change_value_from(documents: list[dict[str, Any]]) -> None:
    pod(documents)["containers"][0]["env"][0] = {"name": "X", "valueFrom": {"secretKeyRef": {}}}


def change_root(documents: list[dict[str, Any]]) -> None:
    pod(documents)["securityContext"]["runAsUser"] = 0


def change_port(documents: list[dict[str, Any]]) -> None:
    documents[1]["spec"]["ports"][0]["targetPort"] = 9999


def change_kind(documents: list[dict[str, Any]]) -> None:
    documents.append({"kind": "DaemonSet", "metadata": {"name": "x"}})


def change_sidecar(documents: list[dict[str, Any]]) -> None:
    pod(documents)["containers"].append({"name": "b", "image": "b:1"})


def change_argument(documents: list[dict[str, Any]]) -> None:
    pod(documents)["containers"][0]["args"] = ["serve", "$(SERVICE)"]


def change_mount(documents: list[dict[str, Any]]) -> None:
    del pod(documents)["volumes"][1]


def change_config(documents: list[dict[str, Any]]) -> None:
    pod(documents)["volumes"][2]["configMap"]["name"] = "elsewhere"


def change_volume(documents: list[dict[str, Any]]) -> None:
    pod(documents)["volumes"][1] = {"name": "tmp", "hostPath": {"path": "/"}}


def change_policy(documents: list[dict[str, Any]]) -> None:
    documents[4]["spec"]["podSelector"] = {"matchLabels": {"tier": "front"}}


def change_expression(documents: list[dict[str, Any]]) -> None:
    documents[4]["spec"]["podSelector"] = {"matchExpressions": []}


def change_everybody(documents: list[dict[str, Any]]) -> None:
    documents[4]["spec"]["podSelector"] = {}


def change_nameless(documents: list[dict[str, Any]]) -> None:
    del documents[1]


def change_capability(documents: list[dict[str, Any]]) -> None:
    pod(documents)["containers"][0]["securityContext"]["capabilities"]["add"] = ["NET_ADMIN"]


@pytest.mark.parametrize(
    "change,message",
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
def test_what_is_not_understood_stops_the_generator(change: Any, message: str) -> None:
    documents = manifests()
    change(documents)
    with pytest.raises(UnsupportedManifest, match=message):
        compose_document(documents)


@pytest.mark.parametrize(
    "quantity,expected", [("128Mi", "128m"), ("1Gi", "1g"), ("512Ki", "512k"), ("1000", "1000b")]
)
def test_memory(quantity: str, expected: str) -> None:
    assert memory(quantity) == expected


def test_memory_in_another_unit_stops_the_generator() -> None:
    with pytest.raises(UnsupportedManifest, match="memory 1M"):
        memory("1M")


@pytest.mark.parametrize("quantity,expected", [("500m", "0.5"), ("2", "2"), ("1500m", "1.5")])
def test_cpus(quantity: str, expected: str) -> None:
    assert cpus(quantity) == expected
