"""Keys and tokens of an ecosystem on one machine: from the settings, or made once and kept."""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping
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
    risk_token: str
    read_token: str

    def secrets(self) -> list[str]:
        """What no log may show; an API key is one, too, to who has the logs."""
        return [*self, *(part for a in _ACCOUNTS for part in self.read_only(a))]

    def read_only(self, account: str) -> tuple[str, str]:
        """Key and secret of an account, for a monitor of your own: they read, and do not trade."""
        return self._derived(f"key of {account}"), self._derived(f"secret of {account}")

    def login_key(self, service: str) -> bytes:
        """Return what signs the cookies of the service's page."""
        what = f"logins of {service}".encode()
        return hmac.digest(self.risk_token.encode(), what, hashlib.sha256)

    def _derived(self, what: str) -> str:
        return hmac.new(self.api_secret.encode(), what.encode(), hashlib.sha256).hexdigest()


def credentials(settings: Settings) -> Credentials:
    """Return what the settings name, and of the rest what is kept; what is missing is made once,
    so that processes which start together agree. What is kept stays as it is: another process may
    be using it. Raises OSError.
    """
    if settings.journal == "memory":
        return Credentials(**_filled(settings, read_credentials(settings.data_dir)))
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with _locked(settings.data_dir):
        kept = read_credentials(settings.data_dir)
        found = _filled(settings, kept)
        _keep(settings.data_dir, {name: kept.get(name) or found[name] for name in found}, kept)
    return Credentials(**found)


def snapshot_key(settings: Settings, secret: str) -> bytes:
    """Return what authenticates snapshots: SNAPSHOT_KEY, or else derived from a ``secret`` that is
    kept outside the database. Where that changes, the next start replays the journals.
    """
    given = settings.snapshot_key
    text = given.get_secret_value() if given is not None else secret
    return hmac.digest(text.encode(), b"snapshots", hashlib.sha256)


def keep_credentials(settings: Settings, known: Credentials) -> None:
    """Keep also what the settings name, now that this process has the journal. Raises OSError."""
    if settings.journal != "memory":
        with _locked(settings.data_dir):
            _keep(settings.data_dir, known._asdict(), read_credentials(settings.data_dir))


def _keep(directory: Path, found: Mapping[str, str], kept: Mapping[str, Any]) -> None:
    known = Credentials(**found)
    readers = {a: dict(zip(_PAIR, known.read_only(a), strict=True)) for a in _ACCOUNTS}
    wanted = {**found, "read_only": readers}
    if wanted != kept:
        _write(directory / KEPT, wanted)


def _filled(settings: Settings, kept: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name in Credentials._fields:
        given = getattr(settings, name)
        found[name] = given.get_secret_value() if given is not None else kept.get(name, "")
        found[name] = found[name] or secrets.token_hex(32)
    return found


def read_credentials(directory: Path) -> dict[str, Any]:
    """What a running ecosystem with this data directory takes; empty if there is none."""
    try:
        found: dict[str, Any] = json.loads((directory / KEPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Only one process at a time is between its reading and its writing."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, found: Mapping[str, Any]) -> None:
    """Whole or not at all, and at no moment readable for others."""
    made = path.with_name(f"{path.name}.{os.getpid()}")
    made.touch(mode=0o600)
    made.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    made.replace(path)
