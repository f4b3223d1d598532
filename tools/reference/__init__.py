"""The pages of docs/reference/, each made from the code that it describes."""

from pathlib import Path

from tools.reference import (
    command_line,
    evidence,
    exit_codes,
    http,
    resource,
    scenario,
    tables,
    verdict,
)


def texts() -> dict[Path, str]:
    """Path in the project -> what shall be in it."""
    pages = (tables, scenario, verdict, command_line, exit_codes, http, resource, evidence)
    return {path: text for page in pages for path, text in page.texts().items()}
