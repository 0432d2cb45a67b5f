"""Who lets a blessed challenger become champion."""

from datetime import timedelta

from pydantic import Field, model_validator

from understudy.contract.declared import Declared, Duration, parse_duration
from understudy.contract.words import PromotionMode


class PromotionSpec(Declared):
    """Say whether people are asked before a promotion, whom, and for how long."""

    mode: PromotionMode = PromotionMode.AUTO
    """auto promotes what passed every question; approval then asks people, and promotes what they approve."""
    approvers: tuple[str, ...] = ()
    """Who may answer, by the ids of Airflow's auth manager; when empty, whoever may answer on the model's DAG."""
    timeout: Duration = Field(default_factory=lambda: parse_duration("3d"))
    """After how long without an answer the challenger is rejected; each of two persons has that long."""
    remind_after: Duration | None = None
    """After how long without an answer people are reminded; half of the timeout when absent."""
    two_persons: bool = False
    """Ask a second person after the first, so that nobody approves alone, not even whoever started the run."""

    @property
    def persons(self) -> int:
        """Count who has to approve."""
        return (2 if self.two_persons else 1) if self.mode is PromotionMode.APPROVAL else 0

    @property
    def reminds_after(self) -> timedelta:
        """Give after how long people are reminded."""
        return self.remind_after if self.remind_after is not None else self.timeout / 2

    @model_validator(mode="after")
    def _only_an_approval_asks(self) -> "PromotionSpec":
        # By value: a run reads back its frozen declaration, in which every field is written.
        usual = type(self).model_construct()
        idle = [
            name for name in type(self).model_fields if name != "mode" and getattr(self, name) != getattr(usual, name)
        ]
        if self.mode is PromotionMode.AUTO and idle:
            raise ValueError(f"{idle[0]} is read where people are asked; add mode: approval, or remove it")
        return self

    @model_validator(mode="after")
    def _can_be_answered(self) -> "PromotionSpec":
        if any(not approver.strip() for approver in self.approvers):
            raise ValueError("approvers has an empty id")
        if len(set(self.approvers)) < len(self.approvers):
            raise ValueError("approvers names somebody twice")
        if self.two_persons and len(self.approvers) == 1:
            raise ValueError("two_persons needs two approvers at least, or none named")
        if self.timeout < timedelta(minutes=1):
            raise ValueError("timeout must leave a person a minute at least")
        if self.remind_after is not None and self.remind_after >= self.timeout:
            raise ValueError("remind_after must come before the timeout, which rejects")
        return self
