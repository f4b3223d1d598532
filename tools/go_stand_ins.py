"""Images of the OpenTelemetry collector and Jaeger, built from their Go modules where no image
registry is reached. Grafana can be had neither way: it has no Debian package, and is no module.
"""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from tools.helm import cache_directory

FOLDER = Path(__file__).resolve().parent.parent / "images/stand-ins"
#: By component as the chart's values call it: folder, what is built there, environment.
GO_STAND_INS = {
    "otelCollector": ("otel-collector", ".", {}),
    # As in the official image: it listens for others, too.
    "jaeger": (
        "jaeger",
        "github.com/jaegertracing/jaeger/cmd/jaeger",
        {"JAEGER_LISTEN_HOST": "0.0.0.0"},  # noqa: S104
    ),
}


def available() -> bool:
    """Is there a Go toolchain?"""
    return shutil.which("go") is not None


def key_of(component: str) -> str:
    """Changes with what the image is made from."""
    folder, package, environment = GO_STAND_INS[component]
    made_from = hashlib.sha256(f"{package}{environment}".encode())
    for path in sorted((FOLDER / folder).iterdir()):
        made_from.update(path.read_bytes())
    return made_from.hexdigest()[:16]


def prepare(component: str, context: Path, label: str) -> None:
    """Put Dockerfile and program into ``context``. Raises CalledProcessError."""
    folder, package, environment = GO_STAND_INS[component]
    shutil.copy(_program(component, FOLDER / folder, package), context / folder)
    variables = "".join(f"ENV {name}={value}\n" for name, value in environment.items())
    (context / "Dockerfile").write_text(
        f"FROM scratch\nCOPY {folder} /{folder}\n{variables}LABEL {label}={key_of(component)}\n"
        f"USER 10001:10001\nENTRYPOINT {json.dumps([f'/{folder}'])}\n"
    )


def _program(component: str, folder: Path, package: str) -> Path:
    kept = cache_directory() / f"{folder.name}-{key_of(component)}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = kept.with_suffix(".new")
        subprocess.run(
            ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(made), package],
            cwd=folder,
            env={**os.environ, "CGO_ENABLED": "0"},
            check=True,
            capture_output=True,
            text=True,
        )
        made.rename(kept)
    return kept
