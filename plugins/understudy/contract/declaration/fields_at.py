"""Find which fields may stand at a place of a declaration."""

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

Location = tuple[str | int, ...]


def fields_at(model: type[BaseModel], at: Location) -> list[str]:
    """List the names that may stand below a place; none where it holds no fields of its own."""
    found: list[Any] = [model]
    for part in at:
        found = [inner for annotation in found for inner in _below(annotation, part)]
    return list(dict.fromkeys(name for annotation in found for name in getattr(annotation, "model_fields", {})))


def _below(annotation: Any, part: str | int) -> list[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is dict:
        return _members(arguments[1])
    if origin is tuple:
        return _members(arguments[0])
    fields = getattr(annotation, "model_fields", {})
    return _members(fields[part].annotation) if part in fields else []


def _members(annotation: Any) -> list[Any]:
    """Take a union apart."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _members(arguments[0])
    if origin in {Union, UnionType}:
        return [member for argument in arguments for member in _members(argument)]
    return [annotation]
