"""Settings: from the environment, a ``.env`` file, or, for secrets, from files that ``*_FILE``
names. A setting that is wrong stops the start and says which it is.
"""

import os
from collections.abc import Mapping
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, IPvAnyAddress, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


class SettingsError(ValueError):
    """One line for each wrong setting, with its name in the environment."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    bind_host: IPvAnyAddress = Field(
        default=IPv4Address("127.0.0.1"), description="Address that the services listen on."
    )
    port_offset: int = Field(
        default=0, ge=0, le=50_000, description="Added to every port: for a second ecosystem here."
    )
    data_dir: Path = Field(default=Path(".trading"), description="Where SQLite journals are kept.")
    journal: Literal["sqlite", "postgres", "memory"] = Field(
        default="sqlite", description="Journal backend; memory forgets everything at the end."
    )
    database_url: SecretStr | None = Field(
        default=None, description="Where JOURNAL=postgres keeps it, e.g. postgresql://user@host/db."
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
    sim_speed: float = Field(
        default=1.0, gt=0, le=3600, description="Simulated seconds per wall second between runs."
    )
    sim_speed_limit: float = Field(
        default=20.0,
        gt=0,
        le=3600,
        description="No run goes faster where services are processes of their own: at 20, one that"
        " is slow for 200 ms has been silent for 4 seconds of its market.",
    )
    sim_seed: int = Field(default=0, ge=0, lt=2**63, description="Seed of the market between runs.")
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
    risk_token: SecretStr | None = Field(
        default=None, description="Who knows it may act on alerts and the circuit breaker."
    )
    api_key: SecretStr | None = Field(default=None, description="Exchange API key of firm-api.")
    api_secret: SecretStr | None = Field(default=None, description="Secret of that API key.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("coingecko_url", "coinmarketcap_url")
    @classmethod
    def _private(cls, url: str) -> str:
        """A key goes there with every question."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            host = ""
        if not host or parts.scheme not in ("http", "https") or parts.username or parts.query:
            raise ValueError("must be an address like https://host")
        if parts.scheme == "http" and not _is_loopback(host):
            raise ValueError("must be https where the host is not this one")
        return url.rstrip("/")

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: SecretStr | None) -> SecretStr | None:
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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FromFiles(settings_cls), dotenv_settings


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _FromFiles(PydanticBaseSettingsSource):
    """``CHAOS_TOKEN_FILE=/run/secrets/chaos`` is ``CHAOS_TOKEN`` with that file's content."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not text"
            raise SettingsError(f"{field_name.upper()}_FILE: {path}: {why}") from error

    def __call__(self) -> dict[str, Any]:
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            value, _, _ = self.get_field_value(field, name)
            if value is not None:
                found[name] = value
        return found


def load_settings(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Raises SettingsError, naming every wrong setting."""
    try:
        settings = Settings(**dict(overrides or {}))
    except ValidationError as error:
        lines = [f"{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        raise SettingsError("\n".join(lines)) from error
    if not settings.bind_host.is_loopback and settings.risk_token is None:
        raise SettingsError(
            f"RISK_TOKEN: must be set where BIND_HOST ({settings.bind_host}) is no loopback"
            " address: whoever can connect could reset the circuit breaker"
        )
    if settings.journal == "postgres" and settings.database_url is None:
        raise SettingsError("DATABASE_URL: must be set where JOURNAL is postgres")
    if (settings.api_key is None) != (settings.api_secret is None):
        missing = "API_SECRET" if settings.api_secret is None else "API_KEY"
        raise SettingsError(f"{missing}: API_KEY and API_SECRET go together")
    return settings
