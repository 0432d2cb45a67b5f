"""Whatever stands in a field that cannot, it is told in our words, at its field, and never in pydantic's."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from understudy.contract.declaration.gates import Gate
from understudy.contract.declaration.search_space import Choice, FloatRange, IntRange
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declaration.train import TrainSpec
from understudy.contract.errors import SpecProblem
from understudy.contract.load import parse_spec
from understudy.contract.metrics import METRICS

SIX_LINES = """\
model: electricity
owner: market-ml
task: regression
data: {source: data/electricity.csv.gz, time: timestamp, target: price}
retrain: {schedule: "0 3 * * 1"}
gates: [{metric: mae, ceiling: 3}]
"""
Place = tuple[str | int, ...]
WRONG = {
    "nothing": "null",
    "truth": "true",
    "below": "-3",
    "above": "1e300",
    "huge": "123456789012345678901234567890",
    "fraction": "2.5",
    "infinite": ".inf",
    "no-number": ".nan",
    "empty": '""',
    "word": "gibberish",
    "long": "x" * 3000,
    "control": '"a\\0b"',
    "path": "../../etc/passwd",
    "list": "[]",
    "numbers": "[1, 2]",
    "lists": "[[1]]",
    "mappings": "[{gibberish: 1}]",
    "mapping": "{}",
    "misspelt": "{gibberish: 1}",
    "numbered": "{5: 1}",
    "nested": "{a: {b: [1]}}",
    "empties": "{a: null}",
    "date": "2026-01-31",
    "moment": "2026-01-31 12:00:00",
    "binary": "!!binary aGVsbG8=",
    "set": "!!set {a, b}",
}
LEAKS = re.compile(
    r"Input should|should (be|have|match)|Value error|pydantic|valid (string|dictionary|tuple|integer|number|list)"
    r"|instance of|[A-Za-z]+Spec\b|IntRange|FloatRange|ColumnCheck|\^\[|\[/key\]|\[key\]|after validation|\bdict\b"
    r"|tuple|model\.yaml says what|JSON|timedelta|Traceback"
)


def problem_of(text: str) -> SpecProblem:
    with pytest.raises(SpecProblem) as caught:
        parse_spec(text, Path("model.yaml"))
    return caught.value


def told(section: str) -> str:
    kept = [line for line in SIX_LINES.splitlines() if not line.startswith(section.split(":", maxsplit=1)[0] + ":")]
    return str(problem_of("\n".join([*kept, section])))


def places(annotation: Any = ModelSpec, at: Place = ()) -> Iterator[Place]:
    """List every place where a declaration may hold a value."""
    if at:
        yield at
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, UnionType}:
        for argument in arguments:
            yield from places(argument, at)
    elif origin is Annotated:
        yield from places(arguments[0], at)
    elif origin is dict:
        key = "train" if "StageName" in str(arguments[0]) else "some"
        yield from places(arguments[1], (*at, key))
    elif origin is tuple:
        yield from places(arguments[0], (*at, 0))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from places(field.annotation, (*at, name))


def written(value: Any, at: Place) -> Any:
    """Wrap a value in the lists and mappings that lead to its place."""
    for part in reversed(at):
        value = [value] if isinstance(part, int) else {part: value}
    return value


def with_value(at: Place, text: str) -> str:
    document: dict[str, Any] = yaml.safe_load(SIX_LINES)
    section = document.get(str(at[0]))
    if isinstance(section, dict) and len(at) > 1:
        inner = written("@", at[1:])
        document[str(at[0])] = {**section, **inner}
    elif isinstance(section, list) and len(at) > 2:
        document[str(at[0])] = [{**section[0], **written("@", at[2:])}]
    else:
        document.update(written("@", at))
    return yaml.safe_dump(document, width=10_000).replace("'@'", text)


EVERY_PLACE = sorted({at for at in places() if "params" not in at and "options" not in at}, key=str)


def test_the_places_are_those_of_the_declaration() -> None:
    assert ("train", "search", "some", "low") in EVERY_PLACE
    assert ("checks", "references", 0, "file") in EVERY_PLACE
    assert ("stages", "train", "memory") in EVERY_PLACE
    assert len(EVERY_PLACE) > 150


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_no_field_answers_a_wrong_value_in_the_words_of_pydantic(text: str) -> None:
    leaks = []
    for at in EVERY_PLACE:
        try:
            parse_spec(with_value(at, text), Path("model.yaml"))
        except SpecProblem as problem:
            if LEAKS.search(str(problem)) or not problem.line or "\n" in str(problem):
                leaks.append(f"{at}: {problem}")
    assert leaks == []


@pytest.mark.parametrize("at", EVERY_PLACE, ids=lambda at: ".".join(map(str, at)))
def test_every_field_refuses_something(at: Place) -> None:
    assert problem_of(with_value(at, "[[[1]]]"))


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("{metric: mae, ceiling: -3}", "gates[0]: ceiling -3 can never be passed: mae is at least 0"),
        ("{metric: mae, ceiling: 0}", "gates[0]: ceiling 0 could be passed by a perfect model only"),
        ("{metric: r2, floor: 2}", "gates[0]: floor 2 can never be passed: r2 is at most 1"),
        ("{metric: mae, floor: -1}", "gates[0]: floor -1 asks nothing: mae is at least 0"),
    ],
)
def test_a_bound_outside_of_what_its_metric_can_be_is_refused(gate: str, says: str) -> None:
    assert says in told(f"gates: [{gate}]")


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ({"metric": "roc_auc", "floor": 75}, "can never be passed: roc_auc is 0 to 1"),
        ({"metric": "roc_auc", "ceiling": 75}, "asks nothing: roc_auc is 0 to 1"),
        ({"metric": "roc_auc", "floor": -0.1}, "asks nothing"),
        ({"metric": "f1", "floor": 1}, "a perfect model only"),
        ({"metric": "brier", "min_gain": 1}, "can never be passed"),
        ({"metric": "size_mb", "ceiling": -1}, "can never be passed"),
        ({"metric": "size_mb", "ceiling": 0}, "can never be passed: size_mb is more than 0; ask for less"),
        ({"metric": "latency_p95_ms", "ceiling": 0}, "can never be passed: latency_p95_ms is more than 0"),
        ({"metric": "churn_share", "ceiling": 1.5}, "asks nothing"),
    ],
)
def test_shares_and_sizes_have_bounds_too(gate: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Gate.model_validate(gate)


def test_more_rows_than_the_evaluation_ever_compares_are_refused() -> None:
    gates = "gates: [{metric: mae, min_rows: 2000}]\nevaluate: {max_rows: %d}"
    says = "gates[0].min_rows: 2,000 can never be reached, as evaluate.max_rows thins the holdout to 1,999"
    assert says in told(gates % 1999)
    kept = [line for line in SIX_LINES.splitlines() if not line.startswith("gates:")]
    assert parse_spec("\n".join([*kept, gates % 2000]), Path("model.yaml")).gates[0].min_rows == 2000


WORST_AND_BEST = [
    (metric.name, name, bound)
    for metric in METRICS.values()
    for name, bound in (("floor", metric.lowest), ("ceiling", metric.highest))
    if bound is not None
]


@pytest.mark.parametrize(("metric", "name", "bound"), WORST_AND_BEST, ids=str)
def test_a_bound_that_every_value_meets_is_refused(metric: str, name: str, bound: float) -> None:
    says = f"{name} {bound:g} asks nothing: {metric} is .*; ask for more, or remove it"
    with pytest.raises(ValueError, match=says):
        Gate.model_validate({"metric": metric, name: bound})


@pytest.mark.parametrize(
    "gate",
    [
        {"metric": "churn_share", "ceiling": 0},
        {"metric": "r2", "floor": -2},
        {"metric": "value", "floor": -5, "ceiling": 900},
        {"metric": "log_loss", "ceiling": 7, "min_gain": 3},
        {"metric": "negative_flip_share", "ceiling": 0},
        {"metric": "accuracy", "floor": 0.001},
        {"metric": "mae", "floor": 0.001, "ceiling": 0.002},
    ],
)
def test_a_bound_that_can_be_passed_and_missed_is_accepted(gate: dict[str, Any]) -> None:
    assert Gate.model_validate(gate).metric == gate["metric"]


NO_TIME = (
    "data: {source: x.csv, target: y, time: t, window: 0d}",
    "split: {holdout: 0d}",
    "split: {validation: 0h}",
    "checks: {max_age: 0s}",
    "evaluate: {block: 0s}",
    "retrain: {timeout: 0s}",
    "retrain: {max_age: 0s}",
    "runtime: {timeout: 0s}",
    "stages: {train: {timeout: 0s}}",
    "serving: {keep_log: 0d}",
    "shadow: {deadline: 0d}",
    "guard: {probation: 0d}",
    "canary: {step_deadline: 0d}",
    "monitor: {window: 0d}",
)


@pytest.mark.parametrize("section", NO_TIME)
def test_what_lasts_no_time_at_all_is_refused(section: str) -> None:
    assert "must be longer than nothing; write for example 45s, 90m, 12h or 30d" in told(section)


@pytest.mark.parametrize(
    "section", ["runtime: {memory: 1m}", "stages: {train: {memory: 64m}}", "serving: {memory: 6m}"]
)
def test_memory_in_which_no_stage_starts_is_refused(section: str) -> None:
    assert "does not even hold the libraries; write 128m at least" in told(section)


@pytest.mark.parametrize("code", ["/etc/x.py:f", "prep.py", "../prep.py:f", "prep.txt:f"])
@pytest.mark.parametrize("field", ["data.prepare", "train.trainer"])
def test_code_is_named_by_file_and_function_in_the_models_folder(field: str, code: str) -> None:
    section, name = field.split(".")
    read = "source: x.csv, target: y, time: t, " if section == "data" else ""
    problem = told(f"{section}: {{{read}{name}: '{code}'}}")
    assert f"{field}: " in problem
    assert "write file.py:function" in problem or "climbs out" in problem


@pytest.mark.parametrize(
    ("searched", "says"),
    [
        ("{low: 5, high: 1}", "train.search.alpha: low 5 and high 1 make no range; low must lie below high"),
        ("{low: 5.5, high: 1}", "train.search.alpha: low 5.5 and high 1 make no range; low must lie below high"),
        ("{low: 0, high: 1, log: true}", "train.search.alpha: low 0 must be above 0 where log is true"),
        ("{lo: 1, high: 2}", "train.search.alpha.lo: unknown field; did you mean 'low'?"),
        ("{choice: [1, 2]}", "train.search.alpha.choice: unknown field; did you mean 'choices'?"),
        ("{min: 1, max: 2}", "train.search.alpha.min: unknown field; known: choices, high, log, low, step"),
        (
            "{low: 0.1, high: 1, step: 0.1}",
            "train.search.alpha: step is for whole numbers, and low 0.1 is none; remove step",
        ),
        ("{low: 1, high: 9, step: 2, log: true}", "step is for whole numbers and log for real ones"),
        ("{low: 1, choices: [1]}", "choices and low do not go together"),
        ("{choices: []}", "train.search.alpha.choices: must hold 1 entry at least"),
        (
            "{choices: [[1]]}",
            "train.search.alpha.choices[0]: must be text, a whole number, a number or true or false, not a list",
        ),
        ("{low: a, high: 1}", "train.search.alpha.low: must be a whole number, not 'a'"),
        ("{low: 1}", "train.search.alpha.high: is required"),
        ("3", "train.search.alpha: 3 is not a range; write {low: 1, high: 9} or {choices: [a, b]}"),
        ("[1, 2]", "train.search.alpha: a list is not a range; write {low: 1, high: 9}"),
        ("{}", "train.search.alpha: nothing is not a range"),
    ],
)
def test_a_range_that_cannot_be_searched_says_why(searched: str, says: str) -> None:
    problem = told(f"train: {{search: {{alpha: {searched}}}}}")
    assert says in problem
    if "min: 1" not in searched and "lo: 1" not in searched and "choice:" not in searched:
        assert "more problem" not in problem


@pytest.mark.parametrize(
    ("searched", "kind"),
    [
        ({"low": 1, "high": 9}, IntRange),
        ({"low": 1, "high": 9, "step": 2}, IntRange),
        ({"low": 1, "high": 9.5}, FloatRange),
        ({"low": 1, "high": 9, "log": True}, FloatRange),
        ({"choices": [1, "a", None]}, Choice),
    ],
)
def test_its_keys_say_what_a_range_searches_and_a_run_reads_back_the_same(searched: Any, kind: type) -> None:
    train = TrainSpec.model_validate({"search": {"alpha": searched}})
    assert isinstance(train.search["alpha"], kind)
    assert TrainSpec.model_validate_json(train.model_dump_json()) == train


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("stages: {trian: {memory: 1g}}", "stages.trian: 'trian' is unknown; did you mean 'trial'?"),
        ("stages: {train: {memry: 1g}}", "stages.train.memry: unknown field; did you mean 'memory'?"),
        ("gates: []", "gates: must hold 1 entry at least"),
        ("model: M1", "model: 'M1' cannot name a model; write up to 63 lower case letters, digits and underscores"),
        ("serving: {target: foo}", "serving.target: 'foo' does not name a class; write package.module:Class"),
        ("owner: 3", "owner: must be text, not 3; put it in quotes"),
        ("owner: yes", "owner: must be text, not true; put it in quotes"),
        ("owner: ''", "owner: is empty; write a text"),
        ("tags: nightly", "tags: must be a list, not 'nightly'; write [nightly]"),
        ("train:", "train: is empty; write a section of fields (name: value)"),
        ("train: {budget: 2.5}", "train.budget: must be a whole number, not 2.5"),
        ("train: {budget: 0}", "train.budget: must be at least 1, not 0"),
        ("train: {params: {day: 2026-01-31}}", "train.params.day: must be text, a number, true, false, a list or"),
        ("alerts: {kinds: [drft]}", "alerts.kinds[0]: 'drft' is unknown; did you mean 'drift'?"),
        ("checks: {columns: {5: {unique: true}}}", "checks.columns.5: a name must be text; put it in quotes"),
        ("checks: {columns: {type: {typ: text}}}", "checks.columns.type.typ: unknown field; did you mean 'type'?"),
        ("checks: {references: [{}]}", "checks.references[0].column: is required (2 more problems after this one)"),
    ],
)
def test_a_wrong_value_is_told_with_what_would_be_right(section: str, says: str) -> None:
    assert says in told(section)
