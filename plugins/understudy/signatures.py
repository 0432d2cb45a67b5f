"""Who vouches for a version: OpenSSF model signatures over its files, made with a key when it is registered.

A signature names each file with its SHA-256, and so the digest of the whole, which a bundle carries and which is
compared with the files wherever they are about to be read. So a signature is checked against its bundle alone, which
takes no files, no other moment than the comparison's, and none of the library that made it: a gateway answers users.
"""

import base64
import binascii
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Bundle
from understudy.contract.stage import digest_of_files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
BYTE_CODE = "__pycache__"
CURVES = ("secp256r1", "secp384r1", "secp521r1")
SIGNING_KEY, VERIFY_KEY = "AIRFLOW__UNDERSTUDY__SIGNING_KEY", "AIRFLOW__UNDERSTUDY__VERIFY_KEY"


class SigningUnavailable(UnderstudyError):
    """A key is set, and what would use it is not installed."""

    def __init__(self, setting: str) -> None:
        super().__init__(
            f"{setting} is set, and model signing is not installed. Install it (pip install model-signing pyopenssl), "
            "or leave the setting empty."
        )


class KeyUnusable(UnderstudyError):
    """A key file is none."""

    def __init__(self, setting: str, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(
            f"{setting}: {path} {problem}. It must be a PEM file of an elliptic curve key without a password, as "
            "`openssl ecparam -name prime256v1 -genkey -noout` makes one."
        )


class SignatureInvalid(UnderstudyError):
    """Nobody whom this deployment trusts vouches for a version."""

    def __init__(self, bundle: Bundle, problem: str) -> None:
        self.problem = f"{problem}. Sign it with a trusted key ({SIGNING_KEY}) by training it again"
        super().__init__(f"Version {bundle.version} of {bundle.model} is not to be trusted: {self.problem}.")


def sign(folder: Path, key: Path) -> str:
    """Sign a model's files; byte code, which no digest covers, is left out.

    :raises SigningUnavailable: where the library is missing.
    :raises KeyUnusable: where the key is no private key.
    """
    try:
        from model_signing import hashing, signing
    except ImportError as missing:
        raise SigningUnavailable(SIGNING_KEY) from missing
    left_out = [path for path in folder.rglob(BYTE_CODE) if path.is_dir()]
    hashed = hashing.Config().set_ignored_paths(paths=left_out, ignore_git_paths=False)
    try:
        signer = signing.Config().use_elliptic_key_signer(private_key=key)
    # TypeError: it asks for a password; AttributeError: it is no elliptic curve key
    except (OSError, ValueError, TypeError, AttributeError) as broken:
        raise KeyUnusable(SIGNING_KEY, key, f"cannot be used ({type(broken).__name__})") from broken
    with tempfile.TemporaryDirectory() as scratch:
        signature = Path(scratch) / "model.sig"
        signer.set_hashing_config(hashed).sign(folder, signature)
        return signature.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Signatures:
    """Ask for signatures by one of several keys, so that a new one can come before the old one goes.

    :param keys: without any, nobody has to vouch for anything.
    """

    keys: "tuple[EllipticCurvePublicKey, ...]" = ()

    @classmethod
    def by(cls, paths: tuple[Path, ...]) -> "Signatures":
        """Read the public keys; raise SigningUnavailable or KeyUnusable."""
        return cls(tuple(map(_public_key, paths)))

    def require(self, bundle: Bundle) -> None:
        """Let a version pass whose files one of the keys signed.

        :raises SignatureInvalid: for any other.
        """
        if not self.keys:
            return
        if not bundle.signature:
            raise SignatureInvalid(bundle, "it is not signed")
        try:
            envelope = json.loads(bundle.signature)["dsseEnvelope"]
            payload = base64.b64decode(envelope["payload"], validate=True)
            signatures = [base64.b64decode(made["sig"], validate=True) for made in envelope["signatures"]]
            is_trusted = any(_is_by(key, made, payload) for key in self.keys for made in signatures)
            signed = _signed_digest(json.loads(payload)) if is_trusted else None
        except (ValueError, LookupError, TypeError, AttributeError, binascii.Error) as broken:
            raise SignatureInvalid(bundle, f"its signature cannot be read ({type(broken).__name__})") from broken
        if signed is None:
            raise SignatureInvalid(bundle, "its signature is by none of the trusted keys")
        if signed != bundle.model_sha256:
            raise SignatureInvalid(
                bundle,
                f"its signature is for other files: their digest is {signed[:12]}, not {bundle.model_sha256[:12]}",
            )


def _public_key(path: Path) -> "EllipticCurvePublicKey":
    try:
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as missing:
        raise SigningUnavailable(VERIFY_KEY) from missing
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as broken:
        raise KeyUnusable(VERIFY_KEY, path, f"cannot be read as a public key ({type(broken).__name__})") from broken
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise KeyUnusable(VERIFY_KEY, path, "is a key of another kind")
    return key


def _is_by(key: "EllipticCurvePublicKey", signature: bytes, payload: bytes) -> bool:
    """Verify what DSSE signs: not the payload alone, but its type and both their lengths with it."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

    digests: dict[int, HashAlgorithm] = {256: SHA256(), 384: SHA384(), 521: SHA512()}
    signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    try:
        key.verify(signature, signed, ECDSA(digests[key.curve.key_size]))
    except InvalidSignature:
        return False
    return True


def _signed_digest(statement: dict[str, Any]) -> str:
    """Give the digest that a bundle of the signed files carries."""
    if statement["predicateType"] != PREDICATE_TYPE:
        raise ValueError(statement["predicateType"])
    digests: dict[str, str] = {}
    for file in statement["predicate"]["resources"]:
        if file["algorithm"] != "sha256" or file["name"] in digests:
            raise ValueError(file["name"])
        if BYTE_CODE not in PurePosixPath(file["name"]).parts:
            digests[file["name"]] = file["digest"]
    return digest_of_files(digests)
