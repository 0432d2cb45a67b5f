"""Which columns must not become features, and why."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from understudy.infer.time_column import holds_times
from understudy.stages.read.column_kind import kind_of
from understudy.stages.redact import looks_personal

if TYPE_CHECKING:
    import polars as pl

PERSONAL_NAMES = re.compile(
    r"(^|[_-])(e?mail|phone|mobile|first_?name|last_?name|surname|full_?name|address|street|ssn|iban|passport|card_?number)"
    r"($|[_-])",
    re.IGNORECASE,
)
SENSITIVE_NAMES = re.compile(
    r"^(sex|gender|race|ethnicity|ethnic_group|religion|disability|sexual_orientation)$", re.IGNORECASE
)
ID_NAMES = re.compile(r"(^|[_-])(id|uuid|guid|key|index|instant|row|nr|number|no)$", re.IGNORECASE)
UNIQUE_SHARE = 0.95
FREE_TEXT_SHARE, FREE_TEXT_LEVELS = 0.3, 1000


@dataclass
class Roles:
    """Sort columns by what they may be used for; ``why`` explains each one that is no feature."""

    features: list[str] = field(default_factory=list)
    drop: list[str] = field(default_factory=list)
    pii: list[str] = field(default_factory=list)
    sensitive: list[str] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)

    def discard(self, column: str, reason: str) -> None:
        """Turn a feature into a dropped column."""
        self.features.remove(column)
        self.drop.append(column)
        self.why[column] = reason


def sort_columns(table: "pl.DataFrame", target: str, time: str | None) -> Roles:
    """Give every column but target and time a role, by its name and its values."""
    roles = Roles()
    for column in table.columns:
        if column in (target, time):
            continue
        values = table[column]
        if PERSONAL_NAMES.search(column) or _mostly_personal(values):
            roles.pii.append(column)
            roles.why[column] = "looks like personal data: dropped before training and redacted in reports"
        elif SENSITIVE_NAMES.match(column):
            roles.sensitive.append(column)
            roles.why[column] = "sensitive: used to compare groups, never as a feature"
        else:
            roles.features.append(column)
            reason = _useless(column, values)
            if reason:
                roles.discard(column, reason)
    return roles


def _mostly_personal(values: "pl.Series") -> bool:
    if kind_of(values.dtype) != "text":
        return False
    shown = values.drop_nulls().head(100)
    return bool(len(shown)) and sum(map(looks_personal, shown)) > len(shown) / 2


def _useless(column: str, values: "pl.Series") -> str | None:
    filled, kind = values.drop_nulls(), kind_of(values.dtype)
    if kind == "other":
        return "holds nested or binary values, which no built-in encoder reads"
    levels = filled.n_unique()
    if levels < 2:
        only = f"one value only ({str(filled[0])[:40]!r})" if levels else "no value at all"
        return f"has {only}, so nothing can be learnt from it"
    if kind == "time" or (kind == "text" and holds_times(values)):
        return (
            "holds dates, which an encoder would take for thousands of categories; derive numbers from "
            "it in data.prepare if they matter"
        )
    unique = levels >= UNIQUE_SHARE * len(filled)
    if unique and (kind == "text" or (kind == "integer" and (ID_NAMES.search(column) or levels == len(filled)))):
        return f"is an id: {levels:,} different values in {len(filled):,} rows"
    if kind == "text" and levels > max(FREE_TEXT_LEVELS, FREE_TEXT_SHARE * len(filled)):
        return f"is free text or an id: {levels:,} different texts in {len(filled):,} rows"
    return None
