"""The browser in which the tests open pages."""

import os
import shutil

import pytest

#: Options for Chromium; with them it makes no network requests of its own.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """Return the browser's path. If there is none, skip the test, or fail it if REQUIRE_BROWSER is
    set.
    """
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("REQUIRE_BROWSER is set, and there is no chromium")
        pytest.skip("no chromium on this machine: the page was not opened in a browser")
    return path
