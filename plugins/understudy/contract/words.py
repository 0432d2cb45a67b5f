"""Name every closed set once."""

from enum import Enum, IntEnum


class Word(str, Enum):
    """Print as its value (``enum.StrEnum`` needs Python 3.11)."""

    __str__ = str.__str__

    @property
    def spoken(self) -> str:
        """Write it as people write it."""
        return str(self).replace("_", " ")


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
    SHADOW = "shadow"
    CANARY = "canary"


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
    DRIFT = "drift"
    QUALITY = "quality"
    REPLAY = "replay"
    LABELS = "labels"


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
    REHEARSED = "rehearsed"  # what a challenger showed on live traffic
    CANARIED = "canaried"  # what a challenger showed while it answered a share of the callers
    CANARY_LAPSED = "canary_lapsed"  # a gateway that nobody reached gave a canary's callers back by itself
    GUARDED = "guarded"  # what a new champion showed in its probation
    DRILLED = "drilled"  # how soon a bad model was found out and taken back in the sandbox
    BROKE_GLASS = "broke_glass"  # a version that was taken back at a gateway while the ledger could not be asked
    REPLAYED = "replayed"  # what retraining policies would have done to the model's own past
    LABELLED = "labelled"  # labels that arrived as files or in a table and were handed to the gateways
    MONITORED = "monitored"  # what a look at the champion's live data saw, and whether a retraining is due
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    HELD = "held"  # a person keeps a model from being promoted
    RELEASED = "released"
    APPROVAL_ASKED = "approval_asked"
    APPROVAL_ANSWERED = "approval_answered"
    REFUSED = "refused"
    CONCLUDED = "concluded"


class AlertKind(Word):
    """Say what people are told about without asking."""

    REFUSED = "refused"  # data, a challenger or a promotion; the champion stays
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"  # a champion was to be taken back, and it is not certain that it was
    DRIFT = "drift"
    INCONCLUSIVE = "inconclusive"  # several looks or retrainings in a row that could not decide
    GATEWAY_DEAD = "gateway_dead"
    CHAMPION_STALE = "champion_stale"
    SPEC_BROKEN = "spec_broken"
    SCHEDULE_MISSED = "schedule_missed"
    RUN_BROKEN = "run_broken"
    APPROVAL_WAITS = "approval_waits"
    APPROVAL_REMINDER = "approval_reminder"  # it still waits, and no answer in time counts as a no
    ANSWER_VOID = "answer_void"  # somebody answered in a way that does not count, and may not know it
    LEDGER_UNREADABLE = "ledger_unreadable"  # it does not answer: nothing is promoted, taken back or recorded
    LEDGER_BROKEN = "ledger_broken"  # an entry cannot be what was written

    @property
    def severity(self) -> "Severity":
        """Say how soon somebody has to look."""
        return _SEVERITIES[self]


class Severity(Word):
    """Say how soon somebody has to look, in PagerDuty's words."""

    CRITICAL = "critical"  # callers may get wrong answers, or none, right now
    ERROR = "error"  # something is broken and does not repair itself
    WARNING = "warning"  # a guard did its work
    INFO = "info"


_SEVERITIES = {
    AlertKind.REFUSED: Severity.WARNING,
    AlertKind.ROLLED_BACK: Severity.ERROR,
    AlertKind.ROLLBACK_FAILED: Severity.CRITICAL,
    AlertKind.DRIFT: Severity.WARNING,
    AlertKind.INCONCLUSIVE: Severity.WARNING,
    AlertKind.GATEWAY_DEAD: Severity.CRITICAL,
    AlertKind.CHAMPION_STALE: Severity.WARNING,
    AlertKind.SPEC_BROKEN: Severity.ERROR,
    AlertKind.SCHEDULE_MISSED: Severity.ERROR,
    AlertKind.RUN_BROKEN: Severity.ERROR,
    AlertKind.APPROVAL_WAITS: Severity.INFO,
    AlertKind.APPROVAL_REMINDER: Severity.WARNING,
    AlertKind.ANSWER_VOID: Severity.WARNING,
    AlertKind.LEDGER_UNREADABLE: Severity.CRITICAL,
    AlertKind.LEDGER_BROKEN: Severity.CRITICAL,
}


class LinkKind(Word):
    """Say what a decision card points to."""

    DAG_RUN = "dag_run"
    REPORT = "report"  # the evaluation's report, kept with the version in MLflow
    LOOK_REPORT = "look_report"  # what a look that found something wrote about drift or quality, kept there too
    MODEL_VERSION = "model_version"
    DATA_VERSION = "data_version"
    WINDOW = "window"  # the rows that a look compared, which are kept under no version
    RUN = "run"  # the run's folder in the workspace


class Lacking(Word):
    """Say what a question needs more of before it can be answered."""

    REQUESTS = "requests"
    LABELS = "labels"
    BLOCKS = "finished blocks"  # of time, each with labelled rows


class Change(Word):
    """Say why a deployment record was written."""

    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    MIRROR_STARTED = "mirror_started"  # the champion stays; another version answers the same requests unseen
    MIRROR_ENDED = "mirror_ended"
    CANARY_STARTED = "canary_started"  # the champion stays; another version answers a share of its callers
    CANARY_STEPPED = "canary_stepped"
    CANARY_ENDED = "canary_ended"

    @property
    def moves_champion(self) -> bool:
        """Tell a change of the champion from one beside it."""
        return self in {Change.PROMOTION, Change.ROLLBACK}

    @property
    def widens_canary(self) -> bool:
        """Tell a change that gives callers to another version than the champion."""
        return self in {Change.CANARY_STARTED, Change.CANARY_STEPPED}

    @property
    def is_held(self) -> bool:
        """Tell a change that a hold forbids: one that lets a challenger answer callers."""
        return self is Change.PROMOTION or self.widens_canary


class PromotionMode(Word):
    """Say who lets a blessed challenger become champion."""

    AUTO = "auto"  # whoever passes every question
    APPROVAL = "approval"  # people, after it has passed


class Answer(Word):
    """Say what became of a question to a person."""

    APPROVED = "approved"
    REJECTED = "rejected"
    VOID = "void"  # answered in a way that does not count, so it is asked again


class Action(Word):
    """Name what a person may do to a model beside rolling it back: a DAG and a command each."""

    HOLD = "hold"
    RELEASE = "release"
    LOCK = "lock"
    UNLOCK = "unlock"
    STOP_SHADOW = "stop_shadow"

    @property
    def is_about_a_version(self) -> bool:
        """Tell an action on one version from one on the model."""
        return self in {Action.LOCK, Action.UNLOCK}


class CanaryMode(Word):
    """Say how a challenger answers callers before its promotion."""

    CANARY = "canary"  # a share that rises step by step
    AB = "ab"  # one share for a fixed time


class Role(Word):
    """Say in which role a version answered a request."""

    CHAMPION = "champion"
    SHADOW = "shadow"
    STANDBY = "standby"  # the previous champion, while the champion's process was gone
    CANARY = "canary"  # a challenger, for its share of the keys
    BASELINE = "baseline"  # a fresh copy of the champion, for as many keys as the canary has
    ASKED = "asked"  # a caller named this version, and it is not the champion
    PROBE = "probe"  # nobody's request: one that checks which version answers


class Capability(Word):
    """Say what a place that serves models offers beyond serving them."""

    REHEARSAL = "rehearsal"  # it mirrors requests to a second version and reports on both


class MirrorLoss(Word):
    """Say why a request has no answer of a mirror, of a canary or of its baseline."""

    QUEUE_FULL = "queue_full"
    DOWN = "down"
    TIMEOUT = "timeout"
    FAILED = "failed"  # it answered with an error


class Confinement(Word):
    """Name what a scoring process is held to; on some systems it cannot be held to all of it."""

    MEMORY = "a memory limit"
    NO_NETWORK = "no network"
    NO_WRITING_TO_FILES = "no writing to files"
    NO_WRITING = "no writing"  # nor removing, renaming, or changing anything else on a disk
    NO_PROGRAMS = "no other programs"
    NO_SIGNALS = "no signals to others"
    NO_PRIVILEGES = "no new privileges"
    NO_ROOT = "no rights of root"
    NO_CORE_DUMPS = "no core dumps"
    FIRST_TO_GO = "killed first when memory is short"


class Outcome(Word):
    """Say how a retraining run ended."""

    PROMOTED = "promoted"
    DECLINED = "declined"  # a gate said no, or there was too little evidence
    UNCHANGED = "unchanged"  # the same rows made the champion's files once more
    DATA_REFUSED = "data_refused"
    DRY_RUN = "dry_run"
    PROMOTION_REFUSED = "promotion_refused"
    ROLLED_BACK = "rolled_back"  # promoted, and taken back by the guard
    REJECTED = "rejected"  # blessed, and a person said no or nobody answered in time
    HELD_BACK = "held_back"  # an event asked for what an earlier run had done already
    HELD = "held"  # blessed, and not promoted because a person holds the model
    BROKEN = "broken"


class Watched(Word):
    """Say where a monitor finds what a champion was asked and what it answered."""

    GATEWAY = "gateway"  # the prediction log, with the labels that came later
    SCORED = "scored"  # rows that a batch job has scored
    DATA = "data"  # new rows of the source alone; the champion is asked by the monitor


class Trigger(Word):
    """Say why a model is retrained."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    EXTERNAL = "external"  # somebody else's event on the model's asset
    DRIFT = "drift"
    QUALITY = "quality"
    NEW_LABELS = "new_labels"
    STALENESS = "staleness"
    BACKFILL = "backfill"


class PolicyKind(Word):
    """Name the ways to decide when to retrain that a replay can play."""

    NEVER = "never"
    EVERY = "every"  # at every step
    SCHEDULE = "schedule"
    DRIFT = "drift"
    QUALITY = "quality"
    HYBRID = "hybrid"  # everything that the declaration lets a monitor act on


class ReplayPart(Word):
    """Name the pieces of work of a replay, each a container of its own."""

    TRAIN = "train"  # the trainings of some cut-offs
    WALK = "walk"  # one policy through the whole history
    REPORT = "report"  # what the walks have in common, and what to recommend


class Takeover(Word):
    """Say when a replayed training takes over from the model before it."""

    GATES = "gates"  # when the declared gates pass, as in a retraining run
    ALWAYS = "always"


class DistanceMethod(Word):
    """Say how the distance between two samples of a column is measured, in Evidently's words."""

    WASSERSTEIN = "wasserstein"  # numbers: in standard deviations of the reference
    JENSEN_SHANNON = "jensenshannon"  # levels: the root of the divergence in nats


class LiveColumn(Word):
    """Name the columns that a table of live rows has beside the source's own; each may be absent."""

    AT = "__at"  # when the row was asked or scored; the source's time column stands in for it
    PREDICTION = "__prediction"  # what was answered
    PROBABILITY = "__probability"  # for two classes: of the second one
    VERSION = "__version"  # the model version that answered; rows of another version are left out
    LABEL_AT = "__label_at"  # when the label arrived; the label itself is in the target's column, empty while unknown
