"""What the log says of a canary and of its baseline, which answered different callers."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.contract.live.canary_report import Arm, ArmLosses, CanaryBlock, CanaryQuery, CanaryReport
from understudy.contract.serving import LATENCY_EDGES_MS, Tally
from understudy.contract.words import MirrorLoss, MlTask, Role
from understudy.gateway.log.apart import run_apart
from understudy.gateway.log.evidence import EPOCH, block_start, edges_of, histogram, scores_of
from understudy.gateway.log.loss import with_own_losses
from understudy.gateway.log.read import read
from understudy.gateway.log.stream import utc_now

if TYPE_CHECKING:
    import polars as pl

ARMS = (Role.CANARY, Role.BASELINE)


async def measure_canary(  # noqa: PLR0917 - as evidence.measure
    folder: Path, gateway: str, model: str, task: MlTask, query: CanaryQuery, rss: dict[Role, int]
) -> CanaryReport:
    """Compare both sides in a process of its own, so that answers do not wait; raise as :func:`evidence.measure`.

    :param rss: the memory of each side's scoring process in bytes.
    """
    return await run_apart(canary_measured, folder, gateway, model, task, query, rss)


def canary_measured(  # noqa: PLR0917 - as measure_canary, which hands them on
    folder: Path, gateway: str, model: str, task: MlTask, query: CanaryQuery, rss: dict[Role, int]
) -> CanaryReport:
    """Compare both sides by what the log holds now."""
    import polars as pl

    until = utc_now()
    rows = read(folder, query.since, features=False)
    versions = {Role.CANARY: query.canary_version, Role.BASELINE: query.champion_version}
    sides = [rows.filter((pl.col("role") == role.value) & (pl.col("version") == versions[role])) for role in ARMS]
    steps = [side.filter(pl.col("epoch") == query.epoch) for side in sides]
    canary, baseline = _arms(steps, task, rss)
    return CanaryReport(
        model=model,
        champion_version=query.champion_version,
        canary_version=query.canary_version,
        gateways=(gateway,),
        since=query.since,
        epoch=query.epoch,
        until=until,
        canary=canary,
        baseline=baseline,
        score_edges=edges_of(task) if canary.scores and baseline.scores else (),
        is_valued=query.costs is not None,
        blocks=_blocks(sides, task, query),
    )


def _arms(steps: "list[pl.DataFrame]", task: MlTask, rss: dict[Role, int]) -> list[Arm]:
    import polars as pl

    requests = [
        rows.group_by("request_id").agg(
            pl.col("status", "score_us", "batch", "loss", "unit").last(),
            (pl.col("prediction").is_null() & pl.col("row").is_not_null()).any().alias("has_gaps"),
        )
        for rows in steps
    ]
    timed = _timed_alike([asked.filter(_is_answered()) for asked in requests])
    return [
        Arm(
            tally=Tally(
                requests=asked.height,
                errors=int((asked["loss"].is_not_null() | asked["has_gaps"]).sum()),
                score_ms=histogram(times, LATENCY_EDGES_MS),
                rss_bytes=rss.get(role),
            ),
            lost=_lost(asked),
            loose=asked["unit"].null_count(),
            squares=float((asked.filter(pl.col("unit").is_not_null()).group_by("unit").len()["len"] ** 2).sum()),
            scores=_scores(rows, task),
        )
        for role, rows, asked, times in zip(ARMS, steps, requests, timed, strict=True)
    ]


def _is_answered() -> "pl.Expr":
    import polars as pl

    return pl.col("loss").is_null() & (pl.col("status") < 400)


def _lost(asked: "pl.DataFrame") -> dict[MirrorLoss, int]:
    counted = asked["loss"].drop_nulls().value_counts()
    lost = {MirrorLoss(reason): int(count) for reason, count in counted.iter_rows()}
    gaps = int((asked["has_gaps"] & asked["loss"].is_null()).sum())
    return {**lost, MirrorLoss.FAILED: lost.get(MirrorLoss.FAILED, 0) + gaps} if gaps else lost


def _timed_alike(answered: "list[pl.DataFrame]") -> "list[pl.Series]":
    """Take equally many of both sides for each size of batch: a request costs less in a larger one."""
    import polars as pl

    mine, theirs = (side.group_by("batch").len() for side in answered)
    both = mine.join(theirs, on="batch").select("batch", most=pl.min_horizontal("len", "len_right"))
    return [
        side.sort("request_id")
        .with_columns(pl.int_range(pl.len()).over("batch").alias("place"))
        .join(both, on="batch")
        .filter(pl.col("place") < pl.col("most"))["score_us"]
        / 1000
        for side in answered
    ]


def _scores(rows: "pl.DataFrame", task: MlTask) -> tuple[int, ...]:
    import polars as pl

    found = scores_of(rows.filter(_is_answered() & pl.col("row").is_not_null()), task)
    return () if found.null_count() or not found.len() else histogram(found, edges_of(task))


def _blocks(sides: "list[pl.DataFrame]", task: MlTask, query: CanaryQuery) -> tuple[CanaryBlock, ...]:
    import polars as pl

    # Rows without a prediction are counted as errors already, and have no loss.
    known = _is_answered() & pl.col("label").is_not_null() & pl.col("prediction").is_not_null()
    labelled = [rows.filter(known) for rows in sides]
    found: dict[int, dict[Role, ArmLosses]] = {}
    for role, rows in zip(ARMS, with_own_losses(labelled, task), strict=True):
        valued = rows.with_columns(_values(rows, query.costs))
        sums = valued.group_by(block_start(query.block_s)).agg(
            pl.len(), pl.col("loss").sum(), pl.col("value").sum(), pl.col("value").null_count().alias("worthless")
        )
        for at, count, loss, value, worthless in sums.iter_rows():
            losses = ArmLosses(rows=count, loss=loss, value=None if worthless else value)
            found.setdefault(at, {})[role] = losses
    return tuple(
        CanaryBlock(
            start=EPOCH + timedelta(seconds=at),
            canary=found[at].get(Role.CANARY, ArmLosses()),
            baseline=found[at].get(Role.BASELINE, ArmLosses()),
        )
        for at in sorted(found)
    )


def _values(rows: "pl.DataFrame", costs: dict[str, dict[str, float]] | None) -> "pl.Series":
    """Say what each answer was worth; null where the declaration does not say."""
    import polars as pl

    if costs is None:
        return pl.Series("value", [None] * rows.height, dtype=pl.Float64)
    worth = [
        None if (cost := costs.get(actual, {}).get(answered)) is None else -cost
        for actual, answered in zip(rows["label"], rows["prediction"], strict=True)
    ]
    return pl.Series("value", worth, dtype=pl.Float64)
