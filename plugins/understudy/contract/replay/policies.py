"""The retraining policies that a replay can play, as people write them: ``never``, ``schedule:7d``, ``hybrid:8w``."""

from datetime import timedelta
from typing import Any

from understudy.contract.declaration.spec import RetrainSpec
from understudy.contract.declared import Duration, Fact, format_duration, parse_duration
from understudy.contract.errors import UnderstudyError
from understudy.contract.suggest import nearest
from understudy.contract.words import PolicyKind

AGED = {PolicyKind.SCHEDULE, PolicyKind.DRIFT, PolicyKind.QUALITY, PolicyKind.HYBRID}
WATCHING = frozenset({PolicyKind.DRIFT, PolicyKind.QUALITY, PolicyKind.HYBRID})
EXAMPLES = "never, every, schedule:7d, drift, quality, hybrid or hybrid:8w"


class UnknownPolicy(UnderstudyError):
    """A policy cannot be played."""

    def __init__(self, text: str, problem: str) -> None:
        self.text = text
        super().__init__(f"The policy {text!r} cannot be played: {problem}. Write for example {EXAMPLES}.")


class Policy(Fact):
    """Say how a replay decides when to retrain."""

    kind: PolicyKind
    max_age: Duration | None = None
    """For ``schedule`` the interval; for the watching ones instead of the declared ``retrain.max_age``."""

    @property
    def name(self) -> str:
        """Write it as people do."""
        return self.kind.value if self.max_age is None else f"{self.kind.value}:{format_duration(self.max_age)}"

    @property
    def watches(self) -> bool:
        """Tell whether it looks at data and labels."""
        return self.kind in WATCHING

    def knobs(self, declared: RetrainSpec) -> RetrainSpec:
        """Give the knobs that the monitor's judge gets: the declared ones, with all but this policy's reasons off."""
        own: dict[str, Any] = {}
        if self.kind is not PolicyKind.HYBRID:
            own = {
                "drift": self.kind is PolicyKind.DRIFT,
                "quality": self.kind is PolicyKind.QUALITY,
                "new_labels": None,
                "max_age": None,
            }
        if self.max_age is not None:
            own["max_age"] = self.max_age
        return declared.model_copy(update=own)


def parse_policy(text: str) -> Policy:
    """Read a policy.

    :raises UnknownPolicy: for anything that is none.
    """
    word, _, age = text.strip().partition(":")
    if word not in {kind.value for kind in PolicyKind}:
        raise UnknownPolicy(text, f"{word!r} is not known{nearest(word, [k.value for k in PolicyKind])}")
    kind = PolicyKind(word)
    if not age:
        if kind is PolicyKind.SCHEDULE or text.strip().endswith(":"):
            raise UnknownPolicy(text, "it needs a duration after the colon")
        return Policy(kind=kind)
    if kind not in AGED:
        raise UnknownPolicy(text, f"{word} takes no duration")
    try:
        max_age: timedelta = parse_duration(age)
    except ValueError as unreadable:
        raise UnknownPolicy(text, str(unreadable)) from unreadable
    if not max_age:
        raise UnknownPolicy(text, "a duration of zero would never pass")
    return Policy(kind=kind, max_age=max_age)


def parse_policies(text: str) -> tuple[Policy, ...]:
    """Read a list of policies separated by commas; each counts once.

    :raises UnknownPolicy: for the first that is none, or an empty list.
    """
    policies = tuple(dict.fromkeys(parse_policy(part) for part in text.split(",") if part.strip()))
    if not policies:
        raise UnknownPolicy(text, "it names none")
    return policies
