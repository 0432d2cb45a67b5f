"""Ask Airflow, the embedded one or the one that the settings name, whether it works."""

from typing import Any

from understudy.cli.finding import Finding, Severity
from understudy.settings import Settings
from understudy.trust import trust_for

ASK_S = 5.0
ABOUT = "airflow"
NEEDED = ("metadatabase", "scheduler", "dag_processor", "triggerer")


def find_airflow(settings: Settings) -> list[Finding]:
    """Look at the Airflow that commands talk to."""
    return [_named(settings.airflow_url)] if settings.airflow_url else _embedded(settings)


def _named(url: str) -> Finding:
    """Ask for what Airflow tells without a credential: how its parts are."""
    import httpx

    try:
        with httpx.Client(base_url=url, timeout=ASK_S, verify=trust_for(url)) as client:
            told: Any = client.get("/api/v2/monitor/health").raise_for_status().json()
        silent = [name for name in NEEDED if told[name]["status"] != "healthy"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError) as problem:
        return Finding(
            about=ABOUT,
            severity=Severity.BROKEN,
            found=f"{url} does not answer as Airflow does ({str(problem) or type(problem).__name__})",
            way_out="Start its API server; AIRFLOW__UNDERSTUDY__AIRFLOW_URL names it.",
        )
    if silent:
        parts = ", ".join(name.replace("_", " ") for name in silent)
        return Finding(
            about=ABOUT,
            severity=Severity.BROKEN,
            found=f"{url} answers, but has not heard from its {parts}",
            way_out="Start it: until then nothing is retrained or looked at, and alerts are not swept.",
        )
    return Finding(about=ABOUT, severity=Severity.FINE, found=f"{url} answers, and all of its parts are healthy")


def _embedded(settings: Settings) -> list[Finding]:
    """Ask the embedded stack; where it is down, look whether its ports are free."""
    from understudy.embedded import stack
    from understudy.embedded.layout import Layout
    from understudy.embedded.ports import PURPOSES, Ports, is_free

    running = stack.running(Layout(home=settings.home.resolve()))
    if running:
        return [
            Finding(
                about=ABOUT,
                severity=Severity.FINE,
                found=f"runs at {running.airflow}, MLflow at {running.mlflow}, the gateway at {running.gateway}",
            )
        ]
    ports = Ports()
    busy = [
        f"{getattr(ports, name)} ({purpose})" for name, purpose in PURPOSES.items() if not is_free(getattr(ports, name))
    ]
    found = [
        Finding(
            about=ABOUT,
            severity=Severity.NOTE,
            found="the embedded stack is not running",
            way_out="Start it with: make up",
        )
    ]
    if busy:
        found.append(
            Finding(
                about="ports",
                severity=Severity.NOTE,
                found=f"used by others: {', '.join(busy)}",
                way_out="Nothing to do: `make up` takes the next free ones and says which.",
            )
        )
    else:
        found.append(Finding(about="ports", severity=Severity.FINE, found="the usual ports are free"))
    return found
