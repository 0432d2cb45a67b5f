"""Who asks, and what they may see and do: Airflow's own answers, asked for every request."""

from dataclasses import dataclass
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends

from understudy.contract.cause import RETRAIN_PREFIX
from understudy.ui.refusals import Forbidden


@dataclass(frozen=True)
class Caller:
    """Hold the person behind a request. Who may read a model's retraining DAG may read the model."""

    user: Any

    @property
    def name(self) -> str:
        """Name the person as the ledger does."""
        return str(self.user.get_name())

    @property
    def user_id(self) -> str:
        """Name the person as Airflow's questions do."""
        return str(self.user.get_id())

    def readable(self, models: set[str]) -> set[str]:
        """Keep the models that the person may read."""
        auth = get_auth_manager()
        dags = {f"{RETRAIN_PREFIX}{model}" for model in models}
        allowed = auth.get_authorized_dag_ids(user=self.user, method="GET") & dags
        # What Airflow has no DAG of (any more) is asked for by name: its past is no more public than its present was.
        unknown = dags - allowed
        allowed |= auth.filter_authorized_dag_ids(dag_ids=unknown, user=self.user, method="GET") if unknown else set()
        return {dag_id.removeprefix(RETRAIN_PREFIX) for dag_id in allowed}

    def require(self, model: str) -> None:
        """Raise Forbidden for a model that the person may not read, whether there is one of that name or not."""
        if not self._may("GET", None, f"{RETRAIN_PREFIX}{model}"):
            raise Forbidden(f"You may not read the DAG {RETRAIN_PREFIX}{model}, and so not this model either.")

    def require_something(self) -> None:
        """Raise Forbidden for somebody who may read no DAG at all."""
        auth = get_auth_manager()
        if not (
            auth.is_authorized_dag(method="GET", user=self.user)
            or auth.get_authorized_dag_ids(user=self.user, method="GET")
        ):
            raise Forbidden("You may read no DAG here, and so none of these pages.")

    def may_run(self, dag_id: str) -> bool:
        """Tell whether the person may start a DAG."""
        return self._may("POST", DagAccessEntity.RUN, dag_id)

    def may_answer(self, dag_id: str) -> bool:
        """Tell whether the person may answer what a DAG asks people."""
        return self._may("PUT", DagAccessEntity.HITL_DETAIL, dag_id)

    def _may(self, method: Any, entity: DagAccessEntity | None, dag_id: str) -> bool:
        from airflow.models.dag import DagModel

        details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
        return get_auth_manager().is_authorized_dag(
            method=method, access_entity=entity, details=details, user=self.user
        )


def caller(user: GetUserDep) -> Caller:
    """Know who asks; Airflow answers 401 for nobody."""
    return Caller(user)


CallerDep = Annotated[Caller, Depends(caller)]
