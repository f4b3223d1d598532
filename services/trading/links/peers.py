"""The addresses of the other services, and the tokens by which services authenticate each other."""

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

#: File in the data directory with the tokens of services that share one machine.
SHARED_FILE = "links.json"
_WHERE = "Where the {} is. Default: its port on this machine."


class Peers(NamedTuple):
    """How this service reaches and authenticates the others.

    ``urls`` are the base URLs of each service, more than one where several instances run. ``token``
    authenticates this service to the others, and ``accepted`` has, by service, the SHA-256 of its
    token in hex.
    """

    urls: Mapping[str, tuple[str, ...]]
    token: str
    accepted: Mapping[str, str]

    def secrets(self) -> list[str]:
        """Return the values that no log may contain."""
        return [self.token]

    def who(self, service: str, authorization: str) -> bool:
        """Return whether the header ``Authorization`` has the bearer token of ``service``."""
        kind, _, token = authorization.partition(" ")
        accepted = self.accepted.get(service, "")
        return hmac.compare_digest(digest(token.strip()), accepted) and kind.lower() == "bearer"


class LinkSettings(FromEnvironment):
    """The settings of services that are processes of their own. Each address may be several,
    separated by commas, one for each instance of the service.
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


def load_peers(service: str, settings: Settings) -> Peers:
    """Return the peers of ``service`` as :class:`LinkSettings` say. Without LINK_TOKEN and
    LINK_PEERS, services that share a data directory on one machine use the tokens in its file.
    Raises SettingsError.
    """
    link_settings = read(LinkSettings)
    urls = {}
    for name, entry in SERVICES.items():
        default = f"http://127.0.0.1:{entry.port + settings.port_offset}"
        urls[name] = _split(getattr(link_settings, f"{name.replace('-', '_')}_url")) or (default,)
    if (link_settings.link_token is None) == bool(link_settings.link_peers):
        raise SettingsError("LINK_TOKEN and LINK_PEERS go together")
    if link_settings.link_token is not None:
        token = link_settings.link_token.get_secret_value()
        return Peers(urls, token, _parse_accepted(link_settings.link_peers))
    if not settings.loopback_only:
        raise SettingsError(
            f"LINK_TOKEN: must be set where BIND_HOST ({settings.bind_host}) is no loopback address"
        )
    tokens = _shared_tokens(settings.data_dir / SHARED_FILE)
    return Peers(urls, tokens[service], {name: digest(t) for name, t in tokens.items()})


def _split(urls: str) -> tuple[str, ...]:
    return tuple(base for url in urls.split(",") if (base := url.strip().rstrip("/")))


def _parse_accepted(text: str) -> dict[str, str]:
    problem = 'LINK_PEERS: must be JSON like {"risk-monitor": "<SHA-256 of its token in hex>"}'
    try:
        digests = json.loads(text)
    except ValueError as error:
        raise SettingsError(problem) from error
    if not isinstance(digests, dict) or not all(
        name in SERVICES and isinstance(value, str) and len(value) == 64
        for name, value in digests.items()
    ):
        raise SettingsError(problem)
    return digests


def _shared_tokens(path: Path) -> dict[str, str]:
    """Read the tokens of all services from a file, which the first service creates. Creating it by
    a hard link is atomic, so services that start together use the same tokens.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        new_file = path.with_name(f"{SHARED_FILE}.{os.getpid()}")
        new_file.touch(mode=0o600)
        new_file.write_text(json.dumps({name: secrets.token_hex(32) for name in SERVICES}))
        try:
            os.link(new_file, path)
        except FileExistsError:
            pass
        finally:
            new_file.unlink()
    tokens: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return tokens
