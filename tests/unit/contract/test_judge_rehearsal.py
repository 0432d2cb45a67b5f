"""What live traffic decides between two versions, and what it leaves open."""

import math
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.contract.histograms import p95_ms, population_stability_index
from understudy.contract.judge_rehearsal import judge_probation, judge_rehearsal
from understudy.contract.judgement import Judgement, Lack
from understudy.contract.rehearsal import merged
from understudy.contract.serving import LATENCY_EDGES_MS, LossBlock, RehearsalReport, Tally
from understudy.contract.serving_spec import GuardSpec, ShadowSpec
from understudy.contract.words import Lacking, MirrorLoss, Verdict

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
MB = 1_000_000


def timed(ms: float, count: int) -> tuple[int, ...]:
    """Count answers that all took so long."""
    place = sum(edge < ms for edge in LATENCY_EDGES_MS)
    return tuple(count if index == place else 0 for index in range(len(LATENCY_EDGES_MS) + 1))


def tally(requests: int = 1000, errors: int = 0, ms: float = 2.0, rss: int | None = 200 * MB) -> Tally:
    return Tally(requests=requests, errors=errors, score_ms=timed(ms, requests - errors), rss_bytes=rss)


def losses(mirror: float, count: int = 12, rows: int = 50, champion: float = 0.2, wobble: float = 0.01) -> Any:
    """Give blocks of an hour whose losses waver a little around their mean."""
    return tuple(
        LossBlock(
            start=NOON + timedelta(hours=hour),
            rows=rows,
            champion_loss=rows * champion,
            mirror_loss=rows * (mirror + wobble * (-1) ** hour),
        )
        for hour in range(count)
    )


def report(**parts: Any) -> RehearsalReport:
    given = {
        "model": "price", "champion_version": 3, "mirror_version": 7, "gateways": ("a",),
        "since": NOON, "until": NOON + timedelta(days=2), "champion": tally(), "mirror": tally(),
        "pairs": 1000, "rows": 1000, "agreeing_rows": 990, "score_edges": (0.25, 0.5, 0.75),
        "champion_scores": (250, 250, 250, 250), "mirror_scores": (250, 250, 250, 250), "blocks": losses(0.2), **parts,
    }  # fmt: skip
    return RehearsalReport.model_validate(given)


def gates(**parts: Any) -> ShadowSpec:
    asked = {"block": "1h", "min_labels": 100, "min_agreement": 0.9, "max_score_shift": 0.2, "margin": 0.1, **parts}
    return ShadowSpec.model_validate(asked)


def answer(judgement: Judgement, gate: str) -> Any:
    return next(result for result in judgement.results if result.gate == gate)


def test_a_challenger_that_does_as_well_passes() -> None:
    judgement = judge_rehearsal(report(), gates())
    assert judgement.verdict is PASSED
    assert [result.gate for result in judgement.results] == [
        "requests", "errors", "latency", "memory", "agreement", "score_shift", "quality",
    ]  # fmt: skip
    assert answer(judgement, "requests").sentence == "version 7 was asked 1,000 requests"
    assert answer(judgement, "errors").sentence == "version 7 lost 0 of 1,000 requests (0.00%)"


@pytest.mark.parametrize(
    ("gate", "kept", "broken"),
    [
        (
            "errors",
            {"unpaired": {MirrorLoss.DOWN: 10}, "pairs": 990},
            {"unpaired": {MirrorLoss.DOWN: 11}, "pairs": 990},
        ),
        (
            "latency",
            {"mirror": tally(ms=20), "champion": tally(ms=20)},
            {"mirror": tally(ms=20), "champion": tally(ms=15)},
        ),
        ("memory", {"mirror": tally(rss=200 * MB)}, {"mirror": tally(rss=200 * MB + 1)}),
        ("agreement", {"agreeing_rows": 900}, {"agreeing_rows": 899}),
        ("agreement", {"agreeing_rows": 1000}, {"agreeing_rows": 0}),
    ],
    ids=["errors", "latency", "memory", "agreement", "agreement of all or none"],
)
def test_what_keeps_to_its_bound_exactly_passes(gate: str, kept: dict[str, Any], broken: dict[str, Any]) -> None:
    tight = gates(max_latency_ratio=1.0, max_memory_ratio=1.0)
    assert answer(judge_rehearsal(report(**kept), tight), gate).verdict is PASSED
    assert answer(judge_rehearsal(report(**broken), tight), gate).verdict is FAILED


@pytest.mark.parametrize(("needed", "verdict"), [(1000, PASSED), (1001, INCONCLUSIVE)])
def test_as_many_requests_as_were_asked_for_decide(needed: int, verdict: Verdict) -> None:
    judgement = judge_rehearsal(report(), gates(min_requests=needed))
    assert {one.gate: one.verdict for one in judgement.results if one.gate != "quality"} == dict.fromkeys(
        ("requests", "errors", "latency", "memory", "agreement", "score_shift"), verdict
    )


def test_what_is_not_asked_for_is_not_asked() -> None:
    judgement = judge_rehearsal(report(blocks=(), score_edges=(), rows=0, agreeing_rows=0), ShadowSpec())
    assert judgement.verdict is PASSED
    assert [result.gate for result in judgement.results] == ["requests", "errors", "latency", "memory"]


def test_without_a_report_nothing_is_known() -> None:
    assert judge_rehearsal(None, gates()).verdict is INCONCLUSIVE
    assert judge_probation(None, GuardSpec()).verdict is INCONCLUSIVE


@pytest.mark.parametrize(
    ("gate", "parts"),
    [
        ("errors", {"unpaired": {MirrorLoss.FAILED: 50}, "pairs": 950}),
        ("errors", {"unpaired": {MirrorLoss.QUEUE_FULL: 50}, "pairs": 950}),
        ("errors", {"unpaired": {MirrorLoss.TIMEOUT: 1000}, "pairs": 0, "mirror": tally(0)}),
        ("latency", {"mirror": tally(ms=20)}),
        ("latency", {"mirror": tally(ms=60_000)}),
        ("memory", {"mirror": tally(rss=900 * MB)}),
        ("agreement", {"agreeing_rows": 700}),
        ("score_shift", {"mirror_scores": (900, 50, 25, 25)}),
        ("quality", {"blocks": losses(0.4)}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_challenger_that_does_worse_fails_with_a_sentence(gate: str, parts: dict[str, Any]) -> None:
    judgement = judge_rehearsal(report(**parts), gates())
    assert judgement.verdict is FAILED
    assert answer(judgement, gate).verdict is FAILED
    assert answer(judgement, gate).sentence in judgement.sentence


def test_lost_copies_are_told_by_their_reason() -> None:
    judged = judge_rehearsal(report(unpaired={MirrorLoss.QUEUE_FULL: 30, MirrorLoss.DOWN: 20}, pairs=950), gates())
    assert "lost 50 of 1,000 requests (5.00%; down 20, queue full 30)" in answer(judged, "errors").sentence
    judged = judge_rehearsal(report(unpaired={MirrorLoss.QUEUE_FULL: 0, MirrorLoss.DOWN: 50}, pairs=950), gates())
    assert "(5.00%; down 50)" in answer(judged, "errors").sentence


def test_a_challenger_is_not_excused_by_a_champion_that_fails_as_often() -> None:
    told = report(champion=tally(errors=300), unpaired={MirrorLoss.FAILED: 300}, pairs=700)
    assert answer(judge_rehearsal(told, gates()), "errors").verdict is FAILED


def test_a_rough_start_decides_nothing() -> None:
    few = report(unpaired={MirrorLoss.FAILED: 20}, pairs=80, mirror=tally(100, 20, 900.0, 900 * MB), agreeing_rows=0)
    judgement = judge_rehearsal(few, gates(min_requests=200))
    assert judgement.verdict is INCONCLUSIVE
    assert "200 are needed, about 100 more" in answer(judgement, "requests").sentence
    assert answer(judgement, "requests").lack == Lack(of=Lacking.REQUESTS, so_far=100, more=100)
    assert answer(judge_rehearsal(few, gates(min_requests=100)), "requests").lack is None


@pytest.mark.parametrize(
    ("gate", "parts"),
    [
        ("latency", {"mirror": tally(ms=60_000), "champion": tally(ms=50_000)}),
        ("latency", {"mirror": tally(ms=60_000), "champion": tally(ms=40_000)}),
        ("latency", {"mirror": tally(ms=2), "champion": tally(ms=60_000)}),
        ("latency", {"champion": Tally(requests=1000)}),
        ("latency", {"champion": Tally(requests=1000, score_ms=(1000,), rss_bytes=200 * MB)}),
        ("latency", {"mirror": Tally(requests=1000, score_ms=(1000,), rss_bytes=200 * MB)}),
        ("memory", {"mirror": tally(rss=0)}),
        ("memory", {"mirror": tally(rss=None)}),
        ("memory", {"champion": tally(rss=0)}),
        ("agreement", {"rows": 0, "agreeing_rows": 0}),
        ("agreement", {"agreeing_rows": 2000}),
        ("score_shift", {"mirror_scores": ()}),
        ("score_shift", {"score_edges": ()}),
        ("quality", {"blocks": ()}),
        ("quality", {"blocks": losses(0.2, count=4)}),
        ("quality", {"blocks": losses(math.nan)}),
        ("quality", {"blocks": losses(-1.0)}),
        ("quality", {"blocks": losses(0.2, rows=9)}),
        ("quality", {"blocks": (*losses(0.2), LossBlock(start=NOON, rows=50, champion_loss=10, mirror_loss=-0.5))}),
        ("quality", {"blocks": losses(1.7e307, rows=10, champion=1.7e307, wobble=0.0)}),
        ("quality", {"blocks": (*losses(0.2), LossBlock(start=NOON, rows=-1, champion_loss=0, mirror_loss=0))}),
    ],
)
def test_what_is_missing_is_no_pass(gate: str, parts: dict[str, Any]) -> None:
    judgement = judge_rehearsal(report(**parts), gates(min_labels=1))
    assert judgement.verdict is INCONCLUSIVE
    assert answer(judgement, gate).verdict is INCONCLUSIVE


def test_too_few_labels_say_how_many_are_missing() -> None:
    judgement = judge_rehearsal(report(blocks=losses(0.2, rows=10)), gates(min_labels=500))
    assert answer(judgement, "quality").sentence == "120 labelled rows so far; needs about 380 more labels"
    assert answer(judgement, "quality").lack == Lack(of=Lacking.LABELS, so_far=120, more=380)


def test_wavering_losses_say_about_how_many_labels_would_tell() -> None:
    judged = answer(judge_rehearsal(report(blocks=losses(0.2, wobble=0.15)), gates()), "quality")
    assert judged.verdict is INCONCLUSIVE
    assert judged.low < 0.02 < judged.high
    assert (judged.lack.of, judged.lack.so_far) == (Lacking.LABELS, 600)
    assert f"needs about {judged.lack.more:,} more labels" in judged.sentence


@pytest.mark.parametrize(("told", "verdict"), [(0.8, INCONCLUSIVE), (1.2, PASSED)])
def test_about_as_many_labels_as_were_said_to_be_needed_decide(told: float, verdict: Verdict) -> None:
    judged = answer(judge_rehearsal(report(blocks=losses(0.2, wobble=0.04)), gates()), "quality")
    hours = 12 + round(told * judged.lack.more / 50)
    longer = report(blocks=losses(0.2, hours, wobble=0.04), until=NOON + timedelta(hours=hours))
    assert answer(judge_rehearsal(longer, gates()), "quality").verdict is verdict


def test_losses_that_lie_on_the_bound_are_told_to_be_undecidable() -> None:
    judged = answer(judge_rehearsal(report(blocks=losses(0.22)), gates()), "quality")
    assert (judged.verdict, judged.lack) == (INCONCLUSIVE, None)
    assert "no number of labels would tell, as it lies on the bound" in judged.sentence


def test_a_block_counts_when_it_is_over() -> None:
    unfinished = report(until=NOON + timedelta(hours=4, minutes=30))
    judged = answer(judge_rehearsal(unfinished, gates()), "quality")
    assert "4 finished blocks of 1h" in judged.sentence
    assert judged.lack == Lack(of=Lacking.BLOCKS, so_far=4, more=1)
    finished = report(until=NOON + timedelta(hours=5), blocks=losses(0.2, wobble=0.0))
    assert answer(judge_rehearsal(finished, gates()), "quality").verdict is PASSED


def test_reports_of_several_gateways_add_up_to_what_all_of_them_know() -> None:
    hours = losses(0.2, count=6)
    east = report(
        gateways=("east",), blocks=hours[:5], until=NOON + timedelta(hours=5), since=NOON,
        unpaired={MirrorLoss.DOWN: 3}, pairs=900, agreeing_rows=800,
    )  # fmt: skip
    west = report(
        gateways=("west",), blocks=hours[4:], until=NOON + timedelta(hours=6), since=NOON - timedelta(hours=1),
        unpaired={MirrorLoss.DOWN: 1, MirrorLoss.TIMEOUT: 2}, pairs=100, score_edges=(), champion_scores=(),
        mirror_scores=(),
    )  # fmt: skip
    for told in (merged([east, west]), merged([west, east])):
        assert told.unpaired == {MirrorLoss.DOWN: 4, MirrorLoss.TIMEOUT: 2}
        assert (told.pairs, told.rows, told.agreeing_rows, told.mirror.requests) == (1000, 2000, 1790, 2000)
        assert (told.since, told.until) == (west.since, east.until), "a block is over when it is over everywhere"
        assert [block.rows for block in told.blocks] == [50, 50, 50, 50, 100, 50]
        assert (told.score_edges, told.mirror_scores) == (east.score_edges, east.mirror_scores)
    assert merged([east]) == east


def test_a_block_without_labels_says_nothing() -> None:
    empty = LossBlock(start=NOON, rows=0, champion_loss=0, mirror_loss=0)
    judged = answer(judge_rehearsal(report(blocks=(empty, *losses(0.2))), gates()), "quality")
    assert judged == answer(judge_rehearsal(report(), gates()), "quality")


def test_two_versions_that_lose_nothing_at_all_do_as_well_as_one_another() -> None:
    faultless = report(blocks=losses(0.0, champion=0.0, wobble=0.0))
    assert answer(judge_rehearsal(faultless, gates()), "quality").verdict is PASSED


def test_identical_answers_pass_without_any_margin() -> None:
    assert judge_rehearsal(report(blocks=losses(0.2, wobble=0.0)), gates(margin=0.0)).verdict is PASSED


# Probation: the champion is the candidate, the one before mirrors.


def guard(**parts: Any) -> GuardSpec:
    return GuardSpec.model_validate({"block": "1h", "min_labels": 100, "margin": 0.1, **parts})


def test_a_new_champion_is_measured_by_the_one_before() -> None:
    for worse in ({"champion": tally(ms=20)}, {"champion": tally(rss=900 * MB)}, {"champion": tally(errors=50)}):
        assert judge_probation(report(**worse), guard()).verdict is FAILED
        assert judge_rehearsal(report(**worse), gates()).verdict is PASSED
    for better in ({"mirror": tally(ms=20)}, {"mirror": tally(rss=900 * MB)}):
        assert judge_probation(report(**better), guard()).verdict is PASSED


def test_losses_count_against_the_new_champion() -> None:
    assert judge_probation(report(blocks=losses(0.1)), guard()).verdict is FAILED
    assert judge_probation(report(blocks=losses(0.3)), guard()).verdict is PASSED


def test_what_the_one_before_fails_at_as_well_is_no_breach() -> None:
    bad_input = report(champion=tally(errors=300), mirror=tally(errors=300))
    judgement = judge_probation(bad_input, guard())
    assert judgement.verdict is INCONCLUSIVE
    assert "did no better" in judgement.sentence


def test_a_champion_that_answers_nobody_is_a_breach_though_nothing_could_be_compared() -> None:
    dead = report(champion=Tally(requests=1000, errors=1000), pairs=0, rows=0, agreeing_rows=0, blocks=())
    assert judge_probation(dead, guard()).verdict is FAILED


def test_copies_that_the_one_before_lost_do_not_count_against_the_champion() -> None:
    judgement = judge_probation(report(unpaired={MirrorLoss.QUEUE_FULL: 400}, pairs=600), guard())
    assert judgement.verdict is PASSED
    assert answer(judgement, "errors").sentence == "version 3 lost 0 of 1,000 requests (0.00%)"


@pytest.mark.parametrize("errors", [-1, 1001])
def test_an_impossible_number_of_errors_is_no_breach_and_no_pass(errors: int) -> None:
    champion = tally().model_copy(update={"errors": errors})
    judgement = judge_probation(report(champion=champion), guard())
    assert answer(judgement, "errors").sentence == "it is unknown how many requests were lost"
    assert judgement.verdict is INCONCLUSIVE


def test_labels_that_could_never_decide_are_not_waited_for() -> None:
    with pytest.raises(ValueError, match="deadline 2d holds fewer than 5 blocks of 1d, so labels could never decide"):
        ShadowSpec.model_validate({"min_labels": 10, "deadline": "2d"})
    with pytest.raises(ValueError, match="probation 1d holds fewer than 5 blocks of 6h"):
        GuardSpec.model_validate({"min_labels": 10, "block": "6h"})
    assert GuardSpec.model_validate({"min_labels": 10, "block": "4h"}).min_labels == 10


# Nothing missing ever passes.

NUMBERS = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.just(math.nan))
HOLES: list[dict[str, Any]] = [
    {"champion": Tally()}, {"mirror": Tally()}, {"pairs": 0}, {"rows": 0}, {"champion_scores": ()},
    {"mirror_scores": ()}, {"score_edges": ()}, {"blocks": ()}, {"champion": tally(rss=None)},
    {"mirror": tally(rss=None)}, {"agreeing_rows": 0}, {"mirror_scores": (0, 0, 0, 0)},
]  # fmt: skip


@given(st.lists(st.sampled_from(HOLES), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_no_report_with_a_hole_passes(holes: list[dict[str, Any]]) -> None:
    parts = {name: value for hole in holes for name, value in hole.items()}
    assert judge_rehearsal(report(**parts), gates()).verdict is not PASSED
    assert judge_probation(report(**parts), guard(min_agreement=0.9, max_score_shift=0.2)).verdict is not PASSED


@given(number=NUMBERS, place=st.integers(0, 11), is_mirror=st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_strange_loss_passes_unless_it_is_a_small_number(number: float, place: int, is_mirror: bool) -> None:
    blocks = list(losses(0.2))
    name = "mirror_loss" if is_mirror else "champion_loss"
    blocks[place] = blocks[place].model_copy(update={name: number})
    judgement = judge_rehearsal(report(blocks=tuple(blocks)), gates())
    assert judgement.verdict is not PASSED or 0 <= number < 1e3


def test_percentiles_lie_between_the_edges() -> None:
    took = p95_ms(timed(2.0, 100))
    assert took is not None
    assert 1.7 < took < 2.4
    assert p95_ms(timed(60_000, 100)) == LATENCY_EDGES_MS[-1]
    assert p95_ms(()) is None
    assert p95_ms(timed(2.0, 0)) is None


def test_the_stability_index_is_that_of_the_textbook() -> None:
    assert population_stability_index((100, 100), (100, 100)) == 0
    shifted = population_stability_index((5_000_000, 5_000_000), (4_000_000, 6_000_000))
    assert shifted == pytest.approx(0.1 * math.log(0.6 / 0.5) - 0.1 * math.log(0.4 / 0.5), rel=1e-4)
    assert population_stability_index((1, 2), (0, 0)) is None
    assert population_stability_index((1, 2), (1, 2, 3)) is None
