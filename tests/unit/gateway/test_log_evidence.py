import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway.log_evidence import NOON, says
from understudy.contract.serving import LATENCY_EDGES_MS, RehearsalQuery, RehearsalReport
from understudy.contract.words import MirrorLoss, MlTask, Role
from understudy.gateway.exchange import LogRow
from understudy.gateway.log import apart
from understudy.gateway.log.apart import ReadingFailed
from understudy.gateway.log.compact import compact, compact_apart
from understudy.gateway.log.encode import Encoder
from understudy.gateway.log.evidence import measure, measured
from understudy.gateway.log.labels import Label, label_lines
from understudy.gateway.log.segment import Segment

QUERY = RehearsalQuery(champion_version=1, mirror_version=2, since=NOON, block_s=3600)


def report(
    folder: Path, rows: list[LogRow], labels: dict[str, list[Any]] | None = None, task: MlTask = MlTask.BINARY
) -> RehearsalReport:
    segment, encoder = Segment(folder / "segments", NOON), Encoder(())
    for row in rows:
        segment.write(encoder.line(row))
    segment.close()
    if labels:
        segment = Segment(folder / "labels", NOON)
        found = [
            Label(name, None, row, value, 1) for name, values in labels.items() for row, value in enumerate(values)
        ]
        segment.write(label_lines(found))
        segment.close()
    fresh = measured(folder, "g", "m", task, QUERY, {1: 100, 2: 200})
    compact(folder)
    later = measured(folder, "g", "m", task, QUERY, {1: 100, 2: 200})
    assert later.model_copy(update={"until": fresh.until}) == fresh, "compaction changed the evidence"
    return fresh


def test_pairs_are_requests_that_both_versions_answered(tmp_path: Path) -> None:
    found = report(
        tmp_path,
        [
            says(1, "a", ["up", "down"]),
            says(2, "a", ["up", "up"]),
            says(1, "b", ["up"], role=Role.STANDBY),
            says(2, "b", ["up"]),
            says(1, "not sampled", ["up"]),
            says(1, "probe", ["up"], role=Role.PROBE),
            says(1, "other", ["up"]),
            says(3, "other", ["up"], role=Role.SHADOW),
            says(1, "before", ["up"], at=NOON - timedelta(hours=1)),
            says(2, "before", ["up"], at=NOON - timedelta(hours=1)),
        ],
    )
    assert (found.pairs, found.rows, found.agreeing_rows) == (2, 3, 2)
    assert (found.champion.requests, found.mirror.requests) == (4, 2)
    assert found.unpaired == {}
    assert (found.champion.rss_bytes, found.mirror.rss_bytes) == (100, 200)
    assert (found.gateways, found.champion_version, found.mirror_version) == (("g",), 1, 2)


def test_every_copy_without_an_answer_has_its_reason(tmp_path: Path) -> None:
    losses = [MirrorLoss.QUEUE_FULL, MirrorLoss.QUEUE_FULL, MirrorLoss.DOWN, MirrorLoss.TIMEOUT]
    rows = [says(1, f"r{at}", ["up"]) for at in range(8)]
    rows += [says(2, f"r{at}", loss=loss) for at, loss in enumerate(losses)]
    rows += [
        says(2, "r4", status=500, loss=MirrorLoss.FAILED),
        says(2, "r5", status=400),  # what the champion answers, the mirror refuses
        says(2, "r6", ["up", "up"]),  # a wrong number of rows
        says(2, "r7", [None]),
    ]
    found = report(tmp_path, rows)
    assert found.unpaired == {
        MirrorLoss.QUEUE_FULL: 2,
        MirrorLoss.DOWN: 1,
        MirrorLoss.TIMEOUT: 1,
        MirrorLoss.FAILED: 4,
    }
    assert (found.pairs, found.mirror.requests, found.mirror.errors, found.champion.errors) == (0, 4, 4, 0)


def test_what_both_refuse_is_the_callers_mistake_and_what_one_refuses_is_its_own(tmp_path: Path) -> None:
    found = report(
        tmp_path,
        [
            says(1, "bad", status=400),
            says(2, "bad", status=400, loss=MirrorLoss.FAILED),
            says(1, "champion refuses", status=422),
            says(2, "champion refuses", ["up"]),
            says(1, "champion breaks", status=500),
            says(2, "champion breaks", ["up"]),
            says(1, "both break", status=500),
            says(2, "both break", status=500),
        ],
    )
    assert (found.champion.errors, found.mirror.errors) == (3, 1)
    assert found.unpaired == {MirrorLoss.FAILED: 1}
    assert found.pairs == 0


def test_only_requests_that_both_scored_among_equally_many_are_timed(tmp_path: Path) -> None:
    """One costs less in a larger batch, so that a slow version would look fast."""
    rows = [says(1, name, ["up"], batch=3) for name in ("alike", "larger", "alone")]
    rows += [says(2, "alike", ["up"], batch=3), says(2, "larger", ["up"], batch=64)]
    found = report(tmp_path, rows)
    assert (sum(found.champion.score_ms), sum(found.mirror.score_ms)) == (1, 1)
    assert (found.champion.requests, found.pairs) == (3, 2)


def test_latency_is_counted_by_upper_edges(tmp_path: Path) -> None:
    edge = LATENCY_EDGES_MS[0]
    times = [int(edge * 1000), int(edge * 1000) + 1, 10**9]
    rows = [says(1, f"r{at}", ["up"], score_us=score_us) for at, score_us in enumerate(times)]
    found = report(tmp_path, [*rows, *(says(2, f"r{at}", ["up"]) for at in range(3))])
    assert (found.champion.score_ms[0], found.champion.score_ms[1], found.champion.score_ms[-1]) == (1, 1, 1)
    assert (len(found.champion.score_ms), sum(found.champion.score_ms)) == (len(LATENCY_EDGES_MS) + 1, 3)


def test_scores_are_counted_over_fixed_edges(tmp_path: Path) -> None:
    found = report(
        tmp_path,
        [
            says(1, "a", ["no", "yes"], [[0.98, 0.02], [0.4, 0.6]]),
            says(2, "a", ["no", "no"], [[0.95, 0.05], [0.96, 0.04]]),
        ],
    )
    assert found.score_edges[0] == 0.05
    assert len(found.champion_scores) == 20
    assert (found.champion_scores[0], sum(found.champion_scores)) == (1, 2)
    assert (found.mirror_scores[0], sum(found.mirror_scores)) == (2, 2)


def test_numbers_agree_within_one_percent_and_lose_their_absolute_error(tmp_path: Path) -> None:
    found = report(
        tmp_path,
        [
            says(1, "a", [100.0, 100.0, 0.0, -5]),
            says(2, "a", [100.9, 102.0, 0.0, 5]),
        ],
        {"a": [101, 101, 1]},
        MlTask.REGRESSION,
    )
    assert (found.rows, found.agreeing_rows) == (4, 2)
    (block,) = found.blocks
    assert (block.start, block.rows) == (NOON, 3)
    assert block.champion_loss == pytest.approx(3.0)
    assert block.mirror_loss == pytest.approx(2.1)
    assert len(found.champion_scores) == len(found.score_edges) + 1
    assert list(found.score_edges) == sorted(set(found.score_edges))
    assert sum(found.champion_scores) == sum(found.mirror_scores) == 4


@pytest.mark.parametrize("classes", [None, ["down", "up"]])
def test_classes_lose_their_brier_score_where_there_are_probabilities(
    tmp_path: Path, classes: list[str] | None
) -> None:
    later = NOON + timedelta(minutes=90)
    found = report(
        tmp_path,
        [
            says(1, "a", ["up"], [[0.2, 0.8]], classes=classes),
            says(2, "a", ["down"], [[0.7, 0.3]], classes=classes),
            says(1, "b", ["down"], [[0.6, 0.4]], at=later, classes=classes),
            says(2, "b", ["down"], [[1.0, 0.0]], at=later, classes=classes),
            says(1, "no label", ["up"], [[0.2, 0.8]], classes=classes),
            says(2, "no label", ["up"], [[0.2, 0.8]], classes=classes),
        ],
        {"a": ["up"], "b": ["down"]},
    )
    first, second = found.blocks
    assert (first.start, second.start, first.rows, second.rows) == (NOON, NOON + timedelta(hours=1), 1, 1)
    assert first.champion_loss == pytest.approx(2 * 0.2**2)
    assert first.mirror_loss == pytest.approx(2 * 0.7**2)
    assert second.champion_loss == pytest.approx(2 * 0.4**2)
    assert second.mirror_loss == pytest.approx(0.0)


def test_a_class_that_the_version_never_saw_costs_it_all(tmp_path: Path) -> None:
    found = report(
        tmp_path,
        [
            says(1, "a", ["b"], [[0.0, 1.0]], classes=["a", "b"]),
            says(2, "a", ["b"], [[0.0, 0.9, 0.1]], classes=["a", "b", "new"]),
        ],
        {"a": ["new"]},
        MlTask.MULTICLASS,
    )
    (block,) = found.blocks
    assert block.champion_loss == pytest.approx(2.0)
    assert block.mirror_loss == pytest.approx(0.81 + 0.81)


@pytest.mark.parametrize(
    ("predictions", "label"), [([True, False], True), ([1, 0], 1.0), (["1", "0"], 1), ([1.0, 0.0], True)]
)
def test_classes_without_probabilities_are_right_or_wrong_however_they_are_written(
    tmp_path: Path, predictions: list[Any], label: Any
) -> None:
    found = report(
        tmp_path,
        [says(1, "a", predictions), says(2, "a", list(reversed(predictions)))],
        {"a": [label, label]},
    )
    (block,) = found.blocks
    assert (block.rows, block.champion_loss, block.mirror_loss) == (2, 1.0, 1.0)


def test_a_log_that_holds_nothing_is_a_report_of_nothing(tmp_path: Path) -> None:
    found = measured(tmp_path, "g", "m", MlTask.BINARY, QUERY, {})
    assert (found.pairs, found.rows, found.blocks, found.champion.requests, found.unpaired) == (0, 0, (), 0, {})


def test_a_log_that_cannot_be_read_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "x.json").write_text("{")

    async def story() -> None:
        try:
            with pytest.raises(ReadingFailed, match=r"^.*x.json is damaged.*Restore it from a backup"):
                await measure(tmp_path, "g", "m", MlTask.BINARY, QUERY, {})
        finally:
            apart.POOL.drop(apart.POOL.get())

    asyncio.run(story())


def test_the_gateway_compacts_beside_itself(tmp_path: Path) -> None:
    async def story() -> None:
        try:
            assert (await compact_apart(tmp_path)).segments == 0
        finally:
            apart.POOL.drop(apart.POOL.get())

    asyncio.run(story())


def test_the_evidence_survives_the_death_of_the_process_that_gathers_it(tmp_path: Path) -> None:
    async def story() -> None:
        first = await measure(tmp_path, "g", "m", MlTask.BINARY, QUERY, {})
        pool = apart.POOL.get()
        for pid in list(pool._processes):
            os.kill(pid, signal.SIGKILL)
        second = await measure(tmp_path, "g", "m", MlTask.BINARY, QUERY, {})
        assert first.pairs == second.pairs == 0
        apart.POOL.drop(apart.POOL.get())

    asyncio.run(story())
