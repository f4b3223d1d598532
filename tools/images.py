"""Build the images of a deployment.

    python -m tools.images                   trading-ecosystem, from the official Python image
    python -m tools.images --stand-ins       also what cannot be pulled on this machine: the base
                                             image, postgres, redis, prometheus, Jaeger and the
                                             OpenTelemetry collector (see tools/bare_machine)

A stand-in has the official image's name and tag, so that the chart is tested unchanged. It is built
only if the image is not present and cannot be pulled. There is no stand-in for Grafana.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml

from tools.bare_machine import stand_ins
from tools.bare_machine.building import is_present, is_pulled, run, step
from tools.bare_machine.engine import NoEngine, start
from tools.helm import cache_directory

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.13"
BASE = f"python:{PYTHON}-slim"


def main(arguments: list[str]) -> int:
    """Build the images; return 0 if all are built, 1 if a step failed, 2 if there is no engine."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.images",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stand-ins", action="store_true", help="build what cannot be pulled")
    options = parser.parse_args(arguments)
    try:
        os.environ.update(start())
        base = _base(options.stand_ins)
        with step(f"image {name()}"):
            _build_ours(base)
        if options.stand_ins:
            stand_ins.build_missing(official_image)
    except NoEngine as error:
        print(error, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        words = " ".join(str(word) for word in error.cmd)
        print(f"{words}: exit code {error.returncode}\n{error.stderr or ''}", file=sys.stderr)
        return 1
    return 0


def name() -> str:
    """Return the name and tag of our image; the tag is the project's version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"trading-ecosystem:{project['version']}"


def official_image(component: str) -> str:
    """Return the image that the chart's values name for a component."""
    values = yaml.safe_load((ROOT / "charts/trading/values.yaml").read_text(encoding="utf-8"))
    return str(values[component]["image"])


def _base(allow_stand_in: bool) -> str:
    """Return the image to build on: the official one if it is present or can be pulled."""
    if is_present(BASE) or is_pulled(BASE):
        return BASE
    if not allow_stand_in:
        raise NoEngine(f"{BASE} cannot be pulled; python -m tools.images --stand-ins builds a base")
    return stand_ins.python_base(BASE, PYTHON)


def _build_ours(base: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        context = Path(directory)
        shutil.copy(ROOT / "images/Dockerfile", context)
        shutil.copytree(_dependencies(), context / "wheels")
        run(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--disable-pip-version-check",
            "--wheel-dir",
            str(context / "wheels"),
            str(ROOT),
        )
        tag = name()
        run(
            "docker",
            "build",
            "--quiet",
            "--tag",
            tag,
            "--build-arg",
            f"BASE_IMAGE={base}",
            "--build-arg",
            f"VERSION={tag.partition(':')[2]}",
            str(context),
        )


def _dependencies() -> Path:
    """Return a directory with the wheels of the lock files and pip's own, downloaded once for each
    content of the lock files. Hashes are checked.
    """
    locks = [ROOT / f"requirements-{name}.txt" for name in ("image", "pip")]
    contents = b"".join(lock.read_bytes() for lock in locks)
    key = hashlib.sha256(contents + PYTHON.encode()).hexdigest()[:16]
    wheels = cache_directory() / f"wheels-{key}"
    if wheels.exists():
        return wheels
    wheels.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wheels.parent) as directory:
        partial = Path(directory) / "wheels"
        machine = os.uname().machine
        download = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--dest",
            str(partial),
            "--disable-pip-version-check",
            "--only-binary=:all:",
            "--python-version",
            PYTHON,
        ]
        for platform in ("manylinux_2_28", "manylinux_2_17", "manylinux2014"):
            download += ["--platform", f"{platform}_{machine}"]
        for lock in locks:
            run(*download, "--no-deps", "--require-hashes", "-r", str(lock))
        partial.rename(wheels)
    return wheels


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
