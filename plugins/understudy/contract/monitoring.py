"""What a look at a champion's live data measured, and what was decided about it. Facts only."""

from datetime import datetime

from pydantic import Field

from understudy.contract.declared import Fact
from understudy.contract.judgement import Judgement
from understudy.contract.reports import Finding, Number
from understudy.contract.words import Trigger, Watched


class ColumnDrift(Fact):
    """Compare a column of the current window with the champion's reference window."""

    column: str
    method: str
    """``wasserstein`` (in standard deviations of the reference) or ``jensenshannon``, as Evidently computes them."""
    distance: Number = None
    """None where it could not be measured: an empty or all-null column, another type."""
    threshold: Number = None
    """What the column's own past says is usual; None where the reference was too short to say."""
    importance: float = 0.0
    """The column's share of all importance, 0 to 1."""
    null_share: Number = None
    reference_null_share: Number = None
    new_level_share: Number = None
    """The share of rows with a level that the reference does not have."""

    @property
    def has_moved(self) -> bool:
        """Tell whether the column moved further than usual."""
        return self.distance is not None and self.threshold is not None and self.distance >= self.threshold


class Calibration(Fact):
    """Say what the same measurement says of the reference's own windows, where nothing is to be found."""

    windows: int
    """Stretches of the reference, as long as a current window, that were each compared with the rest."""
    alarms: int
    """How many of them would have looked like drift by the thresholds that are used."""
    drift_share: Number = None
    """The largest share of moved importance among them."""


class DriftReport(Fact):
    """Describe how the current window differs from the reference window of the champion's bundle."""

    reference_data: str
    """The data version of the reference window."""
    reference_rows: int
    current_rows: int
    sampled_reference_rows: int
    sampled_current_rows: int
    """Counts and null shares are of all rows, distances of samples of this size."""
    columns: tuple[ColumnDrift, ...]
    prediction: ColumnDrift | None = None
    """The same for the champion's scores (or numbers, for a regression)."""
    domain_auc: Number = None
    """How well a classifier tells both windows apart, 0.5 to 1."""
    domain_auc_usual: Number = None
    """The same between the reference's own windows."""
    skew: tuple[ColumnDrift, ...] = ()
    """Requests compared with the source's rows of the same time; empty where there is no such pair."""
    invariants: tuple[Finding, ...] = ()
    """What the declared checks say of the current rows."""
    calibration: Calibration


class QualityReport(Fact):
    """Describe how well the champion answered rows whose labels have come, and what is guessed of the others."""

    metric: str
    """The primary metric."""
    rows: int
    """Rows that the champion answered."""
    labelled_rows: int
    blocks: int
    value: Number = None
    low: Number = None
    high: Number = None
    """The metric on the labelled rows, with a jackknife interval over time blocks."""
    blessed: Number = None
    """The metric on the holdout that the champion was blessed on."""
    loss: Number = None
    """The mean loss of the labelled rows: 0 or 1 for classes, the absolute error relative to the target's spread else."""
    loss_error: Number = None
    """Its standard error over time blocks."""
    blessed_loss: Number = None
    blessed_loss_error: Number = None
    estimate: Number = None
    """An estimate of the loss without labels, from the champion's own calibrated probabilities; never a measurement."""
    newest_label: datetime | None = None


class MonitorReport(Fact):
    """Put together what one look measured."""

    model: str
    watched: Watched
    champion_version: int
    champion_since: datetime
    trained_until: datetime | None = None
    """The newest row that the champion's training saw."""
    as_of: datetime
    window_start: datetime
    window_end: datetime
    drift: DriftReport | None = None
    quality: QualityReport | None = None
    new_labels: int | None = None
    """Labelled rows that are newer than the champion's training window."""
    problems: tuple[str, ...] = ()
    """Why something could not be measured, one sentence each."""


class PastLook(Fact):
    """Remember an earlier look, as the ledger has it."""

    at: datetime
    champion_version: int
    window_end: datetime
    is_drifting: bool
    """Whether it saw drift, whatever was done about it."""
    is_conclusive: bool = True


class History(Fact):
    """Hold what a decision needs to know of the past."""

    looks: tuple[PastLook, ...] = ()
    """Newest first."""
    retrained: tuple[datetime, ...] = ()
    """When retraining runs of this model were due or began, newest first."""


class Decision(Fact):
    """Say whether a retraining is due, why, and what held it back."""

    judgement: Judgement
    """Each question with its numbers. FAILED: something is wrong with the champion. INCONCLUSIVE: nobody can say."""
    is_drifting: bool
    reasons: tuple[Trigger, ...] = ()
    """What speaks for a retraining now."""
    held_back: str | None = None
    """Why none is asked for although something speaks for it: cool-down, budget, too few new labels."""
    sentence: str = Field(min_length=1)

    @property
    def is_due(self) -> bool:
        """Tell whether a retraining is asked for."""
        return bool(self.reasons) and self.held_back is None
