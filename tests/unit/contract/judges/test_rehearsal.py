"""What live traffic decides between two versions, and what it leaves open."""

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.contract.live.rehearsal_reports import MB, NOON, answer, gates, guard, losses, report, tally
from understudy.contract.declaration.serving import GuardSpec, ShadowSpec
from understudy.contract.judgement import Lack
from understudy.contract.judges.rehearsal import judge_probation, judge_rehearsal
from understudy.contract.live.rehearsal import merged
from understudy.contract.serving import LossBlock, Tally
from understudy.contract.words import Lacking, MirrorLoss, Verdict

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE


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


def test_labels_that_could_never_decide_are_not_waited_for() -> None:
    with pytest.raises(ValueError, match="deadline 2d holds fewer than 5 blocks of 1d, so labels could never decide"):
        ShadowSpec.model_validate({"min_labels": 10, "deadline": "2d"})
    with pytest.raises(ValueError, match="probation 1d holds fewer than 5 blocks of 6h"):
        GuardSpec.model_validate({"min_labels": 10, "block": "6h"})
    assert GuardSpec.model_validate({"min_labels": 10, "block": "4h"}).min_labels == 10


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
