"""The keys and tokens of an ecosystem: from the settings, or generated once and stored.

Processes on one machine share them through a file in the data directory, so that several services
can be started there without any settings.
"""

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

FILE_NAME = "credentials.json"
_READER_FIELDS = ("api_key", "api_secret")
_ACCOUNTS = default_universe().firm_accounts


class Credentials(NamedTuple):
    """The secrets of one ecosystem: the exchange's API key and secret, and the bearer tokens.

    They are stored in the data directory, in a file that only its owner can read.
    """

    api_key: str
    api_secret: str
    chaos_token: str
    risk_token: str
    read_token: str

    def secrets(self) -> list[str]:
        """Return everything that must not appear in logs, including API keys."""
        return [*self, *(part for a in _ACCOUNTS for part in self.read_only(a))]

    def read_only(self, account: str) -> tuple[str, str]:
        """Return API key and secret with which an external monitor can read ``account``.

        They do not allow trading.
        """
        return self._derived(f"key of {account}"), self._derived(f"secret of {account}")

    def login_key(self, service: str) -> bytes:
        """Return the key that signs the login cookies of the service's page."""
        purpose = f"logins of {service}".encode()
        return hmac.digest(self.risk_token.encode(), purpose, hashlib.sha256)

    def _derived(self, purpose: str) -> str:
        return hmac.new(self.api_secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def credentials(settings: Settings) -> Credentials:
    """Return the credentials from the settings, completed from the file in the data directory.

    What is missing in both is generated and stored, under a lock, so that processes that start
    together agree. Stored values are not replaced here, since another process may be using them;
    see :func:`save_credentials`. Raises OSError.
    """
    if settings.journal == "memory":
        return Credentials(**_complete(settings, read_credentials(settings.data_dir)))
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with _locked(settings.data_dir):
        stored = read_credentials(settings.data_dir)
        values = _complete(settings, stored)
        _store(
            settings.data_dir, {name: stored.get(name) or values[name] for name in values}, stored
        )
    return Credentials(**values)


def snapshot_key(settings: Settings, secret: str) -> bytes:
    """Return the key that authenticates snapshots.

    It is derived from SNAPSHOT_KEY, or from ``secret`` if that is not set. The key must not come
    from the database, so that write access to it does not allow forging snapshots. After a change
    of the key, the next start ignores the snapshots and replays the journals.
    """
    configured = settings.snapshot_key
    text = configured.get_secret_value() if configured is not None else secret
    return hmac.digest(text.encode(), b"snapshots", hashlib.sha256)


def save_credentials(settings: Settings, credentials: Credentials) -> None:
    """Store ``credentials``, replacing the stored ones, unless the journal is in memory.

    Call this when the process has opened its journal, since no other process uses the stored values
    then. Raises OSError.
    """
    if settings.journal != "memory":
        with _locked(settings.data_dir):
            _store(settings.data_dir, credentials._asdict(), read_credentials(settings.data_dir))


def _store(directory: Path, values: Mapping[str, str], stored: Mapping[str, Any]) -> None:
    credentials = Credentials(**values)
    readers = {
        a: dict(zip(_READER_FIELDS, credentials.read_only(a), strict=True)) for a in _ACCOUNTS
    }
    content = {**values, "read_only": readers}
    if content != stored:
        _write_atomically(directory / FILE_NAME, content)


def _complete(settings: Settings, stored: Mapping[str, Any]) -> dict[str, str]:
    values = {}
    for name in Credentials._fields:
        configured = getattr(settings, name)
        values[name] = (
            configured.get_secret_value() if configured is not None else stored.get(name, "")
        )
        values[name] = values[name] or secrets.token_hex(32)
    return values


def read_credentials(directory: Path) -> dict[str, Any]:
    """Return the content of the credentials file in ``directory``.

    The result is empty if the file does not exist or cannot be read.
    """
    try:
        content: dict[str, Any] = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold a lock on ``directory``, so that one process at a time reads and changes the file."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_atomically(path: Path, content: Mapping[str, Any]) -> None:
    """Replace the file atomically; no other user can read it at any moment."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
