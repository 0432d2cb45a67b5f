"""Where our pages and Airflow's are, as the browser sees them."""

from fastapi import Request

PREFIX = "/understudy"


def own_base(request: Request) -> str:
    """Give the path below which our pages lie, without a slash at the end."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def airflow_base(request: Request) -> str:
    """Give the path below which Airflow lies; empty where it is the root."""
    return own_base(request).removesuffix(PREFIX)
