"""Reads settings from the environment, from a ``.env`` file, and secrets from ``*_FILE`` files.

A wrong setting ends the start with a message that names it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import (
    SettingsError as SourceError,
)

Model = TypeVar("Model", bound="FromEnvironment")


class SettingsError(ValueError):
    """A setting is wrong; the text has one line for each, with its name in the environment."""


class FromEnvironment(BaseSettings):
    """Base of all settings.

    Arguments take precedence, then the environment, files of secrets, and the ``.env`` file.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of settings; earlier ones take precedence."""
        return init_settings, env_settings, _FromFiles(settings_cls), dotenv_settings


class _FromFiles(PydanticBaseSettingsSource):
    """Reads secrets from files: CHAOS_TOKEN is the content of the file CHAOS_TOKEN_FILE."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Return the content of the field's file, if one is set. Raises SettingsError."""
        path = os.environ.get(f"{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not text"
            raise SettingsError(f"{field_name.upper()}_FILE: {path}: {why}") from error

    def __call__(self) -> dict[str, Any]:
        values = {}
        for name, field in self.settings_cls.model_fields.items():
            value, _, _ = self.get_field_value(field, name)
            if value is not None:
                values[name] = value
        return values


def read(model: type[Model], overrides: Mapping[str, Any] | None = None) -> Model:
    """Return the settings of ``model``; ``overrides`` take precedence over the environment.

    Raises SettingsError with the problems of all wrong settings.
    """
    try:
        return model(**dict(overrides or {}))
    except ValidationError as error:
        lines = [f"{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        raise SettingsError("\n".join(lines)) from error
    except SourceError as error:
        raise SettingsError(str(error)) from error
