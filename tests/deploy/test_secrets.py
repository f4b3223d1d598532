"""`trading secrets`: each component gets only its secrets; they are created once, never printed."""

import json
import stat
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from trading.cli.secrets import secrets
from trading.deploy.secrets import files, make
from trading.topology import SERVICES, may_connect


def contents(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    assert make(tmp_path)
    before = contents(tmp_path)
    assert make(tmp_path) == []
    assert contents(tmp_path) == before
    assert {name: set(names) for name, names in files().items()} == {
        folder.name: {path.name for path in folder.iterdir()} for folder in tmp_path.iterdir()
    }


def test_what_is_missing_is_made_and_agrees_with_the_rest(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "exchange" / "link-token").unlink()
    before = contents(tmp_path)
    make(tmp_path)
    after = contents(tmp_path)
    changed = {name for name in after if after[name] != before.get(name)}
    # The token of the exchange, and its digest in the folders of the services that it calls.
    assert changed == {"exchange/link-token", "market-data/link-peers"}


def test_peers_are_the_digests_of_those_who_may_call(tmp_path: Path) -> None:
    make(tmp_path)
    texts = contents(tmp_path)
    for name in SERVICES:
        peers = json.loads(texts[f"{name}/link-peers"])
        assert peers == {
            other: sha256(texts[f"{other}/link-token"].encode()).hexdigest()
            for other in SERVICES
            if may_connect(other, name)
        }


def test_passwords_fit_their_addresses(tmp_path: Path) -> None:
    make(tmp_path, prefix="my-")
    texts = contents(tmp_path)
    password = texts["database/risk-monitor"]
    database = "my-postgres:5432/trading"
    assert texts["risk-monitor/database-url"] == f"postgresql://risk_monitor:{password}@{database}"
    assert texts["database/admin-url"] == (
        f"postgresql://postgres:{texts['postgres/password']}@{database}"
    )
    assert texts["market-data/redis-url"] == f"redis://:{texts['redis/password']}@my-redis:6379/0"
    assert texts["redis/redis.conf"] == f"requirepass {texts['redis/password']}\n"


def test_no_two_secrets_are_the_same_but_where_two_must_know_it(tmp_path: Path) -> None:
    make(tmp_path)
    texts = contents(tmp_path)
    own = [text for name, text in texts.items() if name.endswith(("token", "key", "secret"))]
    own += [texts[f"database/{name}"] for name in SERVICES]
    chaos = texts["test-coordinator/chaos-token"]
    assert len(set(own)) == len(own) - own.count(chaos) + 1


def test_only_who_shows_a_token_has_it(tmp_path: Path) -> None:
    make(tmp_path)
    texts = contents(tmp_path)
    for token, holders in (
        ("chaos-token", ["operator", "test-coordinator"]),
        ("read-token", ["risk-monitor"]),
    ):
        assert [name.split("/")[0] for name in texts if name.endswith(f"/{token}")] == holders
        digest = sha256(texts[f"{holders[0]}/{token}"].encode()).hexdigest()
        assert {texts[f"{name}/{token}-sha256"] for name in SERVICES} == {digest}


def test_a_token_that_a_service_had_before_there_was_its_hash_goes(tmp_path: Path) -> None:
    make(tmp_path)
    token = (tmp_path / "test-coordinator" / "chaos-token").read_text()
    (tmp_path / "exchange" / "chaos-token").write_text(token)
    assert make(tmp_path) == []
    assert not (tmp_path / "exchange" / "chaos-token").exists()
    assert (tmp_path / "test-coordinator" / "chaos-token").read_text() == token


def test_without_chaos_nobody_has_a_token(tmp_path: Path) -> None:
    make(tmp_path, chaos=False)
    assert not [name for name in contents(tmp_path) if "chaos-token" in name]


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    make(tmp_path)
    modes = {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*") if p.is_file()}
    assert modes == {0o400}
    assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()} == {0o700}


def test_only_into_folders_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "exchange").mkdir()
    make(tmp_path, existing=True)
    assert [p.name for p in tmp_path.iterdir()] == ["exchange"]
    assert (tmp_path / "exchange" / "link-token").exists()


def test_the_command_prints_names_and_no_value(tmp_path: Path) -> None:
    result = CliRunner().invoke(secrets, [str(tmp_path)])
    assert result.exit_code == 0
    assert "exchange/api-secret" in result.output
    for text in contents(tmp_path).values():
        assert text.strip() not in result.output
    second_result = CliRunner().invoke(secrets, [str(tmp_path)])
    assert second_result.output == "nothing was missing\n"


def test_a_place_where_nothing_can_be_made_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = CliRunner().invoke(secrets, [str(blocked / "under")], standalone_mode=False)
    assert "file" in str(result.exception)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_gets_only_its_own(service: str) -> None:
    assert {"link-token", "link-peers", "database-url"} <= files()[service]
    assert ("api-secret" in files()[service]) == (service == "exchange")
    assert ("risk-token" in files()[service]) == (service == "risk-monitor")
    assert ("chaos-token" in files()[service]) == (service == "test-coordinator")


def test_an_api_key_has_the_form_that_the_exchange_takes(tmp_path: Path) -> None:
    make(tmp_path)
    for name in ("api-key", "api-secret"):
        assert (tmp_path / "exchange" / name).read_text().isalnum()


def test_certificates_are_made_once_and_only_stores_have_a_key(tmp_path: Path) -> None:
    make(tmp_path, tls=True)
    before = contents(tmp_path)
    assert make(tmp_path, tls=True) == []
    assert {name for name in before if name.endswith(".key")} == {
        "authority/ca.key",
        "postgres/tls.key",
        "redis/tls.key",
        "tls/tls.key",
    }
    for name in (*SERVICES, "database"):
        assert before[f"{name}/ca.crt"] == before["authority/ca.crt"]
    assert "sslmode=verify-full" in before["database/admin-url"]
    assert before["trading-engine/redis-url"].startswith("rediss://")
    assert {name: set(names) for name, names in files(tls=True).items()} == {
        folder.name: {path.name for path in folder.iterdir()} for folder in tmp_path.iterdir()
    }


def test_a_damaged_certificate_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    make(tmp_path, tls=True)
    damaged = tmp_path / "authority" / "ca.crt"
    damaged.chmod(0o600)
    damaged.write_text("-----BEGIN")
    result = CliRunner().invoke(secrets, [str(tmp_path), "--tls"])
    assert result.exit_code == 2
    assert "remove the folders authority and tls" in result.stderr
    assert damaged.read_text() == "-----BEGIN"
