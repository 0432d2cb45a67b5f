"""Make a stored model's bytes depend on the model only: no clock, no memory addresses, no random names."""

import hashlib
import json
import re
import zipfile
from pathlib import Path
from typing import Any

SCHEMA = "schema.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip file can hold


def canonicalise_skops(path: Path) -> None:
    """Rewrite a skops file: members are named and ordered as the schema mentions them, ids count from zero.

    skops names arrays by their address in memory, which differs from process to process.
    """
    with zipfile.ZipFile(path) as archive:
        schema = json.loads(archive.read(SCHEMA))
        renamed: dict[str, str] = {}
        _renumber(schema, {}, renamed)
        members = [(new, archive.read(old)) for old, new in renamed.items()]
    draft = path.with_suffix(".draft")
    with zipfile.ZipFile(
        draft, "w", zipfile.ZIP_STORED
    ) as archive:  # stored: what zlib makes differs between its versions
        for name, content in [*members, (SCHEMA, json.dumps(schema, separators=(",", ":")).encode())]:
            member = zipfile.ZipInfo(name, EPOCH)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)
    draft.replace(path)


def _renumber(node: Any, ids: dict[int, int], files: dict[str, str]) -> None:
    if isinstance(node, list):
        for child in node:
            _renumber(child, ids, files)
        return
    if not isinstance(node, dict):
        return
    if isinstance(node.get("__loader__"), str):
        if node["__loader__"] == "JsonNode":
            node.pop("__id__", None)  # which equal constants Python shares is chance
        elif isinstance(node.get("__id__"), int):
            node["__id__"] = ids.setdefault(node["__id__"], len(ids))
        if isinstance(node.get("file"), str):
            node["file"] = files.setdefault(node["file"], f"{len(files)}{Path(node['file']).suffix}")
    for child in node.values():
        _renumber(child, ids, files)


def canonicalise_mlflow(folder: Path, created: str, pins: list[str], python: str) -> None:
    """Rewrite what MLflow notes about the moment and the machine; the identifier becomes a digest of the files."""
    import yaml

    (folder / "requirements.txt").write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
    (folder / "python_env.yaml").write_text(
        yaml.safe_dump({"python": python, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]}),
        encoding="utf-8",
    )
    (folder / "conda.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "mlflow-env",
                "channels": ["conda-forge"],
                "dependencies": [f"python={python}", "pip", {"pip": pins}],
            }
        ),
        encoding="utf-8",
    )
    described = folder / "MLmodel"
    document = yaml.safe_load(described.read_text(encoding="utf-8"))
    document["utc_time_created"] = created
    document["flavors"]["python_function"]["python_version"] = python
    document["model_size_bytes"] = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and f != described)
    document["model_uuid"] = None
    document["model_uuid"] = _digest(folder, described, yaml.safe_dump(document))
    described.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _digest(folder: Path, described: Path, text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for file in sorted(f for f in folder.rglob("*") if f.is_file() and f != described):
        digest.update(file.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:32]


VERSION = re.compile(r"^(\d+\.\d+)")


def minor_python(version: str) -> str:
    """Shorten ``3.11.7`` to ``3.11``: the patch release changes no model."""
    match = VERSION.match(version)
    return match[1] if match else version
