"""The programs of a Kubernetes node, built from their Go modules where kind's image cannot be had.

Takes some ten minutes the first time; kept by their versions in the cache.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tools.building import step
from tools.engine import NoEngine
from tools.helm import cache_directory

FOLDER = Path(__file__).resolve().parent.parent / "images/kind-node"
KUBERNETES = "v1.35.4"
KUBE_ROUTER = "v2.10.0"
KIND = "sigs.k8s.io/kind@v0.33.0"
#: Built plainly, by version.
_PLAIN = (
    KIND,
    "github.com/coredns/coredns@v1.14.7",
    *(
        f"github.com/containernetworking/plugins/plugins/{plugin}@v1.9.1"
        for plugin in ("main/ptp", "main/loopback", "ipam/host-local", "meta/portmap")
    ),
)


def programs() -> Path:
    """The folder with all of them. Raises NoEngine where there is no Go, CalledProcessError."""
    made_from = hashlib.sha256(f"{KUBERNETES}{KUBE_ROUTER}{_PLAIN}".encode())
    for name in ("kubernetes", "kube-router", "pause"):
        for path in sorted((FOLDER / name).iterdir()):
            made_from.update(path.read_bytes())
    kept = cache_directory() / f"kind-programs-{made_from.hexdigest()[:16]}"
    if (kept / "complete").exists():
        return kept
    if shutil.which("go") is None:
        raise NoEngine("kind's node image cannot be pulled, and there is no Go to build one")
    kept.mkdir(parents=True, exist_ok=True)
    with step(f"Kubernetes {KUBERNETES} from its Go modules, minutes the first time"):
        _install(kept, "tool", cwd=FOLDER / "kubernetes", flags=_version_flags())
    with step(f"kube-router {KUBE_ROUTER}, coredns, kind, network plugins"):
        _install(kept, "tool", cwd=FOLDER / "kube-router")
        _install(kept, ".", cwd=FOLDER / "pause")
        for package in _PLAIN:
            _install(kept, package)
    (kept / "complete").touch()
    return kept


def _version_flags() -> str:
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    values = {
        "gitVersion": KUBERNETES,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    return " ".join(
        f"-X {package}.{name}={value}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for name, value in values.items()
    )


def _install(to: Path, package: str, *, cwd: Path | None = None, flags: str = "") -> None:
    subprocess.run(
        ["go", "install", "-trimpath", f"-ldflags=-s -w {flags}".rstrip(), package],
        cwd=cwd,
        env={**os.environ, "CGO_ENABLED": "0", "GOBIN": str(to)},
        check=True,
        capture_output=True,
        text=True,
    )
