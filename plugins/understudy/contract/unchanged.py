"""A retraining that made the champion once more: nothing was added to its source. Pure."""

from understudy.contract.judgement import Judgement
from understudy.contract.release import Bundle
from understudy.contract.words import Verdict

GAIN = ".gain"


def is_champion_again(challenger: Bundle, champion: Bundle | None, judgement: Judgement) -> bool:
    """Tell whether a challenger is the champion under another number: the same rows have made the same files.

    A model never gains on itself, so that gates of gain say nothing here. A bound that it fails is the champion's
    failure too, which people have to be told: that one is declined like any other.
    """
    if champion is None or challenger.version == champion.version:
        return False
    others = (answer for answer in judgement.results if not answer.gate.endswith(GAIN))
    return (
        challenger.answers_as(champion)
        and challenger.data_version == champion.data_version
        and bool(judgement.results)
        and all(answer.verdict is Verdict.PASSED for answer in others)
    )
