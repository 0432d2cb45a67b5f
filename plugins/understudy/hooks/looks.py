"""The looks and retrainings of a model, as the ledger has them; a look is decided and recorded in one transaction."""

from collections.abc import Callable
from datetime import datetime, timezone

from understudy.contract.cause import RETRAIN_PREFIX
from understudy.contract.errors import SpecProblem, UnknownModel
from understudy.contract.load import load_model
from understudy.contract.moment import moment
from understudy.contract.release import LedgerEntry
from understudy.contract.retrainings import KINDS, Look, Recorded, Retrainings
from understudy.contract.run_time import longest_run
from understudy.contract.words import EntryKind
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.ledger.pen import LedgerPen
from understudy.hooks.ledger.schema import LEDGER
from understudy.hooks.local_runs import has_died
from understudy.settings import Settings

REMEMBERED = 3000
"""How many entries are looked back on: a week of looks every five minutes, and what they led to."""


def retrainings(ledger: Ledger, model: str) -> Retrainings:
    """Read the newest looks and retrainings of a model."""
    return Retrainings.told(ledger.entries(model, KINDS, limit=REMEMBERED, newest_first=True))


def trouble_with(past: Retrainings, model: str, chosen: Settings) -> tuple[str, ...]:
    """Say, as of now, what became of retrainings that should have begun or ended; nothing of a broken declaration."""
    try:
        timeout = longest_run(load_model(chosen.models_dir, model))
    except (SpecProblem, UnknownModel):
        return ()
    running = next((begun for begun in past.begun[:1] if begun.outcome is None), None)
    if running and running.local and has_died(chosen.home, f"{RETRAIN_PREFIX}{model}", running.local.place):
        return (f"the retraining that began at {moment(running.at)} was killed before it could say how it ended",)
    return past.trouble(datetime.now(timezone.utc), chosen.retrain_within, timeout)


def record_look(
    ledger: Ledger,
    key: str,
    model: str,
    decide: Callable[[Retrainings], tuple[Look, str]],
    *,
    actor: str,
    run: str,
) -> tuple[Recorded, Retrainings]:
    """Decide by what was known before and record it, once; return the entry and the past that it was decided by.

    Nobody writes in between, so that of two looks at the same time the second one knows of the first. A retried task
    gets the entry that it wrote, whatever it would decide now.

    :param decide: gives what is recorded and the sentence that tells it; must be quick.
    """
    with ledger.writing() as pen:
        mine = pen.entries(LEDGER.c.once_key == key)
        past = Retrainings.told(_newest(pen, model))
        if mine:
            return _recorded(mine[0]), _before(past, mine[0].seq)
        look, sentence = decide(past)
        entry = pen.append(
            model,
            EntryKind.MONITORED,
            actor,
            sentence,
            run=run,
            facts=look.model_dump(mode="json"),
            once_key=key,
        )
        return _recorded(entry), past


def _newest(pen: LedgerPen, model: str) -> list[LedgerEntry]:
    of_model, of_kind = LEDGER.c.model == model, LEDGER.c.kind.in_([kind.value for kind in KINDS])
    return pen.entries(of_model, of_kind, newest_first=True, limit=REMEMBERED)


def _recorded(entry: LedgerEntry) -> Recorded:
    look = Look.model_validate(entry.facts)
    return Recorded(seq=entry.seq, hash=entry.hash, at=entry.at, run=entry.run, look=look)


def _before(past: Retrainings, seq: int) -> Retrainings:
    return past.model_copy(update={"looks": tuple(one for one in past.looks if one.seq < seq)})
