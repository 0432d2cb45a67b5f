"""What the log says of two versions that answered the same live requests."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from understudy.contract.serving import LATENCY_EDGES_MS, LossBlock, RehearsalQuery, RehearsalReport, Tally
from understudy.contract.words import MirrorLoss, MlTask, Role
from understudy.gateway.log.apart import run_apart
from understudy.gateway.log.loss import texts, with_losses
from understudy.gateway.log.read import read
from understudy.gateway.log.stream import utc_now

if TYPE_CHECKING:
    import polars as pl

CLOSE = 0.01
PROBABILITY_EDGES = tuple(round(0.05 * step, 2) for step in range(1, 20))
# Fixed, so that the counts of several gateways add up: a third apart, from a ten-thousandth to a thousand million.
_SIZES = tuple(float(f"{10 ** (step / 8):.6g}") for step in range(-32, 73))
NUMBER_EDGES = (*(-size for size in reversed(_SIZES)), *_SIZES)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


async def measure(  # noqa: PLR0917 - all of them are needed, in the order of the question
    folder: Path, gateway: str, model: str, task: MlTask, query: RehearsalQuery, rss: dict[int, int]
) -> RehearsalReport:
    """Compare two versions in a process of its own, so that answers do not wait.

    :param folder: the model's log, as it was given to its :class:`PredictionLog`.
    :param rss: the memory of each version's scoring process in bytes.
    :raises ReadingFailed: where the log cannot be read.
    :raises ReaderDied: where that process was killed twice.
    """
    return await run_apart(measured, folder, gateway, model, task, query, rss)


class _Sides(NamedTuple):
    champion: "pl.DataFrame"
    mirror: "pl.DataFrame"


def measured(  # noqa: PLR0917 - as measure, which hands them on
    folder: Path, gateway: str, model: str, task: MlTask, query: RehearsalQuery, rss: dict[int, int]
) -> RehearsalReport:
    """Compare two versions by what the log holds now."""
    import polars as pl

    until = utc_now()
    rows = read(folder, query.since, features=False)
    answering = pl.col("role").is_in([Role.CHAMPION.value, Role.STANDBY.value])
    sides = _Sides(
        rows.filter((pl.col("version") == query.champion_version) & answering),
        rows.filter((pl.col("version") == query.mirror_version) & (pl.col("role") == Role.SHADOW.value)),
    )
    requests = _requests(sides)
    pairs = _pairs(sides, requests)
    edges, champion_scores, mirror_scores = _scores(pairs, task)
    return RehearsalReport(
        model=model,
        champion_version=query.champion_version,
        mirror_version=query.mirror_version,
        gateways=(gateway,),
        since=query.since,
        until=until,
        champion=_tally(requests, "champion", rss.get(query.champion_version)),
        mirror=_tally(requests, "mirror", rss.get(query.mirror_version)),
        unpaired=_unpaired(requests),
        pairs=pairs["request_id"].n_unique(),
        rows=pairs.height,
        agreeing_rows=_agreeing(pairs, task),
        score_edges=edges,
        champion_scores=champion_scores,
        mirror_scores=mirror_scores,
        blocks=_blocks(pairs, task, query.block_s),
    )


def _requests(sides: _Sides) -> "pl.DataFrame":
    """Put what both versions said to a request side by side, one row a request."""
    import polars as pl

    champion, mirror = (
        side.group_by("request_id").agg(
            pl.col("status").last().alias(f"{name}_status"),
            pl.col("score_us").last().alias(f"{name}_us"),
            pl.col("batch").last().alias(f"{name}_batch"),
            pl.col("row").count().alias(f"{name}_rows"),
            (pl.col("prediction").is_null() & pl.col("row").is_not_null()).sum().alias(f"{name}_empty"),
            pl.col("loss").last().alias(f"{name}_loss"),
        )
        for name, side in zip(sides._fields, sides, strict=True)
    )
    joined = champion.join(mirror, on="request_id", how="full", coalesce=True)
    answered = {name: (pl.col(f"{name}_status") < 400).fill_null(value=False) for name in sides._fields}
    return joined.with_columns(
        champion_ok=answered["champion"],
        mirror_ok=answered["mirror"]
        & (~answered["champion"] | (pl.col("mirror_rows") == pl.col("champion_rows")))
        & ((pl.col("mirror_empty") == 0) | (pl.col("champion_empty") > 0)),
    ).with_columns(
        champion_failed=_failed("champion", "mirror"),
        mirror_failed=_failed("mirror", "champion"),
    )


def _failed(name: str, other: str) -> "pl.Expr":
    """Tell a version's failures from refusals: a request that both refuse is the caller's mistake."""
    import polars as pl

    status = pl.col(f"{name}_status")
    return (status.is_not_null() & ~pl.col(f"{name}_ok") & ((status >= 500) | pl.col(f"{other}_ok"))) | (
        (status < 400) & ~pl.col(f"{name}_ok")
    ).fill_null(value=False)


def _tally(requests: "pl.DataFrame", name: str, rss_bytes: int | None) -> Tally:
    import polars as pl

    asked = requests.filter(pl.col(f"{name}_status").is_not_null())
    # A request costs less in a larger batch: only those are compared that both versions scored in batches of one
    # size.
    alike = pl.col("champion_ok") & pl.col("mirror_ok") & (pl.col("champion_batch") == pl.col("mirror_batch"))
    took = asked.filter(alike)[f"{name}_us"] / 1000
    return Tally(
        requests=asked.height,
        errors=int(asked[f"{name}_failed"].sum()),
        score_ms=histogram(took, LATENCY_EDGES_MS),
        rss_bytes=rss_bytes,
    )


def _unpaired(requests: "pl.DataFrame") -> dict[MirrorLoss, int]:
    import polars as pl

    never = requests.filter(pl.col("mirror_status").is_null() & pl.col("mirror_loss").is_not_null())
    counts = {MirrorLoss(reason): count for reason, count in never["mirror_loss"].value_counts().iter_rows()}
    failed = int(requests["mirror_failed"].fill_null(value=False).sum())
    if failed:
        counts[MirrorLoss.FAILED] = counts.get(MirrorLoss.FAILED, 0) + failed
    return counts


def _pairs(sides: _Sides, requests: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    both = requests.filter(pl.col("champion_ok") & pl.col("mirror_ok")).select("request_id")
    mine = sides.champion.join(both, on="request_id", how="semi").unique(["request_id", "row"], keep="last")
    theirs = sides.mirror.select("request_id", "row", "prediction", "probabilities", "classes")
    return mine.join(
        theirs.unique(["request_id", "row"], keep="last"), on=["request_id", "row"], suffix="_mirror"
    ).sort("at", "request_id", "row")


def _agreeing(pairs: "pl.DataFrame", task: MlTask) -> int:
    import polars as pl

    if task.is_classification:
        return int((texts(pairs, "prediction") == texts(pairs, "prediction_mirror")).sum())
    both = pairs.select(
        a=pl.col("prediction").cast(pl.Float64, strict=False),
        b=pl.col("prediction_mirror").cast(pl.Float64, strict=False),
    )
    largest = pl.max_horizontal(pl.col("a").abs(), pl.col("b").abs())
    return both.filter((pl.col("a") - pl.col("b")).abs() <= CLOSE * largest).height


def _scores(pairs: "pl.DataFrame", task: MlTask) -> tuple[tuple[float, ...], tuple[int, ...], tuple[int, ...]]:
    edges, found = edges_of(task), [scores_of(pairs, task, suffix) for suffix in ("", "_mirror")]
    if not pairs.height or any(scores.null_count() for scores in found):
        return (), (), ()
    return edges, histogram(found[0], edges), histogram(found[1], edges)


def edges_of(task: MlTask) -> tuple[float, ...]:
    """Give the edges over which a task's scores are counted."""
    return PROBABILITY_EDGES if task.is_classification else NUMBER_EDGES


def scores_of(rows: "pl.DataFrame", task: MlTask, suffix: str = "") -> "pl.Series":
    """Give the probability of the last class, or the number itself; null where there is none."""
    import polars as pl

    last = pl.col(f"probabilities{suffix}").list.last()
    number = pl.col(f"prediction{suffix}").cast(pl.Float64, strict=False)
    return rows.select(score=last if task.is_classification else number)["score"]


def histogram(values: "pl.Series", edges: tuple[float, ...]) -> tuple[int, ...]:
    """Count values by their upper edges."""
    import numpy as np

    places = np.searchsorted(np.asarray(edges), values.drop_nulls().to_numpy(), side="left")
    return tuple(int(count) for count in np.bincount(places, minlength=len(edges) + 1))


def _blocks(pairs: "pl.DataFrame", task: MlTask, block_s: int) -> tuple[LossBlock, ...]:
    import polars as pl

    lost = with_losses(pairs.filter(pl.col("label").is_not_null()), task)
    grouped = lost.group_by(block_start(block_s)).agg(
        pl.len().alias("rows"), pl.col("loss").sum(), pl.col("loss_mirror").sum()
    )
    return tuple(
        LossBlock(start=EPOCH + timedelta(seconds=at), rows=rows, champion_loss=mine, mirror_loss=theirs)
        for at, rows, mine, theirs in grouped.sort("start").iter_rows()
    )


def block_start(block_s: int) -> "pl.Expr":
    """Give when the time block of a row starts, in seconds since 1970."""
    import polars as pl

    return (pl.col("at").dt.epoch("s") // block_s * block_s).alias("start")
