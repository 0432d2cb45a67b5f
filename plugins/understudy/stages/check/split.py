"""Ask whether a window can be divided as training and evaluation will divide it."""

from pathlib import Path

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import Finding
from understudy.stages.context import Refused


def check_split(path: Path, spec: ModelSpec) -> Finding:
    """Divide the good rows by the very function of the later stages; what would be refused there is refused here."""
    from understudy.stages.split import Unsplittable, split_file

    try:
        split = split_file(path, spec)
    except Unsplittable as small:
        unit = "rows" if small.shortage == "split_rows" else "different labels"
        return Finding(
            check=small.shortage,
            measured=small.found,
            bound=f"at least {small.least} {unit} in each part",
            failed=True,
            batch_level=True,
            sentence=str(small),
        )
    except Refused as unfit:
        return Finding(
            check="split_labels",
            column=spec.data.target,
            bound="labels that fit the task",
            failed=True,
            batch_level=True,
            sentence=str(unfit),
        )
    smallest = min(("train", "validation", "holdout"), key=lambda part: len(getattr(split, part)))
    rows = len(getattr(split, smallest))
    return Finding(
        check="split_rows",
        measured=rows,
        bound="enough rows in each part",
        failed=False,
        batch_level=True,
        sentence=f"{len(split.train):,} rows to train on, {len(split.validation):,} to validate, "
        f"{len(split.holdout):,} held out",
    )
