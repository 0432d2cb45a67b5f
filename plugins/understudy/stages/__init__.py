"""What runs inside the container. Never imports Airflow."""

from understudy.stages.context import Refused, StageContext, StageOutput, stage

__all__ = ["Refused", "StageContext", "StageOutput", "stage"]
