"""The rendered manifests of each environment, committed, so that a change of the chart shows its
effect.

    python -m tests.chart.golden    writes them again

They leave out what is generated anew in each render (secrets, and checksums of them), and the texts
of configuration files, which are in the chart unchanged.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.chart.rendering import ENVIRONMENTS, manifests

DIRECTORY = Path(__file__).parent / "golden"
_HEAD = "# Written by `python -m tests.chart.golden`.\n"


def golden(environment: str) -> str:
    """Return the manifests of an environment as YAML, sorted by kind and name."""
    plain = [_plain(manifest) for manifest in manifests(environment)]
    plain.sort(key=lambda manifest: (manifest["kind"], manifest["metadata"]["name"]))
    return _HEAD + yaml.safe_dump_all(plain, sort_keys=False, default_flow_style=None, width=100)


def _plain(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest without what differs between two renders."""
    plain = dict(manifest)
    if plain["kind"] in ("Secret", "ConfigMap"):
        plain["data"] = dict.fromkeys(sorted(plain["data"]), "...")
    if plain["kind"] == "Job":
        name = re.sub("-[0-9a-f]{8}$", "-HASH", plain["metadata"]["name"])
        plain["metadata"] = plain["metadata"] | {"name": name}
    if plain["kind"] in ("Deployment", "StatefulSet", "Job"):
        template = plain["spec"]["template"]
        annotations = {
            key: "..." if key.startswith("checksum/") else value
            for key, value in template["metadata"].get("annotations", {}).items()
        }
        metadata = template["metadata"] | {"annotations": annotations}
        plain["spec"] = plain["spec"] | {"template": template | {"metadata": metadata}}
    return plain


def main() -> None:
    """Write the files of all environments."""
    for environment in ENVIRONMENTS:
        (DIRECTORY / f"{environment}.yaml").write_text(golden(environment), encoding="utf-8")


if __name__ == "__main__":
    main()
