"""The deployment's own certificate authority, and the certificate of its stores."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_FOR = timedelta(days=3650)
_CERTIFICATE_FOR = timedelta(days=397)
#: One with less than this left is made again.
RENEWED_BEFORE = timedelta(days=30)


class Pair(NamedTuple):
    """PEM: a certificate and its private key."""

    certificate: str
    key: str


def authority(kept: Pair, now: datetime | None = None) -> Pair:
    """The kept one while it is good. Raises ValueError where it cannot be read."""
    now = now or datetime.now(UTC)
    if all(kept) and _good(_certificate(kept.certificate), now):
        return kept
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("trading ecosystem authority")
    made = (
        _begun(name, name, key, now, _AUTHORITY_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(made, key)


def certificate(kept: Pair, by: Pair, hosts: Sequence[str], now: datetime | None = None) -> Pair:
    """Of a server that is called by one of the names ``hosts``; the kept one while it is good, for
    these names and ``by``'s. Raises ValueError where one cannot be read.
    """
    now = now or datetime.now(UTC)
    issuer = _certificate(by.certificate)
    if all(kept) and _fits(_certificate(kept.certificate), issuer, hosts, now):
        return kept
    key = ec.generate_private_key(ec.SECP256R1())
    signer = serialization.load_pem_private_key(by.key.encode(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError("ca.key: must be the key of an elliptic curve")
    made = (
        _begun(_name(hosts[0]), issuer.subject, key, now, _CERTIFICATE_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts]), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    return _pair(made, key)


def _fits(
    found: x509.Certificate, issuer: x509.Certificate, hosts: Sequence[str], now: datetime
) -> bool:
    try:
        found.verify_directly_issued_by(issuer)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return _good(found, now) and set(hosts) <= set(names.get_values_for_type(x509.DNSName))


def _good(found: x509.Certificate, now: datetime) -> bool:
    return now + RENEWED_BEFORE < found.not_valid_after_utc


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    lasts: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of other machines may be behind.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + lasts)
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


def _certificate(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode())
