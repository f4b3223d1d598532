"""Tokens of a deployment, for whoever may use its engine or cluster anyway."""

import base64
import binascii
import shutil
import subprocess
from pathlib import Path

from trading.deploy.environments import ENVIRONMENTS, RELEASE
from trading.topology import RISK_MONITOR, TEST_COORDINATOR

_PATIENCE = 20


def chaos_token(directory: Path) -> str:
    """Return that of the Compose deployment whose file is in ``directory``, else of the one in
    kubectl's cluster; empty where there is none.
    """
    return _token(directory, TEST_COORDINATOR, "chaos-token")


def risk_token(directory: Path) -> str:
    """Return it as :func:`chaos_token` does."""
    return _token(directory, RISK_MONITOR, "risk-token")


def _token(directory: Path, component: str, name: str) -> str:
    return _of_compose(directory, component, name) or _of_cluster(component, name)


def _of_compose(directory: Path, component: str, name: str) -> str:
    if not (directory / "docker-compose.yml").exists():
        return ""
    path = f"/run/secrets/trading/{name}"
    words = ("compose", "exec", "--no-TTY", component, "cat", path)
    return _said("docker", *words, cwd=directory).strip()


def _of_cluster(component: str, name: str) -> str:
    for environment in ENVIRONMENTS.values():
        found = _said(
            "kubectl",
            *("--namespace", environment.project, "--request-timeout=5s"),
            *("get", "secret", f"{RELEASE}-{component}"),
            f"--output=jsonpath={{.data.{name}}}",
        )
        try:
            if token := base64.b64decode(found, validate=True).decode():
                return token
        except (binascii.Error, UnicodeDecodeError):
            continue
    return ""


def _said(program: str, *words: str, cwd: Path | None = None) -> str:
    """Empty where the program is not there, or does not want to."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603
            [path, *words],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
