"""``understudy check``: look whether what is declared is also there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import declared_models, deployment
from understudy.cli.errors import BROKEN
from understudy.cli.parameters import parameter_problems
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import Fact
from understudy.contract.errors import SpecProblem, UnderstudyError
from understudy.contract.load import SPEC_FILE, lines_of, load_model, spec_path
from understudy.contract.suggest import nearest
from understudy.runners.links import links_out
from understudy.settings import PROJECT, Settings

if TYPE_CHECKING:
    from rich.console import Console


class Checked(Fact):
    """What is wrong with one declaration; nothing when ``problems`` is empty."""

    model: str
    path: str
    problems: tuple[str, ...]


def check(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models; all of them when left out.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check declarations, and that the files, code and columns that they name are there."""
    settings = deployment()
    checked = [_check(settings, model) for model in models or declared_models()]
    answer(as_json, checked, lambda console: _page(console, checked))
    if any(one.problems for one in checked):
        raise typer.Exit(BROKEN)


def _check(settings: Settings, model: str) -> Checked:
    path = spec_path(settings.models_dir, model)
    # Loading says itself what is wrong with a link in the declaration's own place.
    names_code = False
    try:
        spec = load_model(settings.models_dir, model)
    except SpecProblem as problem:
        problems = [str(problem)]
    else:
        found = [*_code_problems(spec, path.parent), *parameter_problems(spec), *_source_problems(spec, settings)]
        problems = _placed(found, path)
        names_code = bool(_named_code(spec))
    links = [str(leads_out) for leads_out in links_out(path.parent) if names_code or leads_out.link != SPEC_FILE]
    return Checked(model=model, path=str(path), problems=(*links, *problems))


def _placed(found: list[str], path: Path) -> list[str]:
    """Put file and line before problems; each begins with its field, or else with one that is not written out."""
    lines, placed = lines_of(path) if found else {}, []
    for problem in found:
        field = problem.partition(": ")[0]
        while field and field not in lines:
            field = field.rpartition(".")[0]
        placed.append(f"{path}:{lines[field]}: {problem}" if field else f"{path}: {problem}")
    return placed


def _named_code(spec: ModelSpec) -> dict[str, str]:
    """Give the code that a declaration names, for which a stage is given the model's whole folder."""
    named = {
        "data.prepare": spec.data.prepare,
        "train.trainer": spec.train.trainer,
        "evaluate.value.function": spec.evaluate.value.function if spec.evaluate.value else None,
    }
    return {field: code for field, code in named.items() if code is not None}


def _code_problems(spec: ModelSpec, folder: Path) -> list[str]:
    """Look for the code that a declaration names, inside its own folder."""
    found = (_code_problem(field, code, folder) for field, code in _named_code(spec).items())
    return [problem for problem in found if problem]


def _code_problem(field: str, code: str, folder: Path) -> str | None:
    import ast

    file, _, function = code.rpartition(":")
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        return None  # nothing but a link leads there, and all links are looked at
    if not path.is_file():
        return f"{field}: there is no file {file} in {folder}"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError as unreadable:
        return f"{field}: {file} cannot be read ({unreadable.strerror})"
    except (SyntaxError, ValueError, RecursionError, MemoryError) as broken:
        return f"{field}: {file} is not valid Python ({str(broken) or 'it is nested too deeply'})"
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    # A name may also arrive by assignment or import, which only running the code would tell.
    bound = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for name in node.targets
        if isinstance(name, ast.Name)
    }
    bound |= {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return (
        None
        if function in {*names, *bound}
        else f"{field}: {file} defines no function {function}{nearest(function, names)}"
    )


def _source_problems(spec: ModelSpec, settings: Settings) -> list[str]:
    """Look for the source and, where it is a file that can be read, for the columns that the declaration names."""
    from understudy.hooks.data.sources import SourceNotFound, find_sources, is_url
    from understudy.infer.source_columns import source_columns
    from understudy.sample.file import PATH as SAMPLE

    source = spec.data.source
    if source is None or is_url(source):
        return []
    try:
        files = list(find_sources(source, PROJECT, settings.data_roots).values())
        for index, reference in enumerate(spec.checks.references):
            find_sources(reference.file, PROJECT, settings.data_roots, f"checks.references[{index}].file")
        columns = source_columns(files[0], spec.data)
    except SourceNotFound as problem:
        is_sample = PROJECT / source == SAMPLE and not SAMPLE.is_file()
        hint = " It is the sample's file: `make demo` or `understudy up` makes it." if is_sample else ""
        return [f"{problem}{hint}"]
    except UnderstudyError as problem:
        return [str(problem)]
    except OSError as unusable:
        return [f"data.source: {source} cannot be read ({unusable.strerror})"]
    if spec.data.prepare is not None:
        return []  # it may make columns of its own
    named = {
        "data.target": [spec.data.target],
        "data.time": [spec.data.time] if spec.data.time else [],
        "data.key": spec.data.key,
        "data.drop": spec.data.drop,
        "data.classes.pii": spec.data.classes.pii,
        "data.classes.sensitive": spec.data.classes.sensitive,
        "checks.references": [reference.column for reference in spec.checks.references],
        "evaluate.slices": spec.evaluate.slices,
        "evaluate.fairness": spec.evaluate.fairness,
    }
    named |= {f"checks.columns.{name}": [name] for name, rule in spec.checks.columns.items() if rule.required}
    return [
        f"{field}: the data have no column {column!r}{nearest(column, columns)}"
        for field, wanted in named.items()
        for column in wanted
        if column not in columns
    ]


def _page(console: "Console", checked: list[Checked]) -> None:
    if not checked:
        console.print("No model is declared yet. Start with: understudy init --data FILE --target COLUMN --time COLUMN")
    for one in checked:
        if one.problems:
            for problem in one.problems:
                console.print(problem, style="red")
        else:
            console.print(f"{one.model}: fine")
