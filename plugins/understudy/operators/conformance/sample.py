"""Build an operator from made-up plain values."""

import ast
import inspect
import re
import textwrap
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator

OperatorClass = type[BaseOperator]


def own_parameters(operator: OperatorClass) -> dict[str, inspect.Parameter]:
    """Collect the named parameters of the constructors that are not Airflow's."""
    found: dict[str, inspect.Parameter] = {}
    for owner in operator.__mro__:
        if owner.__module__.startswith("airflow.") or "__init__" not in vars(owner):
            continue
        for name, parameter in list(inspect.signature(vars(owner)["__init__"]).parameters.items())[1:]:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                found.setdefault(name, parameter)
    return found


def _accepts(operator: OperatorClass) -> dict[str, inspect.Parameter]:
    """Leave out what a subclass has fixed for its base, such as ``stage``."""
    own = own_parameters(operator)
    if "__init__" not in vars(operator):
        return own
    source = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(vars(operator)["__init__"]))))
    calls = [n for n in ast.walk(source) if isinstance(n, ast.Call) and getattr(n.func, "attr", "") == "__init__"]
    fixed = {keyword.arg for call in calls for keyword in call.keywords if keyword.arg}
    declared = set(inspect.signature(operator.__init__).parameters)
    return {name: parameter for name, parameter in own.items() if name in declared or name not in fixed}


def _sample(parameter: inspect.Parameter) -> Any:
    words = str(parameter.annotation)
    for kind, value in (
        ("timedelta", timedelta(seconds=1)),
        ("dict", {}),
        ("list", []),
        ("tuple", ()),
        ("bool", False),
        ("int", 1),
        ("float", 0.5),
    ):
        if re.search(rf"\b{kind}\b", words) and "str" not in words.replace("[str", ""):
            return value
    return f"sample-{parameter.name}"


def build(operator: OperatorClass) -> tuple[BaseOperator, dict[str, Any]]:
    """Make one, and say of which values."""
    required = {n: p for n, p in _accepts(operator).items() if p.default is p.empty}
    values = {name: _sample(parameter) for name, parameter in required.items()}
    return operator(task_id="sample", **values), values
