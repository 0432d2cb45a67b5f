"""Name every closed set once."""

from enum import Enum, IntEnum


class Word(str, Enum):
    """Print as its value (``enum.StrEnum`` needs Python 3.11)."""

    __str__ = str.__str__


class MlTask(Word):
    """Say what kind of target a model predicts."""

    BINARY = "binary_classification"
    MULTICLASS = "multiclass_classification"
    REGRESSION = "regression"

    @property
    def is_classification(self) -> bool:
        """Tell class targets from numbers."""
        return self is not MlTask.REGRESSION


class Verdict(Word):
    """Say how a question was answered; too little evidence is neither a yes nor a no."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Alias(Word):
    """Name the movable registry pointers. They report the truth, they do not make it."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    PREVIOUS_CHAMPION = "previous-champion"


class Isolation(Word):
    """Say where a stage runs."""

    DOCKER = "docker"
    PROCESS = "process"


class StageName(Word):
    """Name the built-in stages."""

    SNAPSHOT = "snapshot"
    DATA_CHECK = "data_check"
    TRIAL = "trial"
    TRAIN = "train"
    EVALUATE = "evaluate"


class ExitCode(IntEnum):
    """Say by exit status what the scheduler must do next."""

    DONE = 0
    REFUSED = 65  # EX_DATAERR: the same input will be refused again, so a retry is useless
    OUT_OF_MEMORY = 71  # EX_OSERR: an allocation failed inside the stage; the same limit will fail it again


class JobState(Word):
    """Say how a submitted stage is doing."""

    CREATED = "created"  # never started: the submitter died in between
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    BROKEN = "broken"
    OUT_OF_MEMORY = "out_of_memory"
    GONE = "gone"


class EntryKind(Word):
    """Name what a ledger entry records."""

    TRIGGERED = "triggered"
    DATA_JUDGED = "data_judged"
    QUARANTINED = "quarantined"
    TRAINED = "trained"
    JUDGED = "judged"
    BLESSED = "blessed"
    DEPLOYED = "deployed"  # a deployment record: the truth about what serves
    CONFIRMED = "confirmed"
    DENIED = "denied"  # a digest that must not serve again
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    REFUSED = "refused"
    CONCLUDED = "concluded"


class Change(Word):
    """Say why a deployment record was written."""

    PROMOTION = "promotion"
    ROLLBACK = "rollback"


class Outcome(Word):
    """Say how a retraining run ended."""

    PROMOTED = "promoted"
    DECLINED = "declined"  # a gate said no, or there was too little evidence
    DATA_REFUSED = "data_refused"
    DRY_RUN = "dry_run"
    PROMOTION_REFUSED = "promotion_refused"
    BROKEN = "broken"
