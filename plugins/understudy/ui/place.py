"""Where our pages and Airflow's are, as the browser sees them."""

from fastapi import Request

PREFIX = "/understudy"
STATIC = "/static"


def own_base(request: Request) -> str:
    """Give the path below which our pages lie, without a slash at the end."""
    # What is mounted within ours has written its own place there, where it says that nothing lies below it.
    return str(request.scope.get("root_path", "")).rstrip("/").removesuffix(STATIC)


def airflow_base(request: Request) -> str:
    """Give the path below which Airflow lies; empty where it is the root."""
    return own_base(request).removesuffix(PREFIX)
