"""What gateways and those who steer them say to each other. The paths are those of the gateway's admin API."""

from datetime import datetime
from itertools import zip_longest

from pydantic import AwareDatetime, Field

from understudy.contract.break_glass import BrokenGlass
from understudy.contract.canary_lease import CanaryLapse
from understudy.contract.confinement import unconfined_sentence
from understudy.contract.declaration.canary import CanarySpec
from understudy.contract.declaration.serving import ServingSpec
from understudy.contract.declared import Fact
from understudy.contract.release import Bundle, Deployment
from understudy.contract.words import Confinement, MirrorLoss, MlTask, Role


class ServingTerms(Fact):
    """Say under which terms a model is served: what of its declaration a gateway has to know."""

    task: MlTask
    serving: ServingSpec
    pii: tuple[str, ...] = ()
    """Columns that never reach the log."""
    allow_pickle: bool = False
    canary_lease_s: float = Field(default=CanarySpec().lease.total_seconds(), gt=0)
    """How long a canary answers callers at a gateway that nobody reaches who could end it."""


class ServingOrder(Fact):
    """Order a gateway to serve a record: ``PUT /admin/models/{model}/record``.

    200 with an :class:`Acknowledgement` once every new answer comes from the record's champion; repeated, the same.
    409 where the gateway serves a newer epoch. 422 where a version cannot be loaded, verified or warmed up: what
    served goes on serving. 424 where the files of a version are not at the gateway: upload them first.
    """

    record: Deployment
    terms: ServingTerms


class PrepareOrder(Fact):
    """Order a gateway to load a version and keep it warm: ``POST /admin/models/{model}/prepare``; 200, 422 or 424."""

    bundle: Bundle
    terms: ServingTerms


class Acknowledgement(Fact):
    """Confirm that a gateway serves a record."""

    gateway: str
    """The gateway's name, different for each replica."""
    model: str
    epoch: int
    version: int
    flip_ms: float
    """From the order's arrival to the first moment when all new answers are the new version's."""


class Lagging(Fact):
    """Say that a gateway does not serve what it should, and why."""

    gateway: str
    """Its base URL."""
    problem: str
    epoch: int | None = None
    """What it serves instead, where that is known."""


class Confirmation(Fact):
    """Say which gateways serve a record and which do not."""

    acks: tuple[Acknowledgement, ...]
    lagging: tuple[Lagging, ...]


class Problem(Fact):
    """Answer an admin request that was refused: one sentence with a way out."""

    problem: str
    missing: int | None = None
    """With 424: the version whose files are needed."""


class WorkerStatus(Fact):
    """Describe the scoring process of a version."""

    version: int
    role: Role
    pid: int | None
    """Its number at the gateway; None where there is none, and where it is in a container."""
    container: str | None = None
    """The engine's id of the container that it is in."""
    is_ready: bool
    restarts: int
    rss_bytes: int | None
    queued: int
    problem: str | None = None
    not_held: tuple[Confinement, ...] = ()
    """What its machine cannot hold it to."""


class LabelAccounts(Fact):
    """Count the labels that a gateway keeps of a model by what became of them; every label is counted once.

    Each of several replicas is given all labels and finds only the rows that it answered itself; there, the others'
    labels are unmatched.
    """

    given: int = 0
    matched: int = 0
    """Rows that have a label."""
    duplicate: int = 0
    """Labels that say again what the one before has said of the row."""
    contradictory: int = 0
    """Labels that say something else than the one before; the last one counts."""
    late: int = 0
    """Labels of requests that are older than the oldest prediction that is still kept."""
    unmatched: int = 0
    """Labels of rows that are not in the log: of another replica, another model, or nobody's."""


class ModelStatus(Fact):
    """Describe a model at a gateway: ``GET /admin/models/{model}``."""

    gateway: str
    model: str
    epoch: int
    """0 where nothing serves."""
    version: int | None
    canary: int | None = None
    canary_share: float = 0.0
    workers: tuple[WorkerStatus, ...]
    log_problem: str | None = None
    rows_lost: int = 0
    """Predictions that could not be logged since the gateway started."""
    labels: LabelAccounts | None = None
    """As last counted, every few minutes; None before the first time."""
    broken_glass: BrokenGlass | None = None
    """What was taken back here by break-glass and is not in the ledger yet."""
    lapse: CanaryLapse | None = None
    """The canary that ended here by itself and that the ledger does not know of yet."""

    @property
    def unconfined(self) -> tuple[str, ...]:
        """Say what the process of each version is not held to, where it cannot be held to everything."""
        return tuple(unconfined_sentence(w.version, w.role, w.not_held) for w in self.workers if w.not_held)


class TruthReport(Fact):
    """Tell a gateway how its follower gets on: ``PUT /admin/truth``; shown by ``GET /health``.

    200 with an :class:`Unreported`: what the follower has to tell the ledger.
    """

    at: datetime
    problem: str | None
    canaries: dict[str, int] = Field(default_factory=dict)
    """The records by model that give a canary its callers, by their epochs: what the ledger says at this moment."""


class Unreported(Fact):
    """Name what a gateway did alone and the ledger does not know of."""

    broken: tuple[BrokenGlass, ...] = ()
    lapsed: tuple[CanaryLapse, ...] = ()


class RehearsalQuery(Fact):
    """Ask what the log says of two versions: ``POST /admin/models/{model}/rehearsal``, answered by a report."""

    champion_version: int
    mirror_version: int
    since: AwareDatetime
    block_s: int = Field(ge=1)


class RowsQuery(Fact):
    """Ask for what a version was asked and answered: ``POST /admin/models/{model}/rows``, answered by Parquet."""

    version: int
    since: AwareDatetime
    until: AwareDatetime
    labelled_since: AwareDatetime | None = None
    """Labels of rows that are newer are counted as new ones; all are when absent."""
    limit: int = Field(default=1_000_000, ge=1, le=10_000_000)
    """Of more rows, a sample is sent that is the same each time."""


class LoggedRows(Fact):
    """Count the rows of a :class:`RowsQuery`: all of them, however many were sent."""

    gateway: str
    rows: int
    labelled_rows: int
    new_labels: int
    written_rows: int


def added(some: tuple[int, ...], others: tuple[int, ...]) -> tuple[int, ...]:
    """Add counts place by place; a place that one of them lacks has nothing in it."""
    return tuple(a + b for a, b in zip_longest(some, others, fillvalue=0))


class Tally(Fact):
    """Count what one version did.

    ``score_ms`` counts answers by the upper edges of :data:`LATENCY_EDGES_MS`, and only those to requests that both
    versions scored in batches of the same size, because a request costs less in a larger batch.
    """

    requests: int = 0
    errors: int = 0
    score_ms: tuple[int, ...] = ()
    """One more than there are edges: the last counts everything slower."""
    rss_bytes: int | None = None

    def plus(self, other: "Tally") -> "Tally":
        """Add what another gateway counted."""
        sizes = [size for size in (self.rss_bytes, other.rss_bytes) if size is not None]
        return Tally(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            score_ms=added(self.score_ms, other.score_ms),
            rss_bytes=max(sizes, default=None),
        )


class LossBlock(Fact):
    """Sum the losses of the labelled rows of one time block, each row answered by both versions."""

    start: datetime
    rows: int
    champion_loss: float
    mirror_loss: float


class RehearsalReport(Fact):
    """Compare two versions on the same live requests; reports of several gateways can be added.

    The loss of a row is the Brier score over the classes where there are probabilities, else 0 or 1 for classes, and
    the absolute error for numbers.
    """

    model: str
    champion_version: int
    mirror_version: int
    gateways: tuple[str, ...]
    since: datetime
    until: datetime
    champion: Tally
    mirror: Tally
    unpaired: dict[MirrorLoss, int] = Field(default_factory=dict)
    """Mirrored requests that have no usable answer of the mirror, by reason."""
    pairs: int
    """Requests that both versions answered."""
    rows: int
    agreeing_rows: int
    score_edges: tuple[float, ...] = ()
    champion_scores: tuple[int, ...] = ()
    """Rows by score: the probability of the last class, or the number itself; one more than there are edges."""
    mirror_scores: tuple[int, ...] = ()
    blocks: tuple[LossBlock, ...] = ()
    """By start; a gateway's blocks and another's of the same start add up."""


LATENCY_EDGES_MS = tuple(round(0.1 * 1.3**step, 4) for step in range(44))
"""Edges 30% apart, from 0.1 ms to 8 s: fine enough for a ratio of 95th percentiles, small enough to add up."""
