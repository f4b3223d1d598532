"""The command ``trading keys new``, and the options that name a key to sign or to check with."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trading.cli.wrong_input import WrongInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

_DEFAULT_NAME = "evidence.key"


@click.group()
def keys() -> None:
    """Keys to sign evidence with."""


@keys.command()
@click.argument(
    "path", type=click.Path(path_type=Path), default=Path(_DEFAULT_NAME), metavar="[PATH]"
)
def new(path: Path) -> None:
    """Make an Ed25519 key pair: PATH, which its owner alone can read, and PATH.pub beside it.

    PATH is evidence.key here, and in a folder that is named. Nothing is ever overwritten. Whoever
    has the private key can sign; give away the public one, by another way than the evidence.

    \b
      trading run market-crash --report out --sign evidence.key
      trading audit verify out --public-key evidence.key.pub
    """
    from trading.scenario.signing import generate_key_pair

    private, public = generate_key_pair()
    path = path / _DEFAULT_NAME if path.is_dir() else path
    public_path = path.with_name(f"{path.name}.pub")
    if public_path.exists():
        raise WrongInput(f"{public_path} exists already; give another name")
    _write_new_file(path, private, 0o600)
    _write_new_file(public_path, public, 0o644)
    click.echo(f"{path}: private, keep it\n{public_path}: public, for who checks")


def read_private_key(path: Path) -> "Ed25519PrivateKey":
    """Read the private key that ``--sign`` names. Raises WrongInput."""
    from trading.scenario.signing import private_key

    try:
        return private_key(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongInput(f"--sign {path}: {_error_text(error)}") from error


def read_public_key(path: Path) -> "Ed25519PublicKey":
    """Read the public key that ``--public-key`` names. Raises WrongInput."""
    from trading.scenario.signing import public_key

    try:
        return public_key(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongInput(f"--public-key {path}: {_error_text(error)}") from error


def _error_text(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is no key in PEM"
    return getattr(error, "strerror", None) or str(error)


def _write_new_file(path: Path, text: str, mode: int) -> None:
    """Create a file with the permissions ``mode`` and write ``text``; never overwrite a file.

    Raises WrongInput.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, mode)
            file.write(text)
    except FileExistsError as error:
        raise WrongInput(f"{path} exists already; give another name") from error
    except OSError as error:
        raise WrongInput(f"{path}: {error.strerror}") from error
