"""What nobody vouches for is not evaluated, either: evaluation reads the model."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.keys import key_pair
from tests.unit.gateway.fake_processes import bundle
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.stage import Artefact
from understudy.hooks.registry.errors import SignatureRefused
from understudy.hooks.registry.registry import Registry
from understudy.operators.evaluate import EvaluateVsChampionOperator
from understudy.operators.handover import Trained
from understudy.signatures import Signatures
from understudy.workspace import RunFolder


def test_a_challenger_without_a_trusted_signature_reaches_no_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = key_pair(tmp_path / "key").with_suffix(".pub")
    registry = Registry("sqlite:///never-opened.db", "file:///nowhere", signatures=Signatures.by((public,)))
    monkeypatch.setattr("understudy.operators.evaluate.connect", lambda: SimpleNamespace(registry=registry))
    file = Artefact(path="x", sha256="0" * 64, size_bytes=1)
    trained = Trained(bundle=bundle(1), model=file, references=file, holdout=file, train_end=None)
    operator = EvaluateVsChampionOperator(task_id="t", model="tides", trained=trained.model_dump(mode="json"))
    nothing: dict[str, Any] = {}
    with pytest.raises(SignatureRefused, match="it is not signed"):
        operator.build_request(cast("Any", nothing), cast("ModelSpec", None), cast("RunFolder", None))
