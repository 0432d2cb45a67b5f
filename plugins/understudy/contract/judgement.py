"""What a judgement is, and how single answers combine. No place for optimism: no answers is not a yes."""

import math
from collections.abc import Iterable

from pydantic import field_validator

from understudy.contract.declared import Fact, sha256_of
from understudy.contract.words import Lacking, Verdict

COUNTED = "counted, not estimated"
"""The basis of a number that has no interval because it is no estimate."""
SINGLE = "measured once"
"""The basis of a number that was taken once, so that nothing says how much it varies."""


def is_usable(number: float | None) -> bool:
    """Tell a measured, finite number from a missing one."""
    return number is not None and math.isfinite(number)


class Lack(Fact):
    """Say what has come so far and about how much more a question needs."""

    of: Lacking
    so_far: int
    """As it was reported: a gateway may say anything."""
    more: int


class GateResult(Fact):
    """Answer one gate or check, with the numbers that made the answer."""

    gate: str
    verdict: Verdict
    measured: float | None = None
    what: str = ""
    """What was measured, where the question's name is no name of a number."""
    low: float | None = None
    high: float | None = None
    basis: str = ""
    """Why the number has no interval: how it was counted, or where the threshold comes from."""
    bound: str
    """What was asked for, in words with the number that decides."""
    sentence: str
    lack: Lack | None = None
    """What would answer an open question, where more of the same would."""

    @field_validator("measured", "low", "high")
    @classmethod
    def _unusable_is_missing(cls, number: float | None) -> float | None:
        return number if is_usable(number) else None


class Judgement(Fact):
    """Answer all gates of one report."""

    verdict: Verdict
    results: tuple[GateResult, ...]
    rubber_stamped: bool = False
    """Judged without a champion: bounds only, no comparison."""

    @property
    def sentence(self) -> str:
        """Say in one sentence what decided."""
        deciding = [r.sentence for r in self.results if r.verdict is self.verdict]
        if self.verdict is Verdict.PASSED:
            return f"all {len(self.results)} questions passed"
        return (
            "; ".join(deciding[:3]) + (f"; and {len(deciding) - 3} more" if len(deciding) > 3 else "")
            or "nothing was asked"
        )

    def digest(self) -> str:
        """Digest the judgement, so that a blessing can name it."""
        return sha256_of(self.model_dump(mode="json"))


def combine(results: Iterable[GateResult]) -> Verdict:
    """Combine answers: one failure fails, else one doubt is a doubt, and no answers at all are a doubt."""
    verdicts = {result.verdict for result in results}
    if Verdict.FAILED in verdicts:
        return Verdict.FAILED
    return Verdict.PASSED if verdicts == {Verdict.PASSED} else Verdict.INCONCLUSIVE
