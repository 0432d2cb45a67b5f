import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from understudy.cli import reference
from understudy.contract.metrics import METRICS
from understudy.settings import PROJECT


@pytest.mark.parametrize(
    ("file", "text"),
    [(reference.SCHEMA_FILE, reference.schema_text()), (reference.PAGE_FILE, reference.page_text())],
    ids=["schema", "page"],
)
def test_generated_files_are_in_step_with_the_code(file: Path, text: str) -> None:
    assert file.read_text(encoding="utf-8") == text, "run: understudy schema --write"


def test_the_schema_accepts_the_shipped_declarations_and_refuses_a_typo() -> None:
    schema = json.loads(reference.SCHEMA_FILE.read_text(encoding="utf-8"))
    declaration = yaml.safe_load((PROJECT / "include/models/powerprice/model.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(declaration, schema)
    declaration["gates"][0]["metric"] = "roc_acu"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(declaration, schema)


def test_the_schema_accepts_whole_bounds_which_are_real_ones_too() -> None:
    schema = json.loads(reference.SCHEMA_FILE.read_text(encoding="utf-8"))
    declaration = yaml.safe_load((PROJECT / "include/models/powerprice/model.yaml").read_text(encoding="utf-8"))
    jsonschema.validate({**declaration, "train": {"search": {"depth": {"low": 1, "high": 9}}}}, schema)


def test_the_page_explains_every_field_and_metric() -> None:
    page = reference.page_text()
    fields = [
        name
        for definition in reference.schema_document()["$defs"].values()
        for name in definition.get("properties", {})
    ]
    assert [name for name in [*fields, *METRICS] if f"`{name}`" not in page] == []
    assert "`1d`" in page  # retrain.timeout: a default that pydantic's own schema leaves out


def test_the_kinds_of_alerts_are_looked_up_among_alerts() -> None:
    assert "| `kinds` | list of a name, [see alerts.md](alerts.md#of-what) |" in reference.page_text()


def test_writing_goes_below_the_given_root(tmp_path: Path) -> None:
    written = reference.write(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "schema/model.schema.json",
        "docs/model-yaml.md",
    ]
