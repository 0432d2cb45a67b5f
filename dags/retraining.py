"""One Airflow DAG for each declared model: ``retrain__<model>``."""

from airflow.sdk import get_parsing_context

from understudy.contract.errors import SpecProblem
from understudy.contract.load import SPEC_FILE, declared, load_model
from understudy.dag_factory import build_broken_dag, build_retraining_dag, declaration_of, model_of
from understudy.settings import settings

models_dir = settings().models_dir
# A task's own process needs only its own DAG: reading the other declarations would cost time that grows with the fleet.
wanted = model_of(get_parsing_context().dag_id)
own = models_dir / wanted / SPEC_FILE if wanted else None
paths = [own] if own is not None and own.exists() else declared(models_dir)

for path in paths:
    try:
        build_retraining_dag(load_model(models_dir, declaration_of(path)))
    except SpecProblem as problem:
        build_broken_dag(declaration_of(path), problem)
    except Exception as bug:  # noqa: BLE001 - one model's trouble must never take the other models' DAGs down
        said = f"cannot become a DAG ({type(bug).__name__}: {bug})"
        build_broken_dag(declaration_of(path), SpecProblem(path, None, "", said))
