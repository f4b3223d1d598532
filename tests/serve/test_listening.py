"""Tests BIND_HOST: addresses and names of this machine."""

import socket

import pytest

from trading.hosting.settings import Settings, SettingsError, load_settings
from trading.server import listening
from trading.server.listening import PortTaken, listen


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def addresses(listeners: list[socket.socket]) -> set[str]:
    hosts = {listener.getsockname()[0] for listener in listeners}
    for listener in listeners:
        listener.close()
    return hosts


def test_each_address_and_each_name_is_listened_on() -> None:
    listeners = listen(["127.0.0.2", "localhost"], free_port(), "exchange")
    assert {"127.0.0.2", "127.0.0.1"} <= addresses(listeners)


def test_a_port_that_is_taken_is_named_and_nothing_stays_open() -> None:
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.3", port))
        other.listen()
        with pytest.raises(PortTaken, match=rf"127.0.0.3:{port} \(exchange\): Address already"):
            listen(["127.0.0.2", "127.0.0.3"], port, "exchange")
    addresses(listen(["127.0.0.2"], port, "exchange"))


def test_a_name_that_stays_unknown_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_NAME_TIMEOUT", 0.0)
    with pytest.raises(PortTaken, match=r"no-such-host\.invalid:.*unknown name"):
        listen(["no-such-host.invalid"], free_port(), "exchange")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(PortTaken, match=r"192\.0\.2\.1:"):
        listen(["192.0.2.1"], free_port(), "exchange")


@pytest.mark.parametrize(
    "hosts,alone",
    [
        ("127.0.0.1", True),
        ("127.0.0.1, ::1,localhost", True),
        ("127.0.0.1,trading-exchange", False),
        ("0.0.0.0", False),  # noqa: S104
    ],
)
def test_alone_is_who_only_this_machine_reaches(hosts: str, alone: bool) -> None:
    assert Settings(bind_host=hosts).loopback_only is alone


@pytest.mark.parametrize("hosts", ["", " , ", "http://x", "a b"])
def test_what_is_no_host_stops_the_start(hosts: str) -> None:
    with pytest.raises(SettingsError, match="BIND_HOST"):
        load_settings({"bind_host": hosts})
