"""A kind cluster for the tests, with the images of a deployment in it.

    python -m tools.cluster start     prints what to put into the environment
    python -m tools.cluster stop

Where kind's node image can be pulled, it is used, with the project's kind-config.yaml as it is;
elsewhere an image of our own (tools/kind_node.py), with what it needs on such a machine.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tools import engine, images
from tools.building import is_pulled, is_there, run, step
from tools.engine import NoEngine
from tools.helm import cache_directory, helm, kubectl
from tools.kind_node import ETCD, node_image
from tools.kind_programs import programs

ROOT = Path(__file__).resolve().parent.parent
NAME = "trading"
#: Of kind v0.33.
_STOCK = "kindest/node:v1.35.4"
_PATCHES = [
    "kind: KubeletConfiguration\nfailCgroupV1: false\n",
    f'kind: ClusterConfiguration\netcd: {{local: {{imageTag: "{ETCD}"}}}}\n',
]


def environment() -> dict[str, str]:
    """Of the cluster: kind, helm and kubectl first in PATH, and how to reach it."""
    tools = cache_directory() / "cluster-bin"
    return {
        "KUBECONFIG": str(cache_directory() / f"kubeconfig-{NAME}"),
        "PATH": f"{tools}:{os.environ['PATH']}",
    }


def start() -> dict[str, str]:
    """A fresh one; what to add to the environment. Raises NoEngine, CalledProcessError."""
    found = engine.start()
    os.environ.update(found)
    node, own = _node()
    tools = cache_directory() / "cluster-bin"
    tools.mkdir(parents=True, exist_ok=True)
    for name, path in (("kind", _kind()), ("helm", helm()), ("kubectl", kubectl())):
        # Found by PATH it may be the link itself.
        program = Path(path).resolve()
        (tools / name).unlink(missing_ok=True)
        (tools / name).symlink_to(program)
    made = environment()
    os.environ.update(made)
    if NAME in run("kind", "get", "clusters").split():
        run("kind", "delete", "cluster", "--name", NAME)
    with step(f"cluster {NAME} from {node}"), tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "kind.yaml"
        config.write_text(yaml.safe_dump(_config(own)))
        run(
            *("kind", "create", "cluster", "--name", NAME, "--image", node),
            *("--config", str(config), "--wait", "180s"),
        )
    with step("images into the cluster"):
        run("kind", "load", "docker-image", "--name", NAME, *_images())
    return {**found, **made}


def stop() -> None:
    os.environ.update(engine.start() if engine.answers(engine.environment()) else {})
    os.environ.update(environment())
    run("kind", "delete", "cluster", "--name", NAME)


def _node() -> tuple[str, bool]:
    """The node's image, and whether it is our own."""
    if is_there(_STOCK) or is_pulled(_STOCK):
        return _STOCK, False
    return node_image(), True


def _kind() -> str:
    return shutil.which("kind") or str(programs() / "kind")


def _config(own: bool) -> dict[str, Any]:
    text = (ROOT / "kind-config.yaml").read_text(encoding="utf-8")
    config: dict[str, Any] = yaml.safe_load(text)
    if own:
        config["featureGates"] = {"KubeletInUserNamespace": True}
        config["kubeadmConfigPatches"] = _PATCHES
    return config


def _images() -> list[str]:
    """Those of the chart that are here."""
    values = yaml.safe_load((ROOT / "charts/trading/values.yaml").read_text(encoding="utf-8"))
    foreign = [part.get("image") for part in values.values() if isinstance(part, dict)]
    names = [images.name(), *(name for name in foreign if isinstance(name, str))]
    return [name for name in names if is_there(name)]


def main(arguments: list[str]) -> int:
    """0 done, 1 a step failed, 2 no engine or wrong arguments."""
    try:
        if arguments == ["start"]:
            out, sys.stdout = sys.stdout, sys.stderr
            found = start()
            sys.stdout = out
            for name, value in found.items():
                print(f"export {name}={value}")
            return 0
        if arguments == ["stop"]:
            stop()
            return 0
    except NoEngine as error:
        print(error, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        words = " ".join(str(word) for word in error.cmd)
        print(f"{words}: exit code {error.returncode}\n{error.stderr or ''}", file=sys.stderr)
        return 1
    print((__doc__ or "").strip(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
