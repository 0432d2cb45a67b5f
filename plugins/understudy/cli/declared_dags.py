"""What declarations alone say of DAGs, for whoever asks no Airflow."""

from understudy.contract.cause import MONITOR_PREFIX, RETRAIN_PREFIX
from understudy.contract.errors import SpecProblem, UnknownModel
from understudy.contract.load import read_model
from understudy.overview.airflow_state import Airflow, DagState
from understudy.settings import Settings


def declared_dags(models: list[str], settings: Settings) -> Airflow:
    """Name the DAGs that these models declare; whether one is paused, late or failed stays open."""
    states = [state for model in models for state in _states(model, settings)]
    return Airflow(dags={state.dag_id: state for state in states})


def _states(model: str, settings: Settings) -> list[DagState]:
    retrain = f"{RETRAIN_PREFIX}{model}"
    try:
        spec = read_model(settings.models_dir, model)
    except (SpecProblem, UnknownModel) as broken:
        return [DagState(dag_id=retrain, is_broken=True, problem=str(broken))]
    names = [retrain, f"{MONITOR_PREFIX}{model}"] if spec.monitor else [retrain]
    return [DagState(dag_id=name, owner=spec.owner) for name in names]
