"""One Airflow DAG for each declared model that is watched: ``monitor__<model>``."""

from airflow.sdk import get_parsing_context

from understudy.contract.cause import MONITOR_PREFIX
from understudy.contract.errors import SpecProblem
from understudy.contract.load import SPEC_FILE, declared, load_model
from understudy.dag_factory import build_broken_dag, declaration_of, model_of
from understudy.monitoring_dag import build_monitoring_dag
from understudy.settings import settings

models_dir = settings().models_dir
# As in retraining.py: a task's own process reads its own model only.
wanted = model_of(get_parsing_context().dag_id, MONITOR_PREFIX)
own = models_dir / wanted / SPEC_FILE if wanted else None
paths = [own] if own is not None and own.exists() else declared(models_dir)

for path in paths:
    try:
        spec = load_model(models_dir, declaration_of(path))
        if spec.monitor is not None:
            build_monitoring_dag(spec)
    except SpecProblem:
        continue  # retrain__<model> is red and says why
    except Exception as bug:  # noqa: BLE001 - one model's trouble must never take the other models' DAGs down
        said = f"cannot become a DAG ({type(bug).__name__}: {bug})"
        build_broken_dag(declaration_of(path), SpecProblem(path, None, "", said), MONITOR_PREFIX)
