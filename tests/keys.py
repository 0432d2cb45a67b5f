"""Keys to sign with."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def key_pair(path: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | None = None) -> Path:
    """Write a private key, a new one unless one is given, and its public key beside it as .pub."""
    made = key or ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.with_suffix(".pub").write_bytes(public)
    return path
