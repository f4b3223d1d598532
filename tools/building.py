"""What images are built with: Debian's packages, docker, and a line for each step."""

import hashlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.engine import RELEASE
from tools.helm import cache_directory

#: Label of what was built here: a key of what it was built from.
LABEL = "trading.stand-in"


@contextmanager
def step(what: str) -> Iterator[None]:
    began = time.monotonic()
    print(f"==> {what}", flush=True)
    yield
    print(f"    {time.monotonic() - began:.1f} s", flush=True)


def root_file_system(packages: tuple[str, ...]) -> Path:
    """Of Debian, with these packages and what they need; kept by their names."""
    key = hashlib.sha256(" ".join((RELEASE, *packages)).encode()).hexdigest()[:16]
    kept = cache_directory() / f"debian-{key}.tar"
    if not kept.exists():
        made = kept.with_suffix(".new")
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
            str(made),
        )
        made.rename(kept)
    return kept


def docker_import(tag: str, archive: Path) -> None:
    run("docker", "import", str(archive), tag)


def label_of(tag: str) -> str:
    """What a stand-in was made from; empty: it is none."""
    words = ["docker", "image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}']
    done = subprocess.run([*words, tag], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def is_there(tag: str) -> bool:
    done = subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False)
    return done.returncode == 0


def is_pulled(tag: str) -> bool:
    done = subprocess.run(["docker", "pull", "--quiet", tag], capture_output=True, check=False)
    return done.returncode == 0


def run(*words: str) -> str:
    """What it says. Raises CalledProcessError."""
    return subprocess.run(list(words), check=True, capture_output=True, text=True).stdout
