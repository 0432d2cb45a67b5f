"""What a training hands to the registry, as tests make it: a folder like a model's, and where it comes from."""

from pathlib import Path
from typing import Any

from understudy.contract.release import INSTALLATION
from understudy.contract.stage import artefact_of
from understudy.hooks.registry.registration import Provenance, Registration


def write_model(folder: Path, weights: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "weights.bin").write_bytes(weights)
    return folder


def trained(model: str, number: int, folder: Path, **changed: Any) -> Registration:
    provenance = {
        "data_version": f"data{number}", "spec_sha256": "s", "code_commit": "c",
        # No container trained it, so none has to score it, whatever the libraries of this Python.
        "image_digest": f"{INSTALLATION}test", **changed,
    }  # fmt: skip
    return Registration(
        model=model,
        run=f"run{number}",
        model_dir=folder,
        model_sha256=artefact_of(folder, folder.parent).sha256,
        provenance=Provenance(**provenance),
    )
