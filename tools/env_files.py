"""Generate env/dev.env, test.env and prod.env: the variables of each Compose file with their
defaults.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from trading.deploy.environments import ENVIRONMENTS, Environment
from trading.hosting.settings import Settings

_VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*)|:\?([^}]*)|:\+([^}]*))\}")
_HEAD = """\
# The variables of {file}, written by `make generate`. Your own values go into `.env`, which
# is read after this file and never committed. Secrets are files, and in neither.
"""
_OTHERS = {
    "SIGNING_KEY_FILE": "File on this host with the key that the test coordinator signs verdicts"
    " with, readable\n# for user 10001; not set: they are not signed.",
    "TRADING_IMAGE": "Image of the seven services.",
}


def texts(compose_files: Mapping[Path, str]) -> dict[Path, str]:
    """Return the text of each generated file, by its path within the project. `compose_files` has
    the texts of the Compose files by their paths.
    """
    return {
        environment.variables: _text(environment, compose_files[environment.compose_file])
        for environment in ENVIRONMENTS.values()
    }


def _text(environment: Environment, compose_file: str) -> str:
    parts = [_HEAD.format(file=environment.compose_file)]
    variables: dict[str, re.Match[str]] = {}
    for match in _VARIABLE.finditer(compose_file):
        # A use of the form ${NAME:+...} has no default, and takes precedence.
        if match[1] not in variables or match[4] is not None:
            variables[match[1]] = match
    for name, match in sorted(variables.items()):
        field = Settings.model_fields.get(name.lower())
        meaning = field.description if field is not None else _OTHERS.get(name) or match[3]
        parts.append(f"\n# {meaning}\n")
        parts.append(f"{name}={match[2]}\n" if match[2] is not None else f"#{name}=\n")
    return "".join(parts)
