"""Why a page is not shown."""

from understudy.contract.errors import UnderstudyError


class Forbidden(UnderstudyError):
    """The person may not see it."""


class NotThere(UnderstudyError):
    """There is no such thing."""
