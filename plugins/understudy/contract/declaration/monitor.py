"""How a champion is watched after its probation, and what makes a retraining due."""

from pydantic import Field, field_validator, model_validator

from understudy.contract.declaration.cron import cron_problem
from understudy.contract.declaration.safe_path import SafePath
from understudy.contract.declared import Declared, PositiveDuration, parse_duration
from understudy.contract.words import Watched


class RowsSpec(Declared):
    """Say where rows lie: in files, or in a database through an Airflow connection."""

    source: SafePath | None = None
    """A file or glob of CSV or Parquet; relative paths start at the project."""
    query: str | None = Field(default=None, min_length=1)
    """Instead of source: SQL that selects the rows; {start} and {end} are bound to the window."""
    connection: str | None = None
    """The Airflow connection of the query."""

    @model_validator(mode="after")
    def _one_way_in(self) -> "RowsSpec":
        if (self.source is None) == (self.query is None):
            raise ValueError("give either source (a file or glob) or query (SQL), not both and not neither")
        if (self.query is None) != (self.connection is None):
            raise ValueError("query and connection, the id of an Airflow connection, belong together")
        return self


class ScoredSpec(RowsSpec):
    """Say where a batch job leaves the rows that it has scored, with their features."""

    time: str
    """The column that says when a row was scored."""
    prediction: str
    """The column that holds the answer."""
    probability: str | None = None
    """For two classes: the column that holds the probability of the second one."""
    version: str | None = None
    """The column that names the model version; all rows count as the champion's when absent."""


class LabelsSpec(RowsSpec):
    """Say where labels arrive that nobody sends to a gateway."""

    id: str = "client_id"
    """The column that names the request (X-Request-Id), or the row's key where nothing is served."""
    row: str | None = None
    """The column with the place of the row within its request; the first when absent."""
    label: str = "label"
    """The column that holds what turned out to be true."""


class MonitorSpec(Declared):
    """Say how the champion is watched: on what, how often, and how far its data may move."""

    schedule: str = "0 * * * *"
    """When to look: a cron expression of five fields."""
    timezone: str = "UTC"
    """The time zone of the schedule."""
    of: Watched | None = None
    """What is watched: gateway, scored or data; the gateway where the model is served, else scored rows, else data."""
    scored: ScoredSpec | None = None
    """Where scored rows lie."""
    labels: LabelsSpec | None = None
    """Where labels arrive as files or in a table."""
    window: PositiveDuration = Field(default_factory=lambda: parse_duration("7d"))
    """How far back a look goes."""
    min_rows: int = Field(default=300, ge=50)
    """Fewer rows than this decide nothing."""
    min_distance: float = Field(default=0.1, gt=0, lt=1)
    """The smallest movement of a column that counts, whatever its own history says."""
    drift_share: float = Field(default=0.3, gt=0, le=1)
    """The share of the columns' importance that has to have moved."""
    looks: int = Field(default=2, ge=1, le=50)
    """How many looks in a row, at different windows, have to see drift before a retraining is due."""
    max_false_alarms: float = Field(default=0.02, ge=0, le=0.5)
    """The share of windows without any change that may look like drift; measured on the champion's own data."""
    skew: bool = False
    """Whether requests are compared with the source's rows of the same time (train/serve skew); for gateways."""
    min_loss: float = Field(default=0.02, gt=0)
    """The smallest rise of the mean loss that counts as lost quality."""
    alpha: float = Field(default=0.002, gt=0, lt=0.5)
    """The accepted risk, in one look, of calling quality lost that is not; looks are many."""

    @field_validator("schedule")
    @classmethod
    def _readable_by_airflow(cls, schedule: str) -> str:
        problem = cron_problem(schedule)
        if problem:
            raise ValueError(problem)
        return schedule
