"""A stub of the Kubernetes API server, with as much as `helm template --dry-run=server` requests.

The tests on kind use a real one.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.chart.rendering import NAMESPACE, Manifest

Secrets = dict[str, Manifest]

_KINDS = {
    "v1": ("ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("Deployment", "StatefulSet"),
    "batch/v1": ("Job", "CronJob"),
    "rbac.authorization.k8s.io/v1": ("Role", "RoleBinding"),
    "policy/v1": ("PodDisruptionBudget",),
    "networking.k8s.io/v1": ("Ingress", "NetworkPolicy"),
    "apiextensions.k8s.io/v1": ("CustomResourceDefinition",),
}
_PLURALS = {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"}


@contextmanager
def cluster(secrets: Secrets) -> Iterator[str]:
    """Run the stub; yield its URL. `secrets` are those of the namespace by name, and are read at
    every request.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = _answer(self.path.split("?")[0], secrets)
            body = json.dumps(answer or {"kind": "Status", "reason": "NotFound", "code": 404})
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def installed(secrets: Secrets, release: str = "trading") -> Secrets:
    """Return the Secrets as Helm installs them: annotated as part of the release."""
    marks = {
        "meta.helm.sh/release-name": release,
        "meta.helm.sh/release-namespace": NAMESPACE,
    }
    return {
        name: secret
        | {
            "metadata": secret["metadata"]
            | {"annotations": secret["metadata"].get("annotations", {}) | marks}
        }
        for name, secret in secrets.items()
    }


def _answer(path: str, secrets: Secrets) -> Manifest | None:
    if path == "/version":
        return {"major": "1", "minor": "35", "gitVersion": "v1.35.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return {"kind": "APIGroupList", "groups": [_group(v) for v in _KINDS if "/" in v]}
    version = path.removeprefix("/apis/").removeprefix("/api/")
    if version in _KINDS:
        kinds = [_resource(kind) for kind in _KINDS[version]]
        return {"kind": "APIResourceList", "groupVersion": version, "resources": kinds}
    return secrets.get(path.removeprefix(f"/api/v1/namespaces/{NAMESPACE}/secrets/"))


def _group(version: str) -> Manifest:
    name, number = version.split("/")
    version_entry = {"groupVersion": version, "version": number}
    return {"name": name, "versions": [version_entry], "preferredVersion": version_entry}


def _resource(kind: str) -> Manifest:
    return {
        "name": _PLURALS.get(kind, kind.lower() + "s"),
        "singularName": kind.lower(),
        "namespaced": kind != "CustomResourceDefinition",
        "kind": kind,
        "verbs": ["get", "list"],
    }
