"""Find the shipped scenarios, in the installed package or in the source tree."""

from os import PathLike
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def directory() -> Path:
    """Return the directory of the shipped scenarios."""
    installed = _PACKAGE / "scenarios"
    return installed if installed.is_dir() else _PACKAGE.parent.parent / "scenarios"


def shipped() -> dict[str, Path]:
    """Return the files of the shipped scenarios by name, sorted by name."""
    return {path.stem: path for path in sorted(directory().glob("*.yaml"))}


def resolve(scenario: str | PathLike[str]) -> Path:
    """Return the path of a scenario: that of the shipped scenario if ``scenario`` is its bare name
    and no such file exists, otherwise ``scenario`` itself.
    """
    path = Path(scenario)
    if not path.exists() and path.parent == Path() and not path.suffix:
        return shipped().get(path.name, path)
    return path
