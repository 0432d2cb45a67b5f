"""Where people can look at what an alert is about."""

from urllib.parse import quote

from understudy.contract.card_places import Pages
from understudy.settings import settings


def page_of(model: str, seq: int | None = None) -> str | None:
    """Give the address of a decision's card, else of the model's page; None where Airflow does not know its own."""
    known = pages()
    if known.own is None:
        return None
    if not model:
        return f"{known.own}/"
    return known.card(model, seq) if seq is not None else f"{known.own}/models/{quote(model, safe='')}"


def pages() -> Pages:
    """Say where the pages lie that people read: ours and Airflow's, as Airflow knows its own address, and MLflow's."""
    base, mlflow = _base_url(), settings().mlflow_pages.rstrip("/")
    return Pages(own=f"{base}/understudy" if base else None, airflow=base or None, mlflow=mlflow or None)


def runbooks_page() -> str:
    """Give the address of the runbooks; the file's name where Airflow does not know its own."""
    base = _base_url()
    return f"{base}/understudy/runbooks" if base else "docs/runbooks.md"


def _base_url() -> str:
    from airflow.sdk.configuration import conf

    told = str(conf.get("api", "base_url", fallback="") or "") or settings().airflow_pages
    return told.rstrip("/")
