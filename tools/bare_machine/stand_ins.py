"""Stand-ins for official images, built where those cannot be pulled."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from tools.bare_machine import go_stand_ins
from tools.bare_machine.building import (
    LABEL,
    docker_import,
    is_present,
    is_pulled,
    label_of,
    root_file_system,
    run,
    step,
)
from tools.bare_machine.engine import RELEASE

_SCRIPTS = Path(__file__).resolve().parent / "stand-ins"
#: By component: Debian's packages, directories that its user must own, that user's id.
_FROM_DEBIAN = {
    "postgres": (("postgresql-17",), ("/var/lib/postgresql/data", "/var/run/postgresql"), 999),
    "redis": (("redis-server",), ("/data",), 999),
    "prometheus": (("prometheus",), ("/prometheus",), 65534),
}


def python_base(official: str, version: str) -> str:
    """Return an image with Python from Debian's packages in place of `official`, built if it is
    not present. Raises CalledProcessError.
    """
    tag = f"trading-base:{version}"
    if not is_present(tag):
        with step(f"{official} cannot be pulled: {tag} from Debian's packages"):
            docker_import(tag, root_file_system(("python3", "ca-certificates")))
    return tag


def build_missing(official_image: Callable[[str], str]) -> None:
    """Build each stand-in whose official image is not present and cannot be pulled.
    `official_image` returns the image's name for a component of the chart. Raises
    CalledProcessError.
    """
    for component in _FROM_DEBIAN:
        _from_debian(component, official_image(component))
    for component in go_stand_ins.COMPONENTS:
        _from_go(component, official_image(component))


def _from_debian(component: str, tag: str) -> None:
    packages, directories, user = _FROM_DEBIAN[component]
    script = (_SCRIPTS / f"{component}.sh").read_text(encoding="utf-8")
    bare = f"trading-stand-in-{component}"
    entrypoint = f"/usr/local/bin/{component}-entrypoint"
    owned = " ".join(directories)
    dockerfile = (
        f"FROM {bare}\nCOPY entrypoint {entrypoint}\n"
        # initdb requires that its user has a name.
        f"RUN echo 'stand-in:x:{user}:{user}::/:/bin/sh' >> /etc/passwd"
        f" && mkdir -p {owned} && chown -R {user}:{user} {owned}\n"
        "ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin"
        ":/usr/sbin:/usr/bin:/sbin:/bin\n"
        f"USER {user}:{user}\nENTRYPOINT {json.dumps([entrypoint])}\n"
    )
    key = hashlib.sha256(f"{RELEASE}{packages}{script}{dockerfile}".encode()).hexdigest()[:16]
    if _is_current(tag, key):
        return
    with step(f"{tag} cannot be pulled: a stand-in from Debian's packages"):
        docker_import(bare, root_file_system(packages))
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "entrypoint").write_text(script)
            (Path(directory) / "entrypoint").chmod(0o755)
            (Path(directory) / "Dockerfile").write_text(f"{dockerfile}LABEL {LABEL}={key}\n")
            run("docker", "build", "--quiet", "--tag", tag, directory)


def _from_go(component: str, tag: str) -> None:
    key = go_stand_ins.key_of(component)
    if _is_current(tag, key):
        return
    if not go_stand_ins.go_is_installed():
        print(f"{tag} cannot be pulled, and there is no Go to build a stand-in: it is missing")
        return
    title = f"{tag} cannot be pulled: a stand-in from its Go module, minutes the first time"
    with step(title), tempfile.TemporaryDirectory() as directory:
        go_stand_ins.prepare(component, Path(directory), LABEL)
        run("docker", "build", "--quiet", "--tag", tag, directory)


def _is_current(tag: str, key: str) -> bool:
    """Return whether nothing is to be built: the stand-in has this key, or the official image is
    present or can be pulled.
    """
    label = label_of(tag)
    return label == key or (not label and (is_present(tag) or is_pulled(tag)))
