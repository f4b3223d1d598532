"""Signs the result of a run with Ed25519, so that others can check who issued it.

Keys are in PEM. The signature covers the bytes of the statement, so that other programs can check
it, too::

    openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in statement.json -sigfile statement.sig
"""

from base64 import b64encode

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from trading.scenario.plan import RunPlan
from trading.scenario.result import MonitorBaseline, Verdict

#: Part of every statement, so that a signature of another kind of document cannot be mistaken for
#: one of a verdict.
_SUBJECT = "verdict of a chaos run"


class PlanRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it was run; ``control`` says whether a control run was requested, and ``baseline``
    what the monitors of the user's did in it.
    """

    plan: RunPlan
    control: bool
    baseline: MonitorBaseline = MonitorBaseline()


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """The document that is signed.

    The plan includes the limits, the overrides and the version of the program; the verdict includes
    the root of the audit and the heads of all journals.
    """

    subject: str = _SUBJECT
    plan: PlanRecord
    verdict: Verdict


class SignedStatement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement with its signature.

    ``statement`` holds the bytes of a :class:`Statement` as text, and ``signature`` is the
    signature of these bytes in base64. ``public_key`` (PEM) only tells which key was used; to check
    the signature, obtain the key in another way.
    """

    statement: str
    signature: str
    public_key: str


def encode_plan(plan: PlanRecord) -> bytes:
    """Return a plan as JSON, as it is written into the evidence."""
    return msgspec.json.encode(plan) + b"\n"


def encode_statement(plan: PlanRecord, verdict: Verdict) -> bytes:
    """Return the bytes to sign: a :class:`Statement` as JSON."""
    return msgspec.json.encode(Statement(plan=plan, verdict=verdict))


def generate_key_pair() -> tuple[str, str]:
    """Generate a key pair, and return the private and the public key as PEM."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private.decode(), public_pem(key.public_key())


def private_key(text: str) -> Ed25519PrivateKey:
    """Read a private key from PEM. Raises ValueError, whose text reveals nothing of the content."""
    try:
        key = serialization.load_pem_private_key(text.encode(), None)
    except TypeError:
        raise ValueError("is protected by a password; give one without") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"is no private key in PEM; {_KEY_HINT}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"is no Ed25519 key; {_KEY_HINT}")
    return key


def public_key(text: str) -> Ed25519PublicKey:
    """Read a public key from PEM. Raises ValueError."""
    try:
        key = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"is no public key in PEM; {_KEY_HINT}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"is no Ed25519 key; {_KEY_HINT}")
    return key


_KEY_HINT = "make a pair with: trading keys new"


def public_pem(key: Ed25519PublicKey) -> str:
    """Return a public key as PEM."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def sign_statement(key: Ed25519PrivateKey, statement: bytes) -> SignedStatement:
    """Return a statement with its signature."""
    return SignedStatement(
        statement=statement.decode(),
        signature=b64encode(key.sign(statement)).decode(),
        public_key=public_pem(key.public_key()),
    )


def is_valid_signature(key: Ed25519PublicKey, statement: bytes, signature: bytes) -> bool:
    """Return whether ``signature`` is that of the bytes ``statement`` by this key."""
    try:
        key.verify(signature, statement)
    except InvalidSignature:
        return False
    return True
