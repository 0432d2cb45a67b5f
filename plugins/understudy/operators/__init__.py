"""What a DAG is made of: ``from understudy.operators import TrainOperator``."""

from understudy.operators.act import ActOperator
from understudy.operators.approval import AskApprovalOperator
from understudy.operators.canary import CanaryOperator
from understudy.operators.collect import CollectWindowOperator
from understudy.operators.conclude import ConcludeOperator
from understudy.operators.data_check import DataSanityCheckOperator
from understudy.operators.decide import DecideRetrainingOperator
from understudy.operators.drift_check import DriftCheckOperator
from understudy.operators.evaluate import EvaluateVsChampionOperator
from understudy.operators.guard import GuardOperator
from understudy.operators.labels import LabelsOperator
from understudy.operators.promote import PromoteOperator
from understudy.operators.quality_check import QualityCheckOperator
from understudy.operators.rollback import RollbackOperator
from understudy.operators.shadow import ShadowDeployOperator
from understudy.operators.snapshot import SnapshotDataOperator
from understudy.operators.stage import StageOperator
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
