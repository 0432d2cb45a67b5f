"""What one task hands to the next: small typed JSON in XCom; the bulk stays in the workspace."""

from datetime import datetime

from pydantic import Field, JsonValue

from understudy.contract.declared import Fact
from understudy.contract.drill import DrillReport
from understudy.contract.judgement import Judgement
from understudy.contract.release import Bundle, Deployment
from understudy.contract.reports import LabelsReport
from understudy.contract.stage import Artefact
from understudy.contract.words import Change, Outcome, Trigger, Verdict, Watched


class Snapshot(Fact):
    """A window, read and versioned."""

    data: Artefact
    data_version: str
    rows: int
    start: datetime | None
    end: datetime | None
    undated: Artefact | None = None
    """Rows whose time could not be read, where there are any."""


class CheckedData(Fact):
    """A window that passed the sanity check, cleaned of the rows that were set aside."""

    data: Artefact
    profile: Artefact
    data_version: str
    judgement: Judgement


class Labelled(Fact):
    """Labels that arrived as files or in a table."""

    labels: Artefact
    report: LabelsReport
    sent: int
    """How many each gateway was sent; none where nothing is served, or where they are the same as last time."""
    sentence: str


class AskedTrial(Fact):
    """One point of the search space."""

    number: int
    params: dict[str, JsonValue]


class Trained(Fact):
    """A registered challenger and what its evaluation needs."""

    bundle: Bundle
    model: Artefact
    references: Artefact
    holdout: Artefact
    train_end: datetime | None


class Evaluated(Fact):
    """A judged challenger; ``judgement_sha256`` is what a blessing names."""

    bundle: Bundle
    champion_version: int | None
    champion_epoch: int
    judgement: Judgement
    is_blessed: bool
    is_champion_again: bool = False
    """Whether the same rows have made the champion's very files: there is nothing to promote."""

    @property
    def why_not_blessed(self) -> str:
        """Say why nothing follows for a challenger that was not blessed."""
        version = f"version {self.bundle.version}"
        if self.is_champion_again:
            return f"{version} is champion {self.champion_version} once more: the same rows have made the same files"
        return f"{version} is not blessed: {self.judgement.sentence}"


class Deployed(Fact):
    """What a promotion or a rollback did, or would have done."""

    change: Change
    model: str
    version: int
    previous_version: int | None
    epoch: int
    is_dry_run: bool = False
    sentence: str

    @classmethod
    def by(cls, record: Deployment, sentence: str) -> "Deployed":
        """Tell of a record that was written."""
        return cls(
            change=record.change,
            model=record.model,
            version=record.champion.version,
            previous_version=record.previous.version if record.previous else None,
            epoch=record.epoch,
            sentence=sentence,
        )


class Rehearsed(Fact):
    """What a challenger showed on live traffic, or why there was nothing to show."""

    version: int
    champion_version: int | None
    judgement: Judgement
    """Rubber-stamped where there was no champion to rehearse against, or no rehearsal was declared."""
    sentence: str

    @property
    def is_passed(self) -> bool:
        """Tell whether it may be promoted."""
        return self.judgement.verdict is Verdict.PASSED


class Canaried(Rehearsed):
    """What a challenger showed while it answered a share of the callers, or why it answered none."""

    share: float = 0.0
    """The largest share that it had."""


class Guarded(Fact):
    """What a new champion showed in its probation, and whether it was taken back."""

    version: int
    judgement: Judgement
    rolled_back_to: int | None = None
    sentence: str


class Drilled(Fact):
    """How soon a bad model was found out and taken back."""

    report: DrillReport
    judgement: Judgement
    sentence: str


class Collected(Fact):
    """The rows of one look, and the champion that is looked at."""

    data: Artefact
    watched: Watched
    rows: int
    window_start: datetime
    window_end: datetime
    champion: Bundle
    champion_since: int
    """The epoch at which it began to serve."""
    trained_until: datetime | None
    new_labels: int | None


class Measured(Fact):
    """What a stage measured for a look: files in the workspace, because a report may be long."""

    report: Artefact
    """The report as JSON."""
    shown: dict[str, Artefact] = Field(default_factory=dict)
    """What else it wrote, for people."""


class Looked(Fact):
    """What a look decided, and what was done about it."""

    sentence: str
    verdict: Verdict
    is_blind: bool = False
    """Whether the rows could not be compared with the reference at all."""
    is_due: bool
    reasons: tuple[Trigger, ...] = ()
    held_back: str | None = None
    rolled_back_to: int | None = None
    ledger_seq: int


class Concluded(Fact):
    """How a run ended."""

    outcome: Outcome
    version: int | None
    champion: int | None
    sentence: str
