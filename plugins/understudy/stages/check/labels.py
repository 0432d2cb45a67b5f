"""Ask whether the labels can be learnt: present, of known classes, in the usual shares, without contradictions."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from understudy.contract.declaration.data import ChecksSpec
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import Finding
from understudy.contract.words import MlTask
from understudy.stages.read.column_kind import NUMERIC

if TYPE_CHECKING:
    import polars as pl

SHOWN_CLASSES = 10


def label_shares(labels: "pl.Series") -> dict[str, float]:
    """Give the share of each class among the labelled rows."""
    import polars as pl

    filled = labels.drop_nulls().cast(pl.String).alias("label")
    return {label: count / len(filled) for label, count in filled.value_counts().sort("label").iter_rows()}


def check_labels(spec: ModelSpec, labels: "pl.Series", kind: str, known: Sequence[str]) -> Iterator[Finding]:
    """Ask all questions about the target column alone."""
    target, checks = spec.data.target, spec.checks
    share = labels.null_count() / len(labels) if len(labels) else None
    yield Finding(
        check="label_nulls",
        column=target,
        measured=share,
        bound=f"at most {checks.max_label_null_share:.2%}",
        batch_level=True,
        failed=share is None or share > checks.max_label_null_share,
        failing_rows=labels.null_count(),
        sentence=f"{share or 0:.2%} of the rows have no label; at most {checks.max_label_null_share:.2%} may",
    )
    if not spec.task.is_classification:
        yield from _numeric(target, labels, kind)
        return
    shares = label_shares(labels)
    yield from _class_count(spec, shares)
    new = [label for label in shares if known and label not in known]
    if known:
        refuse = checks.new_classes == "refuse"
        yield Finding(
            check="new_classes",
            column=target,
            measured=float(len(new)),
            bound="none" if refuse else "accepted",
            failed=bool(new) and refuse,
            batch_level=True,
            examples=tuple(new[:SHOWN_CLASSES]),
            sentence=f"classes that no accepted window has had: {', '.join(new[:SHOWN_CLASSES])}; correct "
            "the labels, or set "
            "checks.new_classes: accept"
            if new
            else "every class is known from accepted windows",
        )
    yield from _declared_shares(target, shares, checks)


def check_conflicts(rows_seen: "pl.DataFrame", checks: ChecksSpec) -> Finding:
    """Measure how many labels contradict the most frequent label of the rows with equal features.

    No model can get these right, so their share bounds what accuracy can reach.
    """
    import polars as pl

    rows = rows_seen.height
    repeated = rows_seen.filter(pl.col("feature_hash").is_duplicated())
    votes = repeated.group_by("feature_hash", "label").len()
    majority = int(votes.group_by("feature_hash").agg(pl.col("len").max())["len"].sum())
    share = (repeated.height - majority) / rows if rows else None
    return Finding(
        check="conflicts",
        measured=share,
        bound=f"at most {checks.max_conflict_share:.2%}",
        batch_level=True,
        failed=share is None or share > checks.max_conflict_share,
        failing_rows=repeated.height - majority,
        sentence=f"{share or 0:.2%} of the labels contradict most rows of the very same features; at most "
        f"{checks.max_conflict_share:.2%} may",
    )


def _numeric(target: str, labels: "pl.Series", kind: str) -> Iterator[Finding]:
    numeric = kind in NUMERIC
    yield Finding(
        check="label_type",
        column=target,
        measured=float(numeric),
        bound="a number",
        failed=not numeric,
        batch_level=True,
        sentence=f"the target {target!r} holds {kind} values; regression needs numbers",
    )
    if numeric:
        values = labels.drop_nulls().n_unique()
        yield Finding(
            check="label_values",
            column=target,
            measured=float(values),
            bound="at least 2",
            failed=values < 2,
            batch_level=True,
            sentence=f"the target {target!r} has {values} different value{'s' if values != 1 else ''}; "
            "nothing can be learnt from one",
        )


def _class_count(spec: ModelSpec, shares: dict[str, float]) -> Iterator[Finding]:
    classes, binary = len(shares), spec.task is MlTask.BINARY
    shown = ", ".join(list(shares)[:SHOWN_CLASSES]) or "none"
    failed = classes != 2 if binary else classes < 2
    way_out = (
        "the target needs both classes in the window; widen data.window, or repair the labels"
        if classes < 2
        else ("write task: multiclass_classification, or correct the labels" if failed else "as the task needs")
    )
    yield Finding(
        check="class_count",
        column=spec.data.target,
        measured=float(classes),
        bound="2 classes" if binary else "at least 2 classes",
        failed=failed,
        batch_level=True,
        examples=tuple(list(shares)[:SHOWN_CLASSES]),
        sentence=f"the target {spec.data.target!r} has {classes} class{'es' if classes != 1 else ''} "
        f"({shown}): {way_out}",
    )


def _declared_shares(target: str, shares: dict[str, float], checks: ChecksSpec) -> Iterator[Finding]:
    for label, bound in checks.label_shares.items():
        share = shares.get(label, 0.0)
        yield Finding(
            check="label_share",
            column=target,
            measured=share,
            bound=f"{bound.min:.2%} to {bound.max:.2%}",
            batch_level=True,
            failed=not bound.min <= share <= bound.max,
            sentence=f"{share:.2%} of the labels are {label!r}; {bound.min:.2%} to {bound.max:.2%} are usual",
        )
