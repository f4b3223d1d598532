"""Share what every image build needs: Debian root file systems, docker commands, progress."""

import hashlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.bare_machine.engine import RELEASE
from tools.helm import cache_directory

#: Label on images built here; its value is a key of what the image was built from.
LABEL = "trading.stand-in"


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print `title`, and after the block the seconds that it took."""
    began = time.monotonic()
    print(f"==> {title}", flush=True)
    yield
    print(f"    {time.monotonic() - began:.1f} s", flush=True)


def root_file_system(packages: tuple[str, ...]) -> Path:
    """Return a tar archive of Debian with `packages` and their dependencies, built once for each
    set of packages. Raises CalledProcessError.
    """
    key = hashlib.sha256(" ".join((RELEASE, *packages)).encode()).hexdigest()[:16]
    archive = cache_directory() / f"debian-{key}.tar"
    if not archive.exists():
        partial = archive.with_suffix(".new")
        run(
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--format=tar",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            f"--include={','.join(packages)}",
            RELEASE,
            str(partial),
        )
        partial.rename(archive)
    return archive


def docker_import(tag: str, archive: Path) -> None:
    """Make an image of a tar archive. Raises CalledProcessError."""
    run("docker", "import", str(archive), tag)


def label_of(tag: str) -> str:
    """Return the key of what a stand-in was built from; empty if the image is no stand-in."""
    words = ["docker", "image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}']
    inspected = subprocess.run([*words, tag], capture_output=True, text=True, check=False)
    return inspected.stdout.strip() if inspected.returncode == 0 else ""


def is_present(tag: str) -> bool:
    """Return whether the engine has the image."""
    inspected = subprocess.run(
        ["docker", "image", "inspect", tag], capture_output=True, check=False
    )
    return inspected.returncode == 0


def is_pulled(tag: str) -> bool:
    """Try to pull the image; return whether that succeeded."""
    pulled = subprocess.run(["docker", "pull", "--quiet", tag], capture_output=True, check=False)
    return pulled.returncode == 0


def run(*words: str) -> str:
    """Run a command and return its standard output. Raises CalledProcessError."""
    return subprocess.run(list(words), check=True, capture_output=True, text=True).stdout
