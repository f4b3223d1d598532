"""Serves the web assets that the pages of all services share.

`/vendor` has libraries of other projects, unchanged, in one directory for each version
(`static/vendor/README.md` says where they are from). Browsers may keep these files without asking
again, since a new version has a new address.
"""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.staticfiles import StaticFiles

VENDOR = Path(__file__).parent / "static" / "vendor"
#: How long a browser may keep a file whose content never changes: a year, the usual maximum.
_IMMUTABLE = "public, max-age=31536000, immutable"


class _VersionedFiles(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = _IMMUTABLE
        return response


def add_assets(app: FastAPI) -> None:
    """Serve the shared assets on ``app``."""
    for library in sorted(p for p in VENDOR.iterdir() if p.is_dir()):
        app.mount(f"/vendor/{library.name}", _VersionedFiles(directory=library))
