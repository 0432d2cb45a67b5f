"""Read ``model.yaml`` and say exactly what is wrong with it: file, line, field, nearest valid name."""

import os
import stat
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from understudy.contract.declaration.fields_at import Location
from understudy.contract.declaration.first_problem import dotted, first_problem
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.errors import SpecProblem, UnknownModel
from understudy.contract.target_class import misfit_of

SIZE_LIMIT_BYTES = 1_000_000
SPEC_FILE = "model.yaml"
MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Refuse what a declaration does not need and an attacker does: aliases, merged mappings and repeated keys."""

    def __init__(self, text: str, path: Path) -> None:
        super().__init__(text)
        self.path = path
        self.lines: dict[Location, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise SpecProblem(
                self.path,
                event.start_mark.line + 1,
                "",
                f"uses the YAML alias *{event.anchor}",
                "Write the value out; aliases are refused because they can expand without limit",
            )
        return super().compose_node(parent, index)

    def note_lines(self, node: yaml.Node, at: Location) -> None:
        self.lines[at] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    line = key.start_mark.line + 1
                    raise SpecProblem(self.path, line, dotted(at), "has a list or a mapping as a key", "Write a name")
                if key.tag == MERGE:
                    line = key.start_mark.line + 1
                    raise SpecProblem(self.path, line, dotted(at), "uses the YAML merge key <<", "Write the fields out")
                if key.value in seen:
                    raise SpecProblem(
                        self.path,
                        key.start_mark.line + 1,
                        ".".join(map(str, (*at, key.value))),
                        "is written twice",
                        "Keep one of them",
                    )
                seen.add(key.value)
                inner = (*at, key.value)
                self.note_lines(value, inner)
                self.lines[inner] = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self.note_lines(value, (*at, index))


def load_spec(path: Path) -> ModelSpec:
    """Load one declaration; its serving target, if any, must be at hand and offer what is asked of it.

    :raises SpecProblem: with the line and the field, for everything that can be wrong with the file.
    """
    spec, lines = _parsed(_text(path), path)
    misfit = misfit_of(spec)
    if misfit is not None:
        raise SpecProblem(path, lines.get(misfit.at), dotted(misfit.at), misfit.problem, misfit.way_out)
    return spec


def lines_of(path: Path) -> dict[str, int]:
    """Say in which line of a declaration that can be loaded each of its fields stands, as people write them."""
    _, lines = _parsed(_text(path), path)
    return {dotted(at): line for at, line in lines.items()}


def _text(path: Path) -> str:
    _refuse_link_out(path)
    try:
        size = _size_of_file(path)
        raw = path.read_bytes() if size <= SIZE_LIMIT_BYTES else b""
    except OSError as unreadable:
        raise SpecProblem(path, None, "", f"cannot be read ({unreadable.strerror})") from unreadable
    if size > SIZE_LIMIT_BYTES:
        raise SpecProblem(path, None, "", f"holds {size:,} bytes; a declaration may have {SIZE_LIMIT_BYTES:,}")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as wrong:
        line = raw[: wrong.start].count(b"\n") + 1
        raise SpecProblem(path, line, "", "is not UTF-8 text", "Save the file as UTF-8") from wrong


def _size_of_file(path: Path) -> int:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):  # a pipe would be waited for
        raise SpecProblem(path, None, "", "is no file", "Write the declaration into a file of that name")
    return found.st_size


def _refuse_link_out(path: Path) -> None:
    """Refuse a file that a link takes from elsewhere: whoever fills the folder may not read all that we can.

    A link to another place of the same models folder is how Kubernetes mounts a ConfigMap. The models folder and a
    model's own may be links themselves: they lead to a file of this name only.
    """
    if not path.is_symlink():
        return
    models_dir = path.parent.parent
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(os.path.realpath(folder)) for folder in (path.parent, models_dir)):
        raise SpecProblem(
            path,
            None,
            "",
            f"is a link that leads out of {models_dir}, to {os.readlink(path)}",
            "Put a copy of what it leads to there",
        )


def parse_spec(text: str, path: Path) -> ModelSpec:
    """Parse a declaration that was read from ``path``."""
    return _parsed(text, path)[0]


def _parsed(text: str, path: Path) -> tuple[ModelSpec, dict[Location, int]]:
    loader = None
    try:
        loader = _Loader(text, path)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise SpecProblem(
                path, 1, "", "holds no declaration", "Start with `model: <name>`, or run `understudy init`"
            )
        loader.note_lines(node, ())
        document = loader.construct_document(node)
    except yaml.YAMLError as broken:
        mark = getattr(broken, "problem_mark", None)
        problem = getattr(broken, "problem", None) or "it cannot be parsed"
        raise SpecProblem(path, mark.line + 1 if mark else None, "", f"is not valid YAML: {problem}") from broken
    except RecursionError as deep:
        raise SpecProblem(path, None, "", "is nested too deeply", "Flatten it") from deep
    except (ValueError, AttributeError) as impossible:  # AttributeError: PyYAML's, for a !!timestamp that is none
        raise SpecProblem(path, None, "", f"holds an impossible value: {impossible}") from impossible
    finally:
        if loader is not None:
            loader.dispose()
    try:
        return ModelSpec.model_validate(document), loader.lines
    except ValidationError as invalid:
        raise first_problem(path, loader.lines, invalid, ModelSpec) from invalid


def spec_path(models_dir: Path, model: str) -> Path:
    """Find where a model is declared.

    :raises UnknownModel: when no folder of that name holds a declaration.
    """
    path = models_dir / model / SPEC_FILE
    # A folder or a dangling link of that name is a declaration that cannot be read, which load_spec says.
    if Path(model).name != model or not os.path.lexists(path):
        raise UnknownModel(model, [p.parent.name for p in declared(models_dir)], models_dir)
    return path


def declared(models_dir: Path) -> list[Path]:
    """List the declarations below a folder, by name; a link that leads nowhere is one that cannot be read."""
    found = (folder / SPEC_FILE for folder in models_dir.glob("*"))
    return sorted(path for path in found if os.path.lexists(path))


def load_model(models_dir: Path, model: str) -> ModelSpec:
    """Load a model's declaration by name; its folder and its ``model`` field must agree."""
    path = spec_path(models_dir, model)
    return _named(load_spec(path), path, model)


def read_model(models_dir: Path, model: str) -> ModelSpec:
    """Load a model's declaration without a look at its serving target, which need not be installed on this machine."""
    path = spec_path(models_dir, model)
    return _named(parse_spec(_text(path), path), path, model)


def _named(spec: ModelSpec, path: Path, model: str) -> ModelSpec:
    if spec.model != model:
        raise SpecProblem(path, 1, "model", f"is {spec.model!r}, but the folder is called {model!r}", "Make them equal")
    return spec
