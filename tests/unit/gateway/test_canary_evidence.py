"""What the log says of a canary and its baseline, which answered different callers."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.unit.gateway.fake_processes import bundle
from understudy.contract.live.canary_report import CanaryQuery, CanaryReport
from understudy.contract.words import MirrorLoss, MlTask, Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log.canary_evidence import canary_measured
from understudy.gateway.log.compact import compact
from understudy.gateway.log.encode import Encoder
from understudy.gateway.log.labels import Label, label_lines
from understudy.gateway.log.segment import Segment

NOON = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)
QUERY = CanaryQuery(champion_version=1, canary_version=2, since=NOON, epoch=5, block_s=3600)
ITEM = Item(Wire.MLFLOW_JSON, b'{"inputs":{"x":[1.5]}}')
CANARY, BASELINE, CHAMPION = Role.CANARY, Role.BASELINE, Role.CHAMPION
BUNDLES = {CANARY: bundle(2), BASELINE: bundle(1), CHAMPION: bundle(1)}


def says(
    role: Role,
    name: str,
    predictions: list[Any] | None = None,
    probabilities: list[Any] | None = None,
    *,
    status: int = 200,
    loss: MirrorLoss | None = None,
    unit: str | None = None,
    epoch: int = 5,
    hours: int = 0,
    batch: int = 1,
    score_us: int = 250,
) -> LogRow:
    output = orjson.dumps({"predictions": predictions, "probabilities": probabilities}) if predictions else b""
    answer = None if loss and status == 200 else Answer(status, b"", len(predictions or ()), output, score_us, batch)
    ts_ns = int((NOON + timedelta(hours=hours)).timestamp()) * 10**9
    return LogRow(name, None, ts_ns, epoch, role, BUNDLES[role], ITEM, answer, loss, 1, 1, unit)


def report(
    folder: Path,
    rows: list[LogRow],
    labels: dict[str, list[Any]] | None = None,
    task: MlTask = MlTask.BINARY,
    query: CanaryQuery = QUERY,
) -> CanaryReport:
    segment, encoder = Segment(folder / "segments", NOON), Encoder(())
    for row in rows:
        segment.write(encoder.line(row))
    segment.close()
    segment = Segment(folder / "labels", NOON)
    found = [
        Label(name, None, row, value, 1) for name, values in (labels or {}).items() for row, value in enumerate(values)
    ]
    segment.write(label_lines(found))
    segment.close()
    rss = {CANARY: 100, BASELINE: 200}
    fresh = canary_measured(folder, "g", "m", task, query, rss)
    compact(folder)
    later = canary_measured(folder, "g", "m", task, query, rss)
    assert later.model_copy(update={"until": fresh.until}) == fresh, "compaction changed the evidence"
    return fresh


def test_each_side_counts_what_was_its_own_and_what_the_champion_had_to_answer(tmp_path: Path) -> None:
    found = report(
        tmp_path,
        [
            says(CANARY, "a", [1], [[0.2, 0.8]], unit="k1"),
            says(CANARY, "b", [0], [[0.9, 0.1]], unit="k1"),
            says(CANARY, "c", loss=MirrorLoss.DOWN, unit="k2"),
            says(CHAMPION, "c", [1], [[0.1, 0.9]]),
            says(CANARY, "d", status=500, loss=MirrorLoss.FAILED),
            says(CHAMPION, "d", [1], [[0.1, 0.9]]),
            says(CANARY, "e", status=400),
            says(CHAMPION, "e", status=400),
            says(CANARY, "f", [None], [[0.5, 0.5]]),
            says(BASELINE, "g", [1], [[0.4, 0.6]]),
            says(CHAMPION, "h", [1], [[0.4, 0.6]]),
            says(CANARY, "i", [1], [[0.4, 0.6]], epoch=4),
        ],
    )
    assert (found.canary.tally.requests, found.canary.tally.errors) == (6, 3)
    assert found.canary.lost == {MirrorLoss.DOWN: 1, MirrorLoss.FAILED: 2}
    assert (found.canary.squares, found.canary.loose) == (5.0, 3)
    assert (found.baseline.tally.requests, found.baseline.tally.errors, found.baseline.loose) == (1, 0, 1)
    assert (found.canary.tally.rss_bytes, found.baseline.tally.rss_bytes) == (100, 200)
    assert (sum(found.canary.scores), sum(found.baseline.scores)) == (3, 1)


def test_times_are_compared_of_requests_that_were_scored_among_equally_many(tmp_path: Path) -> None:
    rows = [says(CANARY, f"a{n}", [1], batch=1, score_us=1000) for n in range(5)]
    rows += [says(CANARY, f"b{n}", [1], batch=8, score_us=100) for n in range(8)]
    rows += [says(BASELINE, f"c{n}", [1], batch=1, score_us=1000) for n in range(3)]
    found = report(tmp_path, rows)
    assert found.canary.tally.score_ms == found.baseline.tally.score_ms
    assert sum(found.canary.tally.score_ms) == 3


def test_labelled_rows_count_by_block_since_the_canary_began_whatever_the_share_was(tmp_path: Path) -> None:
    found = report(
        tmp_path,
        [
            says(CANARY, "a", [1, 0], [[0.2, 0.8], [0.6, 0.4]], epoch=3),
            says(BASELINE, "b", [1], [[0.5, 0.5]]),
            says(CANARY, "c", [1], [[0.0, 1.0]], hours=2),
            says(CANARY, "d", [1], [[0.0, 1.0]], hours=2),
            says(CHAMPION, "e", [1], [[0.0, 1.0]]),
            says(CANARY, "f", status=500, loss=MirrorLoss.FAILED),
        ],
        {"a": [1, 1], "b": [1], "c": [0], "e": [1], "f": [1]},
    )
    first, second = found.blocks
    assert (first.start, first.canary.rows, first.baseline.rows) == (NOON, 2, 1)
    assert first.canary.loss == pytest.approx(0.08 + 0.72)
    assert first.baseline.loss == pytest.approx(0.5)
    assert (second.start, second.canary.rows, second.baseline.rows) == (NOON + timedelta(hours=2), 1, 0)
    assert second.canary.loss == pytest.approx(2.0)


def test_without_probabilities_on_one_side_both_are_counted_right_or_wrong(tmp_path: Path) -> None:
    found = report(
        tmp_path,
        [says(CANARY, "a", ["up"], [[0.2, 0.8]]), says(BASELINE, "b", ["up"])],
        {"a": ["up"], "b": ["down"]},
    )
    assert [(block.canary.loss, block.baseline.loss) for block in found.blocks] == [(0.0, 1.0)]


def test_numbers_lose_by_their_distance_and_unusable_labels_say_nothing(tmp_path: Path) -> None:
    rows = [says(CANARY, "a", [10.0, 12.0]), says(BASELINE, "b", [5.0])]
    found = report(tmp_path, rows, {"a": [11.5, "?"], "b": [7.0]}, MlTask.REGRESSION)
    block = found.blocks[0]
    assert (block.canary.rows, block.canary.loss, block.baseline.loss) == (1, 1.5, 2.0)
    assert found.canary.scores


def test_a_declared_value_is_summed_and_what_it_does_not_say_is_not_guessed(tmp_path: Path) -> None:
    query = QUERY.model_copy(update={"costs": {"0": {"0": 0.0, "1": 2.0}, "1": {"0": 5.0, "1": -1.0}}})
    rows = [says(CANARY, "a", [1, 0, 1]), says(BASELINE, "b", [1]), says(BASELINE, "c", [1], hours=1)]
    found = report(tmp_path, rows, {"a": [1, 1, 0], "b": [1], "c": [7]}, query=query)
    assert found.is_valued
    first, second = found.blocks
    assert (first.canary.value, first.baseline.value) == (1.0 - 5.0 - 2.0, 1.0)
    assert second.baseline.value is None


def test_an_empty_log_says_nothing(tmp_path: Path) -> None:
    found = report(tmp_path, [])
    assert (found.canary.tally.requests, found.baseline.tally.requests, found.blocks) == (0, 0, ())
    assert (found.canary.scores, found.score_edges, found.is_valued) == ((), (), False)
