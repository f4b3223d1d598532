"""Issue the TLS certificates of a deployment.

The deployment has a certificate authority of its own. It signs one server certificate, which
PostgreSQL and Redis share. Clients verify them against the authority's certificate.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_LIFETIME = timedelta(days=3650)
_CERTIFICATE_LIFETIME = timedelta(days=397)
#: A certificate that expires sooner than this is replaced.
RENEW_BEFORE = timedelta(days=30)


class Pair(NamedTuple):
    """A certificate and its private key, both as PEM text; both are empty if there are none."""

    certificate: str
    key: str


def authority(existing: Pair, now: datetime | None = None) -> Pair:
    """Return the certificate authority: `existing` while it is valid, otherwise a new one.

    Raises ValueError if the existing certificate cannot be parsed.
    """
    now = now or datetime.now(UTC)
    if all(existing) and _is_valid(_parse(existing.certificate), now):
        return existing
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("trading ecosystem authority")
    signed = (
        _builder(name, name, key, now, _AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(signed, key)


def certificate(
    existing: Pair, ca: Pair, hosts: Sequence[str], now: datetime | None = None
) -> Pair:
    """Return a server certificate for the DNS names `hosts`, signed by the authority `ca`.

    `existing` is returned while it is valid, covers these names and was issued by `ca`.
    Raises ValueError if a certificate or the authority's key cannot be parsed.
    """
    now = now or datetime.now(UTC)
    issuer = _parse(ca.certificate)
    if all(existing) and _is_usable(_parse(existing.certificate), issuer, hosts, now):
        return existing
    key = ec.generate_private_key(ec.SECP256R1())
    signer = serialization.load_pem_private_key(ca.key.encode(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError("ca.key: must be the key of an elliptic curve")
    signed = (
        _builder(_name(hosts[0]), issuer.subject, key, now, _CERTIFICATE_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts]), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    return _pair(signed, key)


def _is_usable(
    candidate: x509.Certificate, issuer: x509.Certificate, hosts: Sequence[str], now: datetime
) -> bool:
    try:
        candidate.verify_directly_issued_by(issuer)
        names = candidate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return _is_valid(candidate, now) and set(hosts) <= set(names.get_values_for_type(x509.DNSName))


def _is_valid(candidate: x509.Certificate, now: datetime) -> bool:
    return now + RENEW_BEFORE < candidate.not_valid_after_utc


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # The clocks of other machines may be slow.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + lifetime)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _parse(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode())
