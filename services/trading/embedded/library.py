"""Where the shipped scenarios are: in the wheel, or in the checkout."""

from os import PathLike
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def directory() -> Path:
    """The directory of the shipped scenarios."""
    installed = _PACKAGE / "scenarios"
    return installed if installed.is_dir() else _PACKAGE.parent.parent / "scenarios"


def shipped() -> dict[str, Path]:
    """Name -> file of every shipped scenario, by name."""
    return {path.stem: path for path in sorted(directory().glob("*.yaml"))}


def resolve(scenario: str | PathLike[str]) -> Path:
    """A file as it is; a bare name that is no file but a shipped scenario: that one."""
    path = Path(scenario)
    if not path.exists() and path.parent == Path() and not path.suffix:
        return shipped().get(path.name, path)
    return path
