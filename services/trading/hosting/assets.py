"""Serves the web assets that the pages of all services share.

`/shared` has our own: colours, reset and controls (`base.css`), the look of pages that show a
running service (`panels.css`), the choice of light or dark (`theme.js`), and helpers for the DOM
(`dom.js`).

`/vendor` has libraries of other projects, unchanged, in one directory for each version
(`static/vendor/README.md` says where they are from). Browsers may keep these files without asking
again, since a new version has a new address.
"""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.staticfiles import StaticFiles

_STATIC = Path(__file__).parent / "static"
SHARED = _STATIC / "shared"
VENDOR = _STATIC / "vendor"
#: How long a browser may keep a file whose content never changes: a year, the usual maximum.
_IMMUTABLE = "public, max-age=31536000, immutable"


class _VersionedFiles(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = _IMMUTABLE
        return response


def add_assets(app: FastAPI) -> None:
    """Serve the shared assets on ``app``."""
    app.mount("/shared", StaticFiles(directory=SHARED))
    for library in sorted(p for p in VENDOR.iterdir() if p.is_dir()):
        app.mount(f"/vendor/{library.name}", _VersionedFiles(directory=library))
