"""Write down how a retraining ended."""

from understudy.contract.words import EntryKind
from understudy.hooks.ledger.ledger import Ledger
from understudy.operators.handover import Concluded


def write_end(ledger: Ledger, model: str, run: str, concluded: Concluded, actor: str) -> None:
    """Record an end once; a run may have another one later, which is as true as the first."""
    ledger.append_once(
        # The outcome is part of the key: clearing a broken task and succeeding is a second, true end of the same run.
        f"{model}/{run}/concluded/{concluded.outcome}/{concluded.version}",
        model,
        EntryKind.CONCLUDED,
        actor,
        concluded.sentence,
        run,
        concluded.model_dump(mode="json"),
    )
