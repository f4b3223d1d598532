"""Where the other services are, and by which tokens they know each other."""

import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from trading.hosting.environment import FromEnvironment, SettingsError, read
from trading.hosting.settings import Settings
from trading.hosting.tokens import check_strength, digest
from trading.topology import SERVICES

KEPT = "links.json"
_WHERE = "Where the {} is. Default: its port on this machine."


class Peers(NamedTuple):
    """``urls``: by service; more than one where several instances run. ``token``: what this
    service shows; ``accepted``: by service, the SHA-256 of its token in hex.
    """

    urls: Mapping[str, tuple[str, ...]]
    token: str
    accepted: Mapping[str, str]

    def secrets(self) -> list[str]:
        """What no log may show."""
        return [self.token]

    def who(self, service: str, authorization: str) -> bool:
        """Does ``Authorization: Bearer`` show that it is ``service``?"""
        kind, _, token = authorization.partition(" ")
        given = digest(token.strip())
        known = self.accepted.get(service, "")
        return hmac.compare_digest(given, known) and kind.lower() == "bearer"


class LinkSettings(FromEnvironment):
    """Of services that are processes of their own. Several instances of a service: their addresses
    separated by commas.
    """

    exchange_url: str = Field(default="", description=_WHERE.format("exchange"))
    custodian_url: str = Field(default="", description=_WHERE.format("custodian"))
    market_data_url: str = Field(default="", description=_WHERE.format("market data"))
    trading_engine_url: str = Field(default="", description=_WHERE.format("trading engine"))
    risk_monitor_url: str = Field(default="", description=_WHERE.format("risk monitor"))
    test_coordinator_url: str = Field(default="", description=_WHERE.format("test coordinator"))
    audit_correlator_url: str = Field(default="", description=_WHERE.format("audit correlator"))
    link_token: SecretStr | None = Field(
        default=None, description="What this service shows to those that it calls."
    )
    link_peers: str = Field(
        default="",
        description="Who may call this service: JSON, by service the SHA-256 of its token in hex.",
    )

    @field_validator("link_token")
    @classmethod
    def _strong(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            check_strength(secret.get_secret_value())
        return secret

    @field_validator("*")
    @classmethod
    def _address(cls, value: Any, info: ValidationInfo) -> Any:
        if (info.field_name or "").endswith("_url"):
            for url in _split(value):
                if not url.startswith(("http://", "https://")):
                    raise ValueError(f"{url} is no http URL")
        return value


def peers(service: str, settings: Settings) -> Peers:
    """From :class:`LinkSettings`. Without LINK_TOKEN and LINK_PEERS, services that share a data
    directory on one machine know each other by it. Raises SettingsError.
    """
    given = read(LinkSettings)
    urls = {}
    for name, known in SERVICES.items():
        default = f"http://127.0.0.1:{known.port + settings.port_offset}"
        urls[name] = _split(getattr(given, f"{name.replace('-', '_')}_url")) or (default,)
    if (given.link_token is None) == bool(given.link_peers):
        raise SettingsError("LINK_TOKEN and LINK_PEERS go together")
    if given.link_token is not None:
        return Peers(urls, given.link_token.get_secret_value(), _accepted(given.link_peers))
    if not settings.alone:
        raise SettingsError(
            f"LINK_TOKEN: must be set where BIND_HOST ({settings.bind_host}) is no loopback address"
        )
    kept = _kept(settings.data_dir / KEPT)
    return Peers(urls, kept[service], {name: digest(t) for name, t in kept.items()})


def _split(urls: str) -> tuple[str, ...]:
    return tuple(found for url in urls.split(",") if (found := url.strip().rstrip("/")))


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
