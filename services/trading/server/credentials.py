"""Keys and tokens of an ecosystem on one machine: from the settings, or made once and kept."""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trading.hosting.settings import Settings
from trading.universe import default_universe

KEPT = "credentials.json"
_PAIR = ("api_key", "api_secret")
_ACCOUNTS = default_universe().firm_accounts


class Credentials(NamedTuple):
    """What clients of this ecosystem need; kept in the data directory, for its owner only."""

    api_key: str
    api_secret: str
    chaos_token: str

    def secrets(self) -> list[str]:
        """What no log may show; an API key is one, too, to who has the logs."""
        return [*self, *(part for a in _ACCOUNTS for part in self.read_only(a))]

    def read_only(self, account: str) -> tuple[str, str]:
        """Key and secret of an account, for a monitor of your own: they read, and do not trade."""
        return self._derived(f"key of {account}"), self._derived(f"secret of {account}")

    def _derived(self, what: str) -> str:
        return hmac.new(self.api_secret.encode(), what.encode(), hashlib.sha256).hexdigest()


def credentials(settings: Settings) -> Credentials:
    """What the settings do not name is made once; processes that start together agree."""
    path = settings.data_dir / KEPT
    if settings.journal != "memory" and not path.exists():
        _keep_new(path)
    kept = read_credentials(settings.data_dir)
    given = {
        "api_key": settings.api_key,
        "api_secret": settings.api_secret,
        "chaos_token": settings.chaos_token,
    }
    found = {
        name: secret.get_secret_value() if secret else kept.get(name) or secrets.token_hex(32)
        for name, secret in given.items()
    }
    known = Credentials(**found)
    readers = {a: dict(zip(_PAIR, known.read_only(a), strict=True)) for a in _ACCOUNTS}
    wanted = {**found, "read_only": readers}
    if wanted != kept and settings.journal != "memory":
        _replace(path, wanted)
    return known


def read_credentials(directory: Path) -> dict[str, Any]:
    """What a running ecosystem with this data directory takes; empty if there is none."""
    try:
        found: dict[str, Any] = json.loads((directory / KEPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _keep_new(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = _written(path, {name: secrets.token_hex(32) for name in Credentials._fields})
    # Whoever is first has made them for all.
    with contextlib.suppress(FileExistsError):
        os.link(made, path)
    made.unlink()


def _replace(path: Path, found: Mapping[str, Any]) -> None:
    _written(path, found).replace(path)


def _written(path: Path, found: Mapping[str, Any]) -> Path:
    made = path.with_name(f"{path.name}.{os.getpid()}")
    made.touch(mode=0o600)
    made.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return made
