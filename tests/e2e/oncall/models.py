"""The two models, what serves of them, and what others than the browser do to them."""

import httpx

from tests.e2e.airflow_site import Site
from understudy.contract.by import By
from understudy.contract.release import Blessing, Bundle
from understudy.contract.words import Change, EntryKind
from understudy.hooks.beside import write_beside
from understudy.hooks.connect import Hooks, connect
from understudy.hooks.promotion import promote
from understudy.hooks.reigns import reigns
from understudy.story.practice import ROW

OLDER, OLD = "2024-03-06T00:00:00Z", "2024-03-13T00:00:00Z"
"""What a later retraining holds out is newer than what these learn from."""


def champions(model: str) -> list[int]:
    """List who was champion, oldest first."""
    return [reign.champion.version for reign in reigns(connect().deployments.history(model))]


def answering(site: Site, model: str) -> tuple[int, str | None]:
    """Ask the gateway as a caller does: the status, and the version that answered."""
    found = httpx.post(f"{site.gateway}/models/{model}/invocations", json=ROW, timeout=60, trust_env=False)
    return found.status_code, found.headers.get("X-Understudy-Version")


def rehearse_another_version(model: str) -> None:
    """Write that a version which was blessed and does not serve answers along, as a rehearsal would."""
    hooks = connect()
    current = hooks.deployments.current(model)
    assert current is not None
    tried = _another_version(hooks, model)
    write_beside(hooks.deployments, current, Change.MIRROR_STARTED, tried, 0.5, by=By(actor="ann", reason="a look"))


def promote_another_version(model: str) -> int:
    """Promote a version that was blessed and does not serve, as a run of somebody else would; give its number."""
    hooks = connect()
    current = hooks.deployments.current(model)
    assert current is not None
    blessing = Blessing(
        challenger=_another_version(hooks, model),
        champion_version=current.champion.version,
        champion_epoch=current.champion_since,
        judgement_sha256="a" * 64,
        rubber_stamped=False,
    )
    hooks.ledger.append(model, EntryKind.BLESSED, "ann", "it passed", facts=blessing.model_dump(mode="json"))
    places, terms = hooks.served_now(model)
    promote(
        hooks.deployments,
        hooks.registry,
        blessing,
        by=By(actor="ann", reason="the audit"),
        gateways=places,
        terms=terms,
    )
    return blessing.challenger.version


def _another_version(hooks: Hooks, model: str) -> Bundle:
    """Choose the first blessed version that is not the champion and was never taken back."""
    blessed = [Blessing.model_validate(entry.facts) for entry in hooks.ledger.entries(model, [EntryKind.BLESSED])]
    denied, current = hooks.deployments.denied(model), champions(model)[-1]
    fit = (one.challenger for one in blessed if one.challenger.model_sha256 not in denied)
    return next(bundle for bundle in fit if bundle.version != current)
