"""The one way in which a file cannot become a declaration."""

from understudy.contract.errors import UnderstudyError


class CannotInfer(UnderstudyError):
    """The file, or a name given with it, does not allow a declaration."""
