"""Tell a model that is there from a slip of the pen."""

from understudy.contract.errors import UnknownModel
from understudy.contract.load import declared
from understudy.hooks.connect import Hooks


def refuse_unknown(hooks: Hooks, model: str) -> None:
    """Raise UnknownModel for what is neither declared nor in the ledger."""
    known = [path.parent.name for path in declared(hooks.settings.models_dir)]
    # A model that is no longer declared may serve for years.
    if model not in known and not hooks.ledger.entries(model, limit=1):
        raise UnknownModel(model, known, hooks.settings.models_dir)
