"""The reports behind a decision: read from the registry, and shown without letting any of their code run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from understudy.contract.errors import UnderstudyError
from understudy.contract.retrainings import Look
from understudy.contract.stage import artefact_of
from understudy.contract.words import EntryKind
from understudy.hooks.connect import connect
from understudy.hooks.registry.errors import ArtefactMissing
from understudy.ui.access import CallerDep
from understudy.ui.card_page import readable_card
from understudy.ui.model_page import airflow_of, known
from understudy.ui.refusals import NotThere

router = APIRouter()
PAGE = "report.html"
# A report is a page of its own whose style and pictures are within it. It has no scripts, and would have no rights.
HEADERS = {"Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"}


class ReportChanged(UnderstudyError):
    """The registry holds another report than the one that was decided by."""

    def __init__(self, which: str) -> None:
        super().__init__(
            f"{which} in the registry is not the one that was decided by. The numbers of the decision are in the "
            "ledger; the next retraining or look writes a new report."
        )


@router.get("/models/{model}/versions/{version}/report")
def evaluation(model: str, version: int, caller: CallerDep) -> HTMLResponse:
    """Show the report that a version was judged by.

    :raises NotThere, ReportChanged, RegistryUnavailable: where it cannot be shown.
    """
    known(model, caller, airflow_of(model))
    judged = connect().ledger.entries(model, [EntryKind.JUDGED], newest_first=True)
    facts = next((entry.facts for entry in judged if entry.facts.get("version") == version), None)
    if facts is None:
        raise NotThere(f"No version {version} of {model} was judged.")
    with _fetched(model, version, "report") as report:
        return _page(report, facts.get("report_sha256"), f"The report of version {version} of {model}")


@router.get("/models/{model}/looks/{seq}/{part}")
def look(model: str, seq: int, part: Literal["drift", "quality"], caller: CallerDep) -> HTMLResponse:
    """Show a report of a look that found something.

    :raises NotThere, ReportChanged, RegistryUnavailable: where it cannot be shown.
    """
    card = readable_card(model, seq, caller)
    version = card.versions.champion
    if version is None or f"{model}/{seq}/{part}" not in {link.name for link in card.links}:
        raise NotThere(f"Decision {seq} of {model} is not a look that left a report about {part}.")
    (entry,) = connect().ledger.entries(model, after=seq - 1, before=seq + 1)
    written = Look.model_validate(entry.facts).reports_sha256
    with _fetched(model, version, f"looks/{seq}/{part}") as report:
        return _page(report, written[part], f"The report about {part} of decision {seq} of {model}")


@contextmanager
def _fetched(model: str, version: int, name: str) -> Iterator[Path]:
    registry = connect().registry
    with TemporaryDirectory() as scratch:
        try:
            yield registry.fetch_file(registry.bundle_of(model, version), name, Path(scratch) / "report")
        except ArtefactMissing as missing:
            raise NotThere(f"The registry keeps no such report of version {version} of {model}.") from missing


def _page(report: Path, sha256: object, which: str) -> HTMLResponse:
    # A decision that names no report was not made by this one either.
    if artefact_of(report, report.parent).sha256 != sha256:
        raise ReportChanged(which)
    return HTMLResponse((report / PAGE).read_text(encoding="utf-8"), headers=HEADERS)
