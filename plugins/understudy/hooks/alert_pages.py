"""Where people can look at what an alert is about."""

from urllib.parse import quote

from understudy.contract.approval import Question


def page_of(model: str, seq: int | None = None) -> str | None:
    """Give the address of a decision's card, else of the model's page; None where Airflow does not know its own."""
    base = _base_url()
    if not base:
        return None
    if not model:
        return f"{base}/understudy/"
    about = f"{base}/understudy/models/{quote(model, safe='')}"
    return f"{about}/cards/{seq}" if seq is not None else about


def answer_page(question: Question) -> str | None:
    """Give the address at which Airflow takes the answer to a question; None where it does not know its own."""
    base = _base_url()
    if not base:
        return None
    dag, run, task = (quote(name, safe="") for name in (question.dag_id, question.run_id, question.task_id))
    return f"{base}/dags/{dag}/runs/{run}/tasks/{task}/required_actions"


def _base_url() -> str:
    from airflow.sdk.configuration import conf

    return str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
