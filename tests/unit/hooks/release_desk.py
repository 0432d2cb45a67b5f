"""A real ledger, and a registry and places that do what a test says: what promotions and rollbacks stand between."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tests.unit.hooks.demand import bundle
from understudy.contract.by import By
from understudy.contract.declaration.serving import ServingSpec
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Blessing, Bundle, Deployment, LedgerEntry
from understudy.contract.serving import Acknowledgement, Confirmation, Lagging, PrepareOrder, ServingOrder, ServingTerms
from understudy.contract.words import Change, EntryKind, MlTask
from understudy.hooks.deployments import Deployments
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.places.places import Places
from understudy.hooks.registry.errors import RegistryUnavailable
from understudy.hooks.registry.registry import Registry

MODEL, OTHER = "demand", "price"
TERMS = ServingTerms(task=MlTask.REGRESSION, serving=ServingSpec(max_rows=7))
OTHER_TERMS = ServingTerms(task=MlTask.REGRESSION, serving=ServingSpec(max_rows=8))


@dataclass
class Shelf:
    """Keep files as a registry does: those of some versions are gone, or it does not answer."""

    gone: dict[int, UnderstudyError] = field(default_factory=dict)
    is_down: bool = False
    asked: list[str] = field(default_factory=list)
    when_asked: Callable[[], None] | None = None
    """What somebody else does while files are verified, once."""

    def keep(self, kept: Bundle) -> None:
        self.asked.append(f"keep {kept.version}")
        meanwhile, self.when_asked = self.when_asked, None
        if meanwhile is not None:
            meanwhile()
        if kept.version in self.gone:
            raise self.gone[kept.version]

    def follow(self, record: Deployment) -> dict[Any, Any]:
        self.asked.append(f"follow {record.model} {record.epoch}")
        if self.is_down:
            raise RegistryUnavailable("sqlite", "it is down")
        return {}

    def mark_denied(self, model: str, version: int, data_version: str | None, reason: str) -> None:
        self.asked.append(f"deny {model} {version} {data_version} {reason}")

    def forget_all_but(self, record: Deployment) -> None:
        self.asked.append(f"forget all but {record.epoch}")


@dataclass
class Gateways:
    """Serve what they are told, unless a test says otherwise."""

    names: tuple[str, ...] = ("east", "west")
    told: list[str] = field(default_factory=list)
    terms: list[ServingTerms] = field(default_factory=list)
    patience_s: set[float] = field(default_factory=set)
    """How long somebody waited for a record to be served."""
    refusal: UnderstudyError | None = None
    late: set[str] = field(default_factory=set)
    wrong: set[str] = field(default_factory=set)
    when_told: Callable[[], None] | None = None
    """What somebody else does while a record is sent, once."""

    def prepare(self, order: PrepareOrder, within_s: float) -> None:
        self.told.append(f"prepare {order.bundle.version}")
        self.terms.append(order.terms)
        if self.refusal is not None:
            raise self.refusal

    def apply(self, order: ServingOrder, within_s: float) -> Confirmation:
        record = order.record
        self.patience_s.add(within_s)
        self.told.append(f"serve {record.champion.version} of epoch {record.epoch}")
        self.terms.append(order.terms)
        late = [Lagging(gateway=name, problem="is slow") for name in self.names if name in self.late]
        meanwhile, self.when_told = self.when_told, None
        if meanwhile is not None:
            meanwhile()
        acks = [
            Acknowledgement(
                gateway=f"{name}-1",
                model=record.model,
                epoch=record.epoch,
                version=record.champion.version,
                flip_ms=1.0,
            )
            for name in self.names
            if name not in self.late
        ]
        return Confirmation(acks=tuple(acks), lagging=tuple(late))

    def probe(self, model: str, version: int, epoch: int) -> tuple[Lagging, ...]:
        self.told.append(f"probe {model} {version} of epoch {epoch}")
        return tuple(Lagging(gateway=name, problem="answers as another") for name in self.names if name in self.wrong)


class Desk:
    """One model whose files and gateways are in a test's hands."""

    def __init__(self, home: Path) -> None:
        self.deployments = Deployments(Ledger(f"sqlite:///{home / 'ledger.db'}"))
        self.shelf, self.gateways = Shelf(), Gateways()
        self.registry, self.places = cast("Registry", self.shelf), cast("Places", self.gateways)
        # Another model in the same ledger, with the same version numbers and digests: what is known of it is not ours.
        self.deployments.ledger.append(OTHER, EntryKind.LOCKED, "eve", "audit", facts={"version": 2})
        self.deployments.ledger.append(OTHER, EntryKind.HELD, "eve", "stocktaking")
        self.deployments.deny(OTHER, bundle(1).model_sha256, By(actor="eve", reason="spoiled"))

    @property
    def epoch(self) -> int:
        """Give the newest record's epoch."""
        record = self.deployments.current(MODEL)
        return record.epoch if record else 0

    def crown(self, version: int, digest: str | None = None, *, is_confirmed: bool = True, run: str = "run") -> Bundle:
        """Make a version champion as a promotion does."""
        crowned, epoch = bundle(version, digest), self.epoch
        record = Deployment(model=MODEL, epoch=epoch + 1, change=Change.PROMOTION, champion=crowned, previous=None)
        self.deployments.deploy(record, epoch, By(actor="bob", reason="weekly", run=run))
        if is_confirmed:
            self.deployments.confirm(MODEL, epoch + 1, "bob", {})
        self.touch_another()
        return crowned

    def touch_another(self) -> None:
        """Write a record of another model, so that it is the ledger's newest."""
        record = self.deployments.current(OTHER)
        epoch = record.epoch if record else 0
        moved = Deployment(model=OTHER, epoch=epoch + 1, change=Change.ROLLBACK, champion=bundle(9), previous=None)
        self.deployments.deploy(moved, epoch, By(actor="eve", reason="another model", run="run"))

    def put_beside(self, change: Change = Change.MIRROR_STARTED, **beside: Any) -> None:
        """Begin or end something beside the champion."""
        record = self.deployments.current(MODEL)
        assert record is not None
        moved = record.model_copy(update={"epoch": record.epoch + 1, "change": change, **beside})
        self.deployments.deploy(moved, record.epoch, By(actor="carl", reason="rehearsal"))

    def bless(self, challenger: Bundle, judgement: str = "j") -> Blessing:
        """Record that a version passed against what serves now."""
        serving = self.deployments.current(MODEL)
        blessing = Blessing(
            challenger=challenger,
            champion_version=serving.champion.version if serving else None,
            champion_epoch=serving.champion_since if serving else 0,
            judgement_sha256=judgement,
            rubber_stamped=serving is None,
        )
        facts = blessing.model_dump(mode="json")
        self.deployments.ledger.append(MODEL, EntryKind.BLESSED, "bob", "all gates passed", challenger.run, facts)
        return blessing

    def written(self, *kinds: EntryKind, after: int = 0) -> list[LedgerEntry]:
        """Read what was written after an entry."""
        return self.deployments.ledger.entries(MODEL, kinds or None, after=after)

    @property
    def newest(self) -> int:
        """Give the number of the newest entry."""
        return len(self.deployments.ledger.entries())
