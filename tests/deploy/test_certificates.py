"""The authority and certificate of a deployment: what a TLS client says of them."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trading.deploy.certificates import RENEWED_BEFORE, Pair, authority, certificate

NONE = Pair("", "")
HOSTS = ["trading-postgres", "trading-redis"]


def greeted(pair: Pair, anchor: Pair, name: str, directory: Path) -> None:
    """A handshake between a real client and a real server. Raises ssl.SSLError."""
    (directory / "tls.pem").write_text(pair.certificate + pair.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(directory / "tls.pem")
    client = ssl.create_default_context(cadata=anchor.certificate)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    left, right = socket.socketpair()

    def answer() -> None:
        try:
            with server.wrap_socket(right, server_side=True):
                pass
        except OSError:
            right.close()

    other = threading.Thread(target=answer)
    other.start()
    try:
        with client.wrap_socket(left, server_hostname=name):
            pass
    finally:
        left.close()
        other.join()


@pytest.mark.parametrize("name", HOSTS)
def test_a_strict_client_accepts_it_by_every_name(name: str, tmp_path: Path) -> None:
    by = authority(NONE)
    greeted(certificate(NONE, by, HOSTS), by, name, tmp_path)


def test_no_other_name_and_no_other_authority_is_accepted(tmp_path: Path) -> None:
    by = authority(NONE)
    made = certificate(NONE, by, HOSTS)
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        greeted(made, by, "trading-exchange", tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"signature|local issuer"):
        greeted(made, authority(NONE), HOSTS[0], tmp_path)


def test_it_is_kept_while_it_is_good_and_then_renewed() -> None:
    by = authority(NONE)
    made = certificate(NONE, by, HOSTS)
    assert authority(by) == by
    assert certificate(made, by, HOSTS) == made
    late = datetime.now(UTC) + timedelta(days=397) - RENEWED_BEFORE
    renewed = certificate(made, by, HOSTS, late + timedelta(days=1))
    assert renewed.certificate != made.certificate and renewed.key != made.key
    assert certificate(made, by, HOSTS, late - timedelta(days=1)) == made


def test_one_for_other_names_or_by_another_authority_is_made_again() -> None:
    by = authority(NONE)
    made = certificate(NONE, by, HOSTS)
    assert certificate(made, by, [*HOSTS, "other"]) != made
    assert certificate(made, authority(NONE), HOSTS) != made
