"""Read tokens from a running deployment.

Users who may run commands in its containers or read its Secrets need not copy tokens by hand.
"""

import base64
import binascii
import shutil
import subprocess
from pathlib import Path

from trading.deploy.environments import ENVIRONMENTS, RELEASE
from trading.topology import RISK_MONITOR, TEST_COORDINATOR

_TIMEOUT = 20


def chaos_token(directory: Path) -> str:
    """Return the token that authorizes chaos runs, or an empty text if there is none.

    The Compose deployment whose file is in `directory` is tried first, then the cluster of
    kubectl's current context.
    """
    return _token(directory, TEST_COORDINATOR, "chaos-token")


def risk_token(directory: Path) -> str:
    """Return the token of the risk monitor, looked up like that of `chaos_token`."""
    return _token(directory, RISK_MONITOR, "risk-token")


def _token(directory: Path, component: str, name: str) -> str:
    return _from_compose(directory, component, name) or _from_cluster(component, name)


def _from_compose(directory: Path, component: str, name: str) -> str:
    if not (directory / "docker-compose.yml").exists():
        return ""
    path = f"/run/secrets/trading/{name}"
    words = ("compose", "exec", "--no-TTY", component, "cat", path)
    return _output("docker", *words, cwd=directory).strip()


def _from_cluster(component: str, name: str) -> str:
    for environment in ENVIRONMENTS.values():
        encoded = _output(
            "kubectl",
            *("--namespace", environment.project, "--request-timeout=5s"),
            *("get", "secret", f"{RELEASE}-{component}"),
            f"--output=jsonpath={{.data.{name}}}",
        )
        try:
            if token := base64.b64decode(encoded, validate=True).decode():
                return token
        except (binascii.Error, UnicodeDecodeError):
            continue
    return ""


def _output(program: str, *words: str, cwd: Path | None = None) -> str:
    """Return the program's output, or an empty text if it is not installed or fails."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        completed = subprocess.run(  # noqa: S603
            [path, *words],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return completed.stdout if completed.returncode == 0 else ""
