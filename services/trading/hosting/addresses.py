"""What BIND_HOST says: addresses, or names that this machine has in its networks."""

from ipaddress import IPv4Address, IPv6Address, ip_address

_LOCAL = "localhost"


def split(hosts: str) -> tuple[str, ...]:
    """``127.0.0.1,trading-exchange`` -> both. Raises ValueError where nothing is said."""
    found = tuple(name for part in hosts.split(",") if (name := part.strip()))
    if not found:
        raise ValueError("must be an address, or several separated by commas")
    for name in found:
        if len(name) > 253 or not all(c.isalnum() or c in "-._:" for c in name):
            raise ValueError(f"{name} is neither an address nor a host name")
    return found


def is_loopback(host: str) -> bool:
    """Can nobody on another machine connect to it?"""
    known = address(host)
    return known.is_loopback if known is not None else host == _LOCAL


def address(host: str) -> IPv4Address | IPv6Address | None:
    """None: it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
