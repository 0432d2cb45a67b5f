"""Read parts of a ledger entry's facts as types, whatever was written there and by which version of this library."""

from typing import TypeVar

from pydantic import ValidationError

from understudy.contract.declared import Fact
from understudy.contract.words import Word

F = TypeVar("F", bound=Fact)
W = TypeVar("W", bound=Word)


def read_as(kind: type[F], value: object) -> F | None:
    """Read it, or give None where it is absent or something else: who shows history must not fail by it."""
    try:
        return kind.model_validate(value)
    except ValidationError:
        return None


def word_of(kind: type[W], value: object) -> W | None:
    """Read a word of a closed set, or give None."""
    return next((word for word in kind if word.value == value), None)


def whole_number(value: object) -> int | None:
    """Read a version or an epoch, or give None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
