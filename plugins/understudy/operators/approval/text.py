"""What people read who are asked: the decision card, and what their answer does."""

from understudy.contract.approval import EVIDENCE, LONGEST_SHOWN, Question
from understudy.contract.cards.text import escaped, markdown
from understudy.contract.moment import moment
from understudy.contract.words import Answer
from understudy.hooks.alerting.pages import pages
from understudy.hooks.approvals import answers
from understudy.hooks.cards import card_of_entry
from understudy.hooks.ledger.ledger import Ledger


def body_of(ledger: Ledger, model: str, run: str, question: Question) -> str:
    """Write the card of the newest judgement in the run, and what an answer does, as Markdown."""
    judged = ledger.entries(model, EVIDENCE, run, limit=1, newest_first=True)
    cards = [markdown(card_of_entry(ledger, entry), pages()) for entry in judged]
    given = [one for one in answers(ledger, model, run) if one.answer is Answer.APPROVED]
    first = [
        f"**{escaped(one.who, LONGEST_SHOWN)}** has approved it ({escaped(one.reason)}); a second person is asked for."
        for one in given
        if one.person < question.person
    ]
    asked = (
        f"*Approve* makes version {question.version} champion, if the champion still is the one that it was judged "
        f"against. *Reject* leaves the champion alone; so does no answer until {moment(question.until)}. "
        "Both need a reason."
    )
    return "\n\n".join([*first, asked, *cards])
