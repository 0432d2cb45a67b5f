"""Where the things lie that a card points to: of each a title and, where it has a page, an address. Pure."""

from urllib.parse import quote

from understudy.contract.cards.links import Link
from understudy.contract.declared import Fact
from understudy.contract.words import LinkKind

TITLES = {
    LinkKind.DAG_RUN: "Run in Airflow",
    LinkKind.REPORT: "Report",
    LinkKind.LOOK_REPORT: "Report of the look",
    LinkKind.MODEL_VERSION: "Version in MLflow",
    LinkKind.DATA_VERSION: "Data version",
    LinkKind.WINDOW: "Rows compared",
    LinkKind.RUN: "Files of the run",
}


class Pages(Fact):
    """Say below which addresses pages lie, without a slash at the end; None where nobody can reach them."""

    own: str | None = None
    airflow: str | None = None
    mlflow: str | None = None

    def card(self, model: str, seq: int) -> str | None:
        """Give the address of a decision's card."""
        return _below(self.own, "models", model, "cards", str(seq))


NOWHERE = Pages()
"""For texts that lead to no page."""


class Place(Fact):
    """Say where something can be read; no address where only a name is known."""

    title: str
    name: str
    about: str = ""
    address: str | None = None
    is_in_airflow: bool = False


def place_of(link: Link, pages: Pages) -> Place:
    """Turn a link into what a person reads and follows."""
    name, address = link.name, None
    if link.kind is LinkKind.DAG_RUN:
        dag_id, _, name = link.name.partition("/")
        address = _below(pages.airflow, "dags", dag_id, "runs", name)
    elif link.kind is LinkKind.LOOK_REPORT:
        model, seq, name = link.name.split("/")
        address = _below(pages.own, "models", model, "looks", seq, name)
    elif link.kind in {LinkKind.REPORT, LinkKind.MODEL_VERSION}:
        model, _, version = link.name.rpartition("/")
        name = f"version {version}"
        address = (
            _below(pages.own, "models", model, "versions", version, "report")
            if link.kind is LinkKind.REPORT
            else _below(f"{pages.mlflow}/#" if pages.mlflow else None, "models", model, "versions", version)
        )
    return Place(
        title=TITLES[link.kind],
        name=name,
        about=link.about,
        address=address,
        is_in_airflow=link.kind is LinkKind.DAG_RUN,
    )


def _below(base: str | None, *parts: str) -> str | None:
    return None if base is None else "/".join((base, *(quote(part, safe="") for part in parts)))
