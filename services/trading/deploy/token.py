"""The chaos token of a Compose deployment on this machine, for who may use its engine anyway."""

import shutil
import subprocess
from pathlib import Path

from trading.topology import TEST_COORDINATOR

_PATH = "/run/secrets/trading/chaos-token"
_PATIENCE = 20


def chaos_token(directory: Path) -> str:
    """Of the deployment whose Compose file is in ``directory``; empty where there is none."""
    docker = shutil.which("docker")
    if docker is None or not (directory / "docker-compose.yml").exists():
        return ""
    asked = [docker, "compose", "exec", "--no-TTY", TEST_COORDINATOR, "cat", _PATH]
    try:
        done = subprocess.run(  # noqa: S603
            asked, cwd=directory, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
