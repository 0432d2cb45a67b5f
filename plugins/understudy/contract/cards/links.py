"""Where to read on about a decision, by names that whoever shows the card turns into addresses. Pure."""

from collections.abc import Iterator, Sequence

from understudy.contract.airflow_run import airflow_run_in
from understudy.contract.cards.title import Versions
from understudy.contract.declared import Fact
from understudy.contract.moment import stretch
from understudy.contract.read_facts import read_as, whole_number
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.retrainings import Look
from understudy.contract.words import Change, EntryKind, LinkKind, Watched

_WATCHED = {
    Watched.GATEWAY: "requests at the gateways",
    Watched.SCORED: "scored rows",
    Watched.DATA: "rows of the source",
}


class Link(Fact):
    """Name one thing to read; no address, because those differ by who looks."""

    kind: LinkKind
    name: str
    """``<dag>/<run id>`` of a DAG run, ``<model>/<version>`` of a version or its report, ``<model>/<entry>/<part>`` of
    what a look wrote, a digest of data, a stretch of time, a run."""
    about: str = ""
    """Whose data it is, where a card tells of several versions."""


def links_of(entry: LedgerEntry, in_run: Sequence[LedgerEntry], versions: Versions) -> tuple[Link, ...]:
    """List the links of a decision by their kinds, each once, and of two alike the one that says whose it is."""
    found: list[Link] = []
    for told in (entry, *in_run):
        started = airflow_run_in(told.facts)
        if started is not None:
            found.append(Link(kind=LinkKind.DAG_RUN, name=f"{started.dag_id}/{started.run_id}"))
        if told.kind is EntryKind.JUDGED and isinstance(told.facts.get("version"), int):
            found.append(Link(kind=LinkKind.REPORT, name=f"{entry.model}/{told.facts['version']}"))
        if told.kind is EntryKind.MONITORED:
            found += _of_look(told)
        found += _data_of(told)
    if entry.run:
        found.append(Link(kind=LinkKind.RUN, name=entry.run))
    found += [
        Link(kind=LinkKind.MODEL_VERSION, name=f"{entry.model}/{version}")
        for version in (versions.champion, versions.other)
        if version is not None
    ]
    order, once = list(LinkKind), dict[tuple[LinkKind, str], Link]()
    for link in sorted(found, key=lambda link: (order.index(link.kind), not link.about)):
        once.setdefault((link.kind, link.name), link)
    return tuple(once.values())


def _of_look(entry: LedgerEntry) -> Iterator[Link]:
    """Name the reports that a look left, none where it found nothing, and what it compared with what."""
    look = read_as(Look, entry.facts)
    if look is None:
        return
    for part in sorted(look.reports_sha256) if look.has_found else ():
        yield Link(kind=LinkKind.LOOK_REPORT, name=f"{entry.model}/{entry.seq}/{part}")
    report = look.report
    yield Link(
        kind=LinkKind.WINDOW,
        name=stretch(report.window_start, report.window_end),
        about=f"{_WATCHED[report.watched]} that the look saw",
    )
    if report.drift is not None and report.drift.reference_data:
        about = f"reference of version {report.champion_version}, which the rows were compared with"
        yield Link(kind=LinkKind.DATA_VERSION, name=report.drift.reference_data, about=about)


def _data_of(entry: LedgerEntry) -> Iterator[Link]:
    """Name the data behind the versions that an entry is about."""
    if entry.kind is EntryKind.DEPLOYED:
        record = read_as(Deployment, entry.facts.get("deployment"))
        if record is not None and record.change.moves_champion:
            again = ", which serves again" if record.change is Change.ROLLBACK else ""
            about = f"version {record.champion.version}{again}"
            yield Link(kind=LinkKind.DATA_VERSION, name=record.champion.data_version, about=about)
    data_version, version = entry.facts.get("data_version"), whole_number(entry.facts.get("version"))
    if isinstance(data_version, str) and data_version:
        of_version = f"version {version}" if version is not None else ""
        taken_back = ", which was taken back" if entry.kind is EntryKind.DENIED and of_version else ""
        yield Link(kind=LinkKind.DATA_VERSION, name=data_version, about=f"{of_version}{taken_back}")
