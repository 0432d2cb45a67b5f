"""Where people can look at what an alert is about."""

from urllib.parse import quote

from understudy.settings import settings


def page_of(model: str, seq: int | None = None) -> str | None:
    """Give the address of a decision's card, else of the model's page; None where Airflow does not know its own."""
    base = _base_url()
    if not base:
        return None
    if not model:
        return f"{base}/understudy/"
    about = f"{base}/understudy/models/{quote(model, safe='')}"
    return f"{about}/cards/{seq}" if seq is not None else about


def runbooks_page() -> str:
    """Give the address of the runbooks; the file's name where Airflow does not know its own."""
    base = _base_url()
    return f"{base}/understudy/runbooks" if base else "docs/runbooks.md"


def _base_url() -> str:
    from airflow.sdk.configuration import conf

    told = str(conf.get("api", "base_url", fallback="") or "") or settings().airflow_pages
    return told.rstrip("/")
