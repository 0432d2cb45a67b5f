"""What the stages measured. Numbers, never opinions."""

from datetime import datetime

from pydantic import Field, JsonValue

from understudy.contract.declared import Fact

Number = float | None


class LabelCounts(Fact):
    """Count labels that came as files or in a table."""

    given: int
    matched: int
    """Rows that have found their label."""
    repeated: int
    """Labels that say again what another one has said."""
    contradictory: int
    """Rows for which labels say different things; they get none."""
    unmatched: int
    """Labels whose row is not in the window: too late, or of somebody else."""


class SnapshotReport(Fact):
    """Describe the window that was read."""

    rows: int
    new_rows: int
    """Rows that the last snapshot did not hold; equals rows for a full read."""
    columns: dict[str, str]
    """Column name to its type in the Parquet file."""
    start: datetime | None
    end: datetime | None
    """The times of the oldest and newest row."""
    window_start: datetime | None
    window_end: datetime | None
    """The window that was asked for; window_end is as-of minus the label delay."""
    sources: dict[str, str]
    """What was read and its SHA-256, where it has one."""
    rows_outside_window: int
    rows_without_time: int
    new_labels: int | None = None
    """Labelled rows of the sources that are newer than the time that was asked about."""
    labels: LabelCounts | None = None
    """What became of labels that came apart from their rows."""


class LabelsReport(Fact):
    """Describe labels that arrived as files or in a table."""

    rows: int
    usable: int
    """One for each row that was asked for: the last that came."""
    unusable: int
    """Rows without an id, a place or a label."""
    repeated: int
    """Labels of a row that came before another one of the same row, contradictions among them."""
    contradicted: int
    """Rows for which different labels came."""
    sources: dict[str, str]
    """What was read and its SHA-256, where it has one."""


NOTICED = "noticed only"
"""The bound of a finding that fails nothing, and that people should know of."""


class Finding(Fact):
    """Describe one check on the data."""

    check: str
    """For example ``range``, ``nulls``, ``row_count``, ``label_share``."""
    column: str | None = None
    measured: Number = None
    """What was measured, None where it could not be."""
    bound: str
    """What was expected, in words with the number."""
    failed: bool
    batch_level: bool
    """Whether the whole window fails (a missing column) or single rows that can be set aside."""
    failing_rows: int = 0
    examples: tuple[str, ...] = ()
    """The first few failing values, redacted for personal data."""
    sentence: str


class ColumnProfile(Fact):
    """Summarise a column."""

    type: str
    null_share: Number
    distinct: int
    mean: Number = None
    std: Number = None
    min: Number = None
    max: Number = None
    edges: tuple[float, ...] = ()
    """Bin edges of a number's histogram."""
    counts: tuple[float, ...] = ()
    """Shares by bin, or by level (see levels)."""
    levels: tuple[str, ...] = ()


class DataReport(Fact):
    """Describe what the sanity check saw."""

    rows: int
    """Those of the window, and those without a time that can be read, which lie in no window."""
    rows_checked: int
    bad_rows: int
    """Rows with at least one failing cell; set aside when few enough."""
    max_bad_share: float
    findings: tuple[Finding, ...]
    profile: dict[str, ColumnProfile]
    label_shares: dict[str, float] = Field(default_factory=dict)


class TrialReport(Fact):
    """Describe one trial of the search."""

    number: int
    params: dict[str, JsonValue]
    metric: str
    value: Number
    rows_trained: int
    rows_validated: int


class FeatureImportance(Fact):
    """Say how much the primary metric loses when a feature is shuffled."""

    feature: str
    mean: Number
    std: Number


class TrainingReport(Fact):
    """Describe the final fit."""

    estimator: str
    params: dict[str, JsonValue]
    seed: int
    rows_trained: int
    rows_held_out: int
    rows_embargoed: int
    train_end: datetime | None
    holdout_start: datetime | None
    holdout_end: datetime | None
    features: tuple[str, ...]
    classes: tuple[str, ...] = ()
    decision_threshold: float | None = None
    metrics: dict[str, Number] = Field(default_factory=dict)
    """On the validation rows, of a fit that did not see them."""
    reference_metrics: dict[str, dict[str, Number]] = Field(default_factory=dict)
    """The same for dummy and linear."""
    importance: tuple[FeatureImportance, ...] = ()
    unused_features: tuple[str, ...] = ()
    """Features whose importance is not above zero by two standard deviations."""


class Comparison(Fact):
    """Compare two models by one metric on the same rows.

    ``gain`` is positive when the challenger is better, whatever the metric's direction. Intervals are two-sided at
    1 - 2·alpha, from a delete-one-block jackknife over ``blocks`` blocks.
    """

    metric: str
    challenger: Number
    challenger_low: Number = None
    challenger_high: Number = None
    other: Number = None
    gain: Number = None
    gain_low: Number = None
    gain_high: Number = None
    rows: int
    blocks: int = 0


class SliceComparison(Fact):
    """Compare champion and challenger by the primary metric within one slice."""

    column: str
    value: str
    judged: bool
    """False where the slice has too few rows to judge."""
    p_harm: Number = None
    """One-sided p-value of the challenger losing more than the margin; Holm-adjusted in judge()."""
    comparison: Comparison


class ModelDelta(Fact):
    """Say how differently the challenger answers."""

    churn_share: Number
    negative_flip_share: Number = None
    positive_flip_share: Number = None
    mean_score_shift: Number = None
    churn_by_class: dict[str, float] = Field(default_factory=dict)


class EvaluationReport(Fact):
    """Describe champion and challenger on the same future rows."""

    task: str
    primary: str
    challenger_version: str
    champion_version: int | None
    rows: int
    blocks: int
    holdout_start: datetime | None
    holdout_end: datetime | None
    leaked_rows: int
    """Holdout rows that either model's training has seen, or that lie inside the embargo."""
    comparisons: tuple[Comparison, ...]
    """Against the champion; ``other`` and ``gain`` are None without one."""
    references: dict[str, Comparison] = Field(default_factory=dict)
    """Against dummy, linear and no_change, by the primary metric."""
    slices: tuple[SliceComparison, ...] = ()
    measurements: dict[str, Number] = Field(default_factory=dict)
    """Single measurements of the challenger: size_mb, parity_gap, churn_share, negative_flip_share, latency_p95_ms.

    For comparison also champion_size_mb and champion_latency_p95_ms.
    """
    delta: ModelDelta | None = None
    is_linear: bool
    """Whether the challenger is itself linear or dummy, so that it need not beat one."""
