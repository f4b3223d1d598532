"""Generate the pages of docs/reference/, each from the code that it describes."""

from pathlib import Path

from tools.reference import (
    command_line,
    evidence,
    exit_codes,
    http,
    monitors,
    resource,
    scenario,
    tables,
    verdict,
)


def texts() -> dict[Path, str]:
    """Return the text of each page, by its path within the project."""
    pages = (
        tables,
        scenario,
        verdict,
        command_line,
        exit_codes,
        http,
        resource,
        evidence,
        monitors,
    )
    return {path: text for page in pages for path, text in page.texts().items()}
