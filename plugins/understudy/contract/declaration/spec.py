"""``model.yaml`` as a type: six lines are enough, everything else has a default."""

import re
from typing import Any

from pydantic import Field, field_validator, model_validator

from understudy.contract.declaration.alerts import AlertsSpec
from understudy.contract.declaration.canary import CanarySpec
from understudy.contract.declaration.cron import cron_problem
from understudy.contract.declaration.data import ChecksSpec, DataSpec
from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.declaration.gates import Gate
from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.declaration.promotion import PromotionSpec
from understudy.contract.declaration.serving import GuardSpec, ServingSpec, ShadowSpec
from understudy.contract.declaration.train import EvaluateSpec, RuntimeSpec, SplitSpec, TrainSpec
from understudy.contract.declared import (
    DRILL_MODEL,
    MODEL_NAME,
    Declared,
    Duration,
    PositiveDuration,
    format_duration,
    parse_duration,
    sha256_of,
)
from understudy.contract.metrics import METRICS
from understudy.contract.suggest import nearest
from understudy.contract.words import MlTask, StageName, Watched

NAME = re.compile(MODEL_NAME)


class RetrainSpec(Declared):
    """Say when to retrain."""

    schedule: str | None = None
    """A cron expression of five fields; only manual runs when absent."""
    timezone: str = "UTC"
    """The time zone of the schedule."""
    timeout: PositiveDuration = Field(default_factory=lambda: parse_duration("24h"))
    """How long the work of a run may take before it is failed; its waits for live traffic and people are added."""
    retries: int = Field(default=2, ge=0, le=10)
    """How often a broken task is tried again; refusals are never tried again."""
    drift: bool = True
    """Whether drift that a monitor saw makes a retraining due."""
    quality: bool = True
    """Whether lost quality that a monitor saw makes a retraining due."""
    new_labels: int | None = Field(default=None, ge=1)
    """How many new labelled rows make a retraining due; not asked about when absent."""
    max_age: PositiveDuration | None = None
    """How old the champion's newest training row may become before a retraining is due."""
    cooldown: Duration = Field(default_factory=lambda: parse_duration("1d"))
    """How long after a retraining no monitor asks for the next one."""
    min_new_labels: int = Field(default=0, ge=0)
    """With fewer new labelled rows than this, a monitor asks for no retraining, whatever it saw."""
    max_per_week: int = Field(default=7, ge=1, le=1000)
    """The most retrainings that monitors may ask for within seven days."""

    @field_validator("schedule")
    @classmethod
    def _readable_by_airflow(cls, schedule: str | None) -> str | None:
        problem = cron_problem(schedule) if schedule is not None else None
        if problem:
            raise ValueError(problem)
        return schedule

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, timezone: str) -> str:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:  # OSError: a folder of zones, such as Europe
            raise ValueError(f"{timezone!r} is not a time zone; write for example UTC or Europe/Berlin") from unknown
        return timezone


class ModelSpec(Declared):
    """Declare one model."""

    model: str = Field(json_schema_extra={"pattern": MODEL_NAME})
    """The name, as in the registry and in retrain__<name>: lower case, digits, underscores."""
    owner: str = Field(min_length=1, max_length=100)
    """The team to call."""
    task: MlTask
    """What kind of target is predicted."""
    description: str = ""
    """What the model is for; shown on its DAG's page."""
    tags: tuple[str, ...] = ()
    """Further tags of its DAGs."""
    runbook: str | None = None
    """A link for the person on call."""
    data: DataSpec
    """What to read."""
    checks: ChecksSpec = ChecksSpec()
    """When a window may be trained on."""
    split: SplitSpec = SplitSpec()
    """Which rows no training sees."""
    train: TrainSpec = TrainSpec()
    """How the challenger is made."""
    evaluate: EvaluateSpec = EvaluateSpec()
    """How it is compared."""
    gates: tuple[Gate, ...] = Field(min_length=1)
    """What it must pass; the first gate's metric is the primary one, which trials optimise."""
    retrain: RetrainSpec = RetrainSpec()
    """When to retrain."""
    serving: ServingSpec | None = None
    """How gateways serve it; a batch model when absent."""
    shadow: ShadowSpec | None = None
    """What a challenger must show on live traffic before its promotion; no rehearsal when absent."""
    canary: CanarySpec | None = None
    """Which callers a challenger answers before its promotion; none when absent."""
    promotion: PromotionSpec = PromotionSpec()
    """Who lets a blessed challenger become champion."""
    guard: GuardSpec | None = None
    """What a new champion must keep up after its promotion; no probation when absent."""
    monitor: MonitorSpec | None = None
    """How the champion is watched from then on; nobody watches it when absent."""
    alerts: AlertsSpec = AlertsSpec()
    """Who is told of what happens to it."""
    runtime: RuntimeSpec = RuntimeSpec()
    """In what all stages run."""
    stages: dict[StageName, RuntimeSpec] = Field(default_factory=dict)
    """In what single stages run, where it differs."""

    @field_validator("model")
    @classmethod
    def _usable_name(cls, model: str) -> str:
        if not NAME.fullmatch(model):
            raise ValueError(
                f"{model[:80]!r} cannot name a model; write up to 63 lower case letters, digits and underscores, "
                "a letter first"
            )
        if model == DRILL_MODEL:
            raise ValueError(f"{model!r} is where the rollback drill ships its bad models; choose another name")
        return model

    @field_validator("task", mode="before")
    @classmethod
    def _known_task(cls, task: Any) -> Any:
        if isinstance(task, str) and task not in {t.value for t in MlTask}:
            raise ValueError(f"{task!r} is not a task{nearest(task, [t.value for t in MlTask])}")
        return task

    @model_validator(mode="after")
    def _known_estimator(self) -> "ModelSpec":
        known = estimators_for(self.task)
        if self.train.trainer is None and self.train.estimator not in known:
            name = self.train.estimator
            raise ValueError(f"train.estimator: {name!r} is unknown for {self.task}{nearest(name, known)}")
        return self

    @model_validator(mode="after")
    def _gates_fit_the_task(self) -> "ModelSpec":
        for index, gate in enumerate(self.gates):
            at = f"gates[{index}].metric"
            if self.task not in METRICS[gate.metric].tasks:
                fitting = ", ".join(m.name for m in METRICS.values() if self.task in m.tasks)
                raise ValueError(f"{at}: {gate.metric} does not fit {self.task}; one of: {fitting}")
            if gate.metric == "value" and self.evaluate.value is None:
                raise ValueError(f"{at}: value needs evaluate.value, which says what an answer is worth")
            if gate.metric == "parity_gap" and not self.evaluate.fairness:
                raise ValueError(f"{at}: parity_gap needs evaluate.fairness, the columns to compare")
            if METRICS[gate.metric].is_quality and gate.min_rows > self.evaluate.max_rows:
                raise ValueError(
                    f"gates[{index}].min_rows: {gate.min_rows:,} can never be reached, as evaluate.max_rows thins the "
                    f"holdout to {self.evaluate.max_rows:,}; ask for less, or raise that"
                )
        if not METRICS[self.primary].is_quality:
            raise ValueError(
                f"gates[0].metric: the first gate is the primary one and must measure quality, not {self.primary}"
            )
        if len({gate.metric for gate in self.gates}) < len(self.gates):
            raise ValueError("gates: a metric is named twice; put all bounds of one metric into one gate")
        return self

    @model_validator(mode="after")
    def _slices_are_kept(self) -> "ModelSpec":
        for field, columns in (("slices", self.evaluate.slices), ("fairness", self.evaluate.fairness)):
            for index, column in enumerate(columns):
                for kind in ("pii", "forbidden"):
                    if column in getattr(self.data.classes, kind):
                        raise ValueError(
                            f"evaluate.{field}[{index}]: {column!r} is also in data.classes.{kind}, so no evaluation "
                            f"can see it; {'declare it in data.classes.sensitive' if kind == 'pii' else 'remove it'}"
                        )
        return self

    @model_validator(mode="after")
    def _split_fits_the_data(self) -> "ModelSpec":
        is_dated, is_random = self.data.time is not None, self.split.method == "random"
        if is_dated and is_random:
            raise ValueError("split.method: random is refused for dated data: test with future data; use time")
        if not is_dated and not is_random:
            raise ValueError("split.method: time needs data.time; write method: random if the rows have no dates")
        for name in ("holdout", "validation") if not is_dated else ():
            if not getattr(self.split, name).endswith("%"):
                raise ValueError(f"split.{name}: must be a share such as 20% where data.time is absent")
        return self

    @model_validator(mode="after")
    def _only_what_is_served_is_watched(self) -> "ModelSpec":
        for name in ("shadow", "canary", "guard"):
            if getattr(self, name) is not None and self.serving is None:
                raise ValueError(f"{name}: needs live traffic, and the model is not served; add serving: {{}}")
        if self.canary is not None and self.serving is not None and self.serving.target is not None:
            raise ValueError(
                "canary: only our gateways split callers between versions; remove canary, or remove serving.target"
            )
        return self

    @model_validator(mode="after")
    def _the_log_reaches_back_far_enough(self) -> "ModelSpec":
        monitor, serving = self.monitor, self.serving
        if (
            monitor is None
            or serving is None
            or serving.target is not None
            or monitor.of not in {None, Watched.GATEWAY}
        ):
            return self
        needed = monitor.window + self.data.label_delay
        if needed > serving.keep_log:
            raise ValueError(
                f"serving.keep_log: {format_duration(serving.keep_log)} is too short: a look needs "
                f"{format_duration(needed)} of the log, monitor.window and data.label_delay together"
            )
        return self

    @property
    def primary(self) -> str:
        """Name the metric that trials optimise and references are compared by."""
        return self.gates[0].metric

    def runtime_of(self, stage: StageName, deployment: RuntimeSpec) -> RuntimeSpec:
        """Resolve in what a stage runs: the stage's own settings, then the model's, then the deployment's."""
        return self.stages.get(stage, RuntimeSpec()).over(self.runtime).over(deployment)

    def digest(self) -> str:
        """Digest the declaration, defaults included."""
        return sha256_of(self.model_dump(mode="json"))
