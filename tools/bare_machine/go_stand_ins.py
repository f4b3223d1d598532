"""Stand-ins for the images of the OpenTelemetry collector and Jaeger, built from their Go modules.

Grafana has no stand-in: it has no Debian package, and its server is no Go module that installs.
"""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from tools.helm import cache_directory

_MODULES = Path(__file__).resolve().parent / "stand-ins"
#: By component as the chart's values name it: directory, package to build, environment.
COMPONENTS = {
    "otelCollector": ("otel-collector", ".", {}),
    # As in the official image: it listens on all addresses.
    "jaeger": (
        "jaeger",
        "github.com/jaegertracing/jaeger/cmd/jaeger",
        {"JAEGER_LISTEN_HOST": "0.0.0.0"},  # noqa: S104
    ),
}


def go_is_installed() -> bool:
    """Return whether there is a Go toolchain on PATH."""
    return shutil.which("go") is not None


def key_of(component: str) -> str:
    """Return a key that changes with what the image is built from."""
    directory, package, environment = COMPONENTS[component]
    digest = hashlib.sha256(f"{package}{environment}".encode())
    for path in sorted((_MODULES / directory).iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def prepare(component: str, context: Path, label: str) -> None:
    """Write a Dockerfile and the program into `context`; the image gets `label` with its key.
    Raises CalledProcessError.
    """
    directory, package, environment = COMPONENTS[component]
    shutil.copy(_program(component, _MODULES / directory, package), context / directory)
    variables = "".join(f"ENV {name}={value}\n" for name, value in environment.items())
    (context / "Dockerfile").write_text(
        f"FROM scratch\nCOPY {directory} /{directory}\n{variables}"
        f"LABEL {label}={key_of(component)}\n"
        f"USER 10001:10001\nENTRYPOINT {json.dumps([f'/{directory}'])}\n"
    )


def _program(component: str, module: Path, package: str) -> Path:
    """Return the program, built once for each key."""
    program = cache_directory() / f"{module.name}-{key_of(component)}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        partial = program.with_suffix(".new")
        subprocess.run(
            ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(partial), package],
            cwd=module,
            env={**os.environ, "CGO_ENABLED": "0"},
            check=True,
            capture_output=True,
            text=True,
        )
        partial.rename(program)
    return program
