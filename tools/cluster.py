"""Provide a kind cluster for the tests, with the images of a deployment loaded.

    python -m tools.cluster start     create it; print the environment variables it needs
    python -m tools.cluster stop      delete it

If kind's node image can be pulled, it is used with the project's kind-config.yaml unchanged.
Otherwise an image is built (tools/bare_machine/kind_node.py), and the configuration gets what that
image needs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tools import images
from tools.bare_machine import engine
from tools.bare_machine.building import is_present, is_pulled, run, step
from tools.bare_machine.engine import NoEngine
from tools.bare_machine.kind_node import ETCD, node_image
from tools.bare_machine.kind_programs import programs
from tools.helm import cache_directory, helm, kubectl

ROOT = Path(__file__).resolve().parent.parent
NAME = "trading"
#: The node image of kind v0.33.
_OFFICIAL_NODE = "kindest/node:v1.35.4"
_PATCHES = [
    "kind: KubeletConfiguration\nfailCgroupV1: false\n",
    f'kind: ClusterConfiguration\netcd: {{local: {{imageTag: "{ETCD}"}}}}\n',
]


def environment() -> dict[str, str]:
    """Return the environment of the cluster's clients: kind, helm and kubectl first in PATH, and
    the kubeconfig.
    """
    tools = cache_directory() / "cluster-bin"
    return {
        "KUBECONFIG": str(cache_directory() / f"kubeconfig-{NAME}"),
        "PATH": f"{tools}:{os.environ['PATH']}",
    }


def start() -> dict[str, str]:
    """Create a cluster, in place of one of the same name; return the environment variables that
    its clients need. Raises NoEngine, CalledProcessError.
    """
    engine_variables = engine.start()
    os.environ.update(engine_variables)
    node, is_ours = _node()
    tools = cache_directory() / "cluster-bin"
    tools.mkdir(parents=True, exist_ok=True)
    for name, path in (("kind", _kind()), ("helm", helm()), ("kubectl", kubectl())):
        # If it is on PATH already, it may be this link itself.
        program = Path(path).resolve()
        (tools / name).unlink(missing_ok=True)
        (tools / name).symlink_to(program)
    cluster_variables = environment()
    os.environ.update(cluster_variables)
    if NAME in run("kind", "get", "clusters").split():
        run("kind", "delete", "cluster", "--name", NAME)
    with step(f"cluster {NAME} from {node}"), tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "kind.yaml"
        config.write_text(yaml.safe_dump(_config(is_ours)))
        run(
            *("kind", "create", "cluster", "--name", NAME, "--image", node),
            *("--config", str(config), "--wait", "180s"),
        )
    with step("images into the cluster"):
        run("kind", "load", "docker-image", "--name", NAME, *_images())
    return {**engine_variables, **cluster_variables}


def stop() -> None:
    """Delete the cluster. Raises CalledProcessError."""
    os.environ.update(engine.start() if engine.answers(engine.environment()) else {})
    os.environ.update(environment())
    run("kind", "delete", "cluster", "--name", NAME)


def _node() -> tuple[str, bool]:
    """Return the node's image, and whether we built it."""
    if is_present(_OFFICIAL_NODE) or is_pulled(_OFFICIAL_NODE):
        return _OFFICIAL_NODE, False
    return node_image(), True


def _kind() -> str:
    return shutil.which("kind") or str(programs() / "kind")


def _config(is_ours: bool) -> dict[str, Any]:
    text = (ROOT / "kind-config.yaml").read_text(encoding="utf-8")
    config: dict[str, Any] = yaml.safe_load(text)
    if is_ours:
        config["featureGates"] = {"KubeletInUserNamespace": True}
        config["kubeadmConfigPatches"] = _PATCHES
    return config


def _images() -> list[str]:
    """Return the chart's images that the engine has."""
    values = yaml.safe_load((ROOT / "charts/trading/values.yaml").read_text(encoding="utf-8"))
    third_party = [part.get("image") for part in values.values() if isinstance(part, dict)]
    names = [images.name(), *(name for name in third_party if isinstance(name, str))]
    return [name for name in names if is_present(name)]


def main(arguments: list[str]) -> int:
    """Run a command; return 0 on success, 1 if a step failed, 2 if there is no engine or the
    arguments are wrong.
    """
    try:
        if arguments == ["start"]:
            out, sys.stdout = sys.stdout, sys.stderr
            variables = start()
            sys.stdout = out
            for name, value in variables.items():
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
