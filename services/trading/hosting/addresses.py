"""Parses lists of addresses and host names, as in BIND_HOST."""

from ipaddress import IPv4Address, IPv6Address, ip_address

_LOCALHOST = "localhost"


def split(hosts: str) -> tuple[str, ...]:
    """Return the hosts in a text like ``127.0.0.1,trading-exchange``.

    Raises ValueError where there are none, or one is neither an address nor a host name.
    """
    names = tuple(name for part in hosts.split(",") if (name := part.strip()))
    if not names:
        raise ValueError("must be an address, or several separated by commas")
    for name in names:
        if len(name) > 253 or not all(c.isalnum() or c in "-._:" for c in name):
            raise ValueError(f"{name} is neither an address nor a host name")
    return names


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to ``host``."""
    parsed = address(host)
    return parsed.is_loopback if parsed is not None else host == _LOCALHOST


def address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address in ``host``; None if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
