"""Create the secrets of a deployment as files, in one folder for each component.

A folder contains only what its component needs, so that each component can be given its folder
alone. The chart's `secrets.yaml` generates the same files; a test compares the two.
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

#: User and group ids in the images. Only this user and root can read the component's files.
OWNERS = {POSTGRES: (999, 999), REDIS: (999, 999), GRAFANA: (472, 472)}
_DEFAULT_OWNER = (10001, 10001)
_DATABASE = "trading"
#: Where the authority's certificate is mounted in every TLS client and server.
_CA_FILE = "/run/secrets/tls/ca.crt"
#: The folder of the certificate authority, whose key is given to no component, and the folder of
#: the stores' certificate, from which the Secret `tls.existingSecret` is created.
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
    """Create the secrets that are missing in `directory` and return the files that were written.

    Existing secrets are not changed. Files that are derived from others, such as the hashes of
    tokens, are updated.

    `prefix` is put before the host names of the stores. `chaos` adds the token for chaos runs.
    With `tls`, the stores accept TLS connections only, with a certificate that the deployment's
    own authority signs. With `owned`, each folder is given to the user of its component; this
    process must be root then. With `existing`, only folders that exist are filled.

    Raises OSError, and ValueError if an existing certificate cannot be parsed.
    """
    existing_files = _Existing(directory)
    required = _files(existing_files, prefix, chaos, tls)
    written = []
    for component, files in required.items():
        folder = directory / component
        if existing and not folder.is_dir():
            continue
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        has_owner = owned and component not in (AUTHORITY, TLS)
        owner = OWNERS.get(component, _DEFAULT_OWNER) if has_owner else None
        if component in SERVICES and component != TEST_COORDINATOR:
            # Earlier versions gave the token itself to each service; now services have its hash.
            (folder / "chaos-token").unlink(missing_ok=True)
        for name, text in files.items():
            if existing_files.read(component, name) != text:
                _write(folder / name, text, owner)
                written.append(folder / name)
        if owner is not None:
            folder.chmod(0o500)
            os.chown(folder, *owner)
    return written


def files(*, chaos: bool = True, tls: bool = False) -> dict[str, frozenset[str]]:
    """Return the names of the files of each component, by component."""
    contents = _files(_Existing(None), "", chaos, tls)
    return {component: frozenset(by_name) for component, by_name in contents.items()}


class _Existing:
    """Reads the existing secrets and generates missing ones. `directory` None: none exist."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def read(self, component: str, name: str) -> str:
        """Return the content of a file; an empty text if it does not exist."""
        if self._directory is None:
            return ""
        try:
            return (self._directory / component / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def pair(self, component: str, name: str) -> Pair:
        """Return the certificate and the key in the files `name`.crt and `name`.key."""
        return Pair(self.read(component, f"{name}.crt"), self.read(component, f"{name}.key"))

    def secret(self, component: str, name: str) -> str:
        """Return the content of a file, or 32 new random bytes in hexadecimal digits."""
        return self.read(component, name) or secrets.token_hex(32)


def _files(existing: _Existing, prefix: str, chaos: bool, tls: bool) -> dict[str, dict[str, str]]:
    tokens = {name: existing.secret(name, "link-token") for name in SERVICES}
    passwords = {name: existing.secret(DATABASE_SETUP, name) for name in SERVICES}
    admin_password = existing.secret(POSTGRES, "password")
    redis_password = existing.secret(REDIS, "password")
    chaos_token = existing.secret(TEST_COORDINATOR, "chaos-token") if chaos else ""
    read_token = existing.secret(RISK_MONITOR, "read-token")
    database = f"{prefix}{POSTGRES}:{_port(POSTGRES)}/{_DATABASE}"
    redis_address = f"{prefix}{REDIS}:{_port(REDIS)}/0"
    scheme = "redis"
    if tls:
        database += f"?sslmode=verify-full&sslrootcert={_CA_FILE}"
        redis_address += f"?ssl_ca_certs={_CA_FILE}"
        scheme = "rediss"
    contents = {
        name: _service_files(name, existing, tokens, passwords[name], database) for name in SERVICES
    }
    for name, files in contents.items():
        files["read-token-sha256"] = digest(read_token)
        if chaos:
            files["chaos-token-sha256"] = digest(chaos_token)
        if name in INFRASTRUCTURE[REDIS].callers:
            files["redis-url"] = f"{scheme}://:{redis_password}@{redis_address}"
    # Only components that present a token have it; the others have its hash. The read token is
    # for users, who find it in the folder of the risk monitor.
    contents[RISK_MONITOR]["read-token"] = read_token
    if chaos:
        contents[TEST_COORDINATOR]["chaos-token"] = chaos_token
    contents[POSTGRES] = {"password": admin_password}
    contents[REDIS] = {"password": redis_password, "redis.conf": f"requirepass {redis_password}\n"}
    contents[DATABASE_SETUP] = {
        "admin-url": f"postgresql://postgres:{admin_password}@{database}",
        **passwords,
    }
    contents[GRAFANA] = {"admin-password": existing.secret(GRAFANA, "admin-password")}
    if chaos:
        contents[OPERATOR] = {"chaos-token": chaos_token}
    if tls:
        _add_certificates(contents, existing, prefix)
    return contents


def _port(store: str) -> int:
    return next(iter(INFRASTRUCTURE[store].ports))


def _add_certificates(
    contents: dict[str, dict[str, str]], existing: _Existing, prefix: str
) -> None:
    """Add the server certificate to the stores, and the authority's to all their clients."""
    ca = authority(existing.pair(AUTHORITY, "ca"))
    hosts = [f"{prefix}{store}" for store in (POSTGRES, REDIS)]
    server = certificate(existing.pair(TLS, "tls"), ca, hosts)
    stores = {"tls.crt": server.certificate, "tls.key": server.key, "ca.crt": ca.certificate}
    for name in (POSTGRES, REDIS):
        contents[name] |= stores
    for name in (*SERVICES, DATABASE_SETUP):
        contents[name]["ca.crt"] = ca.certificate
    contents[TLS] = stores
    contents[AUTHORITY] = {"ca.crt": ca.certificate, "ca.key": ca.key}


def _service_files(
    name: str, existing: _Existing, tokens: Mapping[str, str], password: str, database: str
) -> dict[str, str]:
    peers = {other: digest(tokens[other]) for other in SERVICES if may_connect(other, name)}
    role = name.replace("-", "_")
    contents = {
        "link-token": tokens[name],
        "link-peers": json.dumps(peers, sort_keys=True),
        "database-url": f"postgresql://{role}:{password}@{database}",
    }
    if name == RISK_MONITOR:
        contents["risk-token"] = existing.secret(name, "risk-token")
    if name == EXCHANGE:
        contents |= {key: existing.secret(name, key) for key in ("api-key", "api-secret")}
    return contents


def _write(path: Path, text: str, owner: tuple[int, int] | None) -> None:
    """Replace the file atomically. No other user can read it at any time."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    if owner is not None:
        os.chown(temporary, *owner)
    temporary.replace(path)
