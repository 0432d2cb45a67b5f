"""What the address of a page asks for."""

from typing import Any

from pydantic import ConfigDict, model_validator

from understudy.contract.declared import Fact


class Wanted(Fact):
    """Hold what an address asks for; what is empty there, or unknown to us, asks for nothing."""

    # Mail programs and chats append parameters of their own to the addresses that people share.
    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_the_empty(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value != ""} if isinstance(given, dict) else given
