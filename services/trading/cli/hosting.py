"""What ``trading up`` and ``trading serve`` share: their settings, and how they end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trading.cli.said import say
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
    """Return the settings that options name, instead of the environment."""
    found: dict[str, object] = {}
    if data is not None:
        found["data_dir"] = data
    if speed is not None:
        found["sim_speed"] = speed
    if memory:
        found["journal"] = "memory"
    if accept_loss:
        found["accept_loss"] = True
    return found


@contextmanager
def settings_errors() -> Iterator[None]:
    """Raise WrongInput, in one line, where settings or the data directory cannot be read."""
    from trading.hosting.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        raise WrongInput(str(error)) from error
    except OSError as error:
        raise WrongInput(f"DATA_DIR: {error.filename}: {error.strerror}") from error


@contextmanager
def announced_end(settings: Settings) -> Iterator[None]:
    """Run until the process is stopped, and say whether everything is kept. Raises WrongInput
    where it could not start, and ClickException where something is lost.
    """
    from trading.hosting.live import CannotRecover
    from trading.hosting.store import StoreUnavailable
    from trading.server.listening import NotKept, PortTaken

    try:
        yield
    except PortTaken as error:
        raise WrongInput(f"cannot listen on {error}; is it running already?") from error
    except (CannotRecover, StoreUnavailable) as error:
        kept = "DATABASE_URL" if settings.journal == "postgres" else settings.data_dir
        raise WrongInput(f"{kept}: {error}") from error
    except NotKept as error:
        raise click.ClickException(f"stopped; not everything is kept: {error}") from error
    say("stopped; everything is kept" if settings.journal != "memory" else "stopped")
