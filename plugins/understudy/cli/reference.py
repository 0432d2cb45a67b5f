"""What may stand in a model.yaml: a JSON Schema for editors and a page for people, both made from the code."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import Declared, format_duration
from understudy.contract.metrics import METRICS
from understudy.contract.words import AlertKind, MlTask
from understudy.settings import PROJECT

SCHEMA_FILE = PROJECT / "schema" / "model.schema.json"
PAGE_FILE = PROJECT / "docs" / "model-yaml.md"
Schema = dict[str, Any]
LISTED = {
    "roc_auc": "[see below](#metrics)",
    "ridge": "[see below](#estimators)",
    AlertKind.REFUSED: "[see alerts.md](alerts.md#of-what)",
}
"""Where names are listed that are too many for a cell, by one of them."""

HEAD = """# model.yaml

Six lines declare a model; every other field has a default.

```yaml
model: electricity
owner: market-ml
task: binary_classification
data: {source: data/electricity.csv.gz, time: timestamp, target: up}
retrain: {schedule: "0 3 * * 1"}
gates: [{metric: roc_auc, floor: 0.75}]
```

The file lies in `include/models/<name>/model.yaml`. `understudy init --data FILE --target COLUMN --time COLUMN` writes
one from a data file, `understudy check` says what is wrong with it, by file, line and field. A field that is not listed
here is an error. Editors complete and check the file when its first line is:

```yaml
# yaml-language-server: $schema=../../../schema/model.schema.json
```

The file may be a link to another place of the models folder, as Kubernetes mounts a ConfigMap, and the models folder or
a model's own folder may be links. A `model.yaml` that is a link out of the models folder is refused: the worker may be
able to read what those who fill the folder may not. A model with code of its own needs a file, or a link within its own
folder ([extending.md](extending.md#a-trainer)).

Durations are a whole number and a unit: `45s`, `90m`, `12h`, `30d`, `2w`. Memory is `512m` or `4g`.

This page is generated from the code (`understudy schema --write`).
"""


def schema_document() -> Schema:
    """Give the JSON Schema of a declaration, with the names that a string may be."""
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ModelSpec.model_json_schema(),
        "title": "Understudy model.yaml",
    }
    definitions = schema["$defs"]
    definitions["Gate"]["properties"]["metric"]["enum"] = list(METRICS)
    for declared in _kinds(Declared):
        _show_durations(declared, definitions.get(declared.__name__, schema if declared is ModelSpec else None))
    definitions["TrainSpec"]["properties"]["estimator"]["enum"] = sorted(
        {name for task in MlTask for name in estimators_for(task)}
    )
    return schema


def _kinds(declared: type[Declared]) -> list[type[Declared]]:
    """List all sections, those that extend another one included."""
    return [kind for own in declared.__subclasses__() for kind in (own, *_kinds(own))]


def _show_durations(declared: type[Declared], definition: Schema | None) -> None:
    """Fill in the defaults that pydantic leaves out because a function makes them."""
    for name, field in declared.model_fields.items() if definition else ():
        default = field.get_default(call_default_factory=True, validated_data={}) if not field.is_required() else None
        if definition is not None and isinstance(default, timedelta):
            definition["properties"][name]["default"] = format_duration(default)


def schema_text() -> str:
    """Give the JSON Schema as the file holds it."""
    return json.dumps(schema_document(), indent=2, ensure_ascii=False) + "\n"


def page_text() -> str:
    """Give the reference as the file holds it."""
    schema = schema_document()
    parts = [HEAD, _section("The model", schema, schema)]
    for name, title in _sections(schema):
        parts.append(_section(title, schema["$defs"][name], schema))
    parts += [_metrics(), _estimators()]
    return "\n".join(parts)


def write(root: Path = PROJECT) -> list[Path]:
    """Write both files below a project and return their paths."""
    written = []
    for path, text in ((SCHEMA_FILE, schema_text()), (PAGE_FILE, page_text())):
        target = root / path.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written.append(target)
    return written


def _sections(schema: Schema) -> list[tuple[str, str]]:
    """Name the definitions in the order in which a reader meets them, each by the field that leads to it."""
    found: list[tuple[str, str]] = []
    waiting: list[tuple[Schema, str]] = [(schema, "")]
    while waiting:
        definition, path = waiting.pop(0)
        for field, described in definition.get("properties", {}).items():
            for name in _references(described):
                target = schema["$defs"][name]
                if "properties" in target and name not in (known for known, _ in found):
                    place = f"{path}{field}{_suffix(described)}"
                    found.append((name, f"`{place}`"))
                    waiting.append((target, f"{place}."))
    return found


def _suffix(described: Schema) -> str:
    if described.get("type") == "array":
        return "[]"
    return ".<name>" if "additionalProperties" in described or "propertyNames" in described else ""


def _references(described: Any) -> list[str]:
    if isinstance(described, dict):
        own = [described["$ref"].rsplit("/", 1)[1]] if "$ref" in described else []
        return own + [name for value in described.values() for name in _references(value)]
    return [name for item in described for name in _references(item)] if isinstance(described, list) else []


def _section(title: str, definition: Schema, schema: Schema) -> str:
    required = set(definition.get("required", []))
    lines = [f"## {title}", ""]
    if definition.get("description"):
        lines += [_prose(definition["description"]), ""]
    lines += ["| field | value | default | meaning |", "|---|---|---|---|"]
    for field, described in definition["properties"].items():
        default = "**required**" if field in required else _default(described)
        lines.append(
            f"| `{field}` | {_cell(_kind(described, schema))} | {default} | {_cell(described.get('description', ''))} |"
        )
    return "\n".join([*lines, ""])


def _kind(described: Schema, schema: Schema) -> str:
    if "enum" in described:
        names = described["enum"]
        return (
            ", ".join(f"`{name}`" for name in names)
            if len(names) <= 6
            else f"a name, {next(place for known, place in LISTED.items() if known in names)}"
        )
    if "const" in described:
        return f"`{described['const']}`"
    if "$ref" in described:
        target = schema["$defs"][described["$ref"].rsplit("/", 1)[1]]
        return _kind(target, schema) if "enum" in target else "section" if "properties" in target else "any value"
    for several in ("anyOf", "oneOf"):
        if several in described:
            kinds = [_kind(option, schema) for option in described[several] if option.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    return _plain_kind(described, schema)


def _plain_kind(described: Schema, schema: Schema) -> str:
    kind = described.get("type")
    if kind == "array":
        return f"list of {_kind(described.get('items', {}), schema)}"
    if kind == "object":
        return (
            f"names to {_kind(described['additionalProperties'], schema)}"
            if isinstance(described.get("additionalProperties"), dict)
            else "names to values"
        )
    if kind == "string":
        return "duration" if "30d" in described.get("examples", []) else "text"
    bounds = [
        f"{sign} {_number(described[key])}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in described
    ]
    words = {"integer": "whole number", "number": "number", "boolean": "true or false", None: "any value"}
    return " ".join([words[kind], ", ".join(bounds)]).strip()


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _default(described: Schema) -> str:
    if "default" not in described:
        return "empty" if described.get("type") in ("array", "object") else ""
    default = described["default"]
    if default is None or default == [] or isinstance(default, dict):
        return ""
    return f"`{json.dumps(default) if not isinstance(default, str) else default or '(empty)'}`"


def _metrics() -> str:
    lines = ["## Metrics", "", "| metric | better | values | for | meaning |", "|---|---|---|---|---|"]
    for metric in METRICS.values():
        better = "higher" if metric.greater_is_better else "lower"
        tasks = (
            "all"
            if len(metric.tasks) == len(MlTask)
            else ", ".join(sorted(task.value.removesuffix("_classification") for task in metric.tasks))
        )
        lines.append(f"| `{metric.name}` | {better} | {metric.range_words} | {tasks} | {_cell(metric.meaning)} |")
    return "\n".join([*lines, ""])


def _estimators() -> str:
    lines = ["## Estimators", "", "| estimator | for classes | for numbers |", "|---|---|---|"]
    classes, numbers = estimators_for(MlTask.BINARY), estimators_for(MlTask.REGRESSION)
    for name in sorted({*classes, *numbers}):
        shown = [f"`{known[name].path.rsplit(':', 1)[1]}`" if name in known else "" for known in (classes, numbers)]
        lines.append(f"| `{name}` | {shown[0]} | {shown[1]} |")
    return "\n".join([*lines, ""])


def _prose(text: str) -> str:
    return text.replace("``", "`")


def _cell(text: str) -> str:
    return " ".join(_prose(text).split()).replace("|", "\\|")
