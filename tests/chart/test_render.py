"""Every environment renders to manifests that Kubernetes accepts, and to those that are
committed.
"""

import re

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.chart.golden import DIRECTORY, golden
from tests.chart.rendering import ALL, CHART, COMPONENT, ENVIRONMENTS, manifests, of_kind, run
from tools.chart_tables import texts
from trading.topology import GRAFANA, JAEGER, PROMETHEUS, PUBLISHED, SERVICES, TRADING_ENGINE

#: The oldest version that Chart.yaml allows, and that of the cluster in the tests.
VERSIONS = ("1.29", "1.35")
#: Kinds of the Prometheus operator, which are not part of Kubernetes.
FOREIGN = ("ServiceMonitor", "PrometheusRule")


@pytest.mark.parametrize("name", ALL)
def test_lint_has_nothing_to_say(name: str) -> None:
    code, output, errors = run("lint", "--strict", "--quiet", values=ALL[name])
    assert (code, errors) == (0, ""), output


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ALL)
def test_kubernetes_accepts_every_manifest(name: str, version: str) -> None:
    for manifest in manifests(name):
        if manifest["kind"] not in FOREIGN:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_a_wrong_manifest_is_refused() -> None:
    (wrong,) = [m for m in manifests("dev") if m["metadata"]["name"] == "trading-default-deny"]
    wrong = wrong | {"spec": wrong["spec"] | {"ingres": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_committed_is_rendered(environment: str) -> None:
    committed = (DIRECTORY / f"{environment}.yaml").read_text(encoding="utf-8")
    assert golden(environment) == committed, "write them again: python -m tests.chart.golden"


def test_the_table_is_the_topology() -> None:
    for path, text in texts().items():
        assert (CHART.parents[1] / path).read_text(encoding="utf-8") == text
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert set(values["services"]) == set(SERVICES)


@pytest.mark.parametrize("name", ALL)
def test_everything_has_the_recommended_labels(name: str) -> None:
    recommended = {"name", "instance", "version", "component", "part-of", "managed-by"}
    for manifest in manifests(name):
        labels = manifest["metadata"]["labels"]
        assert {key.split("/")[1] for key in labels if "kubernetes.io" in key} == recommended
        assert labels["helm.sh/chart"].startswith("trading-")


def test_names_are_unique_and_have_the_release_before_them() -> None:
    for name, prefix in (("dev", "trading"), ("everything", "range")):
        names = [(m["kind"], m["metadata"]["name"]) for m in manifests(name)]
        assert len(set(names)) == len(names)
        for kind, full in names:
            assert kind == "CustomResourceDefinition" or re.match(f"{prefix}(-|$)", full), full


def test_a_service_leads_to_its_component_alone() -> None:
    rendered_manifests = manifests("dev")
    deployed = {
        manifest["metadata"]["labels"][COMPONENT]: manifest["spec"]["template"]
        for manifest in rendered_manifests
        if manifest["kind"] in ("Deployment", "StatefulSet")
    }
    for service in of_kind(rendered_manifests, "Service").values():
        component = service["metadata"]["labels"][COMPONENT]
        selected = [
            name
            for name, pod in deployed.items()
            if service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        ]
        assert selected == [component]
        ports = {
            port["name"]: port["containerPort"]
            for port in deployed[component]["spec"]["containers"][0]["ports"]
        }
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]


def test_published_ports_are_the_fixed_ones() -> None:
    ports = {
        service["metadata"]["labels"][COMPONENT]: port["nodePort"]
        for service in of_kind(manifests("dev"), "Service").values()
        for port in service["spec"]["ports"]
        if "nodePort" in port
    }
    others = {GRAFANA: 30000, PROMETHEUS: 30090, JAEGER: 30686}
    assert ports == {name: s.port + 22000 for name, s in SERVICES.items()} | others
    assert set(ports) == set(PUBLISHED)
    for service in of_kind(manifests("prod"), "Service").values():
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP"


def test_no_service_has_a_pod_too_many_even_in_an_update() -> None:
    for name in SERVICES:
        spec = of_kind(manifests("prod"), "Deployment")[f"trading-{name}"]["spec"]
        if name == TRADING_ENGINE:
            assert spec["replicas"] == 2
            assert spec["strategy"]["rollingUpdate"]["maxSurge"] == 0
        else:
            assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_engines_are_found_one_by_one() -> None:
    service = of_kind(manifests("prod"), "Service")["trading-trading-engine"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True


def test_budgets_select_what_they_protect() -> None:
    rendered_manifests = manifests("prod")
    budgets = of_kind(rendered_manifests, "PodDisruptionBudget")
    assert set(budgets) == {f"trading-{name}" for name in (*SERVICES, "postgres")}
    for budget in budgets.values():
        component = budget["metadata"]["labels"][COMPONENT]
        assert budget["spec"]["selector"]["matchLabels"][COMPONENT] == component


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dev", ["http://127.0.0.1:8084", "http://127.0.0.1:3000", "trading scenario run"]),
        ("prod", ["https://risk.trading.example.com", "Chaos is off"]),
        ("bare", ["port-forward service/trading-risk-monitor 8084"]),
    ],
    ids=["dev-wanted0", "prod-wanted1", "bare-wanted2"],
)
def test_notes_say_where_to_look(name: str, expected: list[str]) -> None:
    code, output, errors = run("install", "--dry-run=client", values=ALL[name])
    assert code == 0, errors
    notes = output.split("NOTES:")[1]
    for text in expected:
        assert text in notes
