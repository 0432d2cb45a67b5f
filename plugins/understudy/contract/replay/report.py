"""What a replay found: how each policy would have done on the model's own past. Facts only."""

from datetime import datetime

from pydantic import Field

from understudy.contract.declared import Duration, Fact
from understudy.contract.reports import Number
from understudy.contract.words import Takeover, Trigger


class Retraining(Fact):
    """Tell of one training that a policy asked for."""

    place: int
    """Its place among the moments of the replay."""
    at: datetime
    reasons: tuple[Trigger, ...] = ()
    sentence: str
    takes_over: bool
    """Whether its model answered from then on; else the gates, or the training itself, said no."""
    gain: Number = None
    """How much smaller its mean loss was than that of the model before it, until the next one took over."""

    @property
    def is_false_alarm(self) -> bool:
        """Tell whether nothing was gained by it: it did not take over, or its model was no better."""
        return not self.takes_over or (self.gain is not None and self.gain <= 0)


class Walk(Fact):
    """Tell how one policy went through the history."""

    policy: str
    in_force: tuple[int, ...]
    """For each step the place of the training whose model answered it."""
    retrainings: tuple[Retraining, ...] = ()
    held_back: int = 0
    """How often something spoke for a retraining and the declaration (cool-down, budget, labels) held it back."""
    undecided: int = 0
    """How often a look could not say whether anything is wrong."""


class PolicyResult(Fact):
    """Judge one walk in hindsight.

    ``regret`` is how much larger its mean loss is than that of the best choice of as many trainings, found over all
    trainings of the replay with knowledge of the future; no policy could have known it.
    """

    policy: str
    quality: Number
    """The primary metric, averaged over the steps by their rows."""
    loss: Number
    """The mean loss of a row: 0 or 1 for classes, the absolute error in standard deviations of the target else."""
    trainings: int
    """Beside the first one, which every policy starts with."""
    training_rows: int
    """The rows that those trainings read; a cost that does not depend on the machine."""
    took_over: int
    false_alarms: int
    share_of_trainings: Number
    """Of those of ``every``."""
    share_of_gain: Number
    """Of what ``every`` gains over ``never``; None where it gains nothing."""
    same_budget: Number
    """The quality of as many trainings at even distances."""
    regret: Number
    kappa_temporal: Number = None
    """Accuracy above that of repeating the last label, as a share of what is left (Žliobaitė et al. 2015); classes."""
    by_step: tuple[Number, ...]
    """The primary metric of each step; None where it cannot be said."""
    walk: Walk


class Recommendation(Fact):
    """Name the policy with the fewest trainings whose quality is good enough."""

    policy: str
    yaml: str
    """The sections ``retrain`` and, where it watches, ``monitor``, to be copied into model.yaml."""
    sentence: str


class ReplayReport(Fact):
    """Compare policies over one model's past."""

    model: str
    task: str
    metric: str
    greater_is_better: bool
    moments: tuple[datetime, ...]
    step: Duration
    window: Duration | None
    label_delay: Duration
    takeover: Takeover
    rows: int
    """Rows that were answered, in all steps together."""
    data_version: str
    """The SHA-256 of the rows that were replayed."""
    no_change: Number = None
    """What repeating the label of the row before would have scored, over the same steps."""
    policies: tuple[PolicyResult, ...] = Field(min_length=1)
    recommendation: Recommendation | None = None
    notes: tuple[str, ...] = ()
    """What a reader must know: steps with one class, refused trainings, thinned rows."""


class Replayed(Fact):
    """Give what a replay leaves behind."""

    report: ReplayReport
    key: str
    """What the trainings of this replay are remembered by."""
    seconds_per_training: float | None = None
    """Measured here; differs from machine to machine."""
    trained_now: int = 0
    """How many trainings were not remembered from an earlier replay."""
    sentence: str
