"""Check that an operator behaves as every operator here must; ``understudy check-operator`` prints what is found."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator

from airflow.sdk import BaseOperator

from understudy.contract.complaint import Complaint
from understudy.contract.suggest import nearest
from understudy.operators.conformance.behaviour import (
    builds_from_plain_values,
    constructor_stays_inside,
    safe_to_repeat,
    serialises,
)
from understudy.operators.conformance.declaration import (
    documented,
    keyword_only,
    no_secret_arguments,
    template_fields_are_arguments,
)
from understudy.operators.conformance.sample import OperatorClass

CHECKS: tuple[Callable[[OperatorClass], Iterator[Complaint]], ...] = (
    keyword_only,
    template_fields_are_arguments,
    no_secret_arguments,
    documented,
    builds_from_plain_values,
    constructor_stays_inside,
    serialises,
    safe_to_repeat,
)


def check_operator(reference: str) -> list[Complaint]:
    """Check ``package.module:Class``, found on the path or below the working directory; nothing is wrong when empty."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    module, _, name = reference.partition(":")
    try:
        imported = importlib.import_module(module)
    except Exception as missing:  # noqa: BLE001 - whatever a team's module raises is the finding
        return [
            Complaint(
                check="exists",
                problem=f"{module!r} cannot be imported: {type(missing).__name__}: {missing}",
                way_out="Give package.module:Class, as Python would import it from here.",
            )
        ]
    found = getattr(imported, name, None)
    if found is None:
        known = [n for n, value in vars(imported).items() if inspect.isclass(value) and issubclass(value, BaseOperator)]
        return [
            Complaint(
                check="exists",
                problem=f"{module} has no class {name!r}{nearest(name, known)}".rstrip("?"),
                way_out="Give package.module:Class, as Python would import it from here.",
            )
        ]
    if not (inspect.isclass(found) and issubclass(found, BaseOperator)):
        return [
            Complaint(
                check="is_operator",
                problem=f"{reference} is not an operator",
                way_out="Derive from StageOperator (runs in a container) or from airflow.sdk.BaseOperator.",
            )
        ]
    return [complaint for check in CHECKS for complaint in check(found)]
