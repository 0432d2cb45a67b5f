"""What runs in the container: numbers out, no opinion."""

from understudy.stages import Refused, StageContext, StageOutput, stage


@stage
def run(context: StageContext) -> StageOutput:
    """Count the rows of each class of the declared target."""
    import polars as pl

    target = context.request.spec["data"]["target"]  # type: ignore[index, call-overload]
    table = pl.scan_parquet(context.inputs["window.parquet"])
    if target not in table.collect_schema().names():
        raise Refused(f"the window has no column {target!r}", "data.target")
    counts = table.group_by(target).len().sort("len", descending=True).collect()
    rows = int(counts["len"].sum())
    share = float(counts["len"][0]) / rows if rows else None
    return StageOutput(report={"rows": rows, "label": str(counts[target][0]) if rows else None, "share": share})
