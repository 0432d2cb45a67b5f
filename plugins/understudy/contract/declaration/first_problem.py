"""Choose what to say first of all that is wrong with a declaration, and where it stands."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from understudy.contract.declaration.fields_at import Location, fields_at
from understudy.contract.declaration.wrong_value import problem_of
from understudy.contract.errors import SpecProblem

RULE = re.compile(r"^([a-z_][\w.]*(?:\[\d+\][\w.]*)?): (.+)$", re.DOTALL)
"""How a rule over several fields speaks: the one that it is about, below its own place, and its sentence."""


def first_problem(
    path: Path, lines: Mapping[Location, int], invalid: ValidationError, model: type[BaseModel]
) -> SpecProblem:
    """Say what to mend first; what else is wrong is counted, once for each place."""
    places: dict[Location, list[Any]] = {}
    errors = invalid.errors(include_url=False)
    for error in errors:
        if error["type"] == "too_short" and any(e["loc"][:-1][: len(error["loc"])] == error["loc"] for e in errors):
            continue  # what is wrong is an entry; pydantic counts the right ones only
        places.setdefault(_place(error, lines), []).append(error)
    # A misspelt field is the cause where the right one is reported missing as well.
    misspelt = (item for item in places.items() if item[1][0]["type"] == "extra_forbidden")
    at, here = next(misspelt, next(iter(places.items())))
    problem = problem_of(here, fields_at(model, at[:-1]))
    rule = RULE.match(problem) if here[0]["type"] == "value_error" else None
    if rule is not None and (not at or (*at, *_location(rule[1])) in lines):
        at, problem = (*at, *_location(rule[1])), rule[2]
    written_at = _written(at, lines)
    more = len(places) - 1
    if more:
        problem += f" ({more} more problem{'s' if more > 1 else ''} after this one)"
    return SpecProblem(path, lines.get(written_at), dotted(at), problem)


def dotted(at: Sequence[str | int]) -> str:
    """Write a place as people do: ``gates[0].floor``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).lstrip(".")


def _place(error: Any, lines: Mapping[Location, int]) -> Location:
    """Find the field that an error is about: pydantic's own location also names the kinds that a value may have."""
    at: Location = ()
    for part in error["loc"]:
        inner = next((known for known in ((*at, part), (*at, str(part))) if known in lines), None)
        if inner is not None:
            at = inner
    return (*at, error["loc"][-1]) if error["type"] == "missing" else at


def _location(field: str) -> Location:
    parts = re.findall(r"[A-Za-z_]\w*|\d+", field)
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _written(at: Location, lines: Mapping[Location, int]) -> Location:
    while at and at not in lines:
        at = at[:-1]
    return at
