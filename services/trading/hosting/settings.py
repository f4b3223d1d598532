"""The settings of a process that hosts services, and the rules that they must meet.

Their descriptions are also the documentation of the settings.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from trading.hosting.addresses import is_loopback, split
from trading.hosting.environment import FromEnvironment, SettingsError, read
from trading.hosting.tokens import check_strength, digest
from trading.scenario.signing import private_key

__all__ = ["Settings", "SettingsError", "load_settings"]


_SHA256 = re.compile(r"[0-9a-f]{64}")


class Settings(FromEnvironment):
    """The settings of one process, read from its environment."""

    bind_host: str = Field(
        default="127.0.0.1",
        max_length=1000,
        description="Where the services listen: addresses, or names of this machine in its"
        " networks, separated by commas.",
    )
    allowed_hosts: str = Field(
        default="",
        max_length=2000,
        description="Further names by which the services are asked, e.g. of a proxy before them,"
        " separated by commas. Addresses, localhost, names in BIND_HOST and the services' own names"
        " need not be named. A name without dots is good with .NAMESPACE.svc behind it, too.",
    )
    port_offset: int = Field(
        default=0, ge=0, le=50_000, description="Added to every port: for a second ecosystem here."
    )
    data_dir: Path = Field(default=Path(".trading"), description="Where SQLite journals are kept.")
    journal: Literal["sqlite", "postgres", "memory"] = Field(
        default="sqlite", description="Journal backend; memory forgets everything at the end."
    )
    journal_retention: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="Megabytes of sealed journals from between runs that are kept by a process; the"
        " oldest entries go first, their hashes stay. Journals of runs are kept until trading"
        " archive drops them. Default: everything is kept.",
    )
    database_url: SecretStr | None = Field(
        default=None, description="Where JOURNAL=postgres keeps it, e.g. postgresql://user@host/db."
    )
    database_patience: int = Field(
        default=60,
        ge=0,
        le=3600,
        description="Seconds that trading serve waits at its start for PostgreSQL and its role.",
    )
    database_schema: str = Field(
        default="trading",
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        description="PostgreSQL schema of the journals.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis, for what may be lost: strategy leases, the cache of prices.",
    )
    enable_real_market_data: bool = Field(
        default=False, description="Does the market between runs follow real prices?"
    )
    coingecko_api_key: SecretStr | None = Field(
        default=None, description="CoinGecko key; without one it answers less often."
    )
    coingecko_url: str = Field(
        default="https://api.coingecko.com",
        max_length=300,
        description="For a pro key: https://pro-api.coingecko.com",
    )
    coinmarketcap_api_key: SecretStr | None = Field(
        default=None, description="CoinMarketCap key; without one it is not asked."
    )
    coinmarketcap_url: str = Field(
        default="https://pro-api.coinmarketcap.com", max_length=300, description="Its address."
    )
    anchor_seconds: int = Field(
        default=30,
        ge=20,
        le=3600,
        description="Wall seconds between two questions for real prices. At 30, a source is asked"
        " 86400 times in 30 days; free plans allow about 10000.",
    )
    network_patience: float = Field(
        default=120.0,
        gt=0,
        le=86_400,
        description="How long a run in virtual time waits until the platform's network separates"
        " two services, or connects them again, wall seconds; after that it is Inconclusive.",
    )
    run_patience: float = Field(
        default=120.0,
        gt=0,
        le=86_400,
        description="How long a run in virtual time waits for a service that is away, wall seconds;"
        " after that it is Inconclusive.",
    )
    sim_speed: float = Field(
        default=1.0, gt=0, le=3600, description="Simulated seconds per wall second between runs."
    )
    sim_seed: int = Field(default=0, ge=0, lt=2**63, description="Seed of the market between runs.")
    accept_loss: bool = Field(
        default=False,
        description="Go on though journal entries that were acknowledged are lost; the audit says"
        " so. As --accept-loss.",
    )
    snapshot_key: SecretStr | None = Field(
        default=None,
        description="Authenticates snapshots in the database. Default: derived from LINK_TOKEN, or"
        " with trading up from API_SECRET.",
    )
    enable_chaos_scenarios: bool | None = Field(
        default=None,
        description="May scenarios run here? Default: only with trading up on a loopback address.",
    )
    enable_audit_logging: bool = Field(
        default=True, description="Does the audit correlator read the journals along?"
    )
    chaos_token: SecretStr | None = Field(
        default=None, description="Who knows it may start and abort runs."
    )
    chaos_token_sha256: SecretStr | None = Field(
        default=None,
        description="SHA-256 of CHAOS_TOKEN in hex: all that services need of it but the test"
        " coordinator.",
    )
    signing_key: SecretStr | None = Field(
        default=None,
        description="Private key (Ed25519, PEM) that the test coordinator signs verdicts with; make"
        " one with trading keys new.",
    )
    risk_token: SecretStr | None = Field(
        default=None,
        description="Who knows it may act on alerts and the circuit breaker, and log in at the"
        " dashboard.",
    )
    read_token: SecretStr | None = Field(
        default=None,
        description="Who knows it may read journals, balances and positions where others than this"
        " machine can connect.",
    )
    read_token_sha256: SecretStr | None = Field(
        default=None, description="SHA-256 of READ_TOKEN in hex: all that services need of it."
    )
    api_key: SecretStr | None = Field(default=None, description="Exchange API key of firm-api.")
    api_secret: SecretStr | None = Field(default=None, description="Secret of that API key.")
    otel_exporter_otlp_endpoint: str = Field(
        default="",
        max_length=300,
        description="OpenTelemetry collector that gets traces by HTTP, e.g. http://host:4318.",
    )
    otel_traces_sampler_arg: float = Field(
        default=1.0, ge=0, le=1, description="Share of traces that is kept."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Of the JSON lines on standard error."
    )

    @property
    def retention(self) -> int | None:
        """JOURNAL_RETENTION in bytes; None if everything is kept."""
        return None if self.journal_retention is None else self.journal_retention * 1_000_000

    @property
    def bind_hosts(self) -> tuple[str, ...]:
        """The addresses and names in BIND_HOST."""
        return split(self.bind_host)

    @property
    def loopback_only(self) -> bool:
        """Whether only this machine can connect to the services."""
        return all(is_loopback(host) for host in self.bind_hosts)

    @field_validator("bind_host")
    @classmethod
    def _check_bind_host(cls, hosts: str) -> str:
        split(hosts)
        return hosts

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names in ALLOWED_HOSTS."""
        return split(self.allowed_hosts) if self.allowed_hosts.strip(" ,") else ()

    @field_validator("allowed_hosts")
    @classmethod
    def _check_allowed_hosts(cls, hosts: str) -> str:
        if hosts.strip(" ,"):
            split(hosts)
        return hosts

    @field_validator(
        "chaos_token", "risk_token", "read_token", "api_key", "api_secret", "snapshot_key"
    )
    @classmethod
    def _check_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            check_strength(secret.get_secret_value())
        return secret

    @field_validator("chaos_token_sha256", "read_token_sha256")
    @classmethod
    def _check_digest(cls, digest: SecretStr | None) -> SecretStr | None:
        if digest is not None and not _SHA256.fullmatch(digest.get_secret_value()):
            raise ValueError("must be 64 digits of hex: printf %s TOKEN | sha256sum")
        return digest

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _check_collector_url(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must be an address like http://host:4318")
        return url

    @field_validator("coingecko_url", "coinmarketcap_url")
    @classmethod
    def _check_price_url(cls, url: str) -> str:
        """Refuse unencrypted addresses elsewhere: requests for prices contain a secret key."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            host = ""
        if not host or parts.scheme not in ("http", "https") or parts.username or parts.query:
            raise ValueError("must be an address like https://host")
        if parts.scheme == "http" and not is_loopback(host):
            raise ValueError("must be https where the host is not this one")
        return url.rstrip("/")

    @field_validator("signing_key")
    @classmethod
    def _check_signing_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            private_key(key.get_secret_value())
        return key

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            try:
                parts = urlsplit(url.get_secret_value())
                usable, _ = (
                    bool(parts.path if parts.scheme == "unix" else parts.hostname),
                    parts.port,
                )
            except ValueError:
                usable = False
            if not usable or parts.scheme not in ("redis", "rediss", "unix"):
                raise ValueError("must be like redis://:password@host:6379/0")
        return url


def load_settings(
    overrides: Mapping[str, Any] | None = None, *, watches_risk: bool = True
) -> Settings:
    """Read the settings of the environment; ``overrides`` come first.

    ``watches_risk`` says that the risk monitor runs in this process, which may then need
    RISK_TOKEN. Raises SettingsError with the problems of all wrong settings.
    """
    settings = read(Settings, overrides)
    if watches_risk and not settings.loopback_only and settings.risk_token is None:
        raise SettingsError(
            f"RISK_TOKEN: must be set where BIND_HOST ({settings.bind_host}) is no loopback"
            " address: whoever can connect could reset the circuit breaker"
        )
    if settings.journal == "postgres" and settings.database_url is None:
        raise SettingsError("DATABASE_URL: must be set where JOURNAL is postgres")
    if (settings.api_key is None) != (settings.api_secret is None):
        missing = "API_SECRET" if settings.api_secret is None else "API_KEY"
        raise SettingsError(f"{missing}: API_KEY and API_SECRET go together")
    for name in ("chaos_token", "read_token"):
        plain, hashed = getattr(settings, name), getattr(settings, f"{name}_sha256")
        if plain and hashed and digest(plain.get_secret_value()) != hashed.get_secret_value():
            raise SettingsError(f"{name.upper()}_SHA256: is not of {name.upper()}; one is enough")
    return settings
