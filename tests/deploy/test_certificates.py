"""The authority and certificate of a deployment, verified by a TLS client."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trading.deploy.certificates import RENEW_BEFORE, Pair, authority, certificate

NONE = Pair("", "")
HOSTS = ["trading-postgres", "trading-redis"]


def handshake(pair: Pair, anchor: Pair, name: str, directory: Path) -> None:
    """Perform a TLS handshake between a client and a server. Raises ssl.SSLError."""
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

    server_thread = threading.Thread(target=answer)
    server_thread.start()
    try:
        with client.wrap_socket(left, server_hostname=name):
            pass
    finally:
        left.close()
        server_thread.join()


@pytest.mark.parametrize("name", HOSTS)
def test_a_strict_client_accepts_it_by_every_name(name: str, tmp_path: Path) -> None:
    ca = authority(NONE)
    handshake(certificate(NONE, ca, HOSTS), ca, name, tmp_path)


def test_no_other_name_and_no_other_authority_is_accepted(tmp_path: Path) -> None:
    ca = authority(NONE)
    issued = certificate(NONE, ca, HOSTS)
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        handshake(issued, ca, "trading-exchange", tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"signature|local issuer"):
        handshake(issued, authority(NONE), HOSTS[0], tmp_path)


def test_it_is_kept_while_it_is_good_and_then_renewed() -> None:
    ca = authority(NONE)
    issued = certificate(NONE, ca, HOSTS)
    assert authority(ca) == ca
    assert certificate(issued, ca, HOSTS) == issued
    late = datetime.now(UTC) + timedelta(days=397) - RENEW_BEFORE
    renewed = certificate(issued, ca, HOSTS, late + timedelta(days=1))
    assert renewed.certificate != issued.certificate and renewed.key != issued.key
    assert certificate(issued, ca, HOSTS, late - timedelta(days=1)) == issued


def test_one_for_other_names_or_by_another_authority_is_made_again() -> None:
    ca = authority(NONE)
    issued = certificate(NONE, ca, HOSTS)
    assert certificate(issued, ca, [*HOSTS, "other"]) != issued
    assert certificate(issued, authority(NONE), HOSTS) != issued
