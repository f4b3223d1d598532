"""Every pod meets the Pod Security Standard "restricted", and further requirements of the
project.
"""

import copy
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.chart.rendering import (
    ALL,
    API_CLIENTS,
    CHART,
    ENVIRONMENTS,
    TASKS,
    Pod,
    manifests,
    of_kind,
    pods,
    rendered,
)
from trading.hosting.settings import Settings
from trading.links.peers import LinkSettings
from trading.topology import SERVICES

#: Volumes that "restricted" allows.
_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
    *("persistentVolumeClaim", "projected", "secret"),
}
#: Bytes of memory that a laptop has free.
_SPARE = 1.6 * 1024**3


def violations(spec: dict[str, Any]) -> list[str]:
    """Return what violates "restricted":
    kubernetes.io/docs/concepts/security/pod-security-standards.
    """
    problems = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    for volume in spec.get("volumes", []):
        problems += [f"volume {kind}" for kind in set(volume) - {"name"} - _VOLUMES]
    whole = spec.get("securityContext", {})
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        own = container.get("securityContext", {})
        both = whole | own
        if both.get("runAsNonRoot") is not True:
            problems.append("runAsNonRoot")
        if both.get("runAsUser") == 0:
            problems.append("runAsUser")
        if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            problems.append("seccompProfile")
        if own.get("allowPrivilegeEscalation") is not False:
            problems.append("allowPrivilegeEscalation")
        if own.get("privileged"):
            problems.append("privileged")
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []):
            problems.append("capabilities.drop")
        if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            problems.append("capabilities.add")
        if any("hostPort" in port for port in container.get("ports", [])):
            problems.append("hostPort")
    return problems


def of(name: str, component: str) -> Pod:
    """Return the pod of a component."""
    (match,) = [pod for pod in pods(manifests(name)) if pod.component == component]
    return match


@pytest.mark.parametrize("name", ALL)
def test_every_pod_is_restricted(name: str) -> None:
    for pod in pods(manifests(name)):
        assert violations(pod.spec) == [], pod.component
        assert pod.container["securityContext"]["readOnlyRootFilesystem"] is True, pod.component
        asks = pod.component in API_CLIENTS
        assert pod.spec["automountServiceAccountToken"] is asks, pod.component


@pytest.mark.parametrize(
    ("path", "value", "violation"),
    [
        (("securityContext", "runAsNonRoot"), False, "runAsNonRoot"),
        (("securityContext", "seccompProfile"), {}, "seccompProfile"),
        (("hostNetwork",), True, "hostNetwork"),
        (("volumes",), [{"name": "a", "hostPath": {"path": "/"}}], "volume hostPath"),
        (("containers", 0, "securityContext", "capabilities"), {}, "capabilities.drop"),
        (("containers", 0, "securityContext"), {}, "allowPrivilegeEscalation"),
    ],
)
def test_a_looser_pod_is_found(path: tuple[str | int, ...], value: Any, violation: str) -> None:
    spec: Any = copy.deepcopy(of("dev", "exchange").spec)
    part = spec
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    assert violation in violations(spec)


@pytest.mark.parametrize("name", ALL)
def test_each_component_has_an_account_of_its_own(name: str) -> None:
    rendered_manifests = manifests(name)
    accounts = of_kind(rendered_manifests, "ServiceAccount")
    used = [
        pod.spec["serviceAccountName"]
        for pod in pods(rendered_manifests)
        if pod.component != "test"
    ]
    assert sorted(used) == sorted(accounts)
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())


@pytest.mark.parametrize("name", ALL)
def test_each_pod_says_what_it_needs_and_how_it_is(name: str) -> None:
    for pod in pods(manifests(name)):
        for side in ("requests", "limits"):
            assert set(pod.container["resources"][side]) == {"cpu", "memory"}, pod.component
        assert pod.container["imagePullPolicy"] == "IfNotPresent"
        if pod.kind in ("Deployment", "StatefulSet"):
            probes = {key for key in pod.container if key.endswith("Probe")}
            assert probes == {"startupProbe", "readinessProbe", "livenessProbe"}, pod.component
            assert pod.spec["terminationGracePeriodSeconds"] >= 10


def test_everything_fits_a_laptop() -> None:
    requested = [
        pod.container["resources"]["requests"]["memory"]
        for pod in pods(manifests("dev"))
        if pod.component not in TASKS
    ]
    units = {"Mi": 1024**2, "Gi": 1024**3}
    assert sum(int(text[:-2]) * units[text[-2:]] for text in requested) < _SPARE


def test_only_data_directories_and_scratch_are_writable() -> None:
    for pod in pods(manifests("dev")):
        scratch = {volume["name"] for volume in pod.spec.get("volumes", []) if "emptyDir" in volume}
        for mount in pod.container.get("volumeMounts", []):
            claimed = mount["mountPath"] in ("/var/lib/postgresql/data", "/prometheus")
            assert mount.get("readOnly") or mount["name"] in scratch or claimed, mount


@pytest.mark.parametrize("name", ALL)
def test_services_get_settings_that_there_are(name: str) -> None:
    existing = {field.upper() for model in (Settings, LinkSettings) for field in model.model_fields}
    for service, facts in SERVICES.items():
        names = [variable["name"] for variable in of(name, service).container["env"]]
        assert len(set(names)) == len(names)
        own = {variable for variable in names if not variable.startswith("OTEL_")}
        assert {variable.removesuffix("_FILE") for variable in own} <= existing
        links = {other.upper().replace("-", "_") + "_URL" for other in facts.calls}
        all_urls = {other.upper().replace("-", "_") + "_URL" for other in SERVICES}
        assert own & all_urls == links


def test_addresses_lead_to_services_of_the_chart() -> None:
    for name in ("dev", "everything"):
        rendered_manifests = manifests(name)
        ports = {
            service: {port["port"] for port in item["spec"]["ports"]}
            for service, item in of_kind(rendered_manifests, "Service").items()
        }
        for pod in pods(rendered_manifests):
            for item in pod.container.get("env", []):
                match = re.fullmatch(r"http://([a-z-]+):(\d+)", item["value"])
                if match:
                    assert int(match[2]) in ports[match[1]], item


def test_chaos_is_where_it_is_switched_on() -> None:
    for name, enabled in (("dev", "true"), ("prod", "false")):
        for service in SERVICES:
            env = {
                variable["name"]: variable["value"]
                for variable in of(name, service).container["env"]
            }
            assert env["ENABLE_CHAOS_SCENARIOS"] == enabled
            coordinator = service == "test-coordinator"
            assert ("CHAOS_TOKEN_FILE" in env) == (name == "dev" and coordinator)
            assert ("CHAOS_TOKEN_SHA256_FILE" in env) == (name == "dev" and not coordinator)


def test_a_digest_goes_before_a_tag_and_a_mirror_before_both() -> None:
    assert of("dev", "exchange").container["image"] == "trading-ecosystem:0.1.0"
    images = {pod.component: pod.container["image"] for pod in pods(manifests("everything"))}
    digest = "sha256:" + "0" * 64
    assert images["exchange"] == f"mirror.example.com:5000/trading-ecosystem@{digest}"
    assert images["postgres"].startswith("mirror.example.com:5000/postgres:")
    assert images["grafana"].startswith("mirror.example.com:5000/grafana/grafana:")


def test_a_pod_starts_anew_when_its_configuration_changes_and_only_then(tmp_path: Path) -> None:
    chart = tmp_path / "trading"
    shutil.copytree(CHART, chart)
    before = _sums(rendered(chart=chart))
    assert _sums(rendered("--set", "logLevel=debug", chart=chart)) == before
    rules = chart / "files" / "prometheus" / "rules.yml"
    rules.write_text(rules.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    after = _sums(rendered(chart=chart))
    assert {name for name in after if after[name] != before[name]} == {"prometheus"}


def _sums(rendered_manifests: list[dict[str, Any]]) -> dict[str, str]:
    return {
        pod.component: pod.annotations["checksum/config"]
        for pod in pods(rendered_manifests)
        if pod.component not in ("test", *TASKS)
    }


def test_another_database_job_has_another_name() -> None:
    """Kubernetes does not allow a change of a Job's template."""
    fixed = ("--set", "secrets.create=false")

    def named(*more: str) -> str:
        (name,) = (n for n in of_kind(rendered(*fixed, *more), "Job") if "database" in n)
        return name

    assert named() == named("--set", "logLevel=debug")
    assert named() != named("--set", "image.tag=0.2.0")
    assert named().startswith("trading-database-")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_journals_from_between_runs_fit_into_the_volume(environment: str) -> None:
    """There is room for PostgreSQL's overhead (half as much again) and its own logs (500 MB)."""
    rendered_manifests = manifests(environment)
    journal_bytes = sum(
        int(variable["value"]) * 1_000_000 * manifest["spec"]["replicas"]
        for manifest in rendered_manifests
        if manifest["kind"] == "Deployment"
        for variable in manifest["spec"]["template"]["spec"]["containers"][0].get("env", ())
        if variable["name"] == "JOURNAL_RETENTION"
    )
    (postgres,) = (
        manifest
        for manifest in rendered_manifests
        if manifest["kind"] == "StatefulSet" and manifest["metadata"]["name"].endswith("postgres")
    )
    (claim,) = postgres["spec"]["volumeClaimTemplates"]
    size = claim["spec"]["resources"]["requests"]["storage"]
    assert 0 < journal_bytes * 1.5 + 500_000_000 < int(size.removesuffix("Gi")) * 2**30
