"""Build the programs of a Kubernetes node from their Go modules.

They are needed where kind's node image cannot be pulled. Building takes about ten minutes the
first time; the programs are cached by their versions.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tools.bare_machine.building import step
from tools.bare_machine.engine import NoEngine
from tools.helm import cache_directory

#: Go modules of the programs, and the files of the node's root file system.
SOURCES = Path(__file__).resolve().parent / "kind-node"
KUBERNETES = "v1.35.4"
KUBE_ROUTER = "v2.10.0"
KIND = "sigs.k8s.io/kind@v0.33.0"
#: Packages that need no build flags, with their versions.
_PLAIN = (
    KIND,
    "github.com/coredns/coredns@v1.14.7",
    *(
        f"github.com/containernetworking/plugins/plugins/{plugin}@v1.9.1"
        for plugin in ("main/ptp", "main/loopback", "ipam/host-local", "meta/portmap")
    ),
)


def programs() -> Path:
    """Return the directory with all programs, built if they are not cached. Raises NoEngine where
    there is no Go, CalledProcessError.
    """
    digest = hashlib.sha256(f"{KUBERNETES}{KUBE_ROUTER}{_PLAIN}".encode())
    for name in ("kubernetes", "kube-router", "pause"):
        for path in sorted((SOURCES / name).iterdir()):
            digest.update(path.read_bytes())
    directory = cache_directory() / f"kind-programs-{digest.hexdigest()[:16]}"
    if (directory / "complete").exists():
        return directory
    if shutil.which("go") is None:
        raise NoEngine("kind's node image cannot be pulled, and there is no Go to build one")
    directory.mkdir(parents=True, exist_ok=True)
    with step(f"Kubernetes {KUBERNETES} from its Go modules, minutes the first time"):
        _install(directory, "tool", cwd=SOURCES / "kubernetes", flags=_version_flags())
    with step(f"kube-router {KUBE_ROUTER}, coredns, kind, network plugins"):
        _install(directory, "tool", cwd=SOURCES / "kube-router")
        _install(directory, ".", cwd=SOURCES / "pause")
        for package in _PLAIN:
            _install(directory, package)
    (directory / "complete").touch()
    return directory


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
