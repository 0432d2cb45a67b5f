"""What an answer to a question would come to, in a sentence: the dry run of an approval. Pure."""

from understudy.contract.approval import APPROVE
from understudy.contract.declared import Fact
from understudy.ui.questions import Request


class Foretold(Fact):
    """Say what an answer would do, without giving it."""

    sentence: str
    is_refused: bool = False
    """Whether the answer would be refused, or come to nothing."""


def foretell(request: Request, option: str) -> Foretold:
    """Say what comes of an answer as things stand; whoever is faster may change them."""
    if not request.may:
        return Foretold(sentence=request.why_not, is_refused=True)
    version = f"Version {request.version}" if request.version is not None else "The challenger"
    if option != APPROVE:
        stays = f"version {request.champion} goes on" if request.champion is not None else "nothing serves, as before"
        return Foretold(sentence=f"{version} is rejected, and the run ends: {stays}.")
    if request.has_approved:
        told = "You have approved it already, and a second person is asked for: your answer would not count."
        return Foretold(sentence=told, is_refused=True)
    if request.obstacle:
        return Foretold(sentence=f"Your approval is used up and promotes nothing. {request.obstacle}", is_refused=True)
    if not request.is_last:
        told = f"Your approval is recorded, and a second person is asked. {version} is not promoted by you alone."
        return Foretold(sentence=told)
    instead = f" in place of version {request.champion}" if request.champion is not None else ", the first one"
    return Foretold(sentence=f"{version} becomes champion{instead}.")
