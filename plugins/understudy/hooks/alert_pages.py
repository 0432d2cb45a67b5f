"""Where people can look at what an alert is about."""

from urllib.parse import quote


def page_of(model: str, seq: int | None = None) -> str | None:
    """Give the address of a decision's card, else of the model's page; None where Airflow does not know its own."""
    base = _base_url()
    if not base:
        return None
    if not model:
        return f"{base}/understudy/"
    about = f"{base}/understudy/models/{quote(model, safe='')}"
    return f"{about}/cards/{seq}" if seq is not None else about


def _base_url() -> str:
    from airflow.sdk.configuration import conf

    return str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
