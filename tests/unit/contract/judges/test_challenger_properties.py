"""What holds of every report: nothing unusable passes, and the order of gates is irrelevant."""

import math
import random
from collections import Counter
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.contract.judges.evaluation_reports import EVALUATE, UNUSABLE, comparison, report, slice_of
from understudy.contract.declaration.gates import Gate
from understudy.contract.declaration.train import EvaluateSpec
from understudy.contract.judges.challenger import judge
from understudy.contract.reports import Comparison, EvaluationReport, SliceComparison
from understudy.contract.words import Verdict

NO: list[dict[str, object]] = [
    {"challenger": 0.3},
    {"gain_low": -0.1},
    {"gain": -0.2, "gain_low": -0.3, "gain_high": -0.1},
]
NOTHING_USABLE: list[dict[str, object]] = [
    {field: value} for field in ("challenger", "other", "gain", "gain_low", "gain_high") for value in UNUSABLE
]
TOO_LITTLE: list[dict[str, object]] = [{"rows": 1}, {"rows": 199}, {"blocks": 1}, {"blocks": 7}]
CONTRADICTORY: list[dict[str, object]] = [
    {"rows": 0},
    {"rows": -5},
    {"rows": 6000},
    {"blocks": 0},
    {"blocks": 5001},
    {"challenger": 1.7},
    {"other": -0.2},
    {"gain_low": 0.08, "gain_high": 0.02},
    {"gain": 0.5},
    {"gain": -0.5, "gain_low": 0.03},
]
GATES = [
    Gate(metric="roc_auc", floor=0.5),
    Gate(metric="log_loss", ceiling=0.7, min_gain=0.0),
    Gate(metric="size_mb", ceiling=10),
    Gate(metric="churn_share", ceiling=0.3),
]
numbers = st.one_of(st.none(), st.floats(), st.floats(-2, 2))


@st.composite
def any_reports(draw: st.DrawFn) -> EvaluationReport:
    """Draw each number for itself; hardly one of these reports makes sense."""

    def drawn(metric: str) -> Comparison:
        return comparison(
            metric,
            **{k: draw(numbers) for k in ("challenger", "other", "gain", "gain_low", "gain_high")},
            rows=draw(st.integers(0, 5000)),
            blocks=draw(st.integers(0, 40)),
        )

    return report(
        comparisons=tuple(drawn(m) for m in draw(st.lists(st.sampled_from(["roc_auc", "log_loss"]), max_size=3))),
        references={n: drawn("roc_auc") for n in draw(st.lists(st.sampled_from(["dummy", "linear"]), unique=True))},
        measurements={
            n: draw(numbers) for n in draw(st.lists(st.sampled_from(["size_mb", "churn_share"]), unique=True))
        },
        champion_version=draw(st.sampled_from([None, 1])),
        leaked_rows=draw(st.sampled_from([0, 0, 3])),
    )


@st.composite
def passing_reports(draw: st.DrawFn) -> EvaluationReport:
    """Draw a report that passes GATES, with each number from within what passes."""
    has_champion = draw(st.booleans())

    def drawn(metric: str, challenger: st.SearchStrategy[float], has_other: bool = True) -> Comparison:
        low, gain, high = sorted(draw(st.tuples(*[st.floats(0.001, 0.4)] * 3)))
        against = {"other": draw(st.floats(0, 1)), "gain": gain, "gain_low": low, "gain_high": high}
        return comparison(
            metric,
            **(against if has_other else dict.fromkeys(against)),
            challenger=draw(challenger),
            rows=draw(st.integers(max(gate.min_rows for gate in GATES), 5000)),
            blocks=draw(st.integers(8, 40)),
        )

    return report(
        comparisons=(
            drawn("roc_auc", st.floats(0.5, 1), has_champion),
            drawn("log_loss", st.floats(0, 0.7), has_champion),
        ),
        references={name: drawn("roc_auc", st.floats(0.5, 1)) for name in ("dummy", "linear")},
        measurements={
            "size_mb": draw(st.floats(0.001, 10)),
            **({"churn_share": draw(st.floats(0, 0.3))} if has_champion else {}),
        },
        champion_version=1 if has_champion else None,
    )


@st.composite
def broken_reports(draw: st.DrawFn) -> EvaluationReport:
    """Draw a report that passes, then break one to three of its fields."""
    passing = draw(passing_reports())
    facts = passing.model_dump()
    compared, known, measured = facts["comparisons"], facts["references"], facts["measurements"]
    breaks: list[tuple[list[Any], list[dict[str, Any]]]] = [
        ([*compared, *known.values()], changes) for changes in (NO, NOTHING_USABLE, TOO_LITTLE, CONTRADICTORY)
    ]
    breaks += [([measured], [{name: value} for name in measured for value in (*UNUSABLE, -1.0, 0.9, 11.0)])]
    breaks += [([known], [{name: None} for name in known])]
    breaks += [([facts], [{"leaked_rows": 3}])]
    breaks += [([facts], [{"comparisons": found} for found in (compared[:1], compared[1:], compared * 2)])]
    # Mostly one: a second break would hide that the first one alone passes.
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        holders, changes = breaks[draw(st.integers(0, len(breaks) - 1))]
        holders[draw(st.integers(0, len(holders) - 1))].update(draw(st.sampled_from(changes)))
    facts["references"] = {name: found for name, found in known.items() if found is not None}
    return EvaluationReport.model_validate(facts)


def reports() -> st.SearchStrategy[EvaluationReport]:
    return st.one_of(passing_reports(), any_reports(), *[broken_reports()] * 4)


@given(passing_reports())
def test_a_report_with_every_number_within_its_bounds_passes(drawn: EvaluationReport) -> None:
    judgement = judge(drawn, GATES, EVALUATE)
    assert judgement.verdict is Verdict.PASSED, judgement.sentence


def test_what_is_drawn_reaches_every_verdict() -> None:
    """Hold that the properties below are about something: they say nothing where nothing passes."""
    seen: Counter[Verdict] = Counter()

    @settings(derandomize=True, database=None, max_examples=200, deadline=None)
    @given(reports())
    def count(drawn: EvaluationReport) -> None:
        seen[judge(drawn, GATES, EVALUATE).verdict] += 1

    count()
    assert min(seen[verdict] for verdict in (Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED)) >= 5, seen


@settings(max_examples=1000)
@given(reports())
def test_nothing_passes_on_a_missing_or_unusable_number(drawn: EvaluationReport) -> None:
    judgement = judge(drawn, GATES, EVALUATE)
    assert len(judgement.digest()) == 64
    if judgement.verdict is not Verdict.PASSED:
        return
    known, compared = drawn.references, drawn.comparisons
    assert set(known) == {"dummy", "linear"}
    needed = [c.challenger for c in compared] + [drawn.measurements["size_mb"]]
    needed += [known["dummy"].gain, known["dummy"].gain_low, known["linear"].gain]
    if drawn.champion_version is not None:
        needed += [n for c in compared for n in (c.other, c.gain, c.gain_low, c.gain_high)]
        needed += [drawn.measurements["churn_share"]]
        assert min(c.blocks for c in compared) >= 8
    assert all(n is not None and math.isfinite(n) for n in needed)
    assert (known["dummy"].gain_low or 0.0) > 0
    assert sorted(c.metric for c in compared) == ["log_loss", "roc_auc"]
    assert min(c.rows for c in compared) >= 200
    for c in (*compared, *known.values()):
        assert_makes_sense(c)
    assert drawn.leaked_rows == 0


def assert_makes_sense(c: Comparison) -> None:
    """Hold what is known of a comparison against itself; what decides nothing may be missing."""
    challenger, other, low, gain, high = (
        n if n is not None and math.isfinite(n) else None
        for n in (c.challenger, c.other, c.gain_low, c.gain, c.gain_high)
    )
    assert 0 < c.rows <= 5000
    assert c.blocks > 0 or (low, gain, high) == (None, None, None)
    for value in (challenger, other):
        assert value is None or value >= -1e-6
        assert value is None or c.metric != "roc_auc" or value <= 1 + 1e-6
    ordered = [n for n in (low, gain, high) if n is not None]
    assert all(one <= following + 1e-5 for one, following in pairwise(ordered))


@given(reports(), st.randoms(use_true_random=False))
def test_the_order_of_gates_is_irrelevant(drawn: EvaluationReport, chance: random.Random) -> None:
    shuffled = list(GATES)
    chance.shuffle(shuffled)
    ours, theirs = judge(drawn, GATES, EVALUATE), judge(drawn, shuffled, EVALUATE)
    assert ours.verdict is theirs.verdict
    assert sorted(r.model_dump_json() for r in ours.results) == sorted(r.model_dump_json() for r in theirs.results)


@given(st.sampled_from(CONTRADICTORY), st.sampled_from(["comparisons", "references", "slices"]), st.booleans())
def test_a_report_that_contradicts_itself_never_passes(wrong: dict[str, object], place: str, is_first: bool) -> None:
    gates, evaluate = [Gate(metric="roc_auc", min_rows=1)], EvaluateSpec(slices=("region",))
    broken = comparison("roc_auc", **wrong)
    sound: dict[str, object] = {"slices": (slice_of("north", 0.9),), "champion_version": None if is_first else 1}
    changes: dict[str, object] = {
        "comparisons": (broken,),
        "references": {"dummy": broken, "linear": comparison()},
        "slices": (SliceComparison(column="region", value="north", judged=True, p_harm=0.9, comparison=broken),),
    }
    assert judge(report(**sound), gates, evaluate).verdict is Verdict.PASSED
    told = judge(report(**{**sound, place: changes[place]}), gates, evaluate)
    assert (told.verdict, told.rubber_stamped) == (Verdict.INCONCLUSIVE, is_first)
    assert [r.gate for r in told.results if r.gate.endswith(".consistent")]
