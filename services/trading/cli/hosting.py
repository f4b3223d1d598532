"""Shared by ``trading up`` and ``trading serve``: their options, and the messages at their end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trading.cli.output import say
from trading.cli.wrong_input import WrongInput

if TYPE_CHECKING:
    from trading.hosting.settings import Settings

accept_loss_option = click.option(
    "--accept-loss",
    is_flag=True,
    help="Go on though journal entries that were acknowledged are lost; the audit says so.",
)


def overrides(
    data: Path | None, memory: bool, accept_loss: bool, speed: float | None = None
) -> dict[str, object]:
    """Return the settings that the options override."""
    settings: dict[str, object] = {}
    if data is not None:
        settings["data_dir"] = data
    if speed is not None:
        settings["sim_speed"] = speed
    if memory:
        settings["journal"] = "memory"
    if accept_loss:
        settings["accept_loss"] = True
    return settings


@contextmanager
def settings_errors() -> Iterator[None]:
    """Turn errors of the settings and of the data directory into WrongInput."""
    from trading.hosting.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        raise WrongInput(str(error)) from error
    except OSError as error:
        raise WrongInput(f"DATA_DIR: {error.filename}: {error.strerror}") from error


@contextmanager
def report_end(settings: Settings) -> Iterator[None]:
    """Report, after the process has stopped, whether everything was saved.

    Raises WrongInput if the process could not start, and ClickException if something was lost.
    """
    from trading.hosting.live_session import CannotRecover
    from trading.hosting.store import StoreUnavailable
    from trading.server.listening import JournalIncomplete, PortTaken

    try:
        yield
    except PortTaken as error:
        raise WrongInput(f"cannot listen on {error}; is it running already?") from error
    except (CannotRecover, StoreUnavailable) as error:
        store_name = "DATABASE_URL" if settings.journal == "postgres" else settings.data_dir
        raise WrongInput(f"{store_name}: {error}") from error
    except JournalIncomplete as error:
        raise click.ClickException(f"stopped; not everything is kept: {error}") from error
    say("stopped; everything is kept" if settings.journal != "memory" else "stopped")
