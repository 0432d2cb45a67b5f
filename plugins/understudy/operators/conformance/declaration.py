"""What an operator says of itself: its arguments, its template fields, its documentation."""

import inspect
import re
from collections.abc import Iterator

from understudy.contract.complaint import Complaint
from understudy.operators.conformance.sample import OperatorClass, own_parameters

SECRET_NAMES = re.compile(r"(password|passwd|secret|token|api_?key|credential|private_?key)", re.IGNORECASE)


def keyword_only(operator: OperatorClass) -> Iterator[Complaint]:
    """Ask for arguments by name only."""
    for name, parameter in own_parameters(operator).items():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            yield Complaint(
                check="keyword_only",
                problem=f"argument {name!r} can be given by position",
                way_out="Start the constructor with `def __init__(self, *, …`.",
            )


def template_fields_are_arguments(operator: OperatorClass) -> Iterator[Complaint]:
    """Ask for an argument behind each template field, for Airflow renders attributes."""
    for field in operator.template_fields:
        if field not in own_parameters(operator):
            yield Complaint(
                check="template_fields",
                problem=f"template field {field!r} is not an argument of the operator",
                way_out="Name an argument, or take it out of template_fields.",
            )


def no_secret_arguments(operator: OperatorClass) -> Iterator[Complaint]:
    """Refuse secrets: what is given to an operator is stored in the serialised DAG, in clear text."""
    for name in own_parameters(operator):
        if SECRET_NAMES.search(name):
            yield Complaint(
                check="no_secrets",
                problem=f"argument {name!r} would store a secret in the serialised DAG",
                way_out="Take a connection id, and return the secret from secrets().",
            )


def documented(operator: OperatorClass) -> Iterator[Complaint]:
    """Ask for a sentence on what it does, and for a line on each argument of its own."""
    docs = vars(operator).get("__doc__") or ""
    if not docs.strip():
        yield Complaint(
            check="documented", problem="the class has no docstring", way_out="Say in one sentence what it does."
        )
        return
    described = set(re.findall(r":param (\w+):", docs))
    parameters = inspect.signature(operator.__init__).parameters.values() if "__init__" in vars(operator) else ()
    own = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    for name in sorted(own - described):
        yield Complaint(
            check="documented", problem=f"argument {name!r} is not documented", way_out=f"Add `:param {name}: …`."
        )
    for name in sorted(described - set(own_parameters(operator))):
        yield Complaint(
            check="documented",
            problem=f"the docstring documents {name!r}, which is not an argument",
            way_out="Correct the name, or delete the line.",
        )
