"""The images of a deployment.

    python -m tools.images                   trading-ecosystem, from the official Python image
    python -m tools.images --stand-ins       where no image registry is reached: its base, postgres,
                                             redis and prometheus, from Debian's packages; Jaeger
                                             and the OpenTelemetry collector, from Go modules

A stand-in has the official image's name and tag, so that the chart is tested as it is; it is made
only where the image is not there and cannot be pulled. Grafana has none.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml

from tools.building import (
    LABEL,
    docker_import,
    is_pulled,
    is_there,
    label_of,
    root_file_system,
    run,
    step,
)
from tools.engine import RELEASE, NoEngine, start
from tools.go_stand_ins import GO_STAND_INS, available, key_of, prepare
from tools.helm import cache_directory

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.13"
BASE = f"python:{PYTHON}-slim"
OUR_BASE = f"trading-base:{PYTHON}"
#: By component: Debian's packages, folders that its user must own, that user.
STAND_INS = {
    "postgres": (("postgresql-17",), ("/var/lib/postgresql/data", "/var/run/postgresql"), 999),
    "redis": (("redis-server",), ("/data",), 999),
    "prometheus": (("prometheus",), ("/prometheus",), 65534),
}


def main(arguments: list[str]) -> int:
    """0 built, 1 a step failed, 2 no engine."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.images",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stand-ins", action="store_true", help="make what cannot be pulled")
    asked = parser.parse_args(arguments)
    try:
        os.environ.update(start())
        base = _base(asked.stand_ins)
        with step(f"image {name()}"):
            _ours(base)
        if asked.stand_ins:
            for component in STAND_INS:
                _stand_in(component, official(component))
            for component in GO_STAND_INS:
                _go_stand_in(component, official(component))
    except NoEngine as error:
        print(error, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        words = " ".join(str(word) for word in error.cmd)
        print(f"{words}: exit code {error.returncode}\n{error.stderr or ''}", file=sys.stderr)
        return 1
    return 0


def name() -> str:
    """Of our image, by the project's version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"trading-ecosystem:{project['version']}"


def official(component: str) -> str:
    """The image that the chart names."""
    values = yaml.safe_load((ROOT / "charts/trading/values.yaml").read_text(encoding="utf-8"))
    found: str = values[component]["image"]
    return found


def _base(stand_ins: bool) -> str:
    """The official one where it can be had."""
    if is_there(BASE) or is_pulled(BASE):
        return BASE
    if not stand_ins:
        raise NoEngine(f"{BASE} cannot be pulled; python -m tools.images --stand-ins makes a base")
    if not is_there(OUR_BASE):
        with step(f"{BASE} cannot be pulled: {OUR_BASE} from Debian's packages"):
            docker_import(OUR_BASE, root_file_system(("python3", "ca-certificates")))
    return OUR_BASE


def _ours(base: str) -> None:
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
    """Wheels by the lock files, their hashes checked, pip's too."""
    locks = [ROOT / f"requirements-{name}.txt" for name in ("image", "pip")]
    known = b"".join(lock.read_bytes() for lock in locks)
    key = hashlib.sha256(known + PYTHON.encode()).hexdigest()[:16]
    kept = cache_directory() / f"wheels-{key}"
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as directory:
        made = Path(directory) / "made"
        machine = os.uname().machine
        download = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--dest",
            str(made),
            "--disable-pip-version-check",
            "--only-binary=:all:",
            "--python-version",
            PYTHON,
        ]
        for platform in ("manylinux_2_28", "manylinux_2_17", "manylinux2014"):
            download += ["--platform", f"{platform}_{machine}"]
        for lock in locks:
            run(*download, "--no-deps", "--require-hashes", "-r", str(lock))
        made.rename(kept)
    return kept


def _stand_in(component: str, tag: str) -> None:
    packages, folders, user = STAND_INS[component]
    script = (ROOT / f"images/stand-ins/{component}.sh").read_text(encoding="utf-8")
    bare = f"trading-stand-in-{component}"
    entrypoint = f"/usr/local/bin/{component}-entrypoint"
    owned = " ".join(folders)
    dockerfile = (
        f"FROM {bare}\nCOPY entrypoint {entrypoint}\n"
        # initdb wants its user to have a name.
        f"RUN echo 'stand-in:x:{user}:{user}::/:/bin/sh' >> /etc/passwd"
        f" && mkdir -p {owned} && chown -R {user}:{user} {owned}\n"
        "ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin"
        ":/usr/sbin:/usr/bin:/sbin:/bin\n"
        f"USER {user}:{user}\nENTRYPOINT {json.dumps([entrypoint])}\n"
    )
    key = hashlib.sha256(f"{RELEASE}{packages}{script}{dockerfile}".encode()).hexdigest()[:16]
    if label_of(tag) == key or (not label_of(tag) and (is_there(tag) or is_pulled(tag))):
        return
    with step(f"{tag} cannot be pulled: a stand-in from Debian's packages"):
        docker_import(bare, root_file_system(packages))
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "entrypoint").write_text(script)
            (Path(directory) / "entrypoint").chmod(0o755)
            (Path(directory) / "Dockerfile").write_text(f"{dockerfile}LABEL {LABEL}={key}\n")
            run("docker", "build", "--quiet", "--tag", tag, directory)


def _go_stand_in(component: str, tag: str) -> None:
    key = key_of(component)
    if label_of(tag) == key or (not label_of(tag) and (is_there(tag) or is_pulled(tag))):
        return
    if not available():
        print(f"{tag} cannot be pulled, and there is no Go to build a stand-in: it is missing")
        return
    what = f"{tag} cannot be pulled: a stand-in from its Go module, minutes the first time"
    with step(what), tempfile.TemporaryDirectory() as directory:
        prepare(component, Path(directory), LABEL)
        run("docker", "build", "--quiet", "--tag", tag, directory)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
