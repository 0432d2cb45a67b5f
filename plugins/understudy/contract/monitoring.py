"""What a look at a champion's live data measured, and what was decided about it. Facts only."""

from datetime import datetime

from pydantic import Field

from understudy.contract.declared import Fact
from understudy.contract.judgement import Judgement, is_usable
from understudy.contract.reports import Finding, Number
from understudy.contract.words import DistanceMethod, Trigger, Watched


class ColumnDrift(Fact):
    """Compare a column of the current window with the champion's reference window."""

    column: str
    method: DistanceMethod
    distance: Number = None
    """None where it could not be measured; ``problem`` says why."""
    threshold: Number = None
    """How far the column's own past says it usually moves; None where the reference was too short to say."""
    source: str = ""
    """Where the threshold comes from, in words."""
    importance: float = 0.0
    """The column's share of all importance, 0 to 1."""
    null_share: Number = None
    """NaN, infinity and what is no number in a column of numbers count as missing, as they do for the model."""
    reference_null_share: Number = None
    null_threshold: Number = None
    """By how much the share of missing values may differ from the reference's."""
    new_level_share: Number = None
    """The share of rows with a level that the reference does not have; None for numbers and for very many levels."""
    problem: str | None = None
    """Why there is no distance, in one sentence."""

    @property
    def is_measured(self) -> bool:
        """Tell whether anything can be said of the column."""
        return is_usable(self.distance) and is_usable(self.threshold)

    @property
    def has_moved(self) -> bool:
        """Tell whether the column moved further than usual."""
        return self.is_measured and (self.distance or 0.0) >= (self.threshold or 0.0)

    @property
    def has_known_gaps(self) -> bool:
        """Tell whether it is known how many values are missing, and how many may be."""
        return all(is_usable(number) for number in (self.null_share, self.reference_null_share, self.null_threshold))

    @property
    def has_gaps(self) -> bool:
        """Tell whether more, or fewer, values are missing than usual."""
        difference = abs((self.null_share or 0.0) - (self.reference_null_share or 0.0))
        return self.has_known_gaps and difference >= (self.null_threshold or 0.0)


class Calibration(Fact):
    """Say what the same measurement says of the reference's own windows, where nothing is to be found.

    Each window was compared with the rest of the reference, by thresholds from the other windows alone.
    """

    length: str
    """How long a window is, in words."""
    widening: float = 1.0
    """By which factor all thresholds were widened so that fewer windows look like drift."""
    shares: tuple[float, ...] = ()
    """The share of moved importance in each window, newest first."""

    @property
    def windows(self) -> int:
        """Count the windows."""
        return len(self.shares)

    def alarms(self, drift_share: float) -> int:
        """Count the windows that would have looked like drift."""
        return sum(share >= drift_share for share in self.shares)


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
    """Time blocks of the labelled rows, over which errors are estimated."""
    value: Number = None
    value_error: Number = None
    low: Number = None
    high: Number = None
    """The metric on the labelled rows, its standard error and interval by a jackknife over time blocks."""
    blessed: Number = None
    blessed_error: Number = None
    """The same on the holdout that the champion was blessed on."""
    blessed_blocks: int = 0
    loss: Number = None
    """The mean loss of the labelled rows: 0 or 1 for classes, else the absolute error in spreads of the target."""
    loss_error: Number = None
    """Its standard error over time blocks."""
    blessed_loss: Number = None
    blessed_loss_error: Number = None
    estimate: Number = None
    """A guess of the loss without labels, from the champion's probabilities as calibrated on its holdout; it follows
    moved features and knows nothing of a changed relation, so it is shown and never judged."""
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
