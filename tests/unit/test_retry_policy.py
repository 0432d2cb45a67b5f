"""What trying again cannot heal fails at once; what may heal, and what nobody foresaw, is tried again."""

from datetime import datetime, timezone
from pathlib import Path

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy
from airflow.sdk.exceptions import AirflowFailException

from understudy.contract.errors import SpecProblem, UnderstudyError, UnknownModel
from understudy.contract.replay.plan import HistoryTooShort, NoTime
from understudy.contract.replay.policies import UnknownPolicy
from understudy.contract.target_class import TargetUnusable
from understudy.contract.words import Action
from understudy.dag_factory import HEALS, NEVER_HEALS, retry_policy
from understudy.hooks.credentials import ConnectionUnknown
from understudy.hooks.data.errors import DataRegistryBusy, StoreUnreachable
from understudy.hooks.data.sources import (
    SourceNotFound,
    SourceOutOfBounds,
    SourceUnreadable,
    SourceUnsupported,
    find_sources,
)
from understudy.hooks.errors import (
    DigestDenied,
    EpochConflict,
    LedgerDamaged,
    LedgerUnavailable,
    NothingServes,
    Refused,
)
from understudy.hooks.places.errors import CannotRehearse, TargetRefused, TargetUnreachable
from understudy.hooks.places.gateway_errors import (
    FilesMissingAtGateway,
    GatewayIsAhead,
    GatewayLagging,
    GatewayRefused,
    GatewayTokenRefused,
    GatewayUnreachable,
)
from understudy.hooks.places.serving_terms import NotServed
from understudy.hooks.registry.errors import (
    ArtefactTampered,
    NotAModel,
    RegistryRefused,
    RegistryUnavailable,
    UnknownVersion,
)
from understudy.hooks.search import EveryTrialLost
from understudy.operators.errors import ActRefused, PromotionRefused, RollbackRefused, WindowRefused
from understudy.operators.stage_errors import (
    BadMoment,
    InputUnusable,
    ResultUnusable,
    StageBroken,
    StageOutOfMemory,
    StageRefused,
    StageTimedOut,
    StageVanished,
)
from understudy.runners.errors import (
    DiskFull,
    EngineForbidden,
    EngineRefused,
    EngineUnreachable,
    GpuUnavailable,
    ImageMissing,
    ImageWithoutEntryPoint,
    InputGone,
    JobGone,
    LinkLeadsOut,
    NetworkMissing,
    NoEngineBehindProxy,
    ResultMissing,
    ResultTooLarge,
    StartFailed,
    TooManyCpus,
    WorkspaceNotOnDaemon,
)

FILE = Path("models/churn/rows.parquet")
NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)
CANNOT_HEAL = [
    UnknownModel("chrun", ["churn"], Path("models")),
    SpecProblem(Path("models/churn/model.yaml"), 3, "train.budget", "is no number"),
    TargetUnusable("acme.serving:Target", "it lacks forget"),
    NotServed("churn"),
    SourceOutOfBounds("data.source", "/etc/passwd", Path("/etc/passwd"), "/data"),
    SourceUnsupported("data.source", "ftp://x/rows.csv", "ftp://"),
    EveryTrialLost("churn", 4, ["train.params.max_dept: no such parameter"]),
    EveryTrialLost("churn", 4),
    ImageWithoutEntryPoint("acme/stage:1", "has no label org.understudy.stage"),
    GpuUnavailable(2, "could not select device driver"),
    TooManyCpus(64, "Range of CPUs is from 0.01 to 2.00"),
    LinkLeadsOut("rows", Path("models/churn/code"), "/etc"),
    ResultTooLarge("train", 9_000_000, 1_000_000),
    NoTime("churn"),
    HistoryTooShort("churn", NOW, NOW, "there is one day of rows"),
    UnknownPolicy("dialy", "'dialy' is not known"),
    LedgerDamaged(7, "was changed after it was written"),
    DigestDenied("churn", 4, "0" * 64, "answers nonsense"),
    NothingServes("churn"),
    TargetRefused("Gateway g", "it is full"),
    GatewayRefused("http://g", "the model cannot be loaded"),
    CannotRehearse("acme"),
    UnknownVersion("churn", 4),
    NotAModel("churn", "models holds no MLmodel file"),
    ArtefactTampered("churn", 4, "0" * 64, "1" * 64),
]
MAY_HEAL = [
    SourceNotFound("data.source", "rows.parquet", FILE),
    SourceUnreadable("data.source", FILE),
    ConnectionUnknown("sagemaker", "the API server is down"),
    StoreUnreachable("s3://rows", "timed out"),
    DataRegistryBusy("data.git", 5),
    EpochConflict("churn", 3, 4),
    GatewayIsAhead("http://g", "epoch 4"),
    LedgerUnavailable("postgresql://ledger", "does not answer", "Start it."),
    TargetUnreachable("acme", "timed out"),
    GatewayUnreachable("http://g", "timed out"),
    GatewayTokenRefused("http://g"),
    GatewayLagging("churn", 4, 2, []),
    FilesMissingAtGateway("http://g", "churn", 2),
    RegistryUnavailable("http://mlflow", "timed out"),
    RegistryRefused("http://mlflow", "the experiment 'churn' was deleted"),
    EngineUnreachable("connection refused"),
    NoEngineBehindProxy("503"),
    EngineForbidden("permission denied"),
    EngineRefused("something else"),
    ImageMissing("acme/stage:2"),
    NetworkMissing("team"),
    WorkspaceNotOnDaemon("bind source path does not exist"),
    DiskFull("no space left on device"),
    InputGone("data.parquet", FILE, "does not exist"),
    ResultMissing("train"),
    JobGone("c1"),
    StartFailed("train", "too many processes"),
    StageBroken("train", 1, "ValueError: no luck"),
    StageVanished("train"),
    StageTimedOut("train", "1h"),
    ResultUnusable("train", "it answers for stage 'trial'"),
]
REFUSED_AS_SUCH = [
    WindowRefused("churn", "too few rows", "quarantine"),
    StageRefused("train", "column 'up' is all null", "data.target"),
    StageOutOfMemory("train", "2g"),
    InputUnusable("data.parquet", "it does not exist"),
    BadMoment("soon"),
    PromotionRefused("churn", 4, "It is locked."),
    ActRefused(Action.LOCK, "churn", "It is locked already."),
    RollbackRefused("churn", "nothing to go back to"),
]


def action(error: BaseException) -> RetryAction:
    """Ask the policy as a worker has it: read back from what the DAG was stored as."""
    return ExceptionRetryPolicy.deserialize(retry_policy().serialize()).evaluate(error, 1, 3).action


@pytest.mark.parametrize("error", CANNOT_HEAL, ids=lambda error: type(error).__name__)
def test_what_cannot_heal_fails_at_once_and_says_why(error: UnderstudyError) -> None:
    assert action(error) is RetryAction.FAIL
    assert "Matched rule" not in str(retry_policy().evaluate(error, 1, 3).reason)
    assert not isinstance(error, AirflowFailException), "Airflow would not have asked"


@pytest.mark.parametrize("error", MAY_HEAL, ids=lambda error: type(error).__name__)
def test_what_may_heal_is_tried_again(error: UnderstudyError) -> None:
    assert action(error) is RetryAction.DEFAULT
    assert not isinstance(error, AirflowFailException)


@pytest.mark.parametrize("error", REFUSED_AS_SUCH, ids=lambda error: type(error).__name__)
def test_what_is_raised_as_a_refusal_needs_no_rule(error: UnderstudyError) -> None:
    assert isinstance(error, AirflowFailException)


@pytest.mark.parametrize("error", [ValueError("?"), MemoryError(), OSError(5, "I/O error"), UnderstudyError("?")])
def test_what_nobody_foresaw_is_tried_again_as_often_as_the_task_says(error: BaseException) -> None:
    assert action(error) is RetryAction.DEFAULT


def test_a_source_that_nothing_fetches_is_refused_where_it_is_looked_for(tmp_path: Path) -> None:
    for source, wanted in (("ftp://x/rows.csv", RetryAction.FAIL), ("late.csv", RetryAction.DEFAULT)):
        with pytest.raises(UnderstudyError) as absent:
            find_sources(source, tmp_path, "")
        assert action(absent.value) is wanted


def test_every_rule_is_held_by_an_example() -> None:
    for ruled, examples in (([e for found in NEVER_HEALS.values() for e in found], CANNOT_HEAL), (HEALS, MAY_HEAL)):
        for kind in ruled:
            assert any(isinstance(error, kind) for error in examples), kind


def subclasses(kind: type[UnderstudyError]) -> list[type[UnderstudyError]]:
    return [kind, *(found for one in kind.__subclasses__() for found in subclasses(one))]


def test_a_new_refusal_fails_by_its_base_class() -> None:
    for kind in subclasses(Refused):
        wanted = RetryAction.DEFAULT if issubclass(kind, HEALS) else RetryAction.FAIL
        assert action(kind.__new__(kind)) is wanted
