"""What the operator's service accounts may do, and what none of them may."""

import subprocess

from tests.e2e.operator import NAMESPACE

MINE = f"system:serviceaccount:{NAMESPACE}:trading-"
ALLOWED = {
    "operator": {
        ("get", "chaosscenarios"),
        ("list", "chaosscenarios"),
        ("watch", "chaosscenarios"),
        ("patch", "chaosscenarios"),
        ("patch", "chaosscenarios/status"),
        ("list", "networkpolicies"),
        ("create", "networkpolicies"),
        ("patch", "networkpolicies"),
        ("delete", "networkpolicies"),
        ("create", "events"),
    },
    "reaper": {("list", "networkpolicies"), ("delete", "networkpolicies")},
    "uninstall": {("list", "chaosscenarios"), ("patch", "chaosscenarios")},
}
FORBIDDEN = [
    ("get", "secrets"),
    ("list", "secrets"),
    ("create", "pods"),
    ("delete", "pods"),
    ("create", "pods/exec"),
    ("delete", "chaosscenarios"),
    ("create", "chaosscenarios"),
    ("patch", "deployments"),
    ("create", "rolebindings"),
    ("list", "namespaces"),
]


def may(who: str, verb: str, what: str, namespace: str) -> bool:
    """Return what the API server's authorizer says of ``verb`` on ``what``, a resource or
    resource/subresource, for the service account of ``who``.
    """
    resource, _, sub = what.partition("/")
    words = ["kubectl", "--namespace", namespace, "auth", "can-i", verb, resource]
    words += [f"--as={MINE}{who}", *([f"--subresource={sub}"] if sub else [])]
    answer = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    assert answer in ("yes", "no"), answer
    return answer == "yes"
