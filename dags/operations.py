"""The Airflow DAGs about all models that are declared: what a person asks for, alerts, drill, replay, housekeeping."""

from understudy.action_dags import build_action_dag, build_rollback_dag
from understudy.alerts_dag import build_alerts_dag
from understudy.contract.load import declared
from understudy.contract.words import Action
from understudy.dag_factory import declaration_of
from understudy.drill_dag import build_drill_dag
from understudy.housekeeping_dag import build_housekeeping_dag
from understudy.replay_dag import build_replay_dag
from understudy.settings import settings

build_alerts_dag()
build_housekeeping_dag()
models = [declaration_of(path) for path in declared(settings().models_dir)]
build_rollback_dag(models)
for action in Action:
    build_action_dag(action, models)
build_replay_dag(models)
build_drill_dag()
