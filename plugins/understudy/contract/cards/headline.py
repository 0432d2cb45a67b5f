"""What to read first of a decision that answers questions: the answer that decided, value against threshold. Pure."""

from understudy.contract.cards.evidence import judgement_in
from understudy.contract.release import LedgerEntry
from understudy.contract.words import Verdict


def headline_of(entry: LedgerEntry) -> str:
    """Give the first clause of what decided, and how much else did; empty where every question passed."""
    judgement = judgement_in(entry)
    if judgement is None or judgement.verdict is Verdict.PASSED:
        return ""
    deciding = [answer.sentence for answer in judgement.results if answer.verdict is judgement.verdict]
    if not deciding:
        return ""
    clause = deciding[0].partition("; ")[0]
    return f"{clause}; and {len(deciding) - 1} more" if len(deciding) > 1 else clause
