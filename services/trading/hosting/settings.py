"""Settings: from the environment, a ``.env`` file, or, for secrets, from files that ``*_FILE``
names. A setting that is wrong stops the start and says which it is.
"""

import os
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, IPvAnyAddress, SecretStr, ValidationError
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
    sim_speed: float = Field(
        default=1.0, gt=0, le=3600, description="Simulated seconds per wall second between runs."
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
