"""Signed models: made by the OpenSSF library with a real key, and asked for before anything is read."""

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.keys import key_pair
from tests.unit.gateway.fake_processes import FakeNursery, bundle, nursery
from understudy.contract.release import Bundle
from understudy.contract.stage import artefact_of
from understudy.gateway.places import Places
from understudy.gateway.worker import WorkerRefused, WorkerStart
from understudy.signatures import KeyUnusable, SignatureInvalid, Signatures, SigningUnavailable, sign

Key = ec.EllipticCurvePrivateKey


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make a pair for each of three years; the last on another curve."""
    folder = tmp_path_factory.mktemp("keys")
    for year, curve in (("2025", ec.SECP256R1()), ("2026", ec.SECP256R1()), ("2027", ec.SECP384R1())):
        key_pair(folder / year, ec.generate_private_key(curve))
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "code" / "__pycache__").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    # Sorted by their parts, these come in another order than sorted as texts.
    (folder / "code" / "prepare.py").write_text("def prepare(frame): return frame\n")
    (folder / "code.txt").write_text("code\n")
    (folder / "code" / "__pycache__" / "prepare.pyc").write_bytes(b"differs from machine to machine")
    (folder / ".gitignore").write_text("*\n")
    (folder / "empty").write_bytes(b"")
    return folder


def version(folder: Path, signature: str) -> Bundle:
    digest = artefact_of(folder, folder.parent).sha256
    return bundle(1).model_copy(update={"model_sha256": digest, "signature": signature})


def problem_of(signed: Bundle, *keys: Path) -> str | None:
    try:
        Signatures.by(keys).require(signed)
    except SignatureInvalid as invalid:
        return invalid.problem
    return None


def test_a_version_that_a_trusted_key_signed_passes(keys: dict[str, Path], model: Path) -> None:
    for year in ("2026", "2027"):
        assert problem_of(version(model, sign(model, keys[year])), keys[f"{year}.pub"]) is None


def test_without_keys_to_verify_with_nothing_has_to_be_signed(model: Path) -> None:
    assert problem_of(version(model, "")) is None


def test_a_key_is_rotated_by_trusting_both_for_a_while(keys: dict[str, Path], model: Path) -> None:
    old, new = (version(model, sign(model, keys[year])) for year in ("2025", "2026"))
    both = keys["2025.pub"], keys["2026.pub"]
    assert [problem_of(signed, *both) for signed in (old, new)] == [None, None]
    assert "none of the trusted keys" in str(problem_of(old, keys["2026.pub"]))
    assert problem_of(new, keys["2026.pub"]) is None


def test_a_version_without_a_signature_is_refused(keys: dict[str, Path], model: Path) -> None:
    assert str(problem_of(version(model, ""), keys["2026.pub"])).startswith("it is not signed")


def test_a_file_that_was_changed_added_or_removed_is_refused(keys: dict[str, Path], model: Path) -> None:
    signature = sign(model, keys["2026"])
    (model / "code" / "__pycache__" / "other.pyc").write_bytes(b"byte code says nothing")
    assert problem_of(version(model, signature), keys["2026.pub"]) is None
    (model / "MLmodel").write_text("flavors: {evil: {}}\n")
    assert "for other files" in str(problem_of(version(model, signature), keys["2026.pub"]))
    (model / "MLmodel").write_text("flavors: {}\n")
    (model / "more").write_bytes(b"")
    assert "for other files" in str(problem_of(version(model, signature), keys["2026.pub"]))
    (model / "more").unlink()
    (model / "empty").unlink()
    assert "for other files" in str(problem_of(version(model, signature), keys["2026.pub"]))


def forged(signature: str, **envelope: Any) -> str:
    body = json.loads(signature)
    body["dsseEnvelope"].update(envelope)
    return json.dumps(body)


def test_another_payload_under_a_true_signature_is_refused(keys: dict[str, Path], model: Path) -> None:
    signature = sign(model, keys["2026"])
    payload = json.loads(base64.b64decode(json.loads(signature)["dsseEnvelope"]["payload"]))
    (model / "MLmodel").write_text("flavors: {evil: {}}\n")
    wanted = artefact_of(model / "MLmodel", model).sha256
    for file in payload["predicate"]["resources"]:
        file["digest"] = wanted if file["name"] == "MLmodel" else file["digest"]
    evil = forged(signature, payload=base64.b64encode(json.dumps(payload).encode()).decode())
    assert "none of the trusted keys" in str(problem_of(version(model, evil), keys["2026.pub"]))


@pytest.mark.parametrize(
    "signature",
    ["no JSON", "[]", "{}", '{"dsseEnvelope": 3}', '{"dsseEnvelope": {"payload": "###", "signatures": []}}'],
)
def test_what_is_no_signature_is_refused(keys: dict[str, Path], model: Path, signature: str) -> None:
    assert "cannot be read" in str(problem_of(version(model, signature), keys["2026.pub"]))


def test_a_signature_without_signers_or_of_another_statement_is_refused(keys: dict[str, Path], model: Path) -> None:
    signature = sign(model, keys["2026"])
    nobody = version(model, forged(signature, signatures=[]))
    assert "none of the trusted keys" in str(problem_of(nobody, keys["2026.pub"]))
    signer = json.loads(signature)
    statement = json.dumps({"predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}).encode()
    signer["dsseEnvelope"] = envelope_of(statement, keys["2026"])
    assert "cannot be read" in str(problem_of(version(model, json.dumps(signer)), keys["2026.pub"]))


def envelope_of(payload: bytes, key: Path) -> dict[str, Any]:
    private = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, Key)
    kind = b"application/vnd.in-toto+json"
    made = private.sign(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload), ec.ECDSA(SHA256()))
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind.decode(),
        "signatures": [{"sig": base64.b64encode(made).decode()}],
    }


def test_others_tools_verify_what_is_signed_here(keys: dict[str, Path], model: Path, tmp_path: Path) -> None:
    from model_signing.verifying import Config

    (model / ".gitignore").unlink()  # they leave it out unless they are told otherwise
    (tmp_path / "model.sig").write_text(sign(model, keys["2026"]))
    verifier = Config().use_elliptic_key_verifier(public_key=keys["2026.pub"])
    verifier.verify(model, tmp_path / "model.sig")
    (model / "MLmodel").write_text("flavors: {evil: {}}\n")
    with pytest.raises(ValueError, match="Signature mismatch"):
        verifier.verify(model, tmp_path / "model.sig")


def test_keys_that_are_none_are_named(keys: dict[str, Path], model: Path, tmp_path: Path) -> None:
    key_pair(tmp_path / "other", ed25519.Ed25519PrivateKey.generate())
    for unusable in (tmp_path / "absent", model / "MLmodel", keys["2026.pub"], tmp_path / "other"):
        with pytest.raises(KeyUnusable, match=r"SIGNING_KEY: .*elliptic curve"):
            sign(model, unusable)
    for unusable in (tmp_path / "absent", model / "MLmodel", keys["2026"], tmp_path / "other.pub"):
        with pytest.raises(KeyUnusable, match=r"VERIFY_KEY: .*elliptic curve"):
            Signatures.by((keys["2026.pub"], unusable))


def test_a_key_without_the_extra_is_said_in_a_sentence(
    keys: dict[str, Path], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(SigningUnavailable, match=r"SIGNING_KEY is set.*pip install model-signing pyopenssl"):
        sign(model, keys["2026"])


def test_a_gateway_starts_nothing_for_a_version_that_nobody_vouches_for(
    keys: dict[str, Path], model: Path, tmp_path: Path
) -> None:
    fake = FakeNursery()
    places = Places("auto", nursery(fake), nursery(fake), Signatures.by((keys["2026.pub"],)))

    async def spawned(signature: str) -> None:
        signed = version(model, signature)
        await places.spawn(WorkerStart(bundle=signed, folder=str(model), memory_bytes=1, max_rows=1))

    with pytest.raises(WorkerRefused, match=r"cannot be served: it is not signed\. Sign it .* again\."):
        asyncio.run(spawned(""))
    with pytest.raises(WorkerRefused, match="none of the trusted keys"):
        asyncio.run(spawned(sign(model, keys["2025"])))
    assert fake.workers == []
    asyncio.run(spawned(sign(model, keys["2026"])))
    assert len(fake.workers) == 1
