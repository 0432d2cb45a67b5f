"""Build the DAGs by which a person acts on a model: a form, and one task that does what it says."""

from collections.abc import Sequence
from datetime import timedelta

from airflow.sdk import DAG, Param

from understudy.contract.declared import MODEL_NAME
from understudy.contract.reason import REASON_LIMIT, SAYS_SOMETHING
from understudy.contract.words import Action
from understudy.dag_factory import START, TAG, retry_policy
from understudy.operation_pages import ACTIONS_IN_WORDS, action_page, rollback_page
from understudy.operators.act import CHAMPION, ActOperator
from understudy.operators.alerting import tell_failed_rollback
from understudy.operators.rollback import PREVIOUS, RollbackOperator
from understudy.operators.sweep.failed_rollbacks import ROLLBACK

MODEL, REASON, DRY_RUN = "{{ params.model }}", "{{ params.reason }}", "{{ params.dry_run }}"


def build_rollback_dag(models: Sequence[str]) -> DAG:
    """Wire the form that takes a model back."""
    target = Param(
        PREVIOUS,
        type="string",
        pattern=r"^(previous|[1-9][0-9]{0,8})$",
        title="Back to",
        description="previous, or the number of a version that has served before.",
    )
    with _form(ROLLBACK, models, rollback_page(), "Take a model back to what served before.", target=target) as dag:
        RollbackOperator(
            task_id=ROLLBACK,
            model=MODEL,
            target="{{ params.target }}",
            reason=REASON,
            is_dry_run=DRY_RUN,
            on_failure_callback=tell_failed_rollback,
        )
    return dag


def build_action_dag(action: Action, models: Sequence[str]) -> DAG:
    """Wire the form of one action; its DAG is called as the action is."""
    version = Param(
        CHAMPION,
        type="string",
        pattern=r"^(champion|[1-9][0-9]{0,8})$",
        title="Version",
        description="champion, or the number of a version.",
    )
    own = {"version": version} if action.is_about_a_version else {}
    with _form(action.value, models, action_page(action), ACTIONS_IN_WORDS[action], **own) as dag:
        ActOperator(
            task_id=action.value,
            action=action.value,
            model=MODEL,
            reason=REASON,
            version="{{ params.version }}" if own else CHAMPION,
            is_dry_run=DRY_RUN,
        )
    return dag


def _form(dag_id: str, models: Sequence[str], page: str, description: str, **own: Param) -> DAG:
    """Give a DAG whose form asks for a model, for what is its own, and for a reason."""
    return DAG(
        dag_id=dag_id,
        schedule=None,
        start_date=START,
        catchup=False,
        max_active_runs=4,
        tags=[TAG, "operations"],
        doc_md=page,
        description=description,
        render_template_as_native_obj=False,
        default_args={"owner": TAG, "retries": 2, "retry_delay": timedelta(seconds=5), "retry_policy": retry_policy()},
        params={
            "model": Param(
                type="string",
                pattern=MODEL_NAME,
                # Suggestions and no choice: a model that is no longer declared may serve for years, and be wrong.
                examples=list(models),
                title="Model",
                description="One of those suggested, or one that still serves and is no longer declared.",
            ),
            **own,
            "reason": Param(
                type="string",
                minLength=1,
                maxLength=REASON_LIMIT,
                pattern=SAYS_SOMETHING,
                title="Reason",
                description="Why; kept in the ledger, with your name.",
            ),
            "dry_run": Param(False, type="boolean", title="Dry run", description="Only say what would happen."),
        },
    )
