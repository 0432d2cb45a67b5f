"""Where to read on about a decision, by names that whoever shows the card turns into addresses. Pure."""

from collections.abc import Sequence

from understudy.contract.card_title import Versions
from understudy.contract.declared import Fact
from understudy.contract.read_facts import read_as
from understudy.contract.release import LedgerEntry
from understudy.contract.retrainings import Look
from understudy.contract.words import EntryKind, LinkKind


class Link(Fact):
    """Name one thing to read; no address, because those differ by who looks."""

    kind: LinkKind
    name: str
    """``<dag>/<run id>`` of a DAG run, ``<model>/<version>`` of a version or its report, ``<model>/<entry>/<part>`` of
    what a look wrote, a digest of data, a run."""


def links_of(entry: LedgerEntry, in_run: Sequence[LedgerEntry], versions: Versions) -> tuple[Link, ...]:
    """List the links of a decision, each once."""
    found: list[Link] = []
    for told in (entry, *in_run):
        facts = told.facts
        if told.kind is EntryKind.TRIGGERED and facts.get("dag_id") and facts.get("run_id"):
            found.append(Link(kind=LinkKind.DAG_RUN, name=f"{facts['dag_id']}/{facts['run_id']}"))
        if told.kind is EntryKind.JUDGED and isinstance(facts.get("version"), int):
            found.append(Link(kind=LinkKind.REPORT, name=f"{entry.model}/{facts['version']}"))
        if told.kind is EntryKind.MONITORED:
            parts = _kept_of_look(told)
            found += [Link(kind=LinkKind.LOOK_REPORT, name=f"{entry.model}/{told.seq}/{part}") for part in parts]
        data_version = facts.get("data_version")
        if isinstance(data_version, str) and data_version:
            found.append(Link(kind=LinkKind.DATA_VERSION, name=data_version))
    if entry.run:
        found.append(Link(kind=LinkKind.RUN, name=entry.run))
    found += [
        Link(kind=LinkKind.MODEL_VERSION, name=f"{entry.model}/{version}")
        for version in (versions.champion, versions.other)
        if version is not None
    ]
    return tuple(dict.fromkeys(found))


def _kept_of_look(entry: LedgerEntry) -> list[str]:
    """Name the reports that a look left; none where it found nothing."""
    look = read_as(Look, entry.facts)
    return sorted(look.reports_sha256) if look is not None and look.has_found else []
