"""Secrets of a deployment: one folder for each component, with nothing in it that is another's.

The chart's ``secrets.yaml`` makes the same files; a test holds the two together.
"""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from trading.deploy.certificates import Pair, authority, certificate
from trading.hosting.tokens import digest
from trading.topology import (
    DATABASE_SETUP,
    EXCHANGE,
    GRAFANA,
    INFRASTRUCTURE,
    OPERATOR,
    POSTGRES,
    REDIS,
    RISK_MONITOR,
    SERVICES,
    TEST_COORDINATOR,
    may_connect,
)

#: User and group in the images: only they, and root, can read what is theirs.
OWNERS = {POSTGRES: (999, 999), REDIS: (999, 999), GRAFANA: (472, 472)}
_OURS = (10001, 10001)
_DATABASE = "trading"
#: Where every component that is asked by TLS, or asks, has it.
_CA_FILE = "/run/secrets/tls/ca.crt"
#: Folders of the certificate authority, whose key no component gets, and of what becomes the
#: Secret ``tls.existingSecret``: the stores' certificate.
AUTHORITY, TLS = "authority", "tls"


def make(
    directory: Path,
    *,
    prefix: str = "trading-",
    chaos: bool = True,
    tls: bool = False,
    owned: bool = False,
    existing: bool = False,
) -> list[Path]:
    """What is missing; what is there stays. ``prefix``: before the names of hosts; ``tls``: stores
    are reached by TLS alone, with a certificate of the deployment's own authority; ``owned``: each
    component's user gets its folder, for which this process must be root; ``existing``: only into
    folders that are there. Returns the files that were written. Raises OSError, and ValueError
    where a certificate that is there cannot be read.
    """
    kept = _Kept(directory)
    wanted = _files(kept, prefix, chaos, tls)
    written = []
    for component, files in wanted.items():
        folder = directory / component
        if existing and not folder.is_dir():
            continue
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours = owned and component not in (AUTHORITY, TLS)
        owner = OWNERS.get(component, _OURS) if ours else None
        if component in SERVICES and component != TEST_COORDINATOR:
            # Until services had its hash, each had the token.
            (folder / "chaos-token").unlink(missing_ok=True)
        for name, text in files.items():
            if kept.read(component, name) != text:
                _write(folder / name, text, owner)
                written.append(folder / name)
        if owner is not None:
            folder.chmod(0o500)
            os.chown(folder, *owner)
    return written


def files(*, chaos: bool = True, tls: bool = False) -> dict[str, frozenset[str]]:
    """By component, the names of its files."""
    made = _files(_Kept(None), "", chaos, tls)
    return {component: frozenset(found) for component, found in made.items()}


class _Kept:
    """What is there already; the rest is made up. ``directory``: None where nothing is."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def read(self, component: str, name: str) -> str:
        if self._directory is None:
            return ""
        try:
            return (self._directory / component / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def pair(self, component: str, name: str) -> Pair:
        return Pair(self.read(component, f"{name}.crt"), self.read(component, f"{name}.key"))

    def secret(self, component: str, name: str) -> str:
        return self.read(component, name) or secrets.token_hex(32)


def _files(kept: _Kept, prefix: str, chaos: bool, tls: bool) -> dict[str, dict[str, str]]:
    tokens = {name: kept.secret(name, "link-token") for name in SERVICES}
    passwords = {name: kept.secret(DATABASE_SETUP, name) for name in SERVICES}
    admin = kept.secret(POSTGRES, "password")
    redis = kept.secret(REDIS, "password")
    token = kept.secret(TEST_COORDINATOR, "chaos-token") if chaos else ""
    reading = kept.secret(RISK_MONITOR, "read-token")
    where = f"{prefix}{POSTGRES}:{_port(POSTGRES)}/{_DATABASE}"
    anchors = f"{prefix}{REDIS}:{_port(REDIS)}/0"
    scheme = "redis"
    if tls:
        where += f"?sslmode=verify-full&sslrootcert={_CA_FILE}"
        anchors += f"?ssl_ca_certs={_CA_FILE}"
        scheme = "rediss"
    made = {name: _of_service(name, kept, tokens, passwords[name], where) for name in SERVICES}
    for name, found in made.items():
        found["read-token-sha256"] = digest(reading)
        if chaos:
            found["chaos-token-sha256"] = digest(token)
        if name in INFRASTRUCTURE[REDIS].callers:
            found["redis-url"] = f"{scheme}://:{redis}@{anchors}"
    # Only who shows a token has it. People find theirs with the risk monitor.
    made[RISK_MONITOR]["read-token"] = reading
    if chaos:
        made[TEST_COORDINATOR]["chaos-token"] = token
    made[POSTGRES] = {"password": admin}
    made[REDIS] = {"password": redis, "redis.conf": f"requirepass {redis}\n"}
    made[DATABASE_SETUP] = {"admin-url": f"postgresql://postgres:{admin}@{where}", **passwords}
    made[GRAFANA] = {"admin-password": kept.secret(GRAFANA, "admin-password")}
    if chaos:
        made[OPERATOR] = {"chaos-token": token}
    if tls:
        _add_certificates(made, kept, prefix)
    return made


def _port(store: str) -> int:
    return next(iter(INFRASTRUCTURE[store].ports))


def _add_certificates(made: dict[str, dict[str, str]], kept: _Kept, prefix: str) -> None:
    """The stores' own to them, the authority's to everybody who calls them."""
    by = authority(kept.pair(AUTHORITY, "ca"))
    hosts = [f"{prefix}{store}" for store in (POSTGRES, REDIS)]
    own = certificate(kept.pair(TLS, "tls"), by, hosts)
    stores = {"tls.crt": own.certificate, "tls.key": own.key, "ca.crt": by.certificate}
    for name in (POSTGRES, REDIS):
        made[name] |= stores
    for name in (*SERVICES, DATABASE_SETUP):
        made[name]["ca.crt"] = by.certificate
    made[TLS] = stores
    made[AUTHORITY] = {"ca.crt": by.certificate, "ca.key": by.key}


def _of_service(
    name: str, kept: _Kept, tokens: Mapping[str, str], password: str, where: str
) -> dict[str, str]:
    peers = {other: digest(tokens[other]) for other in SERVICES if may_connect(other, name)}
    role = name.replace("-", "_")
    found = {
        "link-token": tokens[name],
        "link-peers": json.dumps(peers, sort_keys=True),
        "database-url": f"postgresql://{role}:{password}@{where}",
    }
    if name == RISK_MONITOR:
        found["risk-token"] = kept.secret(name, "risk-token")
    if name == EXCHANGE:
        found |= {key: kept.secret(name, key) for key in ("api-key", "api-secret")}
    return found


def _write(path: Path, text: str, owner: tuple[int, int] | None) -> None:
    """Whole or not at all, and at no moment readable for others."""
    made = path.with_name(f".{path.name}.new")
    made.unlink(missing_ok=True)
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    if owner is not None:
        os.chown(made, *owner)
    made.replace(path)
