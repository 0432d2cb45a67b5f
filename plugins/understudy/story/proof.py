"""Compare what an act promised with what ledger, registry, gateway and callers say."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from understudy.contract.cause import Cause
from understudy.contract.declared import Fact
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.retrainings import Look
from understudy.contract.words import Alias, Change, EntryKind, Outcome, Trigger, Verdict
from understudy.sample.traffic import Count
from understudy.story.acts import MODEL, Act, Scene
from understudy.story.witness import Witnessed

if TYPE_CHECKING:
    from understudy.hooks.connect import Hooks


class Happened(Fact):
    """What an act did, as its run told it."""

    run: str
    state: str
    outcome: Outcome | None
    sentence: str
    turned_at: datetime
    """When live requests began to come from the act's market."""
    seconds: float
    live: Count
    """The live requests meanwhile."""


class Row(Fact):
    """One act in the final table; it is true when ``contradictions`` is empty."""

    act: int
    title: str
    promise: str
    happened: str
    champion: int | None
    live: Count
    seconds: float
    contradictions: tuple[str, ...]


class Proof:
    """Check act after act; each must leave the world as the one before did, but for what it promised.

    :param ask: sends a real request to each gateway.
    """

    def __init__(self, hooks: "Hooks", ask: "Callable[[], tuple[Witnessed, ...]]") -> None:
        self.hooks = hooks
        self._ask = ask
        self.before: Deployment | None = None
        self.seen = 0

    def row(self, number: int, act: Act, happened: Happened) -> Row:
        """Check an act."""
        current = self.hooks.deployments.current(MODEL)
        entries = self.hooks.ledger.entries(MODEL)
        new = [entry for entry in entries if entry.seq > self.seen]
        contradictions = [
            *self._outcome(act, happened),
            *self._act(act.scene, current, new),
            *self._aliases(current),
            *self._gateways(current),
            *_callers(happened.live),
            *self._chain(),
        ]
        self.before, self.seen = current, max((entry.seq for entry in entries), default=0)
        return Row(
            act=number,
            title=act.title,
            promise=act.promise,
            happened=happened.sentence,
            live=happened.live,
            seconds=happened.seconds,
            champion=current.champion.version if current else None,
            contradictions=tuple(contradictions),
        )

    def _outcome(self, act: Act, happened: Happened) -> list[str]:
        told = f"the outcome is {happened.outcome}, not {act.outcome}: {happened.sentence}"
        return _unless(happened.outcome is act.outcome, told)

    def _act(self, scene: Scene, current: Deployment | None, new: list[LedgerEntry]) -> list[str]:
        if current is None:
            return ["no deployment record says that anything serves"]
        check = {
            Scene.FIRST: _first,
            Scene.BETTER: _better,
            Scene.POISONED: _poisoned,
            Scene.WORSE: _worse,
            Scene.QUIET: _quiet,
            Scene.FAULT: _fault,
        }
        return check[scene](self.before, current, new)

    def _aliases(self, current: Deployment | None) -> list[str]:
        if current is None:
            return []
        aliases = self.hooks.registry.aliases(MODEL)
        wanted = {
            Alias.CHAMPION: current.champion.version,
            Alias.PREVIOUS_CHAMPION: current.previous.version if current.previous else None,
            Alias.SHADOW: None,  # each act ends after its rehearsal
        }
        return [
            f"the registry's {alias} is {aliases.get(alias)}, the deployment record says {version}"
            for alias, version in wanted.items()
            if aliases.get(alias) != version
        ]

    def _gateways(self, current: Deployment | None) -> list[str]:
        if current is None:
            return []
        wanted = (200, current.champion.version, current.epoch)
        witnessed = self._ask()
        return [
            *_unless(bool(witnessed), "there is no gateway to ask"),
            *(
                f"{one.gateway} answers a request with HTTP {one.status}, version {one.version}, epoch {one.epoch}; "
                f"the deployment record says version {wanted[1]}, epoch {wanted[2]}"
                for one in witnessed
                if (one.status, one.version, one.epoch) != wanted
            ),
        ]

    def _chain(self) -> list[str]:
        chain = self.hooks.ledger.verify()
        return [] if chain.ok else [chain.sentence]


def _callers(live: Count) -> list[str]:
    return [
        *_unless(live.requests > 0, "no live request was sent"),
        *_unless(live.failed == 0, f"{live.failed} of {live.requests} live requests failed: {live.statuses}"),
    ]


def _first(before: Deployment | None, current: Deployment, new: list[LedgerEntry]) -> list[str]:
    stamped = [entry for entry in _of(new, EntryKind.BLESSED) if entry.facts.get("rubber_stamped") is True]
    return [
        *_unless(before is None, "something served before the first act"),
        *_unless(
            current.epoch == 1 and current.previous is None, f"the record is epoch {current.epoch}, not the first"
        ),
        *_unless(bool(stamped), "the ledger holds no rubber-stamped blessing"),
    ]


def _better(before: Deployment | None, current: Deployment, new: list[LedgerEntry]) -> list[str]:
    assert before is not None  # noqa: S101 - the act before was checked
    judged = _of(new, EntryKind.JUDGED)
    answers = [a for entry in judged for a in _answers(entry) if a.get("gate") == "roc_auc.gain"]
    gains = [float(str(a["low"])) for a in answers if a.get("low") is not None]
    rehearsals = _of(new, EntryKind.REHEARSED)
    rehearsed = [entry.facts.get("verdict") for entry in rehearsals]
    return [
        *_seen(new),
        *_unless(current.champion.version != before.champion.version, "the champion did not change"),
        *_unless(current.previous == before.champion, "the previous champion is not the one that served before"),
        *_unless(bool(gains) and min(gains) > 0, "the ledger shows no provable gain over the champion"),
        *_unless(rehearsed == [Verdict.PASSED.value], f"the ledger's verdict on the rehearsal is {rehearsed}"),
        *_unless(not any(entry.facts.get("rubber_stamped") for entry in rehearsals), "nobody looked at the rehearsal"),
    ]


def _poisoned(before: Deployment | None, current: Deployment, new: list[LedgerEntry]) -> list[str]:
    verdicts = [entry.facts.get("verdict") for entry in _of(new, EntryKind.DATA_JUDGED)]
    return [
        *_unless(current == before, "the champion changed"),
        *_unless(verdicts == [Verdict.FAILED.value], f"the ledger's verdict on the data is {verdicts}"),
        *_unless(bool(_of(new, EntryKind.QUARANTINED)), "the ledger holds no quarantine"),
        *_unless(not _of(new, EntryKind.TRAINED), "a model was trained on the poisoned data"),
    ]


def _worse(before: Deployment | None, current: Deployment, new: list[LedgerEntry]) -> list[str]:
    verdicts = [entry.facts.get("verdict") for entry in _of(new, EntryKind.JUDGED)]
    return [
        *_unless(current == before, "the champion changed"),
        *_unless(verdicts == [Verdict.FAILED.value], f"the ledger's verdict on the challenger is {verdicts}"),
        *_unless(not _of(new, EntryKind.BLESSED), "the worse challenger was blessed"),
    ]


def _quiet(before: Deployment | None, current: Deployment, new: list[LedgerEntry]) -> list[str]:
    looks = [Look.model_validate(entry.facts) for entry in _of(new, EntryKind.MONITORED)]
    return [
        *_unless(current == before, "the champion changed"),
        *_unless(len(looks) == 1, f"the ledger holds {len(looks)} looks, not one"),
        *_unless(not any(look.is_due or look.is_blind for look in looks), "the look was not quiet"),
        *_unless(not _of(new, EntryKind.TRIGGERED), "a retraining began"),
    ]


def _seen(new: list[LedgerEntry]) -> list[str]:
    """Check that one look saw the drift, and that exactly one retraining answers it."""
    looks = [entry for entry in _of(new, EntryKind.MONITORED) if Look.model_validate(entry.facts).is_due]
    causes = [Cause.model_validate(entry.facts["cause"]) for entry in _of(new, EntryKind.TRIGGERED)]
    asked = [ask.ledger_seq for cause in causes for ask in cause.asks]
    return [
        *_unless(len(looks) == 1, f"{len(looks)} looks of the monitor ask for a retraining, not one"),
        *_unless(len(causes) == 1, f"{len(causes)} retrainings began, not one"),
        *_unless(asked == [entry.seq for entry in looks], "the retraining does not name the look that asked for it"),
        *_unless(
            all(Trigger.DRIFT in cause.reasons for cause in causes), "drift is not among the retraining's reasons"
        ),
    ]


def _fault(before: Deployment | None, current: Deployment, new: list[LedgerEntry]) -> list[str]:
    assert before is not None  # noqa: S101 - the act before was checked
    guarded = [entry.facts.get("verdict") for entry in _of(new, EntryKind.GUARDED)]
    changes = [entry.deployment.change for entry in _of(new, EntryKind.DEPLOYED)]
    denied = [entry.facts.get("version") for entry in _of(new, EntryKind.DENIED)]
    return [
        *_unless(Verdict.FAILED.value in guarded, f"the ledger's verdicts of the guard are {guarded}"),
        *_unless(Change.ROLLBACK in changes, "no record says that the champion was taken back"),
        *_unless(current.champion == before.previous, "what serves is not the previous champion"),
        *_unless(
            denied == [before.champion.version], f"the ledger denies {denied}, not version {before.champion.version}"
        ),
    ]


def _of(entries: list[LedgerEntry], kind: EntryKind) -> list[LedgerEntry]:
    return [entry for entry in entries if entry.kind is kind]


def _answers(entry: LedgerEntry) -> list[dict[str, object]]:
    judgement = entry.facts.get("judgement")
    results = judgement.get("results") if isinstance(judgement, dict) else None
    return [dict(result) for result in results if isinstance(result, dict)] if isinstance(results, list) else []


def _unless(holds: bool, contradiction: str) -> list[str]:
    return [] if holds else [contradiction]
