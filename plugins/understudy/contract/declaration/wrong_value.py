"""Say in plain words what is wrong with a value that pydantic has refused."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from understudy.contract.suggest import nearest

LONGEST_SHOWN = 60
_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "dict_type": "names with values (name: value)",
    "model_type": "a section of fields (name: value)",
    "invalid-json-value": "text, a number, true, false, a list or names with values",
}
"""What a value has to be, by the type of pydantic's error."""
_BOUNDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda bound: f"must be more than {bound['gt']:g}",
    "greater_than_equal": lambda bound: f"must be at least {bound['ge']:g}",
    "less_than": lambda bound: f"must be less than {bound['lt']:g}",
    "less_than_equal": lambda bound: f"must be at most {bound['le']:g}",
    "too_short": lambda bound: f"must hold {_counted(bound['min_length'], 'entry', 'entries')} at least",
    "too_long": lambda bound: f"may hold {_counted(bound['max_length'], 'entry', 'entries')} at most",
    "string_too_short": lambda bound: f"must have {_counted(bound['min_length'], 'character', 'characters')} at least",
    "string_too_long": lambda bound: f"may have {_counted(bound['max_length'], 'character', 'characters')} at most",
    "string_unicode": lambda _: "must be text that UTF-8 can hold",
}


def problem_of(errors: Sequence[Mapping[str, Any]], known: Sequence[str] = ()) -> str:
    """Put one value's errors into one sentence; there are several where it may be one of several kinds.

    :param known: the names that may stand beside an unknown one.
    """
    error = errors[0]
    kind, value, bounds = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return f"unknown field{nearest(str(error['loc'][-1]), known)}"
    if kind in {"value_error", "assertion_error"}:
        return str(error["msg"]).split(", ", 1)[1]
    if kind in {"enum", "literal_error"}:
        return _unknown_word(value, re.findall(r"'([^']*)'", bounds["expected"]))
    return _out_of_bounds(kind, value, bounds) if kind in _BOUNDS else _of_another_kind(errors)


def _out_of_bounds(kind: str, value: Any, bounds: Mapping[str, Any]) -> str:
    if value == "":
        return "is empty; write a text"
    found = f", not {value:g}" if isinstance(value, int | float) else ""
    return f"{_BOUNDS[kind](bounds)}{found}"


def _of_another_kind(errors: Sequence[Mapping[str, Any]]) -> str:
    error = errors[0]
    if error["type"] == "invalid_key" or error["loc"][-1:] == ("[key]",):
        return "a name must be text; put it in quotes"
    wanted = list(dict.fromkeys(_KINDS[e["type"]] for e in errors if e["type"] in _KINDS))
    if not wanted:
        return "cannot be used; docs/model-yaml.md says what may stand here"
    if error["input"] is None:
        return f"is empty; write {_either(wanted)}"
    return f"must be {_either(wanted)}, not {shown(error['input'])}{_quoting(wanted, error['input'])}"


def shown(value: Any) -> str:
    """Name a value as it stands in a file."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | date):
        return str(value)
    if isinstance(value, str):
        return repr(value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}…")
    return "names with values" if isinstance(value, dict) else "a list" if isinstance(value, list) else "binary data"


def _quoting(wanted: Sequence[str], value: Any) -> str:
    takes_text = any(kind.startswith("text") for kind in wanted)
    if takes_text and isinstance(value, bool | int | float | date):
        return "; put it in quotes"
    if wanted == ["a list"] and isinstance(value, str | int | float | date):
        return f"; write [{value}]" if len(str(value)) <= LONGEST_SHOWN else "; write it in [ ]"
    return ""


def _unknown_word(value: Any, words: Sequence[str]) -> str:
    if isinstance(value, str):
        return f"{shown(value)} is unknown{nearest(value, words)}"
    return f"must be one of {', '.join(words)}, not {shown(value)}"


def _either(kinds: Sequence[str]) -> str:
    return " or ".join([", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
