"""Tests signed evidence: a holder of the public key notices every change and every other signer."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.evidence.reports import changed, leaves, other, read, write
from tests.evidence.small_run import plan
from trading.embedded.reporting import write_report
from trading.embedded.run import RunResult, run_plan
from trading.embedded.verification import verify_directory
from trading.scenario.signing import generate_key_pair, private_key, public_key

PRIVATE, PUBLIC = generate_key_pair()
KEY = public_key(PUBLIC)


@pytest.fixture
def signed(run: RunResult, tmp_path: Path) -> Path:
    """Return a signed report that a test may change."""
    write_report(run, tmp_path / "signed", private_key(PRIVATE))
    return tmp_path / "signed"


def test_a_good_signature_holds(signed: Path) -> None:
    checked = verify_directory(signed, public_key=KEY)
    assert checked.problems == [] and checked.notes == []


def test_it_covers_all_that_was_run_and_what_came_of_it(signed: Path, run: RunResult) -> None:
    statement = read(signed / "statement.json")
    assert statement["verdict"] == read(signed / "verdict.json")
    assert statement["plan"] == read(signed / "plan.json")
    assert statement["verdict"]["audit"]["root"] == run.verdict.audit.root
    assert set(statement["verdict"]["setup"]) >= {"version", "limits", "overrides", "plan_digest"}


def test_without_the_key_it_is_said_that_nobody_looked(signed: Path) -> None:
    checked = verify_directory(signed)
    assert checked.problems == []
    assert checked.notes == [
        "note: the signature in statement.sig was not checked: --public-key FILE"
    ]


@pytest.mark.parametrize("missing", ["statement.json", "statement.sig"])
def test_a_signature_that_is_missing_is_a_failure(signed: Path, missing: str) -> None:
    (signed / missing).unlink()
    (problem,) = verify_directory(signed, public_key=KEY).problems
    assert problem.startswith(f"{missing}: missing; a signed report has it")


def test_somebody_else_s_signature_is_a_failure(signed: Path, run: RunResult) -> None:
    other_key = public_key(generate_key_pair()[1])
    (problem,) = verify_directory(signed, public_key=other_key).problems
    assert problem == "statement.sig: is no signature of statement.json by the given key"
    write_report(run, signed, private_key(generate_key_pair()[0]))
    assert verify_directory(signed, public_key=KEY).problems == [problem]


def test_no_bit_of_the_signature_can_be_changed(signed: Path) -> None:
    good = (signed / "statement.sig").read_bytes()
    for index in range(0, 64, 7):
        (signed / "statement.sig").write_bytes(
            good[:index] + bytes([good[index] ^ 1]) + good[index + 1 :]
        )
        assert verify_directory(signed, public_key=KEY).problems
    (signed / "statement.sig").write_bytes(b"")
    assert verify_directory(signed, public_key=KEY).problems


def test_every_field_of_the_statement_is_compared_and_signed(signed: Path) -> None:
    """Every change is found, with the public key and without it."""
    statement = read(signed / "statement.json")
    for path in list(leaves(statement))[::9]:
        write(signed / "statement.json", changed(statement, path, other))
        assert verify_directory(signed).problems, path
        last = verify_directory(signed, public_key=KEY).problems[-1]
        assert last == "statement.sig: is no signature of statement.json by the given key"


def test_evidence_of_another_run_has_another_signature(signed: Path, tmp_path: Path) -> None:
    """The report is consistent, but statement and signature are those of another run."""
    write_report(run_plan(plan()), tmp_path / "other", private_key(PRIVATE))
    for name in ("statement.json", "statement.sig"):
        shutil.copy(signed / name, tmp_path / "other" / name)
    problems = verify_directory(tmp_path / "other", public_key=KEY).problems
    assert any(p.startswith("statement.json: verdict.audit.root: ") for p in problems)


def test_a_report_that_is_written_again_without_a_key_is_not_signed(
    signed: Path, run: RunResult
) -> None:
    write_report(run, signed)
    assert verify_directory(signed).notes == []
    assert len(verify_directory(signed, public_key=KEY).problems) == 2


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_checks_it_as_well(signed: Path) -> None:
    (signed / "key.pub").write_text(PUBLIC)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pub", "-rawin"]
    files = ["-in", "statement.json", "-sigfile", "statement.sig"]
    assert subprocess.run([*command, *files], cwd=signed, capture_output=True).returncode == 0
    write(signed / "statement.json", {})
    assert subprocess.run([*command, *files], cwd=signed, capture_output=True).returncode == 1


def pem(key: Any, *, password: bytes = b"") -> str:
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    key_format = serialization.PrivateFormat.PKCS8
    text: bytes = key.private_bytes(serialization.Encoding.PEM, key_format, encryption)
    return text.decode()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no private key in PEM"),
        (PUBLIC, "is no private key in PEM"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "is no Ed25519 key"),
        (pem(private_key(PRIVATE), password=b"x"), "protected by a password"),
    ],
)
def test_a_key_of_another_kind_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        private_key(text)


def test_a_private_key_is_no_public_one() -> None:
    with pytest.raises(ValueError, match="is no public key in PEM"):
        public_key(PRIVATE)
