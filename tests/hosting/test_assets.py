"""The web assets that all services serve. Libraries of other projects are unchanged, and cached."""

import asyncio
import hashlib
import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from trading.hosting.assets import VENDOR, add_assets
from trading.hosting.guard import RequestGuard

PACKAGE = Path(__file__).resolve().parents[2] / "services" / "trading"
README = (VENDOR / "README.md").read_text(encoding="utf-8")
#: SHA-256 by file, as the README says.
HASHES = dict(re.findall(r"^\| `(\S+)` \| `([0-9a-f]{64})` \|$", README, re.MULTILINE))
#: Addresses of shared assets that our pages, scripts and style sheets use.
USED = sorted(
    {
        address
        for page in PACKAGE.glob("**/static/**/*")
        if page.suffix in (".html", ".js", ".css") and VENDOR not in page.parents
        for address in re.findall(r"/(?:shared|vendor)/[\w./-]+", page.read_text(encoding="utf-8"))
    }
)


def get(path: str, **headers: str) -> httpx.Response:
    """Return a service's answer for an asset."""
    app = FastAPI()
    add_assets(app)
    app.add_middleware(RequestGuard, service="exchange")

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://exchange") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(request())


def test_the_libraries_are_the_files_that_were_published() -> None:
    files = {p.relative_to(VENDOR).as_posix(): p for p in VENDOR.glob("*/**/*") if p.is_file()}
    assert {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in files.items()} == HASHES


def test_every_library_has_its_version_and_licence() -> None:
    libraries = {p.name for p in VENDOR.iterdir() if p.is_dir()}
    rows = re.findall(r"^\| \[(.+?)\]\(https://\S+\) \| ([\d.]+) \| \S+ \|", README, re.MULTILINE)
    assert {f"{name.lower().replace(' ', '-')}-{version}" for name, version in rows} == libraries
    assert all((VENDOR / library / "LICENSE").is_file() for library in libraries)


@pytest.mark.parametrize("path", USED)
def test_browsers_keep_what_has_a_version_and_ask_again_for_the_rest(path: str) -> None:
    answer = get(path)
    assert answer.status_code == 200
    versioned = path.startswith("/vendor/")
    assert answer.headers["cache-control"] == (
        "public, max-age=31536000, immutable" if versioned else "no-cache"
    )
    assert answer.headers["content-type"].startswith(("text/css", "text/javascript"))
    again = get(path, **{"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_what_does_not_exist_is_not_kept() -> None:
    answer = get(USED[-1].replace(".", "-"))
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"
