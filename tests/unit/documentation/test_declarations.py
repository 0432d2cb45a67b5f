"""Each piece of model.yaml on a page may stand in one, and each field that a page names exists."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.documentation.pages import IDS, PAGES, blocks, spoken
from understudy.cli.reference import schema_document
from understudy.contract.declaration.spec import ModelSpec

REST: dict[str, Any] = {
    "model": "price", "owner": "market-ml", "task": "binary_classification",
    "data": {"source": "x.csv", "target": "up", "time": "at"}, "gates": [{"metric": "roc_auc", "floor": 0.7}],
}  # fmt: skip
SCHEMA = schema_document()
FIELD = re.compile(r"([a-z_]+)(?:\.[a-z_]+|\.<[a-z]+>)+")


def fields(definition: dict[str, Any], path: str = "") -> set[str]:
    """List all fields by their paths; what a person names has any name."""
    found = set()
    for name, described in definition.get("properties", {}).items():
        found.add(path + name)
        between = "*." if "additionalProperties" in described or "propertyNames" in described else ""
        for kind in re.findall(r"#/\$defs/(\w+)", json.dumps(described)):
            found |= fields(SCHEMA["$defs"][kind], f"{path}{name}.{between}")
    return found


FIELDS = fields(SCHEMA)
STAGES = set(SCHEMA["$defs"]["StageName"]["enum"])


def in_general(field: str) -> str:
    return re.sub(rf"^stages\.(?:{'|'.join(STAGES)}|<stage>)", "stages.*", field)


def is_named_by_people(field: str) -> bool:
    return field.endswith(".<name>")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_piece_of_model_yaml_may_stand_in_one(page: Path) -> None:
    for block in blocks(page, "yaml"):
        piece = yaml.safe_load(block) or {}
        if "services" not in piece:  # that is compose's
            served: dict[str, Any] = {"serving": {}} if piece.keys() & {"shadow", "canary", "guard"} else {}
            ModelSpec.model_validate({**REST, **served, **piece})


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_field_that_a_page_names_exists(page: Path) -> None:
    named = {code for code in spoken(page) if (found := FIELD.fullmatch(code)) and found[1] in SCHEMA["properties"]}
    lost = {field for field in named if not is_named_by_people(field) and in_general(field) not in FIELDS}
    assert lost - {"model.yaml"} == set()
