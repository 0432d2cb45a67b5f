"""What a DAG is made of: ``from understudy.operators import TrainOperator``."""

from understudy.operators.act import ActOperator
from understudy.operators.approval.approval import AskApprovalOperator
from understudy.operators.conclude import ConcludeOperator
from understudy.operators.data_check import DataSanityCheckOperator
from understudy.operators.evaluate import EvaluateVsChampionOperator
from understudy.operators.labels import LabelsOperator
from understudy.operators.live.canary import CanaryOperator
from understudy.operators.live.guard import GuardOperator
from understudy.operators.live.shadow import ShadowDeployOperator
from understudy.operators.look.collect import CollectWindowOperator
from understudy.operators.look.decide import DecideRetrainingOperator
from understudy.operators.look.drift_check import DriftCheckOperator
from understudy.operators.look.quality_check import QualityCheckOperator
from understudy.operators.promote import PromoteOperator
from understudy.operators.rollback import RollbackOperator
from understudy.operators.snapshot import SnapshotDataOperator
from understudy.operators.stage.stage import StageOperator
from understudy.operators.train import TrainOperator
from understudy.operators.trial import AskTrialsOperator, TrialOperator

__all__ = [
    "ActOperator",
    "AskApprovalOperator",
    "AskTrialsOperator",
    "CanaryOperator",
    "CollectWindowOperator",
    "ConcludeOperator",
    "DataSanityCheckOperator",
    "DecideRetrainingOperator",
    "DriftCheckOperator",
    "EvaluateVsChampionOperator",
    "GuardOperator",
    "LabelsOperator",
    "PromoteOperator",
    "QualityCheckOperator",
    "RollbackOperator",
    "ShadowDeployOperator",
    "SnapshotDataOperator",
    "StageOperator",
    "TrainOperator",
    "TrialOperator",
]
