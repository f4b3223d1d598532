"""Where the other services are, and by which tokens they know each other."""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from trading.hosting.settings import Settings, SettingsError
from trading.topology import SERVICES

KEPT = "links.json"


class Peers(NamedTuple):
    """``urls``: by service; more than one where several instances run. ``token``: what this
    service shows; ``accepted``: by service, the SHA-256 of its token in hex.
    """

    urls: Mapping[str, tuple[str, ...]]
    token: str
    accepted: Mapping[str, str]

    def who(self, service: str, authorization: str) -> bool:
        """Does ``Authorization: Bearer`` show that it is ``service``?"""
        kind, _, token = authorization.partition(" ")
        given = hashlib.sha256(token.strip().encode()).hexdigest()
        known = self.accepted.get(service, "")
        return hmac.compare_digest(given, known) and kind.lower() == "bearer"


def peers(service: str, settings: Settings, environment: Mapping[str, str] = os.environ) -> Peers:
    """From ``EXCHANGE_URL`` and its like, ``LINK_TOKEN`` and ``LINK_PEERS`` (or ``*_FILE``).
    Without the latter two, services that share a data directory on one machine find each other
    by it. Raises SettingsError.
    """
    urls = {}
    for name, known in SERVICES.items():
        default = f"http://127.0.0.1:{known.port + settings.port_offset}"
        given = environment.get(f"{name.upper().replace('-', '_')}_URL") or default
        urls[name] = tuple(u.strip().rstrip("/") for u in given.split(","))
        for url in urls[name]:
            if not url.startswith(("http://", "https://")):
                raise SettingsError(f"{name.upper().replace('-', '_')}_URL: {url} is no http URL")
    token, accepted = _secret("LINK_TOKEN", environment), _secret("LINK_PEERS", environment)
    if bool(token) != bool(accepted):
        raise SettingsError("LINK_TOKEN and LINK_PEERS go together")
    if token:
        return Peers(urls, token, _accepted(accepted))
    if not settings.bind_host.is_loopback:
        raise SettingsError(
            f"LINK_TOKEN: must be set where BIND_HOST ({settings.bind_host}) is no loopback address"
        )
    kept = _kept(settings.data_dir / KEPT)
    return Peers(urls, kept[service], {name: digest(t) for name, t in kept.items()})


def digest(token: str) -> str:
    """What LINK_PEERS has of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _secret(name: str, environment: Mapping[str, str]) -> str:
    path = environment.get(f"{name}_FILE")
    if not path:
        return environment.get(name, "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise SettingsError(f"{name}_FILE: {path}: {why}") from error


def _accepted(text: str) -> dict[str, str]:
    problem = 'LINK_PEERS: must be JSON like {"risk-monitor": "<SHA-256 of its token in hex>"}'
    try:
        found = json.loads(text)
    except ValueError as error:
        raise SettingsError(problem) from error
    if not isinstance(found, dict) or not all(
        name in SERVICES and isinstance(value, str) and len(value) == 64
        for name, value in found.items()
    ):
        raise SettingsError(problem)
    return found


def _kept(path: Path) -> dict[str, str]:
    """Made by whoever is first; the others use the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        made = path.with_name(f"{KEPT}.{os.getpid()}")
        made.touch(mode=0o600)
        made.write_text(json.dumps({name: secrets.token_hex(32) for name in SERVICES}))
        try:
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found
