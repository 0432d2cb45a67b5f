"""Train the two models of a rollback drill."""

from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowSkipException

from understudy.contract.declared import DRILL_MODEL
from understudy.hooks.connect import connect
from understudy.operators.decisions import HELD_BACK_KEY
from understudy.operators.stage.stage import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

# Not one of the built-in names, which every model.yaml may give resources of its own.
STAGE = "understudy.stages.drill:run"
NO_GATEWAY = (
    "no gateway is known here, so there is nothing to drill: set AIRFLOW__UNDERSTUDY__GATEWAYS, or start the stack"
)


def skip_drill(context: "Context") -> NoReturn:
    """Skip a task where there is nothing to drill, and say so to whoever looks for drills that were ended."""
    context["ti"].xcom_push(key=HELD_BACK_KEY, value=NO_GATEWAY)
    raise AirflowSkipException(NO_GATEWAY)


class DrillModelsOperator(StageOperator):
    """Train a good model and one that is bad on purpose, with rows to tell them apart by; skip where nothing serves.

    :param turned: the share of the bad model's labels that are turned round. (templated)
    """

    def __init__(self, *, turned: "float | str" = 1.0, **kwargs: Any) -> None:
        super().__init__(stage=STAGE, model=DRILL_MODEL, stage_params={"turned": turned}, **kwargs)

    def execute(self, context: "Context") -> Any:
        """Run the stage."""
        if connect().gateways is None:
            skip_drill(context)
        return super().execute(context)
