"""Where people can look at what an alert is about."""

from urllib.parse import quote

from understudy.contract.approval import Question
from understudy.contract.cards.links import Link
from understudy.contract.cards.places import Pages, place_of
from understudy.contract.words import LinkKind
from understudy.settings import settings


def page_of(model: str, seq: int | None = None) -> str | None:
    """Give the address of a decision's card, else of the model's page; None where Airflow does not know its own."""
    known = pages()
    if known.own is None:
        return None
    if not model:
        return f"{known.own}/"
    return known.card(model, seq) if seq is not None else f"{known.own}/models/{quote(model, safe='')}"


def run_page(dag_id: str, run_id: str) -> str | None:
    """Give the address of a run in Airflow; None where that does not know its own."""
    link = Link(kind=LinkKind.DAG_RUN, name=f"{dag_id}/{run_id}")
    return place_of(link, pages()).address


def pages() -> Pages:
    """Say where the pages lie that people read: ours and Airflow's, as Airflow knows its own address, and MLflow's."""
    base, mlflow = _base_url(), settings().mlflow_pages.rstrip("/")
    return Pages(own=f"{base}/understudy" if base else None, airflow=base or None, mlflow=mlflow or None)


def runbooks_page() -> str:
    """Give the address of the runbooks; the file's name where Airflow does not know its own."""
    base = _base_url()
    return f"{base}/understudy/runbooks" if base else "docs/runbooks.md"


def answer_page(question: Question) -> str | None:
    """Give the address at which Airflow takes the answer to a question; None where it does not know its own."""
    base = _base_url()
    if not base:
        return None
    dag, run, task = (quote(name, safe="") for name in (question.dag_id, question.run_id, question.task_id))
    return f"{base}/dags/{dag}/runs/{run}/tasks/{task}/required_actions"


def _base_url() -> str:
    from airflow.sdk.configuration import conf

    told = str(conf.get("api", "base_url", fallback="") or "") or settings().airflow_pages
    return told.rstrip("/")
