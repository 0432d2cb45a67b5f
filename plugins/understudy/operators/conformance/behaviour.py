"""What an operator does: when it is built, when its DAG is written down, when it runs a second time."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator

from airflow.sdk import DAG

from understudy.contract.complaint import Complaint
from understudy.operators.conformance.sample import OperatorClass, build
from understudy.operators.conformance.watch import Watch
from understudy.operators.stage.stage import StageOperator

CLOCKS = ("now", "utcnow", "today")
OWN_METHODS = ("execute", "build_request", "secrets", "conclude", "execute_complete")


def builds_from_plain_values(operator: OperatorClass) -> Iterator[Complaint]:
    """Build one: the constructor stores what it gets, unchanged, under the same name, for it may be an XComArg."""
    try:
        task, values = build(operator)
    except Exception as problem:  # noqa: BLE001 - whatever a team's constructor raises is the finding
        yield Complaint(
            check="constructor",
            problem=f"it cannot be built from plain values: {type(problem).__name__}: {problem}",
            way_out="Only store arguments in the constructor; look at their values in execute.",
        )
        return
    for name, value in values.items():
        if getattr(task, name, None) != value:
            yield Complaint(
                check="constructor",
                problem=f"argument {name!r} is not stored unchanged as self.{name}",
                way_out=f"Write `self.{name} = {name}`, and convert it in execute.",
            )


def constructor_stays_inside(operator: OperatorClass) -> Iterator[Complaint]:
    """Watch the constructor: DAG files are parsed every few seconds, and what it reads it reads each time."""
    try:
        build(operator)  # imports happen here, outside of the watch
        with Watch() as watch:
            build(operator)
    except Exception:  # noqa: BLE001 - reported by builds_from_plain_values
        return
    for event in sorted(set(watch.seen)):
        yield Complaint(check="no_io", problem=f"the constructor reaches outside: {event}", way_out="Do it in execute.")


def serialises(operator: OperatorClass) -> Iterator[Complaint]:
    """Write a DAG with it as JSON, as the scheduler sees it."""
    from airflow.serialization.serialized_objects import DagSerialization

    try:
        with DAG(dag_id="conformance", schedule=None) as dag:
            build(operator)
        json.dumps(DagSerialization.to_dict(dag))
    except Exception as problem:  # noqa: BLE001 - whatever Airflow raises is the finding
        yield Complaint(
            check="serialises",
            problem=f"a DAG with it cannot be serialised: {problem}",
            way_out="Keep template fields to plain values: text, numbers, lists, dicts.",
        )


def safe_to_repeat(operator: OperatorClass) -> Iterator[Complaint]:
    """Look for what breaks on the day a task runs twice: clocks, and memory on the operator."""
    if operator is StageOperator:
        return  # it keeps the attempt that on_kill must end, and plans it anew whenever it runs
    for method in OWN_METHODS:
        if method not in vars(operator):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(vars(operator)[method]))))
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and getattr(node.value, "id", "") == "self"
            ):
                yield Complaint(
                    check="repeatable",
                    problem=f"{method} assigns self.{node.attr}",
                    way_out="Return it, or keep it in the task's state store.",
                )
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in CLOCKS:
                yield Complaint(
                    check="repeatable",
                    problem=f"{method} asks the clock ({ast.unparse(node.func)})",
                    way_out="Use understudy.operators.run_context.as_of(context).",
                )
    if issubclass(operator, StageOperator) and "execute" in vars(operator):
        source = inspect.getsource(vars(operator)["execute"])
        if "super().execute(" not in source:
            yield Complaint(
                check="repeatable",
                problem="execute is replaced, and with it the attaching to a running stage",
                way_out="Override build_request and conclude instead.",
            )
